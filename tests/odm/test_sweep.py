from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_openclinica.errors import FileError
from airflow_provider_openclinica.odm.flattener import COLUMNS, flatten
from airflow_provider_openclinica.odm.itemcolumns import Items, Runs
from airflow_provider_openclinica.odm.reader import rows
from airflow_provider_openclinica.odm.repair import Repairs
from airflow_provider_openclinica.odm.sweep import swept
from tests.odm.exports import EXPORTS, as_json, clinical, export, with_subject

if TYPE_CHECKING:
    from airflow_provider_openclinica.odm.subjects import Source

EXPORT = Path(__file__).parent / "data" / "export.xml"


def found(source: Source, portion: int = 1) -> tuple[list[tuple[str, Any]], list[dict[str, Any]]]:
    """Return what a sweep finds, participant by participant: the rows of other tables, and those of the items."""
    others, items = [], Items()
    for rows_of_one, items_of_one in swept(source, portion=portion):
        others += rows_of_one
        items.extend(items_of_one)
    columns = items.columns()
    assert list(columns) == list(COLUMNS["items"])
    cells = zip(*columns.values(), strict=True)
    return others, [dict(zip(columns, each, strict=True)) for each in cells]


def expected(content: bytes) -> tuple[list[tuple[str, Any]], list[dict[str, Any]]]:
    """Return the same as the readers of ``reader.py`` and ``flattener.py`` have it."""
    others = [(table, row) for table, row in rows(io.BytesIO(content)) if table != "items"]
    return others, [row for table, row in flatten(io.BytesIO(content)) if table == "items"]


GROUP = (
    '<SubjectData SubjectKey="SS"><StudyEventData StudyEventOID="SE"><FormData FormOID="F">{}</FormData>'
    "</StudyEventData></SubjectData>"
)
NOTES = (
    '<OpenClinica:DiscrepancyNotes><OpenClinica:DiscrepancyNote ID="DN_1" Status="New"><OpenClinica:ChildNote ID="C">'
    "<OpenClinica:DetailedNote>Is it &lt; 3?</OpenClinica:DetailedNote></OpenClinica:ChildNote>"
    "</OpenClinica:DiscrepancyNote></OpenClinica:DiscrepancyNotes>"
)
LOGS = '<OpenClinica:AuditLogs><OpenClinica:AuditLog ID="AL_1" NewValue="1"/></OpenClinica:AuditLogs>'
NO_UNIT = '<MeasurementUnitRef MeasurementUnitOID=""/>'
ITEM = [
    '<ItemData ItemOID="I_1" Value="1"/>',
    '<ItemData Value="1" ItemOID="I_2"/>',
    '<ItemData ItemOID="I_3" OpenClinica:ItemName="pulse" Value="72"/>',
    '<ItemData ItemOID="I_3" OpenClinica:ItemName="" Value="72"/>',
    '<ItemData ItemOID="I_3" ItemName="pulse" Value="72"/>',
    '<ItemData ItemOID="I_4" IsNull="Yes" OpenClinica:ReasonForNull="not done" Value="x"/>',
    '<ItemData ItemOID="I_5"/>',
    '<ItemData ItemOID="I_5" Value=""/>',
    '<ItemData Value="nobody\'s"/>',
    '<ItemData ItemOID="I_6" Value="7"><MeasurementUnitRef MeasurementUnitOID="MU_1"/></ItemData>',
    f'<ItemData ItemOID="I_6" IsNull="Yes">{NO_UNIT}<MeasurementUnitRef MeasurementUnitOID="MU_2"/></ItemData>',
    f'<ItemData ItemOID="I_6" Value="7">{NO_UNIT}</ItemData>',
    f'<ItemData ItemOID="I_7" Value="7">{LOGS}{NOTES}</ItemData>',
    f'<ItemData Value="7" ItemOID="I_8" TransactionType="Insert">{LOGS}</ItemData>',
    '<ItemDataFloat ItemOID="I_9"> 41.5 </ItemDataFloat>',
    '<ItemDataString ItemOID="I_9"> a &amp; b <MeasurementUnitRef MeasurementUnitOID="MU"/> tail</ItemDataString>',
    '<ItemDataInteger ItemOID="I_9" IsNull="Yes"/>',
    '<ItemData ItemOID="I_10" Value="a&#10;b &amp; &lt;c&gt;"/>',
    '<OpenClinica:ItemData ItemOID="I_11" Value="1"/>',
    '<other:ItemData xmlns:other="urn:other" ItemOID="I_12" Value="1"/>',
    '<ItemData xmlns:other="urn:other" ItemOID="I_13" other:Value="1"/>',
    '<ItemData ItemOID="I_14"  OpenClinica:ItemName="two blanks" Value="1">\n    </ItemData>\n',
    '<ItemData ItemOID="I_15" Value="&amp;lt; &lt;&gt;&quot;&apos;"/>',
    '<ItemData ItemOID="I_16" Value="&#x41;&#66;&#128;&#128512;&amp;#65; &gt;"/>',
    '<ItemData ItemOID="I_17" Value="a\tb\nc\r\nd"/>',
    '<ItemData ItemOID="I_18" Value=\'"\' />',
    '<ItemData ItemOID="I_19" Value="&lt;!-- &gt;"/>',
    '<ItemData ItemOID="I_20" Value="µ &#10; 😀"/>',
    '<ItemData ItemOID="I_21" Value="bare & ampersand &nbsp; \x02"/>',
    '<ItemData xmlns="urn:other" ItemOID="I_22" Value="1"/>',
    '<ItemData ItemOID="I_23" Value="1"><ItemData ItemOID="I_24" Value="2"/></ItemData>',
    '<Items At="0" End="1"/>',
    '<OpenClinica:Items At="x"/>',
]
AROUND = [
    *ITEM,
    "<![CDATA[<ItemData/>]]>",
    "<?php <ItemData/> ?>",
    LOGS,
    NOTES,
    "text",
    "<!-- <ItemData/> -->",
    '<Unknown><ItemData ItemOID="I_X" Value="1"/></Unknown>',
]


@pytest.mark.parametrize("item", AROUND)
def test_each_way_to_write_an_item_is_read_as_row_by_row(item: str) -> None:
    body = GROUP.format(f'<ItemGroupData ItemGroupOID="IG">{ITEM[0]}{item}{ITEM[2]}</ItemGroupData>')
    content = with_subject(body * 3)
    assert found(io.BytesIO(content)) == expected(content)


@given(
    st.lists(st.lists(st.sampled_from(AROUND), max_size=5), max_size=4),
    st.sampled_from([1, 7, 1 << 16]),
    st.sampled_from([1, 1_000, 1 << 16]),
)
def test_any_mixture_is_read_as_row_by_row_in_chunks_of_any_size(
    groups: list[list[str]], size: int, portion: int
) -> None:
    written = "".join(
        f'<ItemGroupData ItemGroupOID="IG_{at}" ItemGroupRepeatKey="{at}">{"".join(each)}</ItemGroupData>'
        for at, each in enumerate(groups)
    )
    content = with_subject(GROUP.format(written + LOGS) * 3)
    chunks = [content[at : at + size] for at in range(0, len(content), size)]
    assert found(chunks, portion) == expected(content)


@given(EXPORTS, st.sampled_from([as_json, lambda *nodes: export(*nodes).encode()]))
def test_any_export_is_read_as_row_by_row(clinical_data: list[Any], written: Any) -> None:
    content = written(*clinical_data)
    assert found(io.BytesIO(content)) == expected(content)


def test_an_export_with_everything_is_read_as_row_by_row() -> None:
    assert found(EXPORT) == expected(EXPORT.read_bytes())


#: Tags in an export, with what they say; participants and what holds them are where they belong.
SAID = {
    "StudyEventData": 'StudyEventOID="SE"',
    "FormData": 'FormOID="F" OpenClinica:Removed="Yes"',
    "ItemGroupData": 'ItemGroupOID="IG"',
    "ItemData": 'ItemOID="I" Value="1"',
    "ItemDataString": 'ItemOID="I"',
    "MeasurementUnitRef": 'MeasurementUnitOID="MU"',
    "OpenClinica:AuditLogs": "",
    "OpenClinica:AuditLog": 'ID="AL_1"',
    "AuditRecord": "",
    "UserRef": 'UserOID="U"',
    "OpenClinica:DiscrepancyNotes": "",
    "OpenClinica:DiscrepancyNote": 'ID="DN_1"',
    "OpenClinica:ChildNote": 'ID="C"',
    "Unknown": "",
}
LEVELS = ("StudyEventData", "FormData", "ItemGroupData", "ItemData")


def tags(depth: int = 0) -> st.SearchStrategy[str]:
    """Make a tag that may stand at this depth of a participant, or anything at all."""
    anything = st.deferred(lambda: st.sampled_from(["text", " "]) | written(st.sampled_from([*SAID]), anything))
    return written(st.just(LEVELS[depth]), tags(depth + 1)) | anything if depth < len(LEVELS) else anything


def written(names: st.SearchStrategy[str], below: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    bodies = st.lists(below, max_size=3).map("".join)
    return st.builds(lambda name, body: f"<{name} {SAID[name]}>{body}</{name}>", names, bodies)


@given(st.lists(tags(), max_size=3).map("".join))
@settings(deadline=None)
def test_whatever_stands_wherever_is_read_as_row_by_row(body: str) -> None:
    content = with_subject(f'<SubjectData SubjectKey="SS_1">{body}</SubjectData>' * 2)
    assert found(io.BytesIO(content)) == expected(content)


@pytest.mark.parametrize("misplaced", ["ReferenceData", "ClinicalData"])
def test_what_is_no_participants_is_passed_over(misplaced: str) -> None:
    group = f'<ItemGroupData ItemGroupOID="IG">{ITEM[0]}</ItemGroupData>'
    written = f'<{misplaced} StudyOID="S">{group}</{misplaced}></ODM>'
    content = export(clinical()).replace("</ODM>", written).encode()
    assert found(io.BytesIO(content)) == expected(content) == ([], [])


def test_rows_of_groups_are_left_out_where_nobody_wants_them() -> None:
    ((with_groups, items),), ((without, same),) = (
        swept(EXPORT),
        swept(EXPORT, tables=("participants", "events", "forms")),
    )
    assert without == [(table, row) for table, row in with_groups if table != "item_groups"]
    assert same == items


def test_what_was_mended_is_counted() -> None:
    repairs = Repairs()
    content = with_subject('<SubjectData SubjectKey="&#55357;&#56832;"/>')
    ((rows_of_one, _),) = swept(io.BytesIO(content), repairs=repairs)
    assert rows_of_one[0][1]["subject_key"] == "\N{GRINNING FACE}"
    assert repairs.counts() == {"surrogate_pairs": 1}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param(EXPORT.read_bytes().replace(b"</ODM>", b""), "cut off", id="cut-off"),
        pytest.param(EXPORT.read_bytes().replace(b"</ODM>", b"</ODX>"), "does not match", id="broken"),
        pytest.param(b'<ODM xmlns="http://www.cdisc.org/ns/odm/v2.0"/>', "it is ODM 2.0", id="odm-2"),
        pytest.param(b"<!DOCTYPE ODM><ODM/>", "document type declaration", id="doctype"),
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"PK\3\4", "not XML", id="no-xml"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(content: bytes, complaint: str) -> None:
    with pytest.raises(FileError, match=complaint) as swept_up:
        list(swept(io.BytesIO(content)))
    with pytest.raises(FileError) as read:
        list(rows(io.BytesIO(content)))
    assert swept_up.value.next_step == read.value.next_step


def test_runs_are_iterated_value_by_value() -> None:
    assert list(Runs(["a", "b"], [2, 1])) == ["a", "a", "b"]

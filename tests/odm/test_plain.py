from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_openclinica.errors import FileError
from airflow_provider_openclinica.odm.flattener import COLUMNS
from airflow_provider_openclinica.odm.plain import Plain, PlainReader
from airflow_provider_openclinica.odm.plainrows import PlainRows
from airflow_provider_openclinica.odm.repair import Repairs, mend
from airflow_provider_openclinica.odm.sweep import TABLES
from tests.odm.exports import OC, ODM, with_subject
from tests.odm.test_sweep import LOGS, NO_UNIT, NOTES, expected, found

PREFIXES: dict[str | None, str] = {None: ODM, "OpenClinica": OC}
ITEM = '<ItemData ItemOID="I_1" Value="1"/>'
SUBJECT = (
    '<SubjectData SubjectKey="SS_1" OpenClinica:StudySubjectID="B &amp; 1">\n<StudyEventData StudyEventOID="SE">'
    '<FormData FormOID="F" OpenClinica:Removed="Yes">\n  <ItemGroupData ItemGroupOID="IG">{}</ItemGroupData></FormData>'
    "</StudyEventData></SubjectData>"
)


def read(text: str, prefixes: dict[str | None, str] = PREFIXES) -> Plain | None:
    return PlainReader(prefixes).read(b"".join(mend([text.encode()], Repairs())))


def told(plain: Plain) -> tuple[list[tuple[str, Any]], list[dict[str, Any]]]:
    """Return rows of other tables, and those of the items."""
    others, items = PlainRows(frozenset(TABLES)).read(plain, "S_JUNO")
    cells = zip(*items.columns().values(), strict=True)
    return others, [dict(zip(COLUMNS["items"], each, strict=True)) for each in cells]


WRITTEN = {
    "alone": ITEM,
    "two": ITEM * 2,
    "none": "",
    "named": '<ItemData ItemOID="I_3" OpenClinica:ItemName="pulse" Value="72"/>',
    "named-and-not": f'<ItemData ItemOID="I_3" OpenClinica:ItemName="pulse" Value="72"/>{ITEM}',
    "value-first": f'{ITEM}<ItemData Value="1" ItemOID="I_2"/>',
    "no-value": f'{ITEM}<ItemData ItemOID="I_2"/>{ITEM}',
    "empty-value": '<ItemData ItemOID="I_2" Value=""/>',
    "null": f'{ITEM}<ItemData ItemOID="I_4" IsNull="Yes" OpenClinica:ReasonForNull="not done" Value="x"/>{ITEM}',
    "not-null": '<ItemData ItemOID="I_4" IsNull="No" Value="x"/>',
    "new": '<ItemData TransactionType="Insert" ItemOID="I_4" Value="x"/>',
    "something-unknown": '<ItemData ItemOID="I_4" OpenClinica:Mood="good" Value="x"/>',
    "unit": f'{ITEM}<ItemData ItemOID="I_6" Value="7"><MeasurementUnitRef MeasurementUnitOID="MU"/></ItemData>{ITEM}',
    "no-unit": f'<ItemData ItemOID="I_6" Value="7">{NO_UNIT}</ItemData>{ITEM}',
    "notes-and-logs": f'{ITEM}<ItemData ItemOID="I_7" Value="7">{LOGS}{NOTES}</ItemData>{NOTES}{ITEM}{LOGS}',
    "blanks": '\n\t<ItemData  ItemOID = "I_1"\n  Value="a  b" >\n </ItemData >\n',
    "references": '<ItemData ItemOID="I_&amp;" Value="&amp;lt; &#65;&#x42;&#128512;&quot;&apos;&gt;"/>',
    "two-that-mean-the-same": '<ItemData ItemOID="I" Value="A"/><ItemData ItemOID="I" Value="&#65;"/>',
    "newline-as-reference": '<ItemData ItemOID="I" Value="a&#10;b"/>',
    "single-quote": '<ItemData ItemOID="I" Value="nobody\'s > 3"/>',
    "text-like-a-tag": '<ItemData ItemOID="I" Value="/> x="/>',
    "beyond-ascii": '<ItemData ItemOID="I" Value="µ😀"/>',
}
LEFT_TO_THE_PARSER = {
    "typed": '<ItemDataFloat ItemOID="I_9">41.5</ItemDataFloat>',
    "no-oid": '<ItemData Value="1"/>',
    "empty-name": '<ItemData ItemOID="I" OpenClinica:ItemName="" Value="1"/>',
    "newline": '<ItemData ItemOID="I" Value="a\nb"/>',
    "tab": '<ItemData ItemOID="I\t" Value="a"/>',
    "other-quotes": "<ItemData ItemOID='I' Value=\"1\"/>",
    "other-prefix": '<ItemData ItemOID="I" other:Value="1"/>',
    "prefix-of-no-name": '<ItemData ItemOID="I" xml:lang="en" Value="1"/>',
    "namespace": f'<ItemData xmlns="{ODM}" ItemOID="I" Value="1"/>',
    "text": f"{ITEM}text",
    "comment": f"{ITEM}<!-- {ITEM} -->",
    "cdata": f"<![CDATA[{ITEM}]]>",
    "instruction": f"<?php {ITEM} ?>",
    "unknown-tag": f'<Unknown a="1">{ITEM}</Unknown>',
    "tag-without-attributes": f"<Unknown>{ITEM}</Unknown>",
    "item-in-an-item": f'<ItemData ItemOID="I" Value="1">{ITEM}</ItemData>',
    "group-in-a-group": f'<ItemGroupData ItemGroupOID="IG">{ITEM}</ItemGroupData>',
    "attribute-twice": '<ItemData ItemOID="I" Value="1" Value="1"/>',
    "attribute-twice-in-a-group": f'</ItemGroupData><ItemGroupData a="1" a="1">{ITEM}',
    "less-than": '<ItemData ItemOID="I" Value="<"/>',
    "less-than-in-a-group": f'</ItemGroupData><ItemGroupData ItemGroupOID="<">{ITEM}',
    "no-blank-between": '<ItemData ItemOID="I"Value="1"/>',
    "not-closed": '<ItemData ItemOID="I" Value="1">',
    "closed-twice": f"{ITEM}</ItemData>",
    "closed-wrongly": '<ItemData ItemOID="I" Value="1"></FormData>',
    "closed-by-an-unknown-name": f'<ItemData ItemOID="I" Value="1"></temData>{ITEM}',
    "closed-by-an-unknown-name-further-out": f"{ITEM}</ItemGroupDat></FormData>",
    "unknown-participant": '</ItemGroupData></FormData></StudyEventData></SubjectData><Subject a="1"></Subject>',
    "closed-in-another-order": "</FormData></ItemGroupData>",
    "no-value-in-quotes": '<ItemData ItemOID="I" Value=1/>',
    "quote-too-many": f'{ITEM}"',
    "our-own-mark": f'{ITEM}<Cut.Out Of=""/>{NOTES}',
    "logs-in-a-value": f'<ItemData ItemOID="I" Value="{LOGS}"/>',
    "logs-in-a-tag": f'<ItemData {LOGS} ItemOID="I"/>',
    "logs-not-closed": LOGS.removesuffix("</OpenClinica:AuditLogs>") + LOGS,
    "logs-broken": LOGS.replace("<OpenClinica:AuditLog ", "<OpenClinica:AuditLog x <"),
    "logs-of-nobody": f"</ItemGroupData></FormData></StudyEventData></SubjectData>{LOGS}",
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_what_openclinica_writes_is_read_by_columns_as_row_by_row(written: str) -> None:
    body = SUBJECT.format(written) * 2 + "\n"
    plain = read(body)
    assert plain
    assert told(plain) == expected(with_subject(body))


@pytest.mark.parametrize("written", LEFT_TO_THE_PARSER.values(), ids=LEFT_TO_THE_PARSER)
def test_everything_else_is_left_to_the_parser(written: str) -> None:
    assert read(SUBJECT.format(written)) is None


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param("", "nothing", id="nothing"),
        pytest.param(SUBJECT[:-1], "cut off", id="cut-off"),
        pytest.param(f"</ClinicalData>{SUBJECT}", "another site", id="end-of-a-site"),
        pytest.param(f'</ClinicalData><ClinicalData StudyOID="S">{SUBJECT}', "another site", id="next-site"),
        pytest.param(SUBJECT.removeprefix('<SubjectData SubjectKey="SS_1"'), "in the middle", id="middle"),
        pytest.param(SUBJECT.partition(">")[2], "in the middle", id="an-event-first"),
        pytest.param(f"{SUBJECT}</ClinicalData>", "another site", id="and-more"),
    ],
)
def test_only_whole_participants_are_read(body: str, why: str) -> None:
    assert read(body.replace("{}", ITEM)) is None, why


@pytest.mark.parametrize(
    "prefixes",
    [
        pytest.param({None: "urn:other", "OpenClinica": OC}, id="not-odm"),
        pytest.param({"odm": ODM, "OpenClinica": OC}, id="odm-has-a-prefix"),
        pytest.param({None: ODM}, id="no-prefix"),
        pytest.param({None: ODM, "OpenClinica": "urn:other"}, id="prefix-of-somebody-else"),
    ],
)
def test_names_have_to_be_odms_and_openclinicas(prefixes: dict[str | None, str]) -> None:
    assert read(SUBJECT.format(ITEM)) is not None
    assert read(SUBJECT.format(ITEM), prefixes) is None


PARTS = [*WRITTEN.values(), *LEFT_TO_THE_PARSER.values()]
TOKENS = [
    "",
    *'<>/"=& \n',
    "'",
    "<!--",
    "-->",
    "</",
    "/>",
    '="',
    '"/>',
    "<ItemData",
    "</ItemGroupData>",
    ITEM,
    LOGS,
    "x:",
]


@given(
    st.lists(st.sampled_from(PARTS), max_size=4).map("".join),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(TOKENS)), min_size=1, max_size=2),
)
@settings(deadline=None)
def test_a_text_with_anything_anywhere_is_read_as_row_by_row_or_not_at_all(
    written: str, edits: list[tuple[float, int, str]]
) -> None:
    body = SUBJECT.format(written) * 2
    for share, length, instead in edits:
        at = int(share * len(body))
        body = body[:at] + instead + body[at + length :]
    if plain := read(body):
        assert told(plain) == expected(with_subject(body))


@pytest.mark.parametrize("written", PARTS, ids=[*WRITTEN, *LEFT_TO_THE_PARSER])
def test_without_arrow_all_is_read_out_of_trees(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = with_subject(SUBJECT.format(ITEM) + SUBJECT.format(written) + SUBJECT.format(ITEM))
    by_columns = outcome(content)
    monkeypatch.setitem(sys.modules, "airflow_provider_openclinica.odm.plain", None)
    assert outcome(content) == by_columns


def outcome(content: bytes) -> Any:
    try:
        return found(io.BytesIO(content))
    except FileError as error:
        return str(error)

"""Rows become a document that the import reads reliably, and that says the same as the rows."""

from __future__ import annotations

import io
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_openclinica import odm
from airflow_provider_openclinica.errors import FileError, FileUnavailableError
from tests.odm.castor import read_as_server
from tests.odm.documents import nasty

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Row = dict[str, Any]

ROW: Row = {
    "study_oid": "S_JUNO",
    "participant_id": "B-001",
    "study_event_oid": "SE_V",
    "study_event_repeat_key": "1",
    "form_oid": "F_V",
    "item_group_oid": "IG_V",
    "item_group_repeat_key": "1",
    "item_oid": "I_HR",
    "value": "72",
}
SECRET = "Q-7391"
COLUMNS = (
    *("study_oid", "subject_key", "participant_id", "study_event_oid", "study_event_repeat_key", "form_oid"),
    *("form_layout_oid", "item_group_oid", "item_group_repeat_key", "item_oid", "value"),
)


def built(*rows: Row) -> bytes:
    target = io.BytesIO()
    assert odm.build(rows, target) == sum(row.get("value") is not None for row in rows)
    return target.getvalue()


def normalised(document: bytes) -> bytes:
    target = io.BytesIO()
    odm.normalise(io.BytesIO(document), target)
    return target.getvalue()


def items_of(document: bytes) -> list[Row]:
    return [row for table, row in odm.flatten(io.BytesIO(document)) if table == "items"]


def chosen(row: Row) -> Row:
    return {column: row[column] for column in COLUMNS}


keys = nasty.filter(str.strip)
optional = st.one_of(st.just(""), keys)
repeat_keys = st.integers(1, 2**31 - 1).map(str)


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    """Draw rows in no order but that of studies, so that participants, events, forms and groups come back."""
    rows: list[Row] = []
    for study in draw(st.lists(keys, min_size=1, max_size=2, unique_by=str.upper)):
        people = draw(st.lists(st.tuples(optional, keys), min_size=1, max_size=2))
        events = draw(st.lists(st.tuples(keys, repeat_keys), min_size=1, max_size=2))
        forms = draw(st.lists(st.tuples(keys, optional), min_size=1, max_size=2))
        groups = draw(st.lists(st.tuples(keys, repeat_keys), min_size=1, max_size=2))
        places = st.tuples(*map(st.sampled_from, (people, events, forms, groups)))
        for place in draw(st.lists(places, min_size=1, max_size=6)):
            if rows and tuple(rows[-1].values())[:-2] == (study, *(key for pair in place for key in pair)):
                continue  # or an item might stand twice in a group
            for item in draw(st.lists(keys, min_size=1, max_size=3, unique_by=str.upper)):
                texts = (study, *(key for pair in place for key in pair), item, draw(nasty))
                rows.append(dict(zip(COLUMNS, texts, strict=True)))
    return rows


@given(tables())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_document_says_what_the_rows_say_and_is_already_as_the_import_wants_it(rows: list[Row]) -> None:
    document = built(*rows)
    assert [chosen(row) for row in items_of(document)] == rows
    assert normalised(document) == document
    assert odm.check(io.BytesIO(document)) == []
    assert built(*items_of(document)) == document


@given(st.lists(st.tuples(keys, nasty), min_size=1, max_size=5, unique_by=lambda item: item[0].upper()))
@settings(max_examples=50, deadline=None)
def test_a_server_that_deletes_line_breaks_reads_every_value(items: list[tuple[str, str]]) -> None:
    model = read_as_server(built(*({**ROW, "item_oid": oid, "value": value} for oid, value in items)))
    while model[0] != "ItemGroupData":
        model = model[2][0]
    assert [(said["ItemOID"], said["Value"]) for _, said, _ in model[2]] == items


def test_neighbours_share_their_tags_and_each_form_has_its_event_to_itself() -> None:
    rows: list[Row] = [
        {"item_oid": "I_HR", "start_date": date(2026, 1, 5), "form_layout_oid": "2"},
        {"item_oid": "I_T", "start_date": datetime.fromisoformat("2026-01-05"), "form_layout_oid": "2"},
        {"item_group_repeat_key": 2, "start_date": "2026-01-05", "form_layout_oid": "2"},
        {"form_oid": "F_W", "start_date": "2026-01-05"},
        {"participant_id": None, "subject_key": "SS_2"},
    ]
    lines = built(*({**ROW, **row} for row in rows)).decode("ascii").splitlines()
    assert lines[2:] == [
        '<ClinicalData StudyOID="S_JUNO">',
        '<SubjectData OpenClinica:StudySubjectID="B-001">',
        '<StudyEventData StudyEventOID="SE_V" StudyEventRepeatKey="1" OpenClinica:StartDate="2026-01-05">',
        '<FormData FormOID="F_V" OpenClinica:FormLayoutOID="2">',
        '<ItemGroupData ItemGroupOID="IG_V" ItemGroupRepeatKey="1">',
        '<ItemData ItemOID="I_HR" Value="72"/>',
        '<ItemData ItemOID="I_T" Value="72"/>',
        "</ItemGroupData>",
        '<ItemGroupData ItemGroupOID="IG_V" ItemGroupRepeatKey="2">',
        '<ItemData ItemOID="I_HR" Value="72"/>',
        "</ItemGroupData>",
        "</FormData>",
        "</StudyEventData>",
        '<StudyEventData StudyEventOID="SE_V" StudyEventRepeatKey="1" OpenClinica:StartDate="2026-01-05">',
        '<FormData FormOID="F_W">',
        '<ItemGroupData ItemGroupOID="IG_V" ItemGroupRepeatKey="1">',
        '<ItemData ItemOID="I_HR" Value="72"/>',
        "</ItemGroupData>",
        "</FormData>",
        "</StudyEventData>",
        "</SubjectData>",
        '<SubjectData SubjectKey="SS_2">',
        '<StudyEventData StudyEventOID="SE_V" StudyEventRepeatKey="1">',
        '<FormData FormOID="F_V">',
        '<ItemGroupData ItemGroupOID="IG_V" ItemGroupRepeatKey="1">',
        '<ItemData ItemOID="I_HR" Value="72"/>',
        "</ItemGroupData>",
        "</FormData>",
        "</StudyEventData>",
        "</SubjectData>",
        "</ClinicalData>",
        "</ODM>",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(72, "72", id="an-integer"),
        pytest.param(72.0, "72", id="an-integer-that-a-data-frame-made-a-float"),
        pytest.param(0.1, "0.1", id="a-float"),
        pytest.param(1e-7, "0.0000001", id="a-small-float-without-exponent"),
        pytest.param(-1.5e300, f"-15{'0' * 299}", id="a-large-float-without-exponent"),
        pytest.param(Decimal("41.50"), "41.50", id="a-decimal-keeps-its-zeros"),
        pytest.param(Decimal("1E+2"), "100", id="a-decimal-without-exponent"),
        pytest.param(date(2026, 1, 5), "2026-01-05", id="a-date"),
        pytest.param(datetime.fromisoformat("2026-01-05"), "2026-01-05", id="a-date-as-some-databases-give-it"),
        pytest.param("", "", id="empty-clears-the-item"),
        pytest.param(" 72 ", " 72 ", id="blanks-stay"),
    ],
)
def test_values_of_a_database_are_written_as_an_item_takes_them(value: object, text: str) -> None:
    assert [row["value"] for row in items_of(built({**ROW, "value": value}))] == [text]


@pytest.mark.parametrize(
    "nothing", [{"value": None}, {"value": "72", "is_null": True}, {"value": "", "is_null": "true"}]
)
def test_what_is_null_is_left_out_and_opens_no_tag(nothing: Row) -> None:
    target = io.BytesIO()
    assert odm.build([{**ROW, "participant_id": "B-002", **nothing}, ROW], target) == 1
    assert target.getvalue() == built(ROW)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"item_old": "I"}, "item_old is no column that is known. Write item_oid", id="a-typo"),
        pytest.param({f"{SECRET} !": 1}, "(a name too strange to show) is no column", id="data-for-a-column"),
        pytest.param({"study_oid": None}, "study_oid is missing or empty", id="no-study"),
        pytest.param({"participant_id": " "}, "participant_id and subject_key are both missing", id="nobody"),
        pytest.param({"study_event_oid": ""}, "study_event_oid is missing or empty", id="no-event"),
        pytest.param({"study_event_repeat_key": None}, "Write 1 where nothing repeats", id="no-occurrence"),
        pytest.param({"study_event_repeat_key": SECRET}, "study_event_repeat_key is not a whole", id="no-number"),
        pytest.param({"form_oid": "\t"}, "form_oid is missing or empty", id="no-form"),
        pytest.param({"item_group_oid": None}, "item_group_oid is missing or empty", id="no-group"),
        pytest.param({"item_group_repeat_key": 0}, "item_group_repeat_key is not a whole number from 1", id="zero"),
        pytest.param(
            {"item_group_repeat_key": 1.5}, "item_group_repeat_key is not a whole number", id="one-and-a-half"
        ),
        pytest.param({"item_group_repeat_key": 2**31}, "item_group_repeat_key is not a whole", id="too-large-a-number"),
        pytest.param({"item_oid": ""}, "item_oid is missing or empty", id="no-item"),
        pytest.param({"item_oid": "i_hr"}, "item_oid stands twice", id="an-item-twice-in-a-repeat"),
        pytest.param({"start_date": "05.01.2026"}, "start_date is not a day", id="a-date-in-another-form"),
        pytest.param({"start_date": "2026-01-05 08:00"}, "start_date is not a day", id="a-date-with-a-time"),
        pytest.param({"form_repeat_key": 2}, "form_repeat_key is not 1", id="a-form-that-repeats"),
        pytest.param({"removed": True}, "it is removed", id="removed"),
        pytest.param({"archived": "true"}, "it is archived", id="archived"),
        pytest.param({"transaction_type": "Remove"}, "an import removes nothing", id="to-be-removed"),
        pytest.param({"value": "x" * 4001}, "value is longer than 4,000 characters", id="too-long"),
        pytest.param({"value": "\U0001f600" * 2001}, "value is longer", id="too-long-as-the-server-counts"),
        pytest.param({"value": f"{SECRET}\x00"}, "value holds a character that XML cannot", id="a-control-character"),
        pytest.param({"value": f"{SECRET}\ud800"}, "value holds a character that XML cannot", id="half-a-character"),
        pytest.param({"value": "\ufffe"}, "value holds a character that XML cannot", id="no-character"),
        pytest.param({"form_layout_oid": "\x1b"}, "form_layout_oid holds a character", id="one-in-a-key"),
        pytest.param({"value": float("nan")}, "value is of type float", id="not-a-number"),
        pytest.param({"value": Decimal("Infinity")}, "value is of type Decimal", id="endless"),
        pytest.param({"value": True}, "value is of type bool", id="yes-or-no"),
        pytest.param({"value": datetime.fromisoformat("2026-01-05T08:00")}, "value is of type datetime", id="a-time"),
        pytest.param({"value": datetime(2026, 1, 5, tzinfo=UTC)}, "value is of type datetime", id="a-moment"),
        pytest.param({"value": Fraction(1, 3)}, "value is of type Fraction", id="anything-else"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_row_and_column_and_without_its_value(
    change: Row, words: str, tmp_path: Path
) -> None:
    target = tmp_path / "labs.xml"
    target.write_text("of yesterday")
    with pytest.raises(FileError, match=re.escape(words)) as caught:
        odm.build([ROW, {**ROW, "item_oid": "I_T", **change}], target)
    assert ", row 2: " in str(caught.value)
    assert SECRET not in str(caught.value)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("labs.xml", "of yesterday")]


def test_a_row_without_the_column_value_is_refused_as_nobody_knows_whether_it_was_forgotten() -> None:
    with pytest.raises(FileError, match="row 1: the column value is missing"):
        built({column: text for column, text in ROW.items() if column != "value"})


def test_all_of_flatten_is_no_table_of_items() -> None:
    with pytest.raises(FileError, match="row 1: it is no mapping"):
        odm.build(odm.flatten(io.BytesIO(built(ROW))), io.BytesIO())  # type: ignore[arg-type]


@pytest.mark.parametrize("again", ["S_JUNO", "s_juno"])
def test_a_study_that_comes_back_is_refused_as_it_would_be_another_job(again: str) -> None:
    with pytest.raises(FileError, match="row 3: study_oid comes back"):
        built(ROW, {**ROW, "study_oid": "S_MARS"}, {**ROW, "study_oid": again})


def test_a_path_has_the_document_once_it_is_whole_and_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "labs.xml"

    def rows() -> Iterator[Row]:
        for number in range(1, 1000):
            assert not target.exists()
            yield {**ROW, "item_group_repeat_key": number}

    assert odm.build(rows(), target) == 999
    assert target.read_bytes() == built(*({**ROW, "item_group_repeat_key": number} for number in range(1, 1000)))
    assert list(tmp_path.iterdir()) == [target]


def test_a_query_that_breaks_off_leaves_nothing_behind_and_keeps_its_own_error(tmp_path: Path) -> None:
    def rows() -> Iterator[Row]:
        yield ROW
        raise ConnectionError("the database is gone")

    with pytest.raises(ConnectionError):
        odm.build(rows(), tmp_path / "labs.xml")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rows", [[], [{**ROW, "value": None}]], ids=["no-rows", "no-values"])
def test_where_there_is_nothing_to_import_there_is_no_document_not_even_an_old_one(
    rows: list[Row], tmp_path: Path
) -> None:
    target, stream = tmp_path / "labs.xml", io.BytesIO()
    target.write_text("of yesterday")
    assert (odm.build(rows, target), odm.build(rows, stream)) == (0, 0)
    assert list(tmp_path.iterdir()) == []
    assert stream.getvalue() == b""


def test_a_stream_stays_open() -> None:
    stream = io.BytesIO()
    with pytest.raises(FileError):
        odm.build([ROW, {}], stream)
    assert not stream.closed


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileUnavailableError, match=r"labs\.xml cannot be written: No such file"):
        odm.build([ROW], tmp_path / "nowhere" / "labs.xml")


def test_memory_stays_small_while_rows_come(tmp_path: Path) -> None:
    import tracemalloc

    rows = ({**ROW, "participant_id": f"B-{number}", "value": "x" * 100} for number in range(20_000))
    tracemalloc.start()
    odm.build(rows, tmp_path / "labs.xml")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "labs.xml").stat().st_size > 3_000_000
    assert peak < 2_000_000

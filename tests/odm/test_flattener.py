from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings

from airflow_provider_openclinica import odm
from airflow_provider_openclinica.odm.flattener import COLUMNS, DATES
from airflow_provider_openclinica.odm.reader import KEYS
from airflow_provider_openclinica.odm.values import moment
from tests.odm.exports import EXPORTS, clinical, export

EXPORT = Path(__file__).parent / "data" / "export.xml"
PAGE = Path(__file__).parents[2] / "docs" / "tables.md"


def test_each_table_has_the_same_columns_in_each_row() -> None:
    tables = set()
    for table, row in odm.flatten(EXPORT):
        tables.add(table)
        assert list(row) == list(COLUMNS[table])
    assert tables == set(COLUMNS)


def test_rows_hold_what_the_records_say() -> None:
    for record, (table, row) in zip(odm.read(EXPORT), odm.flatten(EXPORT), strict=True):
        for column in COLUMNS[table]:
            if not column.endswith("_parsed"):
                assert (row[column] or None) == (getattr(record, column) or None), f"{table}.{column}"


def test_what_is_left_out_is_none_but_a_key_never_is() -> None:
    rows = dict(odm.flatten(EXPORT))
    assert rows["events"]["location"] is None
    assert rows["items"]["reason_for_null"] is None
    assert (rows["queries"]["level"], rows["queries"]["form_oid"]) == ("participant", "")


def test_an_empty_value_is_no_null() -> None:
    items = [("ItemData", {"Value": ""}, []), ("ItemData", {"Value": "", "IsNull": "Yes"}, [])]
    form = ("FormData", {}, [("ItemGroupData", {}, items)])
    body = export(clinical(("SubjectData", {"SubjectKey": "SS"}, [("StudyEventData", {}, [form])])))
    values = [row["value"] for table, row in odm.flatten([body.encode()]) if table == "items"]
    assert values == ["", None]


@settings(max_examples=50)
@given(EXPORTS)
def test_types_are_as_announced_and_keys_are_never_none(clinical_data: list[object]) -> None:
    for table, row in odm.flatten(io.BytesIO(export(*clinical_data).encode())):
        for column, kind in COLUMNS[table].items():
            value = row[column]
            assert type(value) is kind or (value is None and column not in KEYS), f"{table}.{column}"


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("2026-01-05", "2026-01-05T00:00:00"),
        ("2026-01-05T08:30:15", "2026-01-05T08:30:15"),
        ("2026-01-05 08:30:15.0", "2026-01-05T08:30:15"),
        ("2026-01-05 08:30", "2026-01-05T08:30:00"),
        ("2026-01-05T08:30:15.123456+02:00", "2026-01-05T08:30:15"),
        ("2026-01-05T08:30:15Z", "2026-01-05T08:30:15"),
        ("2026-01", None),
        ("2026", None),
        ("2026-02-31", None),
        ("2026-01-05T25:00", None),
        ("2026-1-5", None),
        ("05-Jan-2026", None),
        ("Not Used", None),
        ("", None),
        (None, None),
    ],
)
def test_a_whole_date_is_parsed_and_nothing_else(text: str | None, parsed: str | None) -> None:
    found = moment(text)
    assert (found and found.isoformat()) == parsed


def test_dates_stand_beside_their_texts() -> None:
    rows = dict(odm.flatten(EXPORT))
    event = rows["events"]
    assert event["start_date"] == "2026-01-05"
    assert event["start_date_parsed"] == moment("2026-01-05")
    assert (event["end_date"], event["end_date_parsed"]) == (None, None)


@pytest.mark.parametrize("table", COLUMNS)
def test_the_page_lists_each_column_in_its_order(table: str) -> None:
    """Of ``docs/tables.md``; parsed columns are told once, for all."""
    section = PAGE.read_text().partition(f"\n## {table}\n")[2].partition("\n## ")[0]
    listed = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
    assert listed == [column for column in COLUMNS[table] if not column.endswith("_parsed")]
    for column in DATES[table]:
        assert f"| `{column}` | date" in section

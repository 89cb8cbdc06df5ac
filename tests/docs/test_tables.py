"""``docs/tables.md`` lists every table and column, with its type."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from airflow_provider_openclinica.engine.tables import TABLES, WIDE, table_columns
from airflow_provider_openclinica.engine.wide import KEYS, PARTIAL, TYPED
from airflow_provider_openclinica.odm.flattener import DATES

PAGE = (Path(__file__).parents[2] / "docs" / "tables.md").read_text()
MARKS = {bool: "true or false", int: "number"}


def listed(section: str) -> dict[str, str]:
    """Return the columns of a section's first table, and what is said of each."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0].partition("\n\nThen ")[0]
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    return {cells[1].strip(" `"): cells[2].strip() for cells in rows}


@pytest.mark.parametrize("table", [table for table in TABLES if table != WIDE])
def test_the_page_lists_each_column_of_a_table_with_its_type(table: str) -> None:
    told = listed(table)
    columns = [column for column in table_columns(table) if not column.name.endswith("_parsed")]
    assert list(told) == [column.name for column in columns]
    for column in columns:
        marked = [kind for kind, mark in MARKS.items() if told[column.name].startswith(mark)]
        assert marked == [kind for kind in MARKS if kind is column.kind], column.name


@pytest.mark.parametrize("table", DATES)
def test_parsed_dates_stand_at_the_end_of_a_row(table: str) -> None:
    columns = table_columns(table)
    told = listed(table)
    dates = [name for name in told if told[name].startswith("date")]
    assert [column.name for column in columns if column.kind is datetime] == [f"{name}_parsed" for name in dates]
    assert [column.name for column in columns][len(told) :] == [f"{name}_parsed" for name in dates]


def test_the_page_lists_the_keys_of_a_wide_table() -> None:
    assert list(listed("item_group=<OID>")) == [column.name for column in KEYS]


def test_the_page_lists_each_type_of_the_metadata() -> None:
    section = PAGE.partition("\n| data type in the metadata")[2].partition("\n\n")[0]
    words = {cell.strip(" `").lower() for line in section.splitlines()[1:] for cell in line.split("|")[1].split(",")}
    assert words - {"any other", "and items of several choices", "---"} == {*TYPED, *PARTIAL}

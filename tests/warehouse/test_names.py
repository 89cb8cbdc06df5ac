"""What tables and columns are called."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.engine.warehouse.names import column_names, listed, quoted, table_name
from airflow_provider_openclinica.errors import FileError

PREFIXES = st.from_regex(r"\A[a-z_][a-z0-9_]{0,29}\Z") | st.just("")


@pytest.mark.parametrize(
    ("table", "prefix", "name"),
    [
        ("items", "", "items"),
        ("items", "juno_", "juno_items"),
        ("item_group=IG_VITALS_MAIN", "", "item_group_ig_vitals_main"),
        ("item_group=IG%2FX", "", "item_group_ig_2fx_2cee23a3"),
    ],
)
def test_a_table_has_a_name_that_needs_no_quotes(table: str, prefix: str, name: str) -> None:
    assert table_name(table, prefix) == name


@given(st.text(min_size=1, max_size=120), PREFIXES)
def test_any_name_becomes_one_that_each_database_keeps_whole(oid: str, prefix: str) -> None:
    name = table_name(f"item_group={oid}", prefix)

    assert re.fullmatch(r"[a-z_][a-z0-9_]*", name)
    assert len(f"{name}_participant") <= 63
    assert name == table_name(f"item_group={oid}", prefix)


@pytest.mark.parametrize("taken", ["XMIN", "xmax", "cmin", "cmax", "ctid", "tableoid"])
def test_a_column_that_postgresql_has_itself_gets_another_name_everywhere(taken: str) -> None:
    ((column, name),) = column_names([taken]).items()

    assert column == taken
    assert re.fullmatch(rf"{taken.lower()}_[0-9a-f]{{8}}", name)
    assert [name] == [*column_names([taken.lower()]).values()]


@given(st.lists(st.text(min_size=1, max_size=80), unique_by=str.casefold, max_size=8))
def test_columns_that_differ_in_more_than_letter_case_have_different_names(columns: list[str]) -> None:
    names = column_names(columns)

    assert len(set(names.values())) == len(columns)
    assert all(re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name) for name in names.values())


def test_columns_that_differ_in_letter_case_only_are_refused() -> None:
    with pytest.raises(FileError, match="Two columns differ"):
        column_names(["I_X", "i_x"])


def test_names_are_quoted() -> None:
    assert quoted("", "items") == '"items"'
    assert quoted('a"b', "items") == '"a""b"."items"'
    assert listed(["a", "b"]) == '"a", "b"'

"""Queries and audit trail that a pull did not ask for: not there is not gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.engine.changes import chosen
from airflow_provider_openclinica.engine.tablereader import read_tables
from airflow_provider_openclinica.engine.warehouse.load import Counts
from airflow_provider_openclinica.errors import FileError
from tests.warehouse.sets import LocalFiles, at, changes, full, participant, publish, query

if TYPE_CHECKING:
    from pathlib import Path

    from tests.warehouse.conftest import Warehouse

PEOPLE = [participant("A"), participant("B")]
WITH: dict[str, Any] = {
    "participants": PEOPLE,
    "queries": [query("A", "DN_1"), query("B", "DN_2")],
    "audit": [{**participant("A"), "audit_id": "AL_1"}],
}
WITHOUT: dict[str, Any] = {"participants": [participant("A", sex="f"), participant("B")], "queries": [], "audit": []}
BOTH = ("queries", "audit")


def there(warehouse: Warehouse) -> tuple[list[str], list[str]]:
    """Return the queries and the entries of the audit trail that are in the database."""
    queries = sorted(row["query_id"] for row in warehouse.rows("queries"))
    return queries, [row["audit_id"] for row in warehouse.rows("audit")]


@pytest.mark.parametrize(
    ("first", "then", "left_out", "mode"),
    [
        pytest.param(full(at(1)), full(at(2)), BOTH, "merge", id="a-full-pull"),
        pytest.param(full(at(1)), full(at(2)), BOTH, "replace", id="a-full-pull-replaces"),
        pytest.param(full(at(1)), changes(at(1), at(2)), BOTH, "merge", id="of-those-who-changed"),
        pytest.param(full(at(1)), full(at(2)), None, "merge", id="of-before-manifests-said-so"),
        pytest.param(None, None, None, "merge", id="plain-files"),
    ],
)
def test_what_was_not_asked_for_stays(
    warehouse: Warehouse, tmp_path: Path, first: Any, then: Any, left_out: Any, mode: str
) -> None:
    warehouse.load(publish(tmp_path / "1", WITH, first, left_out=[]))

    loaded = warehouse.load(publish(tmp_path / "2", WITHOUT, then, left_out=left_out), mode=mode)

    assert [*loaded.tables] == ["participants"]
    assert there(warehouse) == (["DN_1", "DN_2"], ["AL_1"])
    assert {row["sex"] for row in warehouse.rows("participants")} == {"f", None}


def test_what_was_asked_for_and_is_not_there_is_gone(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.load(publish(tmp_path / "1", WITH, full(at(1)), left_out=[]))

    loaded = warehouse.load(publish(tmp_path / "2", WITHOUT, full(at(2)), left_out=["audit"]))

    assert loaded.tables["queries"] == Counts(rows=0, removed=2)
    assert there(warehouse) == ([], ["AL_1"])


@pytest.mark.parametrize("warehouse", ["sqlite"], indirect=True)  # from here on: decided before the database is asked
def test_rows_that_came_without_being_asked_for_are_not_taken_for_all(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.load(publish(tmp_path / "1", WITH, full(at(1)), left_out=[]))
    stray = WITHOUT | {"queries": [query("A", "DN_1")]}

    warehouse.load(publish(tmp_path / "2", stray, full(at(2)), left_out=BOTH))

    assert there(warehouse) == (["DN_1", "DN_2"], ["AL_1"])


@pytest.mark.parametrize("warehouse", ["sqlite"], indirect=True)
@pytest.mark.parametrize("left_out", [BOTH, None])
def test_asked_for_by_name_it_is_refused(warehouse: Warehouse, tmp_path: Path, left_out: Any) -> None:
    with pytest.raises(FileError, match=r"are without queries\. .*of a pull that asks for them"):
        warehouse.load(publish(tmp_path / "1", WITHOUT, full(at(1)), left_out=left_out), tables=["queries"])


@pytest.mark.parametrize("warehouse", ["sqlite"], indirect=True)
def test_a_table_that_was_left_out_once_needs_all_of_it_again(warehouse: Warehouse, tmp_path: Path) -> None:
    """What changed meanwhile in queries is in no set."""
    warehouse.load(publish(tmp_path / "1", WITH, full(at(1)), left_out=[]))
    warehouse.load(publish(tmp_path / "2", WITHOUT, full(at(2)), left_out=BOTH))

    with pytest.raises(FileError, match="the table audit stands at 2026-03-01T01:00:00"):
        warehouse.load(publish(tmp_path / "3", WITH, changes(at(2), at(3)), left_out=[]))

    warehouse.load(publish(tmp_path / "4", WITH, full(at(4)), left_out=[]))
    warehouse.load(publish(tmp_path / "5", WITHOUT, changes(at(4), at(5)), left_out=[]))
    assert there(warehouse) == ([], [])


@pytest.mark.parametrize("left_out_of", ["before", "after"])
def test_what_one_of_two_sets_was_not_asked_for_is_not_compared(tmp_path: Path, left_out_of: str) -> None:
    sides = {}
    for hour, side in enumerate(["before", "after"], 1):
        tables, left_out = (WITHOUT, BOTH) if side == left_out_of else (WITH, ())
        folder = publish(tmp_path / side, tables, full(at(hour)), left_out=left_out)
        sides[side] = read_tables(LocalFiles(), folder)

    with pytest.raises(FileError, match="queries"):
        chosen(sides["before"], sides["after"], ["participants", *BOTH])
    assert chosen(sides["before"], sides["after"], None) == ["participants"]

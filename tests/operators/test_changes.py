"""Changes between two sets of tables, as a task tells them."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, Asset

from airflow_provider_openclinica.engine import tableset
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    FileError,
    FileUnavailableError,
    WaitInterruptedError,
)
from airflow_provider_openclinica.operators.changes import OpenClinicaChangesOperator
from tests.fulldisk import largest_file
from tests.tables import files_in, table
from tests.warehouse.sets import at, full, item, participant, publish

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.tasks import Task

BEFORE = {"participants": [participant("ANN-1")], "items": [item("ANN-1", "I_PULSE", "72"), item("ANN-1", "I_A", "x")]}
AFTER = {
    "participants": [participant("ANN-1"), participant("BOB-2")],
    "items": [item("ANN-1", "I_PULSE", "99.5"), item("BOB-2", "I_PULSE", "60")],
}
NONE = {"inserted": 0, "changed": 0, "removed": 0}


@pytest.fixture
def comparing(tmp_path: Path) -> Callable[..., OpenClinicaChangesOperator]:
    """Return a function that makes the task; the tables are there."""
    publish(tmp_path / "before", BEFORE)
    publish(tmp_path / "after", AFTER)

    def make(**arguments: Any) -> OpenClinicaChangesOperator:
        places = {f"{name}_uri": f"{tmp_path}/{name}" for name in ("before", "after", "output")}
        return OpenClinicaChangesOperator(task_id="changes", **places | arguments)

    return make


def test_changes_become_a_table_and_an_event(
    task: Task, comparing: Callable[..., OpenClinicaChangesOperator], tmp_path: Path
) -> None:
    operator = comparing()
    told = task.run(operator)
    counts = {"participants": NONE | {"inserted": 1}, "items": {"inserted": 1, "changed": 1, "removed": 1}}
    assert {name: told[name] for name in ("output_uri", "format", "tables", "by_event", "by_form", "rows")} == {
        "output_uri": f"{tmp_path}/output/",
        "format": "parquet",
        "tables": counts,
        "by_event": {"SE_DAY1": {"items": 3}},
        "by_form": {"F_VITALS": {"items": 3}},
        "rows": 4,
    }
    rows = [
        (row["change"], row["item_oid"], row["old_value"], row["new_value"])
        for row in table(tmp_path / "output", "changes")
    ]
    assert rows == [
        ("inserted", None, None, None),
        ("changed", "I_PULSE", "72", "99.5"),
        ("inserted", "I_PULSE", None, "60"),
        ("removed", "I_A", "x", None),
    ]
    asset = Asset(f"file://{tmp_path}/output")
    assert operator.outlets == [asset]
    extra = task.outlet_events[asset].extra
    assert (extra["study_oid"], extra["tables.items.changed"], extra["rows"]) == ("S_JUNO", 1, 4)
    assert extra["by_event.SE_DAY1.items"] == extra["by_form.F_VITALS.items"] == 3


def test_without_a_change_there_is_an_empty_table_and_no_event(
    task: Task, comparing: Callable[..., OpenClinicaChangesOperator], tmp_path: Path
) -> None:
    publish(tmp_path / "same", BEFORE)
    operator = comparing(after_uri=f"{tmp_path}/same/")
    told = task.run(operator)
    assert told["tables"] == {"participants": NONE, "items": NONE}
    assert told["by_event"] == told["by_form"] == {}
    assert table(tmp_path / "output", "changes") == []
    assert operator.outlets == []


def test_changes_can_be_csv(task: Task, comparing: Callable[..., OpenClinicaChangesOperator], tmp_path: Path) -> None:
    task.run(comparing(format="csv", tables=["items"]))
    (part,) = (tmp_path / "output" / "changes").iterdir()
    with part.open(encoding="utf-8", newline="") as file:
        assert [row["change"] for row in csv.DictReader(file)] == ["changed", "inserted", "removed"]


def test_a_retry_writes_the_same_files(
    task: Task, comparing: Callable[..., OpenClinicaChangesOperator], tmp_path: Path
) -> None:
    first = task.run(comparing())
    files = files_in(tmp_path / "output")
    task.ti.retry()
    assert task.run(comparing()) == first
    assert files_in(tmp_path / "output") == files


def test_neither_logs_nor_what_is_told_have_data(
    task: Task, comparing: Callable[..., OpenClinicaChangesOperator], told: Callable[[], str]
) -> None:
    operator = comparing()
    result = task.run(operator)
    event = task.outlet_events[operator.outlets[0]].extra
    said = json.dumps(result) + json.dumps(event) + told()
    assert not [value for value in ("ANN-1", "BOB-2", "SS_", "99.5") if value in said]


def test_a_task_that_is_killed_while_it_publishes_changes_nothing(
    task: Task,
    comparing: Callable[..., OpenClinicaChangesOperator],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    operator = comparing()

    def publish(*arguments: Any) -> Any:
        operator.on_kill()
        return tableset.publish(*arguments)

    monkeypatch.setattr("airflow_provider_openclinica.operators.changes.publish", publish)
    with pytest.raises(WaitInterruptedError):
        task.run(operator)
    assert not (tmp_path / "output" / "_manifest.json").exists()


def test_sets_of_different_selections_are_not_compared(
    task: Task, comparing: Callable[..., OpenClinicaChangesOperator], tmp_path: Path
) -> None:
    publish(tmp_path / "before", BEFORE, full(at(1)))
    publish(tmp_path / "after", AFTER, full(at(2)) | {"selection": "form=F_LABS"})
    with pytest.raises(AirflowFailException, match="those after what form=F_LABS selects"):
        task.run(comparing())


def test_without_tables_before_the_task_fails(
    task: Task, comparing: Callable[..., OpenClinicaChangesOperator], tmp_path: Path
) -> None:
    with pytest.raises(FileUnavailableError, match="There are no tables in"):
        task.run(comparing(before_uri=f"{tmp_path}/nothing"))


def test_without_tables_before_all_is_inserted_where_that_is_allowed(
    task: Task, comparing: Callable[..., OpenClinicaChangesOperator], tmp_path: Path
) -> None:
    told = task.run(comparing(before_uri=f"{tmp_path}/nothing", allow_no_before=True))
    assert told["tables"] == {"participants": NONE | {"inserted": 2}, "items": NONE | {"inserted": 2}}


def test_where_nothing_is_there_before_it_is_said_that_the_address_may_be_wrong(
    task: Task, comparing: Callable[..., OpenClinicaChangesOperator], tmp_path: Path, told: Callable[[], str]
) -> None:
    task.run(comparing(before_uri=f"{tmp_path}/befroe", allow_no_before=True))
    assert "Unless it is the first time, check the address" in told()


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_folder_is_not_compared_with_itself(
    task: Task, comparing: Callable[..., OpenClinicaChangesOperator], tmp_path: Path, scheme: str
) -> None:
    with pytest.raises(AirflowFailException, match="the same folder, so no change could ever be found"):
        task.run(comparing(after_uri=f"{scheme}{tmp_path}/before"))


def test_a_full_worker_is_told_and_may_be_retried(
    task: Task, comparing: Callable[..., OpenClinicaChangesOperator], tmp_path: Path
) -> None:
    publish(tmp_path / "after", {**AFTER, "items": [item(f"P{number}", "I_A", f"{number}") for number in range(9000)]})
    with (
        pytest.raises(FileUnavailableError, match=r"no room on this .*File too large.*S_JUNO"),
        largest_file(30_000),
    ):
        task.run(comparing())
    assert not (tmp_path / "output" / "_manifest.json").exists()
    assert task.run(comparing())["tables"]["items"]["inserted"] == 9000


def test_tables_that_cannot_be_read_are_not_taken_for_none(
    task: Task, comparing: Callable[..., OpenClinicaChangesOperator], tmp_path: Path
) -> None:
    (tmp_path / "before" / "_manifest.json").write_text("{}")
    with pytest.raises(AirflowFailException, match="is no manifest of tables"):
        task.run(comparing(allow_no_before=True))


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_changes_do_not_take_the_place_of_the_tables(
    task: Task, comparing: Callable[..., OpenClinicaChangesOperator], tmp_path: Path, side: str, scheme: str
) -> None:
    with pytest.raises(AirflowFailException, match="output_uri is the folder of tables") as caught:
        task.run(comparing(output_uri=f"{scheme}{tmp_path}/{side}/"))
    assert isinstance(caught.value.__cause__, ConfigurationError)


@pytest.mark.parametrize("arguments", [{"format": "ndjson"}, {"tables": ["item"]}, {"tables": []}])
def test_what_cannot_be_is_refused_when_the_dag_is_read(
    comparing: Callable[..., OpenClinicaChangesOperator], arguments: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError):
        comparing(**arguments)


def test_a_table_that_a_set_lacks_is_refused(task: Task, comparing: Callable[..., OpenClinicaChangesOperator]) -> None:
    with pytest.raises(AirflowFailException, match="tables forms") as caught:
        task.run(comparing(tables=["items", "forms"]))
    assert isinstance(caught.value.__cause__, FileError)


def test_without_duckdb_it_is_said_what_to_install(
    task: Task, comparing: Callable[..., OpenClinicaChangesOperator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(AirflowFailException, match=r"airflow-provider-openclinica\[warehouse\]"):
        task.run(comparing())

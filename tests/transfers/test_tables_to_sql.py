"""The operator's arguments, and connections that lead to no database."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_openclinica.errors import ConfigurationError, WarehouseError
from airflow_provider_openclinica.transfers.tables_to_sql import OpenClinicaTablesToSqlOperator
from tests.warehouse.sets import at, full, participant, publish

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[[str, int], tuple[dict[str, Any], dict[str, Any] | None]]


def operator(**others: Any) -> OpenClinicaTablesToSqlOperator:
    return OpenClinicaTablesToSqlOperator(task_id="load", sql_conn_id="warehouse", **others)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "upsert"},
        {"missing": "maybe"},
        {"table_prefix": "Juno-"},
        {"table_prefix": "j" * 31},
        {"tables": []},
        {"tables": ["item"]},
    ],
)
def test_arguments_are_checked_when_the_dag_is_read(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        operator(tables_uri="/tables", **wrong)


def test_the_database_is_an_outlet_of_the_task() -> None:
    (asset,) = operator(tables_uri="/tables", schema="juno").outlets

    assert asset.uri == "sql://warehouse/juno"


def test_a_connection_of_another_kind_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = publish(tmp_path, {"participants": [participant("A")]}, full(at(1)))
    monkeypatch.setenv(
        "AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "openclinica", "host": "acme.openclinica.io"})
    )

    with pytest.raises(AirflowFailException, match="is none to a SQL database"):
        operator(tables_uri=folder).execute({})


def test_a_database_that_cannot_be_reached_is_told_without_the_drivers_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = publish(tmp_path, {"participants": [participant("A")]}, full(at(1)))
    nowhere = {"conn_type": "postgres", "host": str(tmp_path), "login": "ann.lee", "password": "secret", "schema": "x"}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(nowhere))

    with pytest.raises(WarehouseError) as caught:
        operator(tables_uri=folder).execute({})

    assert caught.value.retry
    assert "ann.lee" not in str(caught.value)


def test_tables_in_csv_are_refused(tmp_path: Path) -> None:
    (tmp_path / "_manifest.json").write_text(
        json.dumps({"written_as": "openclinica-tables-1", "format": "csv", "study_oid": None, "tables": []})
    )

    with pytest.raises(AirflowFailException, match="Make them with format='parquet'"):
        operator(tables_uri=str(tmp_path)).execute({})


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a try of a task: what it returns, and the event of the database, if there is one."""
    database = str(tmp_path / "warehouse.sqlite")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": database}))

    def once(folder: str, try_number: int) -> tuple[dict[str, Any], dict[str, Any] | None]:
        task = operator(tables_uri=folder)
        events = defaultdict[Any, SimpleNamespace](lambda: SimpleNamespace(extra={}))
        context: Any = {"ti": SimpleNamespace(try_number=try_number), "outlet_events": events}
        done = task.execute(context)
        return done, events[task.outlets[0]].extra if task.outlets else None

    return once


def test_a_retry_after_a_kill_behind_the_load_tells_what_the_try_before_would_have_told(
    run: Run, tmp_path: Path
) -> None:
    folder = publish(tmp_path, {"participants": [participant("A")]}, full(at(1)))
    killed = run(folder, 1)

    again = run(folder, 2)

    assert again == killed
    assert again[1]
    assert (again[1]["load"], again[1]["tables.participants.inserted"]) == (1, 1)


def test_a_retry_after_a_load_that_changed_nothing_gives_no_event(run: Run, tmp_path: Path) -> None:
    for hour in (1, 2):
        publish(tmp_path / str(hour), {"participants": [participant("A")]}, full(at(hour)))
    run(str(tmp_path / "1"), 1)
    killed = run(str(tmp_path / "2"), 1)

    assert killed[1] is None
    assert run(str(tmp_path / "2"), 2) == killed


def test_a_set_that_another_run_has_loaded_is_not_told_again(run: Run, tmp_path: Path) -> None:
    folder = publish(tmp_path, {"participants": [participant("A")]}, full(at(1)))
    run(folder, 1)

    done, event = run(folder, 1)

    assert (done["load"], done["tables"], event) == (None, {}, None)


def test_a_retry_tells_of_a_load_whose_counts_nobody_kept(run: Run, tmp_path: Path) -> None:
    """It was done by a version of this package whose table of loads had no place for them."""
    folder = publish(tmp_path, {"participants": [participant("A")]}, full(at(1)))
    run(folder, 1)
    with closing(sqlite3.connect(tmp_path / "warehouse.sqlite")) as connection:
        connection.execute("ALTER TABLE openclinica_loads DROP COLUMN counts")

    done, event = run(folder, 2)

    assert (done["load"], done["tables"]) == (1, {})
    assert event
    assert event["sha256"] == done["sha256"]


def test_what_the_pull_left_out_is_said_in_the_log(run: Run, tmp_path: Path, said: Callable[[], str]) -> None:
    tables = {"participants": [participant("A")], "queries": []}

    run(publish(tmp_path, tables, full(at(1)), left_out=["queries", "audit"]), 1)

    assert "Left alone, since the pull did not ask for them: audit, queries" in said()

"""The operator's arguments, and connections that lead to no database."""

from __future__ import annotations

import json
from collections import defaultdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_openclinica.errors import ConfigurationError, WarehouseError
from airflow_provider_openclinica.transfers.tables_to_sql import OpenClinicaTablesToSqlOperator
from tests.warehouse.sets import at, full, participant, publish

if TYPE_CHECKING:
    from pathlib import Path


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


@pytest.mark.parametrize(("try_number", "outlets"), [(1, 0), (2, 1)])
def test_a_retry_tells_of_a_set_that_the_try_before_may_have_loaded_when_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, try_number: int, outlets: int
) -> None:
    folder = publish(tmp_path, {"participants": [participant("A")]}, full(at(1)))
    database = str(tmp_path / "warehouse.sqlite")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": database}))

    def run(try_number: int) -> tuple[dict[str, Any], int]:
        task = operator(tables_uri=folder)
        events = defaultdict[Any, SimpleNamespace](lambda: SimpleNamespace(extra={}))
        context: Any = {"ti": SimpleNamespace(try_number=try_number), "outlet_events": events}
        return task.execute(context), len(task.outlets)

    assert run(1)[1] == 1
    done, there = run(try_number)

    assert (done["load"], there) == (None, outlets)

"""Whole DAGs, from OpenClinica into each database: a first night, a second one that moves what changed, a third."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_openclinica.transfers.openclinica_to_tables import OpenClinicaToTablesOperator
from airflow_provider_openclinica.transfers.tables_to_sql import OpenClinicaTablesToSqlOperator
from tests.dags.conftest import RunDag, TaskLog, states, xcoms
from tests.dags.conftest import run_dag as run_dag
from tests.dags.conftest import task_log as task_log
from tests.documents import SECOND, found_in, labs
from tests.pulls import fill, store, stored_items
from tests.warehouse.sets import at as at_hour
from tests.warehouse.sets import full, participant, publish

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.warehouse.conftest import Warehouse

pytestmark = [
    pytest.mark.usefixtures("openclinica_conn"),
    pytest.mark.parametrize("dialect", ["docs"]),
    pytest.mark.parametrize("warehouse", ["sqlite", "duckdb", "psycopg"], indirect=True),
]


@pytest.fixture
def connection(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a connection to the database, and return its ID."""
    told: dict[str, Any] = {"conn_type": warehouse.kind, "host": warehouse.address}
    if warehouse.kind == "psycopg":
        folder = warehouse.address.partition("host=")[2]
        told = {"conn_type": "postgres", "host": folder, "login": "postgres", "schema": "postgres"}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(told))
    return "warehouse"


def test_a_study_lands_in_a_database_and_then_only_what_changed(
    run_dag: RunDag,
    sandbox: Sandbox,
    warehouse: Warehouse,
    connection: str,
    tmp_path: Path,
    task_log: TaskLog,
) -> None:
    fill(sandbox)

    def night() -> Any:
        with DAG(f"warehouse_{warehouse.kind}", schedule=None) as dag:
            tables = OpenClinicaToTablesOperator(
                task_id="tables",
                study_oid="S_JUNO",
                output_uri=str(tmp_path / "tables"),
                incremental=True,
                overlap=timedelta(0),
            )
            load = OpenClinicaTablesToSqlOperator(
                task_id="load",
                tables_uri="{{ ti.xcom_pull(task_ids='tables')['output_uri'] }}",
                sql_conn_id=connection,
                table_prefix="juno_",
            )
            tables >> load
        run = run_dag(dag)
        assert states(run) == {"tables": "success", "load": "success"}
        return xcoms(run, "load")["return_value"]

    first = night()
    assert sorted(row["value"] for row in warehouse.rows("juno_items")) == sorted(
        item[-1] for item in stored_items(sandbox)
    )
    store(sandbox, "S_BOSTON", labs(SECOND, unit="%"))
    second = night()

    values = sorted(item[-1] for item in stored_items(sandbox))
    assert sorted(row["value"] for row in warehouse.rows("juno_items")) == values
    assert first["tables"]["juno_items"]["inserted"] == len(values)
    changed = {name: second["tables"]["juno_items"][name] for name in ("inserted", "changed", "removed")}
    assert changed == {"inserted": 0, "changed": 1, "removed": 0}
    assert len(warehouse.rows("juno_item_group_ig_vitals_main")) == 2
    assert not found_in(task_log())
    assert not found_in(json.dumps([first, second]))


def test_a_set_that_cannot_follow_fails_the_task_for_good(
    run_dag: RunDag, warehouse: Warehouse, connection: str, tmp_path: Path, task_log: TaskLog
) -> None:
    publish(tmp_path / "set", {"participants": [participant("A")]}, full(at_hour(2)))
    publish(tmp_path / "older", {"participants": []}, full(at_hour(1)))

    def load(folder: str) -> str:
        with DAG(f"warehouse_order_{warehouse.kind}", schedule=None) as dag:
            OpenClinicaTablesToSqlOperator(
                task_id="load", tables_uri=str(tmp_path / folder), sql_conn_id=connection, retries=2
            )
        return states(run_dag(dag))["load"]

    assert load("set") == "success"
    assert load("set") == "success"
    assert load("older") == "failed"
    assert "the table participants stands at 2026-03-01T02:00:00+00:00" in task_log()
    assert len(warehouse.rows("participants")) == 1

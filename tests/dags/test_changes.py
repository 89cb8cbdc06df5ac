"""Nights on which something changed and one on which nothing did: who waits for changes runs after the former only."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator

from airflow_provider_openclinica.operators.assets import asset_of
from airflow_provider_openclinica.operators.changes import OpenClinicaChangesOperator
from airflow_provider_openclinica.transfers.openclinica_to_tables import OpenClinicaToTablesOperator
from tests.dags.conftest import RunDag, states, store, xcoms
from tests.documents import FIRST, labs
from tests.pulls import fill
from tests.pulls import store as import_document

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("openclinica_conn")

WAITING = "on_changes"
NONE = {"inserted": 0, "changed": 0, "removed": 0}


def night(run_dag: RunDag, folder: Path, number: int) -> tuple[dict[str, Any], list[dict[str, Any]], bool]:
    """Make the tables of a night and compare them with those of the night before.

    Returns what the task returned, the extras of its events, and whether who waits for them is to run.
    """
    with DAG(f"night_{number}", schedule=None) as dag:
        tables = OpenClinicaToTablesOperator(
            task_id="tables", study_oid="S_JUNO", output_uri=f"{folder}/{number}/", allow_empty=True
        )
        changes = OpenClinicaChangesOperator(
            task_id="changes",
            before_uri=f"{folder}/{number - 1}/",
            after_uri=f"{folder}/{number}/",
            output_uri=f"{folder}/changes/",
            allow_no_before=True,
        )
        tables >> changes
    run = run_dag(dag)
    assert states(run) == {"tables": "success", "changes": "success"}
    from airflow.models.asset import AssetDagRunQueue, AssetEvent
    from airflow.utils.session import create_session

    with create_session() as session:
        events = session.query(AssetEvent).filter_by(source_dag_id=dag.dag_id, source_task_id="changes")
        queue = session.query(AssetDagRunQueue).filter_by(target_dag_id=WAITING)  # others' tests may have left theirs
        extras, is_queued = [event.extra for event in events], queue.count() > 0
        queue.delete()
    return xcoms(run, "changes")["return_value"], extras, is_queued


@pytest.mark.parametrize("dialect", ["docs"])
def test_a_dag_runs_after_the_nights_on_which_something_changed(
    run_dag: RunDag, sandbox: Sandbox, tmp_path: Path
) -> None:
    with DAG(
        WAITING,
        schedule=[asset_of(f"{tmp_path}/changes/")],
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        is_paused_upon_creation=False,
    ) as waiting:
        EmptyOperator(task_id="report")
    store(waiting)
    fill(sandbox)

    told, (extra,), is_queued = night(run_dag, tmp_path, 1)
    assert told["tables"]["items"] == NONE | {"inserted": told["rows"] - _others(told)}
    assert extra["tables.items.inserted"] == told["tables"]["items"]["inserted"] > 0
    assert is_queued

    told, extras, is_queued = night(run_dag, tmp_path, 2)
    assert set(map(str, told["tables"].values())) == {str(NONE)}
    assert (extras, is_queued) == ([], False)

    import_document(sandbox, "S_BOSTON", labs(FIRST, results=1).replace("41.5", "43"))
    told, (extra,), is_queued = night(run_dag, tmp_path, 3)
    assert told["tables"]["items"] == NONE | {"changed": 1}
    assert extra["tables.items.changed"] == 1
    assert is_queued


def _others(told: dict[str, Any]) -> int:
    return sum(counts["inserted"] for table, counts in told["tables"].items() if table != "items")

"""Visits scheduled by whole DAGs: rows from an upstream task, against an OpenClinica of either dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_openclinica.operators.events import OpenClinicaBulkEventsOperator
from tests.dags.conftest import RunDag, TaskLog, states, xcoms

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("openclinica_conn")

DUE = [
    {"ParticipantID": "BOS-001", "StudyEventOID": "SE_FOLLOWUP", "StartDate": "2026-05-01"},
    {"ParticipantID": "BOS-002", "StudyEventOID": "SE_FOLLOWUP", "StartDate": "2026-05-02"},
]


def visits(name: str, rows: list[dict[str, str]], **arguments: Any) -> DAG:
    """A DAG whose first task says which visits are due and whose second schedules them."""
    with DAG(name, schedule=None, default_args={"retries": 0}) as dag:

        @task(show_return_value_in_logs=False)
        def due() -> list[dict[str, str]]:
            return rows

        usual: dict[str, Any] = {"study_oid": "S_JUNO", "site_oid": "S_BOSTON", "poll_interval": 0.1, "timeout": 60}
        OpenClinicaBulkEventsOperator(task_id="schedule", rows=due(), **usual | arguments)
    return dag


@pytest.mark.parametrize("deferrable", [False, True], ids=["waiting", "deferrable"])
def test_the_visits_that_a_task_finds_due_are_scheduled(
    run_dag: RunDag, sandbox: Sandbox, deferrable: bool, dialect: str
) -> None:
    run = run_dag(visits(f"due_{dialect}_{deferrable}", DUE, deferrable=deferrable))

    assert states(run) == {"due": "success", "schedule": "success"}
    assert xcoms(run, "schedule")["return_value"]["outcomes"] == {"Created": 2}
    assert len(sandbox.jobs()) == 1


def test_a_participant_who_is_not_there_is_named_in_the_file_of_failed_rows_only(
    run_dag: RunDag, sandbox: Sandbox, task_log: TaskLog, tmp_path: Path, dialect: str
) -> None:
    rows = [*DUE, DUE[0] | {"ParticipantID": "NOBODY-9"}]

    run = run_dag(visits(f"missing_{dialect}", rows, log_uri=f"{tmp_path}/log/"))

    assert states(run)["schedule"] == "failed"
    (failed,) = tmp_path.glob("log/*.failed.csv")
    assert "NOBODY-9" in failed.read_text()
    log = task_log()
    assert "1 of 3 rows failed: 1 participantNotFound" in log
    assert "NOBODY-9" not in log

"""Single visits by whole DAGs: mapped over participants, retried by Airflow itself, and nobody named in a log."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_openclinica.operators.events import (
    OpenClinicaCreateEventOperator,
    OpenClinicaUpdateEventOperator,
)
from tests.dags.conftest import RunDag, TaskLog, states, xcoms

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("openclinica_conn")

BOSTON: dict[str, Any] = {"study_oid": "S_JUNO", "site_oid": "S_BOSTON", "study_event_oid": "SE_FOLLOWUP"}


def test_visits_of_several_participants_are_scheduled_and_nobody_is_named(
    run_dag: RunDag, sandbox: Sandbox, task_log: TaskLog, dialect: str
) -> None:
    with DAG(f"mapped_visits_{dialect}", schedule=None, default_args={"retries": 0}) as dag:
        OpenClinicaCreateEventOperator.partial(task_id="schedule", event_start_date="2026-05-01", **BOSTON).expand(
            participant_id=["BOS-001", "BOS-002"]
        )

    run = run_dag(dag)

    assert set(states(run).values()) == {"success"}
    assert sorted(each["participant"] for each in sandbox.events()) == ["BOS-001", "BOS-002"]
    log = task_log()
    assert "Event SE_FOLLOWUP is scheduled: occurrence 1" in log
    assert "BOS-001" not in log


def test_a_visit_is_scheduled_and_begun_by_the_key_that_it_was_given(
    run_dag: RunDag, sandbox: Sandbox, dialect: str
) -> None:
    with DAG(f"begun_visit_{dialect}", schedule=None, default_args={"retries": 0}) as dag:
        visit = OpenClinicaCreateEventOperator(
            task_id="schedule", participant_id="BOS-001", event_start_date="{{ '2026-05-01' }}", **BOSTON
        )
        begun = OpenClinicaUpdateEventOperator(
            task_id="begin",
            participant_id="BOS-001",
            study_event_repeat_key="{{ ti.xcom_pull('schedule')['study_event_repeat_key'] }}",
            event_status="data entry started",
            **BOSTON,
        )
        visit >> begun

    run = run_dag(dag)

    assert states(run) == {"schedule": "success", "begin": "success"}
    assert xcoms(run, "begin")["return_value"]["event_status"] == "data entry started"
    assert [(each["status"], each["start"]) for each in sandbox.events()] == [("DATA_ENTRY_STARTED", "2026-05-01")]


def test_a_server_that_comes_back_gets_the_visit_from_the_retry_and_once(
    run_dag: RunDag, sandbox: Sandbox, dialect: str
) -> None:
    sandbox.fault(
        "status", method="POST", path="clinicaldata/studies/*/events", status=429, headers={"Retry-After": "600"}
    )
    retries = {"retries": 1, "retry_delay": timedelta(seconds=0)}
    with DAG(f"retried_visit_{dialect}", schedule=None, default_args=retries) as dag:
        OpenClinicaCreateEventOperator(
            task_id="schedule", participant_id="BOS-001", event_start_date="2026-05-01", **BOSTON
        )

    assert states(run_dag(dag)) == {"schedule": "success"}
    assert len(sandbox.events()) == 1

"""Waiting for data, in whole DAGs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_openclinica.sensors.clinicaldata import (
    OpenClinicaEventStatusSensor,
    OpenClinicaParticipantStatusSensor,
)
from tests.dags.conftest import RunDag, TaskLog, states, xcoms
from tests.documents import FIRST, SECOND, SECRETS, found_in, labs
from tests.sandbox.calls import Caller

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("openclinica_conn")


def test_the_visits_of_several_participants_are_waited_for_in_the_triggerer(
    run_dag: RunDag, sandbox: Sandbox, task_log: TaskLog
) -> None:
    manager = Caller(sandbox)
    manager.finished(manager.submitted(labs(FIRST, SECOND).encode()))
    with DAG("visits_begun", schedule=None) as dag:
        OpenClinicaEventStatusSensor.partial(
            task_id="begun",
            study_oid="S_JUNO",
            study_event_oid="SE_BASELINE",
            status=["data entry started", "completed"],
            deferrable=True,
            poke_interval=0.1,
            timeout=60,
        ).expand(participant_id=[FIRST, SECOND])

    run = run_dag(dag)

    assert {str(instance.state) for instance in run.get_task_instances()} == {"success"}
    assert len(run.get_task_instances()) == 2
    assert xcoms(run, "begun") == {"return_value": "data entry started"}
    assert found_in(task_log()) == []


@pytest.mark.parametrize("dialect", ["source"])
@pytest.mark.parametrize("deferrable", [False, True], ids=["poking", "deferred"])
@pytest.mark.parametrize(
    ("soft_fail", "participant_id", "state"),
    [
        pytest.param(True, FIRST, "skipped", id="late-and-soft"),
        pytest.param(False, FIRST, "failed", id="late"),
        pytest.param(True, "BOS-404", "skipped", id="nobody-and-soft"),
        pytest.param(False, "BOS-404", "failed", id="nobody"),
    ],
)
def test_soft_fail_skips_what_would_have_failed_and_nothing_is_retried(
    run_dag: RunDag,
    sandbox: Sandbox,
    task_log: TaskLog,
    *,
    deferrable: bool,
    soft_fail: bool,
    participant_id: str,
    state: str,
) -> None:
    with DAG("signed", schedule=None) as dag:
        OpenClinicaParticipantStatusSensor(
            task_id="signed",
            study_oid="S_JUNO",
            participant_id=participant_id,
            status="signed",
            deferrable=deferrable,
            soft_fail=soft_fail,
            poke_interval=0.05,
            timeout=0.2,
            retries=3,
        )

    run = run_dag(dag)

    assert states(run) == {"signed": state}
    assert [instance.try_number for instance in run.get_task_instances()] == [1]
    assert found_in(task_log(), (*SECRETS, "BOS-404")) == []

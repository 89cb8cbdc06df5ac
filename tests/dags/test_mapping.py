"""Tasks mapped over what OpenClinica lists, by whole DAGs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_openclinica.operators.jobs import OpenClinicaListJobsOperator
from airflow_provider_openclinica.operators.participants import (
    OpenClinicaListParticipantsOperator,
    OpenClinicaParticipantOperator,
    site_and_participant,
)
from airflow_provider_openclinica.operators.studies import OpenClinicaListSitesOperator

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.dags.conftest import RunDag, TaskLog

pytestmark = pytest.mark.usefixtures("openclinica_conn")


def test_tasks_are_mapped_over_participants_whom_no_log_names(
    run_dag: RunDag, sandbox: Sandbox, task_log: TaskLog, dialect: str
) -> None:
    with DAG(f"by_participant_{dialect}", schedule=None) as dag:
        who = OpenClinicaListParticipantsOperator(task_id="who", study_oid="S_JUNO", by_site=True)
        OpenClinicaParticipantOperator.partial(task_id="touch", study_oid="S_JUNO").expand_kwargs(
            who.output.map(site_and_participant)
        )

    run = run_dag(dag)

    touched = [task for task in run.get_task_instances() if task.task_id == "touch"]
    assert [str(task.state) for task in touched] == ["success"] * 11
    people = {person["participant"] for person in sandbox.participants()}
    assert len(people) == 12  # nobody is new
    log = task_log()
    assert "11 of 12 participants are listed" in log
    assert [who for who in people if who in log] == []


@pytest.mark.parametrize("dialect", ["source"])
def test_tasks_are_mapped_over_sites(run_dag: RunDag, sandbox: Sandbox) -> None:
    with DAG("by_site", schedule=None) as dag:
        sites = OpenClinicaListSitesOperator(task_id="sites", study_oid="S_JUNO")
        OpenClinicaListJobsOperator.partial(task_id="jobs", study_oid="S_JUNO").expand(site_oid=sites.output)

    run_dag(dag)

    asked = [call["path"] for call in sandbox.requests() if call["path"].endswith("/jobs")]
    assert sorted(path.split("/sites/")[1] for path in asked) == ["S_BOSTON/jobs", "S_LEIDEN/jobs"]

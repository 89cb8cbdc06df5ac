"""The jobs of a study listed, kept and deleted by a whole DAG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_openclinica.operators.jobs import (
    OpenClinicaDeleteJobOperator,
    OpenClinicaDownloadJobFileOperator,
    OpenClinicaListJobsOperator,
)
from airflow_provider_openclinica.sensors.jobs import OpenClinicaNoRunningJobsSensor
from tests.dags.conftest import RunDag, TaskLog, xcoms
from tests.documents import found_in
from tests.sandbox.calls import Caller

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("openclinica_conn")


@pytest.mark.parametrize("dialect", ["source"])
def test_the_files_of_all_jobs_are_kept_and_the_jobs_deleted_once_the_study_is_quiet(
    run_dag: RunDag, sandbox: Sandbox, tmp_path: Path, task_log: TaskLog
) -> None:
    manager = Caller(sandbox)
    uuids = {manager.submitted(), manager.submitted()}
    with DAG("archive_jobs", schedule=None) as dag:
        quiet = OpenClinicaNoRunningJobsSensor(task_id="quiet", study_oid="S_JUNO", poke_interval=0.1, timeout=30)
        jobs = OpenClinicaListJobsOperator(task_id="list", study_oid="S_JUNO")

        @task
        def completed(listed: Any) -> list[str]:
            return [job["job_uuid"] for job in listed if job["status"] == "COMPLETED"]

        ended = completed(jobs.output)
        keep = OpenClinicaDownloadJobFileOperator.partial(
            task_id="keep", output_uri=f"{tmp_path}/jobs/", study_oid="S_JUNO"
        ).expand(job_uuid=ended)
        delete = OpenClinicaDeleteJobOperator.partial(task_id="delete").expand(job_uuid=ended)
        quiet >> jobs
        keep >> delete

    run = run_dag(dag)

    assert {str(instance.state) for instance in run.get_task_instances()} == {"success"}
    assert {path.name for path in (tmp_path / "jobs").iterdir()} == {f"{uuid}.csv" for uuid in uuids}
    assert {job["status"] for job in sandbox.jobs()} == {"DELETED"}
    assert {job["job_uuid"] for job in xcoms(run, "list")["return_value"]} == uuids
    assert found_in(task_log()) == []

"""A new file of a scheduled extract waited for and fetched by a whole DAG."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_openclinica.operators.extracts import OpenClinicaDownloadExtractOperator
from airflow_provider_openclinica.sensors.extracts import OpenClinicaExtractSensor
from tests.dags.conftest import RunDag, TaskLog, states, xcoms

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("openclinica_conn")


@pytest.mark.parametrize("dialect", ["source"])
def test_the_run_that_was_waited_for_is_the_one_that_is_fetched(
    run_dag: RunDag, sandbox: Sandbox, tmp_path: Path, task_log: TaskLog
) -> None:
    account = sandbox.service.accounts.get("data_manager")
    assert account
    account.user_type = "Tech Admin"
    made = sandbox.extract(content="Participant,Pulse\nBOS-001,7272-bpm\n", created="2026-10-26T12:00:00+00:00")
    extract = {"study_oid": "S_JUNO", "extract_job_uuid": made["job_uuid"]}
    with DAG("extracts", schedule=None) as dag:
        wait = OpenClinicaExtractSensor(
            task_id="wait", **extract, newer_than="{{ macros.datetime(2026, 10, 1) }}", deferrable=True, timeout=60
        )
        wait >> OpenClinicaDownloadExtractOperator(
            task_id="fetch",
            **extract,
            execution_uuid="{{ ti.xcom_pull('wait')['execution_uuid'] }}",
            output_uri=f"{tmp_path}/extracts/",
        )

    run = run_dag(dag)

    assert states(run) == {"wait": "success", "fetch": "success"}
    assert xcoms(run, "fetch")["return_value"]["execution_uuid"] == made["execution_uuid"]
    assert "BOS-001,7272-bpm" in (tmp_path / "extracts" / f"{made['execution_uuid']}.csv").read_text()
    said = task_log()
    assert [word for word in ("BOS-001", "7272-bpm") if word in said] == []

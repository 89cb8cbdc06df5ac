"""The main job on every Airflow from 2.11 on: a DAG imports a file, deferred, in two jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_openclinica.operators.clinicaldata import OpenClinicaImportClinicalDataOperator
from tests.dags.conftest import states, xcoms
from tests.documents import FIRST, OF_LEIDEN, labs

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.dags.conftest import RunDag

pytestmark = pytest.mark.usefixtures("openclinica_conn")


def test_a_deferred_import_of_two_sites_ends_in_two_jobs_and_their_counts(
    sandbox: Sandbox, run_dag: RunDag, tmp_path: Path
) -> None:
    source = tmp_path / "labs.xml"
    source.write_text(labs(FIRST, OF_LEIDEN, study="S_JUNO"))
    with DAG("labs", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        OpenClinicaImportClinicalDataOperator(
            task_id="labs", odm_uri=str(source), log_uri=f"{tmp_path}/log/", deferrable=True, poll_interval=0.1
        )

    run = run_dag(dag)

    assert states(run) == {"labs": "success"}
    result = xcoms(run, "labs")["return_value"]
    assert result["outcomes"] == {"Inserted": 18}
    assert sorted(path.stem for path in (tmp_path / "log").iterdir()) == sorted(
        job["job_uuid"] for job in result["jobs"]
    )
    assert len(sandbox.jobs()) == 2

"""Files in object storage: a real S3 API on loopback, reached as a DAG reaches it, through an ``aws`` connection."""

from __future__ import annotations

import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_openclinica.operators.clinicaldata import OpenClinicaImportClinicalDataOperator
from tests.dags.conftest import RunDag, TaskLog, states, stored, xcoms
from tests.documents import BAD_UNIT, FIRST, document, items, labs

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("openclinica_conn")

TRACE = "trace-bos-001.pdf"


def import_with(run_dag: RunDag, dag_id: str, **arguments: Any) -> Any:
    with DAG(dag_id, schedule=None) as dag:
        OpenClinicaImportClinicalDataOperator(task_id="labs", poll_interval=0.5, timeout=60, **arguments)
    return run_dag(dag)


def electrocardiogram() -> str:
    return document(f"""<ClinicalData StudyOID="S_BOSTON" MetaDataVersionOID="null">
<SubjectData OpenClinica:StudySubjectID="{FIRST}">
<StudyEventData StudyEventOID="SE_BASELINE" StudyEventRepeatKey="1" OpenClinica:StartDate="2026-01-05">
<FormData FormOID="F_ECG" OpenClinica:FormLayoutOID="1">
<ItemGroupData ItemGroupOID="IG_ECG_MAIN" ItemGroupRepeatKey="1">
{items(I_ECG_RATE="61", I_ECG_TRACE=TRACE)}</ItemGroupData>
</FormData></StudyEventData></SubjectData></ClinicalData>""")


@pytest.mark.parametrize("deferrable", [False, True], ids=["waiting", "deferrable"])
@pytest.mark.parametrize("dialect", ["docs"])
def test_a_file_comes_from_s3_and_its_log_goes_there(
    run_dag: RunDag, bucket: Any, sandbox: Sandbox, deferrable: bool
) -> None:
    bucket.put_object(Key="in/today.xml", Body=labs(FIRST, unit=BAD_UNIT).encode())

    run = import_with(
        run_dag,
        f"from_s3_{deferrable}",
        odm_uri="s3://minio@labs/in/today.xml",
        log_uri="s3://minio@labs/log/",
        fail_on="job",
        deferrable=deferrable,
    )

    assert states(run) == {"labs": "success"}
    [job] = xcoms(run, "labs")["return_value"]["jobs"]
    files = stored(bucket)
    log, failed = f"log/{job['job_uuid']}.csv", f"log/{job['job_uuid']}.failed.csv"
    assert files.keys() == {"in/today.xml", log, failed}
    assert job["log_uri"] == f"s3://minio@labs/{log}"
    assert len(files[log].strip().splitlines()) == 10
    assert b"valueChoiceCodeNotFound" in files[failed]
    assert [sent["sourceFileName"].startswith("today.") for sent in sandbox.jobs()] == [True]


@pytest.mark.parametrize("dialect", ["docs"])
def test_attachments_come_from_s3(run_dag: RunDag, bucket: Any, sandbox: Sandbox) -> None:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr(f"traces/{TRACE}", b"%PDF-1.4 invented")
    bucket.put_object(Key="in/ecg.xml", Body=electrocardiogram().encode())
    bucket.put_object(Key="in/traces.zip", Body=archive.getvalue())

    run = import_with(
        run_dag,
        "attachments_from_s3",
        odm_uri="s3://minio@labs/in/ecg.xml",
        attachments_uri="s3://minio@labs/in/traces.zip",
    )

    assert states(run) == {"labs": "success"}
    assert xcoms(run, "labs")["return_value"]["outcomes"] == {"Inserted": 2}
    assert stored(bucket).keys() == {"in/ecg.xml", "in/traces.zip"}
    assert len(sandbox.jobs()) == 1


@pytest.mark.parametrize("dialect", ["docs"])
def test_a_log_that_breaks_off_is_fetched_again_and_only_the_whole_one_stays(
    run_dag: RunDag, bucket: Any, sandbox: Sandbox, task_log: TaskLog
) -> None:
    bucket.put_object(Key="in/today.xml", Body=labs(FIRST).encode())
    sandbox.fault("cut_body", method="GET", path="jobs/*", size=300, times=3)  # two looks at the job are shorter

    run = import_with(
        run_dag,
        "broken_log_in_s3",
        odm_uri="s3://minio@labs/in/today.xml",
        log_uri="s3://minio@labs/log/today.csv",
    )

    assert states(run) == {"labs": "success"}
    assert "could not be fetched, will try again" in task_log()
    files = stored(bucket)
    assert files.keys() == {"in/today.xml", "log/today.csv"}
    assert len(files["log/today.csv"].strip().splitlines()) == 10


@pytest.mark.parametrize("dialect", ["docs"])
def test_a_log_that_could_not_be_stored_is_fetched_by_the_retry_and_nothing_is_sent_again(
    run_dag: RunDag, bucket: Any, sandbox: Sandbox, task_log: TaskLog
) -> None:
    bucket.put_object(Key="in/today.xml", Body=labs(FIRST).encode())
    logs = bucket.meta.client

    run = import_with(
        run_dag,
        "log_bucket_comes_late",
        odm_uri="s3://minio@labs/in/today.xml",
        log_uri="s3://minio@labs-log/",
        retries=1,
        retry_delay=0.1,
        on_retry_callback=lambda _: logs.create_bucket(Bucket="labs-log"),
    )

    assert states(run) == {"labs": "success"}
    assert len(sandbox.jobs()) == 1
    assert "cannot be written: there is no such file, folder or bucket" in task_log()
    [stored_log] = logs.list_objects_v2(Bucket="labs-log")["Contents"]
    assert stored_log["Key"] == f"{sandbox.jobs()[0]['uuid']}.csv"
    assert "a retry fetches the log again and sends nothing" in task_log()

"""Clinical data pulled by whole DAGs: with Airflow's own retries, and into S3."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG
from lxml import etree

from airflow_provider_openclinica.transfers.openclinica_to_file import OpenClinicaToFileOperator
from tests.dags.conftest import RunDag, TaskLog, states, stored, xcoms
from tests.documents import found_in
from tests.pulls import asked, documents_in, fill, items_in, stored_items

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("openclinica_conn")


@pytest.mark.parametrize("dialect", ["source"])
def test_a_retry_of_the_task_goes_on_where_it_stopped(
    run_dag: RunDag, sandbox: Sandbox, tmp_path: Path, task_log: TaskLog
) -> None:
    fill(sandbox)
    sandbox.fault("status", path="clinicaldata/S_JUNO/[*]/[*]/[*]", status=500)
    sandbox.fault("status", path="clinicaldata/S_BOSTON/[*]/[*]/[*]", status=500)
    sandbox.fault("status", path="clinicaldata/S_BOSTON/SS_BOS005/*", status=500)
    with DAG("nightly_pull", schedule=None) as dag:
        OpenClinicaToFileOperator(
            task_id="pull",
            study_oid="S_JUNO",
            output_uri=f"{tmp_path}/juno/",
            partition_by="auto",
            max_parallel=1,
            retries=1,
            retry_delay=0.1,
        )

    run = run_dag(dag)

    assert states(run) == {"pull": "success"}
    found = xcoms(run, "pull")["return_value"]
    assert (found["files"], found["counts"]["items"]) == (8, 30)
    assert items_in(*documents_in(tmp_path / "juno")) == stored_items(sandbox)
    once = [path for path in asked(sandbox) if asked(sandbox).count(path) == 1]
    assert len(once) == len(asked(sandbox)) - 2, "only the piece that failed was asked for again"
    said = task_log()
    assert "An earlier try has stored 4 pieces" in said
    assert found_in(said) == []


@pytest.mark.parametrize("dialect", ["docs"])
@pytest.mark.parametrize("partition_by", ["study", "site"])
def test_a_pull_goes_to_s3(run_dag: RunDag, bucket: Any, sandbox: Sandbox, partition_by: str) -> None:
    fill(sandbox)
    is_set = partition_by == "site"
    bucket.put_object(Key="juno/notes.txt", Body=b"somebody's")
    with DAG(f"pull_to_s3_by_{partition_by}", schedule=None) as dag:
        arguments: dict[str, Any] = {"study_oid": "S_JUNO", "partition_by": partition_by}
        first = OpenClinicaToFileOperator(
            task_id="first", output_uri=f"s3://minio@labs/juno/{'' if is_set else 'a.xml'}", **arguments
        )
        first >> OpenClinicaToFileOperator(task_id="again", output_uri=first.output_uri, **arguments)

    run = run_dag(dag)

    assert states(run) == {"first": "success", "again": "success"}
    files = stored(bucket)
    documents = [etree.fromstring(content) for key, content in files.items() if key.endswith(".xml")]
    assert items_in(*documents) == stored_items(sandbox)
    assert len(files) == (4 if is_set else 2), "what the second pull replaced is gone"
    found = xcoms(run, "again")["return_value"]
    assert found["sha256"] == hashlib.sha256(files["juno/manifest.json" if is_set else "juno/a.xml"]).hexdigest()
    assert found["size"] == sum(len(content) for key, content in files.items() if key.endswith(".xml"))
    assert found["counts"]["items"] == len(stored_items(sandbox))

"""Tables in object storage: a real S3 API on loopback, reached as a DAG reaches it."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_openclinica.transfers.openclinica_to_file import OpenClinicaToFileOperator
from airflow_provider_openclinica.transfers.openclinica_to_tables import OpenClinicaToTablesOperator
from tests.dags.conftest import RunDag, states, stored, xcoms
from tests.pulls import fill, stored_items

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("openclinica_conn")

TABLES = ["items", "participants", "wide"]


def pull_and_make_tables(run_dag: RunDag, dag_id: str) -> Any:
    with DAG(dag_id, schedule=None) as dag:
        pull = OpenClinicaToFileOperator(
            task_id="pull",
            study_oid="S_JUNO",
            output_uri="s3://minio@labs/odm/",
            partition_by="site",
            include_metadata=True,
        )
        tables = OpenClinicaToTablesOperator(
            task_id="tables",
            odm_uri="{{ ti.xcom_pull(task_ids='pull')['output_uri'] }}",
            output_uri="s3://minio@labs/tables/",
            tables=TABLES,
        )
        pull >> tables
    return run_dag(dag)


@pytest.mark.parametrize("dialect", ["docs"])
def test_a_set_in_s3_becomes_tables_in_s3_and_the_next_ones_take_their_place(
    run_dag: RunDag, bucket: Any, sandbox: Sandbox
) -> None:
    first = pull_and_make_tables(run_dag, "empty_tables")
    assert states(first) == {"pull": "success", "tables": "success"}
    fill(sandbox)

    run = pull_and_make_tables(run_dag, "tables")

    assert states(run) == {"pull": "success", "tables": "success"}
    files = stored(bucket, "tables/")
    manifest = json.loads(files["tables/_manifest.json"])
    assert set(files) == {"tables/_manifest.json", *(f"tables/{each['file']}" for each in manifest["tables"])}
    (items,) = [each["file"] for each in manifest["tables"] if each["table"] == "items"]
    values = sorted(row["value"] for row in pq.read_table(io.BytesIO(files[f"tables/{items}"])).to_pylist())
    assert values == sorted(item[-1] for item in stored_items(sandbox))
    result = xcoms(run, "tables")["return_value"]
    assert result["tables"]["items"] == len(values)
    assert result["tables"]["item_group=IG_VITALS_MAIN"] == 2

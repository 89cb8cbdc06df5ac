"""The operators that pull from OpenClinica 4 pull from OpenClinica 3, by the type of their connection."""

from __future__ import annotations

import io
import json
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_openclinica.odm.import3 import UpsertOn, requests_of
from airflow_provider_openclinica.odm.reader import Item, read
from airflow_provider_openclinica.transfers.openclinica_to_file import OpenClinicaToFileOperator
from airflow_provider_openclinica.transfers.openclinica_to_tables import OpenClinicaToTablesOperator
from tests.dags.conftest import RunDag, TaskLog, states, xcoms
from tests.openclinica3 import FIRST, FIRST_OID, SECRETS, client_for, labs3, schedule_baseline

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("openclinica3_conn")

EXAMPLES = Path(__file__).parents[2] / "example_dags"


def fill(sandbox: Sandbox) -> None:
    """Give one participant a laboratory sample."""
    schedule_baseline(sandbox, FIRST)
    for part in requests_of(io.BytesIO(labs3(FIRST_OID).encode()), UpsertOn()):
        assert client_for(sandbox).soap.import_odm(part.odm).succeeded


@pytest.mark.parametrize("fault", [None, "drop_after"], ids=["undisturbed", "the-first-answer-is-lost"])
def test_a_study_becomes_odm_and_tables(
    run_dag: RunDag, sandbox3: Sandbox, tmp_path: Path, task_log: TaskLog, fault: Any
) -> None:
    fill(sandbox3)
    if fault:
        sandbox3.fault(fault, path="/OpenClinica/rest/clinicaldata/*")

    run = run_dag(
        runpy.run_path(str(EXAMPLES / "openclinica3_nightly_pull.py"))["dag"], run_conf={"output_uri": str(tmp_path)}
    )

    assert states(run) == {"pull": "success", "make_tables": "success"}
    assert len([each for each in read(tmp_path / "odm.xml") if isinstance(each, Item)]) == 6
    result = xcoms(run, "make_tables")["return_value"]
    assert (result["tables"]["items"], result["unplaced"]) == (6, 0)
    assert result["tables"]["participants"] == len(sandbox3.participants())
    assert [secret for secret in SECRETS if secret in task_log() + json.dumps(result)] == []


def test_a_document_without_metadata_gets_its_wide_tables_from_the_servers_design(
    run_dag: RunDag, sandbox3: Sandbox, tmp_path: Path
) -> None:
    fill(sandbox3)
    with DAG("oc3", schedule=None) as dag:
        pull = OpenClinicaToFileOperator(
            task_id="pull",
            openclinica_conn_id="openclinica3_default",
            study_oid="S_JUNO",
            output_uri=f"{tmp_path}/odm.xml",
        )
        pull >> OpenClinicaToTablesOperator(
            task_id="make_tables",
            openclinica_conn_id="openclinica3_default",
            study_oid="S_JUNO",
            odm_uri=f"{tmp_path}/odm.xml",
            output_uri=f"{tmp_path}/tables/",
            tables=["wide", "codebook"],
        )

    made = xcoms(run_dag(dag), "make_tables")["return_value"]["tables"]

    assert made["codebook"] > 0
    assert sum(rows for table, rows in made.items() if table.startswith("item_group=")) > 0

"""Incremental pulls by whole DAGs: where Airflow itself keeps the watermark, and what a lost worker costs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow import __version__ as airflow_version
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_openclinica.transfers.openclinica_to_file import OpenClinicaToFileOperator
from airflow_provider_openclinica.transfers.openclinica_to_tables import OpenClinicaToTablesOperator
from tests.dags.conftest import RunDag, TaskLog, states, xcoms
from tests.documents import FIRST, found_in, labs
from tests.pulls import asked, documents_in, fill, items_in, let_weeks_pass, store, stored_items
from tests.tables import manifest_of, table

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = [pytest.mark.usefixtures("openclinica_conn"), pytest.mark.parametrize("dialect", ["source"])]

OF_FIRST = "S_BOSTON/SS_BOS001/*/*"
HAS_ASSET_STATE = tuple(map(int, airflow_version.split(".")[:2])) >= (3, 3)


def weeks_later(sandbox: Sandbox) -> None:
    """Let somebody enter a result after all that was entered long ago."""
    let_weeks_pass(sandbox)
    store(sandbox, "S_BOSTON", labs(FIRST, results=3))
    sandbox.service.requests.clear()


@pytest.mark.parametrize("is_template", [False, True])
def test_the_second_night_pulls_what_changed_into_tables(
    run_dag: RunDag, sandbox: Sandbox, tmp_path: Path, task_log: TaskLog, is_template: bool
) -> None:
    fill(sandbox)
    odm, tables = tmp_path / "odm", tmp_path / "tables"
    with DAG(f"incremental_{is_template}".lower(), schedule=None) as dag:
        pull = OpenClinicaToFileOperator(
            task_id="pull",
            study_oid="S_JUNO",
            output_uri="{{ '" + str(odm) + "' }}/" if is_template else f"{odm}/",
            include_metadata=True,
            incremental=True,
        )
        pull >> OpenClinicaToTablesOperator(task_id="tables", odm_uri=f"{odm}/", output_uri=f"{tables}/")

    first = xcoms(run_dag(dag), "pull")["return_value"]
    weeks_later(sandbox)
    run = run_dag(dag)

    assert states(run) == {"pull": "success", "tables": "success"}
    second, made = (xcoms(run, task)["return_value"] for task in ("pull", "tables"))
    assert (first["covers"]["participants"], second["covers"]["participants"]) == ("all", "changed")
    assert asked(sandbox) == [OF_FIRST]
    assert items_in(*documents_in(odm)) == [row for row in stored_items(sandbox) if row[0] == FIRST]
    assert made["covers"] == manifest_of(tables)["covers"] == second["covers"]
    assert [row["participant_id"] for row in table(tables, "participants")] == [FIRST]
    is_in_a_file = bool(list(odm.glob("_watermark.*.json")))
    assert is_in_a_file == (is_template or not HAS_ASSET_STATE), "a template's asset is not known beforehand"
    assert found_in(task_log() + json.dumps([first, second, made])) == []


def test_a_retry_after_a_failure_in_the_middle_asks_from_the_same_time(
    run_dag: RunDag, sandbox: Sandbox, tmp_path: Path
) -> None:
    fill(sandbox)
    arguments: dict[str, Any] = {"study_oid": "S_JUNO", "incremental": True, "retries": 1, "retry_delay": 0.1}
    with DAG("incremental_with_a_failure", schedule=None) as dag:
        OpenClinicaToFileOperator(task_id="pull", output_uri=f"{tmp_path}/odm/", max_parallel=1, **arguments)

    first = xcoms(run_dag(dag), "pull")["return_value"]
    weeks_later(sandbox)
    store(sandbox, "S_LEIDEN", labs("LEI-001", study="S_LEIDEN", results=3))
    sandbox.fault("status", path="clinicaldata/S_LEIDEN/SS_LEI001/*", status=500, times=1)
    run = run_dag(dag)

    assert states(run) == {"pull": "success"}
    assert asked(sandbox) == [OF_FIRST, *["S_LEIDEN/SS_LEI001/*/*"] * 2]
    found = xcoms(run, "pull")["return_value"]
    assert found["covers"]["since"] < first["covers"]["until"] <= found["covers"]["until"]
    let_weeks_pass(sandbox)
    assert xcoms(run_dag(dag), "pull")["return_value"]["files"] == 0


def test_a_mapped_task_keeps_a_watermark_in_each_of_its_folders(
    run_dag: RunDag, sandbox: Sandbox, tmp_path: Path
) -> None:
    fill(sandbox)
    folders = [f"{tmp_path}/{name}/" for name in ("first", "second")]
    with DAG("incremental_mapped", schedule=None) as dag:
        OpenClinicaToFileOperator.partial(task_id="pull", study_oid="S_JUNO", incremental=True).expand(
            output_uri=folders
        )
    run_dag(dag)
    weeks_later(sandbox)

    assert states(run_dag(dag)) == {"pull": "success"}
    assert asked(sandbox) == [OF_FIRST] * 2

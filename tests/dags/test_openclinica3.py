"""The example DAG of OpenClinica 3 does what it says, against a running one."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.dags.conftest import RunDag, TaskLog, states, xcoms
from tests.openclinica3 import FIRST, FIRST_OID, SECOND, SECOND_OID, SECRETS, labs3, schedule_baseline

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("openclinica3_conn")

EXAMPLES = Path(__file__).parents[2] / "example_dags"


@pytest.mark.parametrize("kind", ["delay", "drop_after"], ids=["undisturbed", "the-first-answer-is-lost"])
def test_laboratory_data_come_in_once_and_are_read_back(
    run_dag: RunDag, sandbox3: Sandbox, tmp_path: Path, task_log: TaskLog, kind: str
) -> None:
    schedule_baseline(sandbox3, FIRST, SECOND)
    sandbox3.fault(kind, path="/OpenClinica-ws/ws/data/v1")
    (tmp_path / "labs.xml").write_text(labs3(FIRST_OID, SECOND_OID))

    run = run_dag(
        runpy.run_path(str(EXAMPLES / "openclinica3_import.py"))["dag"],
        run_conf={"odm_uri": str(tmp_path / "labs.xml"), "log_uri": str(tmp_path / "log" / "labs.jsonl")},
    )

    assert states(run) == {"is_it_up": "success", "import_labs": "success"}
    result = xcoms(run, "import_labs")["return_value"]
    assert (result["sent"], result["values"], result["values_lost"]) == (2, 12, 0)
    assert [request["path"] for request in sandbox3.requests()].count("/OpenClinica-ws/ws/data/v1") == 2
    assert [secret for secret in SECRETS if secret in task_log() + json.dumps(result)] == []

"""ClinOne in DAGs: the example, a mapped reply, and a sensor that gives its worker back."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_openclinica.operators.clinone import ClinOneOperator
from tests.clinone import calls
from tests.dags.conftest import RunDag, TaskLog, states, xcoms

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("openclinica_conn", "clinone_conn")

docs_only = pytest.mark.parametrize("dialect", ["docs"])

EXAMPLE = Path(__file__).parents[2] / "example_dags" / "openclinica_from_clinone.py"
PATH = "/what/you/ask"
CONF = {"path": PATH, "participant_field": "id"}


def person(number: str, site: str = "001") -> dict[str, str]:
    return {"id": f"BOS-{number}", "studyIdentifier": "JUNO", "siteIdentifier": site, "name": "Ann Lee"}


def run_example(run_dag: RunDag) -> Any:
    return run_dag(runpy.run_path(str(EXAMPLE))["dag"], run_conf=CONF)


@pytest.mark.parametrize(
    ("reply", "added"),
    [
        pytest.param(person("901"), {"BOS-901": "S_BOSTON"}, id="one"),
        pytest.param([person("901"), person("902", "002")], {"BOS-901": "S_BOSTON", "BOS-902": "S_LEIDEN"}, id="two"),
    ],
)
def test_who_enrolled_in_clinone_is_in_openclinica_and_nobody_is_named(
    run_dag: RunDag, sandbox: Sandbox, task_log: TaskLog, reply: Any, added: dict[str, str]
) -> None:
    sandbox.clinone(path=PATH, json=reply)

    run = run_example(run_dag)
    again = run_example(run_dag)

    assert set(states(run).values()) == set(states(again).values()) == {"success"}
    sites = {one["participant"]: one["site"] for one in sandbox.participants()}
    assert {who: sites.get(who) for who in added} == added
    assert "Ann" not in task_log() + str(xcoms(run, "ask_clinone"))


@docs_only
def test_a_site_that_nobody_mapped_stops_before_openclinica_is_asked(run_dag: RunDag, sandbox: Sandbox) -> None:
    sandbox.clinone(path=PATH, json=person("901", "009"))
    assert states(run_example(run_dag))["ask_clinone"] == "failed"
    assert [one for one in sandbox.requests() if one["path"].startswith("/OpenClinica")] == []


@docs_only
def test_a_lost_answer_is_not_asked_for_again_by_airflows_retries(run_dag: RunDag, sandbox: Sandbox) -> None:
    with DAG("clinone_post", schedule=None) as dag:
        ClinOneOperator(task_id="post", method="POST", path=PATH, json={"a": 1}, retries=2, retry_delay=0.01)
    sandbox.fault("drop_after", path="clinone/api/*")

    assert states(run_dag(dag)) == {"post": "failed"}
    assert calls(sandbox) == ["POST"]

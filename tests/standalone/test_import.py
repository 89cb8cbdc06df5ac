"""Imports through a real scheduler, real workers and a real triggerer, some of which are killed."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.documents import FIRST, SECOND, found_in, labs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.standalone.conftest import RunningSandbox
    from tests.standalone.harness import Run, Standalone

pytestmark = pytest.mark.standalone


@pytest.fixture
def start(standalone: Standalone, openclinica: RunningSandbox, tmp_path: Path) -> Any:
    """Return a function that starts a DAG with a laboratory file."""
    odm = tmp_path / "labs.xml"
    odm.write_text(labs(FIRST, SECOND))
    conf = {"conn_id": openclinica.conn_id, "odm_uri": str(odm), "log_uri": f"{tmp_path}/log/"}

    def run(dag_id: str) -> Run:
        return standalone.trigger(dag_id, conf=conf)

    return run


@pytest.mark.parametrize("dialect", ["docs"])
def test_a_deferrable_import_goes_through_the_triggerer(start: Any, openclinica: RunningSandbox) -> None:
    openclinica.plan("job-fates", fate="stuck")
    run = start("import_deferrable")
    run.wait_until_deferred("labs")
    openclinica.plan("release")
    run.wait_for("labs", {"success"})

    result = run.xcom("labs")
    assert result["status"] == "finished"
    assert result["outcomes"] == {"Inserted": 18}
    assert [job["job_uuid"] for job in result["jobs"]] == [job["uuid"] for job in openclinica.show("jobs")]
    assert run.xcom_keys("labs") == {"return_value", "job_uuid", "openclinica_job_page"}
    assert "Waiting in the triggerer" in run.log("labs")
    assert found_in(run.log("labs") + json.dumps(result)) == []


@pytest.mark.parametrize(
    ("dialect", "number"),
    [
        pytest.param("docs", signal.SIGKILL, id="killed-as-a-lost-node-would-be"),
        pytest.param("source", signal.SIGTERM, id="told-to-stop-as-an-evicted-pod-is"),
    ],
)
def test_a_worker_that_dies_while_waiting_leaves_one_job_that_the_next_try_finds(
    start: Any, openclinica: RunningSandbox, number: signal.Signals
) -> None:
    openclinica.plan("job-fates", fate="stuck")
    run = start("import_waiting")
    run.wait_for_line("labs", "is running")
    run.kill("labs", number)
    openclinica.plan("release")
    task = run.wait_for("labs", {"success"})

    assert task["try_number"] == 2
    assert run.xcom("labs")["outcomes"] == {"Inserted": 18}
    assert len(openclinica.show("jobs")) == 1


@pytest.mark.parametrize("dialect", ["source"])
def test_clearing_a_task_that_succeeded_submits_anew(start: Any, openclinica: RunningSandbox) -> None:
    run = start("import_waiting")
    run.wait_for("labs", {"success"})
    run.wait_for_end()
    run.clear("labs")
    run.wait_for_try("labs", 2, {"success"})

    assert run.xcom("labs")["outcomes"] == {"No Change": 18}
    first, second = (job["sourceFileName"] for job in openclinica.show("jobs"))
    assert first.replace("-g1.xml", "-g2.xml") == second

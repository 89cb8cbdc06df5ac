"""A worker that dies at any point of a job's life: one job for each generation, and the right verdict in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_openclinica.errors import AmbiguousSubmitError, RowsFailedError
from tests.documents import BAD_UNIT
from tests.operators.imports import fails_with, importing, names
from tests.stores import StoreOfALostWorker, WorkerLost

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task

    Labs = Callable[..., str]

pytestmark = pytest.mark.usefixtures("openclinica_conn")


POINTS = [
    pytest.param("before", "submitting", id="before-anything"),
    pytest.param("after", "submitting", id="before-the-file-is-sent"),
    pytest.param("before", "submitted", id="before-the-uuid-is-written-down"),
    pytest.param("after", "submitted", id="before-the-wait"),
    pytest.param("before", "judged", id="between-log-and-verdict"),
    pytest.param("after", "judged", id="before-it-returns"),
]


@pytest.mark.parametrize("has_store", [True, False], ids=["with-a-store", "without"])
@pytest.mark.parametrize(("when", "phase"), POINTS)
def test_wherever_a_worker_dies_there_is_one_job_and_one_verdict(
    sandbox: Sandbox,
    dialect: str,
    task: Task,
    labs: Labs,
    tmp_path: Path,
    when: str,
    phase: str,
    has_store: bool,
) -> None:
    uri, log_uri = labs("BOS-001", unit=BAD_UNIT), f"{tmp_path}/log.csv"
    task.store = StoreOfALostWorker(when, phase)
    with pytest.raises(WorkerLost):
        task.run(importing(uri, log_uri=log_uri))
    if not has_store:
        task.store = None

    task.ti.retry()
    nobody_can_tell = dialect == "docs" and (
        not has_store or (when, phase) in {("after", "submitting"), ("before", "submitted")}
    )
    if nobody_can_tell:
        fails_with(task, importing(uri, log_uri=log_uri), AmbiguousSubmitError)
        assert len(names(sandbox)) <= 1
        return
    message = fails_with(task, importing(uri, log_uri=log_uri), RowsFailedError)

    assert "1 of 9 rows failed" in message
    assert len(names(sandbox)) == 1
    assert sorted(path.name for path in tmp_path.glob("*log*")) == ["log.csv", "log.failed.csv"]
    assert len((tmp_path / "log.csv").read_text().strip().splitlines()) == 10
    assert len((tmp_path / "log.failed.csv").read_text().strip().splitlines()) == 2

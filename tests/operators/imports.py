"""Imports as the tests of operators run them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_openclinica.errors import WaitInterruptedError
from airflow_provider_openclinica.operators.clinicaldata import OpenClinicaImportClinicalDataOperator

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task


def importing(odm_uri: str, **options: Any) -> OpenClinicaImportClinicalDataOperator:
    usual: dict[str, Any] = {"study_oid": "S_JUNO", "poll_interval": 0.05}
    return OpenClinicaImportClinicalDataOperator(task_id="import", odm_uri=odm_uri, **usual | options)


def names(sandbox: Sandbox) -> list[str]:
    """The names that jobs were made of, oldest first."""
    return [job["sourceFileName"] for job in sandbox.jobs()]


def kill_while_waiting(
    task: Task, operator: OpenClinicaImportClinicalDataOperator, until: Callable[[], bool] | None = None
) -> None:
    """Run a try, and let Airflow kill it once it has a job to wait for, or later."""
    is_due = until or (lambda: "openclinica_job_page" in task.ti.xcoms)

    def kill() -> None:
        while not is_due():
            time.sleep(0.01)
        operator.on_kill()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with pytest.raises(WaitInterruptedError):
        task.run(operator)
    killer.join()


def fails_with(task: Task, operator: OpenClinicaImportClinicalDataOperator, error: type[Exception]) -> str:
    """Run a try that fails for good, and return what it says."""
    with pytest.raises(AirflowFailException) as caught:
        task.run(operator)
    assert isinstance(caught.value.__cause__, error)
    return str(caught.value)

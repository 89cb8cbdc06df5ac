"""A study that is pulled night after night, and in between somebody enters something."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.transfers.openclinica_to_file import OpenClinicaToFileOperator
from airflow_provider_openclinica.transfers.openclinica_to_tables import OpenClinicaToTablesOperator
from tests.documents import labs
from tests.pulls import fill, let_weeks_pass, store
from tests.tasks import Instance, Task

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox

WHOLE = "S_JUNO/*/*/*"
OF_FIRST, OF_SECOND, OF_THIRD = "S_BOSTON/SS_BOS001/*/*", "S_BOSTON/SS_BOS002/*/*", "S_LEIDEN/SS_LEI001/*/*"


def pulling(folder: Path, **arguments: Any) -> OpenClinicaToFileOperator:
    """Pull the study incrementally, into documents."""
    usual: dict[str, Any] = {"study_oid": "S_JUNO", "incremental": True}
    return OpenClinicaToFileOperator(task_id="pull", output_uri=f"{folder}/", **usual | arguments)


def tabling(folder: Path, **arguments: Any) -> OpenClinicaToTablesOperator:
    """Pull the study incrementally, into tables."""
    usual: dict[str, Any] = {"study_oid": "S_JUNO", "incremental": True}
    return OpenClinicaToTablesOperator(task_id="tables", output_uri=f"{folder}/", **usual | arguments)


def moment(written: str) -> datetime:
    """Read a time in ``covers``."""
    return datetime.fromisoformat(written)


def night(number: int) -> Task:
    """The same task in another run. It has retries."""
    return Task(Instance(run_id=f"scheduled__{number}", max_tries=2))


def change(sandbox: Sandbox, *participants: str, site: str = "S_BOSTON") -> None:
    """Let somebody enter another result of these participants."""
    store(sandbox, site, labs(*participants, study=site, results=3))


def a_night_has_passed(sandbox: Sandbox, folder: Path, **arguments: Any) -> dict[str, Any]:
    """Pull everything, and let weeks pass by the dates of the participants."""
    fill(sandbox)
    found: dict[str, Any] = night(1).run(pulling(folder, **arguments))
    let_weeks_pass(sandbox)
    sandbox.service.requests.clear()
    return found

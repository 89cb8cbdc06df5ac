"""What all operators share that have OpenClinica make a file and fetch it, by the example of contacts."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_openclinica.errors import JobFailedError, JobTimeoutError, WaitInterruptedError
from airflow_provider_openclinica.operators import fetched
from tests.operators.contacts import extracting, pages_asked_for
from tests.tasks import event_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task

pytestmark = pytest.mark.usefixtures("coordinator_conn")

both_ways = pytest.mark.parametrize("deferrable", [False, True], ids=["in-the-worker", "deferred"])
PAGES = "*xtractParticipantsInfo*"
source_only = pytest.mark.parametrize("dialect", ["source"])


@pytest.mark.parametrize("delete", [False, True])
def test_what_the_server_keeps_is_deleted_on_request(
    sandbox: Sandbox, task: Task, tmp_path: Path, delete: bool
) -> None:
    task.run(extracting(tmp_path / "contacts.csv", page_size=4, delete_job_files=delete))

    assert {job["status"] for job in sandbox.jobs()} == {"DELETED" if delete else "COMPLETED"}


def test_a_job_that_cannot_be_deleted_is_named_and_the_file_is_there(
    sandbox: Sandbox, task: Task, tmp_path: Path, told: Callable[[], str]
) -> None:
    sandbox.fault("status", method="DELETE", path="jobs/*", status=403, times=None)

    result = task.run(extracting(tmp_path / "contacts.csv", delete_job_files=True))

    assert Path(result["output_uri"]).exists()
    assert f"could not be deleted, of the jobs {result['jobs'][0]['job_uuid']}: " in told()


def refuse_page(number: int, sandbox: Sandbox) -> None:
    """Let OpenClinica refuse to write a page, after those before it."""
    if number > 1:
        sandbox.fault("delay", path=PAGES, seconds=0, times=number - 1)
    sandbox.fault("status", path=PAGES, status=403)


@source_only
@both_ways
@pytest.mark.parametrize("delete", [False, True])
def test_pages_of_a_try_that_failed_are_deleted_too(
    sandbox: Sandbox, task: Task, tmp_path: Path, delete: bool, deferrable: bool
) -> None:
    operator = extracting(tmp_path / "contacts.csv", page_size=4, delete_job_files=delete, deferrable=deferrable)
    refuse_page(2, sandbox)

    with pytest.raises(AirflowFailException):
        task.run(operator)

    assert [job["status"] for job in sandbox.jobs()] == ["DELETED" if delete else "COMPLETED"]


@source_only
@both_ways
def test_the_file_of_a_job_that_cannot_be_used_is_deleted_too(
    sandbox: Sandbox, task: Task, tmp_path: Path, deferrable: bool
) -> None:
    sandbox.fate("empty_log")

    with pytest.raises(JobFailedError):
        task.run(extracting(tmp_path / "contacts.csv", delete_job_files=True, deferrable=deferrable))

    assert [job["status"] for job in sandbox.jobs()] == ["DELETED"]


@source_only
def test_a_server_that_went_down_is_asked_to_delete_once_and_all_jobs_are_named(
    sandbox: Sandbox, task: Task, tmp_path: Path, told: Callable[[], str]
) -> None:
    refuse_page(3, sandbox)
    sandbox.fault("status", method="DELETE", path="jobs/*", status=503, times=None)

    with pytest.raises(AirflowFailException):
        task.run(extracting(tmp_path / "contacts.csv", page_size=2, delete_job_files=True))

    jobs = [job["uuid"] for job in sandbox.jobs()]
    (line,) = [line for line in told().splitlines() if "could not be deleted" in line and jobs[0] in line]
    assert all(job in line for job in jobs)
    assert len({request["path"] for request in sandbox.requests() if request["method"] == "DELETE"}) == 1


@both_ways
@pytest.mark.parametrize("fate", ["log_gone", "empty_log"])
def test_a_job_without_contacts_has_failed_and_a_retry_asks_anew(
    sandbox: Sandbox, task: Task, tmp_path: Path, fate: str, deferrable: bool
) -> None:
    sandbox.fate(fate)
    with pytest.raises(JobFailedError, match="a retry asks for it anew"):
        task.run(extracting(tmp_path / "contacts.csv", deferrable=deferrable))
    assert not (tmp_path / "contacts.csv").exists()

    task.ti.retry()

    assert task.run(extracting(tmp_path / "contacts.csv", deferrable=deferrable))["rows"] == 6


@both_ways
def test_a_job_that_never_ends_is_a_timeout_and_a_retry_asks_anew(
    sandbox: Sandbox, task: Task, tmp_path: Path, deferrable: bool
) -> None:
    sandbox.fate("stuck")
    with pytest.raises(JobTimeoutError, match="a retry asks for it anew"):
        task.run(extracting(tmp_path / "contacts.csv", deferrable=deferrable, timeout=0.2))

    task.ti.retry()

    assert task.run(extracting(tmp_path / "contacts.csv", deferrable=deferrable))["rows"] == 6


def test_a_download_that_breaks_off_is_begun_again(
    sandbox: Sandbox, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetched, "PAUSES", (0.01, 0.01))
    operator = extracting(tmp_path / "contacts.csv", deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(task.context)
    event = event_of(deferred.value.trigger)
    sandbox.fault("cut_body", path="jobs/*/downloadFile")

    assert operator.resume(task.context, event)["rows"] == 6
    assert len((tmp_path / "contacts.csv").read_text().splitlines()) == 7


def test_a_task_that_is_killed_asks_for_nothing_more(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    operator = extracting(tmp_path / "contacts.csv", page_size=3)
    extract = operator.client.contacts.extract
    operator.client.contacts.extract = lambda *arguments, **flags: (  # type: ignore[method-assign]
        operator.on_kill() or extract(*arguments, **flags)  # type: ignore[func-returns-value]
    )
    sandbox.fate("stuck")
    try:
        with pytest.raises(WaitInterruptedError):
            task.run(operator)
    finally:
        del operator.client.contacts.extract
    assert len(sandbox.jobs()) == 1


@source_only
def test_no_page_is_asked_for_after_execution_timeout(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    operator = extracting(
        tmp_path / "contacts.csv", page_size=3, deferrable=True, execution_timeout=timedelta(seconds=60)
    )
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(task.context)
    event = event_of(deferred.value.trigger)
    event["progress"]["started"] -= 60

    with pytest.raises(JobTimeoutError, match=r"execution_timeout has passed after 1 jobs.*Give the task more time"):
        operator.resume(task.context, event)
    assert pages_asked_for(sandbox) == 1


@pytest.mark.parametrize("event", [None, {}, {"status": "success"}], ids=["none", "empty", "another-provider's"])
def test_an_event_that_is_not_ours_never_passes_for_success(task: Task, tmp_path: Path, event: Any) -> None:
    with pytest.raises(AirflowFailException, match="not one of ours"):
        extracting(tmp_path / "contacts.csv", deferrable=True).resume(task.context, event)


def test_airflows_own_trigger_timeout_says_that_a_retry_asks_anew(task: Task) -> None:
    with pytest.raises(JobTimeoutError, match="a retry asks for it anew"):
        extracting("contacts.csv").resume_execution("__fail__", {"error": "Trigger timeout"}, task.context)

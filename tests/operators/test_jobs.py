"""Listing, fetching and deleting jobs, against a running OpenClinica in both dialects."""

from __future__ import annotations

import hashlib
import json
import logging
import stat
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_openclinica.errors import (
    ConfigurationError,
    FileUnavailableError,
    JobFailedError,
    JobTimeoutError,
    JobUnknownError,
    LogGoneError,
    NotAvailableError,
    NotFoundError,
    RoleError,
    ServerUnavailableError,
)
from airflow_provider_openclinica.operators.jobs import (
    OpenClinicaDeleteJobOperator,
    OpenClinicaDownloadJobFileOperator,
    OpenClinicaListJobsOperator,
)
from tests.documents import found_in
from tests.sandbox.calls import Caller

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.providers.common.compat.sdk import BaseOperator

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task

pytestmark = pytest.mark.usefixtures("openclinica_conn")

NOBODYS = "6c325687-c3c3-41f6-9b98-154ef3352cb1"
with_job_list = pytest.mark.parametrize("dialect", ["source"])
without_job_list = pytest.mark.parametrize("dialect", ["docs"])


@pytest.fixture
def manager(sandbox: Sandbox) -> Caller:
    """The account of the connection, at work beside Airflow."""
    return Caller(sandbox)


@pytest.fixture
def job_uuid(manager: Caller) -> str:
    """A job that has ended."""
    uuid = manager.submitted(name="labs.xml")
    manager.finished(uuid)
    return uuid


def listing(**arguments: Any) -> OpenClinicaListJobsOperator:
    return OpenClinicaListJobsOperator(task_id="list", **{"study_oid": "S_JUNO"} | arguments)


def downloading(job_uuid: Any, output_uri: Any, **arguments: Any) -> OpenClinicaDownloadJobFileOperator:
    return OpenClinicaDownloadJobFileOperator(
        task_id="download", job_uuid=job_uuid, output_uri=output_uri, **{"study_oid": "S_JUNO"} | arguments
    )


def deleting(job_uuid: Any) -> OpenClinicaDeleteJobOperator:
    return OpenClinicaDeleteJobOperator(task_id="delete", job_uuid=job_uuid)


def fails_for_good(task: Task, operator: BaseOperator, error: type[Exception]) -> str:
    with pytest.raises(AirflowFailException) as caught:
        task.run(operator)
    assert isinstance(caught.value.__cause__, error)
    return str(caught.value)


# The list


@with_job_list
def test_the_jobs_of_a_study_are_listed_newest_first(manager: Caller, task: Task) -> None:
    first, second = manager.submitted(name="labs.xml"), manager.submitted(name="more.xml")
    manager.finished(first)
    manager.finished(second)

    found = task.run(listing())

    assert json.loads(json.dumps(found)) == found
    assert [(job["job_uuid"], job["source_file_name"]) for job in found] == [(second, "more.xml"), (first, "labs.xml")]
    assert found[0].keys() == {
        "job_uuid",
        "job_type",
        "status",
        "study_oid",
        "site_oid",
        "date_created",
        "date_completed",
        "source_file_name",
    }
    assert {(job["job_type"], job["status"], job["study_oid"]) for job in found} == {
        ("XML_IMPORT", "COMPLETED", "S_JUNO")
    }
    created, completed = (datetime.fromisoformat(found[0][name]) for name in ("date_created", "date_completed"))
    assert created.tzinfo
    assert created <= completed


@with_job_list
def test_a_job_that_runs_has_no_date_of_its_end(sandbox: Sandbox, manager: Caller, task: Task) -> None:
    sandbox.fate("stuck")
    manager.submit()

    [job] = task.run(listing())

    assert (job["status"], job["date_completed"]) == ("IN_PROGRESS", None)


@with_job_list
def test_the_list_of_a_site_has_its_jobs_only(manager: Caller, task: Task, job_uuid: str) -> None:
    assert [job["job_uuid"] for job in task.run(listing(site_oid="S_BOSTON"))] == [job_uuid]
    assert task.run(listing(site_oid="S_LEIDEN")) == []


@without_job_list
def test_a_server_without_a_job_list_fails_the_task_for_good(task: Task, sandbox: Sandbox) -> None:
    assert "no job list" in fails_for_good(task, listing(), NotAvailableError)


@with_job_list
def test_the_list_of_a_study_that_is_none_says_so(task: Task, sandbox: Sandbox) -> None:
    assert "S_NONE" in fails_for_good(task, listing(study_oid="S_NONE"), NotFoundError)


def test_a_study_that_rendered_to_nothing_is_refused_before_any_request(task: Task, sandbox: Sandbox) -> None:
    assert "study_oid is empty" in fails_for_good(task, listing(study_oid=""), ConfigurationError)
    assert sandbox.requests() == []


# The file


def test_a_file_is_stored_as_openclinica_has_it(manager: Caller, task: Task, job_uuid: str, tmp_path: Path) -> None:
    kept = manager.download(job_uuid).content

    result = task.run(downloading(job_uuid, str(tmp_path / "logs" / "labs.csv")))

    assert (tmp_path / "logs" / "labs.csv").read_bytes() == kept
    assert result == {
        "job_uuid": job_uuid,
        "output_uri": str(tmp_path / "logs" / "labs.csv"),
        "size": len(kept),
        "sha256": hashlib.sha256(kept).hexdigest(),
    }


def test_into_a_folder_it_goes_by_the_uuid_of_its_job(task: Task, job_uuid: str, tmp_path: Path) -> None:
    result = task.run(downloading(job_uuid, f"{tmp_path}/logs/"))

    assert result["output_uri"] == f"{tmp_path}/logs/{job_uuid}.csv"
    assert [path.name for path in (tmp_path / "logs").iterdir()] == [f"{job_uuid}.csv"]


def test_nobody_but_its_owner_can_read_a_local_file(task: Task, job_uuid: str, tmp_path: Path) -> None:
    (tmp_path / "labs.csv").touch(0o644)

    task.run(downloading(job_uuid, str(tmp_path / "labs.csv")))

    assert stat.S_IMODE((tmp_path / "labs.csv").stat().st_mode) == 0o600


def test_a_job_that_runs_is_a_matter_for_the_sensor_or_a_retry(
    sandbox: Sandbox, manager: Caller, task: Task, tmp_path: Path
) -> None:
    sandbox.fate("stuck")

    with pytest.raises(JobTimeoutError, match="OpenClinicaJobSensor") as caught:
        task.run(downloading(manager.submitted(), f"{tmp_path}/logs/"))

    assert caught.value.retry
    assert list((tmp_path / "logs").iterdir()) == []


def test_a_server_that_is_down_does_not_pass_for_a_job_that_runs(
    sandbox: Sandbox, task: Task, job_uuid: str, tmp_path: Path
) -> None:
    sandbox.fault("status", method="GET", path="jobs/*", status=503, times=None)

    with pytest.raises(JobTimeoutError, match="not known to have ended"):
        task.run(downloading(job_uuid, str(tmp_path / "labs.csv")))


def test_a_job_that_nobody_has_may_be_one_of_another_study(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    with pytest.raises(JobUnknownError, match="active study"):
        task.run(downloading(NOBODYS, str(tmp_path / "labs.csv")))


@with_job_list
def test_the_list_proves_that_the_active_study_is_another_one(
    sandbox: Sandbox, task: Task, job_uuid: str, tmp_path: Path
) -> None:
    account = sandbox.service.accounts.get("data_manager")
    assert account
    account.active_study = "S_OTHER"

    with pytest.raises(JobUnknownError, match="job list shows the job") as caught:
        task.run(downloading(job_uuid, str(tmp_path / "labs.csv")))

    assert "open the study of the job" in str(caught.value)


def test_another_accounts_job_is_refused_for_good(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    other = Caller(sandbox, "second_manager")
    uuid = other.submitted()
    other.finished(uuid)

    message = fails_for_good(task, downloading(uuid, str(tmp_path / "labs.csv")), RoleError)

    assert "another account" in message


@with_job_list
def test_a_failed_job_has_no_file_and_no_retry_makes_one(
    sandbox: Sandbox, manager: Caller, task: Task, tmp_path: Path
) -> None:
    sandbox.fate("failed")
    uuid = manager.submitted()
    manager.finished(uuid)

    message = fails_for_good(task, downloading(uuid, str(tmp_path / "labs.csv")), JobFailedError)

    assert "no file to fetch" in message
    assert "sends it anew" not in message


def test_an_empty_file_is_a_failed_job_and_leaves_none(
    sandbox: Sandbox, manager: Caller, task: Task, tmp_path: Path
) -> None:
    sandbox.fate("empty_log")
    uuid = manager.submitted()
    manager.finished(uuid)

    message = fails_for_good(task, downloading(uuid, str(tmp_path / "labs.csv")), JobFailedError)

    assert "is empty" in message
    assert list(tmp_path.glob("*.csv")) == []


@with_job_list
def test_a_file_that_is_gone_is_told_from_a_job_that_failed(
    sandbox: Sandbox, manager: Caller, task: Task, tmp_path: Path
) -> None:
    sandbox.fate("log_gone")
    uuid = manager.submitted()
    manager.finished(uuid)

    message = fails_for_good(task, downloading(uuid, str(tmp_path / "labs.csv")), LogGoneError)

    assert "completed the job" in message


def test_a_download_that_breaks_off_leaves_no_file_and_can_be_retried(
    sandbox: Sandbox, task: Task, job_uuid: str, tmp_path: Path
) -> None:
    operator = downloading(job_uuid, str(tmp_path / "labs.csv"))
    sandbox.fault("cut_body", path="jobs/*", times=2, size=100)  # one look, one download

    with pytest.raises(ServerUnavailableError):
        task.run(operator)
    assert list(tmp_path.glob("*labs*")) == []

    assert task.run(operator)["size"] == (tmp_path / "labs.csv").stat().st_size


def test_a_place_that_takes_no_file_is_found_before_anybody_is_asked(
    sandbox: Sandbox, task: Task, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(FileUnavailableError):
        task.run(downloading(NOBODYS, str(tmp_path / "file" / "labs.csv")))

    assert sandbox.requests() == []


# The deletion


def test_a_deleted_job_is_gone(manager: Caller, task: Task, job_uuid: str) -> None:
    assert task.run(deleting(job_uuid)) is None

    assert manager.download(job_uuid).status_code == 404


def test_to_delete_a_job_twice_does_no_harm(task: Task, job_uuid: str) -> None:
    task.run(deleting(job_uuid))

    assert task.run(deleting(job_uuid)) is None


def test_a_deletion_whose_answer_is_lost_is_said_again(sandbox: Sandbox, task: Task, job_uuid: str) -> None:
    sandbox.fault("drop_after", method="DELETE")

    assert task.run(deleting(job_uuid)) is None


def test_another_accounts_job_is_not_ours_to_delete(sandbox: Sandbox, task: Task) -> None:
    uuid = Caller(sandbox, "second_manager").submitted()

    assert "another account" in fails_for_good(task, deleting(uuid), RoleError)


def test_a_job_that_nobody_has_cannot_be_deleted(sandbox: Sandbox, task: Task) -> None:
    with pytest.raises(JobUnknownError, match="active study") as caught:
        task.run(deleting(NOBODYS))

    assert NOBODYS in str(caught.value)


# All of them


@pytest.mark.parametrize("given", ["", "None", "../studies", None, {"jobs": []}, 7], ids=repr)
@pytest.mark.parametrize("operator", ["download", "delete"])
def test_what_is_no_uuid_is_refused_before_any_request(
    sandbox: Sandbox, task: Task, tmp_path: Path, operator: str, given: Any
) -> None:
    made = deleting(given) if operator == "delete" else downloading(given, str(tmp_path / "labs.csv"))

    assert "job_uuid" in fails_for_good(task, made, ConfigurationError)
    assert sandbox.requests() == []


@with_job_list
def test_no_participant_reaches_a_log_line(
    manager: Caller,
    task: Task,
    job_uuid: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        task.run(listing())
        task.run(downloading(job_uuid, str(tmp_path / "log.csv")))
        task.run(deleting(job_uuid))

    said = "".join(capfd.readouterr()) + caplog.text  # where a task's log goes depends on the Airflow
    assert said.count(job_uuid) >= 2
    assert found_in(said) == []
    assert "labs.xml" not in said, "the name of a casebook holds a participant ID, so no name is logged"

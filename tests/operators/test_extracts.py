"""Fetching the files of scheduled extracts, against a running OpenClinica in both dialects."""

from __future__ import annotations

import hashlib
import json
import stat
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_openclinica.errors import (
    ConfigurationError,
    FileUnavailableError,
    NotAvailableError,
    NotFoundError,
    RoleError,
    ServerUnavailableError,
)
from airflow_provider_openclinica.operators.extracts import OpenClinicaDownloadExtractOperator

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task

pytestmark = pytest.mark.usefixtures("openclinica_conn")

EXTRACT_JOB = "0b1e9d3c-31d4-4c8f-8a27-50a1b7a0f6f1"
NOBODYS = "6c325687-c3c3-41f6-9b98-154ef3352cb1"
CONTENT = "Participant,Pulse\nBOS-001,72\n"


@pytest.fixture(autouse=True)
def administrator(sandbox: Sandbox) -> None:
    """Make the connection's account one that may have extracts."""
    account = sandbox.service.accounts.get("data_manager")
    assert account
    account.user_type = "Tech Admin"


def run(sandbox: Sandbox, created: str, **details: Any) -> str:
    """Let the extract run once, and give the uuid of the run."""
    return sandbox.extract(job_uuid=EXTRACT_JOB, created=created, **{"content": CONTENT} | details)["execution_uuid"]


def fetching(output_uri: Any, **arguments: Any) -> OpenClinicaDownloadExtractOperator:
    usual = {"study_oid": "S_JUNO", "extract_job_uuid": EXTRACT_JOB}
    return OpenClinicaDownloadExtractOperator(task_id="fetch", output_uri=output_uri, **usual | arguments)


def fails_for_good(task: Task, operator: OpenClinicaDownloadExtractOperator, error: type[Exception]) -> str:
    with pytest.raises(AirflowFailException) as caught:
        task.run(operator)
    assert isinstance(caught.value.__cause__, error)
    return str(caught.value)


def test_the_newest_file_is_fetched_as_it_came(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    newest = run(sandbox, "2026-10-27T12:00:00+00:00", content=CONTENT + "new\n", file_name="all data.csv")
    run(sandbox, "2026-10-26T12:00:00+00:00")
    target = tmp_path / "extracts" / "juno.csv"

    found = task.run(fetching(str(target)))

    assert json.loads(json.dumps(found)) == found
    assert target.read_text() == CONTENT + "new\n"
    assert found == {
        "execution_uuid": newest,
        "date_created": "2026-10-27T12:00:00+00:00",
        "file_name": "all data.csv",
        "output_uri": str(target),
        "size": target.stat().st_size,
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
    }
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_the_file_of_one_run_is_fetched_into_a_folder(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    wanted = run(sandbox, "2026-10-26T12:00:00+00:00", file_name="juno.zip")
    run(sandbox, "2026-10-27T12:00:00+00:00")

    found = task.run(fetching(f"{tmp_path}/", execution_uuid=wanted))

    assert (found["execution_uuid"], found["output_uri"]) == (wanted, f"{tmp_path}/{wanted}.zip")
    assert (tmp_path / f"{wanted}.zip").read_text() == CONTENT


def test_a_file_of_many_megabytes_arrives_whole(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    run(sandbox, "", size=9 << 20)

    found = task.run(fetching(tmp_path / "large.csv"))

    assert (tmp_path / "large.csv").stat().st_size == found["size"] >= 9 << 20


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        pytest.param(None, "no file yet", id="no-run-is-over"),
        pytest.param(NOBODYS, "does not have that run", id="that-run-is-not-there"),
    ],
)
def test_a_run_that_is_not_there_yet_is_asked_for_again(
    sandbox: Sandbox, task: Task, tmp_path: Path, wanted: str | None, words: str
) -> None:
    run(sandbox, "", state="running")

    with pytest.raises(FileUnavailableError, match=words):
        task.run(fetching(tmp_path / "a.csv", execution_uuid=wanted))

    assert list(tmp_path.glob("*.csv")) == []


def test_a_file_that_goes_after_the_list_was_read_is_asked_for_again(
    sandbox: Sandbox, task: Task, tmp_path: Path
) -> None:
    run(sandbox, "")
    sandbox.fault("status", path="*/dataset", status=404, body=f"The file reference for {NOBODYS} has been deleted.")

    with pytest.raises(FileUnavailableError, match="not yet or no longer"):
        task.run(fetching(tmp_path / "a.csv"))

    assert task.run(fetching(tmp_path / "a.csv"))["size"] == len(CONTENT)


def test_a_file_that_is_lost_on_the_server_leaves_nothing_here(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    run(sandbox, "", state="lost")

    with pytest.raises(ServerUnavailableError, match="gone from its disk"):
        task.run(fetching(tmp_path / "a.csv"))

    assert list(tmp_path.glob("*.csv")) == []


def test_an_account_of_another_user_type_fails_for_good(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    run(sandbox, "")
    account = sandbox.service.accounts.get("data_manager")
    assert account
    account.user_type = "User"

    assert "techadmin" in fails_for_good(task, fetching(tmp_path / "a.csv"), RoleError)


def test_a_refused_download_costs_no_new_token(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    run(sandbox, "")
    sandbox.fault("status", path="*/dataset", status=401, body="Insufficient privileges.")

    fails_for_good(task, fetching(tmp_path / "a.csv"), RoleError)

    asked = [request["path"].rpartition("/")[2] for request in sandbox.requests()]
    assert asked == ["token", "jobExecutions", "dataset"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param({"study_oid": "S_NONE"}, NotFoundError, id="no-such-study"),
        pytest.param({"extract_job_uuid": NOBODYS}, NotFoundError, id="no-such-extract"),
    ],
)
def test_what_is_not_there_fails_for_good(
    sandbox: Sandbox, task: Task, tmp_path: Path, arguments: dict[str, str], error: type[Exception]
) -> None:
    run(sandbox, "")
    fails_for_good(task, fetching(tmp_path / "a.csv", **arguments), error)


def test_a_server_without_extracts_fails_for_good(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    sandbox.fault("status", path="*/jobExecutions", status=404)

    assert "gives out no extracts" in fails_for_good(task, fetching(tmp_path / "a.csv"), NotAvailableError)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param({"study_oid": ""}, "study_oid is empty", id="study"),
        pytest.param({"extract_job_uuid": "None"}, "extract_job_uuid is not a uuid", id="extract"),
        pytest.param({"execution_uuid": ""}, "execution_uuid is not a uuid", id="run"),
        pytest.param({"output_uri": ""}, "output_uri is not the address", id="target"),
        pytest.param({"output_uri": "nowhere://bucket/a.csv"}, "nowhere://", id="unknown-storage"),
    ],
)
def test_arguments_that_rendered_to_nothing_are_refused_before_anything_is_sent(
    sandbox: Sandbox, task: Task, tmp_path: Path, arguments: dict[str, str], words: str
) -> None:
    assert words in fails_for_good(task, fetching(**{"output_uri": tmp_path / "a.csv"} | arguments), ConfigurationError)
    assert sandbox.requests() == []

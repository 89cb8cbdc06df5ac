"""Casebooks, against a running OpenClinica in both dialects."""

from __future__ import annotations

import hashlib
import json
import stat
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_openclinica.errors import (
    ConfigurationError,
    JobFailedError,
    JobTimeoutError,
    NotAvailableError,
    NotFoundError,
)
from airflow_provider_openclinica.operators import fetched
from airflow_provider_openclinica.operators.participants import OpenClinicaCasebookOperator
from tests.operators.contacts import fails_for_good
from tests.tasks import event_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task

pytestmark = pytest.mark.usefixtures("openclinica_conn")

WHO = "BOS-001"
both_ways = pytest.mark.parametrize("deferrable", [False, True], ids=["in-the-worker", "deferred"])


@pytest.fixture
def printing(sandbox: Sandbox) -> Sandbox:
    """An OpenClinica that makes casebooks for programs, too."""
    sandbox.configure(casebook=True)
    return sandbox


def printed(output_uri: Any, **arguments: Any) -> OpenClinicaCasebookOperator:
    place = {"study_oid": "S_JUNO", "site_oid": "S_BOSTON", "participant_id": WHO}
    return OpenClinicaCasebookOperator(
        task_id="casebook", output_uri=str(output_uri), **place | {"poll_interval": 0.05, "timeout": 60} | arguments
    )


@both_ways
def test_the_casebook_is_stored_as_a_pdf(printing: Sandbox, task: Task, tmp_path: Path, deferrable: bool) -> None:
    path = tmp_path / "out" / "casebook.pdf"

    result = task.run(printed(path, deferrable=deferrable))

    assert path.read_bytes().startswith(b"%PDF")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert result == {
        "job_type": "PARTICIPANT_PDF_CASEBOOK",
        "status": "finished",
        "participant_id": WHO,
        "job_uuid": task.ti.xcoms["job_uuid"],
        "output_uri": str(path),
        "size": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    assert json.loads(json.dumps(result)) == result


def test_in_a_folder_it_is_named_by_its_job(printing: Sandbox, task: Task, tmp_path: Path) -> None:
    task.run(printed(f"{tmp_path}/out/"))

    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{task.ti.xcoms['job_uuid']}.pdf"]


def test_paper_margin_and_direction_are_what_was_asked_for(printing: Sandbox, task: Task, tmp_path: Path) -> None:
    task.run(printed(tmp_path / "casebook.pdf", format="Letter", margin="1cm", landscape=True))

    (asked,) = [request for request in printing.requests() if request["path"].endswith("/casebook")]
    assert "792" in (tmp_path / "casebook.pdf").read_bytes().decode("latin-1")  # points of the longer side
    assert asked["method"] == "POST"


@both_ways
def test_the_log_names_nobody(
    printing: Sandbox, task: Task, tmp_path: Path, told: Callable[[], str], deferrable: bool
) -> None:
    task.run(printed(f"{tmp_path}/{WHO}.pdf", deferrable=deferrable))

    assert [secret for secret in (WHO, "SS_BOS001") if secret in told()] == []


@both_ways
def test_text_under_the_name_of_a_pdf_is_a_failure_that_quotes_nothing(
    printing: Sandbox, task: Task, tmp_path: Path, deferrable: bool
) -> None:
    printing.fate("failed")

    with pytest.raises(JobFailedError, match="a retry asks for it anew") as caught:
        task.run(printed(f"{tmp_path}/out/", deferrable=deferrable))

    assert [secret for secret in (WHO, "SS_BOS001", "Error Detail") if secret in str(caught.value)] == []
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("fate", ["log_gone", "empty_log"])
def test_a_job_without_a_file_has_failed_and_a_retry_asks_anew(
    printing: Sandbox, task: Task, tmp_path: Path, fate: str
) -> None:
    printing.fate(fate)
    with pytest.raises(JobFailedError):
        task.run(printed(tmp_path / "casebook.pdf"))

    task.ti.retry()

    assert task.run(printed(tmp_path / "casebook.pdf"))["size"]


def test_a_job_that_never_ends_is_a_timeout(printing: Sandbox, task: Task, tmp_path: Path) -> None:
    printing.fate("stuck")

    with pytest.raises(JobTimeoutError, match="a retry asks for it anew"):
        task.run(printed(tmp_path / "casebook.pdf", timeout=0.2))


def test_a_server_that_makes_casebooks_for_people_only_is_not_asked_twice(
    sandbox: Sandbox, task: Task, tmp_path: Path
) -> None:
    assert "web page" in fails_for_good(task, printed(tmp_path / "casebook.pdf"), NotAvailableError)
    assert [(job["type"], job["status"]) for job in sandbox.jobs()] == [("PARTICIPANT_PDF_CASEBOOK", "IN_PROGRESS")]


def test_a_download_that_breaks_off_is_begun_again(
    printing: Sandbox, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetched, "PAUSES", (0.01, 0.01))
    operator = printed(tmp_path / "casebook.pdf", deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(task.context)
    event = event_of(deferred.value.trigger)
    printing.fault("cut_body", path="jobs/*/downloadFile", size=20)

    stored = operator.resume(task.context, event)

    assert stored["sha256"] == hashlib.sha256((tmp_path / "casebook.pdf").read_bytes()).hexdigest()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["casebook.pdf"]


@pytest.mark.parametrize("delete", [False, True])
def test_what_the_server_keeps_is_deleted_on_request(
    printing: Sandbox, task: Task, tmp_path: Path, delete: bool
) -> None:
    task.run(printed(tmp_path / "casebook.pdf", delete_job_files=delete))

    assert [job["status"] for job in printing.jobs()] == ["DELETED" if delete else "COMPLETED"]


@pytest.mark.parametrize(
    "place",
    [{"participant_id": "BOS-999"}, {"participant_id": "bos-001"}, {"site_oid": "S_LEIDEN"}, {"site_oid": None}],
    ids=["nobody", "another-letter-case", "another-site", "not-at-the-study-itself"],
)
def test_whoever_is_not_right_there_is_not_found(
    printing: Sandbox, task: Task, tmp_path: Path, place: dict[str, Any]
) -> None:
    message = fails_for_good(task, printed(tmp_path / "casebook.pdf", **place), NotFoundError)

    assert "participantNotFound" in message
    assert place.get("participant_id", WHO) not in message


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        pytest.param({"study_oid": ""}, "study_oid", id="no-study"),
        pytest.param({"participant_id": ""}, "participant_id", id="nobody"),
        pytest.param({"participant_id": None}, "participant_id", id="somebody-who-rendered-to-nothing"),
        pytest.param({"participant_id": "*"}, "participant_id", id="everybody"),
        pytest.param({"output_uri": ""}, "output_uri", id="no-place"),
    ],
)
def test_a_bad_argument_is_named_and_nothing_is_sent(
    printing: Sandbox, task: Task, tmp_path: Path, arguments: dict[str, Any], named: str
) -> None:
    operator = printed(tmp_path / "casebook.pdf")
    for name, value in arguments.items():
        setattr(operator, name, value)

    assert named in fails_for_good(task, operator, ConfigurationError)
    assert printing.requests() == []


@pytest.mark.parametrize(
    "layout", [{"format": "A7"}, {"format": None}, {"margin": "wide"}], ids=["paper", "no-paper", "margin"]
)
def test_a_layout_that_openclinica_does_not_know_is_refused_when_the_dag_is_read(layout: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        printed("casebook.pdf", **layout)


def test_what_is_templated_is_said() -> None:
    assert set(OpenClinicaCasebookOperator.template_fields) == {
        "participant_id",
        "study_oid",
        "site_oid",
        "output_uri",
        "openclinica_conn_id",
    }

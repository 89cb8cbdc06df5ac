"""Waiting for a new file of a scheduled extract, against a running OpenClinica, poking and deferred."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout

from airflow_provider_openclinica.client import retries
from airflow_provider_openclinica.errors import ConfigurationError, NotFoundError, RoleError
from airflow_provider_openclinica.sensors.extracts import OpenClinicaExtractSensor

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task

pytestmark = pytest.mark.usefixtures("openclinica_conn")

EXTRACT_JOB = "0b1e9d3c-31d4-4c8f-8a27-50a1b7a0f6f1"
MORNING, NOON = "2026-10-26T08:00:00+00:00", "2026-10-26T12:00:00+00:00"

in_both_modes = pytest.mark.parametrize("deferrable", [False, True], ids=["poking", "deferred"])


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait milliseconds between the tries of a request."""
    monkeypatch.setattr(retries, "_FIRST_WAIT", 0.01)


@pytest.fixture(autouse=True)
def administrator(sandbox: Sandbox) -> None:
    """Make the connection's account one that may have extracts."""
    account = sandbox.service.accounts.get("data_manager")
    assert account
    account.user_type = "Business Admin"


def run(sandbox: Sandbox, created: str, **details: Any) -> str:
    """Let the extract run once, and give the uuid of the run."""
    return sandbox.extract(job_uuid=EXTRACT_JOB, created=created, **details)["execution_uuid"]


def sensing(**arguments: Any) -> OpenClinicaExtractSensor:
    usual: dict[str, Any] = {"study_oid": "S_JUNO", "extract_job_uuid": EXTRACT_JOB}
    return OpenClinicaExtractSensor(task_id="wait", **usual | {"poke_interval": 0.05, "timeout": 60} | arguments)


@in_both_modes
def test_the_newest_run_is_told(sandbox: Sandbox, task: Task, deferrable: bool) -> None:
    newest = run(sandbox, NOON)
    run(sandbox, MORNING)

    assert task.run(sensing(deferrable=deferrable)) == {"execution_uuid": newest, "date_created": NOON}


@pytest.mark.parametrize(
    ("newer_than", "is_new"),
    [
        pytest.param(None, True, id="any"),
        pytest.param("2026-10-26T11:59:59Z", True, id="a-second-before"),
        pytest.param(NOON, False, id="the-same-moment"),
        pytest.param("2026-10-26T13:00:00+02:00", True, id="another-zone"),
        pytest.param("2026-10-26T12:00", False, id="without-a-zone-means-utc"),
        pytest.param("2026-10-26", True, id="a-day"),
        pytest.param(datetime(2026, 10, 26, 13, tzinfo=UTC), False, id="a-datetime"),
    ],
)
def test_only_a_run_after_that_moment_is_new(
    sandbox: Sandbox, task: Task, newer_than: str | datetime | None, is_new: bool
) -> None:
    run(sandbox, NOON)

    assert bool(sensing(newer_than=newer_than).poke(task.context)) is is_new


def test_a_run_that_is_not_over_is_waited_for(sandbox: Sandbox, task: Task) -> None:
    run(sandbox, NOON, state="running")
    assert not sensing().poke(task.context)

    run(sandbox, MORNING)
    assert sensing().poke(task.context)


@in_both_modes
def test_an_old_file_only_is_a_sensors_timeout(sandbox: Sandbox, task: Task, deferrable: bool) -> None:
    run(sandbox, MORNING)

    with pytest.raises(AirflowSensorTimeout):
        task.run(sensing(newer_than=NOON, timeout=0.2, deferrable=deferrable))


def test_a_server_that_is_down_is_asked_again(sandbox: Sandbox, task: Task) -> None:
    run(sandbox, NOON)
    sandbox.fault("status", path="*/jobExecutions", status=503, times=None)
    assert not sensing().poke(task.context)

    sandbox.service.faults.clear()
    assert sensing().poke(task.context)


@in_both_modes
@pytest.mark.parametrize(
    ("arguments", "user_type", "error"),
    [
        pytest.param({"extract_job_uuid": EXTRACT_JOB[::-1]}, "Tech Admin", NotFoundError, id="no-such-extract"),
        pytest.param({"study_oid": "S_NONE"}, "Tech Admin", NotFoundError, id="no-such-study"),
        pytest.param({}, "User", RoleError, id="another-user-type"),
    ],
)
def test_what_will_never_come_fails_for_good(
    sandbox: Sandbox, task: Task, deferrable: bool, arguments: dict[str, str], user_type: str, error: type[Exception]
) -> None:
    run(sandbox, NOON)
    account = sandbox.service.accounts.get("data_manager")
    assert account
    account.user_type = user_type

    with pytest.raises(AirflowFailException) as caught:
        task.run(sensing(deferrable=deferrable, **arguments))
    assert isinstance(caught.value.__cause__, error)


@in_both_modes
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param({"study_oid": ""}, "study_oid is empty", id="study"),
        pytest.param({"extract_job_uuid": ""}, "extract_job_uuid is not a uuid", id="extract"),
        pytest.param({"newer_than": ""}, "newer_than is no moment", id="nothing"),
        pytest.param({"newer_than": "None"}, "newer_than is no moment", id="none-in-words"),
        pytest.param({"newer_than": 12}, "newer_than is no moment", id="a-number"),
    ],
)
def test_arguments_that_rendered_to_nothing_are_refused_before_anything_is_sent(
    sandbox: Sandbox, task: Task, deferrable: bool, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(AirflowFailException, match=words) as caught:
        task.run(sensing(deferrable=deferrable, **arguments))

    assert isinstance(caught.value.__cause__, ConfigurationError)
    assert sandbox.requests() == []

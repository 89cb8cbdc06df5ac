"""Waiting until no job of a study is running, against a running OpenClinica."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout

from airflow_provider_openclinica.client import retries
from airflow_provider_openclinica.errors import ConfigurationError, NotAvailableError, NotFoundError
from airflow_provider_openclinica.sensors.jobs import OpenClinicaNoRunningJobsSensor
from tests.sandbox.calls import Caller, odm

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task

pytestmark = pytest.mark.usefixtures("openclinica_conn")

with_job_list = pytest.mark.parametrize("dialect", ["source"])


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait milliseconds between the tries of a request."""
    monkeypatch.setattr(retries, "_FIRST_WAIT", 0.01)


def sensing(**arguments: Any) -> OpenClinicaNoRunningJobsSensor:
    usual: dict[str, Any] = {"study_oid": "S_JUNO", "poke_interval": 0.05, "timeout": 20}
    return OpenClinicaNoRunningJobsSensor(task_id="quiet", **usual | arguments)


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Return a function that gives what was logged; where a task's log goes depends on the Airflow."""
    caplog.set_level(logging.INFO)
    return lambda: "".join(capfd.readouterr()) + caplog.text


def is_quiet(task: Task, **arguments: Any) -> bool:
    return bool(sensing(**arguments).poke(task.context))


@with_job_list
def test_a_study_without_jobs_is_quiet(sandbox: Sandbox, task: Task) -> None:
    assert is_quiet(task)


@with_job_list
def test_it_waits_until_the_last_job_has_ended(sandbox: Sandbox, task: Task) -> None:
    sandbox.fate("stuck")
    Caller(sandbox).submit()

    assert not is_quiet(task)
    sandbox.release()
    task.run(sensing())
    assert [job["status"] for job in sandbox.jobs()] == ["COMPLETED"]


@with_job_list
@pytest.mark.parametrize("fate", ["failed", "log_gone", "empty_log"])
def test_a_job_that_ended_badly_is_no_longer_in_the_way(sandbox: Sandbox, task: Task, fate: str) -> None:
    sandbox.fate(fate)
    Caller(sandbox).submit()

    task.run(sensing())


@with_job_list
def test_a_stuck_job_is_named_until_somebody_deletes_it(sandbox: Sandbox, task: Task, said: Callable[[], str]) -> None:
    sandbox.fate("stuck")
    manager = Caller(sandbox)
    uuid = manager.submitted()

    assert not is_quiet(task)
    assert f"Still running: {uuid}" in said()

    manager.call("DELETE", f"jobs/{uuid}")
    assert is_quiet(task)


@with_job_list
def test_many_jobs_do_not_fill_the_log(sandbox: Sandbox, task: Task, said: Callable[[], str]) -> None:
    sandbox.fate("stuck", times=7)
    manager = Caller(sandbox)
    for _ in range(7):
        manager.submit()

    assert not is_quiet(task)
    assert "and 2 more" in said()


@with_job_list
def test_a_site_is_quiet_while_another_is_at_work(sandbox: Sandbox, task: Task) -> None:
    sandbox.fate("stuck")
    Caller(sandbox).submit(odm(study="S_BOSTON"))

    assert not is_quiet(task)
    assert not is_quiet(task, site_oid="S_BOSTON")
    assert is_quiet(task, site_oid="S_LEIDEN")


@with_job_list
def test_a_status_nobody_has_seen_counts_as_running(sandbox: Sandbox, task: Task) -> None:
    listed = '[{"uuid": "6c325687-c3c3-41f6-9b98-154ef3352cb1", "status": "IN_QUEUE"}]'
    sandbox.fault("status", path="studies/*", status=200, body=listed)

    assert not is_quiet(task)
    assert is_quiet(task)


@with_job_list
def test_a_job_that_does_not_end_is_a_sensors_timeout(sandbox: Sandbox, task: Task) -> None:
    sandbox.fate("stuck")
    Caller(sandbox).submit()

    with pytest.raises(AirflowSensorTimeout):
        task.run(sensing(timeout=0.3))


@with_job_list
def test_a_server_that_is_down_is_asked_again(sandbox: Sandbox, task: Task, said: Callable[[], str]) -> None:
    sandbox.fault("status", path="studies/*", status=503, times=None)

    assert not is_quiet(task)
    assert "will ask again" in said()

    sandbox.service.faults.clear()
    assert is_quiet(task)


@with_job_list
@pytest.mark.parametrize("deferrable", [False, True], ids=["poking", "deferred"])
def test_it_waits_in_a_worker_or_in_the_triggerer(sandbox: Sandbox, task: Task, deferrable: bool) -> None:
    listed = '[{"uuid": "6c325687-c3c3-41f6-9b98-154ef3352cb1", "status": "IN_PROGRESS"}]'
    sandbox.fault("status", path="studies/*", status=200, body=listed, times=2)

    task.run(sensing(deferrable=deferrable))

    assert len([request for request in sandbox.requests() if request["path"].endswith("/jobs")]) == 3


@with_job_list
def test_deferred_a_job_that_does_not_end_is_a_sensors_timeout_too(sandbox: Sandbox, task: Task) -> None:
    sandbox.fate("stuck")
    Caller(sandbox).submit()

    with pytest.raises(AirflowSensorTimeout, match="no job of S_JUNO is running"):
        task.run(sensing(timeout=0.2, deferrable=True))


@pytest.mark.parametrize(
    ("dialect", "arguments", "error"),
    [
        pytest.param("docs", {}, NotAvailableError, id="no-job-list"),
        pytest.param("source", {"study_oid": "S_NONE"}, NotFoundError, id="no-such-study"),
        pytest.param("source", {"study_oid": ""}, ConfigurationError, id="a-template-that-rendered-to-nothing"),
    ],
)
def test_a_list_that_will_never_come_fails_the_sensor_for_good(
    sandbox: Sandbox, task: Task, arguments: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(AirflowFailException) as caught:
        is_quiet(task, **arguments)

    assert isinstance(caught.value.__cause__, error)

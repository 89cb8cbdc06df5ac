"""Waiting for a job, against a running OpenClinica."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.client.jobs import JobState
from airflow_provider_openclinica.engine.watch import GRACE_SECONDS, JITTER, JobWatch, wait
from airflow_provider_openclinica.errors import (
    JobFailedError,
    JobTimeoutError,
    JobUnknownError,
    LogGoneError,
    OpenClinicaError,
    RoleError,
    WaitInterruptedError,
)

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.engine.conftest import ClientFor, Submit

NOBODYS = "6c325687-c3c3-41f6-9b98-154ef3352cb1"
AN_HOUR = 3600.0

source_only = pytest.mark.parametrize("dialect", ["source"])
docs_only = pytest.mark.parametrize("dialect", ["docs"])


def watch_over(uuid: str, *, left: float = AN_HOUR, ago: float = 0.0, **fields: Any) -> JobWatch:
    """A watch that began a while ago and has so much time left."""
    now = time.time()
    known: dict[str, Any] = {"study_oid": "S_JUNO", "poll_interval": 0.02}
    return JobWatch(job_uuid=uuid, deadline=now + left, since=now - ago, **known | fields)


def wait_for(watch: JobWatch, client: OpenClinicaClient) -> None:
    wait(watch, client, threading.Event())


def test_a_wait_ends_when_the_log_can_be_had(sandbox: Sandbox, client: OpenClinicaClient, submit: Submit) -> None:
    sandbox.fate("stuck")
    watch = watch_over(submit())

    assert watch.look(client) is JobState.RUNNING
    sandbox.release()
    wait_for(watch, client)
    assert watch.look(client) is JobState.FINISHED


def test_a_watch_moves_to_another_process_as_json() -> None:
    watch = watch_over(NOBODYS, site_oid="S_BOSTON")

    assert JobWatch(**json.loads(json.dumps(asdict(watch)))) == watch


def test_a_busy_server_counts_as_a_running_job(
    sandbox: Sandbox, client: OpenClinicaClient, submit: Submit, caplog: pytest.LogCaptureFixture
) -> None:
    uuid = submit()
    sandbox.fault("status", path="jobs/*", status=503, times=None)
    watch = watch_over(uuid)

    assert watch.look(client) is JobState.RUNNING
    assert "will ask again" in caplog.text

    sandbox.service.faults.clear()
    wait_for(watch, client)


def test_a_server_out_of_reach_up_to_the_deadline_is_named_as_the_reason(
    sandbox: Sandbox, client: OpenClinicaClient, submit: Submit
) -> None:
    uuid = submit()
    sandbox.fault("status", path="jobs/*", status=503, times=None)

    with pytest.raises(JobTimeoutError, match=r"after 3 h, and OpenClinica cannot be asked") as caught:
        watch_over(uuid, left=-1, ago=3 * AN_HOUR).look(client)

    assert uuid in str(caught.value)
    assert caught.value.retry


def test_a_job_still_running_at_the_deadline_is_a_timeout_that_a_retry_can_mend(
    sandbox: Sandbox, client: OpenClinicaClient, submit: Submit
) -> None:
    sandbox.fate("stuck")
    uuid = submit()

    with pytest.raises(JobTimeoutError, match="Still running after 6 h") as caught:
        wait_for(watch_over(uuid, left=0.1, ago=6 * AN_HOUR), client)

    assert caught.value.retry


@source_only
def test_at_the_deadline_the_job_list_may_know_that_the_job_failed(
    sandbox: Sandbox, client: OpenClinicaClient, submit: Submit
) -> None:
    sandbox.fate("failed")
    uuid = submit()
    wait_until_listed_as(client, uuid, "FAILED")
    sandbox.fault("code", path=f"jobs/{uuid}/*", body="error.jobInProgress", times=None)

    with pytest.raises(JobFailedError):
        watch_over(uuid, left=-1).look(client)


@source_only
def test_a_failed_job_is_told_by_the_job_list(sandbox: Sandbox, client: OpenClinicaClient, submit: Submit) -> None:
    sandbox.fate("failed")
    uuid = submit()

    with pytest.raises(JobFailedError, match="gave the job up") as caught:
        wait_for(watch_over(uuid), client)

    assert (caught.value.job, caught.value.study) == (uuid, "S_JUNO")


@source_only
def test_a_completed_job_whose_log_is_gone_cannot_be_judged(
    sandbox: Sandbox, client: OpenClinicaClient, submit: Submit
) -> None:
    sandbox.fate("log_gone")

    with pytest.raises(LogGoneError, match="has completed the job, and its log is gone") as caught:
        wait_for(watch_over(submit()), client)

    assert not caught.value.retry


@source_only
def test_a_log_that_comes_late_is_waited_for_once_more(
    sandbox: Sandbox, client: OpenClinicaClient, submit: Submit
) -> None:
    uuid = submit()
    wait_until_listed_as(client, uuid, "COMPLETED")
    sandbox.fault("code", path=f"jobs/{uuid}/*", body="error.noLogFileFound")

    assert watch_over(uuid).look(client) is JobState.FINISHED


@docs_only
@pytest.mark.parametrize("fate", ["failed", "log_gone"])
def test_without_a_job_list_nobody_can_tell_why_there_is_no_log(
    sandbox: Sandbox, client: OpenClinicaClient, submit: Submit, fate: str
) -> None:
    sandbox.fate(fate)

    with pytest.raises(LogGoneError, match="whether it completed or failed is unknown"):
        wait_for(watch_over(submit()), client)


def test_a_job_unknown_at_first_is_given_time(client: OpenClinicaClient) -> None:
    assert watch_over(NOBODYS).look(client) is JobState.UNKNOWN


def test_a_job_unknown_for_long_is_unknown(client: OpenClinicaClient) -> None:
    with pytest.raises(JobUnknownError, match="no such job") as caught:
        watch_over(NOBODYS, ago=GRACE_SECONDS).look(client)

    assert "active study" in str(caught.value)


@source_only
def test_a_job_in_the_list_whose_log_is_unknown_points_to_the_active_study(
    sandbox: Sandbox, client: OpenClinicaClient, submit: Submit
) -> None:
    uuid = submit()
    sandbox.fault("code", path=f"jobs/{uuid}/*", status=404, body="error.invalidUuid", times=None)

    with pytest.raises(JobUnknownError, match="active study is another one") as caught:
        watch_over(uuid, ago=GRACE_SECONDS).look(client)

    assert caught.value.retry


def test_somebody_elses_job_is_refused_with_what_to_do(client_for: ClientFor, submit: Submit) -> None:
    uuid = submit()

    with pytest.raises(RoleError, match="by another account") as caught:
        wait_for(watch_over(uuid), client_for("second_manager"))

    assert "Use the connection" in str(caught.value)


def test_a_refused_password_ends_the_watch(sandbox: Sandbox, client: OpenClinicaClient, submit: Submit) -> None:
    uuid = submit()
    sandbox.fault("status", path="jobs/*", status=401, times=None)

    with pytest.raises(OpenClinicaError) as caught:
        watch_over(uuid).look(client)

    assert not caught.value.retry


def test_a_killed_task_stops_waiting_at_once(sandbox: Sandbox, client: OpenClinicaClient, submit: Submit) -> None:
    sandbox.fate("stuck")
    watch, killed = watch_over(submit(), poll_interval=AN_HOUR), threading.Event()
    threading.Timer(0.3, killed.set).start()
    began = time.monotonic()

    with pytest.raises(WaitInterruptedError) as caught:
        wait(watch, client, killed)

    assert time.monotonic() - began < 60  # and not an hour
    assert caught.value.retry


def test_pauses_grow_to_ten_times_the_first_with_jitter() -> None:
    watch = watch_over(NOBODYS, poll_interval=10.0)
    pauses = []
    for looks in range(1, 200):
        watch.looks = looks
        pauses.append(watch.pause())

    assert 10 * (1 - JITTER) <= pauses[0] <= 10 * (1 + JITTER)
    assert pauses[3] > pauses[0]
    assert all(100 * (1 - JITTER) <= pause <= 100 * (1 + JITTER) for pause in pauses[10:])
    assert len(set(pauses[10:])) > 100


@pytest.mark.parametrize("left", [-5.0, 0.0, 3.0])
def test_no_pause_goes_past_the_deadline(left: float) -> None:
    assert watch_over(NOBODYS, poll_interval=10.0, left=left).pause() <= max(0.0, left)


def wait_until_listed_as(client: OpenClinicaClient, uuid: str, status: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(job.uuid == uuid and job.status == status for job in client.jobs.list("S_JUNO")):
            return
        time.sleep(0.05)
    raise AssertionError(f"the job did not become {status}")

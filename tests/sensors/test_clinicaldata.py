"""Waiting for the status of a participant, an event or a form, against a running OpenClinica in both dialects."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, TaskDeferred

from airflow_provider_openclinica.client import retries
from airflow_provider_openclinica.engine.questions import Ended, write_ended
from airflow_provider_openclinica.errors import ConfigurationError, NotFoundError, OpenClinicaError
from airflow_provider_openclinica.sensors.clinicaldata import (
    OpenClinicaEventStatusSensor,
    OpenClinicaFormStatusSensor,
    OpenClinicaParticipantStatusSensor,
)
from tests.documents import FIRST, OF_LEIDEN, SECRETS, found_in, labs
from tests.exports import event, export, form
from tests.sandbox.calls import Caller

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from airflow_provider_openclinica.sensors.polling import PollingSensor
    from tests.tasks import Task

pytestmark = pytest.mark.usefixtures("openclinica_conn")

NOBODY = "BOS-404"
RETRIEVAL = "clinicaldata/S_*/*/*/*"
both_modes = pytest.mark.parametrize("deferrable", [False, True], ids=["poking", "deferred"])


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait milliseconds between the tries of a request."""
    monkeypatch.setattr(retries, "_FIRST_WAIT", 0.01)


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Return a function that gives what was logged; where a task's log goes depends on the Airflow."""
    caplog.set_level(logging.INFO)
    return lambda: "".join(capfd.readouterr()) + caplog.text


USUAL: dict[str, Any] = {"task_id": "wait", "study_oid": "S_JUNO", "poke_interval": 0.05, "timeout": 60}


def for_participant(**arguments: Any) -> OpenClinicaParticipantStatusSensor:
    usual = {"participant_id": "BOS-007", "status": "removed"}
    return OpenClinicaParticipantStatusSensor(**USUAL | usual | arguments)


def for_event(**arguments: Any) -> OpenClinicaEventStatusSensor:
    usual = {"participant_id": FIRST, "study_event_oid": "SE_BASELINE", "status": "completed"}
    return OpenClinicaEventStatusSensor(**USUAL | usual | arguments)


def for_form(**arguments: Any) -> OpenClinicaFormStatusSensor:
    usual = {
        "participant_id": FIRST,
        "study_event_oid": "SE_BASELINE",
        "form_oid": "F_LABS",
        "status": "data entry complete",
    }
    return OpenClinicaFormStatusSensor(**USUAL | usual | arguments)


each_sensor = pytest.mark.parametrize(
    "sensing", [for_participant, for_event, for_form], ids=["participant", "event", "form"]
)


def answers(sandbox: Sandbox, body: str, *, times: int | None = None, status: int = 200) -> None:
    """Let retrievals be answered with this."""
    headers = {"Content-Type": "application/xml;charset=UTF-8"}
    sandbox.fault("status", path=RETRIEVAL, method="GET", status=status, headers=headers, body=body, times=times)


def baseline(status: str, of_form: str = "") -> str:
    """Write the answer about the baseline visit and its laboratory form."""
    return export(event(form("F_LABS", oc_WorkflowStatus=of_form), oid="SE_BASELINE", oc_WorkflowStatus=status))


# Reached


@both_modes
def test_a_participant_who_has_the_status_ends_the_wait(sandbox: Sandbox, task: Task, deferrable: bool) -> None:
    assert task.run(for_participant(deferrable=deferrable)) == "removed"


@both_modes
def test_data_that_came_in_show_in_event_and_form(sandbox: Sandbox, task: Task, deferrable: bool) -> None:
    manager = Caller(sandbox)
    manager.finished(manager.submitted(labs(FIRST, study="S_JUNO").encode()))

    assert task.run(for_event(status="DATA_ENTRY_STARTED", deferrable=deferrable)) == "data entry started"
    assert task.run(for_form(status="initial-data-entry", deferrable=deferrable)) == "initial data entry"
    assert not for_event().poke(task.context)
    assert not for_form(form_oid="F_VITALS", status="initial data entry").poke(task.context)


@both_modes
def test_it_waits_until_the_status_is_reached(sandbox: Sandbox, task: Task, deferrable: bool) -> None:
    answers(sandbox, export(), times=1)
    answers(sandbox, baseline("data entry started", of_form="initial data entry"), times=1)
    answers(sandbox, baseline("completed", of_form="data entry complete"), times=1)

    assert task.run(for_event(status=["stopped", "completed"], deferrable=deferrable)) == "completed"
    assert len([request for request in sandbox.requests() if "SE_BASELINE" in request["path"]]) == 3


def test_each_poke_is_one_look_so_that_a_sensor_can_be_rescheduled(sandbox: Sandbox, task: Task) -> None:
    answers(sandbox, baseline("scheduled"), times=1)
    answers(sandbox, baseline("completed"), times=1)

    assert not for_event(mode="reschedule").poke(task.context)
    reached = for_event(mode="reschedule").poke(task.context)
    assert reached
    assert reached.xcom_value == "completed"


def test_a_later_occurrence_is_named_by_its_repeat_key(sandbox: Sandbox, task: Task) -> None:
    second = event(oid="SE_FOLLOWUP", repeat="2", oc_Status="skipped")
    answers(sandbox, export(event(oid="SE_FOLLOWUP", repeat="1", oc_Status="completed"), second))

    sensor = for_event(study_event_oid="SE_FOLLOWUP", study_event_repeat_key=2, status=["completed", "skipped"])
    assert task.run(sensor) == "skipped"


# Not reached


@both_modes
@each_sensor
def test_who_is_not_there_fails_it_for_good(
    sandbox: Sandbox,
    task: Task,
    said: Callable[[], str],
    sensing: Callable[..., PollingSensor],
    deferrable: bool,
) -> None:
    with pytest.raises(AirflowFailException) as caught:
        task.run(sensing(participant_id=NOBODY, deferrable=deferrable))

    assert isinstance(caught.value.__cause__, NotFoundError)
    assert found_in(str(caught.value) + said(), (*SECRETS, NOBODY)) == []


@both_modes
def test_a_status_that_is_not_reached_in_time_is_a_sensors_timeout(
    sandbox: Sandbox, task: Task, said: Callable[[], str], deferrable: bool
) -> None:
    with pytest.raises(AirflowSensorTimeout) as caught:
        task.run(for_event(timeout=0.2, deferrable=deferrable))

    text = said()
    assert "event SE_BASELINE, occurrence 1 is not there yet; waiting for completed" in text
    assert found_in(str(caught.value) + text) == []


def test_deferred_the_timeout_says_what_was_waited_for(sandbox: Sandbox, task: Task) -> None:
    with pytest.raises(
        AirflowSensorTimeout, match=r"waiting until form F_LABS of event SE_BASELINE.* no such event or form"
    ):
        task.run(for_form(timeout=0.2, deferrable=True))


@each_sensor
def test_a_server_that_is_down_is_asked_again(
    sandbox: Sandbox, task: Task, said: Callable[[], str], sensing: Callable[..., PollingSensor]
) -> None:
    sandbox.fault("status", path="clinicaldata/*", method="GET", status=503, times=None)

    assert not sensing(participant_id=OF_LEIDEN).poke(task.context)
    text = said()
    assert "will ask again" in text
    assert found_in(text) == []


def test_an_event_that_a_trigger_of_another_version_sent_is_no_success(task: Task) -> None:
    for sent in (None, {}, {"status": "success"}, write_ended(Ended(found="completed")) | {"version": 99}):
        with pytest.raises(AirflowFailException, match="not one of ours"):
            for_event().resume(task.context, sent)


def test_the_error_of_a_trigger_is_raised_in_the_task(task: Task) -> None:
    with pytest.raises(AirflowFailException, match="gone"):
        for_event().resume(task.context, write_ended(Ended(error=OpenClinicaError("gone"))))


# Deferred


@each_sensor
def test_what_goes_to_the_triggerer_is_checked_before(task: Task, sensing: Callable[..., PollingSensor]) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        sensing(deferrable=True, timeout=600).execute(task.context)

    assert deferred.value.timeout.total_seconds() > 600
    assert found_in(repr(deferred.value.trigger)) == []


# Bad input


@both_modes
@pytest.mark.parametrize(
    ("sensor", "arguments", "match"),
    [
        pytest.param(for_participant, {"status": "completed"}, "available, removed, signed", id="no-such-status"),
        pytest.param(for_event, {"status": "verified"}, "not scheduled", id="the-status-of-a-form"),
        pytest.param(for_form, {"status": ["locked", "scheduled"]}, "number 2", id="the-status-of-an-event"),
        pytest.param(for_event, {"status": ""}, "status", id="an-empty-status"),
        pytest.param(for_event, {"status": []}, "status", id="no-status"),
        pytest.param(for_participant, {"study_oid": ""}, "study_oid", id="no-study"),
        pytest.param(for_participant, {"participant_id": " "}, "participant_id", id="no-participant"),
        pytest.param(for_event, {"participant_id": "*"}, "participant_id", id="everybody"),
        pytest.param(for_event, {"study_event_oid": ""}, "study_event_oid", id="no-event"),
        pytest.param(for_event, {"study_event_oid": "*"}, "one event", id="every-event"),
        pytest.param(for_form, {"study_event_oid": "SE_A,SE_B"}, "one event", id="two-events"),
        pytest.param(for_form, {"study_event_oid": "SE_A[2]"}, "study_event_repeat_key", id="an-occurrence"),
        pytest.param(for_event, {"study_event_repeat_key": "0"}, "from 1", id="occurrence-zero"),
        pytest.param(for_event, {"study_event_repeat_key": "last"}, "from 1", id="an-occurrence-in-words"),
        pytest.param(for_event, {"study_event_repeat_key": None}, "from 1", id="no-occurrence"),
        pytest.param(for_form, {"form_oid": ""}, "form_oid", id="no-form"),
    ],
)
def test_an_argument_that_cannot_work_is_refused_before_any_request(
    sandbox: Sandbox,
    task: Task,
    sensor: Callable[..., PollingSensor],
    arguments: dict[str, Any],
    match: str,
    deferrable: bool,
) -> None:
    with pytest.raises(AirflowFailException, match=match) as caught:
        task.run(sensor(deferrable=deferrable, **arguments))

    assert isinstance(caught.value.__cause__, ConfigurationError)
    assert sandbox.requests() == []


@each_sensor
def test_every_argument_of_ours_is_templated(sensing: Callable[..., PollingSensor]) -> None:
    sensor = sensing()
    ours = {name for name in vars(sensor) if name.endswith(("_oid", "_id", "_key")) or name == "status"}

    assert ours - {"task_id"} <= set(sensor.template_fields)

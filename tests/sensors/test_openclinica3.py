"""Waiting for something in a running OpenClinica 3."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, TaskDeferred

from airflow_provider_openclinica.client import retries
from airflow_provider_openclinica.sensors.openclinica3 import (
    OpenClinica3AliveSensor,
    OpenClinica3EventSensor,
    OpenClinica3ParticipantSensor,
)
from tests.openclinica3 import FIRST, SECRETS, schedule_baseline

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox
    from airflow_provider_openclinica.sensors.polling import PollingSensor
    from tests.tasks import Task

pytestmark = pytest.mark.usefixtures("openclinica3_conn")

USUAL: dict[str, Any] = {"task_id": "wait", "poke_interval": 0.05, "timeout": 60}
PLACE: dict[str, Any] = {"study_oid": "S_JUNO", "site_oid": "S_BOSTON", "participant_id": FIRST}
PROBE = "/OpenClinica/pages/healthcheck/runtime"
both_modes = pytest.mark.parametrize("deferrable", [False, True], ids=["poking", "deferred"])


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait milliseconds between the tries of a request."""
    monkeypatch.setattr(retries, "_FIRST_WAIT", 0.01)


def for_participant(**arguments: Any) -> OpenClinica3ParticipantSensor:
    return OpenClinica3ParticipantSensor(**USUAL | PLACE | arguments)


def for_event(**arguments: Any) -> OpenClinica3EventSensor:
    usual = {"study_event_oid": "SE_BASELINE", "status": "scheduled"}
    return OpenClinica3EventSensor(**USUAL | PLACE | usual | arguments)


@both_modes
@pytest.mark.parametrize("status", [None, "available", ["removed", "AVAILABLE"]], ids=["there", "one", "several"])
def test_a_participant_is_there(task: Task, deferrable: bool, status: Any) -> None:
    found = task.run(for_participant(status=status, deferrable=deferrable))
    assert found == ("available" if status else "there")


@both_modes
def test_an_event_has_reached_a_status(sandbox3: Sandbox, task: Task, deferrable: bool) -> None:
    schedule_baseline(sandbox3)
    assert task.run(for_event(deferrable=deferrable)) == "scheduled"
    sandbox3.set_status("event", participant=FIRST, event="SE_BASELINE", status="completed")
    wanted = ["completed", "stopped"]
    assert task.run(for_event(deferrable=deferrable, status=wanted)) == "completed"


@both_modes
@pytest.mark.parametrize(
    "sensor",
    [
        pytest.param(lambda **more: for_participant(participant_id="BOS-999", **more), id="nobody-of-this-id"),
        pytest.param(lambda **more: for_participant(status="removed", **more), id="another-status"),
        pytest.param(lambda **more: for_event(**more), id="no-event-yet"),
        pytest.param(lambda **more: for_event(participant_id="BOS-999", **more), id="nobody-with-an-event"),
    ],
)
def test_what_is_not_there_yet_is_waited_for(sandbox3: Sandbox, task: Task, deferrable: bool, sensor: Any) -> None:
    with pytest.raises(AirflowSensorTimeout) as caught:
        task.run(sensor(deferrable=deferrable, timeout=0.2))
    assert not [secret for secret in (*SECRETS, "BOS-999") if secret in str(caught.value)]
    assert sandbox3.requests()


@both_modes
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"study_oid": "S_NONE", "site_oid": None}, "no such study"),
        ({"site_oid": "S_NONE"}, "no such study or site"),
    ],
)
def test_what_will_never_come_fails_at_once(task: Task, deferrable: bool, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(AirflowFailException, match=said):
        task.run(for_participant(deferrable=deferrable, **arguments))


@both_modes
@pytest.mark.parametrize(
    ("sensor", "said"),
    [
        (for_participant(status="asleep"), "does not exist"),
        (for_event(status=[]), "status"),
        (for_event(study_event_oid="*"), "study_event_oid"),
        (for_event(study_event_repeat_key="x"), "study_event_repeat_key"),
        (for_participant(participant_id=""), "participant_id"),
        (for_participant(study_oid=""), "study_oid"),
    ],
)
def test_a_bad_argument_is_told_before_anything_is_sent(
    sandbox3: Sandbox, task: Task, deferrable: bool, sensor: PollingSensor, said: str
) -> None:
    sensor.deferrable = deferrable
    with pytest.raises(AirflowFailException, match=said):
        task.run(sensor)
    assert sandbox3.requests() == []


@both_modes
def test_a_server_that_is_busy_is_asked_again(sandbox3: Sandbox, task: Task, deferrable: bool) -> None:
    sandbox3.fault("status", path="/OpenClinica-ws/*", status=503, times=2)
    assert task.run(for_participant(deferrable=deferrable)) == "there"


@both_modes
def test_a_sign_of_life_needs_no_account(sandbox3: Sandbox, task: Task, deferrable: bool) -> None:
    sandbox3.fault("status", path=PROBE, status=503, times=2)
    sandbox3.fault("drop_before", path=PROBE)
    assert task.run(OpenClinica3AliveSensor(**USUAL, deferrable=deferrable)) == "alive"
    assert {request["path"] for request in sandbox3.requests()} == {PROBE}


def test_no_sign_of_life_is_a_timeout(sandbox3: Sandbox, task: Task) -> None:
    sandbox3.fault("html", path=PROBE, times=None)
    with pytest.raises(AirflowSensorTimeout, match="answers"):
        task.run(OpenClinica3AliveSensor(**USUAL | {"timeout": 0.1}, deferrable=True))


def test_a_trigger_is_json_and_does_not_print_whom_it_is_about(task: Task) -> None:
    with pytest.raises(TaskDeferred) as caught:
        for_event(deferrable=True).execute(task.context)
    assert json.dumps(caught.value.trigger.serialize()[1])
    assert FIRST not in repr(caught.value.trigger)

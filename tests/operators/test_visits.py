"""Visits one by one, by operators, against a running OpenClinica in both dialects."""

from __future__ import annotations

import json
import logging
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException

from airflow_provider_openclinica.errors import ConfigurationError, ServerUnavailableError
from airflow_provider_openclinica.operators.events import (
    OpenClinicaCreateEventOperator,
    OpenClinicaUpdateEventOperator,
)
from tests.stores import StoreOfALostWorker, WorkerLost

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task

pytestmark = pytest.mark.usefixtures("openclinica_conn")

docs_only = pytest.mark.parametrize("dialect", ["docs"])
EVENTS = "clinicaldata/studies/*/events"
WHOSE: dict[str, Any] = {
    "study_oid": "S_JUNO",
    "site_oid": "S_BOSTON",
    "participant_id": "BOS-001",
    "study_event_oid": "SE_FOLLOWUP",
}


def creating(**options: Any) -> OpenClinicaCreateEventOperator:
    return OpenClinicaCreateEventOperator(
        task_id="visit", **{**WHOSE, "event_start_date": "2026-05-01", "retries": 0} | options
    )


def updating(**options: Any) -> OpenClinicaUpdateEventOperator:
    return OpenClinicaUpdateEventOperator(task_id="change", **{**WHOSE, "study_event_repeat_key": "1"} | options)


def fails(task: Task, operator: Any) -> str:
    with pytest.raises(AirflowFailException) as caught:
        task.run(operator)
    return str(caught.value)


def starts(sandbox: Sandbox) -> list[str]:
    return [each["start"] for each in sandbox.events()]


def writes(sandbox: Sandbox) -> list[str]:
    return [each["method"] for each in sandbox.requests() if each["path"].endswith("/events")]


def test_a_visit_is_scheduled_and_then_changed(
    sandbox: Sandbox, task: Task, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    created = task.run(creating(event_end_date="2026-05-02"))

    assert created == {
        "participant_id": "BOS-001",
        "study_event_oid": "SE_FOLLOWUP",
        "study_event_repeat_key": "1",
        "start_date": "2026-05-01",
        "end_date": "2026-05-02",
        "event_status": "scheduled",
        "created": True,
    }
    changed = task.run(updating(study_event_repeat_key=1, event_status="DATA_ENTRY_STARTED"))
    assert changed == created | {"event_status": "data entry started", "created": False}
    assert [each["status"] for each in sandbox.events()] == ["DATA_ENTRY_STARTED"]
    assert json.loads(json.dumps(changed)) == changed
    logged = "".join(capfd.readouterr()) + caplog.text
    assert "Event SE_FOLLOWUP is scheduled: occurrence 1" in logged
    assert "BOS-001" not in logged


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (" 2026-05-01 ", "2026-05-01"),
        (date(2026, 5, 1), "2026-05-01"),
        (datetime(2026, 5, 1, tzinfo=UTC), "2026-05-01"),
    ],
    ids=["text", "date", "midnight"],
)
def test_a_day_is_written_in_more_than_one_way(sandbox: Sandbox, task: Task, given: Any, sent: str) -> None:
    assert task.run(creating(event_start_date=given))["start_date"] == sent
    assert starts(sandbox) == [sent]


@docs_only
@pytest.mark.parametrize("given", ["2026-05-01 09:30", datetime(2026, 5, 1, 9, 30, tzinfo=UTC)], ids=["text", "moment"])
def test_a_time_of_day_goes_to_servers_that_take_one(sandbox: Sandbox, task: Task, given: Any) -> None:
    assert task.run(creating(event_start_date=given))["start_date"] == "2026-05-01 09:30"
    assert starts(sandbox) == ["2026-05-01 09:30"]


def test_a_retry_schedules_nothing_and_a_person_who_clears_the_task_does(sandbox: Sandbox, task: Task) -> None:
    first = task.run(creating())
    task.ti.retry()
    assert task.run(creating()) == first
    task.ti.clear()
    assert task.run(creating())["study_event_repeat_key"] == "2"
    assert len(starts(sandbox)) == 2


def test_a_lost_answer_costs_neither_the_task_nor_a_second_visit(sandbox: Sandbox, task: Task) -> None:
    sandbox.fault("drop_after", method="POST", path=EVENTS)
    assert task.run(creating())["created"] is True
    assert len(starts(sandbox)) == 1


def test_a_lost_visit_stops_the_task_for_good(sandbox: Sandbox, task: Task) -> None:
    sandbox.fault("drop_before", method="POST", path=EVENTS)
    message = fails(task, creating())
    assert "Look at the participant's events" in message
    assert "BOS-001" not in message
    task.ti.clear()
    assert task.run(creating())["study_event_repeat_key"] == "1"


def test_a_worker_that_dies_after_the_call_leaves_its_visit_to_the_retry(sandbox: Sandbox, task: Task) -> None:
    task.store = StoreOfALostWorker("before", "submitted")
    with pytest.raises(WorkerLost):
        task.run(creating())
    task.ti.retry()
    assert task.run(creating())["study_event_repeat_key"] == "1"
    assert len(starts(sandbox)) == 1


@pytest.mark.parametrize("was_sent", [False, True])
def test_without_a_store_a_retry_stops_where_a_visit_begins_on_that_day(
    sandbox: Sandbox, task: Task, was_sent: bool
) -> None:
    task.ti.max_tries = 1
    task.store = StoreOfALostWorker("before", "submitted" if was_sent else "submitting")
    with pytest.raises(WorkerLost):
        task.run(creating(retries=1))
    task.store = None
    task.ti.retry()
    if was_sent:
        assert "keeps no record" in fails(task, creating(retries=1))
    else:
        assert task.run(creating(retries=1))["study_event_repeat_key"] == "1"
    assert len(starts(sandbox)) == 1


def test_without_a_store_clearing_the_task_schedules_another_visit(sandbox: Sandbox, task: Task) -> None:
    task.store = None
    task.run(creating())
    task.ti.clear()
    assert task.run(creating())["study_event_repeat_key"] == "2"


def test_a_server_that_is_away_is_a_reason_to_retry(sandbox: Sandbox, task: Task) -> None:
    sandbox.fault("status", method="GET", path="clinicaldata/S_BOSTON/*", status=503, times=5)
    with pytest.raises(ServerUnavailableError):
        task.run(creating())
    task.ti.retry()
    assert task.run(creating())["study_event_repeat_key"] == "1"


def test_a_visit_that_is_there_may_be_a_success(sandbox: Sandbox, task: Task) -> None:
    task.run(creating(study_event_oid="SE_BASELINE"))
    task.ti.clear()
    assert "does not repeat" in fails(task, creating(study_event_oid="SE_BASELINE", event_start_date="2026-06-01"))
    task.ti.clear()
    there = task.run(creating(study_event_oid="SE_BASELINE", event_start_date="2026-06-01", if_exists="succeed"))
    assert (there["start_date"], there["study_event_repeat_key"], there["created"]) == ("2026-05-01", "1", False)
    assert starts(sandbox) == ["2026-05-01"]


NO_TEXT = [("study_oid", ""), ("site_oid", ""), ("participant_id", " "), ("participant_id", 7), ("study_event_oid", "")]


@pytest.mark.parametrize("make", [creating, updating])
@pytest.mark.parametrize(("argument", "given"), NO_TEXT)
def test_what_rendered_to_nothing_is_refused_and_nothing_is_sent(
    sandbox: Sandbox, task: Task, make: Any, argument: str, given: Any
) -> None:
    assert f"{argument} is empty, once it is rendered" in fails(task, make(**{argument: given}))
    assert sandbox.requests() == []


@pytest.mark.parametrize("make", [creating, updating])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"event_start_date": "05/01/2026"}, "start_date is not written as a date"),
        ({"event_start_date": "2026-02-30"}, "start_date is not a day of the calendar"),
        ({"event_start_date": "2026-05-01T09:30:00"}, "start_date is not written as a date"),
        ({"event_start_date": 20260501}, "start_date is neither text nor a date"),
        ({"event_end_date": "tomorrow"}, "end_date is not written as a date"),
        ({"event_start_date": "2026-05-02", "event_end_date": "2026-05-01"}, "end_date lies before"),
    ],
)
def test_a_date_that_is_none_is_refused_and_nothing_is_sent(
    sandbox: Sandbox, task: Task, make: Any, arguments: dict[str, Any], message: str
) -> None:
    assert message in fails(task, make(**arguments))
    assert sandbox.requests() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"event_status": "signed"}, "event_status is no status that an event can be given"),
        ({"study_event_repeat_key": "0", "event_status": "skipped"}, "no whole number from 1"),
        ({"study_event_repeat_key": "", "event_status": "skipped"}, "no whole number from 1"),
        ({"study_event_repeat_key": "first", "event_status": "skipped"}, "no whole number from 1"),
        ({}, "There is nothing to change"),
        ({"event_status": "", "event_end_date": " "}, "There is nothing to change"),
    ],
)
def test_a_change_that_is_none_is_refused_and_nothing_is_sent(
    sandbox: Sandbox, task: Task, arguments: dict[str, Any], message: str
) -> None:
    assert message in fails(task, updating(**arguments))
    assert sandbox.requests() == []


@pytest.mark.parametrize("make", [creating, updating])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"participant_id": "*"}, "one participant is wanted"),
        ({"study_event_oid": "*"}, "not the OID of one event"),
        ({"study_event_oid": "SE_A,SE_B"}, "not the OID of one event"),
        ({"study_event_oid": "SE_A[2]"}, "the occurrence goes into study_event_repeat_key"),
    ],
)
def test_what_names_several_is_refused_and_nothing_is_sent(
    sandbox: Sandbox, task: Task, make: Any, arguments: dict[str, Any], message: str
) -> None:
    assert message in fails(task, make(event_end_date="2026-05-02", **arguments))
    assert sandbox.requests() == []


def test_a_visit_without_a_day_is_refused_and_nothing_is_sent(sandbox: Sandbox, task: Task) -> None:
    assert "start_date is empty" in fails(task, creating(event_start_date=""))
    assert sandbox.requests() == []


def test_an_if_exists_that_is_none_is_refused_when_the_dag_is_read() -> None:
    with pytest.raises(ConfigurationError, match="if_exists"):
        creating(if_exists="ignore")


@pytest.mark.parametrize("day", ["2026-05-04", date(2026, 5, 4)])
def test_start_date_as_text_or_day_is_the_visits(sandbox: Sandbox, task: Task, day: str | date) -> None:
    visit = task.run(OpenClinicaCreateEventOperator(task_id="visit", **WHOSE, start_date=day, end_date=day))
    assert (visit["start_date"], visit["end_date"]) == ("2026-05-04", "2026-05-04")


def test_a_visit_whose_only_start_date_is_airflows_is_refused_when_the_dag_is_read() -> None:
    with pytest.raises(ConfigurationError, match="start_date, the day of the visit, is missing"):
        OpenClinicaCreateEventOperator(task_id="visit", **WHOSE, start_date=datetime(2026, 1, 1, tzinfo=UTC))


def test_the_dates_of_a_dag_do_not_become_those_of_an_event() -> None:
    day = datetime(2026, 1, 1, tzinfo=UTC)
    with DAG("visits", schedule=None, default_args={"start_date": day}):
        operator = updating(event_status="skipped")
    assert operator.start_date == day
    assert operator.event_start_date is None


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"event_status": "completed"}, "is scheduled, and cannot become completed"),
        ({"study_event_repeat_key": "4", "event_status": "skipped"}, "has no occurrence 4 of event SE_FOLLOWUP"),
        ({"participant_id": "NOB-001", "event_status": "skipped"}, "Nobody at this site has exactly this"),
    ],
)
def test_a_change_that_cannot_be_is_refused_before_it_is_sent(
    sandbox: Sandbox, task: Task, wanted: dict[str, Any], message: str
) -> None:
    task.run(creating())
    refused = fails(task, updating(**wanted))
    assert message in refused
    assert "BOS-001" not in refused
    assert "NOB-001" not in refused
    assert writes(sandbox) == ["POST"]


@pytest.mark.parametrize(
    ("make", "own"),
    [
        (creating, {"event_start_date", "event_end_date"}),
        (updating, {"event_start_date", "event_end_date", "study_event_repeat_key", "event_status"}),
    ],
)
def test_everything_that_differs_between_runs_is_templated(make: Any, own: set[str]) -> None:
    assert set(make().template_fields) == {*WHOSE, "openclinica_conn_id"} | own

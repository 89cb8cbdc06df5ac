"""Asking from the triggerer, against a running OpenClinica in both dialects."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.engine.questions import Ended, read_ended
from airflow_provider_openclinica.errors import ConfigurationError, NotFoundError
from airflow_provider_openclinica.triggers.clinicaldata import OpenClinicaStatusTrigger
from airflow_provider_openclinica.triggers.jobs import OpenClinicaNoRunningJobsTrigger
from tests.documents import FIRST, found_in
from tests.sandbox.calls import Caller
from tests.tasks import event_of

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox
    from airflow_provider_openclinica.triggers.polling import PollingTrigger

pytestmark = pytest.mark.usefixtures("openclinica_conn")

LIST = "clinicaldata/studies/*/participants"


def waiting(*wanted: str, left: float = 60.0, poke_interval: float = 0.05, **place: str) -> OpenClinicaStatusTrigger:
    question = {"study_oid": "S_JUNO", "participant_id": FIRST, "wanted": list(wanted)} | place
    return OpenClinicaStatusTrigger("openclinica_default", question, time.time() + left, poke_interval)


def ended(trigger: PollingTrigger) -> Ended:
    return read_ended(event_of(trigger))


def events_of(trigger: PollingTrigger) -> list[Any]:
    async def events() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    return asyncio.run(events())


def test_it_yields_once_what_was_found(sandbox: Sandbox) -> None:
    (event,) = events_of(waiting("signed", "available"))

    assert read_ended(event) == Ended(found="available")
    assert found_in(json.dumps(event)) == []


def test_it_is_built_again_from_json() -> None:
    trigger = waiting("locked", study_event_oid="SE_BASELINE", form_oid="F_LABS")

    path, kwargs = trigger.serialize()

    assert path == "airflow_provider_openclinica.triggers.clinicaldata.OpenClinicaStatusTrigger"
    assert OpenClinicaStatusTrigger(**json.loads(json.dumps(kwargs))).serialize() == (path, kwargs)


def test_it_shows_nobody() -> None:
    assert repr(waiting("signed")) == "<OpenClinicaStatusTrigger>"


def test_a_deadline_is_an_event_without_a_finding(sandbox: Sandbox) -> None:
    assert ended(waiting("signed", left=0.1)) == Ended()


def test_past_its_deadline_it_still_looks_once(sandbox: Sandbox) -> None:
    assert ended(waiting("available", left=-60.0)) == Ended(found="available")


def test_what_will_never_come_is_an_event(sandbox: Sandbox) -> None:
    assert isinstance(ended(waiting("signed", participant_id="BOS-404")).error, NotFoundError)


def test_a_connection_that_cannot_work_is_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OPENCLINICA_DEFAULT", json.dumps({"conn_type": "openclinica"}))

    assert isinstance(ended(waiting("signed")).error, ConfigurationError)


def test_it_asks_again_after_trouble(sandbox: Sandbox) -> None:
    sandbox.fault("code", path=LIST, status=500, body="errorCode.whatever", times=1)

    assert ended(waiting("available")) == Ended(found="available")


def test_cancelling_it_is_not_swallowed(sandbox: Sandbox) -> None:
    def until_it_asks() -> None:
        while not sandbox.requests():
            time.sleep(0.01)

    async def event() -> Any:
        return await anext(aiter(waiting("signed", poke_interval=600.0).run()))

    async def cancel() -> None:
        running = asyncio.create_task(event())
        await asyncio.to_thread(until_it_asks)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cancel())


def test_many_questions_share_few_threads(sandbox: Sandbox) -> None:
    async def ask_all() -> list[Any]:
        return await asyncio.gather(*(anext(aiter(waiting("available").run())) for _ in range(40)))

    assert {event.payload["found"] for event in asyncio.run(ask_all())} == {"available"}
    assert len([thread for thread in threading.enumerate() if thread.name.startswith("openclinica_")]) <= 8


@pytest.mark.parametrize("dialect", ["source"])
def test_a_study_at_rest_is_found_from_the_triggerer_too(sandbox: Sandbox) -> None:
    def at_rest(left: float) -> Ended:
        trigger = OpenClinicaNoRunningJobsTrigger(
            "openclinica_default", {"study_oid": "S_JUNO"}, time.time() + left, 0.05
        )
        return ended(trigger)

    assert at_rest(60.0) == Ended(found=True)
    sandbox.fate("stuck")
    Caller(sandbox).submit()
    assert at_rest(0.1) == Ended()

"""Watching from the triggerer, against a running OpenClinica in both dialects."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.engine.events import Progress, read_event
from airflow_provider_openclinica.engine.ticket import JobTicket
from airflow_provider_openclinica.engine.watch import JobWatch
from airflow_provider_openclinica.errors import ConfigurationError, JobTimeoutError, RoleError
from airflow_provider_openclinica.hooks.clients import client_for
from airflow_provider_openclinica.triggers.jobs import OpenClinicaJobTrigger
from tests.documents import labs
from tests.tasks import event_of

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("openclinica_conn")


def submitted(tmp_path: Path) -> str:
    """A job of the connection's account."""
    from airflow_provider_openclinica.client.uploads import upload_file

    path = tmp_path / "labs.xml"
    path.write_text(labs("BOS-001"))
    return client_for("openclinica_default").clinicaldata.import_odm(upload_file(path, name="labs.xml"))


def trigger_for(uuid: str, *, left: float = 60.0, poll_interval: float = 0.05) -> OpenClinicaJobTrigger:
    now = time.time()
    watch = JobWatch(job_uuid=uuid, deadline=now + left, poll_interval=poll_interval, since=now)
    ticket = JobTicket(
        job_uuid=uuid,
        job_type="XML_IMPORT",
        study_oid="",
        site_oid=None,
        part=1,
        generation=0,
        payload_sha256="a" * 64,
        rows_sent=None,
    )
    return OpenClinicaJobTrigger("openclinica_default", asdict(watch), asdict(ticket), Progress(started=now).to_json())


def test_it_yields_once_when_the_log_can_be_had(sandbox: Sandbox, tmp_path: Path) -> None:
    trigger = trigger_for(submitted(tmp_path))

    async def events() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    (event,) = asyncio.run(events())
    ended = read_event(event)
    assert (ended.ticket.job_uuid, ended.error) == (trigger.watch.job_uuid, None)


def test_it_is_built_again_from_json() -> None:
    trigger = trigger_for("6c325687-c3c3-41f6-9b98-154ef3352cb1")

    path, kwargs = trigger.serialize()

    assert path == "airflow_provider_openclinica.triggers.jobs.OpenClinicaJobTrigger"
    assert OpenClinicaJobTrigger(**json.loads(json.dumps(kwargs))).serialize() == (path, kwargs)


def test_a_deadline_becomes_an_event_and_not_a_failure_of_the_trigger(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.fate("stuck")

    event = event_of(trigger_for(submitted(tmp_path), left=0.2))

    assert isinstance(read_event(event).error, JobTimeoutError)


def test_a_job_of_another_account_becomes_an_event(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = submitted(tmp_path)
    connection = {
        "conn_type": "openclinica",
        "host": sandbox.study_url,
        "login": "second_manager",
        "password": "sandbox",
        "extra": {"auth_url": sandbox.auth_url},
    }
    monkeypatch.setenv("AIRFLOW_CONN_OPENCLINICA_DEFAULT", json.dumps(connection))

    assert isinstance(read_event(event_of(trigger_for(uuid))).error, RoleError)


def test_a_connection_that_cannot_work_becomes_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OPENCLINICA_DEFAULT", json.dumps({"conn_type": "openclinica"}))

    event = event_of(trigger_for("6c325687-c3c3-41f6-9b98-154ef3352cb1"))

    assert isinstance(read_event(event).error, ConfigurationError)


def test_cancelling_it_is_not_swallowed(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.fate("stuck")
    trigger = trigger_for(submitted(tmp_path), poll_interval=30.0)

    def wait_for_a_look() -> None:
        while not any("/jobs/" in request["path"] for request in sandbox.requests()):
            time.sleep(0.01)

    async def cancel() -> None:
        async def watch() -> Any:
            return await anext(aiter(trigger.run()))

        running = asyncio.create_task(watch())
        await asyncio.to_thread(wait_for_a_look)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await trigger.on_kill()
        await trigger.cleanup()

    asyncio.run(cancel())


def test_many_watches_share_few_threads_and_leave_the_loop_free(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = submitted(tmp_path)
    beats, look = threading.Condition(), JobWatch.look

    async def heartbeat() -> None:
        while True:
            with beats:
                beats.notify_all()
            await asyncio.sleep(0.01)

    def look_after_a_beat(watch: JobWatch, client: Any) -> Any:
        with beats:
            assert beats.wait(60), "the loop stands still while somebody looks"
        return look(watch, client)

    monkeypatch.setattr(JobWatch, "look", look_after_a_beat)

    async def watch_all() -> list[Any]:
        beating = asyncio.create_task(heartbeat())
        found = await asyncio.gather(*(anext(aiter(trigger_for(uuid).run())) for _ in range(40)))
        beating.cancel()
        return found

    assert len(asyncio.run(watch_all())) == 40
    assert len([thread for thread in threading.enumerate() if thread.name.startswith("openclinica_")]) <= 8

"""The deferrable half: watch a job, or the job list, from the triggerer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_provider_openclinica.client.jobs import JobState
from airflow_provider_openclinica.engine.events import write_event
from airflow_provider_openclinica.engine.quiet import NoRunningJobs
from airflow_provider_openclinica.engine.watch import JobWatch
from airflow_provider_openclinica.errors import OpenClinicaError
from airflow_provider_openclinica.hooks.clients import client_for
from airflow_provider_openclinica.triggers.polling import BACKSTOP, PollingTrigger
from airflow_provider_openclinica.triggers.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class OpenClinicaJobTrigger(BaseTrigger):
    """Watch one job; yield one event: its log can be had, or the error that ended the watch.

    It asks with the same code as a waiting task, in a few threads that all its siblings in this triggerer share. If
    the task is cleared or marked while it waits, the job goes on: OpenClinica cannot cancel one.

    :param openclinica_conn_id: connection of type ``openclinica``.
    :param watch: ``asdict`` of the ``JobWatch``.
    :param ticket: ``asdict`` of the ``JobTicket``.
    :param progress: what the task needs to go on, handed back in the event.
    """

    def __init__(
        self, openclinica_conn_id: str, watch: dict[str, Any], ticket: dict[str, Any], progress: dict[str, Any]
    ) -> None:
        super().__init__()
        self.openclinica_conn_id = openclinica_conn_id
        self.watch = JobWatch(**watch)
        self.ticket, self.progress = ticket, progress

    @property
    def timeout(self) -> timedelta:
        """How long Airflow may let this run: later than our own deadline, which then comes first and says more."""
        return timedelta(seconds=max(0.0, self.watch.deadline - time.time())) + BACKSTOP

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give a triggerer what it needs to build this trigger again. JSON values only."""
        return f"{__name__}.{type(self).__qualname__}", {
            "openclinica_conn_id": self.openclinica_conn_id,
            "watch": asdict(self.watch),
            "ticket": self.ticket,
            "progress": self.progress,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until the watch is over."""
        try:
            client = await sync_to_async(client_for)(self.openclinica_conn_id)  # 3.0, 3.1: not from a plain thread
            state = await in_thread(self.watch.look, client)
            while state is not JobState.FINISHED:
                await asyncio.sleep(self.watch.pause())
                state = await in_thread(self.watch.look, client)
        except OpenClinicaError as error:
            yield TriggerEvent(write_event(self.ticket, self.progress, error))
        else:
            yield TriggerEvent(write_event(self.ticket, self.progress))


class OpenClinicaNoRunningJobsTrigger(PollingTrigger):
    """Wait until a study has no running job."""

    question_class = NoRunningJobs

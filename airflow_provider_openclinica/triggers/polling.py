"""Ask one question again and again from the triggerer: what all triggers but that of a job have in common."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_provider_openclinica.engine.questions import Ended, look, write_ended
from airflow_provider_openclinica.errors import OpenClinicaError
from airflow_provider_openclinica.hooks.clients import client_for
from airflow_provider_openclinica.triggers.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_openclinica.engine.questions import Question

BACKSTOP = timedelta(minutes=20)  #: Airflow gives a trigger up that much later than we do: our own error says more


class PollingTrigger(BaseTrigger):
    """Ask until something is found; yield one event: the finding, the deadline, or the error that ended the asking.

    It asks with the same code as a waiting task, in a few threads that all its siblings in this triggerer share.

    :param openclinica_conn_id: connection of type ``openclinica``.
    :param question: ``asdict`` of the question.
    :param deadline: when to give up, in seconds since the epoch.
    :param poke_interval: seconds between two questions.
    """

    question_class: ClassVar[type[Any]]

    def __init__(
        self, openclinica_conn_id: str, question: dict[str, Any], deadline: float, poke_interval: float
    ) -> None:
        super().__init__()
        self.openclinica_conn_id = openclinica_conn_id
        self.question: Question = self.question_class(**question)
        self.deadline, self.poke_interval = deadline, poke_interval

    def __repr__(self) -> str:
        """Name the class only: Airflow's own would tell whom the question is about."""
        return f"<{type(self).__name__}>"

    @property
    def timeout(self) -> timedelta:
        """How long Airflow may let this run: later than our own deadline, which then comes first and says more."""
        return timedelta(seconds=max(0.0, self._seconds_left)) + BACKSTOP

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give a triggerer what it needs to build this trigger again. JSON values only."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "openclinica_conn_id": self.openclinica_conn_id,
            "question": asdict(self.question),  # type: ignore[call-overload]  # each question is a dataclass
            "deadline": self.deadline,
            "poke_interval": self.poke_interval,
        }

    @staticmethod
    def client_of(conn_id: str) -> Any:
        """Return the client that the questions are for."""
        return client_for(conn_id)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Ask until the asking is over."""
        try:
            ended = Ended(found=await self._found())
        except OpenClinicaError as error:
            ended = Ended(error=error)
        yield TriggerEvent(write_ended(ended))

    async def _found(self) -> Any:
        client = await sync_to_async(self.client_of)(self.openclinica_conn_id)  # 3.0, 3.1: not from a plain thread
        found = await in_thread(look, self.question, client)
        while found is None and self._seconds_left > 0:
            await asyncio.sleep(min(self.poke_interval, self._seconds_left))
            found = await in_thread(look, self.question, client)
        return found

    @property
    def _seconds_left(self) -> float:
        return self.deadline - time.time()

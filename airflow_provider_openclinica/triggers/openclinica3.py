"""Wait from the triggerer for something in OpenClinica 3."""

from __future__ import annotations

from typing import Any

from airflow_provider_openclinica.engine.openclinica3.questions import AliveQuestion, Question3
from airflow_provider_openclinica.hooks.openclinica3 import client3_for
from airflow_provider_openclinica.triggers.polling import PollingTrigger


class _Trigger3(PollingTrigger):
    """What both have in common."""

    @staticmethod
    def client_of(conn_id: str) -> Any:
        """Return the client of a connection of type ``openclinica3``."""
        return client3_for(conn_id)


class OpenClinica3StatusTrigger(_Trigger3):
    """Wait until a participant is there, or until a participant or an event has one of some statuses."""

    question_class = Question3


class OpenClinica3AliveTrigger(_Trigger3):
    """Wait until the web application answers."""

    question_class = AliveQuestion

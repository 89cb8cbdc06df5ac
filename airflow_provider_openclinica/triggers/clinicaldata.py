"""Wait from the triggerer until a participant, an event or a form reaches a status."""

from __future__ import annotations

from airflow_provider_openclinica.engine.statuses import StatusQuestion
from airflow_provider_openclinica.triggers.polling import PollingTrigger


class OpenClinicaStatusTrigger(PollingTrigger):
    """Wait until a participant, an event or a form has one of some statuses."""

    question_class = StatusQuestion

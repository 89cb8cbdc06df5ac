"""Wait from the triggerer until a scheduled extract has made a new file."""

from __future__ import annotations

from airflow_provider_openclinica.engine.extracts import NewExtract
from airflow_provider_openclinica.triggers.polling import PollingTrigger


class OpenClinicaExtractTrigger(PollingTrigger):
    """Ask until the newest file of an extract is new. Parameters are those of ``PollingTrigger``."""

    question_class = NewExtract

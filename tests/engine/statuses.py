"""Questions about the status of something, and answers to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.engine.statuses import EVENT, FORM, PARTICIPANT, StatusQuestion
from tests.documents import FIRST

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.sandbox.server import Sandbox

EVERY = sorted(EVENT | FORM | PARTICIPANT)
RETRIEVAL = "clinicaldata/S_*/*/*/*"


def about(*wanted: str, **place: Any) -> StatusQuestion:
    """Ask for any of these statuses, or for every one that there is."""
    return StatusQuestion(**{"study_oid": "S_JUNO", "participant_id": FIRST, "wanted": wanted or EVERY} | place)


def about_event(*wanted: str, **place: Any) -> StatusQuestion:
    return about(*wanted, **{"study_event_oid": "SE_FOLLOWUP"} | place)


def about_form(*wanted: str, **place: Any) -> StatusQuestion:
    return about_event(*wanted, **{"form_oid": "F_VITALS"} | place)


def answers(sandbox: Sandbox, body: str, status: int = 200) -> None:
    """Let retrievals be answered with this."""
    headers = {"Content-Type": "application/xml;charset=UTF-8"}
    sandbox.fault("status", path=RETRIEVAL, method="GET", status=status, headers=headers, body=body, times=None)


def all_of(question: StatusQuestion, client: OpenClinicaClient) -> list[str]:
    """Return every status that the thing has."""
    return [status for status in EVERY if _asked_for(question, status).ask(client)]


def _asked_for(question: StatusQuestion, status: str) -> StatusQuestion:
    return StatusQuestion(
        study_oid=question.study_oid,
        participant_id=question.participant_id,
        wanted=[status],
        study_event_oid=question.study_event_oid,
        form_oid=question.form_oid,
    )

"""Visits of BOS-001 in a sandbox, for the tests of scheduling and changing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.engine.visits import Visit
from airflow_provider_openclinica.sandbox.data import ClinicalStore

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

EVENTS = "clinicaldata/studies/*/events"  #: the path of their calls


def visit(event: str = "SE_FOLLOWUP", start: str = "2026-05-01", participant: str = "BOS-001", **more: str) -> Visit:
    """A visit to be scheduled."""
    return Visit(
        study_oid="S_JUNO",
        site_oid="S_BOSTON",
        participant_id=participant,
        study_event_oid=event,
        start_date=start,
        **more,
    )


def there(sandbox: Sandbox) -> list[tuple[str, int, str]]:
    """Event, repeat key and start of every occurrence."""
    return [(each["event"], each["repeat"], each["start"]) for each in sandbox.events()]


def sent(sandbox: Sandbox, method: str) -> int:
    """How many requests there were to write one event."""
    return sum(request["method"] == method and request["path"].endswith("/events") for request in sandbox.requests())


def store_event(sandbox: Sandbox, event: str = "SE_FOLLOWUP", **fields: Any) -> None:
    """Give BOS-001 an occurrence of an event as it stands in a study, times of day included."""
    sandbox.set_status("event", participant="BOS-001", event=event, status="scheduled")
    with sandbox.service.state.writing() as db:
        store = ClinicalStore(db)
        (participant,) = store.participants_by_id("BOS-001", {"S_BOSTON"})
        occurrence = store.occurrences(participant.id, event)[1]
        for name, value in fields.items():
            setattr(occurrence, name, value)
        store.save_occurrence(occurrence)

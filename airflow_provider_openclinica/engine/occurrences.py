"""What a participant's occurrences of one event are, as OpenClinica exports them (docs/protocol.md, clinical data)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_openclinica.client.event_status import normalised
from airflow_provider_openclinica.engine.lookup import event_of
from airflow_provider_openclinica.engine.statuses import statuses_of_event
from airflow_provider_openclinica.odm.reader import Event

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.client import OpenClinicaClient

_DATE = re.compile(r"(?P<day>\d{4}-\d{2}-\d{2})(?:[ T](?P<time>\d{2}:\d{2}))?")
_DAY = len("2026-05-01")
_MIDNIGHT = "00:00"
_CLOSED = ("locked", "removed", "archived")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantEvent:
    """An event of a participant at a site, with all its occurrences.

    :param participant_id: the participant's ID, letter for letter; a pseudonym.
    """

    study_oid: str
    site_oid: str
    participant_id: str = field(repr=False)
    study_event_oid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One occurrence of an event.

    :param repeat_key: 1 where the event does not repeat.
    :param start_date: ``2026-05-01``, with a time of day, ``2026-05-01 09:30``, where one is stored; ``""`` for none.
    :param end_date: likewise.
    :param status: as requests spell it: ``data entry started``.
    :param closed: ``locked``, ``removed`` or ``archived``; ``""`` for what is open to changes.
    """

    repeat_key: int
    start_date: str = ""
    end_date: str = ""
    status: str = ""
    closed: str = ""

    @property
    def start_time(self) -> str:
        """The start where it has a time of day, else ``""``."""
        return self.start_date if len(self.start_date) > _DAY else ""

    @property
    def end_time(self) -> str:
        """The end where it has a time of day, else ``""``."""
        return self.end_date if len(self.end_date) > _DAY else ""

    def begins(self, start_date: str) -> bool:
        """Tell whether this is when it begins."""
        return self.start_date == day_and_time(start_date)

    def has(self, start_date: str, end_date: str, status: str) -> bool:
        """Tell whether it is like that already; ``""`` asks for nothing."""
        return (
            (not start_date or self.begins(start_date))
            and (not end_date or self.end_date == day_and_time(end_date))
            and (not status or normalised(status) in (self.status, self.closed))
        )


def occurrences(client: OpenClinicaClient, of: ParticipantEvent) -> list[Occurrence]:
    """Ask for the occurrences of an event, removed and archived ones included.

    :raises OpenClinicaError: as ``engine.lookup.event_of`` does.
    """
    event_oid = of.study_event_oid.upper()
    found = event_of(client, of.study_oid, of.site_oid, of.participant_id, event_oid)
    return [
        _occurrence(record)
        for record in found
        if isinstance(record, Event) and record.study_event_oid.upper() == event_oid
    ]


def day_and_time(text: str) -> str:
    """Return a date as requests spell it; a time of day at midnight is none."""
    match = _DATE.match(text)
    if match is None:
        return text
    return match["day"] if match["time"] in {None, _MIDNIGHT} else f"{match['day']} {match['time']}"


def _occurrence(event: Event) -> Occurrence:
    statuses = statuses_of_event(event)
    return Occurrence(
        repeat_key=int(event.study_event_repeat_key),
        start_date=day_and_time(event.start_date),
        end_date=day_and_time(event.end_date),
        status=normalised(event.workflow_status or event.status),
        closed=next((status for status in _CLOSED if status in statuses), ""),
    )

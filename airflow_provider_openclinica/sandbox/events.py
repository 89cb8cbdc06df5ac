"""Creating and changing occurrences of events (docs/protocol.md, events).

A repeating visit takes a new occurrence whenever it is asked to. Nothing stops a change of what is locked or removed,
and in the published source a change of a visit, of whatever, leaves only the day of its dates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_openclinica.sandbox.bulk_logs import FAILED, EventRow
from airflow_provider_openclinica.sandbox.data import Occurrence
from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.import_run import Refused
from airflow_provider_openclinica.sandbox.import_text import read_event_date, read_int
from airflow_provider_openclinica.sandbox.participants import USABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_provider_openclinica.sandbox.data import ClinicalStore, Participant
    from airflow_provider_openclinica.sandbox.study import EventDefinition, Study

    Fields = Mapping[str, str | None]

FIELDS = ("subjectKey", "studyEventOID", "studyEventRepeatKey", "startDate", "endDate", "eventStatus")
LOCKED = "LOCKED"
DAY = len("2020-01-01")

#: Status -> what it may become, itself among it; a text that is no key here is no status one can ask for.
TRANSITIONS = {
    "SCHEDULED": {"SCHEDULED", "DATA_ENTRY_STARTED", "SKIPPED"},
    "DATA_ENTRY_STARTED": {"DATA_ENTRY_STARTED", "COMPLETED", "STOPPED"},
    "COMPLETED": {"COMPLETED"},
    "SKIPPED": {"SKIPPED", "DATA_ENTRY_STARTED"},
    "STOPPED": {"STOPPED"},
}

#: The source's code -> the documents' spelling of it, in the answer to one event and in the log of many.
DOCUMENTED_AT_ONCE = {
    "commonEventsCannotBeScheduled": "commonEventCannotBeScheduled",
    "invalidEventStatus": "invalidStatus",
    "invalidEventTransitionStatus": "eventStatusTransitionNotAllowed",
}
DOCUMENTED_IN_BULK = {
    "commonEventsCannotBeScheduled": "CommonEventCannotBeScheduled",
    "eventStatusTransitionNotAvailable": "invalidEventTransitionStatus",
}


class Dates(NamedTuple):
    """When an occurrence begins and ends, as texts; ``None`` or empty for neither."""

    start: str | None
    end: str | None


class Written(NamedTuple):
    """An occurrence that was written, and the dates to tell of it."""

    occurrence: Occurrence
    dates: Dates


@dataclass(frozen=True, slots=True)
class Schedule:
    """The events of one site.

    :param in_bulk: whether a file is read; only there do the documents let an event be locked.
    """

    study: Study
    store: ClinicalStore
    site_oid: str
    dialect: Dialect
    in_bulk: bool = False

    def create(self, fields: Fields) -> Written:
        """Add an occurrence: the next one of a repeating visit, the only one of any other.

        :raises Refused: with the code of the first check that does not pass, in the server's order.
        """
        participant, definition = self._find(fields)
        if definition.common:
            raise Refused("commonEventsCannotBeScheduled")
        sent = Dates(fields.get("startDate"), fields.get("endDate"))
        if sent.start is None:
            raise Refused("missingStartDate")
        existing = self.store.occurrences(participant.id, definition.oid)
        if not definition.repeating and 1 in existing:
            raise Refused("eventAlreadyExists")
        ordinal = max(existing, default=0) + 1 if definition.repeating else 1
        start, end = self._read(sent)
        occurrence = Occurrence(0, participant.id, definition.oid, ordinal, start_date=start or "", end_date=end or "")
        self.store.save_occurrence(occurrence)
        return Written(occurrence, sent)

    def update(self, fields: Fields) -> Written:
        """Change an occurrence; what is ``None`` stays as it is.

        :raises Refused: with the code of the first check that does not pass; nothing was changed.
        """
        participant, definition = self._find(fields)
        occurrence = self._occurrence(participant, definition, fields.get("studyEventRepeatKey"))
        told = Dates(None, None)
        if not definition.common:
            told = self._dates(occurrence, fields)
            start, end = self._read(told)
            occurrence.start_date, occurrence.end_date = start or "", end or ""
        if (wanted := fields.get("eventStatus")) is not None:
            self._move(occurrence, wanted)
        self.store.save_occurrence(occurrence)
        return Written(occurrence, told)

    def _find(self, fields: Fields) -> tuple[Participant, EventDefinition]:
        participant_id, event_oid = fields.get("subjectKey"), fields.get("studyEventOID")
        if participant_id is None:
            raise Refused("missingParticipantID")
        found = self.store.participants_by_id(participant_id, {self.site_oid})
        if len(found) > 1:
            raise Refused("multipleParticipantsFound")
        if not found or found[0].status not in USABLE:
            raise Refused("participantNotFound")
        if event_oid is None:
            raise Refused("missingStudyEventOID")
        definition = self.study.events.get(event_oid.upper())
        if definition is None or not definition.available:
            raise Refused("invalidStudyEventOID")
        return found[0], definition

    def _occurrence(self, participant: Participant, definition: EventDefinition, key: str | None) -> Occurrence:
        if not definition.common and not definition.repeating:
            key = "1"  # whatever was sent
        if key is None:
            raise Refused("missingStudyEventRepeatKey")
        ordinal = read_int(key)
        if ordinal is None:
            raise Refused("invalidStudyEventRepeatKey")
        occurrence = self.store.occurrences(participant.id, definition.oid).get(ordinal)
        if occurrence is None:
            raise Refused("studyEventRepeatNotFound")
        return occurrence

    def _dates(self, occurrence: Occurrence, fields: Fields) -> Dates:
        """Fill up the dates that are sent with those that are stored; of these, the source takes the day only."""
        cut = DAY if self.dialect is Dialect.SOURCE else None
        start, end = fields.get("startDate"), fields.get("endDate")
        return Dates(
            occurrence.start_date[:cut] or None if start is None else start,
            occurrence.end_date[:cut] or None if end is None else end,
        )

    def _read(self, dates: Dates) -> Dates:
        if dates.start is None:
            raise Refused("missingStartDate")
        start = read_event_date(dates.start, self.dialect)
        if start is None:
            raise Refused("invalidStartDate")
        end = None if dates.end is None else read_event_date(dates.end, self.dialect)
        if dates.end is not None and end is None:
            raise Refused("invalidEndDate")
        if end is not None and end < start:
            raise Refused("endDateBeforeStartDate")
        return Dates(start, end)

    def _move(self, occurrence: Occurrence, text: str) -> None:
        """Give an occurrence another status; that takes away who signed it."""
        wanted = text.upper().replace(" ", "_") if "_" not in text else ""
        if wanted == LOCKED and self.in_bulk and self.dialect is Dialect.DOCS:
            occurrence.locked, occurrence.signed = True, False
            return
        if wanted not in TRANSITIONS:
            raise Refused("invalidEventStatus")
        if wanted not in TRANSITIONS.get(occurrence.status, ()):
            raise Refused("invalidEventTransitionStatus")
        if wanted == occurrence.status:
            return
        if wanted == "COMPLETED" and self.dialect is Dialect.DOCS and self._has_open_forms(occurrence):
            raise Refused("eventStatusTransitionNotAvailable")
        occurrence.status, occurrence.signed = wanted, False

    def _has_open_forms(self, occurrence: Occurrence) -> bool:
        """Tell whether a form was begun and not completed; only the documented servers look."""
        forms = self.store.forms(occurrence.id).values()
        return any(not (form.complete or form.removed or form.archived) for form in forms)


def schedule_all(schedule: Schedule, rows: Iterable[Fields], commit: Callable[[], None]) -> list[EventRow]:
    """Create an occurrence for each row without a repeat key and change one for each with, every row by itself."""
    log = []
    for fields in rows:
        key = fields.get("studyEventRepeatKey")
        sent = EventRow(fields.get("subjectKey") or "", fields.get("studyEventOID") or "", key or "", FAILED)
        try:
            written = schedule.create(fields) if key is None else schedule.update(fields)
        except Refused as refusal:
            log.append(sent._replace(message=f"errorCode.{in_bulk(refusal.code, schedule.dialect)}"))
        else:
            outcome = "Created" if key is None else "Updated"
            log.append(sent._replace(repeat_key=str(written.occurrence.ordinal), status=outcome))
        commit()
    return log


def shown(status: str, dialect: Dialect) -> str:
    """Write a status as answers do: as the source names it, or as the documents spell it."""
    return status.lower().replace("_", " ") if dialect is Dialect.DOCS else status


def at_once(code: str, dialect: Dialect) -> str:
    """Spell a code as the answer to one event does."""
    return DOCUMENTED_AT_ONCE.get(code, code) if dialect is Dialect.DOCS else code


def in_bulk(code: str, dialect: Dialect) -> str:
    """Spell a code as the log of many events does."""
    return DOCUMENTED_IN_BULK.get(code, code) if dialect is Dialect.DOCS else code

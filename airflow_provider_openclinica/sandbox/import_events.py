"""Step 2 of an import: which occurrence of which event the data belong to (docs/protocol.md, import; repeat keys).

Ordinals are contiguous, and a repeating event without a repeat key means a new occurrence every time. Events have no
row of their own when all is well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.data import Occurrence
from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.import_run import FORM, ImportRun, JobFailed, Refused
from airflow_provider_openclinica.sandbox.import_text import read_event_date, read_int

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.data import Participant
    from airflow_provider_openclinica.sandbox.import_document import StudyEventData
    from airflow_provider_openclinica.sandbox.study import EventDefinition, FormDefinition


def event_definition(run: ImportRun, data: StudyEventData) -> EventDefinition:
    """Return the definition of the event that is sent.

    :raises Refused: it holds no form, or is no event of this study.
    """
    if not data.forms:
        raise Refused("eventDoesNotContainFormData")
    if data.oid is None:
        raise Refused("missingStudyEventOID")
    definition = run.study.events.get(data.oid)
    if definition is None or not definition.available:
        raise Refused("invalidStudyEventOID")
    return definition


def find_occurrence(
    run: ImportRun, participant: Participant, definition: EventDefinition, data: StudyEventData
) -> Occurrence:
    """Find or create the occurrence that takes the data.

    That of a common event that does not repeat may come back prepared only (``id`` 0): it is stored with its first
    value.

    :raises Refused: the key, a date or the state of the occurrence does not allow it.
    :raises JobFailed: a common event is to be created with a date that is none.
    """
    existing = run.store.occurrences(participant.id, definition.oid)
    if definition.common and not definition.repeating:
        return _single_common(run, participant, definition, data, existing)
    ordinal = _ordinal(definition, data, existing)
    if ordinal not in existing:
        return _create(run, participant, definition, data, ordinal)
    occurrence = _available(existing[ordinal])
    if definition.common:
        _check_same_form(run, data, occurrence)
    return occurrence


def _ordinal(definition: EventDefinition, data: StudyEventData, existing: dict[int, Occurrence]) -> int:
    if not definition.repeating:
        return 1
    following = max(existing, default=0) + 1
    if not data.repeat_key:
        return following
    ordinal = read_int(data.repeat_key)
    if ordinal is None:
        raise Refused("invalidStudyEventRepeatKey")
    if ordinal not in existing and ordinal != following:
        raise Refused("eventRepeatKeyTooLarge")
    return ordinal


def _single_common(
    run: ImportRun,
    participant: Participant,
    definition: EventDefinition,
    data: StudyEventData,
    existing: dict[int, Occurrence],
) -> Occurrence:
    form = _first_form(run, data)
    for occurrence in existing.values():
        if form.oid in run.store.forms(occurrence.id):
            return _available(occurrence)
    return _prepare(run, participant, definition, data, max(existing, default=0) + 1)


def _check_same_form(run: ImportRun, data: StudyEventData, occurrence: Occurrence) -> None:
    form = _first_form(run, data)
    is_untouched = occurrence.status in {"NOT_SCHEDULED", "SCHEDULED"}
    if not is_untouched and form.oid not in run.store.forms(occurrence.id):
        raise Refused("repeatKeyAndFormMismatch")


def _first_form(run: ImportRun, data: StudyEventData) -> FormDefinition:
    """Look up the first form and its version; by the source, that may not be left out here."""
    sent = data.forms[0]
    form = run.study.forms.get(sent.oid or "")
    if form is None:
        raise Refused("formOIDNotFound")
    is_optional = run.dialect is Dialect.DOCS
    if sent.layout not in form.versions and not (sent.layout is None and is_optional):
        raise Refused("formLayoutOIDNotFound", type=FORM)
    return form


def _available(occurrence: Occurrence) -> Occurrence:
    is_over = occurrence.status in {"SKIPPED", "STOPPED"}
    if is_over or occurrence.locked or occurrence.removed or occurrence.archived:
        raise Refused("eventNotAvailable")
    return occurrence


def _create(
    run: ImportRun, participant: Participant, definition: EventDefinition, data: StudyEventData, ordinal: int
) -> Occurrence:
    if not definition.common:
        _check_dates(run, data)
    occurrence = _prepare(run, participant, definition, data, ordinal)
    run.store.save_occurrence(occurrence)
    return occurrence


def _prepare(
    run: ImportRun, participant: Participant, definition: EventDefinition, data: StudyEventData, ordinal: int
) -> Occurrence:
    dates = [_date(run, text) for text in (data.start_date, data.end_date)]
    return Occurrence(0, participant.id, definition.oid, ordinal, start_date=dates[0], end_date=dates[1])


def _date(run: ImportRun, text: str | None) -> str:
    if text is None:
        return ""
    date = read_event_date(text, run.dialect)
    if date is None:  # only dates of common events come here unchecked
        raise JobFailed("a common event has a date that is none")
    return date


def _check_dates(run: ImportRun, data: StudyEventData) -> None:
    if data.start_date is None:
        raise Refused("missingStartDate")
    start = read_event_date(data.start_date, run.dialect)
    if start is None:
        raise Refused("invalidStartDate")
    if data.end_date is None:
        return
    end = read_event_date(data.end_date, run.dialect)
    if end is None:
        raise Refused("invalidEndDate")
    if end < start:
        raise Refused("endDateBeforeStartDate")

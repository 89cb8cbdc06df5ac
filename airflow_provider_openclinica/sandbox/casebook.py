"""The casebook of a participant: everything that is stored, written down for people (docs/protocol.md, casebooks)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.data import ClinicalStore
from airflow_provider_openclinica.sandbox.stored_values import values_in

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from airflow_provider_openclinica.sandbox.data import FormRecord, Occurrence, Participant
    from airflow_provider_openclinica.sandbox.study import Study


def casebook_name(participant: Participant) -> str:
    """Name the file, with a clock of twelve hours as the server does."""
    moment = datetime.now(UTC)
    stamp = f"{moment:%Y-%m-%d-%I%M%S}{moment.microsecond // 1000:03d}+0000"
    return f"Participant_{participant.participant_id}_Casebook_{stamp}.pdf"


def casebook_failure(participant: Participant) -> bytes:
    """Write what lies in the place of a casebook that failed, under the name of a PDF."""
    row = (participant.oid, participant.participant_id, "Failed", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
    header = "SubjectKey|ParticipantID|Status|Timestamp|Message"
    return "\n".join([header, "|".join([*row, "Error Detail: the form service does not answer"]), ""]).encode()


def casebook_lines(study: Study, participant: Participant, db: sqlite3.Connection) -> Iterator[str]:
    """Write everything that is stored of a participant, by event, form and group."""
    store = ClinicalStore(db)
    site = study.site(participant.site_oid)
    yield f"{study.name}: casebook of {participant.participant_id}"
    yield f"{participant.oid}, {site.name if site else study.name}, {participant.status.lower()}"
    for event in study.events.values():
        for occurrence in store.occurrences(participant.id, event.oid).values():
            yield ""
            yield f"{event.name} ({occurrence.ordinal}): {_described(occurrence)}"
            for form in store.forms(occurrence.id).values():
                yield from _form_lines(study, form, db)


def _described(occurrence: Occurrence) -> str:
    dates = " to ".join(date for date in (occurrence.start_date, occurrence.end_date) if date)
    return f"{occurrence.status.lower().replace('_', ' ')}{', ' if dates else ''}{dates}"


def _form_lines(study: Study, form: FormRecord, db: sqlite3.Connection) -> Iterator[str]:
    state = "complete" if form.complete else "data entry started"
    yield f"  {study.forms[form.form_oid].name}, version {form.version}: {state}"
    for value in values_in(db, form.id):
        item, group = study.items[value.item_oid], study.groups[value.group_oid]
        number = f" {value.repeat}" if group.repeating else ""
        yield f"    {group.name}{number}: {item.question or item.name}: {value.value}"

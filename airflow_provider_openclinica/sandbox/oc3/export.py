"""Write what is stored of participants as version 3 does (docs/protocol3.md, clinical data).

Its faults are here: nothing is left out for its status, and an event that was asked for comes with all the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox import history
from airflow_provider_openclinica.sandbox.data import Occurrence
from airflow_provider_openclinica.sandbox.oc3.people import location_of, subject_of
from airflow_provider_openclinica.sandbox.odm_extras import INDENT, threads, write_audits, write_notes
from airflow_provider_openclinica.sandbox.odm_text import attribute, text
from airflow_provider_openclinica.sandbox.retrieve import ALL, version_oid

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from airflow_provider_openclinica.sandbox.data import ClinicalStore, FormRecord, Participant
    from airflow_provider_openclinica.sandbox.people import People
    from airflow_provider_openclinica.sandbox.study import Study

SUBJECT, EVENT, FORM, GROUP, ITEM = range(2, 7)  #: how deep each stands


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter3:
    """Writes participants.

    :param store: over the same connection as ``db``.
    :param form: OID of the one version of a form that is written, or ``*``.
    :param audits: whether to write the history of everything.
    :param notes: whether to write the notes on items.
    """

    db: sqlite3.Connection
    store: ClinicalStore
    study: Study
    people: People
    form: str = ALL
    audits: bool = False
    notes: bool = False

    def subject(self, participant: Participant) -> Iterator[str]:
        """Write a participant, piece by piece."""
        indent, known = INDENT * SUBJECT, subject_of(self.db, participant.id)
        named = (
            ("SubjectKey", participant.oid),
            ("OpenClinica:StudySubjectID", participant.participant_id),
            ("OpenClinica:UniqueIdentifier", known.person_id),
            ("OpenClinica:Status", participant.status.lower().replace("_", "-")),
            ("OpenClinica:SecondaryID", known.secondary_label),
            ("OpenClinica:DateOfBirth", known.date_of_birth),
            ("OpenClinica:Sex", known.gender or "null"),
            ("OpenClinica:EnrollmentDate", known.enrollment_date or "null"),
        )
        yield f"{indent}<SubjectData{_attributes(named)}>\n"
        for occurrence in self._occurrences(participant):
            yield from self._event(occurrence)
        yield from self._audits("participant", participant.id, participant.oid, SUBJECT + 1)
        yield f"{indent}</SubjectData>\n"

    def _occurrences(self, participant: Participant) -> list[Occurrence]:
        rows = self.db.execute(
            """SELECT id, participant, event_oid, ordinal, status, start_date, end_date, removed, archived, locked,
                      signed FROM events WHERE participant = ? ORDER BY id""",
            (participant.id,),
        )
        return [Occurrence(*row[:7], *map(bool, row[7:])) for row in rows]

    def _event(self, occurrence: Occurrence) -> Iterator[str]:
        indent = INDENT * EVENT
        status = "locked" if occurrence.locked else "signed" if occurrence.signed else _words(occurrence.status)
        named = (
            ("StudyEventOID", occurrence.event_oid),
            ("OpenClinica:StudyEventLocation", location_of(self.db, occurrence.id)),
            ("OpenClinica:StartDate", _moment(occurrence.start_date)),
            ("OpenClinica:EndDate", _moment(occurrence.end_date)),
            ("OpenClinica:Status", status),
            ("StudyEventRepeatKey", str(occurrence.ordinal)),
        )
        yield f"{indent}<StudyEventData{_attributes(named)}>\n"
        for form in sorted(self.store.forms(occurrence.id).values(), key=attrgetter("id")):
            oid = version_oid(self.study.forms[form.form_oid], form.version)
            if self.form in {ALL, oid}:
                yield from self._form(occurrence, form, oid)
        yield from self._audits("event", occurrence.id, occurrence.event_oid, EVENT + 1)
        yield f"{indent}</StudyEventData>\n"

    def _form(self, occurrence: Occurrence, form: FormRecord, oid: str) -> Iterator[str]:
        indent = INDENT * FORM
        workflow = "data entry complete" if form.complete else "initial data entry"
        is_invalid = form.removed or form.archived or occurrence.removed or occurrence.archived
        status = "invalid" if is_invalid else "locked" if occurrence.locked else workflow
        named = (("FormOID", oid), ("OpenClinica:Version", form.version), ("OpenClinica:Status", status))
        yield f"{indent}<FormData{_attributes(named)}>\n"
        yield from self._groups(form)
        yield from self._audits("form", form.id, oid, FORM + 1)
        yield f"{indent}</FormData>\n"

    def _groups(self, form: FormRecord) -> Iterator[str]:
        rows = self.db.execute(
            """SELECT group_oid, repeat, id, item_oid, value FROM items WHERE form = ? AND removed = 0
               ORDER BY group_oid, repeat, item_oid""",
            (form.id,),
        )
        notes = threads(self.db, form.id) if self.notes else {}
        audits = history.entries_of_items(self.db, form.id) if self.audits else {}
        indent = INDENT * GROUP
        for (group_oid, repeat), items in groupby(rows, lambda row: row[:2]):
            yield (
                f'{indent}<ItemGroupData ItemGroupOID="{text(group_oid)}" ItemGroupRepeatKey="{repeat}"'
                ' TransactionType="Insert">\n'
            )
            for _, _, record, item_oid, value in items:
                definition = self.study.items.get(item_oid)
                below = "".join(
                    (
                        *write_audits(item_oid, audits.get(record, ()), self.people, ITEM + 1),
                        *write_notes(
                            item_oid,
                            definition.name if definition else "",
                            notes.get((repeat, item_oid), ()),
                            self.people,
                            ITEM + 1,
                        ),
                    )
                )
                start = f'{INDENT * ITEM}<ItemData ItemOID="{text(item_oid)}" Value="{text(value)}"'
                yield f"{start}>\n{below}{INDENT * ITEM}</ItemData>\n" if below else f"{start}/>\n"
            yield f"{indent}</ItemGroupData>\n"

    def _audits(self, entity: str, record: int, oid: str, depth: int) -> Iterator[str]:
        if self.audits:
            yield from write_audits(oid, history.entries(self.db, entity, record), self.people, depth)


def _attributes(named: tuple[tuple[str, str], ...]) -> str:
    return "".join(attribute(name, plain) for name, plain in named)


def _words(status: str) -> str:
    return status.lower().replace("_", " ")


def _moment(date: str) -> str:
    return f"{date}:00.0" if " " in date else date

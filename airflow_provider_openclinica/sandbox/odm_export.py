"""Write what is stored of a participant as the server's exports do (docs/protocol.md, clinical data).

One form is held in memory at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_openclinica.sandbox import history
from airflow_provider_openclinica.sandbox.history import Stamps
from airflow_provider_openclinica.sandbox.odm_extras import INDENT, threads, write_audits, write_notes
from airflow_provider_openclinica.sandbox.odm_text import attribute, raw, text, value

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from airflow_provider_openclinica.sandbox.data import ClinicalStore, FormRecord, Occurrence, Participant
    from airflow_provider_openclinica.sandbox.history import Entry
    from airflow_provider_openclinica.sandbox.odm_extras import Thread
    from airflow_provider_openclinica.sandbox.people import People
    from airflow_provider_openclinica.sandbox.retrieve import EventSelection, FormSelection
    from airflow_provider_openclinica.sandbox.study import Study

SUBJECT, EVENT, FORM, GROUP, ITEM = range(2, 7)  #: how deep each stands
_PARTICIPANT_STATUS = {
    "AVAILABLE": "Available",
    "REMOVED": "Removed",
    "SIGNED": "signed",
    "AUTO_REMOVED": "auto-removed",
}
_FLAGS = ("removed", "archived", "locked", "signed")


class Item(NamedTuple):
    """A stored value and where it stands."""

    id: int
    group_oid: str
    repeat: int
    removed: int
    item_oid: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter:
    """Writes participants.

    :param store: over the same connection as ``db``.
    :param events: which events are written.
    :param forms: which forms are written.
    :param audits: whether to write the history of everything.
    :param notes: whether to write the notes on items.
    """

    db: sqlite3.Connection
    store: ClinicalStore
    study: Study
    people: People
    events: EventSelection
    forms: FormSelection
    audits: bool = False
    notes: bool = False

    def subject(self, participant: Participant, *, found: bool = True) -> Iterator[str]:
        """Write a participant, piece by piece.

        :param found: false for somebody whom the server looked for in the wrong place: it writes nobody.
        """
        indent = INDENT * SUBJECT
        if not found:
            yield f'{indent}<SubjectData SubjectKey="null">\n{indent}</SubjectData>\n'
            return
        status = _PARTICIPANT_STATUS.get(participant.status, participant.status)
        yield (
            f"{indent}<SubjectData{attribute('SubjectKey', participant.oid)}"
            f"{attribute('OpenClinica:StudySubjectID', participant.participant_id)}"
            f"{attribute('OpenClinica:Status', status)}>\n"
        )
        for occurrence in self.events.occurrences(self.db, participant, archived=self.forms.archived):
            yield from self._event(occurrence)
        yield from self._audits("participant", participant.id, participant.oid, SUBJECT + 1)
        yield f"{indent}</SubjectData>\n"

    def _event(self, occurrence: Occurrence) -> Iterator[str]:
        indent = INDENT * EVENT
        yield f"{indent}<StudyEventData{self._event_attributes(occurrence)}>\n"
        stamps = history.stamps(self.db, occurrence.id)
        for form in self.store.forms(occurrence.id).values():
            if self.forms.shows(self.study, form):
                yield from self._form(occurrence, form, stamps.get(form.id, Stamps()))
        yield from self._audits("event", occurrence.id, occurrence.event_oid, EVENT + 1)
        yield f"{indent}</StudyEventData>\n"

    def _event_attributes(self, occurrence: Occurrence) -> str:
        definition = self.study.events.get(occurrence.event_oid)
        is_keyed = definition is None or definition.repeating or definition.common
        workflow = _words(occurrence.status)
        status = "Locked" if occurrence.locked else "signed" if occurrence.signed else workflow
        named = (
            ("StudyEventOID", occurrence.event_oid),
            ("StudyEventRepeatKey", str(occurrence.ordinal) if is_keyed else ""),
            ("OpenClinica:EventName", definition.name if definition else ""),
            ("OpenClinica:StartDate", _moment(occurrence.start_date)),
            ("OpenClinica:EndDate", _moment(occurrence.end_date)),
            ("OpenClinica:Status", status),
            ("OpenClinica:WorkflowStatus", workflow),
            *((f"OpenClinica:{flag.capitalize()}", "Yes" if getattr(occurrence, flag) else "") for flag in _FLAGS),
        )
        return "".join(attribute(name, plain) for name, plain in named)

    def _form(self, occurrence: Occurrence, form: FormRecord, stamps: Stamps) -> Iterator[str]:
        indent = INDENT * FORM
        yield f"{indent}<FormData{self._form_attributes(occurrence, form, stamps)}>\n"
        yield from self._groups(form)
        yield from self._audits("form", form.id, form.form_oid, FORM + 1)
        yield f"{indent}</FormData>\n"

    def _form_attributes(self, occurrence: Occurrence, form: FormRecord, stamps: Stamps) -> str:
        definition = self.study.forms.get(form.form_oid)
        is_invalid = form.removed or form.archived or occurrence.removed or occurrence.archived
        workflow = "data entry complete" if form.complete else "initial data entry"
        workflow = "Locked" if occurrence.locked else workflow
        named = (
            ("FormOID", form.form_oid),
            ("OpenClinica:FormName", definition.name if definition else ""),
            ("OpenClinica:FormLayoutOID", form.version),
            ("OpenClinica:CreatedDate", stamps.created_at),
            ("OpenClinica:CreatedBy", stamps.created_by),
            ("OpenClinica:UpdatedDate", stamps.updated_at),
            ("OpenClinica:UpdatedBy", stamps.updated_by or stamps.created_by),
            ("OpenClinica:Status", "invalid" if is_invalid else workflow),
            ("OpenClinica:WorkflowStatus", workflow),
            ("OpenClinica:SdvStatus", _words(form.sdv_status).capitalize()),
            ("OpenClinica:Removed", "Yes" if form.removed else ""),
            ("OpenClinica:Archived", "Yes" if form.archived else ""),
        )
        return "".join(attribute(name, plain) for name, plain in named)

    def _groups(self, form: FormRecord) -> Iterator[str]:
        """Write the groups of a form; one that was removed and filled again stands twice."""
        rows = self.db.execute(
            """SELECT id, group_oid, repeat, removed, item_oid, value FROM items WHERE form = ?
               ORDER BY group_oid, repeat, removed, item_oid""",
            (form.id,),
        )
        notes = threads(self.db, form.id) if self.notes else {}
        audits = history.entries_of_items(self.db, form.id) if self.audits else {}
        indent = INDENT * GROUP
        for (oid, repeat, removed), items in groupby(map(Item._make, rows), lambda item: item[1:4]):
            definition = self.study.groups.get(oid)
            yield (
                f'{indent}<ItemGroupData ItemGroupOID="{text(oid)}" ItemGroupRepeatKey="{repeat}"'
                f"{attribute('OpenClinica:ItemGroupName', definition.name if definition else '', raw)}"
                f'{attribute("OpenClinica:Removed", "Yes" if removed else "")} TransactionType="Insert">\n'
            )
            for item in items:
                yield self._item(item, audits.get(item.id, ()), notes.get((repeat, item.item_oid), ()))
            yield f"{indent}</ItemGroupData>\n"

    def _item(self, item: Item, audits: Sequence[Entry], notes: Sequence[Thread]) -> str:
        definition = self.study.items.get(item.item_oid)
        name = definition.name if definition else ""
        indent = INDENT * ITEM
        opening = (
            f'{indent}<ItemData ItemOID="{text(item.item_oid)}" {attribute("OpenClinica:ItemName", name)}'
            f' Value="{value(item.value)}"'
        )
        below = "".join(
            (
                *write_audits(item.item_oid, audits, self.people, ITEM + 1),
                *write_notes(item.item_oid, name, notes, self.people, ITEM + 1),
            )
        )
        return f"{opening}>\n{below}{indent}</ItemData>\n" if below else f"{opening}/>\n"

    def _audits(self, entity: str, record: int, oid: str, depth: int) -> Iterator[str]:
        if self.audits:
            yield from write_audits(oid, history.entries(self.db, entity, record), self.people, depth)


def _words(status: str) -> str:
    """Write a status as people read it: ``data entry started``."""
    return status.lower().replace("_", " ")


def _moment(date: str) -> str:
    """Write the date of an event; with a time, where it has one."""
    return f"{date}:00.0" if " " in date else date

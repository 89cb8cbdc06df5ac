"""What the four selectors of a retrieval find (docs/protocol.md, clinical data).

Only four combinations find anything: everybody; all of one participant; events of one participant; and a form in one
of these. Whatever else is asked for is answered without data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.data import ClinicalStore, Occurrence, Participant
from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.import_text import read_int

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from airflow_provider_openclinica.sandbox.data import FormRecord
    from airflow_provider_openclinica.sandbox.service import Place
    from airflow_provider_openclinica.sandbox.study import FormDefinition, Study

ALL = "*"
_OCCURRENCE = re.compile(r"(?P<oid>.*)\[(?P<ordinal>.*)\]", re.DOTALL)
_LONGEST_VERSION = 10


class Breakdown(Exception):  # noqa: N818 - not a failure of the sandbox, but of the server it plays
    """The server cannot cope with this request, and answers 500."""


@dataclass(frozen=True, slots=True)
class Section:
    """What stands in one ``ClinicalData``: the participant found, or everybody at one study or site."""

    study_oid: str
    participant: Participant | None = None
    is_empty: bool = False  #: the participant was found by OID in a place that was not asked for

    def participants(self, db: sqlite3.Connection) -> Iterator[Participant]:
        """Give those whose data are to be written, one after the other."""
        if self.participant:
            yield self.participant
            return
        rows = db.execute(
            """SELECT id, oid, participant_id, site_oid, status, created_at, created_by, updated_at, updated_by
               FROM participants WHERE site_oid = ? ORDER BY id""",
            (self.study_oid,),
        )
        for row in rows:
            yield Participant(*row)


@dataclass(frozen=True, slots=True)
class Selectors:
    """Participant, event and form as they stand in the path."""

    participant: str
    event: str
    form: str

    @property
    def is_answerable(self) -> bool:
        """Tell whether this is one of the four combinations that find anything."""
        if self.participant == ALL:
            return (self.event, self.form) == (ALL, ALL)
        return self.form == ALL or (self.event != ALL and "," not in self.event)

    def sections(self, db: sqlite3.Connection, place: Place) -> list[Section]:
        """Find what is to be written: one section for a participant, or one for each place that has any.

        :raises Breakdown: there is no such participant.
        """
        if self.participant != ALL:
            return [self._section_of_one(db, place)]
        places = [place.oid] if place.site else [place.oid, *(site.oid for site in place.study.sites)]
        return [Section(oid) for oid in places if next(Section(oid).participants(db), None)]

    def _section_of_one(self, db: sqlite3.Connection, place: Place) -> Section:
        store, scope = ClinicalStore(db), place.study.scope(place.oid)
        found = store.participant_by_oid(self.participant)
        if found:
            return Section(place.oid, found, is_empty=found.site_oid not in scope)
        named = store.participants_by_id(self.participant, scope)
        if not named:
            raise Breakdown
        return Section(place.oid, named[0])

    def events(self) -> EventSelection:
        """Read the selector of events.

        :raises Breakdown: the number of an occurrence is none.
        """
        if self.event == ALL:
            return EventSelection()
        wanted = []
        for selector in self.event.split(","):
            occurrence = _OCCURRENCE.fullmatch(selector)
            ordinal = read_int(occurrence["ordinal"]) if occurrence else None
            if occurrence and ordinal is None:
                raise Breakdown
            wanted.append((occurrence["oid"] if occurrence else selector, ordinal))
        return EventSelection(tuple(wanted))


@dataclass(frozen=True, slots=True)
class EventSelection:
    """Which events are wanted: OIDs, each with the number of an occurrence or ``None``; none at all: every event."""

    wanted: tuple[tuple[str, int | None], ...] = ()

    def occurrences(self, db: sqlite3.Connection, participant: Participant, *, archived: bool) -> Iterator[Occurrence]:
        """Give those of a participant. What is removed or archived is hidden only where no event was named.

        :param archived: whether removed and archived ones are shown.
        """
        rows = db.execute(
            """SELECT id, participant, event_oid, ordinal, status, start_date, end_date, removed, archived, locked,
                      signed FROM events WHERE participant = ? ORDER BY id""",
            (participant.id,),
        ).fetchall()
        for row in rows:
            occurrence = Occurrence(*row[:7], *map(bool, row[7:]))
            if self.wanted:
                is_wanted = self._names(occurrence)
            else:
                is_wanted = archived or not (occurrence.removed or occurrence.archived)
            if is_wanted:
                yield occurrence

    def _names(self, occurrence: Occurrence) -> bool:
        return any(
            oid == occurrence.event_oid and ordinal in {None, occurrence.ordinal} for oid, ordinal in self.wanted
        )


@dataclass(frozen=True, slots=True)
class FormSelection:
    """Which forms are wanted.

    :param selector: in the source, the OID of a form's first version, and none but that; it selects the form in
        whatever version. The documents speak of the OID of a form, or of a version.
    :param archived: whether removed and archived forms are shown.
    """

    selector: str
    dialect: Dialect
    archived: bool

    def shows(self, study: Study, form: FormRecord) -> bool:
        """Tell whether a form is to be written."""
        if not self.archived and (form.removed or form.archived):
            return False
        if self.selector == ALL:
            return True
        definition = study.forms.get(form.form_oid)
        if definition is None:
            return False
        if self.dialect is Dialect.DOCS:
            return self.selector in {form.form_oid, version_oid(definition, form.version)}
        return self.selector == version_oid(definition, definition.versions[0])


def version_oid(form: FormDefinition, version: str) -> str:
    """Give the OID of a form's version, which no metadata show: ``F_VITALS_1``."""
    name = re.sub(r"[^A-Za-z0-9_]", "", version).upper()
    return f"{form.oid}_{name[:_LONGEST_VERSION]}"

"""What the sandbox stores for its participants: contact data, events, forms, items, notes, signatures, in SQLite.

All writes go through the connection that is given and nothing here commits: whoever runs an import owns its
transaction, since an import is applied whole or not at all (docs/protocol.md, jobs).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_openclinica.sandbox import history

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

    from airflow_provider_openclinica.sandbox.study import Study

_TABLES = (
    """CREATE TABLE IF NOT EXISTS participants (
        id INTEGER PRIMARY KEY, oid TEXT NOT NULL UNIQUE, participant_id TEXT NOT NULL, site_oid TEXT NOT NULL,
        status TEXT NOT NULL, created_at TEXT NOT NULL, created_by TEXT NOT NULL, updated_at TEXT, updated_by TEXT)""",
    "CREATE INDEX IF NOT EXISTS participants_by_id ON participants (participant_id)",
    "CREATE INDEX IF NOT EXISTS participants_in_any_case ON participants (participant_id COLLATE NOCASE)",
    """CREATE TABLE IF NOT EXISTS contacts (
        participant INTEGER PRIMARY KEY REFERENCES participants, firstName TEXT, lastName TEXT, emailAddress TEXT,
        phoneNumber TEXT, identifier TEXT, participate_status TEXT NOT NULL DEFAULT '')""",
    """CREATE TABLE IF NOT EXISTS access_codes (
        participant INTEGER PRIMARY KEY REFERENCES participants, code TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS events (
        id INTEGER PRIMARY KEY, participant INTEGER NOT NULL REFERENCES participants, event_oid TEXT NOT NULL,
        ordinal INTEGER NOT NULL, status TEXT NOT NULL, start_date TEXT NOT NULL, end_date TEXT NOT NULL,
        removed INTEGER NOT NULL, archived INTEGER NOT NULL, locked INTEGER NOT NULL, signed INTEGER NOT NULL,
        UNIQUE (participant, event_oid, ordinal))""",
    """CREATE TABLE IF NOT EXISTS forms (
        id INTEGER PRIMARY KEY, event INTEGER NOT NULL REFERENCES events, form_oid TEXT NOT NULL,
        version TEXT NOT NULL, complete INTEGER NOT NULL, sdv_status TEXT NOT NULL, removed INTEGER NOT NULL,
        archived INTEGER NOT NULL, UNIQUE (event, form_oid))""",
    # A removed item stays in its place, and nothing can be stored there again: the server's own trap.
    """CREATE TABLE IF NOT EXISTS items (
        id INTEGER PRIMARY KEY, form INTEGER NOT NULL REFERENCES forms, group_oid TEXT NOT NULL,
        repeat INTEGER NOT NULL, item_oid TEXT NOT NULL, value TEXT NOT NULL, removed INTEGER NOT NULL DEFAULT 0,
        UNIQUE (form, item_oid, repeat))""",
    "CREATE INDEX IF NOT EXISTS items_by_group ON items (form, group_oid, repeat)",
    """CREATE TABLE IF NOT EXISTS notes (
        id INTEGER PRIMARY KEY, thread INTEGER REFERENCES notes, note_id TEXT NOT NULL UNIQUE,
        form INTEGER NOT NULL REFERENCES forms, repeat INTEGER NOT NULL, item_oid TEXT NOT NULL, type TEXT NOT NULL,
        status TEXT NOT NULL, text TEXT NOT NULL, author TEXT NOT NULL, assigned TEXT NOT NULL,
        created_at TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS notes_by_item ON notes (form, item_oid, repeat)",
    """CREATE TABLE IF NOT EXISTS signatures (
        id INTEGER PRIMARY KEY, event INTEGER NOT NULL REFERENCES events, attestation TEXT NOT NULL,
        user TEXT NOT NULL, created_at TEXT NOT NULL)""",
)


@dataclass(frozen=True, slots=True)
class Participant:
    """A participant: ``AVAILABLE``, ``SIGNED``, ``REMOVED`` or ``AUTO_REMOVED``; times as :func:`now` gives them."""

    id: int
    oid: str
    participant_id: str
    site_oid: str
    status: str
    created_at: str
    created_by: str
    updated_at: str | None
    updated_by: str | None


@dataclass(slots=True)
class Occurrence:
    """One occurrence of an event for a participant; ``id`` is 0 while it is only prepared.

    :param status: ``NOT_SCHEDULED``, ``SCHEDULED``, ``DATA_ENTRY_STARTED``, ``COMPLETED``, ``SKIPPED``, ``STOPPED``.
    """

    id: int
    participant: int
    event_oid: str
    ordinal: int
    status: str = "SCHEDULED"
    start_date: str = ""
    end_date: str = ""
    removed: bool = False
    archived: bool = False
    locked: bool = False
    signed: bool = False


@dataclass(slots=True)
class FormRecord:
    """A form in an occurrence; ``sdv_status`` is empty until it was set once."""

    id: int
    event: int
    form_oid: str
    version: str
    complete: bool = False
    sdv_status: str = ""
    removed: bool = False
    archived: bool = False


class ItemPlace(NamedTuple):
    """Where a value or a note stands: the id of a form record, the repeat of the item's group, the item."""

    form: int
    repeat: int
    item_oid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A thread of notes (``thread`` is 0), or an entry of the thread with that id; ``id`` is 0 before it is stored.

    :param status: of an entry, its own; of a thread, that of its last entry.
    """

    id: int = 0
    thread: int = 0
    note_id: str
    place: ItemPlace
    type: str
    status: str = ""
    text: str = ""
    author: str = ""
    assigned: str = ""


class ClinicalStore:
    """The tables, created where they are missing, and every question asked of them.

    :param connection: its owner commits and rolls back.
    :param user: login of whoever writes through it.
    """

    def __init__(self, connection: sqlite3.Connection, user: str = history.ROOT) -> None:
        self._db = connection
        for statement in (*_TABLES, *history.STATEMENTS):
            self._db.execute(statement)
        history.act_as(connection, user)

    def seed(self, study: Study) -> None:
        """Add the participants a study starts with; those that are there already stay as they are."""
        self._db.executemany(
            """INSERT OR IGNORE INTO participants (oid, participant_id, site_oid, status, created_at, created_by)
               VALUES (?, ?, ?, ?, ?, 'root')""",
            [(seed.oid, seed.participant_id, seed.site_oid, seed.status, now()) for seed in study.participants],
        )

    # Participants

    def participant_by_oid(self, oid: str) -> Participant | None:
        """Return the participant with this OID, wherever that is."""
        return next(iter(self._participants("oid = ?", oid)), None)

    def participants_by_id(self, participant_id: str, sites: Collection[str]) -> list[Participant]:
        """Return who has exactly this participant ID at one of these sites."""
        found = self._participants("participant_id = ?", participant_id)
        return [participant for participant in found if participant.site_oid in sites]

    def participants(self, sites: Collection[str]) -> list[Participant]:
        """Return everybody at these sites, removed participants too."""
        return [participant for participant in self._participants("TRUE") if participant.site_oid in sites]

    def _participants(self, condition: str, *values: str) -> list[Participant]:
        rows = self._db.execute(
            "SELECT id, oid, participant_id, site_oid, status, created_at, created_by, updated_at, updated_by "  # noqa: S608
            f"FROM participants WHERE {condition} ORDER BY id",  # one of the three conditions above
            values,
        )
        return [Participant(*row) for row in rows]

    def unsign_participant(self, participant: int, user: str) -> None:
        """Take a participant's signature away, if there is one."""
        self._db.execute(
            """UPDATE participants SET status = 'AVAILABLE', updated_at = ?, updated_by = ?
               WHERE id = ? AND status = 'SIGNED'""",
            (now(), user, participant),
        )

    def set_participant_status(self, participant: int, status: str) -> None:
        """Give a participant a status."""
        self._db.execute("UPDATE participants SET status = ? WHERE id = ?", (status, participant))

    # Events

    def occurrences(self, participant: int, event_oid: str) -> dict[int, Occurrence]:
        """Return a participant's occurrences of an event, by ordinal."""
        rows = self._db.execute(
            """SELECT id, participant, event_oid, ordinal, status, start_date, end_date, removed, archived, locked,
                      signed FROM events WHERE participant = ? AND event_oid = ? ORDER BY ordinal""",
            (participant, event_oid),
        )
        return {row[3]: Occurrence(*row[:7], *map(bool, row[7:])) for row in rows}

    def save_occurrence(self, occurrence: Occurrence) -> None:
        """Store an occurrence; a prepared one gets its id."""
        flags = (occurrence.removed, occurrence.archived, occurrence.locked, occurrence.signed)
        if occurrence.id:
            self._db.execute(
                """UPDATE events SET status = ?, start_date = ?, end_date = ?, removed = ?, archived = ?, locked = ?,
                                     signed = ? WHERE id = ?""",
                (occurrence.status, occurrence.start_date, occurrence.end_date, *flags, occurrence.id),
            )
            return
        occurrence.id = self._insert(
            """INSERT INTO events (participant, event_oid, ordinal, status, start_date, end_date, removed, archived,
                                   locked, signed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            occurrence.participant,
            occurrence.event_oid,
            occurrence.ordinal,
            occurrence.status,
            occurrence.start_date,
            occurrence.end_date,
            *flags,
        )

    def stored_events(self) -> list[dict[str, str | int]]:
        """Return every occurrence, for the control routes."""
        names = ("participant", "site", "event", "repeat", "status", "start", "end", "removed", "locked", "signed")
        rows = self._db.execute(
            """SELECT p.participant_id, p.site_oid, e.event_oid, e.ordinal, e.status, e.start_date, e.end_date,
                      e.removed, e.locked, e.signed
               FROM events e JOIN participants p ON p.id = e.participant ORDER BY e.id"""
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def attestations(self, event: int) -> set[str]:
        """Return the attestations that sign an occurrence."""
        return {row[0] for row in self._db.execute("SELECT attestation FROM signatures WHERE event = ?", (event,))}

    def add_attestation(self, event: int, attestation: str, user: str) -> None:
        """Add an attestation to an occurrence."""
        self._insert(
            "INSERT INTO signatures (event, attestation, user, created_at) VALUES (?, ?, ?, ?)",
            event,
            attestation,
            user,
            now(),
        )

    # Forms

    def forms(self, event: int) -> dict[str, FormRecord]:
        """Return the forms an occurrence holds, by form OID."""
        rows = self._db.execute(
            """SELECT id, event, form_oid, version, complete, sdv_status, removed, archived
               FROM forms WHERE event = ?""",
            (event,),
        )
        return {
            form_oid: FormRecord(record, event, form_oid, version, bool(complete), sdv, bool(removed), bool(archived))
            for record, event, form_oid, version, complete, sdv, removed, archived in rows
        }

    def save_form(self, form: FormRecord) -> None:
        """Store a form; a prepared one (``id`` 0) gets its id."""
        if form.id:
            self._db.execute(
                "UPDATE forms SET complete = ?, sdv_status = ?, removed = ?, archived = ? WHERE id = ?",
                (form.complete, form.sdv_status, form.removed, form.archived, form.id),
            )
            return
        form.id = self._insert(
            """INSERT INTO forms (event, form_oid, version, complete, sdv_status, removed, archived)
               VALUES (?, ?, ?, ?, ?, ?, ?)""",
            form.event,
            form.form_oid,
            form.version,
            form.complete,
            form.sdv_status,
            form.removed,
            form.archived,
        )

    # Items

    def highest_repeat(self, form: int, group_oid: str) -> int:
        """Return the highest repeat of a group that was ever stored, removed ones included; 0 without any."""
        row = self._db.execute("SELECT max(repeat) FROM items WHERE form = ? AND group_oid = ?", (form, group_oid))
        return int(row.fetchone()[0] or 0)

    def is_removed(self, form: int, group_oid: str, repeat: int) -> bool:
        """Tell whether this repeat of a group was removed."""
        row = self._db.execute(
            "SELECT 1 FROM items WHERE form = ? AND group_oid = ? AND repeat = ? AND removed = 1 LIMIT 1",
            (form, group_oid, repeat),
        )
        return row.fetchone() is not None

    def remove_repeat(self, form: int, group_oid: str, repeat: int) -> None:
        """Flag all items of one repeat as removed."""
        self._db.execute(
            "UPDATE items SET removed = 1 WHERE form = ? AND group_oid = ? AND repeat = ?", (form, group_oid, repeat)
        )

    def value(self, place: ItemPlace) -> str | None:
        """Return the stored value, or ``None``; a removed one counts as none."""
        row = self._db.execute(
            "SELECT value FROM items WHERE form = ? AND repeat = ? AND item_oid = ? AND removed = 0", place
        ).fetchone()
        return row[0] if row else None

    def insert_value(self, place: ItemPlace, group_oid: str, value: str) -> None:
        """Store a first value.

        :raises sqlite3.IntegrityError: a removed value stands in that place.
        """
        self._db.execute(
            "INSERT INTO items (form, repeat, item_oid, group_oid, value) VALUES (?, ?, ?, ?, ?)",
            (*place, group_oid, value),
        )

    def update_value(self, place: ItemPlace, value: str) -> None:
        """Replace a stored value."""
        self._db.execute("UPDATE items SET value = ? WHERE form = ? AND repeat = ? AND item_oid = ?", (value, *place))

    def stored_items(self) -> list[dict[str, str | int]]:
        """Return every value that counts, for the control routes."""
        names = ("participant", "site", "event", "event_repeat", "form", "version", "group", "group_repeat", "item")
        rows = self._db.execute(
            """SELECT p.participant_id, p.site_oid, e.event_oid, e.ordinal, f.form_oid, f.version, i.group_oid,
                      i.repeat, i.item_oid, i.value
               FROM items i JOIN forms f ON f.id = i.form JOIN events e ON e.id = f.event
               JOIN participants p ON p.id = e.participant WHERE i.removed = 0 ORDER BY i.id"""
        )
        return [dict(zip((*names, "value"), row, strict=True)) for row in rows]

    # Notes

    def note(self, note_id: str) -> Note | None:
        """Return the thread or entry with that ID, on whatever item it stands."""
        return next(iter(self._notes("note_id = ?", note_id)), None)

    def threads(self, place: ItemPlace) -> list[Note]:
        """Return the threads on an item."""
        return self._notes("thread IS NULL AND form = ? AND repeat = ? AND item_oid = ?", *place)

    def _notes(self, condition: str, *values: object) -> list[Note]:
        rows = self._db.execute(
            "SELECT id, thread, note_id, form, repeat, item_oid, type, status, text, author, assigned "  # noqa: S608
            f"FROM notes WHERE {condition} ORDER BY id",  # one of the two conditions above
            values,
        )
        return [
            Note(
                id=row[0],
                thread=row[1] or 0,
                note_id=row[2],
                place=ItemPlace(*row[3:6]),
                type=row[6],
                status=row[7],
                text=row[8],
                author=row[9],
                assigned=row[10],
            )
            for row in rows
        ]

    def add_note(self, note: Note) -> Note:
        """Store a thread or an entry and return it with its id, and with an ID if it came without one."""
        named = replace(note, note_id=note.note_id or self._free_note_id("CDN" if note.thread else "DN"))
        added = self._insert(
            """INSERT INTO notes (thread, note_id, form, repeat, item_oid, type, status, text, author, assigned,
                                  created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            named.thread or None,
            named.note_id,
            *named.place,
            named.type,
            named.status,
            named.text,
            named.author,
            named.assigned,
            now(),
        )
        if named.thread:
            self._db.execute("UPDATE notes SET status = ? WHERE id = ?", (named.status, named.thread))
        return replace(named, id=added)

    def _free_note_id(self, prefix: str) -> str:
        number = int(self._db.execute("SELECT coalesce(max(id), 0) + 1 FROM notes").fetchone()[0])
        while self.note(f"{prefix}_{number}"):
            number += 1
        return f"{prefix}_{number}"

    def _insert(self, statement: str, *values: object) -> int:
        return int(self._db.execute(statement, values).lastrowid or 0)


def now() -> str:
    """Return this moment as tables keep it: GMT with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")

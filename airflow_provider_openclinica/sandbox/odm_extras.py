"""Audit logs and notes, as exports write them below what they are about (docs/protocol.md, clinical data)."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_openclinica.sandbox.odm_text import attribute, raw, text, value

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from airflow_provider_openclinica.sandbox.history import Entry
    from airflow_provider_openclinica.sandbox.people import People

INDENT = " " * 4
_NO_STATUS = "Not applicable"
_SECONDS = len("2020-10-26T08:00:00")


class Note(NamedTuple):
    """A row of the table of notes: a thread, or an entry of one."""

    id: int
    thread: int | None
    note_id: str
    repeat: int
    item_oid: str
    type: str
    status: str
    text: str
    author: str
    assigned: str
    created_at: str

    @property
    def moment(self) -> str:
        """When it was written, as exports have it."""
        return self.created_at[:_SECONDS]


class Thread(NamedTuple):
    """A note and its entries, oldest first."""

    head: Note
    entries: Sequence[Note]


def threads(db: sqlite3.Connection, form: int) -> dict[tuple[int, str], list[Thread]]:
    """Return the notes in a form by the repeat of the group and the OID of the item they stand on."""
    rows = db.execute(
        """SELECT id, thread, note_id, repeat, item_oid, type, status, text, author, assigned, created_at
           FROM notes WHERE form = ? ORDER BY id""",
        (form,),
    )
    heads, entries = [], defaultdict(list)
    for note in map(Note._make, rows):
        if note.thread:
            entries[note.thread].append(note)
        else:
            heads.append(note)
    found: dict[tuple[int, str], list[Thread]] = defaultdict(list)
    for head in heads:
        # A reason for a change has no entries of its own here; the server writes it as one.
        own = [] if head.id in entries else [head._replace(note_id=f"C{head.note_id}")]
        found[head.repeat, head.item_oid].append(Thread(head, entries.get(head.id, own)))
    return found


def write_audits(entity_oid: str, entries: Sequence[Entry], people: People, depth: int) -> Iterator[str]:
    """Write what happened to something; nothing where nothing did. What was empty and is so still does not count."""
    told = [entry for entry in entries if entry.old or entry.new]
    if not told:
        return
    indent = INDENT * depth
    yield f'{indent}<OpenClinica:AuditLogs EntityID="{raw(entity_oid)}">\n'
    for entry in told:
        person = people.get(entry.user)
        yield (
            f'{indent}{INDENT}<OpenClinica:AuditLog ID="AL_{entry.id}" UserID="{person.oid}"'
            f'{attribute("UserName", person.login)}{attribute("Name", person.name)} DateTimeStamp="{entry.at}"'
            f"{attribute('AuditType', entry.what, raw)}{attribute('OldValue', entry.old, value)}"
            f"{attribute('NewValue', entry.new, value)}/>\n"
        )
    yield f"{indent}</OpenClinica:AuditLogs>\n"


def write_notes(
    entity_oid: str, entity_name: str, found: Sequence[Thread], people: People, depth: int
) -> Iterator[str]:
    """Write the notes on something; nothing where there are none."""
    if not found:
        return
    indent = INDENT * depth
    yield f'{indent}<OpenClinica:DiscrepancyNotes EntityID="{raw(entity_oid)}">\n'
    for head, entries in found:
        number = str(head.id) if head.type == "Query" else ""
        yield (
            f"{indent}{INDENT}<OpenClinica:DiscrepancyNote{attribute('ID', head.note_id)}"
            f"{attribute('Status', head.status or _NO_STATUS, raw)}{attribute('NoteType', head.type, raw)}"
            f"{attribute('DateUpdated', head.moment)}{attribute('EntityName', entity_name, raw)}"
            f'{attribute("QueryID", number)} NumberOfChildNotes="{len(entries)}">\n'
        )
        for entry in entries:
            yield from _entry(entry, people, indent + INDENT * 2)
        yield f"{indent}{INDENT}</OpenClinica:DiscrepancyNote>\n"
    yield f"{indent}</OpenClinica:DiscrepancyNotes>\n"


def _entry(entry: Note, people: People, indent: str) -> Iterator[str]:
    author = people.get(entry.author)
    yield (
        f"{indent}<OpenClinica:ChildNote{attribute('ID', entry.note_id, raw)}"
        f"{attribute('Status', entry.status or _NO_STATUS, raw)}{attribute('DateCreated', entry.moment)}"
        f"{attribute('UserName', author.login, raw)}{attribute('Name', author.name, raw)}>\n"
    )
    if entry.text:
        yield f"{indent}{INDENT}<OpenClinica:DetailedNote>{text(entry.text)}</OpenClinica:DetailedNote>\n"
    if entry.assigned:
        person = people.get(entry.assigned)
        yield (
            f'{indent}{INDENT}<UserRef UserOID="{person.oid} "{attribute("OpenClinica:UserName", person.login)}'
            f"{attribute('OpenClinica:FullName', person.name)}/>\n"
        )
    yield f"{indent}</OpenClinica:ChildNote>\n"

"""Step 6 of an import: queries and annotations on an item (docs/protocol.md, import).

A note is a thread with entries. Whatever is wrong with one has a row each, and then nothing of it is stored. A note or
an entry without an ID is new every time it is sent.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.data import Note
from airflow_provider_openclinica.sandbox.import_run import (
    ANNOTATION,
    INSERTED,
    QUERY,
    UPDATED,
    ImportRun,
    JobFailed,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from airflow_provider_openclinica.sandbox.data import ItemPlace
    from airflow_provider_openclinica.sandbox.import_document import ChildNote, DiscrepancyNote
    from airflow_provider_openclinica.sandbox.joblog import Place

_LONGEST_ID = 32
_LONGEST_TEXT = 1000
_TYPES = {"query": QUERY, "annotation": ANNOTATION}
_STATUSES = {
    status.casefold(): status
    for status in ("New", "Updated", "Resolution proposed", "Closed", "Not applicable", "Closed-Modified")
}
_MAY_FOLLOW: dict[str, Collection[str]] = {
    "": ("New",),
    "New": ("Updated", "Closed"),
    "Updated": ("Updated", "Closed"),
    "Closed": ("Updated", "Closed-Modified"),
    "Closed-Modified": ("Updated", "Closed"),
}


def import_notes(run: ImportRun, stored_at: ItemPlace, place: Place, notes: list[DiscrepancyNote]) -> None:
    """Store what is new in the notes of an item, and log what became of each note.

    :param stored_at: the item the notes stand on.
    :param place: the same, for the log.
    :raises JobFailed: a note names a user, and the user service does not answer.
    """
    for note in notes:
        kind = _TYPES.get((note.note_type or "").casefold(), QUERY)
        thread = run.store.note(note.id) if note.id else None
        problems = list(_problems(run, stored_at, kind, note, thread))
        for note_id, code in problems:
            run.failed(place, kind, code, prefix=f"{note_id}:errorCode." if note_id else "errorCode.")
        if not problems:
            _store(run, stored_at, place, kind, note, thread)


def _store(
    run: ImportRun, stored_at: ItemPlace, place: Place, kind: str, note: DiscrepancyNote, thread: Note | None
) -> None:
    new = [entry for entry in note.children if not _is_stored(run, entry)]
    if thread and not new:
        run.unchanged(place, kind)
        return
    parent = thread or run.store.add_note(Note(note_id=note.id or "", place=stored_at, type=kind))
    for entry in new:
        run.store.add_note(
            Note(
                thread=parent.id,
                note_id=entry.id or "",
                place=stored_at,
                type=kind,
                status=_STATUSES.get((entry.status or "").casefold(), "Not applicable"),
                text=entry.detailed_note or "",
                author=entry.user_name or "",
                assigned=_assigned(entry),
            )
        )
    run.changed(place, kind, UPDATED if thread else INSERTED, parent.note_id)


def _problems(
    run: ImportRun, stored_at: ItemPlace, kind: str, note: DiscrepancyNote, thread: Note | None
) -> Iterator[tuple[str | None, str]]:
    """Yield what is wrong with a note: the ID concerned, if it has one, and the code."""
    if not note.note_type:
        yield note.id, "missingDiscrepancyNoteType"
    elif note.note_type.casefold() not in _TYPES:
        yield note.id, "discrepancyNoteTypeNotValid"
    if not note.children:
        yield note.id, "missingChildNote"
    if kind == ANNOTATION and len(note.children) > 1:
        yield note.id, "annotationMustHaveOneChildNote"
    yield from _id_problems(run, stored_at, note, thread)
    for entry in note.children:
        yield from _entry_problems(run, kind, entry)
    if kind == QUERY:
        yield from _order_problems(run, note, thread)


def _id_problems(
    run: ImportRun, stored_at: ItemPlace, note: DiscrepancyNote, thread: Note | None
) -> Iterator[tuple[str, str]]:
    ids = [note_id for note_id in (note.id, *(entry.id for entry in note.children)) if note_id]
    for note_id, times in Counter(ids).items():
        if len(note_id) > _LONGEST_ID:
            yield note_id, "discrepancyNoteIdTooLong"
        if times > 1:
            yield note_id, "discrepancyNoteIdIsRedundant"
        stored = run.store.note(note_id)
        if stored is None:
            continue
        in_thread = 0 if note_id == note.id else thread.id if thread else -1  # -1: a new thread holds nothing yet
        if stored.place != stored_at:
            yield note_id, "existingNoteIdOnOtherItem"
        elif stored.thread != in_thread:
            yield note_id, "noteIdAlreadyInUse"


def _entry_problems(run: ImportRun, kind: str, entry: ChildNote) -> Iterator[tuple[str | None, str]]:
    if kind == QUERY and not entry.status:
        yield entry.id, "missingDiscrepancyNoteStatus"
    if kind == QUERY and entry.status and entry.status.casefold() not in _STATUSES:
        yield entry.id, "discrepancyNoteStatusNotValid"
    if not entry.user_name:
        yield entry.id, "missingUserName"
    elif not _is_user(run, entry.user_name):
        yield entry.id, "userNotValid"
    if _assigned(entry) and not _is_user(run, _assigned(entry)):
        yield entry.id, "assignedUserNotValid"
    if not entry.detailed_note:
        yield entry.id, "detailedNoteMissing"
    elif len(entry.detailed_note) > _LONGEST_TEXT:
        yield entry.id, "detailedNoteTextTooLong"


def _order_problems(run: ImportRun, note: DiscrepancyNote, thread: Note | None) -> Iterator[tuple[str | None, str]]:
    """Check that new entries come after the stored ones, each with a status that may follow the one before."""
    status = thread.status if thread else ""
    stored = [_is_stored(run, entry) for entry in note.children]
    for number, entry in enumerate(note.children):
        sent = _STATUSES.get((entry.status or "").casefold())
        if stored[number] or sent is None:
            continue
        if any(stored[number:]):
            yield entry.id, "newQueryInBetweenOldQueries"
        elif sent not in _MAY_FOLLOW.get(status, ()):
            yield entry.id, "queryStatusNotApplicable"
        status = sent


def _is_stored(run: ImportRun, entry: ChildNote) -> bool:
    return bool(entry.id) and run.store.note(entry.id or "") is not None


def _is_user(run: ImportRun, login: str) -> bool:
    if run.users is None:
        raise JobFailed("a note names a user and the user service does not answer")
    return login in run.users


def _assigned(entry: ChildNote) -> str:
    return (entry.user_ref.user_name if entry.user_ref else None) or ""

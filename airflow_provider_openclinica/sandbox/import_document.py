"""What an upload says, as objects named after the elements of ODM. ``None`` stands for an absent attribute.

OIDs are in upper case, as the server looks them up; nothing else has been checked (docs/protocol.md, import document).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class UserRef:
    """The user to whom a query is assigned."""

    user_name: str | None = None


@dataclass(slots=True)
class ChildNote:
    """One entry in the thread of a note."""

    id: str | None = None
    status: str | None = None
    user_name: str | None = None
    detailed_note: str | None = None
    user_ref: UserRef | None = None


@dataclass(slots=True)
class DiscrepancyNote:
    """A query or an annotation: a thread of entries."""

    id: str | None = None
    note_type: str | None = None
    children: list[ChildNote] = field(default_factory=list)


@dataclass(slots=True)
class DiscrepancyNotes:
    """The notes of an item."""

    notes: list[DiscrepancyNote] = field(default_factory=list)


@dataclass(slots=True)
class ItemData:
    """One value. ``transaction_type`` and ``is_null`` are read and never used."""

    oid: str | None = None
    value: str | None = None
    transaction_type: str | None = None
    is_null: str | None = None
    notes: DiscrepancyNotes | None = None


@dataclass(slots=True)
class ItemGroupData:
    """One repeat of an item group."""

    oid: str | None = None
    repeat_key: str | None = None
    removed: str | None = None
    items: list[ItemData] = field(default_factory=list)


@dataclass(slots=True)
class FormData:
    """One form. ``layout`` is matched against the name of a version."""

    oid: str | None = None
    layout: str | None = None
    status: str | None = None
    workflow_status: str | None = None
    sdv_status: str | None = None
    reason_for_change: str | None = None
    groups: list[ItemGroupData] = field(default_factory=list)


@dataclass(slots=True)
class Signature:
    """An attestation that signs an event."""

    attestation: str | None = None


@dataclass(slots=True)
class StudyEventData:
    """One occurrence of an event. ``status`` and ``workflow_status`` are read and never applied."""

    oid: str | None = None
    repeat_key: str | None = None
    start_date: str | None = None
    end_date: str | None = None
    status: str | None = None
    workflow_status: str | None = None
    signed: str | None = None
    signatures: list[Signature] = field(default_factory=list)
    forms: list[FormData] = field(default_factory=list)


@dataclass(slots=True)
class SubjectData:
    """One participant, named by OID, by participant ID, or by both."""

    key: str | None = None
    participant_id: str | None = None
    events: list[StudyEventData] = field(default_factory=list)


@dataclass(slots=True)
class UpsertOn:
    """Switches that only the deprecated import obeys."""

    not_started: str | None = None
    data_entry_started: str | None = None
    data_entry_complete: str | None = None


@dataclass(slots=True)
class Document:
    """The one ``ClinicalData`` of an upload."""

    study_oid: str | None = None
    subjects: list[SubjectData] = field(default_factory=list)
    upsert_on: UpsertOn | None = None

    def items(self) -> Iterator[ItemData]:
        """Give every item of every participant."""
        for subject in self.subjects:
            for event in subject.events:
                for form in event.forms:
                    for group in form.groups:
                        yield from group.items

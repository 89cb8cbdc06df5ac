"""What an export says, one frozen record for each thing it says; the fields are the columns of the tables.

Every record carries its complete keys, so it can be used alone. A text that is missing is empty, as OpenClinica leaves
out attributes that are empty; a repeat key that is missing is ``"1"``, which is what its absence means. Dates are kept
as they are written. ``removed`` and ``archived`` count for what stands below as well: an item is removed when its
group, form, event or participant is.

No record shows a value, a name or a participant when it is printed, so none reaches a log through ``repr``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

#: What ``repr`` may show.
SHOWN = frozenset({"study_oid", "study_event_oid", "form_oid", "item_group_oid", "item_oid"})


class Record:
    """Base of all records."""

    __slots__ = ()

    def __repr__(self) -> str:
        known = ((field.name, getattr(self, field.name)) for field in fields(self) if field.name in SHOWN)  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(f'{name}={oid}' for name, oid in known if oid)})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Participant(Record):
    """A participant (SubjectData).

    :param study_oid: OID of the study or site whose ClinicalData holds it.
    :param subject_key: the participant's OID, which no other has.
    :param participant_id: the participant's ID as people write it; empty in files of other systems.
    :param status: as written: ``Available``, ``Removed``, ``signed``, ``auto-removed``; letter case differs.
    :param removed: the status says so.
    """

    study_oid: str
    subject_key: str
    participant_id: str
    status: str
    unique_identifier: str
    secondary_id: str
    year_of_birth: str
    date_of_birth: str
    sex: str
    enrollment_date: str
    removed: bool


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Event(Record):
    """A visit, or an occurrence of a common event (StudyEventData).

    :param study_event_repeat_key: ``"1"`` for an event that does not repeat.
    :param start_date: a date, or a date with a time, as written.
    :param status: ``Locked``, ``signed`` or the workflow status, as written; localised in OpenClinica 3.
    :param workflow_status: how far data entry is; empty in OpenClinica 3.
    :param locked: its data cannot be changed.
    """

    study_oid: str
    subject_key: str
    participant_id: str
    study_event_oid: str
    study_event_repeat_key: str
    name: str
    location: str
    start_date: str
    end_date: str
    status: str
    workflow_status: str
    age_at_event: str
    removed: bool
    archived: bool
    locked: bool
    signed: bool


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Form(Record):
    """A form that was begun (FormData).

    :param form_repeat_key: ``"1"`` in OpenClinica, whose forms do not repeat within an event.
    :param form_layout_oid: name of the form's version; OpenClinica 3 calls it ``Version``.
    :param status: ``invalid`` when anything above is removed or archived, else the workflow status.
    :param sdv_status: ``Verified``, ``Not verified``, ``Changed since verified``, or empty.
    :param created_at: in the server's local time, without offset.
    :param updated_at: as ``created_at``; empty when the form was never changed.
    """

    study_oid: str
    subject_key: str
    participant_id: str
    study_event_oid: str
    study_event_repeat_key: str
    form_oid: str
    form_repeat_key: str
    name: str
    form_layout_oid: str
    status: str
    workflow_status: str
    sdv_status: str
    interviewer_name: str
    interview_date: str
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str
    removed: bool
    archived: bool


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ItemGroup(Record):
    """A repeat of an item group (ItemGroupData). The same keys can come twice, once removed and once not."""

    study_oid: str
    subject_key: str
    participant_id: str
    study_event_oid: str
    study_event_repeat_key: str
    form_oid: str
    form_repeat_key: str
    form_layout_oid: str
    item_group_oid: str
    item_group_repeat_key: str
    name: str
    transaction_type: str
    removed: bool
    archived: bool


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Item(Record):
    """A stored value (ItemData).

    :param value: its text; None where the file says that it is null, and where it says nothing.
    :param is_null: the file says so (``IsNull``); ``reason_for_null`` may tell why.
    :param data_type: from the name of a typed element (``ItemDataFloat``: ``Float``); empty in OpenClinica's exports.
    """

    study_oid: str
    subject_key: str
    participant_id: str
    study_event_oid: str
    study_event_repeat_key: str
    form_oid: str
    form_repeat_key: str
    form_layout_oid: str
    item_group_oid: str
    item_group_repeat_key: str
    item_oid: str
    name: str
    value: str | None
    is_null: bool
    reason_for_null: str
    measurement_unit_oid: str
    data_type: str
    transaction_type: str
    removed: bool
    archived: bool


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AuditEntry(Record):
    """A change in the audit trail (AuditLog, or ODM's own AuditRecord), with the keys of what was changed.

    :param level: ``participant``, ``event``, ``form``, ``item_group`` or ``item``; keys below it are empty.
    :param audit_id: ``AL_<number>`` in OpenClinica.
    :param timestamp: in the server's local time, without offset.
    :param audit_type: what was changed, in words of the server; OpenClinica 3 may call it ``Type``.
    """

    study_oid: str
    subject_key: str
    participant_id: str
    study_event_oid: str
    study_event_repeat_key: str
    form_oid: str
    form_repeat_key: str
    item_group_oid: str
    item_group_repeat_key: str
    item_oid: str
    level: str
    audit_id: str
    user_id: str
    user_name: str
    name: str
    timestamp: str
    audit_type: str
    reason_for_change: str
    old_value: str
    new_value: str
    value_type: str
    details: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Query(Record):
    """A note in the thread of a query (ChildNote), with the thread's own columns and the keys of what it is about.

    A thread without notes comes once, with ``note_number`` 0; else ``note_number`` counts from 1, so rows with a number
    below 2 are the threads.

    :param level: as in AuditEntry.
    :param query_id: ``DN_<number>``, the thread.
    :param query_number: what people see as its number (``QueryID``).
    :param status: the thread's, in words of the server: ``New``, ``Updated``, ``Closed``, …
    :param opened_at: when the thread was begun, in the server's local time; its attribute is called ``DateUpdated``.
    :param note_user_name: who wrote the note; ``assigned_user_name`` is who should answer.
    """

    study_oid: str
    subject_key: str
    participant_id: str
    study_event_oid: str
    study_event_repeat_key: str
    form_oid: str
    form_repeat_key: str
    item_group_oid: str
    item_group_repeat_key: str
    item_oid: str
    level: str
    query_id: str
    query_number: str
    status: str
    note_type: str
    entity_name: str
    opened_at: str
    note_number: int
    note_id: str
    note_status: str
    note_created_at: str
    note_user_name: str
    note_name: str
    description: str
    detailed_note: str
    assigned_user_oid: str
    assigned_user_name: str
    assigned_name: str


#: Name of the table -> what its rows are.
TABLES: dict[str, type[Record]] = {
    "participants": Participant,
    "events": Event,
    "forms": Form,
    "item_groups": ItemGroup,
    "items": Item,
    "queries": Query,
    "audit": AuditEntry,
}


def columns_of(record: type[Record]) -> tuple[str, ...]:
    """Return the names of a record's fields, in their order."""
    return tuple(field.name for field in fields(record))  # type: ignore[arg-type]

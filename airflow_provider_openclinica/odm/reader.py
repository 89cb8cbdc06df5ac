"""Read what an ODM export says, record by record, in document order and constant memory.

    read(source)    Participant, Event, Form, ItemGroup, Item, AuditEntry, Query, each with its complete keys
    rows(source)    the same as (table, row), where a row's columns are the record's fields

One participant is held at a time. OpenClinica 4's XML and JSON, OpenClinica 3's XML and plain CDISC ODM 1.3 with typed
``ItemData…`` elements are read by the same lines: names count by their local part if they are ODM's or OpenClinica's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.odm.names import is_ours, split_name
from airflow_provider_openclinica.odm.records import (
    TABLES,
    AuditEntry,
    Event,
    Form,
    Item,
    ItemGroup,
    Participant,
    Query,
    Record,
)
from airflow_provider_openclinica.odm.subjects import subjects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lxml import etree

    from airflow_provider_openclinica.odm.repair import Repairs
    from airflow_provider_openclinica.odm.subjects import Source

    Row = dict[str, Any]
    ReadGroup = Callable[[etree._Element, Row, Row], Iterable[tuple[str, Row]]]

__all__ = ["AuditEntry", "Event", "Form", "Item", "ItemGroup", "Participant", "Query", "Record", "read", "rows"]

#: Keys of a row about something, from the top; what stands below the thing is empty.
KEYS = (
    *("study_oid", "subject_key", "participant_id", "study_event_oid", "study_event_repeat_key"),
    *("form_oid", "form_repeat_key", "item_group_oid", "item_group_repeat_key", "item_oid"),
)
#: Attribute of an item -> its column.
OF_ITEM = {
    "ItemOID": "item_oid",
    "ItemName": "name",
    "Value": "value",
    "IsNull": "is_null",
    "ReasonForNull": "reason_for_null",
    "TransactionType": "transaction_type",
}
NO_ITEM: Row = {
    "item_oid": "",
    "name": "",
    "value": None,
    "is_null": "",
    "reason_for_null": "",
    "measurement_unit_oid": "",
    "data_type": "",
    "transaction_type": "",
}
REMOVED = frozenset({"removed", "auto-removed"})


class _LocalNames(dict[Any, str]):
    """Name as lxml or expat gives it -> local name; a name of somebody else stays as it is: nobody asks for it."""

    def __missing__(self, name: str) -> str:
        namespace, local = split_name(name.replace("}", " ").removeprefix("{"))
        return self.setdefault(name, local if is_ours(namespace) else name)


LOCAL = _LocalNames()


def read(source: Source, *, charset: str = "", repairs: Repairs | None = None) -> Iterator[Record]:
    """Yield what a document says, in its order.

    :param source: a path, an open file, or anything that yields bytes, such as the chunks of an answer.
    :param charset: of the answer's ``Content-Type`` header; empty for a file.
    :param repairs: is told what had to be mended, as it happens; without it nobody is.
    :raises FileError: it is no ODM 1.3, or is broken; what came before the break has been yielded.
    """
    for table, row in rows(source, charset=charset, repairs=repairs):
        yield TABLES[table](**row)


def rows(source: Source, *, charset: str = "", repairs: Repairs | None = None) -> Iterator[tuple[str, Row]]:
    """Yield what a document says as (table, row). Parameters and errors are those of ``read``."""
    for study_oid, subject in subjects(source, charset=charset, repairs=repairs):
        yield from rows_of(subject, study_oid)


def rows_of(element: etree._Element, study_oid: str, read_group: ReadGroup | None = None) -> Iterator[tuple[str, Row]]:
    """Yield what a document says of a participant, whose SubjectData is given.

    :param read_group: makes the rows of an ItemGroupData, given the keys and flags of its form, and of what stands in
        it; None makes one of each item, too.
    """
    read_group = read_group or _item_group
    keys, flags, row = participant_row(attributes_of(element), study_oid)
    yield "participants", row
    for name, child in children_of(element):
        if name == "StudyEventData":
            yield from _event(child, keys, flags, read_group)
        else:
            yield from rows_about(name, child, keys, "participant")


def _event(element: etree._Element, above: Row, flags: Row, read_group: ReadGroup) -> Iterator[tuple[str, Row]]:
    keys, flags, row = event_row(attributes_of(element), above, flags)
    yield "events", row
    for name, child in children_of(element):
        if name == "FormData":
            yield from _form(child, keys, flags, read_group)
        else:
            yield from rows_about(name, child, keys, "event")


def _form(element: etree._Element, above: Row, flags: Row, read_group: ReadGroup) -> Iterator[tuple[str, Row]]:
    keys, flags, row = form_row(attributes_of(element), above, flags)
    yield "forms", row
    for name, child in children_of(element):
        if name == "ItemGroupData":
            yield from read_group(child, keys, flags)
        else:
            yield from rows_about(name, child, keys, "form")


def _item_group(element: etree._Element, above: Row, flags: Row) -> Iterator[tuple[str, Row]]:
    keys, flags, row = item_group_row(attributes_of(element), above, flags)
    yield "item_groups", row
    blank = {**keys, **NO_ITEM, **flags}
    for name, child in children_of(element):
        if not name.startswith("ItemData"):
            yield from rows_about(name, child, keys, "item_group")
            continue
        row = blank.copy()
        fill_item(row, name, child.items(), child.text or "")
        below = list(children_of(child)) if len(child) else []
        units = (unit_in(reference) for kind, reference in below if kind == "MeasurementUnitRef")
        row["measurement_unit_oid"] = next(filter(None, units), "")
        yield "items", row
        for kind, note in below:
            yield from rows_about(kind, note, {**keys, "item_oid": row["item_oid"]}, "item")


# -- what a tag says. Keys, flags and the row; the first two count for what stands in it, too


def participant_row(said: dict[str, str], study_oid: str) -> tuple[Row, Row, Row]:
    """Read SubjectData."""
    keys = {
        "study_oid": study_oid,
        "subject_key": said.get("SubjectKey", ""),
        "participant_id": said.get("StudySubjectID", ""),
    }
    status = said.get("Status", "")
    flags = {"removed": status.casefold() in REMOVED, "archived": False}
    row = {
        **keys,
        "status": status,
        "unique_identifier": said.get("UniqueIdentifier", ""),
        "secondary_id": said.get("SecondaryID", ""),
        "year_of_birth": said.get("YearOfBirth", ""),
        "date_of_birth": said.get("DateOfBirth", ""),
        "sex": _unless_null(said.get("Sex", "")),
        "enrollment_date": _unless_null(said.get("EnrollmentDate", "")),
        "removed": flags["removed"],
    }
    return keys, flags, row


def event_row(said: dict[str, str], above: Row, flags: Row) -> tuple[Row, Row, Row]:
    """Read StudyEventData."""
    keys = {
        **above,
        "study_event_oid": said.get("StudyEventOID", ""),
        "study_event_repeat_key": said.get("StudyEventRepeatKey", "1"),
    }
    flags = _flags(said, flags)
    status = said.get("Status", "").casefold()
    row = {
        **keys,
        "name": said.get("EventName", ""),
        "location": said.get("StudyEventLocation", ""),
        "start_date": said.get("StartDate", ""),
        "end_date": said.get("EndDate", ""),
        "status": said.get("Status", ""),
        "workflow_status": said.get("WorkflowStatus", ""),
        "age_at_event": said.get("SubjectAgeAtEvent", ""),
        **flags,
        "locked": said.get("Locked") == "Yes" or status == "locked",
        "signed": said.get("Signed") == "Yes" or status == "signed",
    }
    return keys, flags, row


def form_row(said: dict[str, str], above: Row, flags: Row) -> tuple[Row, Row, Row]:
    """Read FormData."""
    keys = {
        **above,
        "form_oid": said.get("FormOID", ""),
        "form_repeat_key": said.get("FormRepeatKey", "1"),
    }
    layout = said.get("FormLayoutOID") or said.get("Version", "")
    flags = _flags(said, flags)
    if said.get("Status", "").casefold() == "invalid" and not flags["archived"]:
        flags["removed"] = True  # OpenClinica 3 has no other sign of it
    row = {
        **keys,
        "name": said.get("FormName", ""),
        "form_layout_oid": layout,
        "status": said.get("Status", ""),
        "workflow_status": said.get("WorkflowStatus", ""),
        "sdv_status": said.get("SdvStatus", ""),
        "interviewer_name": said.get("InterviewerName", ""),
        "interview_date": said.get("InterviewDate", ""),
        "created_at": said.get("CreatedDate", ""),
        "created_by": said.get("CreatedBy", ""),
        "updated_at": said.get("UpdatedDate", ""),
        "updated_by": said.get("UpdatedBy", ""),
        **flags,
    }
    return {**keys, "form_layout_oid": layout}, flags, row


def item_group_row(said: dict[str, str], above: Row, flags: Row) -> tuple[Row, Row, Row]:
    """Read ItemGroupData."""
    keys = {
        **above,
        "item_group_oid": said.get("ItemGroupOID", ""),
        "item_group_repeat_key": said.get("ItemGroupRepeatKey", "1"),
    }
    flags = _flags(said, flags)
    own = {"name": said.get("ItemGroupName", ""), "transaction_type": said.get("TransactionType", "")}
    return keys, flags, {**keys, **own, **flags}


def fill_item(row: Row, name: str, attributes: Iterable[tuple[str, str]], text: str) -> None:
    """Read ItemData, or a typed element, into a copy of NO_ITEM; nine of ten rows of an export are made here.

    :param attributes: with their names as the parser gives them.
    :param text: what stands in a typed element.
    """
    for attribute, value in attributes:
        column = OF_ITEM.get(LOCAL[attribute])
        if column:
            row[column] = value
    if name != "ItemData":
        row["data_type"] = name.removeprefix("ItemData")
        row["value"] = text if row["data_type"] in ("String", "Any") else text.strip()
    row["is_null"] = row["is_null"] == "Yes"
    if row["is_null"]:
        row["value"] = None


def unit_in(reference: etree._Element) -> str:
    """Read MeasurementUnitRef."""
    return reference.get("MeasurementUnitOID", "")


def rows_about(name: str, element: etree._Element, keys: Row, level: str) -> Iterator[tuple[str, Row]]:
    """Yield audit entries and notes of queries, which hang on everything."""
    known = {key: keys.get(key, "") for key in KEYS}
    known["level"] = level
    if name == "AuditLogs":
        for _, log in children_of(element):
            yield "audit", {**known, **_audit(attributes_of(log))}
    elif name == "AuditRecord":
        yield "audit", {**known, **_audit(_audit_record(element))}
    elif name == "DiscrepancyNotes":
        for _, thread in children_of(element):
            yield from (("queries", {**known, **note}) for note in _notes(thread))


def _audit(said: dict[str, str]) -> Row:
    return {
        "audit_id": said.get("ID", ""),
        "user_id": said.get("UserID", ""),
        "user_name": said.get("UserName", ""),
        "name": said.get("Name", ""),
        "timestamp": said.get("DateTimeStamp", ""),
        "audit_type": said.get("AuditType") or said.get("Type", ""),
        "reason_for_change": said.get("ReasonForChange", ""),
        "old_value": said.get("OldValue", ""),
        "new_value": said.get("NewValue", ""),
        "value_type": said.get("ValueType", ""),
        "details": said.get("Details", ""),
    }


def _audit_record(element: etree._Element) -> dict[str, str]:
    """Read ODM's own form of an audit entry, which has elements for attributes and knows no values."""
    said = attributes_of(element)
    for name, child in children_of(element):
        said[name] = child.get("UserOID", "") if name == "UserRef" else (child.text or "").strip()
    said["UserID"] = said.get("UserRef", "")
    return said


def _notes(thread: etree._Element) -> Iterator[Row]:
    said = attributes_of(thread)
    own = {
        "query_id": said.get("ID", ""),
        "query_number": said.get("QueryID", ""),
        "status": said.get("Status", ""),
        "note_type": said.get("NoteType", ""),
        "entity_name": said.get("EntityName", ""),
        "opened_at": said.get("DateUpdated", ""),
    }
    notes = [child for name, child in children_of(thread) if name == "ChildNote"]
    if not notes:
        yield {**own, "note_number": 0, **_note({}, {}, {})}
    for number, note in enumerate(notes, start=1):
        texts, assigned = {}, {}
        for name, child in children_of(note):
            if name == "UserRef":
                assigned = attributes_of(child)
            else:
                texts[name] = child.text or ""
        yield {**own, "note_number": number, **_note(attributes_of(note), texts, assigned)}


def _note(said: dict[str, str], texts: dict[str, str], assigned: dict[str, str]) -> Row:
    return {
        "note_id": said.get("ID", ""),
        "note_status": said.get("Status", ""),
        "note_created_at": said.get("DateCreated", ""),
        "note_user_name": said.get("UserName", ""),
        "note_name": said.get("Name", ""),
        "description": texts.get("Description", ""),
        "detailed_note": texts.get("DetailedNote", ""),
        "assigned_user_oid": assigned.get("UserOID", "").strip(),  # OpenClinica writes a blank behind it
        "assigned_user_name": assigned.get("UserName", ""),
        "assigned_name": assigned.get("FullName", ""),
    }


def attributes_of(element: etree._Element) -> dict[str, str]:
    """Return a tag's attributes by local name."""
    return {LOCAL[name]: value for name, value in element.items()}


def children_of(element: etree._Element) -> Iterator[tuple[str, etree._Element]]:
    """Yield the tags in a tag, with their local names."""
    return ((LOCAL[child.tag], child) for child in element)


def _flags(said: dict[str, str], above: Row) -> Row:
    """Return what counts for a tag: its own flags, and those of what it stands in."""
    return {
        "removed": above["removed"] or said.get("Removed") == "Yes",
        "archived": above["archived"] or said.get("Archived") == "Yes",
    }


def _unless_null(text: str) -> str:
    """Return a text unless it is the word that OpenClinica 3 writes where there is none."""
    return "" if text == "null" else text

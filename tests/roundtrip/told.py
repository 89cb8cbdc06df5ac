"""What the tables of a state must say, written down without any export: stored values and keys, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.roundtrip.states import LOGINS, STUDY, Entry, Form, Person, Thread, Value, Visit, in_attribute, in_element

if TYPE_CHECKING:
    from collections.abc import Iterable

Row = dict[str, Any]
Tables = dict[str, list[Row]]

PARTICIPANT_STATUS = {
    "AVAILABLE": "Available",
    "SIGNED": "signed",
    "REMOVED": "Removed",
    "AUTO_REMOVED": "auto-removed",
}
SDV_STATUS = {
    "": None,
    "VERIFIED": "Verified",
    "NOT_VERIFIED": "Not verified",
    "CHANGED_SINCE_VERIFIED": "Changed since verified",
}
BELOW = ("study_event_oid", "study_event_repeat_key", "form_oid", "form_repeat_key")
KEYS_OF_ALL = {**dict.fromkeys(BELOW, ""), "item_group_oid": "", "item_group_repeat_key": "", "item_oid": ""}


def tables(people: Iterable[Person], *, archived: bool) -> Tables:
    """Say what is in each table.

    :param archived: whether what is removed or archived was asked for. Removed participants and groups come always.
    """
    rows: Tables = defaultdict(list)
    for person in people:
        _person(rows, person, archived=archived)
    return rows


def _person(rows: Tables, person: Person, *, archived: bool) -> None:
    keys = {"study_oid": person.site, "subject_key": person.oid, "participant_id": person.id}
    removed = person.status in {"REMOVED", "AUTO_REMOVED"}
    rows["participants"].append({**keys, "status": PARTICIPANT_STATUS[person.status], "removed": removed})
    _audit(rows, "participant", keys, "Participant created", "", person.id)
    for visit in person.visits:
        if archived or not (visit.removed or visit.archived):
            _visit(rows, keys, visit, removed=removed, archived=archived)


def _visit(rows: Tables, above: Row, visit: Visit, *, removed: bool, archived: bool) -> None:
    workflow = visit.status.lower().replace("_", " ")
    keys = {**above, "study_event_oid": visit.oid, "study_event_repeat_key": str(visit.repeat)}
    removed = removed or visit.removed
    rows["events"].append(
        {
            **keys,
            "name": STUDY.events[visit.oid].name,
            "start_date_parsed": datetime.fromisoformat(visit.start) if visit.start else None,
            "end_date_parsed": datetime.fromisoformat(visit.end) if visit.end else None,
            "status": "Locked" if visit.locked else "signed" if visit.signed else workflow,
            "workflow_status": workflow,
            "removed": removed,
            "archived": visit.archived,
            "locked": visit.locked,
            "signed": visit.signed,
        }
    )
    _audit(rows, "event", keys, "Study event created", "", workflow)
    for form in visit.forms:
        if archived or not (form.removed or form.archived):
            _form(rows, keys, visit, form, removed=removed)


def _form(rows: Tables, above: Row, visit: Visit, form: Form, *, removed: bool) -> None:
    keys = {**above, "form_oid": form.oid, "form_repeat_key": "1"}
    workflow = "Locked" if visit.locked else "data entry complete" if form.complete else "initial data entry"
    is_invalid = form.removed or form.archived or visit.removed or visit.archived
    flags = {"removed": removed or form.removed, "archived": visit.archived or form.archived}
    last = form.values[-1] if form.values else None
    changed_by = LOGINS[0] if last is None or last.removed else last.writes[-1][0]
    rows["forms"].append(
        {
            **keys,
            "name": STUDY.forms[form.oid].name,
            "form_layout_oid": form.version,
            "status": "invalid" if is_invalid else workflow,
            "workflow_status": workflow,
            "sdv_status": SDV_STATUS[form.sdv],
            "created_by": LOGINS[0],
            "updated_by": changed_by,
            **flags,
        }
    )
    _audit(rows, "form", keys, "Form created", "", form.version)
    in_form = {**keys, "form_layout_oid": form.version}
    for group, repeat, gone in {(value.group, value.repeat, value.removed) for value in form.values}:
        rows["item_groups"].append(
            {
                **in_form,
                "item_group_oid": group,
                "item_group_repeat_key": str(repeat),
                "name": STUDY.groups[group].name,
                **flags,
                "removed": flags["removed"] or gone,
            }
        )
    for value in form.values:
        _value(rows, in_form, value, flags)


def _value(rows: Tables, in_form: Row, value: Value, flags: Row) -> None:
    place = {
        "item_group_oid": value.group,
        "item_group_repeat_key": str(value.repeat),
        "item_oid": value.item,
    }
    name = STUDY.items[value.item].name
    rows["items"].append(
        {
            **in_form,
            **place,
            "name": name,
            "value": in_attribute(value.writes[-1][1]),
            "is_null": False,
            **flags,
            "removed": flags["removed"] or value.removed,
        }
    )
    keys = {**{key: text for key, text in in_form.items() if key != "form_layout_oid"}, **place}
    before = ""
    for number, (writer, text) in enumerate(value.writes):
        if number == 0 or text != before:
            _audit(rows, "item", keys, "Item data value updated", before, text, writer)
        before = text
    if value.removed:
        _audit(rows, "item", keys, "Item data removed", "No", "Yes")
    for thread in value.threads:
        _thread(rows, keys, name, thread)


def _thread(rows: Tables, keys: Row, name: str, thread: Thread) -> None:
    """A reason for a change, which has no entries of its own, is written as one entry without author and text."""
    for number, entry in enumerate(thread.entries or [Entry("", "", "Not applicable", "")], start=1):
        rows["queries"].append(
            {
                **keys,
                "level": "item",
                "note_type": thread.type,
                "status": thread.entries[-1].status if thread.entries else "Not applicable",
                "entity_name": name,
                "note_number": number,
                "note_status": entry.status,
                "note_user_name": entry.author or None,
                "detailed_note": in_element(entry.text) or None,
                "assigned_user_name": entry.assigned or None,
            }
        )


def _audit(rows: Tables, level: str, keys: Row, what: str, old: str, new: str, user: str = LOGINS[0]) -> None:
    """What was empty and is so still is left out."""
    if old or new:
        rows["audit"].append(
            {
                **KEYS_OF_ALL,
                **keys,
                "level": level,
                "audit_type": what,
                "user_name": user,
                "old_value": in_attribute(old) or None,
                "new_value": in_attribute(new) or None,
            }
        )

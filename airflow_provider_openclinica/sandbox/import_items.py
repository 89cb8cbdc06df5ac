"""Steps 4, 5 and 7 of an import: groups with their repeats, and the values in them (docs/protocol.md, import)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.data import ItemPlace, Note
from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.import_forms import FormEntry, record_of
from airflow_provider_openclinica.sandbox.import_run import INSERTED, NO_CHANGE, QUERY, UPDATED, ImportRun, Refused
from airflow_provider_openclinica.sandbox.import_text import is_date, is_partial_date, is_real, read_int

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_openclinica.sandbox.import_document import ItemData, ItemGroupData
    from airflow_provider_openclinica.sandbox.study import CodeList, GroupDefinition, ItemDefinition

NOT_IMPORTABLE = "itemTypeNotSupportedInImport"
_LONGEST_VALUE = {Dialect.DOCS: 4000, Dialect.SOURCE: 3999}
_TYPES: dict[str, tuple[Callable[[str], bool], str]] = {
    "INT": (lambda value: read_int(value) is not None, "valueTypeMismatch"),
    "REAL": (is_real, "valueTypeMismatch"),
    "BL": (lambda value: value in {"true", "false"}, "valueTypeMismatch"),
    "DATE": (is_date, "invalidDateFormat"),
    "PDATE": (is_partial_date, "invalidDateFormat"),
}
_DEFAULT_REASON = "Update via Import"


def group_definition(run: ImportRun, entry: FormEntry, data: ItemGroupData) -> GroupDefinition:
    """Return the definition of the group that is sent.

    :raises Refused: it is no group of this form.
    """
    group = run.study.groups.get(data.oid or "")
    if group is None or group.oid not in entry.form.groups:
        raise Refused("itemGroupOIDNotFound")
    return group


def repeat_of(run: ImportRun, entry: FormEntry, group: GroupDefinition, data: ItemGroupData) -> int:
    """Return the repeat that takes the data; without a key that is a new one, every time.

    :raises Refused: the key is no number, or leaves a gap.
    """
    if not group.repeating:
        return 1
    following = 1 + (run.store.highest_repeat(entry.record.id, group.oid) if entry.record else 0)
    if not data.repeat_key:
        return following
    repeat = read_int(data.repeat_key)
    if repeat is None:
        raise Refused("invalidItemGroupRepeatKey")
    if repeat > following:
        raise Refused("groupRepeatKeyTooLarge")
    return repeat


def remove_repeat(run: ImportRun, entry: FormEntry, group: GroupDefinition, repeat: int, removed: str) -> bool:
    """Remove a repeat of a group if ``Removed`` says so, and tell whether it did.

    :raises Refused: ``Removed`` is neither Yes nor No, or the repeat has to stay.
    """
    if removed not in {"Yes", "No"}:
        raise Refused("itemGroupRemovedAttributeIsInvalid")
    if removed == "No":
        return False
    if not group.repeating:
        raise Refused("nonRepeatingGroupCannotBeRemoved")
    if repeat <= 1:
        raise Refused("firstRepeatingGroupCannotBeRemoved")
    if entry.record:
        run.store.remove_repeat(entry.record.id, group.oid, repeat)
    return True


def check_item(run: ImportRun, group: GroupDefinition, data: ItemData) -> ItemDefinition:
    """Return the definition of the item that is sent, its value checked if there is one.

    :raises Refused: it is no item of this group, or its value is not one it may have.
    """
    item = run.study.items.get(data.oid or "")
    if item is None:
        raise Refused("itemNotFound")
    if item.oid not in group.items:
        raise Refused("itemGroupDoesNotContainItemData")
    if data.value is not None and len(data.value) > _LONGEST_VALUE[run.dialect]:
        raise Refused("valueTooLong")
    if data.value:  # an empty one clears the item, whatever its type
        _check_type(run, item, data.value)
        if item.code_list:
            _check_choice(item.code_list, data.value)
    return item


def _check_type(run: ImportRun, item: ItemDefinition, value: str) -> None:
    if item.type in {"PDATE", "FILE"} and run.dialect is Dialect.SOURCE:
        raise Refused(NOT_IMPORTABLE)  # newer than the source; the file itself was looked for when the ZIP came
    fits, code = _TYPES.get(item.type, (None, ""))
    if fits and not fits(value):
        raise Refused(code)


def _check_choice(code_list: CodeList, value: str) -> None:
    """Look for a choice anywhere in the joined list, as the server does: 1 passes where the codes are 10 and 11."""
    if code_list.choices == (("_", "_"),):
        return
    joined = ",".join(code for code, _ in code_list.choices)
    wanted = value.split(",") if code_list.multiple else [value]
    if not all(choice in joined for choice in wanted):
        raise Refused("valueChoiceCodeNotFound")


def store_value(
    run: ImportRun, entry: FormEntry, group: GroupDefinition, repeat: int, item: ItemDefinition, value: str
) -> str:
    """Store a value where it is new or another one, and return the outcome.

    :raises sqlite3.IntegrityError: the item was removed with its repeat; the server cannot go on from there.
    """
    place = ItemPlace(record_of(run, entry).id, repeat, item.oid)
    stored = run.store.value(place)
    if stored == value:
        return NO_CHANGE
    if stored is None:
        run.store.insert_value(place, group.oid, value)
    else:
        run.store.update_value(place, value)
        _reopen_queries(run, place)
    _follow_change(run, entry, place)
    return INSERTED if stored is None else UPDATED


def _reopen_queries(run: ImportRun, place: ItemPlace) -> None:
    for thread in run.store.threads(place):
        if thread.type == QUERY and thread.status == "Closed":
            run.store.add_note(
                Note(thread=thread.id, note_id="", place=place, type=QUERY, status="Closed-Modified", author=run.user)
            )


def _follow_change(run: ImportRun, entry: FormEntry, place: ItemPlace) -> None:
    """Do what a changed value does to what stands above it; none of it has a row in the log."""
    record = record_of(run, entry)
    if record.complete:
        reason = entry.reason_for_change or _DEFAULT_REASON
        run.store.add_note(Note(note_id="", place=place, type="Reason for Change", text=reason, author=run.user))
    if record.sdv_status == "VERIFIED":
        record.sdv_status = "CHANGED_SINCE_VERIFIED"
        entry.fell_from_verified = True
        run.store.save_form(record)
    if entry.occurrence.signed:
        entry.occurrence.signed = False
        run.store.save_occurrence(entry.occurrence)
    if entry.participant.status == "SIGNED":
        run.store.unsign_participant(entry.participant.id, run.user)

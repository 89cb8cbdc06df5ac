"""Steps 3 and 8 of an import: which form the data go to, and whether it is complete (docs/protocol.md, import).

No row of the log ever tells a form's status, and one item that fails keeps a form from being completed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.data import FormRecord
from airflow_provider_openclinica.sandbox.import_run import ImportRun, JobFailed, Refused

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.data import Occurrence, Participant
    from airflow_provider_openclinica.sandbox.import_document import FormData
    from airflow_provider_openclinica.sandbox.study import EventDefinition, FormDefinition

_INITIAL = {"initial data entry"}
_COMPLETE = {"complete", "data entry complete"}


@dataclass(slots=True, kw_only=True)
class FormEntry:
    """A form while its items are imported.

    :param record: what is stored of the form, if anything is.
    :param complete: the file asks for the form to be complete.
    :param sent: how many items the file has for the form.
    :param accepted: how many of them count towards completing it.
    :param has_failures: a group or an item of it failed.
    :param fell_from_verified: this import changed a form whose source data had been verified.
    """

    participant: Participant
    event: EventDefinition
    occurrence: Occurrence
    form: FormDefinition
    version: str
    complete: bool
    reason_for_change: str | None
    record: FormRecord | None
    sent: int
    accepted: int = 0
    has_failures: bool = False
    fell_from_verified: bool = False


def open_form(
    run: ImportRun, participant: Participant, event: EventDefinition, occurrence: Occurrence, data: FormData
) -> FormEntry:
    """Find the form that is sent, its version and what is stored of it.

    :raises Refused: it may not be written to here.
    """
    if data.oid is None:
        raise Refused("missingFormOid")
    form, assignment = run.study.forms.get(data.oid), event.forms.get(data.oid)
    if form is None or assignment is None or not assignment.available:
        raise Refused("formOIDNotFound")
    version = assignment.default_version if data.layout is None else data.layout
    if version not in form.versions:
        raise Refused("formLayoutOIDNotFound")
    complete = _asks_for_complete(data)
    record = run.store.forms(occurrence.id).get(form.oid)
    if record and record.version == version:
        if record.archived or record.removed:
            raise Refused("formNotAvailable")
    elif assignment.versions and version not in assignment.versions:
        raise Refused("formLayoutOIDNotAvailable")
    return FormEntry(
        participant=participant,
        event=event,
        occurrence=occurrence,
        form=form,
        version=version,
        complete=complete,
        reason_for_change=data.reason_for_change,
        record=record,  # of whatever version: the one asked for is then ignored
        sent=sum(len(group.items) for group in data.groups),
    )


def _asks_for_complete(data: FormData) -> bool:
    asked = data.status if data.workflow_status is None else data.workflow_status
    text = "initial data entry" if asked is None else asked.casefold()
    if text not in _INITIAL | _COMPLETE:
        raise Refused("formStatusNotValid")
    return text in _COMPLETE


def record_of(run: ImportRun, entry: FormEntry) -> FormRecord:
    """Return the record of a form, created with its first value.

    That starts data entry on the event again, even where it was completed, and takes its signature.
    """
    if entry.record is None:
        entry.occurrence.status = "DATA_ENTRY_STARTED"
        entry.occurrence.signed = False
        run.store.save_occurrence(entry.occurrence)
        entry.record = FormRecord(0, entry.occurrence.id, entry.form.oid, entry.version)
        run.store.save_form(entry.record)
    return entry.record


def complete_form(run: ImportRun, entry: FormEntry) -> None:
    """Complete the form if the file asks for it and every item of it was taken; an empty form counts as such.

    :raises JobFailed: that would need a common event which no value has stored yet.
    """
    if not entry.complete or entry.accepted != entry.sent:
        return
    if not entry.occurrence.id:
        raise JobFailed("a form without values is to be completed in an event that is not there")
    record = record_of(run, entry)
    record.complete = True
    run.store.save_form(record)
    stored = run.store.forms(entry.occurrence.id)
    assigned = [form.form_oid for form in entry.event.forms.values() if form.available]
    is_complete = entry.event.common or all(oid in stored and stored[oid].complete for oid in assigned)
    entry.occurrence.status = "COMPLETED" if is_complete else "DATA_ENTRY_STARTED"
    run.store.save_occurrence(entry.occurrence)

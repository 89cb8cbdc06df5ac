"""Import a document, step by step as the server does it, faults included (docs/protocol.md, import).

Each step lives in a module of its own; here is their order. What a step refuses becomes a row of the log, and the
import goes on with the next thing; only what no row can tell fails the job. Rows come in the order of the document.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.data import ItemPlace
from airflow_provider_openclinica.sandbox.import_events import event_definition, find_occurrence
from airflow_provider_openclinica.sandbox.import_forms import FormEntry, complete_form, open_form, record_of
from airflow_provider_openclinica.sandbox.import_items import (
    NOT_IMPORTABLE,
    check_item,
    group_definition,
    remove_repeat,
    repeat_of,
    store_value,
)
from airflow_provider_openclinica.sandbox.import_notes import import_notes
from airflow_provider_openclinica.sandbox.import_participants import find_participant
from airflow_provider_openclinica.sandbox.import_run import (
    FORM,
    ITEM,
    ITEM_GROUP,
    NO_CHANGE,
    PARTICIPANT,
    SIGNATURE,
    SKIPPED,
    STUDY_EVENT,
    ImportRun,
    JobFailed,
    Refused,
)
from airflow_provider_openclinica.sandbox.import_sdv import import_sdv
from airflow_provider_openclinica.sandbox.import_signatures import import_signatures
from airflow_provider_openclinica.sandbox.joblog import Place
from airflow_provider_openclinica.sandbox.vocabulary import XmlRefused, read_upload

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_openclinica.sandbox.data import ClinicalStore, Occurrence, Participant
    from airflow_provider_openclinica.sandbox.dialect import Dialect
    from airflow_provider_openclinica.sandbox.import_document import (
        Document,
        FormData,
        ItemData,
        ItemGroupData,
        StudyEventData,
        SubjectData,
    )
    from airflow_provider_openclinica.sandbox.joblog import Row
    from airflow_provider_openclinica.sandbox.study import EventDefinition, GroupDefinition, Study

__all__ = ["JobFailed", "XmlRefused", "read_upload", "run_import"]


def run_import(
    document: Document,
    study: Study,
    store: ClinicalStore,
    scope_oid: str,
    user: str,
    dialect: Dialect,
    users: Collection[str] | None = (),
) -> list[Row]:
    """Import a document and return the rows of its log. Everything is written through the store, nothing committed.

    :param scope_oid: the study or the site that the document names, known to exist.
    :param users: logins that notes may name, beside ``user``; ``None``: the user service does not answer.
    :raises JobFailed: the whole job fails; whoever owns the connection has to roll back.
    """
    run = ImportRun(
        study=study,
        store=store,
        dialect=dialect,
        user=user,
        users=None if users is None else {user, *users},
        scope=study.scope(scope_oid),
    )
    if not document.subjects:
        run.failed(Place(), SIGNATURE, "subjectDataMissing")  # of this type indeed
    try:
        for subject in document.subjects:
            _import_subject(run, subject)
    except sqlite3.IntegrityError as error:
        raise JobFailed("a value is sent for a repeat that was removed") from error
    return run.rows


def _import_subject(run: ImportRun, subject: SubjectData) -> None:
    place = Place(subject_key=subject.key or "", participant_id=subject.participant_id or "")
    try:
        participant = find_participant(run, subject)
    except Refused as refusal:
        run.failed(place, PARTICIPANT, refusal.code)
        return
    # From its first participant on, a file that names the study sees that participant's site only: a fault of the
    # server that whoever sends files has to live with.
    run.scope = run.study.scope(participant.site_oid)
    for event in subject.events:
        _import_event(run, participant, Place(participant.oid, participant.participant_id), event)


def _import_event(run: ImportRun, participant: Participant, place: Place, data: StudyEventData) -> None:
    place = place._replace(study_event_oid=data.oid or "")
    try:
        definition = event_definition(run, data)
        occurrence = find_occurrence(run, participant, definition, data)
    except Refused as refusal:
        if refusal.type == FORM:
            form_oid = data.forms[0].oid or ""
            place = place._replace(study_event_repeat_key=data.repeat_key or "", form_oid=form_oid)
        run.failed(place, refusal.type or STUDY_EVENT, refusal.code)
        return
    inside = place._replace(study_event_repeat_key=str(occurrence.ordinal))
    for number, form in enumerate(data.forms):
        at_form = inside._replace(form_oid=form.oid or "")
        if definition.common and number > 0:
            run.failed(at_form, FORM, "formMissingStudyEventConstruct")
        else:
            _import_form(run, participant, definition, occurrence, at_form, form)
    import_signatures(run, occurrence, place, data)


def _import_form(
    run: ImportRun,
    participant: Participant,
    definition: EventDefinition,
    occurrence: Occurrence,
    place: Place,
    data: FormData,
) -> None:
    try:
        entry = open_form(run, participant, definition, occurrence, data)
    except Refused as refusal:
        run.failed(place, FORM, refusal.code)
        return
    for group in data.groups:
        _import_group(run, entry, place, group)
    complete_form(run, entry)
    if data.sdv_status is not None:
        import_sdv(run, entry, place, data.sdv_status)


def _import_group(run: ImportRun, entry: FormEntry, place: Place, data: ItemGroupData) -> None:
    place = place._replace(item_group_oid=data.oid or "", item_group_repeat_key=data.repeat_key or "")
    try:
        group = group_definition(run, entry, data)
        repeat = repeat_of(run, entry, group, data)
    except Refused as refusal:
        entry.has_failures = True
        run.failed(place, ITEM_GROUP, refusal.code)
        return
    place = place._replace(item_group_repeat_key=str(repeat))
    if entry.record and run.store.is_removed(entry.record.id, group.oid, repeat):
        entry.has_failures = True
        run.failed(place, ITEM_GROUP, "itemGroupIsAlreadyRemoved")  # and yet its items are imported
    for item in data.items:
        _import_item(run, entry, group, repeat, place._replace(item_oid=item.oid or ""), item)
    if data.removed is not None:
        _remove_group(run, entry, group, repeat, place, data.removed)


def _import_item(
    run: ImportRun, entry: FormEntry, group: GroupDefinition, repeat: int, place: Place, data: ItemData
) -> None:
    try:
        item = check_item(run, group, data)
    except Refused as refusal:
        entry.has_failures = True
        if refusal.code == NOT_IMPORTABLE:  # what can never be imported does not keep a form open
            entry.accepted += 1
        run.failed(place, ITEM, refusal.code)
        return
    if data.value is None:
        run.unchanged(place, ITEM, SKIPPED, "No item value present")
    else:
        status = store_value(run, entry, group, repeat, item, data.value)
        entry.accepted += 1
        log = run.unchanged if status == NO_CHANGE else run.changed
        log(place, ITEM, status)
    if data.notes and data.notes.notes:
        stored_at = ItemPlace(record_of(run, entry).id, repeat, item.oid)
        import_notes(run, stored_at, place, data.notes.notes)


def _remove_group(
    run: ImportRun, entry: FormEntry, group: GroupDefinition, repeat: int, place: Place, removed: str
) -> None:
    try:
        if remove_repeat(run, entry, group, repeat, removed):
            run.changed(place, ITEM_GROUP, "itemGroup removed")
    except Refused as refusal:
        run.failed(place, ITEM_GROUP, refusal.code)

"""The import of an ODM document by SOAP, with its traps (docs/protocol3.md, import).

An event that is not there is no error: its forms are counted as imported and stored nowhere. What was begun before a
value was refused stays behind as an empty form.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.data import ClinicalStore, FormRecord, ItemPlace, Occurrence, Participant
from airflow_provider_openclinica.sandbox.import_text import is_date, is_real, read_int
from airflow_provider_openclinica.sandbox.oc3.design import form_versions
from airflow_provider_openclinica.sandbox.oc3.soap import AVAILABLE_OR_DESIGN, FAIL, SUCCESS, Failed, Fault
from airflow_provider_openclinica.sandbox.study import OPENCLINICA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml import etree

    from airflow_provider_openclinica.sandbox.oc3.soap import Call, Tree
    from airflow_provider_openclinica.sandbox.service import Place
    from airflow_provider_openclinica.sandbox.study import FormDefinition, ItemDefinition, Study

NOT_WELL_FORMED = "Your XML is not well-formed."
NO_FORMS = "No Event CRFs matching the XML metadata."
WRONG_STATUS = "One of the events or forms does not have the correct status for an import."
NOT_UPSERTED = "The forms in the import do not pass the Upsert rules."
_STATUS = f"{{{OPENCLINICA}}}Status"
_OPEN_EVENTS = {"SCHEDULED", "DATA_ENTRY_STARTED", "COMPLETED"}
_NOT_STARTED, _STARTED, _COMPLETE = _STATES = ("NotStarted", "DataEntryStarted", "DataEntryComplete")


@dataclass(slots=True)
class FormSent:
    """A form of the document whose event is there."""

    event: Occurrence
    form: FormDefinition
    version: str
    node: etree._Element
    record: FormRecord | None

    @property
    def state(self) -> str:
        """How far the stored form is, as ``UpsertOn`` names it."""
        if self.record is None:
            return _NOT_STARTED
        return _COMPLETE if self.record.complete else _STARTED


@dataclass(slots=True)
class Plan:
    """What an import is going to do: the forms to store, and what is counted whether it is stored or not."""

    stored: list[FormSent] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    total: int = 0
    imported: int = 0
    is_blocked: bool = False


class Import:
    """One import.

    :raises Fault: the document is built in a way that nobody expects.
    :raises Failed: it is refused.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._service = call.service
        self._data = _clinical_data(call.payload)
        place = call.service.place(self._data.get("StudyOID", ""))
        if place is None:
            raise Failed("The Study OID of the import does not exist.", FAIL)
        self._place: Place = place
        self._study: Study = place.study
        self._forms = form_versions(self._study)
        upsert = self._data.find("UpsertOn")
        self._allowed = {name for name in _STATES if upsert is None or upsert.get(name, "true").lower() == "true"}
        call.require_role(place, exactly=place.site is not None, writes=True)
        call.require_status(place, AVAILABLE_OR_DESIGN)

    def run(self) -> list[Tree]:
        """Do it, and tell how many forms are said to be imported."""
        with self._service.state.reading() as db:
            plan = self._plan(ClinicalStore(db))
        if plan.is_blocked:
            raise Failed(WRONG_STATUS)
        if not plan.total:
            raise Failed(NO_FORMS)
        if not plan.imported:
            raise Failed(NOT_UPSERTED)
        if not self._service.is_lost():
            self._store(plan)
        counted = f"{SUCCESS}. {plan.imported} of {plan.total} forms imported."
        return [("result", counted), *(("warning", warning) for warning in plan.warnings)]

    def _plan(self, store: ClinicalStore) -> Plan:
        plan = Plan()
        for subject in self._data.iterchildren("SubjectData"):
            participant = store.participant_by_oid(subject.get("SubjectKey", ""))
            if participant is None or participant.site_oid not in self._study.scope(self._place.oid):
                raise Failed("A SubjectKey of the import does not exist in this study.", FAIL)
            for event in subject.iterchildren("StudyEventData"):
                self._plan_event(plan, store, participant, event)
        return plan

    def _plan_event(self, plan: Plan, store: ClinicalStore, participant: Participant, node: etree._Element) -> None:
        definition = self._study.events.get(node.get("StudyEventOID", ""))
        if definition is None:
            raise Failed(f"The StudyEventOID {node.get('StudyEventOID')} does not exist in this study.", FAIL)
        known = [form for form in node.iterchildren("FormData") if form.get("FormOID") in self._forms]
        known = [form for form in known if self._forms[form.get("FormOID", "")][0].oid in definition.forms]
        event = store.occurrences(participant.id, definition.oid).get(_number(node.get("StudyEventRepeatKey", "1")))
        if event is None:
            plan.is_blocked = plan.is_blocked or _NOT_STARTED not in self._allowed
            plan.total += len(known)
            plan.imported += len(known)
            return
        if event.status not in _OPEN_EVENTS or event.locked or event.signed or event.removed:
            plan.is_blocked = True
        self._plan_forms(plan, event, known, store.forms(event.id))

    def _plan_forms(
        self, plan: Plan, event: Occurrence, nodes: list[etree._Element], records: dict[str, FormRecord]
    ) -> None:
        kept: list[FormSent] = []
        for node in nodes:
            form, version = self._forms[node.get("FormOID", "")]
            sent = FormSent(event, form, version, node, records.get(form.oid))
            plan.total += 1
            if sent.state in self._allowed:
                plan.imported += 1
                kept.append(sent)
                continue
            plan.warnings.append(f"The form {node.get('FormOID')} does not pass the Upsert rules.")
            if node is nodes[-1] and sent.state == _NOT_STARTED:
                kept.clear()  # the forms before it are counted, and never stored
        plan.stored += kept

    def _store(self, plan: Plan) -> None:
        with self._service.state.writing() as db:  # for good, whatever becomes of the values
            store = ClinicalStore(db, self._call.account.login)
            for sent in plan.stored:
                sent.record = store.forms(sent.event.id).get(sent.form.oid)
                if sent.record is None:
                    sent.record = FormRecord(0, sent.event.id, sent.form.oid, sent.version)
                    store.save_form(sent.record)
                if sent.event.status == "SCHEDULED":
                    sent.event.status = "DATA_ENTRY_STARTED"
                    store.save_occurrence(sent.event)
        refused = [reason for sent in plan.stored for reason in self._wrong_values(sent)]
        if refused:
            raise Failed(" ".join(refused))
        with self._service.state.writing() as db:
            store = ClinicalStore(db, self._call.account.login)
            for sent in plan.stored:
                if sent.record:
                    db.execute("UPDATE forms SET version = ? WHERE id = ?", (sent.version, sent.record.id))
                    self._store_values(store, sent, sent.record)

    def _store_values(self, store: ClinicalStore, sent: FormSent, record: FormRecord) -> None:
        for group, repeat, item in _values(sent.node):
            place, value = ItemPlace(record.id, repeat, item.get("ItemOID", "")), item.get("Value", "")
            stored = store.value(place)
            if stored == value:
                continue
            if stored is None:
                with suppress(sqlite3.IntegrityError):  # a removed value stands there: the server says nothing of it
                    store.insert_value(place, group, value)
            else:
                store.update_value(place, value)
            record.sdv_status = "NOT_VERIFIED" if record.sdv_status else ""
        record.complete = sent.node.get(_STATUS) != "initial data entry"
        store.save_form(record)

    def _wrong_values(self, sent: FormSent) -> Iterator[str]:
        for group_oid, repeat, node in _values(sent.node):
            group, item = self._study.groups.get(group_oid), self._study.items.get(node.get("ItemOID", ""))
            if group is None or group_oid not in sent.form.groups or item is None or item.oid not in group.items:
                yield f"The item {node.get('ItemOID')} does not exist in the group {group_oid}."
            elif repeat > 1 and not group.repeating:
                yield f"The group {group_oid} does not repeat."
            elif not _fits(item, node.get("Value", "")):
                yield f"The value of the item {item.oid} does not fit."


def import_data(call: Call) -> list[Tree]:
    """Import a document."""
    return Import(call).run()


def _clinical_data(payload: etree._Element) -> etree._Element:
    """Find the data. The server looks for ``<ODM>`` and replaces these five characters with a root of its own."""
    odm = next(payload.iter("ODM"), None)
    if odm is None:
        if next(payload.iter("{*}ODM"), None) is not None:
            raise Failed(NOT_WELL_FORMED)
        raise Fault("no ODM in the request")
    parent = odm.getparent()
    if odm.attrib or (parent is not None and odm.nsmap != parent.nsmap):
        raise Failed(NOT_WELL_FORMED)
    found = list(odm.iterchildren("ClinicalData"))
    if len(found) != 1:
        raise Fault("not exactly one ClinicalData in the ODM")
    return found[0]


def _values(form: etree._Element) -> Iterator[tuple[str, int, etree._Element]]:
    """Give the OID of the group, which repeat of it, and the item, for every value of a form."""
    for group in form.iterchildren("ItemGroupData"):
        for item in group.iterchildren("ItemData"):
            yield group.get("ItemGroupOID", ""), _number(group.get("ItemGroupRepeatKey", "1")), item


def _number(text: str) -> int:
    number = read_int(text)
    if number is None:
        raise Fault("a repeat key is no number")
    return number


def _fits(item: ItemDefinition, value: str) -> bool:
    if not value:
        return True
    if item.code_list:
        chosen = value.split(",") if item.code_list.multiple else [value]
        return {choice.strip() for choice in chosen} <= {code for code, _ in item.code_list.choices}
    checks = {"INT": lambda text: read_int(text) is not None, "REAL": is_real, "DATE": is_date}
    return checks.get(item.type, bool)(value)

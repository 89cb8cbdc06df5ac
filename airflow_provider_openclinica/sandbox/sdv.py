"""The items of a form that somebody verifies against the source (docs/protocol.md, sdv)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.sandbox import history
from airflow_provider_openclinica.sandbox.answers import Answered, html
from airflow_provider_openclinica.sandbox.data import ClinicalStore, FormRecord, ItemPlace, Occurrence, Participant
from airflow_provider_openclinica.sandbox.import_run import QUERY, Refused
from airflow_provider_openclinica.sandbox.stored_values import StoredValue, values_in

if TYPE_CHECKING:
    import sqlite3

    from airflow_provider_openclinica.sandbox.history import Entry
    from airflow_provider_openclinica.sandbox.service import Place
    from airflow_provider_openclinica.sandbox.study import EventDefinition, ItemDefinition, Study

NOT_VERIFIED, VERIFIED, CHANGED = "NOT_VERIFIED", "VERIFIED", "CHANGED_SINCE_VERIFIED"
LARGEST_ORDINAL = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Form:
    """A form of one occurrence, and whose it is."""

    participant: Participant
    event: EventDefinition
    occurrence: Occurrence
    record: FormRecord


def checked_ordinal(text: str) -> int:
    """Read which occurrence is meant.

    :raises Refused: it is no whole number from 1.
    :raises Answered: 500 HTML, for one that is too large for the server.
    """
    if re.fullmatch("0*[1-9][0-9]*", text) is None:
        raise Refused("eventOrdinalIsIncorrect")
    if len(text.lstrip("0")) > len(str(LARGEST_ORDINAL)) or int(text) > LARGEST_ORDINAL:
        raise Answered(html(500))
    return int(text)


def find_form(
    db: sqlite3.Connection, place: Place, participant_id: str, event_oid: str, ordinal: int, form_oid: str
) -> Form:
    """Find a form, as far as it can be verified.

    :raises Refused: with the code of the first thing that is not there, in the server's order.
    :raises Answered: 500 HTML, for a form that was never begun.
    """
    store, study = ClinicalStore(db), place.study
    found = store.participants_by_id(participant_id, study.scope(place.oid))
    if not found:
        raise Refused("participantIDNotAvailable")
    event = study.events.get(event_oid)
    if event is None:
        raise Refused("eventOIDNotAvailableInThisStudy")
    occurrence = store.occurrences(found[0].id, event_oid).get(ordinal)
    if occurrence is None:
        raise Refused("participantDoesNotHaveThisEventInThisStudy")
    if form_oid not in study.forms:
        raise Refused("formOIDNotAvailableInThisStudy")
    record = store.forms(occurrence.id).get(form_oid)
    if record is None:
        raise Answered(html(500))
    if not record.complete:
        raise Refused("eventCrfIsNotInCompleted")
    return Form(found[0], event, occurrence, record)


def described(db: sqlite3.Connection, study: Study, form: Form, *, changed_only: bool) -> dict[str, Any]:
    """Describe a form and its items.

    :param changed_only: leave out what has not changed since it was verified; before that, nothing is left out.
    """
    store, verified = ClinicalStore(db), _verified(db, form.record)
    changes = history.entries_of_items(db, form.record.id)
    site = study.site(form.participant.site_oid)
    items = [
        _item(store, study, form.record, value, changes[value.id][-1], verified)
        for value in values_in(db, form.record.id)
    ]
    return {
        "participantId": form.participant.participant_id,
        "siteId": site.unique_id if site else study.unique_id,
        "eventName": form.event.name,
        "eventStartDate": _day(form.occurrence.start_date),
        "eventOrdinal": form.occurrence.ordinal,
        "repeatingEvent": form.event.repeating,
        "sdvRequirement": "ALLREQUIRED",
        "sdvStatus": form.record.sdv_status or NOT_VERIFIED,
        "formName": study.forms[form.record.form_oid].name,
        "formStatus": "COMPLETED",
        "lastVerifiedDate": _epoch(verified.at) if verified else None,
        "sdvItems": [item for item in items if not changed_only or item["sdvStatus"] != VERIFIED],
    }


def _verified(db: sqlite3.Connection, record: FormRecord) -> Entry | None:
    """Tell when a form was last verified, if it was and nobody has taken it back."""
    if record.sdv_status not in {VERIFIED, CHANGED}:
        return None
    entries = history.entries(db, "form", record.id)
    return next((entry for entry in reversed(entries) if entry.new == VERIFIED.lower()), None)


def _item(
    store: ClinicalStore, study: Study, record: FormRecord, stored: StoredValue, last: Entry, verified: Entry | None
) -> dict[str, Any]:
    item, group = study.items[stored.item_oid], study.groups[stored.group_oid]
    status = NOT_VERIFIED if verified is None else CHANGED if last.id > verified.id else VERIFIED
    first_name, _, last_name = last.user.replace("_", " ").title().partition(" ")
    threads = store.threads(ItemPlace(record.id, stored.repeat, item.oid))
    return {
        "itemDataId": stored.id,
        "itemId": list(study.items).index(item.oid) + 1,
        "name": item.name,
        "label": item.question,
        "description": item.question,
        "briefDescription": item.name,
        "ordinal": stored.repeat,
        "repeatingGroup": group.repeating,
        "value": _shown(item, stored.value),
        "lastModifiedDate": _epoch(last.at),
        "lastModifiedDateHasOnlyDate": False,
        "lastModifiedUserName": last.user,
        "lastModifiedUserFirstName": first_name,
        "lastModifiedUserLastName": last_name,
        "itemGroupName": group.name,
        "sdvStatus": status,
        "openQueriesCount": sum(thread.type == QUERY and not thread.status.startswith("Closed") for thread in threads),
        "calculateItem": False,
    }


def _shown(item: ItemDefinition, value: str) -> str:
    """Put what choices mean in the place of their codes."""
    if item.code_list is None:
        return value
    meanings = dict(item.code_list.choices)
    codes = value.split(",") if item.code_list.multiple else [value]
    return ", ".join(meanings.get(code, code) for code in codes)


def _day(date: str) -> str | None:
    """Write a date as ``05-Jan-2026``, and with its time where it has one."""
    if not date:
        return None
    moment = datetime.fromisoformat(date)
    return f"{moment:%d-%b-%Y %H:%M}" if len(date) > len("2026-01-05") else f"{moment:%d-%b-%Y}"


def _epoch(at: str) -> int:
    return int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() * 1000)

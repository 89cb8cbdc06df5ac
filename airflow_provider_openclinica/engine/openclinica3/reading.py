"""What OpenClinica 3 has of one participant, as ODM tells it: looked at before a write, and after it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_openclinica.client.event_status import normalised
from airflow_provider_openclinica.errors import NotFoundError
from airflow_provider_openclinica.odm.import3 import FormKey, ValueKey
from airflow_provider_openclinica.odm.reader import rows

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.openclinica3.client import OpenClinica3Client
    from airflow_provider_openclinica.client.openclinica3.session import Session

_DATE = re.compile(r"(?P<day>\d{4}-\d{2}-\d{2})(?:[ T](?P<time>\d{2}:\d{2}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit3:
    """An occurrence of an event, as it is stored.

    :param start_date: the day; the times of visits that were scheduled by SOAP are never shown.
    :param status: in lower case: ``data entry started``.
    """

    start_date: str
    end_date: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A participant's data, removed forms left out.

    :param status: in lower case.
    :param visits: by event OID and repeat key.
    :param forms: status in lower case.
    """

    status: str = ""
    visits: dict[tuple[str, str], Visit3] = field(default_factory=dict, repr=False)
    forms: dict[FormKey, str] = field(default_factory=dict, repr=False)
    values: dict[ValueKey, str] = field(default_factory=dict, repr=False)

    def keys_of(self, event_oid: str) -> list[int]:
        """Return the repeat keys of an event, in order."""
        return sorted(int(repeat) for oid, repeat in self.visits if oid == event_oid)

    def form_holding(self, key: ValueKey) -> str:
        """Return the OID of the form that holds this item in this event, where it is another: another version."""
        for form in self.forms:
            if form[:2] == key[:2] and form.form_oid != key.form_oid:
                there = ValueKey(*form, key.group_oid, key.group_repeat, key.item_oid)
                if there in self.values:
                    return form.form_oid
        return ""


def stored(client: OpenClinica3Client, session: Session, study_oid: str, participant: str) -> Stored:
    """Read all that a participant has.

    :param participant: OID, better than the ID.
    :raises NotFoundError: the answer holds nobody, or somebody of another study.
    :raises ServerUnavailableError: status 500, which may mean that there is no such participant.
    """
    found: Stored | None = None
    with client.clinicaldata.retrieve(study_oid, participant=participant, session=session) as document:
        for table, row in rows(document.chunks(), charset=document.charset):
            if table == "participants":
                found = Stored(status=normalised(row["status"]))
            elif found is None:
                continue
            elif table == "events":
                found.visits[row["study_event_oid"], row["study_event_repeat_key"]] = Visit3(
                    start_date=day_of(row["start_date"]),
                    end_date=day_of(row["end_date"]),
                    status=normalised(row["status"]),
                )
            elif table == "forms" and not row["removed"]:
                found.forms[_form_key(row)] = normalised(row["status"])
            elif table == "items" and not row["removed"]:
                key = ValueKey(*_form_key(row), row["item_group_oid"], row["item_group_repeat_key"], row["item_oid"])
                found.values[key] = row["value"] or ""
    if found is None:
        raise NotFoundError("OpenClinica answered without the participant", study=study_oid)
    return found


def day_of(text: str) -> str:
    """Return the day of a date, with or without a time."""
    match = _DATE.match(text)
    return match["day"] if match else text


def _form_key(row: dict[str, str]) -> FormKey:
    return FormKey(row["study_event_oid"], row["study_event_repeat_key"], row["form_oid"])

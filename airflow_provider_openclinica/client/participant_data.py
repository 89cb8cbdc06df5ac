"""What OpenClinica takes as a participant's ID and contact data: the rules for a single one and for a bulk file.

Servers differ in details (docs/protocol.md, participants); these rules are the stricter of what the documentation and
the source say, so what passes here passes there. No problem quotes a value.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from airflow_provider_openclinica.client.bulkcsv import Column, Layout, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PARTICIPANT_ID = "ParticipantID"
LONGEST_ID = 30
LONGEST_NAME = 35
LONGEST_EMAIL = 255
LONGEST_PHONE = 17

_PHONE = re.compile(r"\+[0-9]{1,3} [0-9]{1,14}")
_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_EMAIL = re.compile(rf"{_LOCAL}(?:\.{_LOCAL})*@{_LABEL}(?:\.{_LABEL})+")


def participants_layout(phone_column: str = "MobileNumber") -> Layout:
    """Return the layout of a bulk file of participants.

    :param phone_column: what this server calls the column of the phone number. Those of 2020 know ``MobileNumber``, and
        the documentation says ``phoneNumber``; two such columns would be taken for one that is there twice.
    """
    return Layout(
        "participants",
        (
            Column(name=PARTICIPANT_ID, required=True, ascii_only=True, check=check_id),
            Column(name="FirstName", check=check_name),
            Column(name="LastName", check=check_name),
            Column(name="EmailAddress", check=check_email),
            Column(name=phone_column, aliases=("MobileNumber", "phoneNumber"), check=check_phone),
            Column(
                name="identifier",
                check=check_name,
                remark="OpenClinica documents this column, and servers of 2020 ignore it without a word",
            ),
        ),
        unique=PARTICIPANT_ID,
    )


def check_id(participant_id: str) -> str:
    """Say what is wrong with a participant ID; ``""`` if nothing is."""
    if not participant_id.strip():
        return "is empty"
    if len(participant_id) > LONGEST_ID:
        return f"is longer than {LONGEST_ID} characters"
    if "<" in participant_id or ">" in participant_id:
        return "holds < or >, which OpenClinica does not take"
    return ""


def check_name(name: str) -> str:
    """Say what is wrong with a first name, a last name or an identifier; ``""`` if nothing is."""
    return f"is longer than {LONGEST_NAME} characters" if len(name) > LONGEST_NAME else ""


def check_email(address: str) -> str:
    """Say what is wrong with an e-mail address; ``""`` if nothing is, or there is none."""
    if len(address) > LONGEST_EMAIL:
        return f"is longer than {LONGEST_EMAIL} characters"
    if address and not _EMAIL.fullmatch(address):
        return "is no e-mail address as OpenClinica takes them: letters beyond ASCII, a blank or a missing part"
    return ""


def check_phone(number: str) -> str:
    """Say what is wrong with a phone number; ``""`` if nothing is, or there is none."""
    if len(number) > LONGEST_PHONE:
        return f"is longer than {LONGEST_PHONE} characters"
    if number and not _PHONE.fullmatch(number):
        return "is not written as +, one to three digits, one blank, one to fourteen digits: +49 3012345678"
    return ""


#: The contact data of one participant, by the names of the API.
CONTACT_CHECKS: Mapping[str, Callable[[str], str]] = {
    "firstName": check_name,
    "lastName": check_name,
    "emailAddress": check_email,
    "phoneNumber": check_phone,
    "identifier": check_name,
}


def read_contact(text: str | bytes) -> tuple[dict[str, str], list[Problem]]:
    """Read the contact data of one participant, and say what is wrong with them.

    :param text: a JSON object with some of ``firstName``, ``lastName``, ``emailAddress``, ``phoneNumber`` and
        ``identifier``; ``""`` clears what OpenClinica has, ``null`` or a missing name leaves it as it is.
    :returns: what is to be sent, and the problems; with problems nothing should be.
    """
    try:
        contact = json.loads(text)
    except (ValueError, RecursionError):
        return {}, [Problem("this is no JSON in UTF-8")]
    if not isinstance(contact, dict):
        return {}, [Problem("this is no JSON object")]
    given = {name: value for name, value in contact.items() if value is not None}
    return given, list(_contact_problems(given))


def _contact_problems(contact: Mapping[str, object]) -> Iterator[Problem]:
    for name, value in contact.items():
        if name not in CONTACT_CHECKS:
            yield Problem(f"a name is none of {', '.join(CONTACT_CHECKS)}")
        elif not isinstance(value, str):
            yield Problem("is no text; write it in quotes", column=name)
        elif reason := CONTACT_CHECKS[name](value):
            yield Problem(reason, column=name)

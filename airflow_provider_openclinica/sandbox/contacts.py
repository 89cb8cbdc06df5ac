"""What is known of how to reach participants, and the file a job makes of it (docs/protocol.md, contacts).

The file is written as all logs are: comma-separated, nothing quoted, a blank line at the end. Which columns it has
depends on who asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.data import ClinicalStore, Participant
from airflow_provider_openclinica.sandbox.dialect import Dialect

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

_DETAILS = {
    "First Name": "first_name",
    "Last Name": "last_name",
    "Email": "email",
    "Mobile": "phone",
    "Identifier": "identifier",
}
_ACCESS_CODE = "Access Code"
_STATUS = "Participate Status"
_ALL = {"ParticipantId": "participant_id", **_DETAILS, _ACCESS_CODE: "access_code", _STATUS: "status_name"}


_CONTACTS = """
    SELECT p.id, p.oid, p.participant_id, p.site_oid, p.status, p.created_at, p.created_by, p.updated_at, p.updated_by,
           c.firstName, c.lastName, c.emailAddress, c.phoneNumber, c.identifier, coalesce(c.participate_status, ''),
           coalesce(a.code, '')
    FROM participants p LEFT JOIN contacts c ON c.participant = p.id LEFT JOIN access_codes a ON a.participant = p.id
    WHERE """


@dataclass(frozen=True, slots=True)
class Contact:
    """A participant and how to reach them. What was never given is ``None``.

    :param status: how far they got in taking part online, in the words of the web page; empty: not at all.
    :param access_code: what they log in with; empty while they are not registered.
    """

    participant: Participant
    first_name: str | None
    last_name: str | None
    email: str | None
    phone: str | None
    identifier: str | None
    status: str
    access_code: str

    @property
    def participant_id(self) -> str:
        """The participant ID."""
        return self.participant.participant_id

    @property
    def status_name(self) -> str:
        """The status as files spell it; empty where no details were ever given, even of a registered participant."""
        has_details = any(getattr(self, name) is not None for name in _DETAILS.values())
        return self.status.upper().replace(" ", "_") if has_details else ""


class Contacts:
    """What is stored of how to reach participants. Only reads."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        ClinicalStore(connection)

    def page(self, site_oid: str, number: int, size: int) -> list[Contact]:
        """Give one page of those of a site who are not removed, oldest first."""
        return self._select(
            "p.site_oid = ? AND p.status IN ('AVAILABLE', 'SIGNED') ORDER BY p.created_at, p.id LIMIT ? OFFSET ?",
            *(site_oid, size, (number - 1) * size),
        )

    def named(self, participant_id: str) -> Contact | None:
        """Find who in the study has exactly this ID; the first, where several sites have one."""
        return next(iter(self._select("p.participant_id = ? ORDER BY p.id", participant_id)), None)

    def everybody(self) -> list[Contact]:
        """Give all who are not removed."""
        return self._select("p.status IN ('AVAILABLE', 'SIGNED') ORDER BY p.id")

    def _select(self, condition: str, *values: object) -> list[Contact]:
        rows = self._db.execute(_CONTACTS + condition, values)
        return [Contact(Participant(*row[:9]), *row[9:]) for row in rows]


def columns(dialect: Dialect, *, of_site: bool, with_access: bool) -> list[str]:
    """Tell which columns a file has.

    :param of_site: whether the caller has a role at the site itself, not only at its study.
    :param with_access: whether access codes were asked for. The documents leave the status away without them.
    """
    names = ["ParticipantId"]
    if of_site:
        names += [*_DETAILS, *([_ACCESS_CODE] if with_access else [])]
    if dialect is Dialect.SOURCE or with_access:
        names.append(_STATUS)
    return names


def write_contacts(contacts: Iterable[Contact], names: Sequence[str]) -> bytes:
    """Write the file of a job."""
    rows = (",".join(getattr(contact, _ALL[name]) or "" for name in names) for contact in contacts)
    return "\n".join([",".join(names), *rows, "", ""]).encode()

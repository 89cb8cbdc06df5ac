"""Adding and changing participants and their contact data (docs/protocol.md, participants).

There is no adding apart from changing: a participant who is found is changed. Two look-ups decide who that is, and
they disagree. Whether an ID is taken at another site is asked in exactly its case; who has it, in any case and at
every site. So ``bos-001`` sent to Leiden changes ``BOS-001`` of Boston, as on the server.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from string import ascii_letters, digits
from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.bulk_logs import SUCCESS, ParticipantRow
from airflow_provider_openclinica.sandbox.data import ClinicalStore, Participant, now
from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.history import ROOT
from airflow_provider_openclinica.sandbox.import_run import JobFailed, Refused

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping

    from airflow_provider_openclinica.sandbox.service import Place
    from airflow_provider_openclinica.sandbox.study import Study

    Fields = Mapping[str, str | None]

CONTACT_FIELDS = ("firstName", "lastName", "emailAddress", "phoneNumber", "identifier")
USABLE = frozenset({"AVAILABLE", "SIGNED"})
LONGEST_ID = 30
LONGEST = {"firstName": 35, "lastName": 35, "identifier": 35, "emailAddress": 255, "phoneNumber": 17}
_LOCAL_PART = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
PATTERNS = {
    "emailAddress": re.compile(rf"{_LOCAL_PART}(?:\.{_LOCAL_PART})*@(?:{_LABEL}\.)+{_LABEL}"),
    "phoneNumber": re.compile(r"\+\d{1,3} \d{1,14}", re.ASCII),
}
INVALID = {"emailAddress": "invalidEmailAddress", "phoneNumber": "invalidPhoneNumber"}
#: What an access code is made of: nothing that a reader of a letter takes for something else.
ACCESS_CODE_LETTERS = "".join(sorted(set(ascii_letters + digits) - set("015loIOS")))

#: The source's code -> the documents' spelling of it, in the answer to one participant and in the log of many.
DOCUMENTED = {"participantIdTooLong": "participantIDLongerThan30Characters"}
DOCUMENTED_AT_ONCE = DOCUMENTED | {"participateInActive": "participateNotEnabled"}
DOCUMENTED_IN_BULK = DOCUMENTED | {
    "phoneNumberTooLong": "mobileNumberTooLong",
    "invalidPhoneNumber": "invalidMobileNumber",
}


class Registry:
    """The participants of a study, with what is known of how to reach them. Nothing here commits.

    :param user: login of whoever writes through it.
    """

    def __init__(self, connection: sqlite3.Connection, user: str = ROOT) -> None:
        self._db = connection
        self._store = ClinicalStore(connection, user)

    def is_elsewhere(self, participant_id: str, place: Place) -> bool:
        """Tell whether another site of the study has this ID, in exactly this case."""
        others = {site.oid for site in place.study.sites} - {place.oid}
        return bool(self._store.participants_by_id(participant_id, others))

    def find(self, participant_id: str, place: Place) -> Participant | None:
        """Find who has this ID in any case, at the study or at any of its sites; the exact one before all others."""
        row = self._db.execute(
            """SELECT oid FROM participants WHERE participant_id = ? COLLATE NOCASE
               ORDER BY participant_id = ? DESC, site_oid = ? DESC, id LIMIT 1""",
            (participant_id, participant_id, place.oid),
        ).fetchone()
        return self._store.participant_by_oid(row[0]) if row else None

    def enrolled(self) -> int:
        """Count the participants that are not removed."""
        row = self._db.execute("SELECT count(*) FROM participants WHERE status IN ('AVAILABLE', 'SIGNED')").fetchone()
        return int(row[0])

    def add(self, participant_id: str, place: Place, user: str) -> Participant:
        """Store a new participant, and give it with its OID."""
        row = (self._free_oid(participant_id), participant_id, place.oid, "AVAILABLE", now(), user)
        cursor = self._db.execute(
            """INSERT INTO participants (oid, participant_id, site_oid, status, created_at, created_by)
               VALUES (?, ?, ?, ?, ?, ?)""",
            row,
        )
        return Participant(int(cursor.lastrowid or 0), *row, None, None)

    def _free_oid(self, participant_id: str) -> str:
        usable = re.sub(r"[^A-Za-z0-9_]", "", participant_id)[:8].upper()
        numbers = 10_000  # more with each number that is taken, so that one is found for the 10,001st as well
        oid = f"SS_{usable}" if usable else f"SS__{secrets.randbelow(numbers)}"
        while self._store.participant_by_oid(oid):
            oid = f"SS_{usable}_{secrets.randbelow(numbers)}"
            numbers *= 2
        return oid

    def free_id(self, place: Place) -> str:
        """Make an ID as a study does that makes them itself: the site's own, and a number."""
        prefix = place.site.unique_id if place.site else place.study.unique_id
        number = 1
        while self.find(f"{prefix}-{number:03d}", place):
            number += 1
        return f"{prefix}-{number:03d}"

    def touch(self, participant: Participant, user: str) -> None:
        """Note who changed a participant, and when."""
        self._db.execute(
            "UPDATE participants SET updated_at = ?, updated_by = ? WHERE id = ?", (now(), user, participant.id)
        )

    def save_contact(self, participant: Participant, fields: Fields) -> None:
        """Store what is given; what is ``None`` stays as it is, and an empty text clears."""
        given = {name: fields[name] for name in CONTACT_FIELDS if fields.get(name) is not None}
        if not given:
            return
        self._db.execute("INSERT OR IGNORE INTO contacts (participant) VALUES (?)", (participant.id,))
        for name, value in given.items():
            self._db.execute(f"UPDATE contacts SET {name} = ? WHERE participant = ?", (value, participant.id))  # noqa: S608 - one of five constants

    def register(self, participant: Participant, *, again: bool = False) -> None:
        """Let a participant take part online; whoever does already stays as they are.

        :param again: give another access code to whoever has one.
        """
        self._db.execute("INSERT OR IGNORE INTO contacts (participant) VALUES (?)", (participant.id,))
        self._db.execute(
            "UPDATE contacts SET participate_status = 'Created' WHERE participant = ? AND participate_status = ''",
            (participant.id,),
        )
        if again:
            self._db.execute("DELETE FROM access_codes WHERE participant = ?", (participant.id,))
        self._db.execute("INSERT OR IGNORE INTO access_codes VALUES (?, ?)", (participant.id, _access_code()))

    def invite(self, participant: Participant) -> None:
        """Note that whoever is registered was invited."""
        self._db.execute(
            """UPDATE contacts SET participate_status = 'Invited'
               WHERE participant = ? AND participate_status = 'Created'""",
            (participant.id,),
        )

    def participate_status(self, participant: Participant) -> str:
        """Tell how far a participant got in taking part online; empty: not at all."""
        query = "SELECT participate_status FROM contacts WHERE participant = ?"
        row = self._db.execute(query, (participant.id,)).fetchone()
        return str(row[0]) if row else ""

    def everybody(self) -> list[dict[str, str | None]]:
        """Return all participants with their contact data, for the control routes."""
        names = ("oid", "participant", "site", "status", *CONTACT_FIELDS, "participateStatus")
        found = self._db.execute(
            """SELECT p.oid, p.participant_id, p.site_oid, p.status, c.firstName, c.lastName, c.emailAddress,
                      c.phoneNumber, c.identifier, coalesce(c.participate_status, '')
               FROM participants p LEFT JOIN contacts c ON c.participant = p.id ORDER BY p.id"""
        )
        return [dict(zip(names, row, strict=True)) for row in found]


def _access_code() -> str:
    return "".join(secrets.choice(ACCESS_CODE_LETTERS) for _ in range(9))


def check_study(study: Study, dialect: Dialect, *, register: bool) -> None:
    """Check what does not depend on the participant.

    :raises Refused: the study takes nobody in this way.
    """
    if register and not study.participate:
        raise Refused("participateInActive")
    if study.generates_ids and dialect is Dialect.SOURCE:
        raise Refused("studyHasSystemGeneratedIdEnabled")


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Adding participants to one place, for one user.

    :param place: a site; or the study, in documented servers.
    :param register: whether they are to take part online.
    """

    registry: Registry
    place: Place
    user: str
    dialect: Dialect
    register: bool

    def enrol(self, fields: Fields) -> ParticipantRow:
        """Add a participant, or change the one who is found.

        :raises Refused: the participant is not taken; nothing was stored.
        :raises JobFailed: the server breaks down here, after it has stored the participant.
        """
        registry = self.registry
        expected = self.place.study.expected_participants
        if expected is not None and registry.enrolled() >= expected:
            raise Refused("participantsEnrollmentCapReached")
        participant_id = fields.get("subjectKey")
        if not participant_id and self.place.study.generates_ids:
            participant_id = registry.free_id(self.place)
        return self._store(checked_id(participant_id, fields, self.dialect), fields)

    def _store(self, participant_id: str, fields: Fields) -> ParticipantRow:
        registry = self.registry
        if registry.is_elsewhere(participant_id, self.place):
            raise Refused("participantNotFound")
        participant = registry.find(participant_id, self.place)
        if participant is None:
            participant = registry.add(participant_id, self.place, self.user)
        elif participant.status not in USABLE:
            raise Refused("participantIDNotAvailable")
        else:
            registry.touch(participant, self.user)
        if self.place.site:  # the documents: nobody of the study itself has contact data, or takes part online
            registry.save_contact(participant, fields)
        if self.place.site and self.register:
            if participant.participant_id != participant_id:
                raise JobFailed("the identity server looks for the ID as it is stored")
            registry.register(participant)
        status = registry.participate_status(participant)
        return ParticipantRow(participant.participant_id, participant.oid, status, participant.status, SUCCESS)


def checked_id(participant_id: str | None, fields: Fields, dialect: Dialect) -> str:
    """Give the ID of a participant, if it and all other fields may be stored.

    :raises Refused: with the code of the first that may not, in the server's order.
    """
    if not participant_id:
        raise Refused("missingParticipantIdData")
    if dialect is Dialect.DOCS and set(participant_id) & set("<>"):
        raise Refused("participantIDContainsUnsupportedHTMLCharacter")
    if len(participant_id) > LONGEST_ID:
        raise Refused("participantIdTooLong")
    for name, longest in LONGEST.items():
        value = fields.get(name) or ""
        if len(value) > longest:
            raise Refused(f"{name}TooLong")
        if value and name in PATTERNS and PATTERNS[name].fullmatch(value) is None:
            raise Refused(INVALID[name])
    return participant_id


def enrol_all(enrolment: Enrolment, rows: Iterable[Fields], commit: Callable[[], None]) -> list[ParticipantRow]:
    """Add the participants of a file. Each row is committed by itself: what fails the job leaves those before it.

    :raises JobFailed: the server breaks down at a row, which stays in part; the rows after it are never looked at.
    """
    log = []
    for fields in rows:
        sent = fields.get("subjectKey") or ""
        try:
            row = enrolment.enrol(fields)
            log.append(row._replace(participant_id=sent or row.participant_id))
        except Refused as refusal:
            log.append(ParticipantRow(sent, message=f"errorCode.{in_bulk(refusal.code, enrolment.dialect)}"))
        finally:
            commit()
    return log


def at_once(code: str, dialect: Dialect) -> str:
    """Spell a code as the answer to one participant does."""
    return DOCUMENTED_AT_ONCE.get(code, code) if dialect is Dialect.DOCS else code


def in_bulk(code: str, dialect: Dialect) -> str:
    """Spell a code as the log of many participants does."""
    return DOCUMENTED_IN_BULK.get(code, code) if dialect is Dialect.DOCS else code

"""Contact data of a site's participants: a job that writes them to a file, and those of one participant at once.

    uuid = client.contacts.extract("S_JUNO", "S_BOSTON")
    client.contacts.of("S_JUNO", "S_BOSTON", "P-001")

By which of four calls a server makes the file can only be found out by trying (docs/protocol.md, contacts). It is then
kept beside the token. Everything here is personal data: nothing logs it, and no ``repr`` shows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_openclinica.client.addresses import api_path
from airflow_provider_openclinica.client.answers import raise_for
from airflow_provider_openclinica.client.jobs import requested_job_in
from airflow_provider_openclinica.errors import ConfigurationError, NotAvailableError, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_openclinica.client.http import Http
    from airflow_provider_openclinica.client.tokens import TokenManager

PAGE_SIZE = 100  #: participants in a file where a request says nothing
REMEMBERED_AS = "contacts_call"  #: the fact about a host that is kept beside its token

#: What may be there, the likeliest first. The vendor's samples misspell the path, and one of them is a GET.
_CALLS = (
    "POST extractParticipantsInfo",
    "POST extractPartcipantsInfo",
    "GET extractPartcipantsInfo",
    "GET extractParticipantsInfo",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """What OpenClinica knows of one participant. ``None``: nothing, or nothing that this account may see.

    :param oid: participant OID, a pseudonym.
    :param participant_id: the participant's ID, a pseudonym.
    :param participate_status: in OpenClinica Participate, as the server's page shows it.
    :param secondary_id: another ID that somebody gave the participant.
    :param access_code: opens the participant's account in OpenClinica Participate: a password in all but name.
    """

    oid: str
    participant_id: str
    participate_status: str | None
    first_name: str | None = field(repr=False)
    last_name: str | None = field(repr=False)
    email: str | None = field(repr=False)
    mobile_number: str | None = field(repr=False)
    secondary_id: str | None = field(repr=False)
    access_code: str | None = field(repr=False)


class Contacts:
    """The contact data in one OpenClinica."""

    def __init__(self, http: Http, tokens: TokenManager) -> None:
        self._http, self._tokens = http, tokens

    def extract(
        self, study_oid: str, site_oid: str, *, register: bool = False, page: int = 1, page_size: int = PAGE_SIZE
    ) -> str:
        """Let a site's contact data be written to a file, a page of them; return the uuid of the job that does it.

        Nothing in the study changes, so the request may be repeated. Participants who were removed are left out. There
        is no word of further pages: one with fewer rows than ``page_size`` is the last. A server may not know pages and
        put everybody into one.

        :param register: have the access codes of OpenClinica Participate, too.
        :param page: counted from 1.
        :param page_size: participants in a page; with page 1 it may be as large as one likes.
        :raises ConfigurationError: ``page`` or ``page_size`` is not a whole number from 1.
        :raises NotFoundError: no such study or site.
        :raises NotAvailableError: the module Participate is off, or this server extracts no contacts.
        :raises RoleError: the account may not see contact data there.

        docs/protocol.md, contacts.
        """
        doing = "the contacts of a site"
        if min(page, page_size) < 1:
            raise ConfigurationError("page or page_size is not a whole number from 1")
        params = _flags(register) | {"page_number": str(page), "page_size": str(page_size)}
        for call in self._calls():
            method, _, name = call.partition(" ")
            path = f"{_path(study_oid, site_oid)}/participants/{name}"
            answer = self._http.send_json(
                method, path, None, doing=doing, params=params, study=study_oid, site=site_oid
            )
            if not answer.is_absent:
                self._tokens.remember(REMEMBERED_AS, call)
                return requested_job_in(answer, doing, study=study_oid, site=site_oid)
        raise NotAvailableError(
            "This OpenClinica extracts no contacts, by none of the calls that it is known to have for that",
            study=study_oid,
            site=site_oid,
            status=answer.status,
            next_step="Check that the connection's host is the study server with its path; else look at its web page.",
        )

    def of(self, study_oid: str, site_oid: str, participant_id: str, *, register: bool = False) -> Contact:
        """Return the contact data of one participant, without a job.

        Names and addresses are there only for accounts with a role at the site itself. Of participants who were never
        changed the source tells little more than the ID. The vendor does not document the call.

        :param participant_id: the ID; letter case matters. It is looked for in the whole study.
        :param register: have the access code of OpenClinica Participate, too.
        :raises NotFoundError: no such study, site or participant.
        :raises NotAvailableError: the participant is removed, or the module Participate is off.
        :raises RoleError: the account may not see contact data there.

        docs/protocol.md, contacts.
        """
        doing = "the contact data of a participant"
        path = f"{_path(study_oid, site_oid)}/participant"
        params = {"participantID": participant_id} | _flags(register)
        answer = self._http.get(path, doing=doing, params=params, study=study_oid, site=site_oid)
        if answer.is_absent:
            raise NotAvailableError(
                "This OpenClinica does not tell the contact data of one participant",
                study=study_oid,
                site=site_oid,
                status=answer.status,
                next_step="Extract those of the site.",
            )
        raise_for(answer, doing, study=study_oid, site=site_oid)
        match answer.json:
            case {"subjectKey": str(stored), "subjectOid": str(oid), **rest}:
                return _contact(stored, oid, rest)
        raise UnexpectedAnswerError(f"OpenClinica answered {doing} with something else", study=study_oid, site=site_oid)

    def _calls(self) -> list[str]:
        """Return what to try, the one that worked last first."""
        remembered = self._tokens.recall(REMEMBERED_AS)
        return sorted(_CALLS, key=lambda call: call != remembered)


def _path(study_oid: str, site_oid: str) -> str:
    return api_path("clinicaldata", "studies", study_oid, "sites", site_oid)


def _flags(register: bool) -> dict[str, str]:
    """Return the one flag by both its names: the source's and the documented one."""
    wanted = "y" if register else "n"
    return {"includeParticipateInfo": wanted, "register": wanted}


def _contact(participant_id: str, oid: str, rest: Mapping[object, object]) -> Contact:
    def text(name: str) -> str | None:
        value = rest.get(name)
        return value if isinstance(value, str) else None

    return Contact(
        oid=oid,
        participant_id=participant_id,
        participate_status=text("status"),
        first_name=text("firstName"),
        last_name=text("lastName"),
        email=text("email"),
        mobile_number=text("mobileNumber"),
        secondary_id=text("secondaryID"),
        access_code=text("accessCode"),
    )

"""OpenClinica Participate: the accounts with which participants fill in their own forms.

    client.participate.connect("S_JUNO", "P-001", contact, invite_by_email=True)
    client.participate.account("S_JUNO", "P-001")

The vendor documents none of these calls, and none of them asks for a role: a token is enough. What comes back is
personal data, and an access code is a password in all but name; no ``repr`` shows either (docs/protocol.md,
participate).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.client.addresses import api_path
from airflow_provider_openclinica.client.answers import raise_for
from airflow_provider_openclinica.client.jobs import LIST_BYTES
from airflow_provider_openclinica.client.uploads import JsonBody
from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    ConfigurationError,
    NotAvailableError,
    NotFoundError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_openclinica.client.answers import Answer
    from airflow_provider_openclinica.client.http import Http

#: The names that `Participants.add` takes -> those of this call.
_CONTACT = {
    "firstName": "firstName",
    "lastName": "lastName",
    "emailAddress": "email",
    "phoneNumber": "phoneNumber",
    "identifier": "identifier",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipateAccount:
    """A participant's account. ``None``: OpenClinica has nothing there, or does not tell.

    :param participant_id: the participant's ID, a pseudonym.
    :param status: how far the participant has come: ``CREATED``, ``INVITED``, ``ACTIVE``, ``INACTIVE``, …
    """

    participant_id: str
    status: str | None
    username: str | None = field(repr=False)
    first_name: str | None = field(repr=False)
    last_name: str | None = field(repr=False)
    email: str | None = field(repr=False)
    phone_number: str | None = field(repr=False)
    identifier: str | None = field(repr=False)
    access_code: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLink:
    """Where a participant logs in.

    :param host: the address of Participate, the same for everybody.
    :param link: opens the account; without an access code it leads nowhere.
    """

    host: str
    link: str = field(repr=False)
    access_code: str | None = field(repr=False)


class Participate:
    """The Participate accounts of one OpenClinica."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def connect(
        self,
        study_oid: str,
        participant_id: str,
        contact: Mapping[str, str] | None = None,
        *,
        invite_by_email: bool = False,
        invite_by_sms: bool = False,
        reset_access_code: bool = False,
    ) -> ParticipateAccount:
        """Give a participant an account, or change it. Never sent twice: an invitation would go out twice, too.

        :param participant_id: the ID; letter case matters.
        :param contact: ``firstName``, ``lastName``, ``emailAddress``, ``phoneNumber``, ``identifier``.
        :param reset_access_code: make a new access code; the old one opens nothing any more.
        :raises ConfigurationError: the contact data have another name.
        :raises AmbiguousSubmitError: nothing tells whether it was done. The source also fails so for an ID that is not
            there.
        """
        given = contact or {}
        if given.keys() - _CONTACT.keys():
            raise ConfigurationError(f"A name of the contact data is none of {', '.join(_CONTACT)}")
        doing = "the Participate account of a participant"
        wanted = {_CONTACT[name]: value for name, value in given.items()} | {
            "inviteParticipant": invite_by_email,
            "inviteViaSms": invite_by_sms,
            "resetAccessCode": reset_access_code,
        }
        path = f"{_participant(study_oid, participant_id)}/connect"
        try:
            answer = self._http.submit(path, JsonBody(wanted), doing=doing, study=study_oid)
        except AmbiguousSubmitError as doubt:
            doubt.next_step = (
                "Look whether the participant is there under exactly this ID, and what state the account is in, before "
                "anybody is invited again."
            )
            raise
        raise_for(answer, doing, study=study_oid)
        return _account(answer.json, doing, study_oid)

    def account(self, study_oid: str, participant_id: str) -> ParticipateAccount:
        """Return a participant's account.

        :param participant_id: the ID; letter case matters.
        :raises NotFoundError: there is no such participant, or the participant has no account.
        :raises ConfigurationError: the ID has a dot: this call of the server loses what follows it, and would answer
            for somebody else. `accounts` tells those, too.
        """
        if "." in participant_id:
            raise ConfigurationError(
                "A participant ID with a dot cannot be asked for one by one: OpenClinica loses what follows the dot",
                next_step="Take the participant from the list of all accounts.",
            )
        doing = "the Participate account of a participant"
        answer = self._get(_participant(study_oid, participant_id), doing, study_oid)
        return _account(answer.json, doing, study_oid)

    def access_link(self, study_oid: str, participant_id: str, *, include_access_code: bool = False) -> AccessLink:
        """Return where a participant logs in.

        :param include_access_code: without it, the link leads nowhere.
        :raises NotFoundError: there is no such participant, or the participant has no account.
        """
        doing = "the access link of a participant"
        params = {"includeAccessCode": "y" if include_access_code else "n"}
        answer = self._get(f"{_participant(study_oid, participant_id)}/accessLink", doing, study_oid, params)
        match answer.json:
            case {"host": str(host), "accessLink": str(link), **rest}:
                return AccessLink(host=host, link=link, access_code=_text(rest.get("accessCode")))
        raise UnexpectedAnswerError(f"OpenClinica answered {doing} with something else", study=study_oid)

    def accounts(self, study_oid: str) -> list[ParticipateAccount]:
        """Return the accounts of all participants of a study."""
        doing = "the Participate accounts of a study"
        answer = self._get(api_path("clinicaldata", "studies", study_oid, "participantUsers"), doing, study_oid)
        return _accounts(answer.json, doing, study_oid)

    def search(
        self,
        study_oid: str,
        *,
        participant_id: str = "",
        first_name: str = "",
        last_name: str = "",
        identifier: str = "",
    ) -> list[ParticipateAccount]:
        """Return the participants to whom all that is given applies.

        What is searched for stands in the address of the request, and so in the access logs of whatever lies between:
        search by ID where that will do.

        :raises NotAvailableError: the study does not keep contact data.
        """
        doing = "the search for a participant"
        asked = {
            "participantId": participant_id,
            "firstName": first_name,
            "lastName": last_name,
            "identifier": identifier,
        }
        path = api_path("clinicaldata", "studies", study_oid, "participants", "searchByFields")
        answer = self._get(path, doing, study_oid, {name: value for name, value in asked.items() if value})
        if not answer.body.strip():
            raise NotAvailableError("The study does not keep contact data, so nobody can be searched", study=study_oid)
        return _accounts(answer.json, doing, study_oid)

    def _get(self, path: str, doing: str, study_oid: str, params: Mapping[str, str] | None = None) -> Answer:
        """Ask. That nobody is there comes as a 404 without a word; a 500 says as little."""
        answer = self._http.get(path, doing=doing, params=params, most=LIST_BYTES, study=study_oid)
        if answer.status == 404 and not answer.body.strip():
            raise NotFoundError(
                "OpenClinica has no such participant, or the participant has no Participate account",
                study=study_oid,
                next_step="Compare the ID letter for letter; connect the participant if there is no account yet.",
            )
        if answer.is_breakdown:
            raise ServerUnavailableError(
                f"OpenClinica failed at {doing}",
                study=study_oid,
                status=500,
                meaning="that is also its answer about a study that it does not have",
                next_step="Check the study's OID letter for letter. Where it is right, retry.",
            )
        raise_for(answer, doing, study=study_oid)
        return answer


def _participant(study_oid: str, participant_id: str) -> str:
    return api_path("clinicaldata", "studies", study_oid, "participants", participant_id)


def _accounts(listed: Any, doing: str, study_oid: str) -> list[ParticipateAccount]:
    if not isinstance(listed, list):
        raise UnexpectedAnswerError(f"OpenClinica answered {doing} with something else", study=study_oid)
    return [_account(user, doing, study_oid) for user in listed]


def _account(user: Any, doing: str, study_oid: str) -> ParticipateAccount:
    if not isinstance(user, dict) or "participantId" not in user:
        raise UnexpectedAnswerError(f"OpenClinica answered {doing} with something else", study=study_oid)
    return ParticipateAccount(
        participant_id=_text(user["participantId"]) or "",
        status=_text(user.get("status")),
        username=_text(user.get("username")),
        first_name=_text(user.get("firstName")),
        last_name=_text(user.get("lastName")),
        email=_text(user.get("email")),
        phone_number=_text(user.get("phoneNumber")),
        identifier=_text(user.get("identifier")),
        access_code=_text(user.get("accessCode")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None

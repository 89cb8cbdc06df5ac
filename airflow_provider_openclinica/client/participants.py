"""Participants: who is in a study or at a site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.client.addresses import api_path
from airflow_provider_openclinica.client.answers import raise_for
from airflow_provider_openclinica.client.jobs import LIST_BYTES
from airflow_provider_openclinica.errors import UnexpectedAnswerError

if TYPE_CHECKING:
    import builtins

    from airflow_provider_openclinica.client.http import Http


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedParticipant:
    """A participant as the list shows them. Both identifiers are pseudonyms: not for log lines.

    :param oid: participant OID, the ``SubjectKey`` of ODM.
    :param participant_id: the label that people use, the ``StudySubjectID`` of ODM.
    :param status: as the server spells it, ``AVAILABLE`` or ``Available``; removed participants are ``DELETED``.
    """

    oid: str
    participant_id: str
    status: str


class Participants:
    """The participants of one OpenClinica."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def list(self, study_oid: str, site_oid: str | None = None) -> builtins.list[ListedParticipant]:
        """List the participants of a study, those of its sites included, or of one site.

        The removed ones are among them. The list of a study does not tell who is at which site. There is no paging, so
        the list is held in memory.

        :param study_oid: OID of the study; an account with site roles only may name a site here.
        :param site_oid: OID of one of its sites, to list that site only.
        :raises NotFoundError: no such study or site.
        :raises RoleError: no role there, or that of a Monitor.

        docs/protocol.md, participants.
        """
        doing, site = "the list of participants", site_oid or ""
        path = api_path("clinicaldata", "studies", study_oid, *(("sites", site) if site else ()), "participants")
        answer = self._http.get(path, doing=doing, most=LIST_BYTES, study=study_oid, site=site)
        raise_for(answer, doing, study=study_oid, site=site)
        try:
            return [_listed_participant(participant) for participant in answer.json["studyParticipants"]]
        except (TypeError, KeyError, AttributeError):
            raise UnexpectedAnswerError(
                f"OpenClinica answered {doing} with something else", study=study_oid, site=site
            ) from None


def _listed_participant(participant: dict[str, Any]) -> ListedParticipant:
    return ListedParticipant(
        oid=str(participant["subjectOid"] or ""),
        participant_id=str(participant["subjectKey"] or ""),
        status=str(participant.get("status") or ""),
    )

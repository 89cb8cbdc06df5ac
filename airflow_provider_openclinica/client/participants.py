"""Participants: who is in a study or at a site, and adding or updating them, one or many."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.client.addresses import api_path
from airflow_provider_openclinica.client.answers import raise_for
from airflow_provider_openclinica.client.jobs import LIST_BYTES, job_uuid_in, moment_of
from airflow_provider_openclinica.errors import UnexpectedAnswerError

if TYPE_CHECKING:
    import builtins
    from collections.abc import Mapping

    from airflow_provider_openclinica.client.http import Http
    from airflow_provider_openclinica.client.uploads import Upload

_REGISTER = {True: {"register": "y"}, False: {"register": "n"}}
_DAY = re.compile(r"(?P<month>[A-Z][a-z]{2}) (?P<day>\d{1,2}), (?P<year>\d{4})\b")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_REMOVED = frozenset({"deleted", "auto_deleted", "auto-deleted", "removed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedParticipant:
    """A participant as the list shows them. Both identifiers are pseudonyms: not for log lines.

    :param oid: participant OID, the ``SubjectKey`` of ODM.
    :param participant_id: the label that people use, the ``StudySubjectID`` of ODM.
    :param status: as the server spells it, ``AVAILABLE`` or ``Available``; removed participants are ``DELETED``.
    :param changed_at: when the participant was last changed, or added: the latest moment that it can have been. Some
        servers tell a day only, and none whose. None where the server does not say.
    """

    oid: str
    participant_id: str
    status: str
    changed_at: datetime | None = None

    @property
    def removed(self) -> bool:
        """Has somebody removed the participant? One may be restored, and keeps the ID."""
        return self.status.casefold() in _REMOVED


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedParticipant:
    """A participant who was added or updated; the server does not say which. Both identifiers are pseudonyms.

    :param oid: participant OID.
    :param participant_id: the ID that OpenClinica has stored.
    :param status: as the server spells it, ``AVAILABLE`` or ``Available``.
    :param participate_status: in OpenClinica Participate, ``Created`` or so; empty without it.
    """

    oid: str
    participant_id: str
    status: str
    participate_status: str


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
        answer = self._http.get(_path(study_oid, site_oid), doing=doing, most=LIST_BYTES, study=study_oid, site=site)
        raise_for(answer, doing, study=study_oid, site=site)
        try:
            match answer.json:
                case {"studyParticipants": [*listed]}:
                    return [_listed_participant(participant) for participant in listed]
        except (TypeError, KeyError, AttributeError):
            pass
        raise UnexpectedAnswerError(f"OpenClinica answered {doing} with something else", study=study_oid, site=site)

    def add(
        self,
        participant_id: str,
        contact: Mapping[str, str] | None = None,
        *,
        study_oid: str,
        site_oid: str | None,
        register: bool = False,
    ) -> AddedParticipant:
        """Add a participant, or update the one who has this ID. Sent again where an answer is lost: it is an upsert.

        OpenClinica looks the ID up ignoring letter case and in the whole study, so compare it with ``list`` before.

        :param participant_id: the ID, at most 30 characters.
        :param contact: ``firstName``, ``lastName``, ``emailAddress``, ``phoneNumber``, ``identifier``; ``""`` clears,
            a missing name leaves what is there.
        :param site_oid: None for the study itself, which servers of 2020 do not offer.
        :param register: register the participant for OpenClinica Participate.
        :raises NotFoundError: no such study or site, or another site has the ID.
        :raises NotAvailableError: study, site or Participate is closed, the study is full or makes IDs itself, or the
            server does not add at the study.
        :raises RoleError: the account may not add participants there.
        :raises FileError: the ID or the contact data are not as OpenClinica wants them.

        docs/protocol.md, participants.
        """
        doing, site = "the participant", site_oid or ""
        answer = self._http.send_json(
            "POST",
            _path(study_oid, site_oid),
            {"subjectKey": participant_id, **(contact or {})},
            doing=doing,
            params=_REGISTER[register],
            study=study_oid,
            site=site,
        )
        raise_for(answer, doing, study=study_oid, site=site)
        match answer.json:
            case {"subjectKey": str(stored), "subjectOid": str(oid), **rest}:
                return AddedParticipant(
                    oid=oid,
                    participant_id=stored,
                    status=str(rest.get("status") or ""),
                    participate_status=str(rest.get("participateStatus") or ""),
                )
        raise UnexpectedAnswerError(f"OpenClinica answered {doing} with something else", study=study_oid, site=site)

    def add_bulk(self, csv: Upload, *, study_oid: str, site_oid: str, register: bool = False) -> str:
        """Submit a CSV file of participants to add or update; return the uuid of the job that reads it.

        The answer only says that the header was taken; the rows are judged in the job's log.

        :param csv: as ``bulkcsv.split`` writes it; its name must end in ``.csv``, in lower case.
        :param register: register them for OpenClinica Participate.
        :raises FileError: the file was refused as a whole; nothing was applied.
        :raises NotFoundError: no such study or site.
        :raises NotAvailableError: study, site or Participate is closed, or the study makes IDs itself.
        :raises RoleError: the account may not add participants there.
        :raises AmbiguousSubmitError: the connection broke after the first byte, or the server failed; a job may exist.

        docs/protocol.md, participants and bulk files.
        """
        doing = "the file of participants"
        path = f"{_path(study_oid, site_oid)}/bulk"
        answer = self._http.submit(path, {"file": csv}, doing=doing, params=_REGISTER[register], study=study_oid)
        return job_uuid_in(answer, doing, study=study_oid, site=site_oid)


def _path(study_oid: str, site_oid: str | None) -> str:
    return api_path("clinicaldata", "studies", study_oid, *(("sites", site_oid) if site_oid else ()), "participants")


def _listed_participant(participant: dict[str, Any]) -> ListedParticipant:
    return ListedParticipant(
        oid=str(participant["subjectOid"] or ""),
        participant_id=str(participant["subjectKey"] or ""),
        status=str(participant.get("status") or ""),
        changed_at=_latest(participant.get("lastModified") or participant.get("createdAt")),
    )


def _latest(written: object) -> datetime | None:
    """Read a moment; where no more than a day is told, or no zone, the end of the day, wherever on Earth that is."""
    try:
        day = _day_in(written) if isinstance(written, str) else None
        return moment_of(written) if day is None else day + timedelta(hours=24 + 12)
    except (ValueError, OverflowError):
        return None


def _day_in(written: str) -> datetime | None:
    """Return the begin of the day in ``Apr 26, 2019 12:00:00 AM``, ``2019-04-26`` and times without a zone, as if UTC.

    :raises ValueError: there is no such day, or what is written is no time.
    """
    if found := _DAY.match(written):
        return datetime(int(found["year"]), _MONTHS.index(found["month"]) + 1, int(found["day"]), tzinfo=UTC)
    told = datetime.fromisoformat(written)
    return None if told.tzinfo else datetime(told.year, told.month, told.day, tzinfo=UTC)

"""Events: schedule visits, and change what is known of events, one by one or in bulk.

One event is answered at once. A file of rows makes a job; what became of each row stands in the job's log
(docs/protocol.md, events).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_openclinica.client.addresses import api_path
from airflow_provider_openclinica.client.answers import error_in
from airflow_provider_openclinica.client.event_status import normalised
from airflow_provider_openclinica.client.jobs import job_uuid_in
from airflow_provider_openclinica.client.uploads import JsonBody
from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    FileError,
    NotAvailableError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.answers import Answer
    from airflow_provider_openclinica.client.http import Http
    from airflow_provider_openclinica.client.uploads import Upload

_LOOK = "Look at the participant's events in OpenClinica. If the visit is not there, clear the task: that schedules it."
_CORRECT = "Correct the arguments of the task, and clear it."


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenEvent:
    """An occurrence of an event, as the server tells of it after it was written.

    :param study_event_oid: the event; the server returns it in upper case.
    :param repeat_key: which occurrence; ``"1"`` where the event does not repeat.
    :param start_date: as it was sent; ``""`` for a common event.
    :param end_date: likewise; ``""`` where there is none.
    :param status: in lower case and with blanks, as requests spell it, whatever the server does.
    """

    study_event_oid: str
    repeat_key: str
    start_date: str
    end_date: str
    status: str


class Events:
    """The events of the participants of one OpenClinica."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def create(
        self,
        participant_id: str,
        study_event_oid: str,
        *,
        start_date: str,
        end_date: str = "",
        study_oid: str,
        site_oid: str,
    ) -> WrittenEvent:
        """Schedule a visit. **Each call adds one, where the event repeats**; it is never sent again by itself.

        :param participant_id: the participant's ID, compared exactly and at this site only.
        :param study_event_oid: OID of a visit-based event.
        :param start_date: ``2026-05-01``; documented servers also take ``2026-05-01 09:30``.
        :param end_date: likewise; ``""`` for none.
        :raises FileError: the dates are not as OpenClinica wants them, the event is a common one, or the visit is there
            and does not repeat.
        :raises NotFoundError: no such study, site, participant or event.
        :raises NotAvailableError: study or site is not open.
        :raises RoleError: the account may not schedule there.
        :raises AmbiguousSubmitError: the connection broke after the first byte, the server failed, or what it answers
            does not tell; the visit may be there.

        docs/protocol.md, events.
        """
        doing = "the visit"
        fields = {"subjectKey": participant_id, "studyEventOID": study_event_oid, "startDate": start_date}
        if end_date:
            fields["endDate"] = end_date
        try:
            answer = self._http.submit(
                _path(study_oid, site_oid), JsonBody(fields), doing=doing, study=study_oid, site=site_oid
            )
        except AmbiguousSubmitError as error:
            error.next_step = _LOOK
            raise
        _refused(answer, doing, study_oid, site_oid)
        if written := _written(answer):
            return written
        raise AmbiguousSubmitError(  # an answer that was cut off may arrive as an empty one
            f"OpenClinica's answer to {doing} does not tell of it", study=study_oid, site=site_oid, next_step=_LOOK
        )

    def update(
        self,
        participant_id: str,
        study_event_oid: str,
        repeat_key: str,
        *,
        start_date: str = "",
        end_date: str = "",
        status: str = "",
        study_oid: str,
        site_oid: str,
    ) -> WrittenEvent:
        """Change an occurrence of an event; what is ``""`` stays as it is. Sent again where an answer is lost.

        Servers of 2020 keep only the day of a visit's dates with *every* change, of the status alone too. Of a common
        event nothing but the status can be changed.

        :param repeat_key: which occurrence; ignored by the server where a visit does not repeat.
        :param start_date: ``2026-05-01``; documented servers also take ``2026-05-01 09:30``.
        :param end_date: likewise. An end date can be changed, not removed.
        :param status: in any spelling; see ``event_status``.
        :raises FileError: dates, status or repeat key are not as OpenClinica wants them.
        :raises NotFoundError: no such study, site, participant, event or occurrence.
        :raises NotAvailableError: study or site is not open, the event cannot go from its status to this one, or events
            of this kind cannot be changed.
        :raises RoleError: the account may not do this there.

        docs/protocol.md, events.
        """
        doing = "the change of an event"
        fields = {"subjectKey": participant_id, "studyEventOID": study_event_oid, "studyEventRepeatKey": repeat_key}
        changes = {"startDate": start_date, "endDate": end_date, "eventStatus": normalised(status)}
        fields |= {name: value for name, value in changes.items() if value}
        answer = self._http.send_json(
            "PUT", _path(study_oid, site_oid), fields, doing=doing, study=study_oid, site=site_oid
        )
        _refused(answer, doing, study_oid, site_oid)
        if written := _written(answer):
            return written
        if not answer.body.strip():
            raise NotAvailableError(
                "OpenClinica changed nothing: it takes no changes to events of this kind",
                study=study_oid,
                site=site_oid,
                next_step="Only visits and common events can be changed by a program; this one on the web page.",
            )
        raise UnexpectedAnswerError(f"OpenClinica answered {doing} with something else", study=study_oid, site=site_oid)

    def bulk(self, csv: Upload, *, study_oid: str, site_oid: str) -> str:
        """Submit a CSV file of visits to schedule and events to update; return the uuid of the job that reads it.

        The answer only says that the header was taken. A row without StudyEventRepeatKey schedules a visit, a row with
        one updates that occurrence. Calling twice schedules twice, where the event repeats.

        :param csv: as ``client/bulkcsv.py`` writes it; its name must end in ``.csv``, in lower case.
        :param study_oid: the study.
        :param site_oid: the site whose participants these are.
        :raises FileError: the file was refused as a whole; nothing was applied.
        :raises NotFoundError: no such study or site.
        :raises NotAvailableError: study or site is not open.
        :raises RoleError: the account may not schedule there.
        :raises AmbiguousSubmitError: the connection broke after the first byte, or the server failed; a job may exist.

        docs/protocol.md, events and bulk files.
        """
        doing = "the file of events"
        path = f"{_path(study_oid, site_oid)}/bulk"
        answer = self._http.submit(path, {"file": csv}, doing=doing, study=study_oid)
        return job_uuid_in(answer, doing, study=study_oid, site=site_oid)


def _path(study_oid: str, site_oid: str) -> str:
    return api_path("clinicaldata", "studies", study_oid, "sites", site_oid, "events")


def _refused(answer: Answer, doing: str, study_oid: str, site_oid: str) -> None:
    """Raise what the answer refuses."""
    error = error_in(answer, doing, study=study_oid, site=site_oid)
    if isinstance(error, FileError):
        error.next_step = _CORRECT  # there is no file
    if error:
        raise error


def _written(answer: Answer) -> WrittenEvent | None:
    """Read what the server tells of an occurrence; None where it tells nothing of any."""
    match answer.json:
        case {"studyEventOID": str(event), "studyEventRepeatKey": str() | int() as key, **rest}:
            return WrittenEvent(
                study_event_oid=event,
                repeat_key=str(key),
                start_date=str(rest.get("startDate") or ""),
                end_date=str(rest.get("endDate") or ""),
                status=normalised(str(rest.get("eventStatus") or "")),
            )
    return None

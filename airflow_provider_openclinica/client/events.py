"""Events: schedule visits, and change what is known of events, in bulk.

A file of rows makes a job; what became of each row stands in the job's log (docs/protocol.md, events).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_openclinica.client.addresses import api_path
from airflow_provider_openclinica.client.jobs import job_uuid_in

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.http import Http
    from airflow_provider_openclinica.client.uploads import Upload


class Events:
    """The events of the participants of one OpenClinica."""

    def __init__(self, http: Http) -> None:
        self._http = http

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
        path = api_path("clinicaldata", "studies", study_oid, "sites", site_oid, "events", "bulk")
        answer = self._http.submit(path, {"file": csv}, doing=doing, study=study_oid)
        return job_uuid_in(answer, doing, study=study_oid, site=site_oid)

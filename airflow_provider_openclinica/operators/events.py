"""Schedule visits and update events: one by one, or rows in and a log with the outcome of each row out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_openclinica.client.bulkcsv import SAFE_CHARACTERS
from airflow_provider_openclinica.engine.bulk import BulkRequest, FileSource, QuerySource, RowsSource, prepare
from airflow_provider_openclinica.engine.eventrows import events_layout
from airflow_provider_openclinica.errors import ConfigurationError
from airflow_provider_openclinica.operators.arguments import file_address, oid
from airflow_provider_openclinica.operators.bulk import OpenClinicaBulkOperator
from airflow_provider_openclinica.operators.queries import open_query
from airflow_provider_openclinica.operators.visits import (
    OpenClinicaCreateEventOperator,
    OpenClinicaUpdateEventOperator,
)

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.client.uploads import Upload
    from airflow_provider_openclinica.engine.bulk import Source
    from airflow_provider_openclinica.engine.run import Prepared

__all__ = ["OpenClinicaBulkEventsOperator", "OpenClinicaCreateEventOperator", "OpenClinicaUpdateEventOperator"]

JOB_TYPE = "SCHEDULE_EVENT"  #: as the job list names it


class OpenClinicaBulkEventsOperator(OpenClinicaBulkOperator):
    """Schedule visits and update events at one site, and wait until each row has an outcome. Safe to retry.

    Rows have the columns ``ParticipantID``, ``StudyEventOID``, ``StudyEventRepeatKey``, ``StartDate``, ``EndDate`` and
    ``StudyEventStatus``, in any order and letter case. A row **without** a repeat key schedules a visit, and needs a
    StartDate; a row **with** one updates that occurrence, and what its cells leave empty stays as it is. Both may
    stand in one file, and are carried out in its order. Everything is checked before anything is sent; the rows then go
    in files that OpenClinica reads to their end, a job for each, one after the other. How OpenClinica takes them:
    docs/protocol.md, events and bulk files.

    Scheduling is not idempotent: where an event repeats, rows that are sent again add visits. So a job that failed,
    which may have applied some rows, is never sent again by a retry: the task stops, and says so.

    Dates are ``2026-05-01``, or ``2026-05-01 09:30`` where the server takes times; older ones fail such rows.
    On older servers each update of a visit sets the stored times of day to midnight, one of the status alone too.

    A status is ``data entry started``, ``completed``, ``skipped``, ``stopped`` or ``scheduled``, and on newer servers
    ``locked``; letter case is ignored, and ``DATA_ENTRY_STARTED`` is understood. What an event may become depends on
    what it is, which the server knows; rows that cannot both succeed are refused here.

    Give one of ``csv_uri``, ``rows`` and ``sql``.

    :param study_oid: OID of the study. Templated.
    :param site_oid: OID of the site whose participants these are. Templated.
    :param csv_uri: CSV in UTF-8 with a header; a local path, or any URI that Airflow's ``ObjectStoragePath`` opens.
        Templated.
    :param rows: a list of dicts by column, such as the result of an upstream task. They pass through XCom and the
        rendered template, so they hold these columns and nothing else. Write ``@task(show_return_value_in_logs=False)``
        above the function that makes them: Airflow would log them. Templated.
    :param sql: a query whose columns bear these names. Write it so that each try of a run finds the same rows in the
        same order (``ORDER BY``; no ``now()``): a retry, or a deferred task that resumes, recognises by them what was
        sent, and stops where they changed. Templated; a name that ends in ``.sql`` is read from that file.
    :param sql_conn_id: connection of the database, for ``sql``. Templated.
    :param max_characters: size of each file; more than 8,192 is for servers known to take it.
    :param kwargs: what all bulk operators take; see ``OpenClinicaBulkOperator``.
    """

    template_fields: Sequence[str] = (
        "study_oid",
        "site_oid",
        "csv_uri",
        "rows",
        "sql",
        "sql_conn_id",
        *OpenClinicaBulkOperator.template_fields,
    )
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql"}
    repeatable = False

    def __init__(
        self,
        *,
        study_oid: str,
        site_oid: str,
        csv_uri: str | None = None,
        rows: Any = None,
        sql: str | None = None,
        sql_conn_id: str | None = None,
        max_characters: int = SAFE_CHARACTERS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if sum(given is not None for given in (csv_uri, rows, sql)) != 1:
            raise ConfigurationError("Events come from one of csv_uri, rows and sql, and from no two of them")
        if (sql is None) != (sql_conn_id is None):
            raise ConfigurationError("sql needs sql_conn_id, and nothing else does")
        if max_characters < 1:
            raise ConfigurationError("max_characters is not 1 or more")
        self.study_oid, self.site_oid = study_oid, site_oid
        self.csv_uri, self.rows = csv_uri, rows
        self.sql, self.sql_conn_id = sql, sql_conn_id
        self.max_characters = max_characters

    def prepare(self, folder: Path, plan: Mapping[str, Any] | None) -> Prepared:
        """Check the rows here, and cut them into files."""
        study_oid, site_oid = oid(self.study_oid, "study_oid"), oid(self.site_oid, "site_oid")

        def send(client: OpenClinicaClient, csv: Upload) -> str:
            return client.events.bulk(csv, study_oid=study_oid, site_oid=site_oid)

        layout = events_layout()
        request = BulkRequest(
            source=self._source([column.name for column in layout.columns]),
            layout=layout,
            job_type=JOB_TYPE,
            study_oid=study_oid,
            site_oid=site_oid,
            send=send,
            max_characters=self.max_characters,
        )
        return prepare(request, folder, plan)

    def _source(self, columns: Sequence[str]) -> Source:
        if self.rows is not None:
            return RowsSource(_list_of_rows(self.rows), self.task_id, columns)
        if self.sql is None:
            return FileSource(file_address(self.csv_uri, "csv_uri"), self.files)
        if not self.sql or not self.sql_conn_id:
            raise ConfigurationError("sql or sql_conn_id is empty, once it is rendered")
        return QuerySource(partial(open_query, self.sql_conn_id, self.sql), self.task_id)


def _list_of_rows(given: object) -> Sequence[Mapping[str, Any]]:
    """Return rows that came from an argument.

    :raises ConfigurationError: they are none.
    """
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise ConfigurationError(
            "rows is no list, once it is rendered",
            next_step="Hand over an upstream task's result as it is (upstream.output), not in a Jinja template.",
        )
    if not all(isinstance(row, Mapping) for row in given):
        raise ConfigurationError("rows is no list of dicts, once it is rendered")
    return given

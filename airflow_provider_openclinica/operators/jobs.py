"""Jobs themselves: list them, fetch the file of one, delete one."""

from __future__ import annotations

import posixpath
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.client.jobs import JobState
from airflow_provider_openclinica.engine.watch import JobWatch
from airflow_provider_openclinica.errors import JobFailedError, JobTimeoutError
from airflow_provider_openclinica.hooks.storage import Measured, ObjectStorage
from airflow_provider_openclinica.operators.arguments import file_address, job_uuid_of, oid
from airflow_provider_openclinica.operators.base import OpenClinicaOperator, OpenClinicaStudyOperator
from airflow_provider_openclinica.operators.failures import airflow_failures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.client.jobs import ListedJob

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_NO_FILE = "There is no file to fetch. What the job left behind, its page in the Bulk Actions Log may tell."


class OpenClinicaListJobsOperator(OpenClinicaStudyOperator):
    """List the jobs of a study with those of its sites, or of one site, newest first.

    Returns a list of ``job_uuid``, ``job_type``, ``status`` (``IN_PROGRESS``, ``COMPLETED``, ``FAILED``),
    ``study_oid``, ``site_oid`` (``""`` for a job of the whole study), ``date_created``, ``date_completed`` (ISO 8601,
    or None) and ``source_file_name``: the name of the file it came from, in a casebook's case with a participant ID.

    OpenClinica lists the jobs of the connection's own account, without those that somebody has deleted. Its vendor does
    not document the list: a server may lack it (docs/protocol.md, job list).

    :param study_oid: OID of the study, not of a site. Templated.
    :param site_oid: OID of one of its sites, to list that site only. Templated.
    :param openclinica_conn_id: connection of type ``openclinica``. Templated.
    """

    def execute(self, context: Context) -> list[dict[str, str | None]]:  # noqa: ARG002 - Airflow's signature
        """Ask once."""
        with airflow_failures():
            study_oid = oid(self.study_oid, "study_oid")
            jobs = self.client.jobs.list(study_oid, self.site_oid or None)
        self.log.info("The list has %s jobs", len(jobs))
        return [_listed(job) for job in sorted(jobs, key=lambda job: job.date_created or _LONG_AGO, reverse=True)]


class OpenClinicaDownloadJobFileOperator(OpenClinicaOperator):
    """Fetch the file of a job that has ended: a log, contacts, a casebook. It is stored as it came, nobody judges it.

    Returns ``job_uuid``, ``output_uri``, ``size`` in bytes and ``sha256``. Logs hold clinical data and contacts hold
    names: a local file can be read by its owner only, elsewhere the place has to see to it.

    The task does not wait. While the job runs, it fails and may be retried; ``OpenClinicaJobSensor`` waits better. Only
    the account that submitted a job gets its file, and only while the account's active study, which is the one last
    opened on the web page, is the job's.

    :param job_uuid: uuid of the job. Templated.
    :param output_uri: where to store the file: a local path, or any URI that Airflow's ``ObjectStoragePath`` opens. One
        that ends in ``/`` is a folder, which then holds ``<job uuid>`` with the suffix of the server's file. Templated.
    :param study_oid: OID of the job's study. Its job list, where the server has one, tells why there is no file: the
        job failed, its file is gone, or the account's active study is another one. Templated.
    :param openclinica_conn_id: connection of type ``openclinica``. Templated.
    """

    template_fields: Sequence[str] = ("job_uuid", "output_uri", "study_oid", *OpenClinicaOperator.template_fields)

    def __init__(self, *, job_uuid: str, output_uri: str, study_oid: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job_uuid = job_uuid
        self.output_uri = output_uri
        self.study_oid = study_oid

    def execute(self, context: Context) -> dict[str, str | int]:  # noqa: ARG002 - Airflow's signature
        """See that there is a file, then stream it to its place, where it appears when it is whole."""
        with airflow_failures(JobFailedError):
            job_uuid, output_uri = job_uuid_of(self.job_uuid), file_address(self.output_uri, "output_uri")
            files = ObjectStorage()
            files.check_target(output_uri)
            client = self.client
            try:
                self._see_that_it_ended(client, job_uuid)
                fetched = _fetch(client, job_uuid, files, output_uri)
            except JobFailedError as error:
                error.next_step = _NO_FILE
                raise
        self.log.info("The file of job %s has %s bytes: %s", job_uuid, fetched["size"], fetched["output_uri"])
        return fetched

    def _see_that_it_ended(self, client: OpenClinicaClient, job_uuid: str) -> None:
        """Look once. What stands in the way of a file is an error that the watch over jobs knows to explain."""
        watch = JobWatch(
            job_uuid=job_uuid, study_oid=self.study_oid or "", deadline=float("inf"), poll_interval=1.0, since=0.0
        )
        if watch.look(client) is not JobState.FINISHED:
            raise JobTimeoutError(
                "The job is not known to have ended, so it has no file yet",
                study=self.study_oid or "",
                job=job_uuid,
                next_step="Let OpenClinicaJobSensor wait for it before this task; a retry asks again.",
            )


class OpenClinicaDeleteJobOperator(OpenClinicaOperator):
    """Delete a job and its file on OpenClinica, for good. A second time does no harm.

    What the job has done to the study stays. One that still runs goes on, and comes back into the list when it ends.
    Only the account that submitted a job can delete it, while its active study is the job's.

    Delete what is over and nothing else: a retry finds a job whose answer was lost in the list, and not among the
    deleted.

    :param job_uuid: uuid of the job. Templated.
    :param openclinica_conn_id: connection of type ``openclinica``. Templated.
    """

    template_fields: Sequence[str] = ("job_uuid", *OpenClinicaOperator.template_fields)

    def __init__(self, *, job_uuid: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job_uuid = job_uuid

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow's signature
        """Delete it."""
        with airflow_failures():
            self.client.jobs.delete(job_uuid_of(self.job_uuid))
        self.log.info("Job %s and its file are deleted", self.job_uuid)


def _listed(job: ListedJob) -> dict[str, str | None]:
    """Return a job as JSON, under the names that the results of bulk operators have."""
    moments = {"date_created": job.date_created, "date_completed": job.date_completed}
    return {
        "job_uuid": job.uuid,
        "job_type": job.type,
        "status": job.status,
        "study_oid": job.study_oid,
        "site_oid": job.site_oid,
        **{name: moment.isoformat() if moment else None for name, moment in moments.items()},
        "source_file_name": job.source_file_name,
    }


def _fetch(client: OpenClinicaClient, job_uuid: str, files: ObjectStorage, output_uri: str) -> dict[str, str | int]:
    """Stream the file of a job to its place, and return what may be told of it."""
    with client.jobs.open_log(job_uuid) as file:
        if output_uri.endswith("/"):
            output_uri += job_uuid + posixpath.splitext(file.name)[1]
        with files.create(output_uri, private=True) as target:
            stored = Measured(target)
            for chunk in file.chunks():
                stored.write(chunk)
            if not stored.size:
                raise JobFailedError("The file of the job is empty: the job failed while it wrote it", job=job_uuid)
    return {"job_uuid": job_uuid, "output_uri": output_uri, "size": stored.size, "sha256": stored.sha256}

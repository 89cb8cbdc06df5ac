"""Scheduled extracts: fetch the file that an extract job has made."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.errors import FileUnavailableError
from airflow_provider_openclinica.hooks.storage import Measured, ObjectStorage
from airflow_provider_openclinica.operators.arguments import file_address, job_uuid_of, oid
from airflow_provider_openclinica.operators.base import OpenClinicaOperator
from airflow_provider_openclinica.operators.failures import airflow_failures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.client.extracts import ExtractExecution


class OpenClinicaDownloadExtractOperator(OpenClinicaOperator):
    """Fetch the newest file of a scheduled extract, or that of one run. It is stored as it came.

    Returns ``execution_uuid``, ``date_created`` (ISO 8601, or None), ``file_name`` (what OpenClinica calls the file,
    made safe for any file system), ``output_uri``, ``size`` in bytes and ``sha256``. Extracts hold clinical data: a
    local file can be read by its owner only, elsewhere the place has to see to it.

    People set extracts up on the web page; no call makes one or starts it. OpenClinica gives their files to accounts of
    user type sysadmin or techadmin only, that have a role in the study and all permission tags of the extract, and
    keeps some ten runs (docs/protocol.md, extracts).

    :param study_oid: OID of the study. Templated.
    :param extract_job_uuid: uuid of the extract job: it stands in the address of the page that *View Job* opens.
        Templated.
    :param output_uri: where to store the file: a local path, or any URI that Airflow's ``ObjectStoragePath`` opens. One
        that ends in ``/`` is a folder, which then holds ``<execution uuid>`` with the suffix of the server's file.
        Templated.
    :param execution_uuid: which run, as ``OpenClinicaExtractSensor`` returns it; the newest if ``None``. Templated.
    :param openclinica_conn_id: connection of type ``openclinica``. Templated.
    """

    template_fields: Sequence[str] = (
        "study_oid",
        "extract_job_uuid",
        "output_uri",
        "execution_uuid",
        *OpenClinicaOperator.template_fields,
    )

    def __init__(
        self,
        *,
        study_oid: str,
        extract_job_uuid: str,
        output_uri: str,
        execution_uuid: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.study_oid = study_oid
        self.extract_job_uuid = extract_job_uuid
        self.output_uri = output_uri
        self.execution_uuid = execution_uuid

    def execute(self, context: Context) -> dict[str, str | int | None]:  # noqa: ARG002 - Airflow's signature
        """Find the run in the list, then stream its file to its place, where it appears when it is whole."""
        with airflow_failures():
            study_oid, extract_job = oid(self.study_oid, "study_oid"), self._uuid("extract_job_uuid")
            wanted = None if self.execution_uuid is None else self._uuid("execution_uuid")
            output_uri, files = file_address(self.output_uri, "output_uri"), ObjectStorage()
            files.check_target(output_uri)
            client = self.client
            execution = _chosen(client.extracts.executions(study_oid, extract_job), study_oid, extract_job, wanted)
            fetched = _fetch(client, study_oid, execution, files, output_uri)
        self.log.info("Run %s has %s bytes: %s", execution.uuid, fetched["size"], fetched["output_uri"])
        return fetched

    def _uuid(self, argument: str) -> str:
        return job_uuid_of(getattr(self, argument), argument)


def _chosen(
    executions: list[ExtractExecution], study_oid: str, extract_job: str, wanted: str | None
) -> ExtractExecution:
    """Return the run that is wanted, or the newest.

    :raises FileUnavailableError: it is not in the list.
    """
    for execution in executions:
        if wanted in {None, execution.uuid}:
            return execution
    raise FileUnavailableError(
        "The list of this extract's files does not have that run" if wanted else "This extract has no file yet",
        study=study_oid,
        job=wanted or extract_job,
        meaning="it may still be at work, its file may be gone, or it has permission tags that the account lacks",
        next_step="Let OpenClinicaExtractSensor wait for it before this task; a retry asks again.",
    )


def _fetch(
    client: OpenClinicaClient, study_oid: str, execution: ExtractExecution, files: ObjectStorage, output_uri: str
) -> dict[str, str | int | None]:
    """Stream the file of a run to its place, and return what may be told of it."""
    with client.extracts.open_dataset(study_oid, execution.uuid) as dataset:
        if output_uri.endswith("/"):
            output_uri += execution.uuid + posixpath.splitext(dataset.name)[1]
        with files.create(output_uri, private=True) as target:
            stored = Measured(target)
            for chunk in dataset.chunks():
                stored.write(chunk)
    return {
        "execution_uuid": execution.uuid,
        "date_created": execution.date_created.isoformat() if execution.date_created else None,
        "file_name": dataset.name,
        "output_uri": output_uri,
        "size": stored.size,
        "sha256": stored.sha256,
    }

"""Clinical data: hand in a file of it as CDISC ODM.

Which of two paths a server has can only be found out by trying (docs/protocol.md, import). It is then kept beside the
token, so that one file a host, and no more, goes to the wrong place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_openclinica.client.addresses import IMPORT_PATHS, ServerSettings, api_path
from airflow_provider_openclinica.client.jobs import job_uuid_in
from airflow_provider_openclinica.errors import NotAvailableError

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.answers import Answer
    from airflow_provider_openclinica.client.http import Http
    from airflow_provider_openclinica.client.tokens import TokenManager
    from airflow_provider_openclinica.client.uploads import Upload

REMEMBERED_AS = "import_path"  #: the fact about a host that is kept beside its token


class ClinicalData:
    """The clinical data of one OpenClinica."""

    def __init__(self, http: Http, settings: ServerSettings, tokens: TokenManager) -> None:
        self._http, self._settings, self._tokens = http, settings, tokens

    def import_odm(self, odm: Upload, *, attachments: Upload | None = None, study: str = "") -> str:
        """Submit an ODM file and return the uuid of the job that imports it.

        The answer only says that the file was taken; its rows are judged in the job's log. Calling twice imports twice,
        and where repeat keys are left out that creates events twice. It can take minutes: the server reads the whole
        file before it answers.

        :param odm: ODM XML with one ``ClinicalData``; its name must end in ``.xml``, in lower case.
        :param attachments: zip of the files that FILE items name. Servers of 2020 ignore it.
        :param study: the file's StudyOID, for errors.
        :raises FileError: the file was refused; nothing was imported.
        :raises NotFoundError: no such study.
        :raises NotAvailableError: study or site is not open for data, or this server has no import.
        :raises RoleError: the account may not write to this study or site.
        :raises AmbiguousSubmitError: the connection broke after the first byte, or the server failed; a job may exist.
        :raises LogGoneError: imported without a job, as for System users.

        docs/protocol.md, import. Documented servers listen on ``import/xml``, those of 2020 on ``import``. Never
        ``clinicaldata/`` itself, which imports at once and makes no job, although the vendor's samples call it.
        """
        parts = {"file": odm} | ({"attachedFilesZip": attachments} if attachments else {})
        for import_path in self._import_paths():
            path = api_path("clinicaldata", *import_path.split("/"))
            answer = self._http.submit(path, parts, doing="the import", study=study)
            if not _is_absent(answer):
                self._tokens.remember(REMEMBERED_AS, import_path)
                return job_uuid_in(answer, "the import", study=study)
        raise NotAvailableError(
            "This server has no ODM import where OpenClinica has it",
            study=study,
            status=answer.status,
            next_step="Check import_path, and that host is the study server with its path: https://acme.openclinica.io"
            "/OpenClinica or so.",
        )

    def _import_paths(self) -> list[str]:
        """Return what to try: what the connection says and nothing else, or both, the one that worked last first."""
        if self._settings.import_path:
            return [self._settings.import_path]
        remembered = self._tokens.recall(REMEMBERED_AS)
        return sorted(IMPORT_PATHS, key=lambda path: path != remembered)


def _is_absent(answer: Answer) -> bool:
    """Tell whether nothing listens there; OpenClinica's own refusals with 404 carry a code."""
    return answer.status in {404, 405} and answer.code is None

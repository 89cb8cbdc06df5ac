"""Clinical data, as CDISC ODM: hand in a file of them, and retrieve them.

Which of two paths for files a server has can only be found out by trying (docs/protocol.md, import). It is then kept
beside the token, so that one file a host, and no more, goes to the wrong place.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from airflow_provider_openclinica.client.addresses import IMPORT_PATHS, ServerSettings, api_path
from airflow_provider_openclinica.client.http import JSON_UTF8, XML_UTF8
from airflow_provider_openclinica.client.jobs import job_uuid_in
from airflow_provider_openclinica.client.retrieval import check_selectors, flags, raise_unless_retrieved
from airflow_provider_openclinica.errors import ConfigurationError, NotAvailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_openclinica.client.http import Http, StreamedAnswer
    from airflow_provider_openclinica.client.tokens import TokenManager
    from airflow_provider_openclinica.client.uploads import Upload

REMEMBERED_AS = "import_path"  #: the fact about a host that is kept beside its token
_ACCEPT = {"xml": XML_UTF8, "json": JSON_UTF8}


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
            if not answer.is_absent:
                self._tokens.remember(REMEMBERED_AS, import_path)
                return job_uuid_in(answer, "the import", study=study)
        raise NotAvailableError(
            "This server has no ODM import where OpenClinica has it",
            study=study,
            status=answer.status,
            next_step="Check import_path, and that host is the study server with its path: https://acme.openclinica.io"
            "/OpenClinica or so.",
        )

    @contextmanager
    def retrieve(
        self,
        study_oid: str,
        *,
        participant: str = "*",
        event: str = "*",
        form: str = "*",
        format: Literal["xml", "json"] = "xml",  # noqa: A002 - the word that everybody has for it
        include_metadata: bool = False,
        include_clinical_data: bool = True,
        include_audits: bool = False,
        include_queries: bool = False,
        show_archived: bool = False,
    ) -> Iterator[StreamedAnswer]:
        """Retrieve data of a study as ODM; ``with`` holds the connection open while ``chunks()`` hands it over.

        A document without ``ClinicalData`` means no data, or no role in the study: the server tells neither apart. It
        may not be well-formed, and its prolog may name another encoding than ``charset``: ``odm.read`` copes with all
        that. XML is the better choice: as JSON, dates come rewritten.

        :param study_oid: OID of the study, or of one of its sites; letter case matters.
        :param participant: participant OID or ID; ``*`` for all, and then event and form are ``*``, too.
        :param event: OID of an event, ``SE_VISIT[2]`` for one occurrence, several divided by commas; ``*`` for all.
        :param form: OID of the first version that was ever published of a form, of one event. Nothing lists these, so
            better leave it at ``*``, and pick the form out of what comes.
        :param format: ``xml`` or ``json``.
        :param include_metadata: what the study consists of.
        :param include_clinical_data: ``False`` leaves the data out.
        :param include_audits: who changed what when.
        :param include_queries: queries and other notes.
        :param show_archived: what was removed or archived, too. Removed participants are always there.
        :raises ConfigurationError: such selectors together would find nothing.
        :raises ServerUnavailableError: status 500, also for a study or a participant that is not there; or the server
            is down.

        docs/protocol.md, clinical data.
        """
        check_selectors(participant, event, form)
        if format not in _ACCEPT:
            raise ConfigurationError("format is neither 'xml' nor 'json'")
        doing = "the clinical data"
        wanted = flags(
            metadata=include_metadata,
            data=include_clinical_data,
            audits=include_audits,
            queries=include_queries,
            archived=show_archived,
        )
        path = api_path("clinicaldata", study_oid, participant, event, form)
        accept = _ACCEPT[format]
        with self._http.stream(path, doing=doing, params=wanted, accept=accept, study=study_oid) as streamed:
            raise_unless_retrieved(streamed.answer, doing, study=study_oid)
            yield streamed

    def _import_paths(self) -> list[str]:
        """Return what to try: what the connection says and nothing else, or both, the one that worked last first."""
        if self._settings.import_path:
            return [self._settings.import_path]
        remembered = self._tokens.recall(REMEMBERED_AS)
        return sorted(IMPORT_PATHS, key=lambda path: path != remembered)

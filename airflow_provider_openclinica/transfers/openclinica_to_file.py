"""Clinical data into files: ODM as OpenClinica gives it, one document or a set of them."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_openclinica.engine.pieces import Request
from airflow_provider_openclinica.engine.pull import How, pull_file, pull_set
from airflow_provider_openclinica.errors import ConfigurationError
from airflow_provider_openclinica.hooks.either import reading_client_for
from airflow_provider_openclinica.hooks.storage import ObjectStorage
from airflow_provider_openclinica.operators.arguments import file_address, oid
from airflow_provider_openclinica.operators.base import StoppableOperator
from airflow_provider_openclinica.operators.failures import airflow_failures
from airflow_provider_openclinica.operators.state import generation, task_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.engine.pull import PartitionBy


class OpenClinicaToFileOperator(StoppableOperator):
    """Pull clinical data as CDISC ODM into a file, or into a folder of files. Streams; safe to retry.

    The file appears when it is whole, in UTF-8, and says so. What OpenClinica wrote so badly that no XML parser takes
    it is mended where that has one meaning only, counted in ``repairs``, and told in the task log. Nothing else in it
    is changed. A local file can be read by its owner only; elsewhere the place has to see to that.

    **A folder** (``output_uri`` ends in ``/``) gets a *set*: numbered documents, and ``manifest.json``, which is
    written last and says what belongs together. Who reads by the manifest sees a whole pull, or the one before; what
    that had is then removed. A retry goes on after the documents that are stored; a cleared task begins anew.

    OpenClinica leaves out, unasked: hidden forms of sites; forms with a permission tag that the account lacks; and,
    without ``show_archived``, forms on an archived version. Removed participants are always there. See docs/pull.md.

    Returns ``output_uri``; ``files``, how many documents; ``size`` of them in bytes; ``sha256`` of the document, or of
    the manifest, which has that of each document; ``counts`` of ``participants``, ``events``, ``forms``,
    ``item_groups`` and ``items``; and ``repairs``, how often what was mended.

    :param study_oid: OID of the study, or of one of its sites; letter case matters. Templated.
    :param output_uri: where to put it: a local path, or any URI that Airflow's ``ObjectStoragePath`` opens. Templated.
    :param format: ``xml``, or ``json``, which is lossy: dates are rewritten, single children are in no list, texts that
        look like lists are parsed.
    :param participant: OID or ID of one participant; ``*`` for all. Templated.
    :param event: OIDs of events, divided by commas, ``SE_VISIT[2]`` for one occurrence; ``*`` for all. Templated.
    :param form: OIDs of forms as the study's metadata have them, divided by commas; ``*`` for all. Templated.
    :param include_metadata: what the study consists of, too.
    :param include_audits: who changed what when, too.
    :param include_queries: queries and other notes, too.
    :param show_archived: what was removed or archived, too.
    :param partition_by: ``study``: one request. ``site``, ``participant``: a request and a document for each. ``auto``:
        one request; where it fails, one for each site; where one of these fails, one for each participant there. All
        but ``study`` need a folder, and an account that may list participants.
    :param max_parallel: requests at the same time, 1 to 8. The server also serves the sites.
    :param allow_empty: succeed where OpenClinica answers without clinical data: there may be none, the account may have
        no role, or the server may not know the selectors, and it does not say which.
    :param openclinica_conn_id: connection of type ``openclinica`` or ``openclinica3``. Templated.
    """

    template_fields: Sequence[str] = (
        "study_oid",
        "output_uri",
        "participant",
        "event",
        "form",
        *StoppableOperator.template_fields,
    )

    def __init__(
        self,
        *,
        study_oid: str,
        output_uri: str,
        format: Literal["xml", "json"] = "xml",  # noqa: A002 - the word that everybody has for it
        participant: str = "*",
        event: str = "*",
        form: str = "*",
        include_metadata: bool = False,
        include_audits: bool = False,
        include_queries: bool = False,
        show_archived: bool = False,
        partition_by: PartitionBy = "study",
        max_parallel: int = 2,
        allow_empty: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        How(partition_by=partition_by, max_parallel=max_parallel)
        self.study_oid = study_oid
        self.output_uri = output_uri
        self.format = format
        self.participant = participant
        self.event = event
        self.form = form
        self.include_metadata = include_metadata
        self.include_audits = include_audits
        self.include_queries = include_queries
        self.show_archived = show_archived
        self.partition_by = partition_by
        self.max_parallel = max_parallel
        self.allow_empty = allow_empty

    @staticmethod
    def client_of(conn_id: str, *, sleep: Callable[[float], None]) -> OpenClinicaClient:
        """Return the client of a connection of either type."""
        return reading_client_for(conn_id, sleep=sleep)

    def execute(self, context: Context) -> dict[str, Any]:
        """Check what can be checked here, pull, and tell what there is now."""
        self._killed = threading.Event()
        with airflow_failures():
            request, output_uri, files = self._request(), file_address(self.output_uri, "output_uri"), ObjectStorage()
            how = How(partition_by=self.partition_by, max_parallel=self.max_parallel, allow_empty=self.allow_empty)
            if how.partition_by != "study" and not output_uri.endswith("/"):
                raise ConfigurationError(
                    f"partition_by={how.partition_by!r} makes several files, and output_uri names one",
                    next_step="End output_uri in /, which makes it a folder.",
                )
            files.check_target(output_uri)  # reads its connection, too, which on Airflow 3.0 no other thread can
            self.client.tokens.token()  # the same goes for a token in a Variable
            pulled = self._pull(context, request, output_uri, files, how)
        self._tell(pulled)
        return pulled

    def _request(self) -> Request:
        return Request(
            study_oid=oid(self.study_oid, "study_oid"),
            participant=oid(self.participant, "participant"),
            event=oid(self.event, "event"),
            form=oid(self.form, "form"),
            format=self.format,
            include_metadata=self.include_metadata,
            include_audits=self.include_audits,
            include_queries=self.include_queries,
            show_archived=self.show_archived,
        )

    def _pull(
        self, context: Context, request: Request, output_uri: str, files: ObjectStorage, how: How
    ) -> dict[str, Any]:
        if not output_uri.endswith("/"):
            pulled = pull_file(self.client, request, files, output_uri, self._killed, allow_empty=how.allow_empty)
            count = 1
        else:
            tag = self._tag(context, request, how)
            manifest = pull_set(self.client, request, files, output_uri, tag, how, self._killed)
            pulled, count = manifest.total, len(manifest.files)
        return {
            "output_uri": output_uri,
            "files": count,
            "size": pulled.size,
            "sha256": pulled.sha256,
            "counts": pulled.counts,
            "repairs": pulled.repairs,
        }

    def _tag(self, context: Context, request: Request, how: How) -> str:
        """Return what names the files of this task, the same in each of its tries until somebody clears it."""
        said = [asdict(task_key(context)), generation(context), asdict(request), how.partition_by]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]

    def _tell(self, pulled: dict[str, Any]) -> None:
        counts = ", ".join(f"{name} {count}" for name, count in pulled["counts"].items())
        self.log.info("Pulled to %s: %s bytes; %s", pulled["output_uri"], pulled["size"], counts)
        if pulled["repairs"]:
            mended = ", ".join(f"{name} {count}" for name, count in pulled["repairs"].items())
            self.log.warning("OpenClinica wrote what no XML parser takes; mended in the file: %s", mended)
        if self.format == "json":
            self.log.warning("As JSON, OpenClinica rewrites dates and parses texts that look like lists. Prefer XML")

"""Clinical data into files: ODM as OpenClinica gives it, one document or a set of them."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_openclinica.engine.pieces import Request
from airflow_provider_openclinica.engine.pull import pull_file, pull_set
from airflow_provider_openclinica.errors import ConfigurationError
from airflow_provider_openclinica.hooks.storage import ObjectStorage
from airflow_provider_openclinica.operators.arguments import file_address, oid
from airflow_provider_openclinica.operators.assets import announce, declare, output_asset
from airflow_provider_openclinica.operators.failures import airflow_failures
from airflow_provider_openclinica.operators.pulling import PullingOperator
from airflow_provider_openclinica.operators.state import generation, task_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_openclinica.engine.pullset import Manifest


class OpenClinicaToFileOperator(PullingOperator):
    """Pull clinical data as CDISC ODM into a file, or into a folder of files. Streams; safe to retry.

    The file appears when it is whole, in UTF-8, and says so. What OpenClinica wrote so badly that no XML parser takes
    it is mended where that has one meaning only, counted in ``repairs``, and told in the task log. Nothing else in it
    is changed. A local file can be read by its owner only; elsewhere the place has to see to that.

    **A folder** (``output_uri`` ends in ``/``) gets a *set*: numbered documents, and ``manifest.json``, which is
    written last and says what belongs together. Who reads by the manifest sees a whole pull, or the one before; what
    that had is then removed. A retry goes on after the documents that are stored; a last try that fails removes them; a
    cleared task begins anew.

    **Incremental**, a set holds the participants who changed since this task last pulled, each of them whole, if
    anybody did; ``covers`` in its manifest says since when (docs/incremental.md).

    OpenClinica leaves out, unasked: hidden forms of sites; forms with a permission tag that the account lacks; and,
    without ``show_archived``, forms on an archived version. Removed participants are always there. See docs/pull.md.

    Returns ``output_uri``; ``files``, how many documents; ``size`` of them in bytes; ``sha256`` of the document, or of
    the manifest, which has that of each document; ``counts`` of ``participants``, ``events``, ``forms``,
    ``item_groups`` and ``items``; ``repairs``, how often what was mended; and of a folder ``covers``, as its manifest
    has it: whose data, since when, until when.

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
    :param partition_by: how to cut the pull, see ``PullingOperator``; all but ``study`` need a folder.
    :param max_parallel: requests at the same time, 1 to 8. The server also serves the sites.
    :param allow_empty: succeed where OpenClinica answers without clinical data.
    :param incremental: pull only participants who changed since this task last did; needs a folder. For this, and for
        ``overlap``, ``full_every`` and ``watermark_uri``, see ``PullingOperator``. Templated.
    :param openclinica_conn_id: connection of type ``openclinica`` or ``openclinica3``. Templated.
    """

    template_fields: Sequence[str] = (
        "study_oid",
        "output_uri",
        "participant",
        "event",
        "form",
        *PullingOperator.template_fields,
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
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
        declare(self, output_asset(output_uri), kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Check what can be checked here, pull, and tell what there is now."""
        self._killed = threading.Event()
        with airflow_failures():
            request, output_uri, files = self._request(), file_address(self.output_uri, "output_uri"), ObjectStorage()
            if not output_uri.endswith("/"):
                self._refuse_file()
            files.check_target(output_uri)  # reads its connection, too, which on Airflow 3.0 no other thread can
            self.client.tokens.token()  # the same goes for a token in a Variable
            pulled = self._pull(context, request, output_uri, files)
        self._tell(pulled)
        covers, told = pulled["covers"], {"study_oid": request.study_oid, **pulled}
        is_nobody = bool(covers and covers["since"]) and not pulled["counts"]["participants"]
        announce(self, context, output_asset(output_uri), told, changed=not is_nobody)
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

    def _refuse_file(self) -> None:
        """Refuse what makes several files where ``output_uri`` names one.

        :raises ConfigurationError: it is that.
        """
        several = "incremental" if self.is_incremental else f"partition_by={self.partition_by!r}"
        if self.is_incremental or self.partition_by != "study":
            raise ConfigurationError(
                f"{several} makes several files, and output_uri names one",
                next_step="End output_uri in /, which makes it a folder.",
            )

    def _pull(self, context: Context, request: Request, output_uri: str, files: ObjectStorage) -> dict[str, Any]:
        if not output_uri.endswith("/"):
            pulled = pull_file(self.client, request, files, output_uri, self._killed, allow_empty=self.allow_empty)
            count, covers = 1, None
        else:
            manifest = self._pull_set(context, request, output_uri, files)
            pulled, count, covers = manifest.total, len(manifest.files), manifest.covers
        return {
            "output_uri": output_uri,
            "files": count,
            "size": pulled.size,
            "sha256": pulled.sha256,
            "counts": pulled.counts,
            "repairs": pulled.repairs,
            "covers": covers.to_json() if covers else None,
        }

    def _pull_set(self, context: Context, request: Request, output_uri: str, files: ObjectStorage) -> Manifest:
        """Pull into a folder, and remember how far that goes once it is published."""
        increment = self.increment(context, request, files, output_uri)
        since, tag = increment.since if increment else None, self._tag(context, request)
        how = replace(self.how, keep=_may_be_retried(context))
        manifest = pull_set(self.client, request, files, output_uri, tag, how, self._killed, since=since)
        if increment and manifest.covers:
            increment.finish(manifest.covers, is_empty=not manifest.total.counts["participants"])
        return manifest

    def _tag(self, context: Context, request: Request) -> str:
        """Return what names the files of this task, the same in each of its tries until somebody clears it.

        With another server or account it is another one: their answers are not to be mixed.
        """
        server, wanted = self.client.settings, [asdict(request), self.partition_by, self.is_incremental]
        said = [asdict(task_key(context)), generation(context), server.study_url, server.login, *wanted]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]

    def _tell(self, pulled: dict[str, Any]) -> None:
        counts = ", ".join(f"{name} {count}" for name, count in pulled["counts"].items())
        self.log.info("Pulled to %s: %s bytes; %s", pulled["output_uri"], pulled["size"], counts)
        if pulled["repairs"]:
            mended = ", ".join(f"{name} {count}" for name, count in pulled["repairs"].items())
            self.log.warning("OpenClinica wrote what no XML parser takes; mended in the file: %s", mended)
        if self.format == "json":
            self.log.warning("As JSON, OpenClinica rewrites dates and parses texts that look like lists. Prefer XML")


def _may_be_retried(context: Context) -> bool:
    """Tell whether another try of this task may go on after this one. A cleared task begins anew."""
    return bool(context["ti"].try_number <= generation(context))

"""Clinical data into tables: one row for each thing an export says, in Parquet, CSV or Dataset-JSON."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_openclinica.engine.pieces import Request
from airflow_provider_openclinica.engine.pull import pull_set
from airflow_provider_openclinica.engine.tablefiles import writer_of
from airflow_provider_openclinica.engine.tables import FROM_METADATA, WITHOUT_DATA, Tables, check_wanted
from airflow_provider_openclinica.engine.tableset import MANIFEST, Pulled, metadata_of, opened, publish, sources
from airflow_provider_openclinica.errors import ConfigurationError, FileError, FileUnavailableError
from airflow_provider_openclinica.hooks.either import reading_metadata_for
from airflow_provider_openclinica.hooks.openclinica import METADATA_MAX_AGE
from airflow_provider_openclinica.hooks.storage import ObjectStorage
from airflow_provider_openclinica.operators.arguments import file_address, oid
from airflow_provider_openclinica.operators.assets import announce, declare, output_asset
from airflow_provider_openclinica.operators.failures import airflow_failures
from airflow_provider_openclinica.operators.pulling import PullingOperator
from airflow_provider_openclinica.operators.scratch import scratch_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_openclinica.engine.increments import Increment
    from airflow_provider_openclinica.odm.design import StudyMetadata

SCRATCH_TAG = "0" * 16  #: of a set that nobody but this task sees
WITH_METADATA = "Pull with include_metadata=True, or name the study in study_oid."


class OpenClinicaToTablesOperator(PullingOperator):
    """Make tidy tables of clinical data, to read with pandas, DuckDB, Spark or a warehouse. Safe to retry.

    ``participants``, ``events``, ``forms``, ``item_groups``, ``items``, ``queries``, ``audit`` and ``codebook`` have
    the same columns in every study and every run; with the study's metadata there is a wide table for each item group,
    too, ``item_group=<OID>``, with a typed column for each item (docs/tables.md). Removed and archived data are
    flagged, not dropped.

    Each table is a folder in ``output_uri`` with one file. ``_manifest.json``, written last, names the files that
    belong together; those of the run before are removed after that. The tables are made in a scratch folder of the
    worker first, so nothing is published unless all is read. A local file can be read by its owner only.

    Returns ``output_uri``, ``format``, ``tables`` (number of rows of each), ``size`` of all in bytes, ``sha256`` of the
    manifest, which has that of each file, ``unplaced`` (how many values have no column in a wide table, since the
    metadata have no such item: they are in ``items`` only), ``repairs``, how often what was mended, and ``covers``:
    whose data, since when, until when, where that is known. No data.

    :param output_uri: where to put them: a folder, as a local path or any URI that Airflow's ``ObjectStoragePath``
        opens. Templated.
    :param study_oid: OID of the study, or of one of its sites; letter case matters. Without ``odm_uri``, what to pull;
        with it, whose metadata to ask OpenClinica for where the documents have none. Templated.
    :param odm_uri: documents to read instead of pulling: a file, or the folder of a set that
        ``OpenClinicaToFileOperator`` has pulled, which ends in ``/``. Templated.
    :param format: ``parquet``, which needs the extra ``tables``; ``csv``; ``dataset-json`` or ``ndjson``, the two forms
        of CDISC Dataset-JSON 1.1.
    :param tables: which ones to make, by name; ``wide`` stands for those of the item groups. ``None``: all
        that can be made; without the study's metadata ``codebook`` is empty, and there is no wide table. For
        ``codebook`` alone no data are pulled.
    :param show_archived: of a pull: what was removed or archived, too.
    :param partition_by: of a pull: how to cut it, see ``OpenClinicaToFileOperator``.
    :param max_parallel: of a pull: requests at the same time, 1 to 8. The server also serves the sites.
    :param allow_empty: of a pull: make empty tables where OpenClinica answers without clinical data.
    :param incremental: of a pull: make tables of the participants who changed since this task last did, see
        docs/incremental.md; of a set in ``odm_uri`` it is the pull that has to be incremental. For this, and for
        ``overlap``, ``full_every`` and ``watermark_uri``, see ``PullingOperator``. Templated.
    :param openclinica_conn_id: connection of type ``openclinica`` or ``openclinica3``; not used where ``odm_uri`` is
        given without ``study_oid``. Templated.
    """

    template_fields: Sequence[str] = ("output_uri", "study_oid", "odm_uri", *PullingOperator.template_fields)

    def __init__(
        self,
        *,
        output_uri: str,
        study_oid: str | None = None,
        odm_uri: str | None = None,
        format: Literal["parquet", "csv", "dataset-json", "ndjson"] = "parquet",  # noqa: A002 - the word that everybody has for it
        tables: Sequence[str] | None = None,
        show_archived: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_wanted(tables)
        self.output_uri = output_uri
        self.study_oid = study_oid
        self.odm_uri = odm_uri
        self.format = format
        self.tables = tables
        self.show_archived = show_archived
        declare(self, output_asset(output_uri), kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Check what can be checked here, pull if that is wanted, make the tables, publish them."""
        self._killed = threading.Event()
        with airflow_failures():
            writer_of(self.format)
            study_oid = None if self.study_oid is None else oid(self.study_oid, "study_oid")
            odm_uri = None if self.odm_uri is None else file_address(self.odm_uri, "odm_uri")
            output_uri, files = f"{file_address(self.output_uri, 'output_uri').rstrip('/')}/", ObjectStorage()
            if odm_uri is None and study_oid is None:
                raise ConfigurationError("Neither study_oid nor odm_uri is given, so there is nothing to read")
            files.check_target(output_uri)
            wanted = check_wanted(self.tables)
            request = None if odm_uri is not None or wanted <= WITHOUT_DATA else self._request(study_oid or "")
            increment = self._increment(context, request, files, output_uri)
            with scratch_folder() as folder:
                if request:
                    odm_uri = f"{folder}/odm/"
                    self._pull(request, files, odm_uri, increment.since if increment else None)
                pulled = sources(files, odm_uri) if odm_uri else Pulled(())
                before = _design_in(files, output_uri)
                made = self._make(files, pulled, study_oid, folder, output_uri)
            is_nobody = bool(pulled.covers and pulled.covers.since and not made["tables"].get("participants", 1))
            if increment and pulled.covers:
                increment.finish(pulled.covers, is_empty=is_nobody)
        self._tell(made)
        told = {"study_oid": study_oid or pulled.study_oid, **made}
        is_redesigned = before is not None and before != _design_in(files, output_uri)
        if is_nobody and is_redesigned:
            self.log.info("Nobody has changed, and the study's design has: waiting DAGs are told")
        announce(self, context, output_asset(output_uri), told, changed=is_redesigned or not is_nobody)
        return made

    def _increment(
        self, context: Context, request: Request | None, files: ObjectStorage, output_uri: str
    ) -> Increment | None:
        """Read how far this task has come, where only what changed is wanted.

        :raises ConfigurationError: it cannot be had so.
        """
        if not self.is_incremental:
            return None
        if "participants" not in check_wanted(self.tables):
            raise ConfigurationError(
                "Without the table participants nobody can tell whose data changed",
                next_step="Name participants among tables, or leave incremental out.",
            )
        if request is None:
            raise ConfigurationError(
                "incremental is about a pull, and odm_uri names what was pulled",
                next_step="Set incremental on the task that pulls it: these tables are then of the same participants.",
            )
        return self.increment(context, request, files, output_uri, self.format, *sorted(check_wanted(self.tables)))

    def _request(self, study_oid: str) -> Request:
        """Return what to pull: what the tables need."""
        wanted = check_wanted(self.tables)
        return Request(
            study_oid=study_oid,
            include_metadata=bool(wanted & FROM_METADATA),
            include_audits="audit" in wanted,
            include_queries="queries" in wanted,
            show_archived=self.show_archived,
        )

    def _pull(self, request: Request, files: ObjectStorage, folder: str, since: datetime | None) -> None:
        """Pull into a scratch folder."""
        self.client.tokens.token()  # of a Variable, which on Airflow 3.0 no other thread can read
        how = replace(self.how, keep=False)
        pull_set(self.client, request, files, folder, SCRATCH_TAG, how, self._killed, since=since)

    def _make(
        self, files: ObjectStorage, pulled: Pulled, study_oid: str | None, folder: Path, output_uri: str
    ) -> dict[str, Any]:
        """Make the tables in a scratch folder, and publish them."""
        wanted = check_wanted(self.tables)
        metadata = self._metadata(files, pulled, study_oid) if wanted & FROM_METADATA else None
        made = folder / "tables"
        made.mkdir()
        with Tables(made, self.format, metadata, wanted) as tables:
            for document in pulled.documents:
                if wanted - WITHOUT_DATA and not document.is_design:
                    with opened(files, document) as stream:
                        tables.add(stream, document.charset, self._killed)
        covers = pulled.covers.to_json() if pulled.covers else None
        told = {
            "study_oid": study_oid or pulled.study_oid,
            "covers": covers,
            "left_out": pulled.left_out,
            "unplaced": tables.unplaced,
            "repairs": tables.repairs.counts(),
        }
        told["metadata_version_oid"] = metadata.version_oid if metadata else None
        published = publish(files, output_uri, self.format, tables.built, told, self._killed)
        return {
            "output_uri": output_uri,
            "format": self.format,
            **published,
            "unplaced": tables.unplaced,
            "repairs": tables.repairs.counts(),
            "covers": covers,
        }

    def _metadata(self, files: ObjectStorage, pulled: Pulled, study_oid: str | None) -> StudyMetadata | None:
        """Return the design that the data were exported with, else the one that the study has now.

        :raises FileError: there is none, and a table that needs it is asked for by name.
        """
        found = metadata_of(files, pulled.documents[0]) if pulled.documents else None
        if found is None and study_oid is not None:
            max_age = METADATA_MAX_AGE if pulled.documents else 0.0
            found = reading_metadata_for(self.openclinica_conn_id, study_oid, max_age=max_age)
        if found is not None and found.has_design:
            return found
        missing = "Without the study's metadata the codebook is empty and there are no wide tables"
        if self.tables is not None:
            raise FileError(missing, next_step=WITH_METADATA)
        self.log.warning("%s. %s", missing, WITH_METADATA)
        return None

    def _tell(self, made: dict[str, Any]) -> None:
        rows = ", ".join(f"{name} {count}" for name, count in made["tables"].items() if count)
        self.log.info("Tables in %s: %s", made["output_uri"], rows or "no row")
        if made["unplaced"]:
            self.log.warning(
                "Values without a column in a wide table, since the metadata have no such item: %d. They are in items",
                made["unplaced"],
            )
        if made["repairs"]:
            mended = ", ".join(f"{name} {count}" for name, count in made["repairs"].items())
            self.log.warning("What no reader takes was mended: %s", mended)


def _design_in(files: ObjectStorage, folder: str) -> dict[str, Any] | None:
    """Return what published tables say of the study's design: columns, and the codebook by its content.

    None where there are no tables of ours, or nobody can tell.
    """
    try:
        with files.open(folder + MANIFEST) as file:
            tables = json.loads(file.read())["tables"]
        return {each["table"]: each["file"] if each["table"] == "codebook" else each["columns"] for each in tables}
    except (FileUnavailableError, ValueError, KeyError, TypeError):
        return None

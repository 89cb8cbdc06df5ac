"""Clinical data into tables: one row for each thing an export says, in Parquet or CSV."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_openclinica.engine.pieces import Request
from airflow_provider_openclinica.engine.pull import How, pull_set
from airflow_provider_openclinica.engine.tablefiles import writer_of
from airflow_provider_openclinica.engine.tables import FROM_METADATA, Tables, check_wanted
from airflow_provider_openclinica.engine.tableset import Source, metadata_of, opened, publish, sources
from airflow_provider_openclinica.errors import ConfigurationError, FileError
from airflow_provider_openclinica.hooks.either import reading_client_for, reading_metadata_for
from airflow_provider_openclinica.hooks.storage import ObjectStorage
from airflow_provider_openclinica.operators.arguments import file_address, oid
from airflow_provider_openclinica.operators.base import StoppableOperator
from airflow_provider_openclinica.operators.failures import airflow_failures
from airflow_provider_openclinica.operators.scratch import scratch_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.engine.pull import PartitionBy
    from airflow_provider_openclinica.odm.design import StudyMetadata

SCRATCH_TAG = "0" * 16  #: of a set that nobody but this task sees
WITH_METADATA = "Pull with include_metadata=True, or name the study in study_oid."


class OpenClinicaToTablesOperator(StoppableOperator):
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
    metadata have no such item: they are in ``items`` only) and ``repairs``, how often what was mended. No data.

    :param output_uri: where to put them: a folder, as a local path or any URI that Airflow's ``ObjectStoragePath``
        opens. Templated.
    :param study_oid: OID of the study, or of one of its sites; letter case matters. Without ``odm_uri``, what to pull;
        with it, whose metadata to ask OpenClinica for where the documents have none. Templated.
    :param odm_uri: documents to read instead of pulling: a file, or the folder of a set that
        ``OpenClinicaToFileOperator`` has pulled, which ends in ``/``. Templated.
    :param format: ``parquet``, which needs the extra ``tables``; or ``csv``.
    :param tables: which ones to make, by name; ``wide`` stands for those of the item groups. ``None``: all
        that can be made; without the study's metadata ``codebook`` is empty, and there is no wide table.
    :param show_archived: of a pull: what was removed or archived, too.
    :param partition_by: of a pull: how to cut it, see ``OpenClinicaToFileOperator``.
    :param max_parallel: of a pull: requests at the same time, 1 to 8. The server also serves the sites.
    :param allow_empty: of a pull: make empty tables where OpenClinica answers without clinical data.
    :param openclinica_conn_id: connection of type ``openclinica`` or ``openclinica3``; not used where ``odm_uri`` is
        given without ``study_oid``. Templated.
    """

    template_fields: Sequence[str] = ("output_uri", "study_oid", "odm_uri", *StoppableOperator.template_fields)

    def __init__(
        self,
        *,
        output_uri: str,
        study_oid: str | None = None,
        odm_uri: str | None = None,
        format: Literal["parquet", "csv"] = "parquet",  # noqa: A002 - the word that everybody has for it
        tables: Sequence[str] | None = None,
        show_archived: bool = False,
        partition_by: PartitionBy = "study",
        max_parallel: int = 2,
        allow_empty: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_wanted(tables)
        How(partition_by=partition_by, max_parallel=max_parallel)
        self.output_uri = output_uri
        self.study_oid = study_oid
        self.odm_uri = odm_uri
        self.format = format
        self.tables = tables
        self.show_archived = show_archived
        self.partition_by = partition_by
        self.max_parallel = max_parallel
        self.allow_empty = allow_empty

    @staticmethod
    def client_of(conn_id: str, *, sleep: Callable[[float], None]) -> OpenClinicaClient:
        """Return the client of a connection of either type."""
        return reading_client_for(conn_id, sleep=sleep)

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
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
            with scratch_folder() as folder:
                odm_uri = odm_uri or self._pull(study_oid or "", files, f"{folder}/odm/")
                made = self._make(files, sources(files, odm_uri), study_oid, folder, output_uri)
        self._tell(made)
        return made

    def _pull(self, study_oid: str, files: ObjectStorage, folder: str) -> str:
        """Pull what the tables need into a scratch folder."""
        wanted = check_wanted(self.tables)
        request = Request(
            study_oid=study_oid,
            include_metadata=bool(wanted & FROM_METADATA),
            include_audits="audit" in wanted,
            include_queries="queries" in wanted,
            show_archived=self.show_archived,
        )
        how = How(partition_by=self.partition_by, max_parallel=self.max_parallel, allow_empty=self.allow_empty)
        self.client.tokens.token()  # of a Variable, which on Airflow 3.0 no other thread can read
        pull_set(self.client, request, files, folder, SCRATCH_TAG, how, self._killed)
        return folder

    def _make(
        self, files: ObjectStorage, documents: list[Source], study_oid: str | None, folder: Path, output_uri: str
    ) -> dict[str, Any]:
        """Make the tables in a scratch folder, and publish them."""
        wanted = check_wanted(self.tables)
        metadata = self._metadata(files, documents, study_oid) if wanted & FROM_METADATA else None
        made = folder / "tables"
        made.mkdir()
        with Tables(made, self.format, metadata, wanted) as tables:
            for document in documents:
                if not document.is_design:
                    with opened(files, document) as stream:
                        tables.add(stream, document.charset, self._killed)
        told = {"study_oid": study_oid, "unplaced": tables.unplaced, "repairs": tables.repairs.counts()}
        published = publish(files, output_uri, self.format, tables.built, told, self._killed)
        return {
            "output_uri": output_uri,
            "format": self.format,
            **published,
            "unplaced": tables.unplaced,
            "repairs": tables.repairs.counts(),
        }

    def _metadata(self, files: ObjectStorage, documents: list[Source], study_oid: str | None) -> StudyMetadata | None:
        """Return the design that the data were exported with, else the one that the study has now.

        :raises FileError: there is none, and a table that needs it is asked for by name.
        """
        found = metadata_of(files, documents[0]) if documents else None
        if found is None and study_oid is not None:
            found = reading_metadata_for(self.openclinica_conn_id, study_oid)
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

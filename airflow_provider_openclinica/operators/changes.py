"""What has changed between two sets of tables, as a table of changes and as an event for other DAGs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_openclinica.engine.changes import COLUMNS, Comparison, chosen, room, total
from airflow_provider_openclinica.engine.columns import Built
from airflow_provider_openclinica.engine.tablefiles import writer_of
from airflow_provider_openclinica.engine.tablereader import read_tables
from airflow_provider_openclinica.engine.tables import check_wanted
from airflow_provider_openclinica.engine.tableset import publish
from airflow_provider_openclinica.errors import ConfigurationError, FileUnavailableError
from airflow_provider_openclinica.hooks.storage import ObjectStorage
from airflow_provider_openclinica.operators.arguments import file_address
from airflow_provider_openclinica.operators.assets import announce, declare, output_asset
from airflow_provider_openclinica.operators.base import Stoppable
from airflow_provider_openclinica.operators.failures import airflow_failures
from airflow_provider_openclinica.operators.scratch import scratch_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_openclinica.engine.tablereader import PublishedTables

TABLE = "changes"


class OpenClinicaChangesOperator(Stoppable, BaseOperator):
    """Compare two sets of tables, and tell what has changed. Needs no OpenClinica; safe to retry.

    Both sets are what ``OpenClinicaToTablesOperator`` has made of the same study, in Parquet. What came, what went and
    what is another now becomes a table ``changes`` in ``output_uri``: a row for each column of each row that differs,
    with its keys, old and new value (docs/changes.md). A set of changed participants only, from an incremental pull,
    is compared with those participants of the set before.

    The task's outlet is the asset of ``output_uri``. **It gets an event only if something has changed**, so a DAG that
    is scheduled on it runs only then; the counts stand in the event's ``extra``.

    Needs the extra ``warehouse``. Memory does not grow with the study; the tables are copied to the worker's temporary
    folder first.

    Returns ``output_uri``, ``format``, ``tables`` (for each table that was compared how many of its rows were
    ``inserted``, ``changed`` and ``removed``), ``by_event`` and ``by_form`` (for each OID and table how many
    rows were any of these), ``rows`` of the table of changes, its ``size`` in bytes, and ``sha256`` of the manifest. No
    data.

    :param before_uri: folder of the tables before. Templated.
    :param after_uri: folder of the tables after. Templated.
    :param output_uri: folder for the changes, another one than these two. Templated.
    :param tables: which ones to compare, by name; ``wide`` stands for those of the item groups. ``None``: of
        ``participants``, ``events``, ``forms`` and ``items`` those that both sets have.
    :param format: ``parquet`` or ``csv``.
    :param allow_no_before: where there are no tables at ``before_uri`` yet, take everything for inserted.
    """

    template_fields: Sequence[str] = ("before_uri", "after_uri", "output_uri")
    ui_color = "#e5f0f8"

    def __init__(
        self,
        *,
        before_uri: str,
        after_uri: str,
        output_uri: str,
        tables: Sequence[str] | None = None,
        format: Literal["parquet", "csv"] = "parquet",  # noqa: A002 - the word that everybody has for it
        allow_no_before: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_wanted(tables)
        if format not in ("parquet", "csv"):
            raise ConfigurationError("format is neither 'parquet' nor 'csv'")
        self.before_uri = before_uri
        self.after_uri = after_uri
        self.output_uri = output_uri
        self.tables = tables
        self.format = format
        self.allow_no_before = allow_no_before
        declare(self, output_asset(output_uri), kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Read both manifests, compare, publish the changes, and let those know who wait for them."""
        self._killed = threading.Event()
        with airflow_failures():
            before_uri, after_uri, output_uri = (
                f"{file_address(getattr(self, name), name).rstrip('/')}/"
                for name in ("before_uri", "after_uri", "output_uri")
            )
            if _place(before_uri) == _place(after_uri):
                raise ConfigurationError(
                    "before_uri and after_uri are the same folder, so no change could ever be found",
                    next_step="Let each night have a folder of its own, as docs/changes.md does.",
                )
            if _place(output_uri) in (_place(before_uri), _place(after_uri)):
                raise ConfigurationError(
                    "output_uri is the folder of tables that are compared", next_step="Give the changes a folder."
                )
            files = ObjectStorage()
            files.check_target(output_uri)
            before, after = self._before(files, before_uri), read_tables(files, after_uri)
            with room(after.study_oid), scratch_folder() as folder:
                told = self._compare(files, before, after, folder, output_uri)
        found = total(told["tables"].values())
        self.log.info("Rows that were inserted, changed or removed: %d. Told in %s", found, output_uri)
        study = {"study_oid": after.study_oid}
        announce(self, context, output_asset(output_uri), study | told, changed=found > 0)
        return told

    def on_kill(self) -> None:
        """End the comparison, a long query included."""
        super().on_kill()
        if comparison := getattr(self, "_comparison", None):
            comparison.interrupt()

    def _before(self, files: ObjectStorage, uri: str) -> PublishedTables | None:
        try:
            return read_tables(files, uri)
        except FileUnavailableError as error:
            cause = error.__cause__
            if self.allow_no_before and cause and isinstance(cause.__cause__, FileNotFoundError):
                self.log.warning(
                    "There are no tables in %s: all counts as inserted. Unless it is the first time, check the address",
                    uri,
                )
                return None
            raise

    def _compare(
        self,
        files: ObjectStorage,
        before: PublishedTables | None,
        after: PublishedTables,
        folder: Path,
        output_uri: str,
    ) -> dict[str, Any]:
        """Write what has changed to a scratch folder, and publish it."""
        path = folder / f"{TABLE}.{self.format}"
        copies = folder / "tables"
        copies.mkdir()
        built = Built(TABLE, path, COLUMNS, writer_of(self.format)(path, COLUMNS))
        try:
            with Comparison(files, copies, self._killed) as comparison:
                self._comparison = comparison
                for name in chosen(before, after, self.tables):
                    for batch in comparison.compare(name, before, after):
                        built.file.write(batch)
                        built.rows += len(batch["table"])
        finally:
            built.file.close()
        sides = {"before": before and before.sha256, "after": after.sha256}
        told = {"study_oid": after.study_oid, "compared": sides, "counts": comparison.counts}
        published = publish(files, output_uri, self.format, [built], told, self._killed)
        return {
            "output_uri": output_uri,
            "format": self.format,
            "tables": comparison.counts,
            **comparison.places(),
            "rows": built.rows,
            "size": published["size"],
            "sha256": published["sha256"],
        }


def _place(uri: str) -> str:
    """Return an address as its asset has it: the same one with a connection or a scheme in it, and without."""
    asset = output_asset(uri)
    return asset.uri if asset else uri

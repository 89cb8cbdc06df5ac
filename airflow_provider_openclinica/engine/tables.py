"""Make the tables of ODM documents, as files on this machine.

    with Tables(folder, "parquet", metadata, wanted) as tables:
        tables.add(stream)      as often as there are documents
    tables.built                a file for each table, in the order of docs/tables.md

All is done in one pass, participant by participant. Memory holds some batches, however long a document is. Parquet is
encoded by a second thread, since Arrow needs Python for little of it.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_openclinica.engine.columns import Built, Column
from airflow_provider_openclinica.engine.openfiles import make_room_for
from airflow_provider_openclinica.engine.tablefiles import writer_of
from airflow_provider_openclinica.engine.wide import WideTable, table_names
from airflow_provider_openclinica.errors import ConfigurationError, WaitInterruptedError
from airflow_provider_openclinica.odm.flattener import COLUMNS, NEVER_NONE, tidy
from airflow_provider_openclinica.odm.itemcolumns import OF_GROUP, Items
from airflow_provider_openclinica.odm.metadata import CODEBOOK, codebook
from airflow_provider_openclinica.odm.repair import Repairs
from airflow_provider_openclinica.odm.sweep import swept

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection
    from concurrent.futures import Future
    from pathlib import Path

    from airflow_provider_openclinica.engine.columns import Batch
    from airflow_provider_openclinica.odm.design import ItemGroupDefinition, StudyMetadata
    from airflow_provider_openclinica.odm.subjects import Source

WIDE = "wide"  #: stands for the tables of all item groups
TABLES = (*COLUMNS, "codebook", WIDE)
FROM_METADATA = frozenset({"codebook", WIDE})
WITHOUT_DATA = frozenset({"codebook"})  #: what the metadata alone make
KEYS_OF_CODEBOOK = frozenset({"study_oid", "form_oid", "item_group_oid", "item_oid"})

ITEMS_IN_BATCH = 100_000
ROWS_IN_BATCH = 20_000
CELLS_IN_ALL = 1_000_000  #: of all wide tables together; there may be hundreds of them
PENDING = 2  #: batches that wait to be encoded


def table_columns(table: str) -> list[Column]:
    """Return the columns of a table that has the same ones in every study."""
    if table == "codebook":
        return [Column(name, kind, nullable=name not in KEYS_OF_CODEBOOK) for name, kind in CODEBOOK.items()]
    return [
        Column(name, kind, nullable=_may_be_none(name, kind), repeats=table == "items")
        for name, kind in COLUMNS[table].items()
    ]


def _may_be_none(name: str, kind: type) -> bool:
    return name == "value" or (kind not in (bool, int) and name not in NEVER_NONE)


def check_wanted(wanted: object) -> frozenset[str]:
    """Return the names of tables to make, all of them for None.

    :raises ConfigurationError: there is no table of such a name, or none is named.
    """
    if wanted is None:
        return frozenset(TABLES)
    if isinstance(wanted, str) or not isinstance(wanted, list | tuple | set | frozenset) or not wanted:
        raise ConfigurationError("tables is no list of names of tables")
    if unknown := {str(name) for name in wanted} - {*TABLES}:
        raise ConfigurationError(
            f"There is no table {', '.join(sorted(unknown))}", next_step=f"Choose among {', '.join(TABLES)}."
        )
    return frozenset(wanted)


class Tables:
    """Tables that are being made.

    :param folder: an empty one, for the files.
    :param format: ``parquet`` or ``csv``.
    :param metadata: say what the wide tables are, and fill the codebook. None: there are no wide tables.
    :param wanted: names among ``TABLES``; the others are left out.
    :raises ConfigurationError: there is no such format, or pyarrow is not installed.
    """

    def __init__(
        self,
        folder: Path,
        format: str,  # noqa: A002 - the word that everybody has for it
        metadata: StudyMetadata | None = None,
        wanted: Collection[str] = TABLES,
    ) -> None:
        self.repairs = Repairs()
        self.unplaced = 0  #: values that have no place in the wide tables: the metadata know no such item
        self.built: list[Built] = []
        self._begin_file, self._folder, self._suffix = writer_of(format), folder, format
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="openclinica-tables")
        self._pending: deque[Future[None]] = deque()
        self._files = {
            table: self._begun(table, table_columns(table)) for table in TABLES if table in wanted and table != WIDE
        }
        self._rows: dict[str, list[dict[str, Any]]] = {table: [] for table in self._files}
        self._items = Items()
        self._wants_wide = WIDE in wanted and metadata is not None
        groups = metadata.item_groups if metadata and self._wants_wide else {}
        self._wide = {oid: WideTable(metadata, group) for oid, group in groups.items()} if metadata else {}
        make_room_for(len(self._wide))
        names = table_names(self._wide)
        self._wide_files = {oid: self._begun(names[oid], wide.columns, groups[oid]) for oid, wide in self._wide.items()}
        self._wide_cells = 0
        if metadata and "codebook" in self._files:
            self._write_codebook(metadata)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._pool.shutdown(cancel_futures=kind is not None)
            for built in self.built:
                built.file.close()

    def add(self, source: Source, charset: str = "", stop: threading.Event | None = None) -> None:
        """Read a document to its end.

        :param source: a path, an open file, or anything that yields bytes.
        :param charset: of the header that came with it, if there was one.
        :param stop: ends it: when it is set, a WaitInterruptedError comes before the next participant.
        :raises FileError: it is no ODM 1.3, or is broken.
        """
        repairs = Repairs()
        for rows, items in swept(source, charset=charset, repairs=repairs, tables=self._files):
            if stop and stop.is_set():
                raise WaitInterruptedError("Stopped while tables were being made")
            for table, row in rows:
                if table in self._files:
                    self._rows[table].append(tidy(table, row))
                    if len(self._rows[table]) >= ROWS_IN_BATCH:
                        self._write_rows(table)
            if self._wants_wide:
                self._add_wide(items)
            if "items" in self._files:
                self._items.extend(items)
                if len(self._items) >= ITEMS_IN_BATCH:
                    self._write_items()
        self.repairs.add(repairs)

    # -- batches

    def _add_wide(self, items: Items) -> None:
        group_oid = OF_GROUP.index("item_group_oid")
        for keys, oids, values in items.by_group():
            wide = self._wide.get(keys[group_oid])
            if wide is None:
                self.unplaced += len(oids)
                continue
            self.unplaced += wide.add(keys, oids, values)
            self._wide_cells += len(wide.columns)
        if self._wide_cells >= CELLS_IN_ALL:
            self._write_wide()

    def _write_rows(self, table: str) -> None:
        rows, self._rows[table] = self._rows[table], []
        if rows:
            self._write(self._files[table], len(rows), _columns_of, rows)

    def _write_items(self) -> None:
        items, self._items = self._items, Items()
        if items:
            self._write(self._files["items"], len(items), Items.columns, items)

    def _write_wide(self) -> None:
        for oid, wide in self._wide.items():
            if count := len(wide):
                self._write(self._wide_files[oid], count, wide.columns_of, wide.take())
        self._wide_cells = 0

    def _write_codebook(self, metadata: StudyMetadata) -> None:
        for row in codebook(metadata):
            told = {name: None if cell == "" and name not in KEYS_OF_CODEBOOK else cell for name, cell in row.items()}
            self._rows["codebook"].append(told)
        self._write_rows("codebook")

    def _flush(self) -> None:
        for table in self._rows:
            self._write_rows(table)
        self._write_items()
        self._write_wide()
        self._wait(0)

    # -- files

    def _begun(self, table: str, table_columns: list[Column], group: ItemGroupDefinition | None = None) -> Built:
        path = self._folder / f"{len(self.built)}.{self._suffix}"
        built = Built(table, path, table_columns, self._begin_file(path, table_columns))
        if group:
            built.oid, built.label = group.oid, group.name
        self.built.append(built)
        return built

    def _write(self, built: Built, rows: int, columns_of: Callable[[Any], Batch], held: Any) -> None:
        """Hand a batch to the thread that encodes, which makes its columns, too; wait where it has enough to do."""
        built.rows += rows
        self._pending.append(self._pool.submit(lambda: built.file.write(columns_of(held))))
        self._wait(PENDING)

    def _wait(self, most: int) -> None:
        while len(self._pending) > most:
            self._pending.popleft().result()


def _columns_of(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}

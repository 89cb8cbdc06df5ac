"""What has changed between two sets of tables: which rows came, which went, which column of which row is another one.

    chosen(before, after, wanted)              the tables to compare
    with Comparison(files, folder, stop) as comparison:
        comparison.compare(table, before, after)    as often as there is a table; yields batches of changes
        comparison.counts                           rows inserted, changed and removed, by table
        comparison.places()                         how many rows of which event and of which form
    with room(study_oid):                           around all that writes files of this machine: says so if it is full

DuckDB does it (the extra ``warehouse``), in three steps. First each participant's rows are added up to a digest, on
both sides: that reads the tables once and holds a number for each participant. Of those whose digest is another one
now, some at a time, rows that are the same on both sides are put aside by their hashes. What is left is joined. So
memory depends neither on the size of the study nor on how much has changed, and few rows are ever joined. A table of
many columns needs more of it, whatever its length.

Rows belong together by their keys; where several have the same ones (``rowkeys``), by their order among them.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_openclinica.engine.changesql import CHANGED, INSERTED, PLACE, REMOVED, ChangesQuery, sql_text
from airflow_provider_openclinica.engine.columns import Column
from airflow_provider_openclinica.engine.increments import told_selection
from airflow_provider_openclinica.engine.tablereader import PARTICIPANTS, local_copy
from airflow_provider_openclinica.engine.tables import WIDE
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    FileError,
    FileUnavailableError,
    WaitInterruptedError,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from airflow_provider_openclinica.engine.files import Files
    from airflow_provider_openclinica.engine.tablereader import PublishedTables

    Row = tuple[Any, ...]

USUAL = ("participants", "events", "forms", "items")
COLUMNS = [
    Column("table", str, nullable=False),
    Column("change", str, nullable=False),
    *(Column(name, str) for name in PLACE),
    Column("record_id", str),
    Column("ordinal", int, nullable=False),
    *(Column(name, str) for name in ("column", "old_value", "new_value")),
]
OF_ROW = len(COLUMNS) - 3  #: columns in front that are the same in all changes of a row
EVENT, FORM = (2 + PLACE.index(name) for name in ("study_event_oid", "form_oid"))  #: which columns they are

#: MB for DuckDB, and as many more for each column; what does not fit lies in its temporary folder.
MEMORY, MEMORY_OF_COLUMN = 256, 1
CELLS_AT_ONCE = 10_000_000  #: that are compared, of both sides, of the participants that are joined at a time
CHANGES_IN_BATCH = 20_000
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  #: what an operating system calls a full disk


def chosen(before: PublishedTables | None, after: PublishedTables, wanted: Sequence[str] | None) -> list[str]:
    """Return the names of the tables to compare.

    :param before: None: there was nothing.
    :param wanted: names; ``wide`` stands for those of the item groups. None: those of ``USUAL`` that both sets have.
    :raises FileError: the sets cannot be compared, or one of them lacks a table that is wanted.
    """
    _check_comparable(before, after)
    sides = [after] if before is None else [before, after]
    asked = USUAL if wanted is None else tuple(dict.fromkeys(wanted))
    lacking = {side.folder: [name for name in asked if name not in _families(side)] for side in sides}
    common = [name for name in asked if not any(name in names for names in lacking.values())]
    if len(common) < len(asked) and (wanted is not None or not common):
        told = [f"{folder} is without {', '.join(names)}" for folder, names in lacking.items() if names]
        raise FileError(
            f"Both sets are to have the tables {', '.join(sorted(set(asked) - set(common)))}, and one has not",
            meaning="; ".join(told),
            next_step="Make the tables with the same list of tables before and after, of pulls that ask for the same.",
        )
    names = dict.fromkeys(table.name for side in reversed(sides) for table in side.tables if table.family in common)
    return sorted(names, key=lambda name: common.index(WIDE if name not in common else name))


def _families(side: PublishedTables) -> set[str]:
    """Return what a set tells of. An empty codebook only says that there were no metadata."""
    return {table.family for table in side.tables if table.rows or table.name != "codebook"}


def _check_comparable(before: PublishedTables | None, after: PublishedTables) -> None:
    if before is None:
        return
    if before.study_oid and after.study_oid and before.study_oid != after.study_oid:
        raise FileError(
            f"The tables before are of {before.study_oid}, those after of {after.study_oid}",
            next_step="Compare tables of the same study.",
        )
    if before.covers and after.covers and before.covers.selection != after.covers.selection:
        raise FileError(
            f"The tables before hold {told_selection(before.covers.selection)}, "
            f"those after {told_selection(after.covers.selection)}",
            next_step="Compare tables of pulls that asked for the same.",
        )
    if before.covers and before.covers.participants == "changed":
        raise FileError(
            f"The tables in {before.folder} hold only participants that had changed, so it is not known what was there",
            next_step="Let before_uri be the tables of a full pull.",
        )
    if before.covers and after.covers and before.covers.until > after.covers.until:
        raise FileError(
            f"The tables before are as of {before.covers.until.isoformat()}, "
            f"those after as of {after.covers.until.isoformat()}, which is earlier",
            next_step="Let before_uri be the set that was pulled first.",
        )


class Comparison:
    """Compares tables, one after the other.

    :param files: where the tables lie.
    :param folder: an empty one on this machine, for copies of them and for what memory does not hold.
    :param stop: ends it: when it is set, a WaitInterruptedError comes with the next changes, or from ``interrupt``.
    :raises ConfigurationError: DuckDB is not installed.
    """

    def __init__(self, files: Files, folder: Path, stop: threading.Event) -> None:
        self._files, self._folder, self._stop = files, folder, stop
        self._duckdb = _duckdb()
        self._database = self._duckdb.connect(
            config={
                "memory_limit": f"{MEMORY}MB",
                "temp_directory": str(folder / "duckdb"),
                "threads": 2,
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        self.counts: dict[str, dict[str, int]] = {}
        self._places: Counter[tuple[str, str | None, str | None]] = Counter()  # family, event, form -> rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def interrupt(self) -> None:
        """Let a query that DuckDB is at end now. Safe in a signal handler; set ``stop`` before."""
        with contextlib.suppress(self._duckdb.ConnectionException):  # it is closed, since all is compared
            self._database.interrupt()

    def compare(
        self, name: str, before: PublishedTables | None, after: PublishedTables
    ) -> Iterator[dict[str, list[Any]]]:
        """Yield what has changed in a table, in batches of columns; what is counted is complete afterwards.

        :raises FileUnavailableError: a table cannot be had, or there is no room for it.
        :raises FileError: a table is not what this package writes.
        :raises WaitInterruptedError: it was stopped.
        """
        study = after.study_oid or ""
        try:
            for batch in self._compared(name, before, after):
                if self._stop.is_set():
                    raise WaitInterruptedError("Stopped while tables were being compared")
                yield batch
        # DuckDB's own words are shown nowhere: they may quote a cell.
        except self._duckdb.InterruptException:
            raise WaitInterruptedError("Stopped while tables were being compared") from None
        except (self._duckdb.OutOfMemoryException, self._duckdb.IOException) as error:  # of both the disk may be why
            raise _no_room(f"DuckDB raised {type(error).__name__}", study) from None
        except self._duckdb.Error as error:
            uris = [table.uri for side in (before, after) if side and (table := side.table(name))]
            raise FileError(
                f"{' or '.join(uris)} cannot be read",
                study=study,
                meaning=f"it is damaged, or something else has written it (DuckDB raised {type(error).__name__})",
                next_step="Make these tables anew with OpenClinicaToTablesOperator.",
            ) from None

    def places(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return how many rows have changed in any way, ``by_event`` and ``by_form``: OID -> table -> rows.

        The tables of all item groups are ``wide`` here, so the study's design bounds how long this gets.
        """
        found: dict[str, dict[str, dict[str, int]]] = {"by_event": {}, "by_form": {}}
        for (family, *oids), rows in sorted(self._places.items(), key=str):
            for tables_of, oid in zip(found.values(), oids, strict=True):
                if oid:  # what is above it has none
                    tables = tables_of.setdefault(oid, {})
                    tables[family] = tables.get(family, 0) + rows
        return found

    def _compared(
        self, name: str, before: PublishedTables | None, after: PublishedTables
    ) -> Iterator[dict[str, list[Any]]]:
        counts = self.counts[name] = dict.fromkeys((INSERTED, CHANGED, REMOVED), 0)
        old, new = (before.table(name) if before else None), after.table(name)
        if old and new and old.sha256 == new.sha256:
            return
        family = next(table.family for table in (old, new) if table)
        sides = [None if table is None else local_copy(self._files, table, self._folder) for table in (old, new)]
        self._view_sides(sides)
        columns = [self._columns(side) for side in ("old", "new")]
        query = ChangesQuery(name, *columns)
        # It takes columns in vectors of a fixed length, so a wide table needs more, though not for being a long one.
        memory = MEMORY + MEMORY_OF_COLUMN * max(map(len, columns))
        self._database.execute(f"SET memory_limit = '{memory}MB'")
        self._database.execute(query.differing(CELLS_AT_ONCE))
        if query.group == "subject_key" and after.covers and after.covers.participants == "changed":
            self._keep_only_covered(after)
        pieces = [piece for (piece,) in self._rows("SELECT DISTINCT piece FROM differing ORDER BY piece")]
        last: Row = ()
        for piece in pieces:
            self._database.execute(query.apart(), [piece])
            self._database.execute(query.changes(), [piece])
            while rows := self._database.fetchmany(CHANGES_IN_BATCH):
                for row in rows:
                    if row[:OF_ROW] != last:
                        last = row[:OF_ROW]
                        counts[row[1]] += 1
                        self._places[family, row[EVENT], row[FORM]] += 1
                yield {column.name: list(cells) for column, cells in zip(COLUMNS, zip(*rows, strict=True), strict=True)}
        for path in {side for side in sides if side}:
            path.unlink()

    def _view_sides(self, sides: Sequence[Path | None]) -> None:
        """Let ``old`` and ``new`` be the tables; one that is not there is the other one without its rows."""
        there = next(side for side in sides if side)
        for view, side in zip(("old", "new"), sides, strict=True):
            rows = f"SELECT * FROM read_parquet({sql_text(str(side or there))})"  # noqa: S608 - a path, quoted
            self._database.execute(f"CREATE OR REPLACE VIEW {view} AS {rows}{'' if side else ' WHERE false'}")

    def _columns(self, view: str) -> dict[str, str]:
        return {row[0]: row[1] for row in self._rows(f"DESCRIBE {view}")}

    def _keep_only_covered(self, after: PublishedTables) -> None:
        """Compare no other participants than those that the set after holds."""
        participants = after.table(PARTICIPANTS)
        if participants is None:
            raise FileError(
                f"The tables in {after.folder} hold only participants that had changed, and do not say which",
                next_step="Make the table participants, too.",
            )
        path = local_copy(self._files, participants, self._folder)
        covered = f"SELECT subject_key FROM read_parquet({sql_text(str(path))})"  # noqa: S608 - a path, quoted
        self._database.execute(f"DELETE FROM differing WHERE part_of NOT IN ({covered})")  # noqa: S608

    def _rows(self, query: str) -> list[Row]:
        rows: list[Row] = self._database.execute(query).fetchall()
        return rows


def total(counts: Iterable[dict[str, int]]) -> int:
    """Return how many rows have changed in any way."""
    return sum(sum(each.values()) for each in counts)


@contextlib.contextmanager
def room(study_oid: str | None) -> Iterator[None]:
    """Say so where a file of this machine cannot be written, since the disk is full.

    :raises FileUnavailableError: it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise _no_room(os.strerror(error.errno), study_oid or "") from None


def _no_room(why: str, study: str) -> FileUnavailableError:
    return FileUnavailableError(
        "There is no room on this worker to compare the tables",
        study=study,
        meaning=f"the temporary folder does not take what memory does not hold ({why})",
        next_step=(
            "Let TMPDIR name a folder with room for several times what both sets take. Where it has that, choose among "
            "the tables with tables: those of many columns want the most memory."
        ),
    )


def _duckdb() -> Any:
    """Import DuckDB, which only who compares needs to have.

    :raises ConfigurationError: it is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        raise ConfigurationError(
            "Tables are compared with DuckDB, which is not installed",
            next_step="Install airflow-provider-openclinica[warehouse] on the workers.",
        ) from error
    return duckdb

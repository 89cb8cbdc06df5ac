"""What has changed between two sets of tables: which rows came, which went, which column of which row is another one.

    chosen(before, after, wanted)              the tables to compare
    with Comparison(files, folder, stop) as comparison:
        comparison.compare(table, before, after)    as often as there is a table; yields batches of changes
        comparison.counts                           rows inserted, changed and removed, by table

DuckDB does it (the extra ``warehouse``), in three steps. First each participant's rows are added up to a digest, on
both sides: that reads the tables once and holds a number for each participant. Of those whose digest is another one
now, some at a time, rows that are the same on both sides are put aside by their hashes. What is left is joined. So
memory depends neither on the size of the study nor on how much has changed, and few rows are ever joined. A table of
many columns needs more of it, whatever its length.

Rows belong together by their keys; where several have the same ones (``rowkeys``), by their order among them.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_openclinica.engine.columns import Column
from airflow_provider_openclinica.engine.increments import told_selection
from airflow_provider_openclinica.engine.rowkeys import ORDINAL, OWN_KEYS, keys_of, numbered
from airflow_provider_openclinica.engine.tablereader import PARTICIPANTS, local_copy
from airflow_provider_openclinica.engine.tables import WIDE
from airflow_provider_openclinica.errors import ConfigurationError, FileError, WaitInterruptedError
from airflow_provider_openclinica.odm.flattener import DATES

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from airflow_provider_openclinica.engine.files import Files
    from airflow_provider_openclinica.engine.tablereader import PublishedTables

    Row = tuple[Any, ...]

INSERTED, CHANGED, REMOVED = "inserted", "changed", "removed"
USUAL = ("participants", "events", "forms", "items")
#: Columns that say of a row which one it is; null where its table has no such.
PLACE = (
    *("study_oid", "subject_key", "participant_id", "study_event_oid", "study_event_repeat_key"),
    *("form_oid", "form_repeat_key", "item_group_oid", "item_group_repeat_key", "item_oid"),
)
COLUMNS = [
    Column("table", str, nullable=False),
    Column("change", str, nullable=False),
    *(Column(name, str) for name in PLACE),
    Column("record_id", str),
    Column("ordinal", int, nullable=False),
    *(Column(name, str) for name in ("column", "old_value", "new_value")),
]
OF_ROW = len(COLUMNS) - 3  #: columns in front that are the same in all changes of a row
#: What a row repeats of something above it, and the table that it is compared in.
REPEATED = {"participant_id": "participants", "form_layout_oid": "forms"}

#: MB for DuckDB, and as many more for each column; what does not fit lies in its temporary folder.
MEMORY, MEMORY_OF_COLUMN = 256, 1
CELLS_AT_ONCE = 10_000_000  #: that are compared, of both sides, of the participants that are joined at a time
CHANGES_IN_BATCH = 20_000


def chosen(before: PublishedTables | None, after: PublishedTables, wanted: Sequence[str] | None) -> list[str]:
    """Return the names of the tables to compare.

    :param before: None: there was nothing.
    :param wanted: names; ``wide`` stands for those of the item groups. None: those of ``USUAL`` that both sets have.
    :raises FileError: the sets cannot be compared, or one of them lacks a table that is wanted.
    """
    _check_comparable(before, after)
    sides = [after] if before is None else [before, after]
    families = [{table.family for table in side.tables} for side in sides]
    asked = USUAL if wanted is None else tuple(dict.fromkeys(wanted))
    common = [name for name in asked if all(name in family for family in families)]
    if lacking := set(asked) - set(common) if wanted is not None or not common else ():
        raise FileError(
            f"Both sets are to have the tables {', '.join(sorted(lacking))}, and one has not",
            next_step="Make the tables with the same list of tables before and after.",
        )
    names = dict.fromkeys(table.name for side in reversed(sides) for table in side.tables if table.family in common)
    return sorted(names, key=lambda name: common.index(WIDE if name not in common else name))


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

        :raises FileUnavailableError: a table cannot be read.
        :raises WaitInterruptedError: it was stopped.
        """
        try:
            for batch in self._compared(name, before, after):
                if self._stop.is_set():
                    raise WaitInterruptedError("Stopped while tables were being compared")
                yield batch
        except self._duckdb.InterruptException:
            raise WaitInterruptedError("Stopped while tables were being compared") from None

    def _compared(
        self, name: str, before: PublishedTables | None, after: PublishedTables
    ) -> Iterator[dict[str, list[Any]]]:
        counts = self.counts[name] = dict.fromkeys((INSERTED, CHANGED, REMOVED), 0)
        old, new = (before.table(name) if before else None), after.table(name)
        if old and new and old.sha256 == new.sha256:
            return
        sides = [None if table is None else local_copy(self._files, table, self._folder) for table in (old, new)]
        self._view_sides(sides)
        columns = [self._columns(side) for side in ("old", "new")]
        query = _Query(name, *columns)
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
                yield {column.name: list(cells) for column, cells in zip(COLUMNS, zip(*rows, strict=True), strict=True)}
        for path in {side for side in sides if side}:
            path.unlink()

    def _view_sides(self, sides: Sequence[Path | None]) -> None:
        """Let ``old`` and ``new`` be the tables; one that is not there is the other one without its rows."""
        there = next(side for side in sides if side)
        for view, side in zip(("old", "new"), sides, strict=True):
            rows = f"SELECT * FROM read_parquet({_text(str(side or there))})"  # noqa: S608 - a path, quoted
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
        covered = f"SELECT subject_key FROM read_parquet({_text(str(path))})"  # noqa: S608 - a path, quoted
        self._database.execute(f"DELETE FROM differing WHERE part_of NOT IN ({covered})")  # noqa: S608

    def _rows(self, query: str) -> list[Row]:
        rows: list[Row] = self._database.execute(query).fetchall()
        return rows


class _Query:
    """The SQL that compares a table, which lies in the views ``old`` and ``new``.

    :param before: column -> type, as DuckDB calls it.
    """

    def __init__(self, name: str, before: dict[str, str], after: dict[str, str]) -> None:
        self._name = name
        self._keys = keys_of(name)
        self._sides = {"old": before, "new": after}
        passed = {*self._keys, *(column for column, table in REPEATED.items() if table != name)}
        passed |= {f"{column}_parsed" for column in DATES.get(name, ())}
        self._compared = [column for column in dict.fromkeys([*after, *before]) if column not in passed]
        #: What is added up and joined together: a participant, or a form of the codebook.
        self.group = "subject_key" if "subject_key" in self._keys else "form_oid"

    def differing(self, cells_at_once: int) -> str:
        """Make the table ``differing``: participants whose rows are not the same ones, and when to look at them."""
        rows_at_once = max(1, cells_at_once // max(1, len(self._compared)))
        return f"""
            CREATE OR REPLACE TEMP TABLE differing AS
            WITH old_digests AS ({self._digests("old")}), new_digests AS ({self._digests("new")})
            SELECT
                coalesce(o.part_of, n.part_of) AS part_of,
                sum(coalesce(o.rows_in, 0) + coalesce(n.rows_in, 0)) OVER (
                    ORDER BY coalesce(o.part_of, n.part_of) ROWS UNBOUNDED PRECEDING
                ) // {rows_at_once} AS piece
            FROM old_digests o FULL OUTER JOIN new_digests n ON o.part_of = n.part_of
            WHERE o.digest IS DISTINCT FROM n.digest OR o.rows_in IS DISTINCT FROM n.rows_in
        """  # noqa: S608 - names of columns, quoted

    def _digests(self, side: str) -> str:
        """Sum a 64-bit hash of each row, which takes them in any order."""
        group = _quoted(self.group)
        return f"""
            SELECT r.{group} AS part_of, count(*) AS rows_in, sum({self._hash_of_row(side)}::HUGEINT) AS digest
            FROM {side} AS r GROUP BY r.{group}
        """  # noqa: S608 - names of columns, quoted

    def apart(self) -> str:
        """Make the table ``apart``: the hashes of those rows of a piece that are not on both sides."""
        old, new = (
            f"SELECT {self._hash_of_keys()} AS of_keys, {self._hash_of_row(side)} AS of_row, {count} AS times"  # noqa: S608
            f" FROM ({self._piece(side)}) AS r"
            for side, count in (("old", 1), ("new", -1))
        )
        return f"""
            CREATE OR REPLACE TEMP TABLE apart AS
            SELECT of_keys, of_row FROM ({old} UNION ALL {new}) GROUP BY of_keys, of_row HAVING sum(times) <> 0
        """  # noqa: S608 - names of columns, quoted

    def _hash_of_keys(self) -> str:
        return f"hash({', '.join(f'r.{_quoted(key)}' for key in self._keys)})"

    def _hash_of_row(self, side: str) -> str:
        """Hash a row of the relation ``r``. That it changes and its hash does not, happens once in 2^64 times."""
        cells = [f"r.{_quoted(key)}" for key in self._keys]
        cells += [self._cell(side, column, "r") for column in self._compared]
        # Twice, since hashes of several cells are joined by exclusive or: where two rows exchange the last of them, the
        # sum of what came of it once would be the same far too often.
        return f"hash(hash({', '.join(cells)}))"

    def _piece(self, side: str) -> str:
        within = "(SELECT part_of FROM differing WHERE piece = $1)"
        return f"SELECT * FROM {side} WHERE {_quoted(self.group)} IN {within}"  # noqa: S608 - names, quoted

    def changes(self) -> str:
        """Return what selects the changes of a piece, in an order that depends on nothing but them."""
        on = " AND ".join(f"o.{key} IS NOT DISTINCT FROM n.{key}" for key in map(_quoted, [*self._keys, ORDINAL]))
        pairs = [(self._cell("old", column, "o"), self._cell("new", column, "n")) for column in self._compared]
        cells = ", ".join(
            f"{{'name': {_text(column)}, 'old': {old}, 'new': {new}}}"
            for column, (old, new) in zip(self._compared, pairs, strict=True)
        )
        whole = "NULL::VARCHAR", "NULL::VARCHAR", "NULL::VARCHAR"
        if self._name == "items":
            whole = "'value'", "o.value", "n.value"
        return f"""
            WITH o AS ({self._numbered("old")}), n AS ({self._numbered("new")}),
            joined AS (
                SELECT
                    CASE WHEN o.{ORDINAL} IS NULL THEN '{INSERTED}' WHEN n.{ORDINAL} IS NULL THEN '{REMOVED}'
                        ELSE '{CHANGED}' END AS change,
                    {", ".join(self._place())},
                    coalesce(n.{ORDINAL}, o.{ORDINAL}) AS ordinal,
                    CASE WHEN o.{ORDINAL} IS NULL OR n.{ORDINAL} IS NULL
                        THEN [{{'name': {whole[0]}, 'old': {whole[1]}, 'new': {whole[2]}}}]
                        ELSE [{cells}] END AS cells
                FROM o FULL OUTER JOIN n ON {on}
                WHERE o.{ORDINAL} IS NULL OR n.{ORDINAL} IS NULL
                    OR {" OR ".join(f"{old} IS DISTINCT FROM {new}" for old, new in pairs)}
            ),
            told AS (SELECT * EXCLUDE (cells), unnest(cells) AS cell FROM joined)
            SELECT {_text(self._name)}, * EXCLUDE (cell), cell.name, cell.old, cell.new
            FROM told WHERE change <> '{CHANGED}' OR cell.old IS DISTINCT FROM cell.new
            ORDER BY ALL
        """  # noqa: S608 - names of columns, quoted

    def _numbered(self, side: str) -> str:
        """Return the rows of a piece that are apart, with their ordinal."""
        same = f"apart.of_keys = {self._hash_of_keys()} AND apart.of_row = {self._hash_of_row(side)}"
        rows = f"SELECT r.* FROM ({self._piece(side)}) AS r SEMI JOIN apart ON {same}"  # noqa: S608 - names, quoted
        return numbered(f"({rows})", self._name, list(self._sides[side]))

    def _place(self) -> Iterator[str]:
        """Yield the columns that say which row it is."""
        there = {*self._keys, *(REPEATED if self.group == "subject_key" else ())}  # an item, too, may be called so
        for name in PLACE:
            yield f"coalesce(n.{name}, o.{name}) AS {name}" if name in there else f"NULL::VARCHAR AS {name}"
        own = [f"coalesce(n.{key}, o.{key})" for key in map(_quoted, OWN_KEYS.get(self._name, ()))]
        # DN_1/CDN_2; of a thread without notes DN_1, of a note whose thread has no ID /CDN_2
        parts = ", '/' || ".join(own)
        yield f"nullif(concat({parts}), '') AS record_id" if own else "NULL::VARCHAR AS record_id"

    def _cell(self, side: str, column: str, alias: str) -> str:
        """Return a cell as text; null where that side has no such column."""
        kind = self._sides[side].get(column)
        cell = f"{alias}.{_quoted(column)}"
        if kind is None:
            return "NULL::VARCHAR"
        if kind == "VARCHAR":
            return cell
        if {"BIGINT", "DOUBLE"} == {known.get(column) for known in self._sides.values()}:
            cell += "::DOUBLE"  # an integer of one version may be a float of the next: 72 is no other value than 72.0
        text = f"{cell}::VARCHAR"
        return f"replace({text}, ' ', 'T')" if kind.startswith("TIMESTAMP") else text


def total(counts: Iterable[dict[str, int]]) -> int:
    """Return how many rows have changed in any way."""
    return sum(sum(each.values()) for each in counts)


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


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def _text(text: str) -> str:
    return "'{}'".format(text.replace("'", "''"))

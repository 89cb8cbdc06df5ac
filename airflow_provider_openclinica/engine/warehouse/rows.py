"""The rows of a table's Parquet, on their way into a database, in memory that does not grow with the table.

    with Rows(path, table, scratch) as rows:
        rows.batches(values)                       all of them
        difference = rows.compare(digests, …)      with what a database has
        rows.different(values)                     those that it does not have, or has otherwise
        rows.stale()                               keys of those that it should not have any more

DuckDB reads the file and compares, on this machine. A row is known by two digests: ``_key`` of what says which row it
is (``engine.tablereader``), ``_row`` of all else. So the database only has to tell these, and gets nothing but the rows
that are different. A column that is null everywhere is in no digest: one that a new form version brings changes no row.
"""

# ruff: noqa: S608 - names are quoted, values are parameters
from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_openclinica.engine.columns import Column
from airflow_provider_openclinica.engine.rowkeys import ORDINAL, keys_of, numbered, repeats
from airflow_provider_openclinica.engine.warehouse.names import listed, quoted
from airflow_provider_openclinica.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

KEY, ROW = "_key", "_row"
#: MB for DuckDB, and as many more for each column, since it takes columns in vectors of a fixed length. What does not
#: fit lies in the scratch folder.
MEMORY, MEMORY_OF_COLUMN = 256, 1
BATCH_ROWS = 50_000
#: Types as DuckDB spells them.
DUCKDB_TYPES: dict[type, str] = {
    str: "VARCHAR",
    bool: "BOOLEAN",
    int: "BIGINT",
    float: "DOUBLE",
    date: "DATE",
    datetime: "TIMESTAMP",
}
#: Stand between values, between a column's name and its value, and for a key that is null. XML can hold none of them.
BETWEEN, BEHIND_NAME, NO_VALUE = "chr(31)", "chr(30)", "chr(29)"


def libraries() -> tuple[Any, Any]:
    """Import DuckDB and pyarrow.

    :raises ConfigurationError: one of them is not installed.
    """
    try:
        import duckdb
        import pyarrow  # type: ignore[import-untyped]
        import pyarrow.csv  # type: ignore[import-untyped]
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigurationError(
            "Tables are read with DuckDB and pyarrow, and one of them is not installed",
            next_step="Install airflow-provider-openclinica[warehouse] on the workers.",
        ) from error
    return duckdb, pyarrow


@dataclass(frozen=True, slots=True)
class Difference:
    """How many rows of a table are new, are different, are gone."""

    inserted: int
    changed: int
    removed: int


class Rows:
    """The rows of a table.

    :param path: of its Parquet file.
    :param table: its name in the set.
    :param scratch: a folder for what does not fit in memory.
    """

    def __init__(self, path: Path, table: str, scratch: Path) -> None:
        duckdb, _ = libraries()
        self.columns = columns_in(path)
        settings = {
            "memory_limit": f"{MEMORY + MEMORY_OF_COLUMN * len(self.columns)}MB",
            "temp_directory": str(scratch),
            "threads": 2,
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        self._duckdb = duckdb.connect(":memory:", config=settings)
        names, parquet = [column.name for column in self.columns], f"read_parquet({_literal(path)})"
        ((repeated,),) = self._duckdb.execute(repeats(parquet, table)).fetchall()
        rows = numbered(parquet, table, names) if repeated else f"SELECT *, 1::BIGINT AS {ORDINAL} FROM {parquet}"
        self._keyed = f"SELECT {listed(names)}, {_key(table)} AS {KEY} FROM ({rows})"
        self._row = _row(table, names)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._duckdb.close()

    def batches(self, values: Sequence[str]) -> Iterator[Any]:
        """Yield all rows, as Arrow's record batches.

        :param values: what is to be given of each, as SQL. ``_key`` and ``_row`` are texts.
        """
        return self._read(self._given(values, f"({self._keyed})"))

    def largest(self, column: str) -> int:
        """Return the largest number in a column of whole ones, whatever its sign."""
        query = f"SELECT max(greatest({quoted(column)}, -{quoted(column)})) FROM ({self._keyed})"
        ((largest,),) = self._duckdb.execute(query).fetchall()
        return int(largest or 0)

    def compare(self, digests: Path, *, missing: str) -> Difference:
        """Compare the rows with those of a database.

        :param digests: CSV without a header, ``_key`` and ``_row`` of each row there that the set has or should have.
        :param missing: ``delete`` or ``keep``, what to do with rows that only the database has.
        """
        columns = f"header = false, auto_detect = false, columns = {{'{KEY}': 'UUID', '{ROW}': 'UUID'}}"
        self._make("there", f"SELECT * FROM read_csv({_literal(digests)}, {columns})")
        self._make("told", f"SELECT {KEY}, {self._row} AS {ROW} FROM ({self._keyed})")
        self._make(
            "differing",
            f"SELECT {KEY}, there.{ROW} IS NOT NULL AS is_there FROM told LEFT JOIN there USING ({KEY}) "
            f"WHERE there.{ROW} IS DISTINCT FROM told.{ROW}",
        )
        self._make("stale", f"SELECT {KEY} FROM differing WHERE is_there")
        inserted, changed = self._count("differing", "NOT is_there"), self._count("differing", "is_there")
        if missing == "delete":
            self._duckdb.execute(f"INSERT INTO stale SELECT {KEY} FROM there ANTI JOIN told USING ({KEY})")
        return Difference(inserted, changed, self._count("stale", "true") - changed)

    def different(self, values: Sequence[str]) -> Iterator[Any]:
        """Yield the rows that the database does not have as they are; see ``batches``."""
        return self._read(self._given(values, f"(SELECT * FROM ({self._keyed}) SEMI JOIN differing USING ({KEY}))"))

    def stale(self) -> Iterator[Any]:
        """Yield the keys of rows that are not to be in the database as they are there."""
        return self._read(f"SELECT {digest_as_text(KEY)} FROM stale")

    def _given(self, values: Sequence[str], rows: str) -> str:
        return f"SELECT {', '.join(values)} FROM (SELECT *, {self._row} AS {ROW} FROM {rows})"

    def _make(self, table: str, query: str) -> None:
        self._duckdb.execute(f"CREATE TABLE {table} AS {query}")

    def _count(self, table: str, condition: str) -> int:
        ((count,),) = self._duckdb.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchall()
        return int(count)

    def _read(self, query: str) -> Iterator[Any]:
        result = self._duckdb.sql(query)
        begin = getattr(result, "to_arrow_reader", None) or result.fetch_record_batch  # before DuckDB 2
        yield from begin(BATCH_ROWS)


def participants_in(path: Path, columns: Iterable[str]) -> Iterator[Any]:
    """Yield, as record batches of texts, which participants a table ``participants`` has."""
    _, pa = libraries()
    table = pa.parquet.read_table(path, columns=list(columns))
    distinct = table.group_by(table.column_names).aggregate([])
    yield from distinct.to_batches()


def columns_in(path: Path) -> list[Column]:
    """Return the columns of a Parquet file that this package has written."""
    _, pa = libraries()
    kinds = {
        pa.string(): str,
        pa.bool_(): bool,
        pa.int64(): int,
        pa.float64(): float,
        pa.date32(): date,
        pa.timestamp("us"): datetime,
    }
    schema = pa.parquet.read_schema(path)
    return [Column(field.name, kinds[field.type], field.nullable) for field in schema]


def digest_as_text(name: str) -> str:
    """Return a digest as SQL, as the text that any database takes it from."""
    return f"CAST({quoted(name)} AS VARCHAR) AS {quoted(name)}"


def _key(table: str) -> str:
    """Return SQL for the digest of a row's keys; a key that is null is another one than an empty text."""
    told = ", ".join(f"ifnull(CAST({quoted(name)} AS VARCHAR), {NO_VALUE})" for name in (*keys_of(table), ORDINAL))
    return f"CAST(md5(concat_ws({BETWEEN}, {told})) AS UUID)"


def _row(table: str, columns: Sequence[str]) -> str:
    """Return SQL for the digest of all that is no key; what is null is left out, name and all."""
    keys = keys_of(table)
    others = (name for name in columns if name not in keys)
    told = ", ".join(f"{_literal(name)} || {BEHIND_NAME} || CAST({quoted(name)} AS VARCHAR)" for name in others)
    return f"CAST(md5(concat_ws({BETWEEN}, {told})) AS UUID)"


def _literal(text: object) -> str:
    return "'{}'".format(str(text).replace("'", "''"))

"""What databases do differently. ``database_of(connection)`` tells by its driver which one a connection leads to.

    PostgreSQL    psycopg 3 and psycopg2; rows come in by COPY
    DuckDB        reads Arrow's batches themselves; no indexes, which it does not need
    SQLite        the standard library's driver
    any other     plain SQL over DB-API, without indexes

A database's own error messages may quote a row. So they are never shown: see ``plain_errors``.
"""

# ruff: noqa: S608 - names are quoted, values are parameters
from __future__ import annotations

import contextlib
import csv
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from airflow_provider_openclinica.engine.warehouse.names import listed, quoted
from airflow_provider_openclinica.engine.warehouse.rows import DUCKDB_TYPES, libraries
from airflow_provider_openclinica.errors import OpenClinicaError, WaitInterruptedError, WarehouseError

if TYPE_CHECKING:
    import threading
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

FETCHED = 50_000  #: rows at once
BATCH = "_openclinica_batch"


@contextlib.contextmanager
def plain_errors(doing: str) -> Iterator[None]:
    """Name what failed, without the driver's message: it may quote a row.

    :param doing: what the database did not do, as an infinitive.
    :raises WarehouseError: the driver raised something.
    """
    try:
        yield
    except OpenClinicaError:
        raise
    except Exception as error:
        if type(error).__module__ == "builtins":
            raise  # no driver's
        state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""
        name = f"{type(error).__name__}{f', SQLSTATE {state}' if state else ''}"
        raise WarehouseError(f"The database did not {doing}: {name}") from None


class Database:
    """A connection to a database that is known by nothing but SQL's standard.

    :param connection: of DB-API, with no transaction begun.
    :param placeholder: what stands for a parameter in the driver's SQL.
    :param stop: ends a transfer of rows: when it is set, a WaitInterruptedError comes.
    """

    types: ClassVar[Mapping[type, str]] = {
        str: "TEXT",
        bool: "BOOLEAN",
        int: "BIGINT",
        float: "DOUBLE PRECISION",
        date: "DATE",
        datetime: "TIMESTAMP",
        UUID: "VARCHAR(36)",
    }
    #: Name of a type in the database's own catalogue -> what we call it.
    known: ClassVar[Mapping[str, type]] = {}
    has_indexes: ClassVar[bool] = False
    read_as: ClassVar[Mapping[type, str]] = {}  #: kind -> DuckDB's type that the driver takes instead
    widening = ""  #: SQL that gives a column another type

    def __init__(self, connection: Any, placeholder: str = "%s", stop: threading.Event | None = None) -> None:
        self.connection = connection
        self.placeholder = placeholder
        self.stop = stop

    # -- statements

    def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> int:
        """Run a statement, and return how many rows it changed."""
        with self.cursor() as cursor:
            cursor.execute(*((sql,) if parameters is None else (sql, parameters)))
            return max(int(cursor.rowcount), 0)

    def query(self, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of a query; few ones."""
        with self.cursor() as cursor:
            cursor.execute(*((sql,) if parameters is None else (sql, parameters)))
            return [tuple(row) for row in cursor.fetchall()]

    def cursor(self) -> AbstractContextManager[Any]:
        """Return what runs statements; it is closed afterwards."""
        return contextlib.closing(self.connection.cursor())

    def insert(self, table: str, columns: Collection[str]) -> str:
        """Return the statement that inserts a row, its values being parameters.

        :param table: as SQL. A driver that marks parameters by ``%s`` takes any ``%`` for the begin of one.
        """
        marks = ", ".join([self.placeholder] * len(columns))
        name = table.replace("%", "%%") if self.placeholder == "%s" else table
        return f"INSERT INTO {name} ({listed(columns)}) VALUES ({marks})"

    # -- transactions

    def begin(self) -> None:
        """Begin a transaction. A driver of DB-API does that by itself."""

    def lock(self, table: str) -> None:
        """Let no other load pass before this one has ended; readers are not kept out."""

    def commit(self) -> None:
        """Keep all, at once."""
        self.connection.commit()

    def rollback(self) -> None:
        """Leave all as it was."""
        self.connection.rollback()

    def undo(self) -> None:
        """Roll back after an error; a connection that is lost has done so."""
        try:
            self.rollback()
        except Exception as error:
            if type(error).__module__ == "builtins":
                raise

    # -- what there is

    def columns(self, schema: str, table: str) -> dict[str, type | None] | None:
        """Return name and kind of a table's columns; None where there is no such table.

        A kind is None where it is none of ours, or cannot be known.
        """
        cursor = self.connection.cursor()
        try:
            cursor.execute(f"SELECT * FROM {quoted(schema, table)} WHERE 1 = 0")
            return {str(column[0]): None for column in cursor.description}
        except Exception as error:
            if type(error).__module__ == "builtins":
                raise
            self.rollback()
            return None
        finally:
            cursor.close()

    # -- structure

    def create_temporary(self, name: str, columns: Mapping[str, type]) -> None:
        """Make a table that only this connection sees."""
        told = ", ".join(f"{quoted(column)} {self.types[kind]}" for column, kind in columns.items())
        self.execute(f"CREATE TEMPORARY TABLE {quoted(name)} ({told})")

    def index(self, schema: str, table: str, name: str, columns: Sequence[str], *, unique: bool) -> None:
        """Make an index, where the database has use for one."""
        if self.has_indexes:
            begin = f"CREATE {'UNIQUE ' if unique else ''}INDEX {quoted(name)}"
            self.execute(f"{begin} ON {quoted(schema, table)} ({listed(columns)})")

    def analyse(self, table: str) -> None:
        """Let the database count what is in a table, given as SQL, where its plans depend on that."""

    # -- rows

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Any]) -> None:
        """Put rows into a table, given as SQL.

        :param rows: Arrow's record batches, with these columns in this order.
        """
        insert = self.insert(table, columns)
        with self.cursor() as cursor:
            for batch in self.going_on(rows):
                cursor.executemany(insert, list(zip(*(column.to_pylist() for column in batch.columns), strict=True)))

    def fetch(self, query: str, path: Path) -> None:
        """Write what a query gives to a file: CSV without a header."""
        with self.cursor() as cursor, path.open("w", newline="") as file:
            cursor.execute(query)
            while rows := cursor.fetchmany(FETCHED):
                csv.writer(file).writerows(rows)

    def going_on(self, rows: Iterable[Any]) -> Iterator[Any]:
        """Yield batches until the task is killed."""
        for batch in rows:
            if self.stop and self.stop.is_set():
                raise WaitInterruptedError(
                    "Stopped while rows were on their way into the database", next_step="None was kept; a retry works."
                )
            yield batch


class PostgreSQL(Database):
    """PostgreSQL, over psycopg 3 or psycopg2."""

    types: ClassVar[Mapping[type, str]] = {**Database.types, UUID: "UUID"}

    known: ClassVar[Mapping[str, type]] = {
        "text": str,
        "character varying": str,
        "boolean": bool,
        "bigint": int,
        "double precision": float,
        "date": date,
        "timestamp without time zone": datetime,
    }
    has_indexes = True
    widening = "ALTER TABLE {table} ALTER COLUMN {column} TYPE {type} USING {column}::{type}"

    def begin(self) -> None:
        """Begin a transaction, which the driver does by itself unless the connection says otherwise."""
        self.connection.autocommit = False

    def cursor(self) -> AbstractContextManager[Any]:
        """Return what runs statements; rows are plain ones, whatever kind the connection asks for."""
        if hasattr(self.connection, "row_factory"):  # psycopg 3
            from psycopg.rows import tuple_row

            return contextlib.closing(self.connection.cursor(row_factory=tuple_row))
        from psycopg2.extensions import cursor  # type: ignore[import-untyped]

        return contextlib.closing(self.connection.cursor(cursor_factory=cursor))

    def lock(self, table: str) -> None:
        """Wait for a load that is at work, and let no other one begin."""
        self.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")

    def columns(self, schema: str, table: str) -> dict[str, type | None] | None:
        """Return name and kind of a table's columns."""
        where = "table_schema = %s" if schema else "table_schema = current_schema()"
        found = self.query(
            f"SELECT column_name, data_type FROM information_schema.columns WHERE {where} AND table_name = %s",
            [schema, table] if schema else [table],
        )
        return {name: self.known.get(kind) for name, kind in found} or None

    def create_temporary(self, name: str, columns: Mapping[str, type]) -> None:
        """Make a table that only this connection sees, and that ends with the transaction."""
        told = ", ".join(f"{quoted(column)} {self.types[kind]}" for column, kind in columns.items())
        self.execute(f"CREATE TEMPORARY TABLE {quoted(name)} ({told}) ON COMMIT DROP")

    def analyse(self, table: str) -> None:
        """Let the planner know what is in a table."""
        self.execute(f"ANALYZE {table}")

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Any]) -> None:
        """Put rows into a table by COPY."""
        copy = f"COPY {table} ({listed(columns)}) FROM STDIN (FORMAT csv, ENCODING 'UTF8')"
        chunks = map(_as_csv, self.going_on(rows))
        with self.cursor() as cursor:
            if hasattr(cursor, "copy_expert"):  # psycopg2
                source = _Readable(chunks)
                try:
                    cursor.copy_expert(copy, source)
                except Exception as error:  # noqa: BLE001 - goes on in any case
                    raise source.error or error from None  # it only says that reading failed
                return
            with cursor.copy(copy) as target:
                for chunk in chunks:
                    target.write(chunk)

    def fetch(self, query: str, path: Path) -> None:
        """Write what a query gives to a file by COPY."""
        copy = f"COPY ({query}) TO STDOUT (FORMAT csv)"
        with self.cursor() as cursor, path.open("wb") as file:
            if hasattr(cursor, "copy_expert"):  # psycopg2
                cursor.copy_expert(copy, file)
                return
            with cursor.copy(copy) as source:
                file.writelines(source)


class SQLite(Database):
    """SQLite, over Python's own driver."""

    known: ClassVar[Mapping[str, type]] = {kind: name for name, kind in Database.types.items()}
    has_indexes = True
    read_as: ClassVar[Mapping[type, str]] = {
        date: "VARCHAR",
        datetime: "VARCHAR",
    }  # as SQLite's own functions write them

    def begin(self) -> None:
        """Begin a transaction that writes, at once: another writer is waited for here. The driver must begin none."""
        self.connection.isolation_level = None
        self.execute("BEGIN IMMEDIATE")

    def columns(self, schema: str, table: str) -> dict[str, type | None] | None:
        """Return name and kind of a table's columns."""
        found = self.query("SELECT name, type FROM pragma_table_info(?, ?)", [table, schema or "main"])
        return {name: self.known.get(kind) for name, kind in found} or None

    def index(self, schema: str, table: str, name: str, columns: Sequence[str], *, unique: bool) -> None:
        """Make an index. SQLite names the schema with the index, not with the table."""
        begin = f"CREATE {'UNIQUE ' if unique else ''}INDEX {quoted(schema, name)}"
        self.execute(f"{begin} ON {quoted(table)} ({listed(columns)})")


class DuckDB(Database):
    """DuckDB. Its connections are their own cursors: what ``cursor()`` gives would be outside the transaction."""

    types: ClassVar[Mapping[type, str]] = {**DUCKDB_TYPES, UUID: "UUID"}
    known: ClassVar[Mapping[str, type]] = {name: kind for kind, name in DUCKDB_TYPES.items()}
    widening = "ALTER TABLE {table} ALTER COLUMN {column} TYPE {type}"

    def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> int:
        """Run a statement, and return how many rows it changed."""
        found = self.connection.execute(sql, parameters or []).fetchall()
        return int(found[0][0]) if found and isinstance(found[0][0], int) else 0

    def query(self, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return list(self.connection.execute(sql, parameters or []).fetchall())

    def cursor(self) -> AbstractContextManager[Any]:
        """Return the connection itself."""
        return contextlib.nullcontext(self.connection)

    def begin(self) -> None:
        """Begin a transaction."""
        self.connection.begin()

    def columns(self, schema: str, table: str) -> dict[str, type | None] | None:
        """Return name and kind of a table's columns."""
        where = "table_schema = ?" if schema else "table_schema = current_schema()"
        found = self.query(
            "SELECT column_name, data_type FROM information_schema.columns "
            f"WHERE table_catalog = current_database() AND {where} AND table_name = ?",
            [schema, table] if schema else [table],
        )
        return {name: self.known.get(kind) for name, kind in found} or None

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Any]) -> None:
        """Put rows into a table: DuckDB reads Arrow's batches themselves."""
        _, pa = libraries()
        for batch in self.going_on(rows):
            self.connection.register(BATCH, pa.Table.from_batches([batch]))
            self.execute(f"INSERT INTO {table} ({listed(columns)}) SELECT * FROM {BATCH}")
            self.connection.unregister(BATCH)


def database_of(connection: Any, placeholder: str = "%s", stop: threading.Event | None = None) -> Database:
    """Return the database behind a connection, told by the module that its driver lives in.

    :param placeholder: of a driver that is not known here.
    """
    modules = {kind.__module__.partition(".")[0].lstrip("_") for kind in type(connection).__mro__}
    if modules & {"psycopg", "psycopg2"}:
        return PostgreSQL(connection, "%s", stop)
    if "sqlite3" in modules:
        return SQLite(connection, "?", stop)
    if "duckdb" in modules:
        return DuckDB(connection, "?", stop)
    return Database(connection, placeholder, stop)


class _Readable:
    """Chunks as a file that psycopg2 reads."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, memoryview(b"")
        self.error: Exception | None = None

    def read(self, size: int) -> bytes:
        """Return some bytes; none at the end."""
        while not self._rest:
            try:
                chunk = next(self._chunks, None)
            except Exception as error:
                self.error = error
                raise
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        given, self._rest = self._rest[:size], self._rest[size:]
        return bytes(given)


def _as_csv(batch: Any) -> bytes:
    """Return rows as COPY reads them: null is nothing, and an empty text a pair of quotes."""
    _, pa = libraries()
    options = pa.csv.WriteOptions(include_header=False, quoting_style="needed")
    sink = pa.BufferOutputStream()
    pa.csv.write_csv(batch, sink, options)
    return bytes(memoryview(sink.getvalue()))

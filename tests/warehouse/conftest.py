"""Databases to load into: SQLite and DuckDB in files, PostgreSQL from a server that is started once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import psycopg2  # type: ignore[import-untyped]
import pytest

from airflow_provider_openclinica.engine.tablereader import read_tables
from airflow_provider_openclinica.engine.warehouse.databases import Database, database_of
from airflow_provider_openclinica.engine.warehouse.load import How, Loaded, load
from tests.postgres import postgres_folder, running_postgres
from tests.warehouse.sets import LocalFiles

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

    Rows = list[dict[str, Any]]

KINDS = ("sqlite", "duckdb", "psycopg", "psycopg2", "plain")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Start PostgreSQL and give the address of its database."""
    with postgres_folder() as folder, running_postgres(folder) as address:
        yield address


@pytest.fixture
def postgres_schema(postgres: str) -> Iterator[str]:
    """Give the address of PostgreSQL, whose schema is empty."""
    yield postgres
    with psycopg.connect(postgres) as connection:
        connection.execute("SET lock_timeout = '20s'")  # a connection that was left open is no reason to wait for ever
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


@dataclass
class Warehouse:
    """A database, and how this test reads it."""

    kind: str
    address: str
    tmp_path: Path
    loads: int = field(default=0)

    def connect(self) -> Any:
        """Connect to it."""
        return connected(self.kind, self.address)

    def database(self, connection: Any, stop: threading.Event | None = None) -> Database:
        """Return what loads into it."""
        return Database(connection, "?", stop) if self.kind == "plain" else database_of(connection, stop=stop)

    def load(self, folder: str, stop: threading.Event | None = None, **how: Any) -> Loaded:
        """Load a set."""
        files = LocalFiles()
        if isinstance(how.get("tables"), list):
            how["tables"] = frozenset(how["tables"])
        self.loads += 1
        scratch = self.tmp_path / f"scratch{self.loads}"
        scratch.mkdir()
        with closing(self.connect()) as connection:
            return load(files, read_tables(files, folder), self.database(connection, stop), How(**how), scratch)

    def execute(self, sql: str) -> None:
        """Run a statement of the test's own."""
        with closing(self.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(sql)
            connection.commit()

    def rows(self, table: str) -> Rows:
        """Return what a reader sees in a table."""
        with closing(self.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(f"SELECT * FROM {table}")  # noqa: S608
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def connected(kind: str, address: str) -> Any:
    """Connect to a database."""
    drivers = {"psycopg": psycopg.connect, "psycopg2": psycopg2.connect, "duckdb": duckdb.connect}
    return drivers.get(kind, sqlite3.connect)(address)


@pytest.fixture(params=KINDS)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    """Each database, one after the other, empty; PostgreSQL over both its drivers."""
    kind = str(request.param)
    is_postgres = kind in ("psycopg", "psycopg2")
    address = request.getfixturevalue("postgres_schema") if is_postgres else str(tmp_path / f"warehouse.{kind}")
    return Warehouse(kind, address, tmp_path)

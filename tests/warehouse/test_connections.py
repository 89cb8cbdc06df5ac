"""What a connection may be set to do otherwise, and must not matter: commits, kinds of rows, encodings, names."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
import psycopg2  # type: ignore[import-untyped]
import psycopg2.extras  # type: ignore[import-untyped]
import pytest
from psycopg.rows import dict_row

from airflow_provider_openclinica.engine.tablereader import read_tables
from airflow_provider_openclinica.engine.warehouse.databases import database_of
from airflow_provider_openclinica.engine.warehouse.load import How, Loaded, load
from airflow_provider_openclinica.errors import WaitInterruptedError
from tests.warehouse.sets import LocalFiles, at, full, item, participant, publish, values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.warehouse.conftest import Warehouse

ONE = {"participants": [participant("A")], "items": [item("A", "I_1", "1")]}
TWO = {"participants": [participant("A")], "items": [item("A", "I_1", "2")]}

pytestmark = pytest.mark.parametrize("warehouse", ["psycopg", "psycopg2"], indirect=True)


def loaded(connection: Any, folder: str, scratch: Path, stop: threading.Event | None = None, **how: Any) -> Loaded:
    """Load a set over a connection, and close it."""
    scratch.mkdir()
    with closing(connection):
        published = read_tables(LocalFiles(), folder)
        return load(LocalFiles(), published, database_of(connection, stop=stop), How(**how), scratch)


def test_a_connection_that_commits_each_statement_loads_all_or_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.load(publish(tmp_path / "1", ONE, full(at(1))))
    connection = warehouse.connect()
    connection.autocommit = True
    asked: list[None] = []

    class Stop(threading.Event):
        def is_set(self) -> bool:
            asked.append(None)
            return len(asked) == 2  # the stale row is deleted by then

    with pytest.raises(WaitInterruptedError):
        loaded(connection, publish(tmp_path / "2", TWO, full(at(2))), tmp_path / "scratch", Stop())

    assert values(warehouse.rows("items")) == values(ONE["items"])


def test_a_connection_whose_rows_are_dictionaries_is_read_all_the_same(warehouse: Warehouse, tmp_path: Path) -> None:
    def connection() -> Any:
        if warehouse.kind == "psycopg":
            return psycopg.connect(warehouse.address, row_factory=dict_row)
        return psycopg2.connect(warehouse.address, cursor_factory=psycopg2.extras.RealDictCursor)

    loaded(connection(), publish(tmp_path / "1", ONE, full(at(1))), tmp_path / "scratch1")
    second = loaded(connection(), publish(tmp_path / "2", TWO, full(at(2))), tmp_path / "scratch2")

    assert second.tables["items"].changed == 1


def test_a_schema_may_have_a_percent_sign_in_its_name(warehouse: Warehouse, tmp_path: Path) -> None:
    schema = '100%s "sure"'
    quoted = '"100%s ""sure"""'
    warehouse.execute(f"CREATE SCHEMA {quoted}")
    try:
        loaded(warehouse.connect(), publish(tmp_path / "1", ONE, full(at(1))), tmp_path / "scratch", schema=schema)
        assert len(warehouse.rows(f"{quoted}.openclinica_loads")) == 2
    finally:
        warehouse.execute(f"DROP SCHEMA {quoted} CASCADE")


@pytest.fixture
def in_latin_1(warehouse: Warehouse) -> Iterator[str]:
    """Give the address of a database that keeps its texts in ISO 8859-1."""
    with psycopg.connect(warehouse.address, autocommit=True) as connection:
        connection.execute("CREATE DATABASE western ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    yield warehouse.address.replace("/postgres?", "/western?")
    with psycopg.connect(warehouse.address, autocommit=True) as connection:
        connection.execute("DROP DATABASE western WITH (FORCE)")


def test_a_database_in_another_encoding_gets_the_text_that_was_meant(
    warehouse: Warehouse, in_latin_1: str, tmp_path: Path
) -> None:
    western = type(warehouse)(warehouse.kind, in_latin_1, tmp_path)

    western.load(publish(tmp_path / "1", {"items": [item("A", "I_1", "Größe")]}, full(at(1))))

    assert values(western.rows("items")) == [("A", "I_1", "Größe")]

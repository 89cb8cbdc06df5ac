"""Published tables, read: manifests, keys, and rows of the same keys."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from airflow_provider_openclinica.engine.increments import Covers
from airflow_provider_openclinica.engine.rowkeys import ORDINAL, keys_of, numbered, repeats
from airflow_provider_openclinica.engine.tablereader import local_copy, read_tables
from airflow_provider_openclinica.engine.tables import TABLES, WIDE, table_columns
from airflow_provider_openclinica.errors import FileError, FileUnavailableError
from tests.warehouse.sets import LocalFiles, at, changes, full, item, participant, publish

FILES = LocalFiles()


def test_a_set_says_what_it_holds_and_whose_data(tmp_path: Path) -> None:
    folder = publish(tmp_path, {"items": [item("A", "I_1", "1")], "item_group=IG_X": []}, changes(at(1), at(2)))

    found = read_tables(FILES, folder.rstrip("/"))

    assert (found.folder, found.format, found.study_oid) == (folder, "parquet", "S_JUNO")
    assert found.covers == Covers(since=at(1), until=at(2))
    assert [(table.name, table.family, table.rows) for table in found.tables] == [
        ("items", "items", 1),
        ("item_group=IG_X", "wide", 0),
    ]
    assert found.tables[0].columns == tuple(column.name for column in table_columns("items"))
    assert local_copy(FILES, found.tables[0], tmp_path).read_bytes() == Path(found.tables[0].uri).read_bytes()
    assert found.table("participants") is None


@pytest.mark.parametrize(
    ("left_out", "told", "tables"),
    [
        pytest.param(["queries", "audit"], {"queries", "audit"}, ["items"], id="both"),
        pytest.param(["audit"], {"audit"}, ["items", "queries"], id="audit-trail"),
        pytest.param([], set(), ["items", "queries", "audit"], id="nothing"),
        pytest.param(None, None, ["items", "queries", "audit"], id="nobody-knows"),
    ],
)
def test_a_table_that_the_pull_did_not_ask_for_is_none_of_the_set(
    tmp_path: Path, left_out: list[str] | None, told: set[str] | None, tables: list[str]
) -> None:
    found = read_tables(FILES, publish(tmp_path, {"items": [], "queries": [], "audit": []}, left_out=left_out))

    assert found.left_out == told
    assert [table.name for table in found.tables] == tables


@pytest.mark.parametrize(
    "covers",
    [
        {"participants": "all"},
        {"participants": "some", "since": None, "until": "2026-03-01T05:00:00Z"},
        {"participants": "changed", "since": None, "until": "2026-03-01T05:00:00Z"},
        {"participants": "all", "since": "2026-03-01T05:00:00Z", "until": "2026-03-01T05:00:00Z"},
        {"participants": "all", "since": None, "until": "2026-03-01T05:00:00"},
        {"participants": "all", "since": None, "until": "yesterday"},
        "all",
    ],
)
def test_what_cannot_be_said_of_a_set_is_no_manifest(tmp_path: Path, covers: Any) -> None:
    with pytest.raises(FileError, match="is no manifest of tables"):
        read_tables(FILES, publish(tmp_path, {}, covers))


@pytest.mark.parametrize(
    "change",
    [
        {"written_as": "openclinica-pull-1"},
        {"tables": [{"table": "items", "file": "../items.parquet", "rows": 1, "sha256": "0" * 64, "columns": []}]},
        {"tables": [{"table": "items"}]},
        {"tables": None},
    ],
)
def test_a_manifest_of_something_else_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    folder = publish(tmp_path, {"items": []}, full(at(1)))
    path = tmp_path / "_manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    with pytest.raises(FileError, match="is no manifest of tables"):
        read_tables(FILES, folder)


def test_a_folder_without_tables_is_worth_a_retry(tmp_path: Path) -> None:
    with pytest.raises(FileUnavailableError):
        read_tables(FILES, str(tmp_path))


def test_each_table_has_keys_among_its_columns() -> None:
    for table in (*(name for name in TABLES if name != WIDE), "item_group=IG_X"):
        keys = keys_of(table)
        assert keys
        assert "participant_id" not in keys
        assert ORDINAL not in keys


@pytest.mark.parametrize("reverse", [False, True])
def test_rows_of_the_same_keys_are_numbered_by_what_they_say(tmp_path: Path, reverse: bool) -> None:
    rows = [
        item("A", "I_1", "only"),
        item("A", "I_2", "live"),
        item("A", "I_2", "archived", archived=True),
        item("A", "I_2", "removed", removed=True),
        item("B", "I_2", "other"),
    ]
    table = read_tables(FILES, publish(tmp_path, {"items": rows[::-1] if reverse else rows}, full(at(1)))).tables[0]
    relation = f"read_parquet('{table.uri}')"

    with closing(duckdb.connect()) as connection:
        ((repeated,),) = connection.execute(repeats(relation, "items")).fetchall()
        query = f"SELECT value, {ORDINAL} FROM ({numbered(relation, 'items', table.columns)})"  # noqa: S608
        found = dict(connection.execute(query).fetchall())

    assert repeated
    assert found == {"only": 1, "live": 1, "archived": 2, "removed": 3, "other": 1}


def test_a_table_without_such_rows_is_told_by_one_look(tmp_path: Path) -> None:
    table = read_tables(FILES, publish(tmp_path, {"participants": [participant("A"), participant("B")]})).tables[0]

    with closing(duckdb.connect()) as connection:
        assert connection.execute(repeats(f"read_parquet('{table.uri}')", "participants")).fetchall() == [(False,)]

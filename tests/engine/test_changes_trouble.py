"""Comparisons that cannot be: files that are no tables, and a worker without room. What is said then quotes nobody."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from airflow_provider_openclinica.engine import changes as engine
from airflow_provider_openclinica.engine.changes import Comparison, room
from airflow_provider_openclinica.engine.tablereader import read_tables
from airflow_provider_openclinica.errors import FileError, FileUnavailableError
from tests.fulldisk import largest_file
from tests.warehouse.sets import LocalFiles, item, publish

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_openclinica.engine.tablereader import PublishedTables


def compare(folder: Path, before: PublishedTables, after: PublishedTables) -> int:
    """Compare the items, and return how many changes there are."""
    with Comparison(LocalFiles(), folder, threading.Event()) as comparison:
        return sum(len(batch["table"]) for batch in comparison.compare("items", before, after))


def truncated(path: Path) -> bytes:
    return path.read_bytes()[:-100]


def garbled(path: Path) -> bytes:
    whole = path.read_bytes()
    return whole[:4] + whole[4:-100].swapcase() + whole[-100:]


def with_other_columns(path: Path) -> bytes:
    return rewritten(path, "SELECT value AS oid, 1 AS number FROM source")


def with_keys_of_another_type(path: Path) -> bytes:
    return rewritten(path, "SELECT * REPLACE (1::BIGINT AS item_group_repeat_key) FROM source")


def in_latin_1(path: Path) -> bytes:
    """DuckDB's own error quotes the value."""
    table, written = pq.read_table(path), path.with_name("new.parquet")
    values = pa.array([cell.as_py().encode("latin-1") for cell in table["value"]], pa.binary())
    as_text = pa.Array.from_buffers(pa.string(), len(values), values.buffers())
    pq.write_table(table.set_column(table.column_names.index("value"), "value", as_text), written)
    return written.read_bytes()


def rewritten(path: Path, query: str) -> bytes:
    written = path.with_name("new.parquet")
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW source AS SELECT * FROM read_parquet('{path}')")  # noqa: S608 - our own path
        connection.execute(f"COPY ({query}) TO '{written}' (FORMAT parquet)")
    return written.read_bytes()


def make_otherwise(folder: Path, how: Callable[[Path], bytes]) -> None:
    """Put another file in the place of a set's only one, and let the manifest say that it is the right one."""
    manifest = json.loads((folder / "_manifest.json").read_text())
    (entry,) = manifest["tables"]
    content = how(folder / entry["file"])
    digest = hashlib.sha256(content).hexdigest()
    entry |= {"file": f"items/part-{digest[:16]}.parquet", "sha256": digest}
    (folder / entry["file"]).write_bytes(content)
    (folder / "_manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "how",
    [
        truncated,
        garbled,
        with_other_columns,
        with_keys_of_another_type,
        in_latin_1,
        pytest.param(lambda _: b"", id="of-nothing"),
        pytest.param(lambda _: b"item_oid,value\n" * 9, id="of-another-format"),
    ],
)
def test_a_file_that_is_no_table_is_named_and_not_quoted(tmp_path: Path, how: Callable[[Path], bytes]) -> None:
    key = {"item_group_repeat_key": "told by nobody"}
    before, after = (
        publish(tmp_path / side, {"items": [item("P1", "I_PULSE", f"é by nobody {side}", **key)]})
        for side in ("before", "after")
    )
    make_otherwise(tmp_path / "after", how)
    tables = [read_tables(LocalFiles(), folder) for folder in (before, after)]
    with pytest.raises(FileError, match=r"cannot be read: it is damaged, .*\(DuckDB raised \w+\)") as caught:
        compare(tmp_path, *tables)
    assert " or ".join(side.tables[0].uri for side in tables) in str(caught.value)
    assert (caught.value.study, caught.value.__suppress_context__) == ("S_JUNO", True)
    assert "by nobody" not in str(caught.value)


@pytest.fixture(scope="module")
def different(tmp_path_factory: pytest.TempPathFactory) -> list[PublishedTables]:
    """Two sets of which every row is another one."""
    folder = tmp_path_factory.mktemp("different")
    sides: list[PublishedTables] = []
    for side in ("before", "after"):
        rows = [item(f"P{number}", "I_A", f"{side} {number * 7919}") for number in range(50_000)]
        sides.append(read_tables(LocalFiles(), publish(folder / side, {"items": rows})))
    return sides


@pytest.mark.parametrize(
    ("megabytes", "file_size", "is_occupied", "why"),
    [
        pytest.param(1, -1, False, "OutOfMemoryException", id="memory"),
        pytest.param(80, -1, True, "IOException", id="no-temporary-folder"),
        pytest.param(80, 1 << 20, False, "IOException", id="a-full-temporary-folder"),
        pytest.param(80, 99_999, False, "File too large", id="no-room-for-the-copies"),
    ],
)
def test_where_there_is_no_room_that_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    different: list[PublishedTables],
    megabytes: int,
    file_size: int,
    is_occupied: bool,
    why: str,
) -> None:
    monkeypatch.setattr(engine, "MEMORY", megabytes)
    monkeypatch.setattr(engine, "MEMORY_OF_COLUMN", 0)
    if is_occupied:
        (tmp_path / "duckdb").write_text("no folder")
    with (
        pytest.raises(
            FileUnavailableError, match=rf"no room on this worker .*{why}.*study S_JUNO.* Let TMPDIR"
        ) as caught,
        room("S_JUNO"),
        largest_file(file_size),
    ):
        compare(tmp_path, *different)
    assert caught.value.__suppress_context__
    assert caught.value.retry


def test_a_full_disk_is_told_from_other_trouble() -> None:
    with pytest.raises(FileUnavailableError, match="No space left"), room(None), Path("/dev/full").open("w") as file:
        file.write("a change")
    with pytest.raises(IsADirectoryError), room(None):
        Path("/dev").read_text()

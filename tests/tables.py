"""Published tables, read back."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from pathlib import Path

    Rows = list[dict[str, Any]]


def manifest_of(folder: Path) -> dict[str, Any]:
    """Read the manifest of tables."""
    found: dict[str, Any] = json.loads((folder / "_manifest.json").read_text())
    return found


def part_of(folder: Path, table: str) -> Path:
    """Return the file of a table."""
    (name,) = [each["file"] for each in manifest_of(folder)["tables"] if each["table"] == table]
    return folder / str(name)


def rows_in(path: Path) -> Rows:
    """Return the rows of a file."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    if path.suffix in (".json", ".ndjson"):
        header, rows = dataset_in(path)
        names = [column["name"] for column in header["columns"]]
        return [dict(zip(names, row, strict=True)) for row in rows]
    found: Rows = pq.read_table(path).to_pylist()
    return found


def dataset_in(path: Path) -> tuple[dict[str, Any], list[list[Any]]]:
    """Return the header of a dataset, in either form of Dataset-JSON, and its rows."""
    if path.suffix == ".json":
        header = json.loads(path.read_bytes())
        return header, header.pop("rows")
    header, *rows = (json.loads(line) for line in path.read_bytes().removesuffix(b"\n").split(b"\n"))
    return header, rows


def table(folder: Path, name: str) -> Rows:
    """Return the rows of a table."""
    return rows_in(part_of(folder, name))


def files_in(folder: Path) -> set[str]:
    """Return the files of a folder and of those in it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

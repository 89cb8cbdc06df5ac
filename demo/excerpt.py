"""Show a few rows of the demo study's tables, as ``docs/tables.md`` does: ``python -m demo.excerpt``."""

from __future__ import annotations

import csv
import tempfile
from itertools import islice
from pathlib import Path

from airflow_provider_openclinica import odm
from airflow_provider_openclinica.engine.tables import Tables
from demo.study import exported

#: Table -> the columns to show of it, more than which no page has room for.
COLUMNS = {
    "items": ("participant_id", "study_event_oid", "item_group_repeat_key", "item_oid", "value"),
    "item_group=IG_LABS_RESULTS": (
        *("participant_id", "study_event_oid", "item_group_repeat_key"),
        *("I_LABS_TEST", "I_LABS_VALUE", "I_LABS_UNIT", "I_LABS_FLAG"),
    ),
}


ROWS = {"items": 4, "item_group=IG_LABS_RESULTS": 3}


def excerpts(export: bytes) -> dict[str, str]:
    """Return the first results of a sample, from each table, as text in columns."""
    with tempfile.TemporaryDirectory() as folder:
        with Tables(Path(folder), "csv", odm.read_metadata([export])) as tables:
            tables.add([export])
        paths = {built.name: built.path for built in tables.built}
        return {name: _excerpt(paths[name], columns, ROWS[name]) for name, columns in COLUMNS.items()}


def _excerpt(path: Path, columns: tuple[str, ...], count: int) -> str:
    with path.open(encoding="utf-8", newline="") as file:
        results = (row for row in csv.DictReader(file) if row["item_group_oid"] == "IG_LABS_RESULTS")
        rows = [columns, *([row[column] for column in columns] for row in islice(results, count))]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


if __name__ == "__main__":
    for name, text in excerpts(exported()).items():
        print(f"{name}\n\n{text}\n")

"""Sets of tables as OpenClinicaToTablesOperator publishes them, made of a few rows."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_provider_openclinica.engine.columns import Column
from airflow_provider_openclinica.engine.tablefiles import ParquetFile
from airflow_provider_openclinica.engine.tables import table_columns
from airflow_provider_openclinica.engine.wide import KEYS
from airflow_provider_openclinica.errors import FileUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    Row = dict[str, Any]

WEIGHT = [Column("I_WEIGHT", float), Column("I_WEIGHT_text", str)]
EMPTY: dict[type, Any] = {str: "", bool: False, int: 0, float: 0.0}


class LocalFiles:
    """Files of this machine, to read."""

    def create(self, uri: str) -> AbstractContextManager[BinaryIO]:
        raise AssertionError(f"what only reads has written {uri}")

    def open(self, uri: str) -> BinaryIO:
        try:
            return Path(uri).open("rb")
        except OSError as error:
            raise FileUnavailableError(f"{uri} cannot be opened") from error


def at(hour: int, day: int = 1) -> datetime:
    """Return a moment of a month that all tests share."""
    return datetime(2026, 3, day, hour, tzinfo=UTC)


def full(until: datetime) -> dict[str, Any]:
    """Return what the manifest of a full pull says."""
    return {"participants": "all", "since": None, "until": until.isoformat()}


def changes(since: datetime, until: datetime) -> dict[str, Any]:
    """Return what the manifest of an incremental pull says."""
    return {"participants": "changed", "since": since.isoformat(), "until": until.isoformat()}


def columns_of(table: str, items: Sequence[Column] = ()) -> list[Column]:
    """Return the columns of a table; ``items`` are those of a wide one."""
    return [*KEYS, *items] if table.startswith("item_group=") else table_columns(table)


def publish(
    folder: Path,
    tables: Mapping[str, Sequence[Row]],
    covers: Mapping[str, Any] | None = None,
    *,
    study_oid: str | None = "S_JUNO",
    items: Sequence[Column] = WEIGHT,
    left_out: Sequence[str] | None = None,
) -> str:
    """Write a set, and return its folder. What a row does not say is empty.

    :param left_out: tables that the pull did not ask for; None: the manifest does not say.
    """
    entries = []
    for name, rows in tables.items():
        columns = columns_of(name, items)
        path = folder / "new.parquet"
        folder.mkdir(parents=True, exist_ok=True)
        file = ParquetFile(path, columns)
        if rows:
            file.write({c.name: [_cell(row, c) for row in rows] for c in columns})
        file.close()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        part = f"{name}/part-{digest[:16]}.parquet"
        (folder / part).parent.mkdir(exist_ok=True)
        path.rename(folder / part)
        entries.append(
            {
                "table": name,
                "file": part,
                "rows": len(rows),
                "size": (folder / part).stat().st_size,
                "sha256": digest,
                "columns": [column.name for column in columns],
            }
        )
    manifest: dict[str, Any] = {
        "written_as": "openclinica-tables-1",
        "format": "parquet",
        "study_oid": study_oid,
        "covers": covers,
        "tables": entries,
    }
    if left_out is not None:
        manifest["left_out"] = list(left_out)
    (folder / "_manifest.json").write_text(json.dumps(manifest))
    return f"{folder}/"


def _cell(row: Row, column: Column) -> Any:
    if column.name in row:
        return row[column.name]
    return None if column.nullable else EMPTY[column.kind]


def participant(key: str, **others: Any) -> Row:
    """Return a row of ``participants``."""
    return {"study_oid": "S_JUNO", "subject_key": f"SS_{key}", "participant_id": key, "status": "Available", **others}


def item(key: str, oid: str, value: str | None, **others: Any) -> Row:
    """Return a row of ``items``."""
    return {
        **participant(key),
        "study_event_oid": "SE_DAY1",
        "study_event_repeat_key": "1",
        "form_oid": "F_VITALS",
        "form_repeat_key": "1",
        "item_group_oid": "IG_VITALS",
        "item_group_repeat_key": "1",
        "item_oid": oid,
        "value": value,
        **others,
    }


def weight(key: str, kilos: float | None, **others: Any) -> Row:
    """Return a row of the wide table of vital signs."""
    return {**item(key, "", None), "I_WEIGHT": kilos, **others}


def query(key: str, oid: str, **others: Any) -> Row:
    """Return a row of ``queries``."""
    return {**participant(key), "level": "item", "query_id": oid, "note_id": None, "note_number": 0, **others}


def values(rows: Iterator[Row] | Sequence[Row]) -> list[tuple[str, str, str | None]]:
    """Return whose item has which value."""
    return sorted((row["participant_id"], row["item_oid"], row["value"]) for row in rows)

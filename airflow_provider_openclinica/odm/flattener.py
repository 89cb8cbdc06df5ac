"""Make tidy tables of an ODM export: rows as dicts, with the same columns in every run (docs/tables.md).

    flatten(source)     (table, row), in document order and constant memory
    COLUMNS             table -> column -> type of its values

Key columns are never None, so they can be joined on; every other text that an export leaves out is None. Beside each
date stands the same column with ``_parsed`` behind its name.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.odm.reader import KEYS, rows
from airflow_provider_openclinica.odm.records import TABLES
from airflow_provider_openclinica.odm.values import moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_openclinica.odm.repair import Repairs
    from airflow_provider_openclinica.odm.subjects import Source

DATES = {
    "participants": ("date_of_birth", "enrollment_date"),
    "events": ("start_date", "end_date"),
    "forms": ("interview_date", "created_at", "updated_at"),
    "item_groups": (),
    "items": (),
    "queries": ("opened_at", "note_created_at"),
    "audit": ("timestamp",),
}
NEVER_NONE = frozenset({*KEYS, "form_layout_oid", "level", "value"})  #: an empty value is a value
TYPES: dict[str, type] = {"str": str, "str | None": str, "bool": bool, "int": int}


def _columns(table: str) -> dict[str, type]:
    said = {field.name: TYPES[str(field.type)] for field in fields(TABLES[table])}  # type: ignore[arg-type]
    return {**said, **{f"{column}_parsed": datetime for column in DATES[table]}}


#: Table -> column -> type of its values, each of which may be None unless it is a key, a flag or a number.
COLUMNS: dict[str, dict[str, type]] = {table: _columns(table) for table in TABLES}
_OPTIONAL = {
    table: tuple(name for name, kind in columns.items() if kind is str and name not in NEVER_NONE)
    for table, columns in COLUMNS.items()
}


def flatten(
    source: Source, *, charset: str = "", repairs: Repairs | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (table, row) for all that a document says, in its order.

    The tables are those of ``COLUMNS``. Removed and archived data are flagged, not dropped: the same keys may come
    twice, once removed.

    :param source: a path, an open file, or anything that yields bytes, such as the chunks of an answer.
    :param charset: of the answer's ``Content-Type`` header; empty for a file.
    :param repairs: is told what had to be mended, as it happens.
    :raises FileError: it is no ODM 1.3, or is broken; what came before the break has been yielded.
    """
    for table, row in rows(source, charset=charset, repairs=repairs):
        yield table, tidy(table, row)


def tidy(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """Make a row of ``reader.rows`` one of ``flatten``; it is changed where it stands."""
    for column in DATES[table]:
        row[f"{column}_parsed"] = moment(row[column])
    for column in _OPTIONAL[table]:
        if not row[column]:
            row[column] = None
    return row

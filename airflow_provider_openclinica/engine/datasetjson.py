"""CDISC Dataset-JSON 1.1, and its NDJSON form: a dataset a table, with what its columns mean before the rows.

    RowsFile(path, columns, format)        the rows, batch by batch, into a file of this machine
    framed(table, keys, format, told)      what has to stand before and behind them: a Frame

The header says how many rows follow, so it is made when all are written, and joined with them as they are published.
It begins with the moment of its making, all else in it depends on the data alone: ``Frame.head_of("")`` is the same for
the same data.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica import __version__
from airflow_provider_openclinica.odm.itemcolumns import Runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from airflow_provider_openclinica.engine.columns import Batch, Built, Column

#: Format -> how its files are called.
SUFFIXES = {"dataset-json": "json", "ndjson": "ndjson"}
VERSION = "1.1.0"
SOURCE = {"name": "airflow-provider-openclinica", "version": __version__}
#: The standard's word for a type. A ``float`` is a JSON number that 64 bits hold, which it calls double.
DATA_TYPES = {str: "string", bool: "boolean", int: "integer", float: "double", date: "date", datetime: "datetime"}
ABBREVIATED = {"id": "ID", "oid": "OID", "sdv": "SDV"}
PARSED = "_parsed"

_as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
#: What writes a value that is not None. json's own way for anything but text takes four times as long.
_WRITERS: dict[type, Callable[[Any], str]] = {
    str: _as_json,
    bool: lambda value: "true" if value else "false",
    int: str,
    float: repr,  # the shortest text that is read as the same number
    date: lambda value: f'"{value.isoformat()}"',
    datetime: lambda value: f'"{value.isoformat()}"',
}


class RowsFile:
    """Rows alone, an array of values each: what stands between a head and a tail of ``framed``."""

    def __init__(self, path: Path, columns: list[Column], format: str) -> None:  # noqa: A002 - as everywhere
        self._columns = columns
        self._file = path.open("w", encoding="utf-8", newline="\n")
        self._before, self._between = "", "\n" if format == "ndjson" else ",\n"

    def write(self, batch: Batch) -> None:
        """Write some rows."""
        cells = [_texts(batch[column.name], _WRITERS[column.kind]) for column in self._columns]
        for row in zip(*cells, strict=True):
            self._file.write(f"{self._before}[{','.join(row)}]")
            self._before = self._between

    def close(self) -> None:
        """End the file."""
        self._file.close()


def _texts(values: Iterable[Any], write: Callable[[Any], str]) -> Iterator[str]:
    """Yield values as JSON; one that comes many times in a row is written once."""
    if isinstance(values, Runs):
        texts = zip(_texts(values.values, write), values.lengths, strict=True)
        return chain.from_iterable(repeat(text, length) for text, length in texts)
    return ("null" if value is None else write(value) for value in values)


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands before the rows of a file, and what behind them."""

    header: Mapping[str, Any]
    is_lines: bool

    def head_of(self, created: str) -> bytes:
        """Return what stands before the rows of a file that was made then.

        :param created: ISO 8601, or empty for a head that nobody gets to see.
        """
        header = _as_json({"datasetJSONCreationDateTime": created, **self.header})
        if self.is_lines:
            return f"{header}\n".encode()
        # A brace that stands alone in the first line: readers that guess the form do not take it for NDJSON.
        return f'{{\n{header[1:-1]},\n"rows":[\n'.encode()

    @property
    def tail(self) -> bytes:
        """What stands behind the rows."""
        if self.is_lines:
            return b"\n" if self.header["records"] else b""
        return b"\n]}\n"


def framed(table: Built, keys: Sequence[str], format: str, told: Mapping[str, Any]) -> Frame:  # noqa: A002 - as everywhere
    """Return what goes around the rows of a table whose file is complete.

    :param keys: the columns that say which row is which, in their order.
    :param told: ``study_oid`` and ``metadata_version_oid`` are taken from it, where they are there.
    """
    name = table.oid or table.name
    header = {
        "datasetJSONVersion": VERSION,
        "sourceSystem": SOURCE,
        "studyOID": told.get("study_oid"),
        "metaDataVersionOID": told.get("metadata_version_oid"),
        "itemGroupOID": table.oid or f"IG.{name}",
        "records": table.rows,
        "name": name,
        "label": table.label or table.oid or _in_words(name),
        "columns": _columns(name, table.columns, keys),
    }
    return Frame({word: value for word, value in header.items() if value not in (None, "")}, format == "ndjson")


def _columns(dataset: str, columns: Sequence[Column], keys: Sequence[str]) -> list[dict[str, Any]]:
    told = [
        {
            "itemOID": column.item_oid or f"IT.{dataset}.{column.name}",
            "name": column.name,
            "label": column.label or _in_words(column.name),
            "dataType": DATA_TYPES[column.kind],
            "length": column.length,
            "keySequence": keys.index(column.name) + 1 if column.name in keys else None,
        }
        for column in columns
    ]
    return [{word: value for word, value in column.items() if value is not None} for column in told]


def _in_words(name: str) -> str:
    """Return what a name says: ``Study event OID``, ``Created at, parsed``."""
    plain = name.removesuffix(PARSED)
    first, *others = [ABBREVIATED.get(word, word) for word in plain.split("_")]
    return " ".join([first[:1].upper() + first[1:], *others]) + (", parsed" if plain != name else "")


def now() -> str:
    """Return the moment as a header has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")

"""Write tables to files on this machine, batch by batch: Parquet with pyarrow (extra ``tables``), CSV, Dataset-JSON.

    writer_of("parquet")(path, columns)    then write(batch) as often as there is one, then close()

A table's columns are fixed when its file is begun, so a table without a row has them too. Memory holds a batch, which
becomes a row group of its own. What stands around the rows of Dataset-JSON comes with publishing (``datasetjson``).
"""

from __future__ import annotations

import csv
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.engine.datasetjson import SUFFIXES, RowsFile
from airflow_provider_openclinica.errors import ConfigurationError
from airflow_provider_openclinica.odm.itemcolumns import Parts, Runs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_openclinica.engine.columns import Batch, Column, TableFile

FORMATS = ("parquet", "csv", *SUFFIXES)


def writer_of(format: str) -> Callable[[Path, list[Column]], TableFile]:  # noqa: A002 - the word that everybody has
    """Return what begins a file of that format.

    :raises ConfigurationError: there is no such format, or what writes it is not installed.
    """
    if format not in FORMATS:
        raise ConfigurationError("format is none of 'parquet', 'csv', 'dataset-json' and 'ndjson'")
    if format == "csv":
        return CsvFile
    if format in SUFFIXES:
        return partial(RowsFile, format=format)
    _pyarrow()
    return ParquetFile


def _pyarrow() -> Any:
    """Import pyarrow, which only who writes Parquet needs to have.

    :raises ConfigurationError: it is not installed.
    """
    try:
        import pyarrow  # type: ignore[import-untyped]
        import pyarrow.compute  # type: ignore[import-untyped]
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigurationError(
            "Parquet is written with pyarrow, which is not installed",
            next_step="Install airflow-provider-openclinica[tables] on the workers, or write format='csv'.",
        ) from error
    return pyarrow


class CsvFile:
    """CSV in UTF-8, quoted where it has to be; None is empty, times are ISO 8601, flags ``true`` and ``false``."""

    def __init__(self, path: Path, columns: list[Column]) -> None:
        self._names = [column.name for column in columns]
        self._file = path.open("w", encoding="utf-8", newline="")
        self._csv = csv.writer(self._file)  # ends lines in CR LF; with another end it would not quote a CR in a value
        self._csv.writerow(self._names)
        self._converted = [column.name for column in columns if column.kind in (bool, datetime, date)]

    def write(self, batch: Batch) -> None:
        """Write some rows."""
        written = {name: map(_as_text, batch[name]) if name in self._converted else batch[name] for name in self._names}
        self._csv.writerows(zip(*written.values(), strict=True))

    def close(self) -> None:
        """End the file."""
        self._file.close()


def _as_text(value: bool | date | datetime | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value.isoformat()


class ParquetFile:
    """Parquet, compressed with zstd; each batch is a row group."""

    def __init__(self, path: Path, columns: list[Column]) -> None:
        pa = _pyarrow()
        self._fields = [pa.field(c.name, _arrow_type(c), nullable=c.nullable) for c in columns]
        # Without Arrow's own schema in the file, columns of runs are read back as what they hold.
        self._parquet = pa.parquet.ParquetWriter(
            path, pa.schema(self._fields), compression="zstd", store_schema=False, write_page_index=False
        )

    def write(self, batch: Batch) -> None:
        """Write some rows as a row group."""
        pa = _pyarrow()
        schema = pa.schema(self._fields)
        ends: dict[int, Any] = {}
        arrays = [_array(batch[field.name], field.type, ends) for field in self._fields]
        self._parquet.write_batch(pa.record_batch(arrays, schema=schema))

    def close(self) -> None:
        """End the file."""
        self._parquet.close()


def _arrow_type(column: Column) -> Any:
    pa = _pyarrow()
    types = {
        str: pa.string(),
        bool: pa.bool_(),
        int: pa.int64(),
        float: pa.float64(),
        date: pa.date32(),
        datetime: pa.timestamp("us"),
    }
    plain = types[column.kind]
    return pa.dictionary(pa.int32(), plain) if column.repeats and column.kind is str else plain


def _array(values: list[Any] | Parts | Runs, kind: Any, ends_of: dict[int, Any]) -> Any:
    """Make an Arrow array; runs are not taken apart, their values are numbered and the numbers repeated in C.

    :param ends_of: identity of a list of lengths, which columns of a batch share -> where those runs end.
    """
    pa = _pyarrow()
    if isinstance(values, Parts):
        parts = (
            pa.array(part, kind.value_type).dictionary_encode() if isinstance(part, list) else part
            for part in values.parts
        )
        return pa.concat_arrays(parts)
    if not isinstance(values, Runs):
        return pa.array(values, kind)
    if not values.values:
        return pa.nulls(0, kind)
    ends = ends_of.get(id(values.lengths))
    if ends is None:
        ends = ends_of[id(values.lengths)] = pa.compute.cumulative_sum(pa.array(values.lengths, pa.int32()))
    if not pa.types.is_dictionary(kind):
        return _repeated(ends, pa.array(values.values, kind))
    numbered = pa.array(values.values, kind.value_type).dictionary_encode()
    return pa.DictionaryArray.from_arrays(_repeated(ends, numbered.indices), numbered.dictionary)


def _repeated(ends: Any, values: Any) -> Any:
    pa = _pyarrow()
    return pa.compute.run_end_decode(pa.RunEndEncodedArray.from_arrays(ends, values))

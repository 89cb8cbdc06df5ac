"""Publish tables in a folder, and read what a folder of pulled ODM holds.

    publish(files, folder, format, built, stop)    files of a machine -> {folder}/{table}/part-<digest>.parquet
    sources(files, uri)                            the documents of a file, or of a pull set

Parts are named by their content, ``_manifest.json`` is written last and names those that count, and the parts of the
manifest before are removed after that. So who goes by the manifest sees whole tables of one run, whenever he looks; and
a task that is repeated writes the same names. While parts are written, ``_unfinished.json`` names them: what a killed
worker leaves is removed by whoever publishes next.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_provider_openclinica.engine.pullset import read_manifest
from airflow_provider_openclinica.errors import FileError, FileUnavailableError, OpenClinicaError, WaitInterruptedError
from airflow_provider_openclinica.odm.metadata import read_metadata

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from airflow_provider_openclinica.engine.files import PrivateFiles
    from airflow_provider_openclinica.engine.tables import Built
    from airflow_provider_openclinica.odm.design import StudyMetadata

MANIFEST = "_manifest.json"
UNFINISHED = "_unfinished.json"  #: written like the manifest, as far as names of parts go
WRITTEN_AS = "openclinica-tables-1"
#: Names that this module gives, so that it may remove them.
OURS = re.compile(r"(?:[a-z_]+|item_group=[^/]*)/part-[0-9a-f]{16}\.(?:parquet|csv)")
CHUNK = 1 << 20
STUDY = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?Study[\s>]")


@dataclass(frozen=True, slots=True)
class Source:
    """A document.

    :param charset: what it is in, where that is known for sure.
    :param is_design: it holds metadata, and no data.
    """

    uri: str
    charset: str = ""
    is_design: bool = False


def sources(files: PrivateFiles, uri: str) -> list[Source]:
    """Return the documents at an address: a file, or the files of a pull set if it ends in ``/``.

    :raises FileUnavailableError: there is no pull set.
    """
    if not uri.endswith("/"):
        return [Source(uri)]
    manifest = read_manifest(files, uri)
    if manifest is None:
        raise FileUnavailableError(
            f"There is no pull set in {uri}", next_step="Let OpenClinicaToFileOperator pull one before this task."
        )
    return [Source(uri + file.name, "utf-8", file.holds == "metadata") for file in manifest.files]


@contextlib.contextmanager
def opened(files: PrivateFiles, source: Source) -> Iterator[BinaryIO]:
    """Open a document; an error about what is in it says which one it is."""
    with files.open(source.uri) as stream:
        try:
            yield stream
        except FileError as error:
            raise FileError(f"{source.uri}: {error.args[0]}", next_step=error.next_step) from error


def metadata_of(files: PrivateFiles, source: Source) -> StudyMetadata | None:
    """Return the study's design if a document holds it. That reads it to its end.

    :raises FileError: it is no ODM 1.3, or is broken.
    """
    with opened(files, source) as stream:
        if not STUDY.search(stream.read(CHUNK).replace(b"\0", b"")):  # UTF-16 has a zero in each
            return None
        stream.seek(0)
        metadata = read_metadata(stream, charset=source.charset)
    return metadata if metadata.has_design else None


def publish(
    files: PrivateFiles,
    folder: str,
    format: str,  # noqa: A002 - the word that everybody has for it
    built: Sequence[Built],
    told: Mapping[str, Any],
    stop: threading.Event,
) -> dict[str, Any]:
    """Let tables take the place of those before, and return what may be told of them.

    :param folder: ends in ``/``.
    :param told: what else stands in the manifest.
    :raises FileError: the folder holds a manifest of something else.
    :raises FileUnavailableError: it cannot be written.
    """
    before = _parts_named(files, folder + MANIFEST)
    tables = [_entry(table, format) for table in built]
    names = {entry["file"] for entry in tables}
    strays = before | names | _parts_named(files, folder + UNFINISHED)
    unfinished = {"written_as": WRITTEN_AS, "tables": [{"file": name} for name in sorted(strays)]}
    _write(files, folder + UNFINISHED, unfinished)
    try:
        for table, entry in zip(built, tables, strict=True):
            _copy(files, table.path, folder + entry["file"], stop)
    except BaseException:
        _remove(files, folder, strays - before)
        raise
    manifest = {"written_as": WRITTEN_AS, "format": format, **told, "tables": tables}
    written = _write(files, folder + MANIFEST, manifest)  # where that fails it may be there all the same: keep all
    _remove(files, folder, strays - names)
    return {
        "tables": {entry["table"]: entry["rows"] for entry in tables},
        "size": sum(entry["size"] for entry in tables),
        "sha256": hashlib.sha256(written).hexdigest(),
    }


def _entry(table: Built, format: str) -> dict[str, Any]:  # noqa: A002 - the word that everybody has for it
    """Return what the manifest says of a table."""
    with table.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "table": table.name,
        "file": f"{table.name}/part-{digest[:16]}.{format}",
        "rows": table.rows,
        "size": table.path.stat().st_size,
        "sha256": digest,
        "columns": [column.name for column in table.columns],
    }


def _parts_named(files: PrivateFiles, uri: str) -> set[str]:
    """Return the parts that a manifest names; none where there is no manifest."""
    try:
        with files.open(uri) as file:
            kept = json.loads(file.read())
        if kept["written_as"] == WRITTEN_AS:
            return {table["file"] for table in kept["tables"] if OURS.fullmatch(table["file"])}
    except FileUnavailableError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return set()
        raise
    except (ValueError, KeyError, TypeError):
        pass  # not even a manifest
    raise FileError(f"{uri} is the manifest of something else", next_step="Use a folder of its own for the tables.")


def _write(files: PrivateFiles, uri: str, told: Mapping[str, Any]) -> bytes:
    written = json.dumps(told, indent=1).encode()
    with files.create(uri, private=True) as file:
        file.write(written)
    return written


def _copy(files: PrivateFiles, path: Path, uri: str, stop: threading.Event) -> None:
    with path.open("rb") as source, files.create(uri, private=True) as target:
        for chunk in _chunks(source):
            if stop.is_set():
                raise WaitInterruptedError("Stopped while tables were being published")
            target.write(chunk)


def _chunks(file: Any) -> Iterator[bytes]:
    return iter(lambda: file.read(CHUNK), b"")


def _remove(files: PrivateFiles, folder: str, names: set[str]) -> None:
    """Remove parts. One that stays is in nobody's way who goes by the manifest; the next publisher tries it again."""
    with contextlib.suppress(OpenClinicaError):
        for name in sorted(names):
            files.remove(folder + name)
        files.remove(folder + UNFINISHED)

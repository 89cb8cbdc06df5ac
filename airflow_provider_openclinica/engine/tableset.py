"""Publish tables in a folder, and read what a folder of pulled ODM holds.

    publish(files, folder, format, built, stop)    files of a machine -> {folder}/{table}/part-<digest>.parquet
    sources(files, uri)                            the documents of a file, or of a pull set

Parts are named by their content, ``_manifest.json`` is written last and names those that count, and the parts of the
manifest before are removed after that. So who goes by the manifest sees whole tables of one run, whenever he looks; and
a task that is repeated writes the same names. While parts are written, ``_unfinished.json`` names them: what a killed
worker leaves is removed by whoever publishes next.

A part of Dataset-JSON says when it was made. That is no content: where all else is as it was, it keeps the moment too,
which the manifest remembers as ``created``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_provider_openclinica.engine.datasetjson import SUFFIXES, Frame, framed, now
from airflow_provider_openclinica.engine.pullset import read_manifest
from airflow_provider_openclinica.engine.rowkeys import keys_of
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    FileError,
    FileUnavailableError,
    OpenClinicaError,
    WaitInterruptedError,
)
from airflow_provider_openclinica.odm.metadata import read_metadata

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from airflow_provider_openclinica.engine.columns import Built
    from airflow_provider_openclinica.engine.files import PrivateFiles
    from airflow_provider_openclinica.engine.increments import Covers
    from airflow_provider_openclinica.odm.design import StudyMetadata

MANIFEST = "_manifest.json"
UNFINISHED = "_unfinished.json"  #: written like the manifest, as far as names of parts go
WRITTEN_AS = "openclinica-tables-1"
#: Names that this module gives, so that it may remove them.
OURS = re.compile(r"(?:[a-z_]+|item_group=[^/]*)/part-[0-9a-f]{16}\.(?:parquet|csv|json|ndjson)")
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


@dataclass(frozen=True, slots=True)
class Pulled:
    """Documents that belong together.

    :param study_oid: the study that was asked for; None where that is not known.
    :param covers: whose data they hold, if they are a pull set that says so.
    :param left_out: tables that they say nothing about, see ``pullset.Manifest``; None where that is not known.
    """

    documents: tuple[Source, ...]
    study_oid: str | None = None
    covers: Covers | None = None
    left_out: tuple[str, ...] | None = None


def sources(files: PrivateFiles, uri: str) -> Pulled:
    """Return the documents at an address: a file, or the files of a pull set if it ends in ``/``.

    :raises FileUnavailableError: there is no pull set.
    """
    if not uri.endswith("/"):
        return Pulled((Source(uri),))
    manifest = read_manifest(files, uri)
    if manifest is None:
        raise FileUnavailableError(
            f"There is no pull set in {uri}", next_step="Let OpenClinicaToFileOperator pull one before this task."
        )
    documents = tuple(Source(uri + file.name, "utf-8", file.holds == "metadata") for file in manifest.files)
    return Pulled(documents, manifest.study_oid, manifest.covers, manifest.left_out)


@contextlib.contextmanager
def opened(files: PrivateFiles, source: Source) -> Iterator[BinaryIO]:
    """Open a document; an error about what is in it says which one it is."""
    with _stream_of(files, source.uri) as stream:
        try:
            yield stream
        except FileError as error:
            raise FileError(f"{source.uri}: {error.args[0]}", next_step=error.next_step) from error


def _stream_of(files: PrivateFiles, uri: str) -> BinaryIO:
    """Open a document; an error about the folder of a set says what is missing in its address."""
    try:
        return files.open(uri)
    except FileUnavailableError as error:
        if isinstance(error.__cause__, FileNotFoundError | IsADirectoryError) and _is_set(files, f"{uri}/"):
            raise ConfigurationError(
                f"{uri} is the folder of a pull set, and no file", next_step="End odm_uri in /, which reads the set."
            ) from error
        raise


def _is_set(files: PrivateFiles, folder: str) -> bool:
    with contextlib.suppress(OpenClinicaError):
        return read_manifest(files, folder) is not None
    return False


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
    parts = [_part(table, format, told, before) for table in built]
    tables = [part.entry for part in parts]
    names = {entry["file"] for entry in tables}
    strays = before.keys() | names | _parts_named(files, folder + UNFINISHED).keys()
    unfinished = {"written_as": WRITTEN_AS, "tables": [{"file": name} for name in sorted(strays)]}
    _write(files, folder + UNFINISHED, unfinished)
    try:
        for part in parts:
            _copy(files, part.chunks(), folder + part.entry["file"], stop)
    except BaseException:
        _remove(files, folder, strays - before.keys())
        raise
    manifest = {"written_as": WRITTEN_AS, "format": format, **told, "tables": tables}
    written = _write(files, folder + MANIFEST, manifest)  # where that fails it may be there all the same: keep all
    _remove(files, folder, strays - names)
    return {
        "tables": {entry["table"]: entry["rows"] for entry in tables},
        "size": sum(entry["size"] for entry in tables),
        "sha256": hashlib.sha256(written).hexdigest(),
    }


@dataclass(slots=True)
class _Part:
    """The file that a table is published in; ``entry`` is what the manifest says of it."""

    table: Built
    frame: Frame | None
    entry: dict[str, Any]

    def chunks(self) -> Iterator[bytes]:
        """Yield its content."""
        if self.frame:
            yield self.frame.head_of(self.entry.get("created", ""))
        with self.table.path.open("rb") as file:
            yield from iter(lambda: file.read(CHUNK), b"")
        if self.frame:
            yield self.frame.tail

    def measured(self) -> tuple[str, int]:
        """Return the digest of its content, and the size."""
        digest, size = hashlib.sha256(), 0
        for chunk in self.chunks():
            digest.update(chunk)
            size += len(chunk)
        return digest.hexdigest(), size


def _part(table: Built, format: str, told: Mapping[str, Any], before: Mapping[str, str]) -> _Part:  # noqa: A002
    """Return the part of a table.

    :param before: those of the manifest before, and when they were made.
    """
    part = _Part(table, framed(table, keys_of(table.name), format, told) if format in SUFFIXES else None, {})
    digest, size = part.measured()
    name = f"{table.name}/part-{digest[:16]}.{SUFFIXES.get(format, format)}"
    part.entry = {
        "table": table.name,
        "file": name,
        "rows": table.rows,
        "size": size,
        "sha256": digest,
        "columns": [column.name for column in table.columns],
    }
    if part.frame:
        part.entry["created"] = before.get(name) or now()
        part.entry["sha256"], part.entry["size"] = part.measured()
    return part


def _parts_named(files: PrivateFiles, uri: str) -> dict[str, str]:
    """Return the parts that a manifest names, and when each was made if it says so; none where there is no manifest."""
    try:
        with files.open(uri) as file:
            kept = json.loads(file.read())
        if kept["written_as"] == WRITTEN_AS:
            tables = [table for table in kept["tables"] if OURS.fullmatch(table["file"])]
            return {table["file"]: str(table.get("created", "")) for table in tables}
    except FileUnavailableError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return {}
        raise
    except (ValueError, KeyError, TypeError):
        pass  # not even a manifest
    raise FileError(f"{uri} is the manifest of something else", next_step="Use a folder of its own for the tables.")


def _write(files: PrivateFiles, uri: str, told: Mapping[str, Any]) -> bytes:
    written = json.dumps(told, indent=1).encode()
    with files.create(uri, private=True) as file:
        file.write(written)
    return written


def _copy(files: PrivateFiles, chunks: Iterable[bytes], uri: str, stop: threading.Event) -> None:
    with files.create(uri, private=True) as target:
        for chunk in chunks:
            if stop.is_set():
                raise WaitInterruptedError("Stopped while tables were being published")
            target.write(chunk)


def _remove(files: PrivateFiles, folder: str, names: set[str]) -> None:
    """Remove parts. One that stays is in nobody's way who goes by the manifest; the next publisher tries it again."""
    with contextlib.suppress(OpenClinicaError):
        for name in sorted(names):
            files.remove(folder + name)
        files.remove(folder + UNFINISHED)

"""Prepare rows for OpenClinica's bulk jobs: check them here, cut them into files, and say how each is sent.

Rows come from a CSV file, from a list that an upstream task made, or from a query. They are copied once, to a folder
that the caller throws away, and read from there. The order is a promise: what can be found wrong on this side is found
before the first request, the token's included. Only then is OpenClinica asked, where that finds more.

    prepare(BulkRequest(source=…, layout=…, …), folder, plan)    -> Prepared
"""

from __future__ import annotations

import hashlib
import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_openclinica.client.bulkcsv import SAFE_CHARACTERS, check, split, write_rows
from airflow_provider_openclinica.client.uploads import Upload, upload_file
from airflow_provider_openclinica.engine.collect import RowsSent
from airflow_provider_openclinica.engine.refusal import refuse
from airflow_provider_openclinica.engine.run import Outgoing, Prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from airflow_provider_openclinica.client.bulkcsv import CsvPart, Layout, Problem
    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.engine.files import Files

BLOCK = 1 << 20


class Source(Protocol):
    """Where rows come from."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def stem(self) -> str:
        """The readable beginning of the name that its files are uploaded under."""
        ...

    def copy_to(self, target: Path) -> None:
        """Write all rows as CSV in UTF-8 with a header; values may stand in quotes."""
        ...


@dataclass(frozen=True, slots=True)
class FileSource:
    """A CSV file.

    :param uri: where it lies.
    :param files: opens it.
    """

    uri: str
    files: Files

    @property
    def name(self) -> str:
        """Its address."""
        return self.uri

    @property
    def stem(self) -> str:
        """Its name without suffix."""
        return posixpath.splitext(posixpath.basename(self.uri))[0]

    def copy_to(self, target: Path) -> None:
        """Copy it, so that nobody changes it between two readings."""
        with self.files.open(self.uri) as source, target.open("wb") as copy:
            while block := source.read(BLOCK):
                copy.write(block)


@dataclass(frozen=True, slots=True)
class RowsSource:
    """Rows that are at hand, such as an upstream task's.

    :param rows: column -> value; a row may lack some.
    :param stem: see ``Source``.
    :param columns: the header, should there be no rows.
    """

    rows: Sequence[Mapping[str, Any]]
    stem: str = "rows"
    columns: Sequence[str] = ()

    @property
    def name(self) -> str:
        """Says how its lines are counted."""
        return "rows (the first of them is line 2)"

    def copy_to(self, target: Path) -> None:
        """Write them, each with all columns that any of them has."""
        columns = list(dict.fromkeys(str(name) for row in self.rows for name in row)) or list(self.columns)
        write_rows(columns, ([row.get(name) for name in columns] for row in self.rows), target)


@dataclass(frozen=True, slots=True)
class QuerySource:
    """The result of a query, read once.

    :param run: runs it; gives the names of its columns and its rows, streamed, as long as the context is open.
    :param stem: see ``Source``.
    """

    run: Callable[[], AbstractContextManager[tuple[Sequence[str], Iterable[Sequence[Any]]]]]
    stem: str = "query"

    @property
    def name(self) -> str:
        """Says how its lines are counted."""
        return "the result of the query (its first row is line 2)"

    def copy_to(self, target: Path) -> None:
        """Run the query, and write what it gives."""
        with self.run() as (columns, rows):
            write_rows(columns, rows, target)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkRequest:
    """What is to be sent, and how.

    :param source: where the rows come from.
    :param layout: what they hold.
    :param job_type: as OpenClinica's job list names it.
    :param study_oid: the study.
    :param site_oid: the site whose rows these are.
    :param send: submits one file and returns the uuid of its job.
    :param ask: finds what only OpenClinica can tell, given the checked file; nothing but questions.
    :param max_characters: size of each file. More than 8,192 is for servers known to take it.
    """

    source: Source
    layout: Layout
    job_type: str
    study_oid: str
    site_oid: str
    send: Callable[[OpenClinicaClient, Upload], str]
    ask: Callable[[Path], Iterable[Problem]] | None = None
    max_characters: int = SAFE_CHARACTERS


def prepare(request: BulkRequest, folder: Path, plan: Mapping[str, Any] | None = None) -> Prepared:
    """Check rows, and cut them into files. Where there are none, there are no files, and nobody is asked anything.

    :param folder: empty; holds a copy of the rows and the files, which are personal data.
    :param plan: of an earlier try; while the rows are the same, OpenClinica is not asked again: it would answer with
        what that try has sent.
    :raises FileError: something is wrong with the rows; nothing was sent.
    :raises OSError: they cannot be read.
    :raises OpenClinicaError: the server is down or refuses the credentials.
    """
    source = folder / "source.csv"
    request.source.copy_to(source)
    digest = _digest(source)
    refuse(request.source.name, check(source, request.layout, max_characters=request.max_characters))
    parts = split(source, request.layout, folder, max_characters=request.max_characters)
    if parts and request.ask and (plan or {}).get("source_sha256") != digest:
        refuse(request.source.name, request.ask(source))
    source.unlink()
    return Prepared(
        [_outgoing(number, part, request) for number, part in enumerate(parts, 1)],
        {"source_sha256": digest},
        request.job_type,
    )


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _outgoing(number: int, part: CsvPart, request: BulkRequest) -> Outgoing:
    upload = upload_file(part.path, name=part.path.name, content_type="text/csv")

    def send(client: OpenClinicaClient, name: str) -> str:
        return request.send(client, replace(upload, name=name))

    return Outgoing(
        number=number,
        job_type=request.job_type,
        study_oid=request.study_oid,
        site_oid=request.site_oid,
        stem=request.source.stem,
        suffix=".csv",
        payload_sha256=upload.sha256,
        rows_sent=part.rows,
        sent=RowsSent(part.rows),
        send=send,
        about=f"{part.rows:,} {request.layout.name} for {request.site_oid}, {upload.size:,} bytes",
    )

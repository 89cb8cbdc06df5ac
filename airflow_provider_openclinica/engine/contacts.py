"""Pages of contact data: read one, tell the last, join them into one file (docs/protocol.md, contacts).

OpenClinica writes the contacts of a site in pages, says nowhere how many there are, and quotes nothing: a comma or a
line break in a name moves the cells behind it. Lines that are too short are therefore joined with those below them; a
row that is too long stays as it is and is counted. Quotes are taken for quotes only where nothing else can be meant:
all of them where the header has some, else those of a row that has as many cells as the header only if they count.
What is written here is CSV with quotes.

    page = read_page(job_uuid, chunks)     rows, and which participants they are about, as a digest
    is_last([page, …], page_size)
    join([path, …], file.write)                -> Joined: how many rows, and whose

Every row holds personal data. Nothing here logs one, and what leaves the worker are counts and digests.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_openclinica.errors import JobFailedError, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

_ID_COLUMNS = frozenset({"participantid", "participant id"})
_PIECE = 256 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page that a job has written. JSON values only, and nobody's data.

    :param job_uuid: its job.
    :param rows: how many participants it has.
    :param ids_sha256: digest of their IDs, which tells a page that came before.
    """

    job_uuid: str
    rows: int
    ids_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What became of the pages.

    :param rows: how many were written; a participant who stands on two pages has one.
    :param ids: the participants' IDs; of a row that is shifted, what stands where an ID should.
    :param shifted: how many rows have not as many cells as the header, and so do not tell which is which.
    """

    rows: int
    ids: frozenset[str]
    shifted: int


def read_page(job_uuid: str, chunks: Iterable[bytes]) -> Page:
    """Count the rows of a page.

    :param chunks: the file in pieces of any size.
    :raises JobFailedError: it is empty: the job failed while it wrote it.
    :raises UnexpectedAnswerError: its header is not that of contacts.
    """
    rows = _Rows(chunks, job_uuid)
    ids = [rows.id_of(row) for row in rows]
    digest = hashlib.sha256("\n".join(sorted(ids)).encode("utf-8", "surrogateescape"))
    return Page(job_uuid=job_uuid, rows=len(ids), ids_sha256=digest.hexdigest())


def is_last(pages: Sequence[Page], page_size: int) -> bool:
    """Tell whether the page behind these need not be asked for.

    It need not after a short page; nor after one that is too long, or about the same participants as one before: then
    the server does not know pages, and each of its answers is everybody.
    """
    *before, page = pages
    return page.rows != page_size or page.ids_sha256 in {earlier.ids_sha256 for earlier in before}


def join(pages: Iterable[Path], write: Callable[[bytes], object]) -> Joined:
    """Write the rows of all pages below one header, each participant once.

    OpenClinica orders pages by the time of creation alone, so where two participants were created at once, one may
    stand on two pages.

    :param pages: files that `read_page` has read.
    :raises UnexpectedAnswerError: the pages have different columns.
    """
    written = csv.writer(_Utf8(write), lineterminator="\n")
    header: list[str] | None = None
    seen: set[tuple[str, ...]] = set()
    ids: set[str] = set()
    shifted = 0
    for page in pages:
        with page.open("rb") as file:
            rows = _Rows(iter(partial(file.read, _PIECE), b""))
            if header is None:
                header = rows.header
                written.writerow(header)
            elif rows.header != header:
                raise UnexpectedAnswerError(
                    "The pages of contacts have different columns",
                    next_step="Somebody may have changed the account's role meanwhile: retry.",
                )
            for row in rows:
                is_whole, participant_id = len(row) == len(header), rows.id_of(row)
                who = (participant_id,) if is_whole else tuple(row)
                if who not in seen:
                    seen.add(who)
                    ids.add(participant_id)
                    written.writerow(row)
                    shifted += not is_whole
    return Joined(rows=len(seen), ids=frozenset(ids), shifted=shifted)


class _Utf8:
    """Takes text and writes bytes."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def write(self, text: str) -> object:
        return self._write(text.encode("utf-8", "surrogateescape"))


class _Rows:
    """The rows of a page, to be read once.

    :param job: uuid of the job that wrote it, for errors.
    :raises JobFailedError: the file is empty.
    :raises UnexpectedAnswerError: it has another header.
    """

    def __init__(self, chunks: Iterable[bytes], job: str = "") -> None:
        self._lines = _lines(chunks)
        header = next(self._lines, "").removeprefix("\ufeff")
        if not header.strip():
            raise JobFailedError("OpenClinica stored an empty file of contacts", job=job)
        self._job = job
        self.header = next(self._quoted([header]))
        self._is_quoted = '"' in header
        names = [name.strip().casefold() for name in self.header]
        self._id = next((number for number, name in enumerate(names) if name in _ID_COLUMNS), -1)
        if self._id < 0:
            raise UnexpectedAnswerError("The job's file is none of contacts: its header is another one", job=job)

    def __iter__(self) -> Iterator[list[str]]:
        if self._is_quoted:
            yield from filter(None, self._quoted(f"{line}\n" for line in self._lines))
            return
        commas = len(self.header) - 1
        row = ""
        for line in self._lines:
            row = f"{row}\n{line}" if row else line
            if row and row.count(",") >= commas:
                yield self._cells(row)
                row = ""
        if row.strip():
            yield self._cells(row)

    def _cells(self, row: str) -> list[str]:
        """Cut a row at its commas; at those outside quotes only where that alone gives as many cells as there are."""
        cells = row.split(",")
        if '"' in row and (len(cells) > len(self.header) or "\n" in row):
            quoted = list(self._quoted(io.StringIO(row, newline="")))
            if [len(each) for each in quoted] == [len(self.header)]:
                return quoted[0]
        return cells

    def _quoted(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Read lines as CSV with quotes."""
        try:
            yield from csv.reader(lines)
        except csv.Error:
            raise UnexpectedAnswerError("The job's file of contacts cannot be read as CSV", job=self._job) from None

    def id_of(self, row: list[str]) -> str:
        """Return the ID in a row; of one that is too short, what there is."""
        return row[min(self._id, len(row) - 1)]


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Cut the pieces into lines. Bytes that are no UTF-8 are kept, and written again as they were."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    rest = ""
    for chunk in chunks:
        *lines, rest = (rest + decoder.decode(chunk)).split("\n")
        yield from (line.removesuffix("\r") for line in lines)
    if rest:
        yield rest.removesuffix("\r")

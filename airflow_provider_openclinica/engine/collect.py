"""Fetch the log of a job that has ended, store it, and count what its rows say, in one pass and constant memory.

    collect(client, ticket, files=…, log_uri=…, sent=…)    -> JobReport
    log_uri_for("s3://labs/log/", uuid, part)              where the log of a part goes
    failed_uri_for("s3://labs/log/6c32.csv")               where its failed rows go

Rows stay in files; the report that comes back has counts.
"""

from __future__ import annotations

import hashlib
import logging
import posixpath
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from airflow_provider_openclinica.client.joblog import LOST, LogRow, Rows, read_rows
from airflow_provider_openclinica.engine.judge import JobReport
from airflow_provider_openclinica.errors import FileUnavailableError, OpenClinicaError, ServerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.engine.files import Files
    from airflow_provider_openclinica.engine.ticket import JobTicket

log = logging.getLogger(__name__)

PAUSES = (1.0, 5.0, 20.0)  #: seconds before each further try to download a log that broke off


@dataclass(frozen=True, slots=True)
class ParticipantsSent:
    """What the log of an import must account for: rows cannot be counted, since one may stand for many items.

    :param participants: SubjectKey and participant ID, ``""`` where the file has none, of each participant that was
        sent with item data, in lower case (``str.casefold``).
    """

    participants: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class NothingSent:
    """What a log must account for where the file that was sent is not at hand: no row can be missed."""


@dataclass(frozen=True, slots=True)
class RowsSent:
    """What the log of a bulk CSV file must account for: OpenClinica stops reading at a row it cannot cut.

    :param rows: how many there were. The log has one row for each, in their order.
    """

    rows: int


Sent = ParticipantsSent | RowsSent | NothingSent


def collect(
    client: OpenClinicaClient,
    ticket: JobTicket,
    *,
    files: Files,
    log_uri: str | None,
    sent: Sent,
    sleep: Callable[[float], None] = time.sleep,
) -> JobReport:
    """Read the log of a job that has ended, and report on it. Where this raises, no file is left behind.

    Rows that failed go to ``failed_uri_for(log_uri)`` as the log has them, below its header, and after them a row of
    Status ``Lost`` for each participant whom no row names, or each row that was sent and has none; without any, that
    file is not written.

    :param log_uri: the file to store the log in; None keeps neither log nor rows.
    :param sent: what the log must account for.
    :raises JobFailedError: the log is empty; the job failed while it wrote it.
    :raises ServerUnavailableError: the download broke off, several times over.
    :raises FileUnavailableError: the log cannot be stored; it can be fetched again.
    :raises UnexpectedAnswerError: the file is no log of rows.
    """
    pauses = iter(PAUSES)
    while True:
        try:
            return _collect(client, ticket, files, log_uri, sent)
        except OpenClinicaError as error:
            error.job, error.study = error.job or ticket.job_uuid, error.study or ticket.study_oid
            if isinstance(error, FileUnavailableError):
                error.next_step = (
                    "The job has ended, and OpenClinica keeps its log. See that this worker may write there; a retry "
                    "fetches the log again and sends nothing."
                )
            pause = next(pauses, None) if isinstance(error, ServerUnavailableError) else None
            if pause is None:
                raise
            log.warning("The log of job %s could not be fetched, will try again: %s", ticket.job_uuid, error.args[0])
        sleep(pause)


def log_uri_for(log_uri: str | None, job_uuid: str, part: int) -> str | None:
    """Return where the log of a part goes.

    :param log_uri: the operator's argument: a folder if it ends in ``/``, else a file, else None.
    :param part: from 1; the second part of ``x/log.csv`` goes to ``x/log.2.csv``.
    """
    if not log_uri:
        return None
    if log_uri.endswith("/"):
        return f"{log_uri}{job_uuid}.csv"
    if part == 1:
        return log_uri
    stem, suffix = posixpath.splitext(log_uri)
    return f"{stem}.{part}{suffix}"


def failed_uri_for(log_uri: str) -> str:
    """Return where the failed rows of a log go: ``x/log.failed.csv`` for ``x/log.csv``."""
    return f"{posixpath.splitext(log_uri)[0]}.failed.csv"


def _collect(
    client: OpenClinicaClient,
    ticket: JobTicket,
    files: Files,
    log_uri: str | None,
    sent: Sent,
) -> JobReport:
    outcomes: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    digest = hashlib.sha256()
    with ExitStack() as open_files:  # after an exception, each file in it is dropped
        stored = open_files.enter_context(files.create(log_uri)) if log_uri else None
        beside = _FailedRows(open_files, files, failed_uri_for(log_uri) if log_uri else None)
        named = _Named()
        with client.jobs.open_log(ticket.job_uuid) as file:
            rows = read_rows(_copied(file.chunks(), digest.update, stored))
            for row in rows:
                outcomes[row.status] += 1
                named.add(row)
                if row.failed:
                    codes[row.code] += 1
                    beside.write(rows, row.raw)
        lost = _lost(sent, named, outcomes.total())
        for cells in lost:
            beside.write(rows, rows.line(cells | {"status": LOST}))
    return JobReport(
        job_uuid=ticket.job_uuid,
        job_type=ticket.job_type,
        status="finished",
        outcomes=dict(outcomes),
        rows_sent=ticket.rows_sent,
        rows_logged=outcomes.total(),
        rows_failed=codes.total(),
        failed_codes=dict(codes),
        lost=len(lost),
        log_uri=log_uri,
        log_sha256=digest.hexdigest(),
        failed_uri=beside.uri if beside.written else None,
        payload_sha256=ticket.payload_sha256,
        unsplit_study=ticket.unsplit_study,
    )


def _lost(sent: Sent, named: _Named, logged: int) -> list[dict[str, str]]:
    """Return what was sent and has no row, as cells to write beside the log."""
    match sent:
        case RowsSent(rows):
            return [{"row": str(number)} for number in range(logged + 1, rows + 1)]
        case ParticipantsSent(participants):
            return [{"subject_key": key, "participant_id": name} for key, name in named.missing_of(participants)]
        case NothingSent():
            return []


def _copied(chunks: Iterable[bytes], see: Callable[[bytes], None], stored: BinaryIO | None) -> Iterator[bytes]:
    for chunk in chunks:
        see(chunk)
        if stored:
            stored.write(chunk)
        yield chunk


class _FailedRows:
    """The file of failed rows, which comes into being with the first of them."""

    def __init__(self, open_files: ExitStack, files: Files, uri: str | None) -> None:
        self._open_files, self._files, self.uri = open_files, files, uri
        self._file: BinaryIO | None = None

    @property
    def written(self) -> bool:
        return self._file is not None

    def write(self, rows: Rows, line: str) -> None:
        if not self.uri:
            return
        if self._file is None:
            self._file = self._open_files.enter_context(self._files.create(self.uri))
            self._file.write(_bytes(rows.header))
        self._file.write(_bytes(line))


def _bytes(line: str) -> bytes:
    return f"{line}\n".encode("utf-8", "surrogateescape")


class _Named:
    """The participants that a log names."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._ids: set[str] = set()
        self._last: tuple[str, str] = ("", "")

    def add(self, row: LogRow) -> None:
        if (row.subject_key, row.participant_id) != self._last:  # rows of one participant follow each other
            self._last = (row.subject_key, row.participant_id)
            self._keys.add(row.subject_key.casefold())
            self._ids.add(row.participant_id.casefold())

    def missing_of(self, participants: frozenset[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return those whom no row names. An empty cell names nobody; it only says that the file named none either."""
        keys, ids = self._keys - {""}, self._ids - {""}
        return sorted(
            (key, participant_id)
            for key, participant_id in participants
            if key not in keys and participant_id not in ids and (key or participant_id)
        )

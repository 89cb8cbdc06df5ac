"""Jobs: a row in SQLite, a log on disk, and the work between them (docs/protocol.md, jobs).

A job begins as ``IN_PROGRESS``. The work of an import is one transaction: what it writes, and the word ``COMPLETED``,
are committed together or not at all. A bulk job commits each of its rows, and what fails it leaves the rows before.
Work that a stop of the sandbox overtakes leaves its job ``IN_PROGRESS`` for ever, as a restart of the real server does.
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.state import State

    Work = Callable[[sqlite3.Connection, Callable[[], None]], "Log"]

LOGGER = logging.getLogger(__name__)
WORKERS = 16
LONGEST_NAME = 255
"""Characters of the column that keeps the name of an upload."""
COLUMNS = (
    "uuid, type, status, study_oid, site_oid, creator, source_name, created, updated, completed, log_name, outcomes"
)
SCHEMA = """CREATE TABLE IF NOT EXISTS jobs (
    uuid TEXT PRIMARY KEY, type TEXT NOT NULL, status TEXT NOT NULL, study_oid TEXT NOT NULL, site_oid TEXT NOT NULL,
    creator TEXT NOT NULL, source_name TEXT, created TEXT NOT NULL, updated TEXT, completed TEXT, log_name TEXT,
    outcomes TEXT)"""


class Log(NamedTuple):
    """What work leaves behind: the bytes of its log, and how many rows had which outcome.

    :param name: what the file is called, where that is not the job's ``log_name`` and the time of its end.
    """

    content: bytes
    outcomes: Mapping[str, int]
    name: str = ""


class Fate(StrEnum):
    """What a control route can plan for a job to come."""

    SLOW = "slow"
    """In progress for as long as the plan says."""
    STUCK = "stuck"
    """In progress until it is released (:meth:`Jobs.release`), else for ever; nothing is applied before."""
    FAILED = "failed"
    """Its work throws: FAILED, nothing is applied but the first row of a bulk job, there is no log but a casebook's."""
    NO_FILE = "no_file"
    """Another word for ``log_gone``."""
    LOG_GONE = "log_gone"
    """Completed and applied, and its log cannot be had."""
    EMPTY_LOG = "empty_log"
    """FAILED as the log was written: nothing is applied but the rows of a bulk job, the log is an empty file."""
    LOST_ROWS = "lost_rows"
    """Completed and applied, and the log does not name the last participant."""
    BIG_LOG = "big_log"
    """Completed and applied; the log repeats its lines until it has as many bytes as the plan says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The fate of one job to come. ``seconds`` counts for slow, ``size`` for big_log."""

    fate: Fate
    seconds: float = 5.0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """A row of the table; times are ISO 8601 in UTC, ``outcomes`` is a JSON object, for the page of jobs alone."""

    uuid: str
    type: str
    status: str
    study_oid: str
    site_oid: str
    creator: str
    source_name: str | None
    created: str
    updated: str | None
    completed: str | None
    log_name: str | None
    outcomes: str | None


class Jobs:
    """All jobs, and the threads that work on them.

    :param seconds: how long each job is in progress before its work begins.
    """

    def __init__(self, state: State, *, seconds: float) -> None:
        self._state = state
        self._seconds = seconds
        self._plans: deque[Plan] = deque()
        self._stuck: dict[str, Callable[[], None]] = {}
        self._closing = threading.Event()
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="job")
        with state.writing() as db:
            db.execute(SCHEMA)

    def plan(self, plan: Plan, times: int = 1) -> None:
        """Decide the fate of the next jobs."""
        self._plans.extend([plan] * times)

    def submit(
        self,
        work: Work | None,
        *,
        kind: str,
        study_oid: str,
        site_oid: str,
        creator: str,
        source_name: str | None,
        log_name: str,
    ) -> str:
        """Make a job and let it begin.

        :param work: does everything in the transaction it is given, and returns the log. It is also given what
            commits that transaction and begins another. ``None``: nobody ever works on the job.
        :param source_name: the name of what was uploaded; ``None`` where nothing was.
        :param log_name: what the log's file is called, before the time of its end.
        """
        job_uuid = str(uuid.uuid4())
        row = (job_uuid, kind, "IN_PROGRESS", study_oid, site_oid, creator, source_name, _now(), *[None] * 4)
        with self._state.writing() as db:
            db.execute(f"INSERT INTO jobs ({COLUMNS}) VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608 - constants
        if work is None:
            return job_uuid
        plan = self._plans.popleft() if self._plans else None
        if plan and plan.fate is Fate.STUCK:
            at_once = Plan(fate=Fate.SLOW, seconds=0.0)
            self._stuck[job_uuid] = partial(self._begin, job_uuid, work, log_name, source_name, at_once)
        else:
            self._begin(job_uuid, work, log_name, source_name, plan)
        return job_uuid

    def release(self, job_uuid: str | None = None) -> int:
        """Let a stuck job begin after all, or each of them; tell how many did."""
        wanted = list(self._stuck) if job_uuid is None else [job_uuid]
        released = [begin for uuid in wanted if (begin := self._stuck.pop(uuid, None))]
        for begin in released:
            begin()
        return len(released)

    def _begin(self, job_uuid: str, work: Work, log_name: str, source_name: str | None, plan: Plan | None) -> None:
        future = self._workers.submit(self._run, job_uuid, work, log_name, plan)
        future.add_done_callback(partial(self._settle, job_uuid, source_name))

    def _run(self, job_uuid: str, work: Work, log_name: str, plan: Plan | None) -> None:
        fate = plan.fate if plan else None
        if self._closing.wait(plan.seconds if plan and fate is Fate.SLOW else self._seconds):
            return
        with self._state.writing() as db:
            if not _is_known(db, job_uuid):
                return  # a reset came first
            log = work(db, partial(_commit, db, job_uuid, fate))
            if fate is Fate.EMPTY_LOG:
                self.log_of(job_uuid).touch()
            if fate in {Fate.FAILED, Fate.EMPTY_LOG}:
                raise PlannedFailure
            if fate not in {Fate.LOG_GONE, Fate.NO_FILE}:
                self._write_log(job_uuid, log.content, plan)
            stamp = datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S%f")[:-3] + "Z"
            _end(db, job_uuid, "COMPLETED", log.name or f"{log_name}_{stamp}.csv", log.outcomes)

    def _settle(self, job_uuid: str, source_name: str | None, future: Future[None]) -> None:
        if future.cancelled() or (error := future.exception()) is None:
            return
        LOGGER.warning("job %s failed: %s", job_uuid, type(error).__name__)
        if isinstance(error, FailedWithFile):  # on a real server the file comes a moment after the status
            self.log_of(job_uuid).write_bytes(error.content)
        with self._state.writing() as db:
            _end(db, job_uuid, "FAILED", source_name)

    def _write_log(self, job_uuid: str, log: bytes, plan: Plan | None) -> None:
        if plan and plan.fate is Fate.LOST_ROWS:
            log = without_last_participant(log)
        with self.log_of(job_uuid).open("wb") as file:
            file.write(log)
            body = log.partition(b"\n")[2].rstrip(b"\n") + b"\n"
            while plan and plan.fate is Fate.BIG_LOG and file.tell() < plan.size:
                file.write(body * max(1, min(plan.size - file.tell(), 1 << 20) // len(body)))

    def log_of(self, job_uuid: str) -> Path:
        """Tell where a job's log lies, or would lie."""
        return self._state.logs / job_uuid

    def find(self, job_uuid: str) -> Job | None:
        """Find a job, a deleted one too."""
        return next(iter(self._select("WHERE uuid = ?", job_uuid)), None)

    def all(self) -> list[Job]:
        """Give every job, oldest first."""
        return self._select("ORDER BY rowid")

    def of(self, creator: str, study_oid: str, site_oid: str | None = None) -> list[Job]:
        """Give what somebody submitted in a study, or in one of its sites, and did not delete."""
        found = self._select(
            "WHERE creator = ? AND study_oid = ? AND status <> 'DELETED' ORDER BY rowid", creator, study_oid
        )
        return [job for job in found if site_oid in (None, job.site_oid)]

    def _select(self, where: str, *values: str) -> list[Job]:
        with self._state.reading() as db:
            return [Job(*row) for row in db.execute(f"SELECT {COLUMNS} FROM jobs {where}", values)]  # noqa: S608 - constants

    def delete(self, job_uuid: str) -> None:
        """Mark a job as deleted and remove its log. Work that goes on overwrites the mark at its end."""
        with self._state.writing() as db:
            db.execute("UPDATE jobs SET status = 'DELETED', updated = ? WHERE uuid = ?", (_now(), job_uuid))
        self.log_of(job_uuid).unlink(missing_ok=True)

    def forget_plans(self) -> None:
        """Let the next jobs go their usual way."""
        self._plans.clear()

    def reset(self) -> None:
        """Forget what was planned, and the work of stuck jobs."""
        self.forget_plans()
        self._stuck.clear()

    def close(self) -> None:
        """Stop. Work that has begun is ended first; jobs that wait stay in progress for ever."""
        self._closing.set()
        self._workers.shutdown(wait=True, cancel_futures=True)


class PlannedFailure(Exception):  # noqa: N818 - it is planned
    """A job was to fail."""


class FailedWithFile(Exception):  # noqa: N818 - nor is this
    """A job failed, and leaves a file that says why."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content = content


class Forgotten(Exception):  # noqa: N818 - nor is this a fault
    """A reset came while a job was at work."""


def _commit(db: sqlite3.Connection, job_uuid: str, fate: Fate | None) -> None:
    db.execute("COMMIT")
    db.execute("BEGIN IMMEDIATE")
    if fate is Fate.FAILED:
        raise PlannedFailure
    if not _is_known(db, job_uuid):
        raise Forgotten


def _is_known(db: sqlite3.Connection, job_uuid: str) -> bool:
    return db.execute("SELECT 1 FROM jobs WHERE uuid = ?", (job_uuid,)).fetchone() is not None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _end(
    db: sqlite3.Connection, job_uuid: str, status: str, log_name: str | None, outcomes: Mapping[str, int] | None = None
) -> None:
    change = "UPDATE jobs SET status = ?, log_name = ?, outcomes = ?, completed = ? WHERE uuid = ?"
    db.execute(change, (status, log_name, json.dumps(outcomes or {}), _now(), job_uuid))


def without_last_participant(log: bytes) -> bytes:
    """Drop the lines of a log that name the participant of its last line."""
    lines = log.splitlines(keepends=True)
    named = [line.split(b",", 2)[:2] for line in lines]
    last = next((name for name in reversed(named[1:]) if len(name) == 2), None)
    return b"".join(line for line, name in zip(lines, named, strict=True) if line is lines[0] or name != last)

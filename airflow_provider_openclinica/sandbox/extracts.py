"""Scheduled extracts: what runs on a real server by itself, and here when it is told to (docs/protocol.md, extracts).

No call of the API makes an extract, so a control route does. Its file lies beside the logs of the jobs.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.state import State

KEPT = 10
"""Executions of one extract; a further one takes the place of the oldest."""
CONTENT = "StudyOID,ParticipantID,Item,Value\nS_JUNO,BOS-001,I_VITALS_PULSE,72\n"
_COLUMNS = "uuid, job_uuid, created, file_name, state"
_SCHEMA = """CREATE TABLE IF NOT EXISTS extracts (
    uuid TEXT PRIMARY KEY, job_uuid TEXT NOT NULL, created TEXT NOT NULL, file_name TEXT NOT NULL,
    state TEXT NOT NULL)"""


class ExtractState(StrEnum):
    """What has become of an execution."""

    COMPLETED = "completed"
    """It is listed, and its file can be had."""
    RUNNING = "running"
    """It is not listed yet, and there is no file."""
    DELETED = "deleted"
    """It is not listed any more; the file was deleted, and the record knows."""
    LOST = "lost"
    """It is listed, and its file is not where it should be."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of a scheduled extract; ``created`` is ISO 8601 in UTC."""

    uuid: str
    job_uuid: str
    created: str
    file_name: str
    state: str


class Extracts:
    """All executions of all scheduled extracts."""

    def __init__(self, state: State) -> None:
        self._state = state
        with state.writing() as db:
            db.execute(_SCHEMA)

    def add(
        self,
        *,
        job_uuid: str = "",
        content: str = CONTENT,
        size: int = 0,
        file_name: str = "extract.csv",
        created: str = "",
        state: str = ExtractState.COMPLETED,
    ) -> Execution:
        """Let an extract run once.

        :param job_uuid: the extract; empty for a new one.
        :param content: what its file holds, in UTF-8.
        :param size: the content is repeated until the file has at least as many bytes.
        :param created: when it ran, ISO 8601, in UTC unless it says otherwise; empty for now.
        :raises ValueError: the time or the state is none.
        """
        moment = datetime.fromisoformat(created) if created else datetime.now(UTC)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        stamp = moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        made = Execution(str(uuid.uuid4()), job_uuid or str(uuid.uuid4()), stamp, file_name, ExtractState(state).value)
        if state == ExtractState.COMPLETED:
            self._write(made, content.encode(), size)
        with self._state.writing() as db:
            db.execute(
                f"INSERT INTO extracts ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608 - a constant
                (made.uuid, made.job_uuid, made.created, made.file_name, made.state),
            )
            for older in _of(db, made.job_uuid)[:-KEPT]:
                db.execute("DELETE FROM extracts WHERE uuid = ?", (older.uuid,))
                self.file_of(older).unlink(missing_ok=True)
        return made

    def _write(self, execution: Execution, content: bytes, size: int) -> None:
        with self.file_of(execution).open("wb") as file:
            file.write(content)
            while content and file.tell() < size:
                file.write(content * max(1, (1 << 20) // len(content)))

    def of(self, job_uuid: str) -> list[Execution]:
        """Give the executions of an extract, oldest first; none where there is no such extract."""
        with self._state.reading() as db:
            return _of(db, job_uuid)

    def find(self, execution_uuid: str) -> Execution | None:
        """Find an execution."""
        with self._state.reading() as db:
            return next(iter(_select(db, "WHERE uuid = ?", execution_uuid)), None)

    def file_of(self, execution: Execution) -> Path:
        """Tell where the file of an execution lies, or would lie."""
        return self._state.logs / execution.uuid


def _of(db: sqlite3.Connection, job_uuid: str) -> list[Execution]:
    return _select(db, "WHERE job_uuid = ? ORDER BY created, rowid", job_uuid)


def _select(db: sqlite3.Connection, where: str, value: str) -> list[Execution]:
    rows = db.execute(f"SELECT {_COLUMNS} FROM extracts {where}", (value,))  # noqa: S608 - constants
    return [Execution(*row) for row in rows]

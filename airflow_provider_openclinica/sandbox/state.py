"""What the sandbox keeps between requests and over a restart: one SQLite file, and the logs of its jobs beside it.

Readers never wait for a running import, writers wait for each other: SQLite's write-ahead log gives both. So an
import is one transaction, as on a real server (docs/protocol.md, jobs), and polling goes on meanwhile.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.history import ROOT, act_as

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY_SECONDS = 600.0
"""How long a writer waits for the one before it, which may be importing a large file."""


class State:
    """One SQLite file and a folder of logs.

    :param path: the file, created when it is missing; ``None`` for a temporary one that :meth:`close` removes.
    :raises ValueError: the file is there and no SQLite file, or cannot be opened.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._temporary = None if path else tempfile.TemporaryDirectory(prefix="openclinica-sandbox-")
        self.path = path or Path(self._temporary.name if self._temporary else "", "sandbox.sqlite")
        self.logs = self.path.with_name(f"{self.path.name}.logs")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._kept_open = self._connect()  # SQLite tidies its file up whenever the last connection closes
            self._kept_open.execute("PRAGMA journal_mode = WAL")
            self._kept_open.execute("CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        except sqlite3.DatabaseError as error:
            raise ValueError(f"the state cannot be kept in {self.path}: {error}") from error
        self.logs.mkdir(exist_ok=True)

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        db.execute(f"PRAGMA synchronous = {'OFF' if self._temporary else 'NORMAL'}")
        act_as(db, ROOT)
        return db

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open the last committed state, unmoved by what is written meanwhile."""
        with closing(self._connect()) as db:
            db.execute("BEGIN")
            yield db
            db.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction; it is committed at a clean exit, and leaves nothing behind at any other."""
        with closing(self._connect()) as db:  # closing an open transaction rolls it back
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")

    def setting(self, name: str, default: str) -> str:
        """Read a setting; where it has none yet, it gets ``default`` for good."""
        with self.writing() as db:
            db.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (name, default))
            (value,) = db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return str(value)

    def set(self, name: str, value: str) -> None:
        """Store a setting."""
        with self.writing() as db:
            db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def wipe(self) -> None:
        """Empty every table but the settings, and remove all logs."""
        with self.writing() as db:
            tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('settings')")
            for (table,) in tables.fetchall():
                db.execute(f'DELETE FROM "{table}"')  # noqa: S608 - a name from the schema itself
        for log in self.logs.iterdir():
            log.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove what was temporary."""
        self._kept_open.close()
        if self._temporary:
            self._temporary.cleanup()

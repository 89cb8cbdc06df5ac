"""Where the processes of a host keep tokens, and how they take turns at asking for one.

OpenClinica allows two token calls a minute for each address, so a host's processes share: a folder holds a file for
each account and a lock for each token server. The lock is the kernel's (``flock``), so that it is free again the moment
its holder dies, SIGKILL included. The lock file itself remembers the last calls, which no process could count alone.

    FileShelf(folder, server)   all processes of a host; refuses a folder or file that others could have touched
    MemoryShelf()               the same for the threads of one process
    shelf.turn(now)             the right to ask, and what is known of earlier calls; None while another has it

What lies on a shelf is encrypted by the caller.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from airflow_provider_openclinica.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from io import FileIO

CALLS = 2  #: token calls within a window; OpenClinica answers more with 429
WINDOW = 60.0  #: seconds
LONGEST_HOLD = 600.0  #: seconds; a longer Retry-After, or one that a wrong clock left behind, is cut
MOST_BYTES = 64 * 1024  #: of a file; ours have one or two thousand

# Not "[openclinica]": Airflow's command line takes square brackets for markup and drops them.
_SETTING = "token_cache_dir in the section openclinica of Airflow's configuration"


class Shelf(Protocol):
    """A place for small texts, and turns at the token server."""

    def read(self, name: str) -> str:
        """Return the text of that name; ``""`` where there is none."""

    def write(self, name: str, text: str) -> None:
        """Keep a text, whole or not at all."""

    def turn(self, now: float) -> AbstractContextManager[Turn | None]:
        """Take the turn at the token server, for the length of a ``with``; None, at once, while another has it."""


class Turn:
    """One holder's right to ask for a token, with the memory of earlier calls that all holders share.

    :param memory: what the last holder kept.
    :param keep: keeps it for the next one, at once.
    :param now: seconds since 1970.
    :param most: calls within a window; 0 allows any number.
    """

    def __init__(self, memory: str, keep: Callable[[str], None], now: float, most: int = CALLS) -> None:
        self._keep, self._now, self._most = keep, now, most
        calls, held_until = _remembered(memory)
        # A clock that was set back must not block anybody for hours.
        self._calls = [call for call in calls if now - WINDOW < call <= now][-most:] if most else []
        self._held_until = held_until if held_until <= now + LONGEST_HOLD else 0.0

    def wait(self) -> float:
        """Return how many seconds a call has to wait, for the calls of a minute or because the server said so."""
        full = bool(self._calls) and len(self._calls) == self._most
        return max(0.0, self._held_until - self._now, self._calls[0] + WINDOW - self._now if full else 0.0)

    def begin(self) -> None:
        """Count a call, before it is made: a process that dies in it has called."""
        self._calls.append(self._now)
        self._save()

    def take_back(self) -> None:
        """Do not count the call: no answer came."""
        self._calls.pop()
        self._save()

    def hold(self, seconds: float) -> None:
        """Let nobody on this host call for so long, because the server said 429."""
        self._held_until = self._now + min(seconds, LONGEST_HOLD)
        self._save()

    def _save(self) -> None:
        self._keep(json.dumps({"calls": self._calls, "held_until": self._held_until}))


def _remembered(memory: str) -> tuple[list[float], float]:
    """Read what a turn kept; a file that is empty, cut or not ours counts as no memory."""
    try:
        kept = json.loads(memory)
        return [float(call) for call in kept["calls"]], float(kept["held_until"])
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return [], 0.0


class MemoryShelf:
    """A shelf for the threads of this process; gone with it.

    :param calls: token calls a minute; 0 allows any number.
    """

    def __init__(self, calls: int = CALLS) -> None:
        self._calls = calls
        self._texts: dict[str, str] = {}
        self._lock = threading.Lock()

    def read(self, name: str) -> str:
        """Return the text of that name; ``""`` where there is none."""
        return self._texts.get(name, "")

    def write(self, name: str, text: str) -> None:
        """Keep a text."""
        self._texts[name] = text

    @contextlib.contextmanager
    def turn(self, now: float) -> Iterator[Turn | None]:
        """Take the turn; None while another thread has it."""
        if not self._lock.acquire(blocking=False):
            yield None
            return
        try:
            yield Turn(self.read("calls"), lambda text: self.write("calls", text), now, self._calls)
        finally:
            self._lock.release()


class FileShelf:
    """A shelf for all processes of this user on this host.

    :param folder: made when missing, mode 0700.
    :param server: name of the token server's lock, for the two calls a minute are counted by server, not by account.
    :param calls: token calls a minute; 0 allows any number.
    :raises ConfigurationError: from all methods, when folder or file belong to somebody else, are open to others, are
        symbolic links, or cannot be made.
    """

    def __init__(self, folder: Path, server: str, calls: int = CALLS) -> None:
        self._folder, self._lock_name, self._calls = folder, f"{server}.lock", calls

    def read(self, name: str, *, most: int = MOST_BYTES) -> str:
        """Return the text of that name, cut after so many bytes; ``""`` where there is none."""
        with self._refusals():
            self._check_folder()
            try:
                descriptor = self._open(name, os.O_RDONLY)
            except FileNotFoundError:
                return ""
            with os.fdopen(descriptor, "rb") as file:
                return file.read(most).decode("utf-8", "replace")

    def write(self, name: str, text: str) -> None:
        """Replace the file of that name in one step, so that no reader ever sees half of it."""
        with self._refusals():
            self._check_folder()
            descriptor, temporary = tempfile.mkstemp(prefix=f"{name}.", dir=self._folder)  # mode 0600
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                Path(temporary).replace(self._folder / name)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise

    @contextlib.contextmanager
    def turn(self, now: float) -> Iterator[Turn | None]:
        """Take the turn; None while another process or thread has it."""
        with self._refusals():
            self._check_folder()
            file = os.fdopen(self._open(self._lock_name, os.O_RDWR | os.O_CREAT), "r+b", buffering=0)
        with file:
            with self._refusals():
                mine = _lock(file)
            if not mine:
                yield None
                return
            try:
                yield Turn(
                    file.read(MOST_BYTES).decode("utf-8", "replace"), partial(_overwrite, file), now, self._calls
                )
            finally:  # said aloud: closing alone would leave the lock to a child that was forked meanwhile
                fcntl.flock(file, fcntl.LOCK_UN)

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        """Say what to do where the system refuses."""
        try:
            yield
        except OSError as error:
            raise ConfigurationError(
                f"The token cache {self._folder} cannot be used: {error.strerror or 'the system refuses it'}",
                next_step=f"Name a folder that only the Airflow user can write as {_SETTING}, or set token_cache to "
                "memory in the connection's extra.",
            ) from None

    def _check_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self._folder.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise _refused(self._folder, "is a symbolic link, or no folder", "Remove it")
        _check_owner(self._folder, found, 0o700)

    def _open(self, name: str, flags: int) -> int:
        """Open a file of the folder without following a link; refuse it unless it is ours alone."""
        path = self._folder / name
        if path.is_symlink():
            raise _refused(path, "is a symbolic link", f"Remove it: rm {path}")
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _check_owner(path, os.fstat(descriptor), 0o600)
        except ConfigurationError:
            os.close(descriptor)
            raise
        return descriptor


def _check_owner(path: Path, found: os.stat_result, mode: int) -> None:
    if found.st_uid != os.geteuid():
        raise _refused(path, "belongs to another user", "Give each user of this host a folder of its own")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise _refused(path, "is open to other users", f"Close it: chmod {mode:o} {path}")


def _refused(path: Path, why: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(
        f"The token cache is refused: {path} {why}",
        next_step=f"{remedy}, or name another folder as {_SETTING}.",
    )


def _lock(file: FileIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _overwrite(file: FileIO, text: str) -> None:
    """Rewrite a locked file in place: replacing it would leave two files with a lock each."""
    file.seek(0)
    file.write(text.encode())
    file.truncate()

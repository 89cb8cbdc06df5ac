"""Folders for what must not outlive a task: normalised copies of clinical data.

A task removes its folder in every case but one: a process that is killed with SIGKILL removes nothing. So each folder
is locked by the process that made it, the kernel lets go of the lock when that process ends, however it ends, and
whoever makes the next folder on this host sweeps away those that nobody holds any more.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "openclinica-parts-"
MIN_AGE = 60.0  #: seconds; a younger folder may belong to a process that has not locked it yet


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give an empty folder that only this user can read, and remove it afterwards."""
    _sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as folder:
        held = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield Path(folder)
        finally:
            os.close(held)


def _sweep(place: Path) -> None:
    """Remove the folders of processes that have died."""
    for folder in place.glob(f"{PREFIX}*"):
        try:
            seen = folder.lstat()
            if seen.st_uid != os.geteuid() or time.time() - seen.st_mtime < MIN_AGE:
                continue
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # somebody else has just removed it, or it is no folder of ours
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # its process is alive
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(held)

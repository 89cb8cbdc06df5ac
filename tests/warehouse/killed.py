"""Load a set, and stand still in the middle of it, until the process is killed.

python -m tests.warehouse.killed KIND ADDRESS FOLDER SCRATCH AT: it prints a line when it stands at the batch of that
number.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from airflow_provider_openclinica.engine.tablereader import read_tables
from airflow_provider_openclinica.engine.warehouse.databases import database_of
from airflow_provider_openclinica.engine.warehouse.load import How, load
from tests.warehouse.conftest import connected
from tests.warehouse.sets import LocalFiles


class Standing(threading.Event):
    """Is asked before each batch whether the task was killed, and does not answer at one of them."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._left = at

    def is_set(self) -> bool:
        self._left -= 1
        if not self._left:
            print("standing", flush=True)  # noqa: T201 - the test reads it
            time.sleep(600)
        return False


if __name__ == "__main__":
    kind, address, folder, scratch, at = sys.argv[1:]
    files = LocalFiles()
    database = database_of(connected(kind, address), stop=Standing(int(at)))
    load(files, read_tables(files, folder), database, How(), Path(scratch))
    print("done", flush=True)  # noqa: T201 - the test reads it

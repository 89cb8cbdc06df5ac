"""The threads in which a pull retrieves. They end when it fails, and when its task is killed.

Whoever waits for them must wait no longer than a kill allows, and a server may be silent for minutes.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.engine.pieces import stopped
from airflow_provider_openclinica.errors import OpenClinicaError

if TYPE_CHECKING:
    import threading
    from collections.abc import Collection, Iterator

LOOK_SECONDS = 0.5  #: how soon a kill is noticed while requests are under way


@contextmanager
def workers(count: int, stop: threading.Event) -> Iterator[ThreadPoolExecutor]:
    """Give threads that fetch. An error ends them, each with the next bytes that come to it.

    A kill or a time-out does not wait for that: the server may be silent for minutes.
    """
    pool = ThreadPoolExecutor(count, thread_name_prefix="openclinica-pull")
    try:
        yield pool
    except BaseException as error:
        waits = isinstance(error, OpenClinicaError) and not stop.is_set()
        stop.set()
        pool.shutdown(wait=waits, cancel_futures=True)
        raise
    pool.shutdown()


def ended(running: Collection[Future[Any]], stop: threading.Event) -> set[Future[Any]]:
    """Wait until a request has ended, and return those that have.

    :raises WaitInterruptedError: the pull was told to stop.
    """
    while not stop.is_set():
        over = wait(running, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED).done
        if over:
            return over
    raise stopped()

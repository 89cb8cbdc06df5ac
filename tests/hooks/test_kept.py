"""One client for a process: made once, by whichever thread comes first, and anew by a forked child."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from airflow_provider_openclinica.hooks.kept import one_for_a_process


def test_threads_that_come_together_get_the_same() -> None:
    together, made = threading.Barrier(4), []

    @one_for_a_process
    def make(name: str) -> object:
        made.append(name)
        return object()

    def come() -> object:
        together.wait()
        return make("a")

    with ThreadPoolExecutor(4) as pool:
        found = {id(each.result()) for each in [pool.submit(come) for _ in range(4)]}
    assert (len(found), made) == (1, ["a"])
    assert make("b") is not make("a")


def test_a_child_that_is_forked_meanwhile_makes_its_own() -> None:
    begun, end = threading.Event(), threading.Event()

    @one_for_a_process
    def make(name: str) -> int:
        if name == "slow":
            begun.set()
            end.wait()
        return os.getpid()

    assert make("a") == os.getpid()
    thread = threading.Thread(target=make, args=("slow",))
    thread.start()
    begun.wait()
    child = os.fork()
    if not child:
        is_its_own = False
        try:
            is_its_own = make("a") == os.getpid()
        finally:
            os._exit(not is_its_own)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        end.set()
        thread.join()

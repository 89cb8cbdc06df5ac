"""How many token calls a host makes whose processes all start at once, and what finding a token costs afterwards.

    python -m benchmarks.token_sharing [--quick]

OpenClinica allows two token calls a minute for each address. The server here is slow, as a real one is: a second for a
token, during which every process looks for one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_openclinica.client.tokens import TokenManager
from tests.client.token_server import TokenServer

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue
    from multiprocessing.synchronize import Event

SECONDS_FOR_A_TOKEN = 1.0


def start_cold(server: TokenServer, folder: Path, start: Event, done: SimpleQueue[tuple[str, float]]) -> None:
    """Be one process of many: wait for the start, want a token, tell how long that took."""
    start.wait()
    begun = time.perf_counter()
    token = TokenManager(server.settings(), cache_dir=folder).token()
    done.put((token, time.perf_counter() - begun))


def main(*, quick: bool = False) -> None:
    """Measure and print."""
    processes, reads = (16, 50) if quick else (64, 500)
    context = multiprocessing.get_context("fork")  # cheap, and before the server's thread begins
    server, start, done = TokenServer(delay=SECONDS_FOR_A_TOKEN), context.Event(), context.SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="openclinica-bench-") as home:
        folder = Path(home) / "tokens"
        started = [context.Process(target=start_cold, args=(server, folder, start, done)) for _ in range(processes)]
        for process in started:
            process.start()
        with server:
            start.set()
            results = [done.get() for _ in started]
            for process in started:
                process.join()
            warm = []
            for _ in range(reads):  # each as a new process would: nothing in memory, key and token from scratch
                begun = time.perf_counter()
                TokenManager(server.settings(), cache_dir=folder).token()
                warm.append((time.perf_counter() - begun) * 1000)
    assert len({token for token, _ in results}) == 1
    longest = max(seconds for _, seconds in results)
    print(f"token_sharing: {processes} processes starting cold made {len(server.calls)} token call(s)")
    print(f"token_sharing: the last had its token after {longest:.1f} s, of which {SECONDS_FOR_A_TOKEN:.0f} s the call")
    print(f"token_sharing: a warm read takes {statistics.median(warm):.2f} ms (worst of {reads}: {max(warm):.2f} ms)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer processes")
    main(quick=parser.parse_args().quick)

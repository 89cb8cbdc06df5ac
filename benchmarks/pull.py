"""Pulling clinical data into a file on loopback, as a ratio to curl, and the memory that it takes.

python -m benchmarks.pull [--quick]

A plain server gives out a generated ODM document. Both store it; ours also mends references, counts what is in it,
looks whether it is whole, and hashes what it stores. Mending and counting run on one core whatever else there is; so
what they take alone, of bytes in memory, is printed, too.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.generate_odm import HEAD, TAIL, participant
from benchmarks.sink import token
from benchmarks.transfer import peak_megabytes, printed_by

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

TARGET_RATIO = 0.9
BLOCK_MEGABYTES = 16
CHUNK_BYTES = 256 << 10  #: as they come from the client
PATH = "/OpenClinica/pages/auth/api/clinicaldata/S_BENCH/*/*/*"


def block() -> bytes:
    """Return some megabytes of whole participants."""
    import random

    dice: random.Random = random.Random(20260105)  # noqa: S311
    text, number = bytearray(), 0
    while len(text) < BLOCK_MEGABYTES * 1_000_000:
        number += 1
        text += "".join(participant(number, dice)).encode()
    return bytes(text)


def serve(megabytes: int) -> None:
    """Listen on a free port of loopback and print it; end with the standard input."""
    body = block()
    times = max(1, megabytes * 1_000_000 // len(body))
    length = len(HEAD.encode()) + times * len(body) + len(TAIL)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def answer(connection: socket.socket) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml;charset=UTF-8\r\nContent-Length: %d\r\n\r\n"
        with connection, connection.makefile("rb") as incoming:
            while line := incoming.readline():
                size = 0
                while (header := incoming.readline()) not in (b"\r\n", b""):
                    if header.lower().startswith(b"content-length:"):
                        size = int(header.partition(b":")[2])
                incoming.read(size)
                if b"/oauth/token" in line:
                    connection.sendall(head % len(token()) + token())
                    continue
                connection.sendall(head % length + HEAD.encode())
                for _ in range(times):
                    connection.sendall(body)
                connection.sendall(TAIL.encode())

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


@contextmanager
def server(megabytes: int) -> Iterator[int]:
    """Run the server in a process of its own; yields its port."""
    command = [sys.executable, "-m", "benchmarks.pull", "--serve", str(megabytes)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(timeout=10)


def ours(port: int, path: Path) -> float:
    """Pull as the operator does, in this process; returns the seconds."""
    from airflow_provider_openclinica.client.addresses import ServerSettings
    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.client.tokens import TokenManager
    from airflow_provider_openclinica.engine.pieces import Request, retrieve

    settings = ServerSettings(
        study_url=f"http://127.0.0.1:{port}/OpenClinica",
        auth_url=f"http://127.0.0.1:{port}/oauth/token",
        login="benchmark",
        password="benchmark",  # noqa: S106
    )
    client = OpenClinicaClient(settings, TokenManager(settings))
    client.tokens.token()
    start = time.perf_counter()
    request = Request(study_oid="S_BENCH")
    with path.open("wb") as file:
        pulled = retrieve(client, request, request.whole, file, threading.Event())
    seconds = time.perf_counter() - start
    client.close()
    assert pulled.size == path.stat().st_size
    return seconds


def mending_and_counting(megabytes: int) -> float:
    """Return the seconds that a pull spends on mending and counting, and on nothing else."""
    from airflow_provider_openclinica.odm.repair import Repairs, clean, mend
    from airflow_provider_openclinica.odm.tally import Tally

    body, tally = block(), Tally()
    chunks = [body[start : start + CHUNK_BYTES] for start in range(0, len(body), CHUNK_BYTES)]
    start = time.perf_counter()
    for chunk in mend(clean(chunks, "utf-8", Repairs()), Repairs()):
        tally.take(chunk)
    return (time.perf_counter() - start) * megabytes * 1_000_000 / len(body)


def measure(port: int, path: Path) -> None:
    """Print the seconds and the peak memory of ours; runs in a process of its own."""
    print(ours(port, path), peak_megabytes())


def main(*, quick: bool = False) -> None:
    """Take turns, and print the medians."""
    if not shutil.which("curl"):
        raise SystemExit("pull: curl is not installed, so there is nothing to compare with")
    megabytes, rounds = (200, 5) if quick else (2000, 5)
    with tempfile.TemporaryDirectory(prefix="openclinica-bench-") as folder, server(megabytes) as port:
        path = Path(folder, "pulled.xml")
        us = [sys.executable, "-m", "benchmarks.pull", "--measure", str(port), str(path)]
        curl = ["curl", "--silent", "--fail", "--globoff", "--write-out", "%{time_total}", "--output", str(path)]
        own, other, peak = [], [], 0.0
        for _ in range(rounds):
            seconds, memory = map(float, printed_by(us).split())
            own.append(seconds)
            peak = max(peak, memory)
            other.append(float(printed_by([*curl, f"http://127.0.0.1:{port}{PATH}"])))
        mine, curls = statistics.median(own), statistics.median(other)
    print(f"pull  {megabytes} MB in {mine:.2f} s ({megabytes / mine:.0f} MB/s), curl {curls:.2f} s: ", end="")
    print(f"{curls / mine:.2f} of its throughput (target {TARGET_RATIO}); peak memory {peak:.0f} MB", flush=True)
    alone = mending_and_counting(megabytes)
    print(f"pull  mending and counting alone {alone:.2f} s, {alone / mine:.0%} of it", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="200 MB instead of 2 GB")
    parser.add_argument("--serve", type=int, metavar="MEGABYTES", help=argparse.SUPPRESS)
    parser.add_argument("--measure", nargs=2, metavar=("PORT", "PATH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
    elif arguments.measure:
        measure(int(arguments.measure[0]), Path(arguments.measure[1]))
    else:
        main(quick=arguments.quick)

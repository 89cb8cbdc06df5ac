"""Upload and download of a large file on loopback, as a ratio to curl, and the memory that ours takes.

python -m benchmarks.transfer [--quick]

Both talk to the same small server. Ours does more: an upload is hashed beforehand (its digest is the job's tag) and
again while it is sent (to notice a file that changes); a download is hashed while it is stored.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.sink import UUID

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET_MEGABYTES = 150
API = "http://127.0.0.1:{port}/OpenClinica/pages/auth/api"


@contextmanager
def sink(size: int) -> Iterator[int]:
    """Run the server; yields its port."""
    command = [sys.executable, "-m", "benchmarks.sink", str(size)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(timeout=10)


def ours(direction: str, port: int, path: Path) -> float:
    """Move the file with our client, in this process; returns the seconds from the first byte to the last."""
    from airflow_provider_openclinica.client.addresses import ServerSettings
    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.client.tokens import TokenManager
    from airflow_provider_openclinica.client.uploads import upload_file

    settings = ServerSettings(
        study_url=f"http://127.0.0.1:{port}/OpenClinica",
        auth_url=f"http://127.0.0.1:{port}/oauth/token",
        login="benchmark",
        password="benchmark",  # noqa: S106
        import_path="import/xml",
    )
    client = OpenClinicaClient(settings, TokenManager(settings))
    client.tokens.token()
    start = time.perf_counter()
    if direction == "upload":
        client.clinicaldata.import_odm(upload_file(path, name="benchmark.xml"))
    else:
        digest = hashlib.sha256()
        with client.jobs.open_log(UUID) as log, path.open("wb") as file:
            for chunk in log.chunks():
                digest.update(chunk)
                file.write(chunk)
    seconds = time.perf_counter() - start
    client.close()
    return seconds


def curl(direction: str, port: int, path: Path) -> list[str]:
    """Return the command that does the same."""
    call = ["curl", "--silent", "--fail", "--write-out", "%{time_total}", "--header", "Authorization: Bearer benchmark"]
    if direction == "upload":
        where = f"{API.format(port=port)}/clinicaldata/import/xml"
        return [*call, "--output", "/dev/null", "--form", f"file=@{path};filename=benchmark.xml", where]
    return [*call, "--output", str(path), f"{API.format(port=port)}/jobs/{UUID}/downloadFile"]


def peak_megabytes() -> float:
    """Return the most memory that this process ever held."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


def measure(direction: str, port: int, path: Path) -> None:
    """Print the seconds and the peak memory of ours; runs in a process of its own."""
    print(ours(direction, port, path), peak_megabytes())


def printed_by(command: list[str]) -> str:
    """Run a command; returns what it printed."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def compare(direction: str, port: int, path: Path, rounds: int) -> tuple[float, float, float]:
    """Take turns; return our median seconds, curl's, and our peak memory in megabytes."""
    us = [sys.executable, "-m", "benchmarks.transfer", "--measure", direction, str(port), str(path)]
    own, other, peak = [], [], 0.0
    for _ in range(rounds):
        seconds, megabytes = printed_by(us).split()
        own.append(float(seconds))
        peak = max(peak, float(megabytes))
        other.append(float(printed_by(curl(direction, port, path))))
    return statistics.median(own), statistics.median(other), peak


def main(*, quick: bool = False) -> None:
    """Compare in both directions and print a line for each."""
    if not shutil.which("curl"):
        raise SystemExit("transfer: curl is not installed, so there is nothing to compare with")
    size, rounds = (100 << 20, 3) if quick else (1 << 30, 3)
    with tempfile.TemporaryDirectory(prefix="openclinica-bench-") as folder, sink(size) as port:
        source = Path(folder, "upload.bin")
        with source.open("wb") as file:
            for _ in range(size >> 20):
                file.write(b"<ItemData/>     " * (1 << 16))
        for direction, path in (("upload", source), ("download", Path(folder, "download.bin"))):
            own, other, peak = compare(direction, port, path, rounds)
            speed = size / own / 1e6
            print(f"{direction:8}  {size >> 20} MiB in {own:.2f} s ({speed:.0f} MB/s), curl {other:.2f} s: ", end="")
            print(f"ratio {own / other:.1f}; peak memory {peak:.0f} MB (target {TARGET_MEGABYTES})", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100 MiB instead of 1 GiB")
    parser.add_argument("--measure", nargs=3, metavar=("DIRECTION", "PORT", "PATH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure[0], int(arguments.measure[1]), Path(arguments.measure[2]))
    else:
        main(quick=arguments.quick)

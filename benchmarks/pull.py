"""Pulling clinical data into a file on loopback, as a ratio to curl, and the memory that it takes.

python -m benchmarks.pull [--quick]

Both store the document; ours also mends references, counts what is in it, looks whether it is whole, and hashes what it
stores. Three servers give it out (``pull_server.py``). The bare ones take no time of their own, which no OpenClinica
does: with them, whatever is done beside receiving and storing shows. Of the sandbox, as of OpenClinica, both wait for
the server. Where openssl is there, what curl takes whose output is stored by tee and hashed by openssl is printed, too:
the same without mending and counting, and without Python.

Mending and counting run on one core whatever else there is; so what they take alone, of bytes in memory, is printed,
too.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from benchmarks.pull_server import Place, block, served
from benchmarks.transfer import peak_megabytes, printed_by

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.client import OpenClinicaClient

TARGET_RATIO = 0.9
ROUNDS = 5
CHUNK_BYTES = 256 << 10  #: as they come from the client
SHOWN = {
    "length": "from a bare server that says the length",
    "chunked": "from a bare server in chunks of 8 KB",
    "sandbox": "from the sandbox",
}
#: Megabytes, with and without ``--quick``. The sandbox writes some 16 in a second.
SIZES = {"length": (200, 2000), "chunked": (200, 2000), "sandbox": (20, 80)}


def ours(place: Place, path: Path) -> float:
    """Pull as the operator does, in this process; returns the seconds."""
    from airflow_provider_openclinica.engine.pieces import Request, retrieve

    client = client_of(place)
    client.tokens.token()
    start = time.perf_counter()
    request = Request(study_oid=place.study_oid)
    with path.open("wb") as file:
        pulled = retrieve(client, request, request.whole, file, threading.Event())
    seconds = time.perf_counter() - start
    client.close()
    assert pulled.size == path.stat().st_size
    return seconds


def client_of(place: Place) -> OpenClinicaClient:
    """Return a client that keeps its token in memory."""
    from airflow_provider_openclinica.client.addresses import ServerSettings
    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.client.tokens import TokenManager

    settings = ServerSettings(
        study_url=place.study_url, auth_url=place.auth_url, login=place.login, password=place.password
    )
    return OpenClinicaClient(settings, TokenManager(settings))


def curl(place: Place) -> list[str]:
    """Return the command that gets the same from the same address, for the standard output."""
    from airflow_provider_openclinica.client.http import XML_UTF8
    from airflow_provider_openclinica.client.retrieval import flags

    client = client_of(place)
    headers = (f"Authorization: Bearer {client.tokens.token()}", f"Accept: {XML_UTF8}")
    client.close()
    url = f"{place.study_url}/pages/auth/api/clinicaldata/{place.study_oid}/*/*/*?{urlencode(flags())}"
    return [
        "curl",
        "--silent",
        "--fail",
        "--globoff",
        *(word for header in headers for word in ("--header", header)),
        url,
    ]


def measure(place: Place, path: Path) -> None:
    """Print the seconds and the peak memory of ours; runs in a process of its own."""
    print(ours(place, path), peak_megabytes())


def took(command: str) -> float:
    """Run a command of the shell; returns the seconds."""
    start = time.perf_counter()
    subprocess.run(["bash", "-o", "pipefail", "-c", command], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def compare(kind: str, megabytes: int, path: Path) -> float:
    """Take turns, print the medians, and return ours."""
    own, other, hashed, peak = [], [], [], 0.0
    with served(kind, megabytes) as place:
        us = [sys.executable, "-m", "benchmarks.pull", "--measure", json.dumps(asdict(place)), str(path)]
        them, file = shlex.join(curl(place)), shlex.quote(str(path))
        for _ in range(ROUNDS):
            seconds, memory = map(float, printed_by(us).split())
            own.append(seconds)
            peak = max(peak, memory)
            other.append(took(f"{them} --output {file}"))
            if shutil.which("openssl"):
                hashed.append(took(f"{them} | tee {file} | openssl dgst -sha256"))
        size = path.stat().st_size / 1e6
    mine, curls = statistics.median(own), statistics.median(other)
    print(f"pull  {size:.0f} MB {SHOWN[kind]} in {mine:.2f} s ({size / mine:.0f} MB/s), curl {curls:.2f} s: ", end="")
    print(f"{curls / mine:.2f} of its throughput (target {TARGET_RATIO}); peak memory {peak:.0f} MB", flush=True)
    if hashed:
        ratio = curls / statistics.median(hashed)
        print(f"pull  curl | tee | openssl dgst -sha256: {ratio:.2f} of curl's throughput", flush=True)
    return mine


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


def main(*, quick: bool = False) -> None:
    """Compare with each server, and print a line for each."""
    if not shutil.which("curl"):
        raise SystemExit("pull: curl is not installed, so there is nothing to compare with")
    with tempfile.TemporaryDirectory(prefix="openclinica-bench-") as folder:
        for kind, (small, large) in SIZES.items():
            megabytes = small if quick else large
            mine = compare(kind, megabytes, Path(folder, "pulled.xml"))
            if kind == "length":
                alone = mending_and_counting(megabytes)
                print(f"pull  mending and counting alone {alone:.2f} s, {alone / mine:.0%} of it", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="200 MB instead of 2 GB, and 20 MB of the sandbox")
    parser.add_argument("--measure", nargs=2, metavar=("PLACE", "PATH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(Place(**json.loads(arguments.measure[0])), Path(arguments.measure[1]))
    else:
        main(quick=arguments.quick)

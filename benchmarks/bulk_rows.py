"""Many participants and events in bulk: what a task sends, how many jobs and calls that takes, and its memory.

    python -m benchmarks.bulk_rows [--quick]

The operators run as in a worker, against the sandbox in a process of its own, whose jobs begin at once. Files of 8,192
characters make many jobs, one after the other, so most of the time is the server's: the ratio compares with a bare loop
that posts files of that size, polls and downloads, and checks nothing.

Memory is the peak of the task's process above what Airflow and the provider take by themselves, for a tenth of the rows
and for all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from benchmarks.transfer import peak_megabytes, printed_by

if TYPE_CHECKING:
    from collections.abc import Iterator

STUDY, SITE, VISIT, VISITS = "S_JUNO", "S_BOSTON", "SE_FOLLOWUP", 5  # a visit that repeats, that often for each
HEADERS = {
    "participants": "ParticipantID,FirstName,LastName,EmailAddress,MobileNumber",
    "events": "ParticipantID,StudyEventOID,StudyEventRepeatKey,StartDate",
}
FILE_CHARACTERS = 8000


def lines_of(kind: str, people: int) -> Iterator[str]:
    """Give the rows for so many people: one for each, or one for each visit."""
    for number in range(people):
        if kind == "participants":
            yield f"B-{number:05},Ann,Lee,ann.lee.{number:05}@example.org,+1 5550{number:06}"
        else:
            yield from (f"B-{number:05},{VISIT},,2026-05-{day:02}" for day in range(1, VISITS + 1))


@contextmanager
def sandbox() -> Iterator[str]:
    """Run a sandbox; gives its address."""
    options = ("--port", "0", "--dialect", "source", "--job-seconds", "0", "--token-rate", "0")
    command = [sys.executable, "-m", "airflow_provider_openclinica.sandbox", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().rstrip().rpartition(" on ")[2].removesuffix("/OpenClinica")
        finally:
            process.terminate()


def ours(kind: str, url: str, path: Path) -> dict[str, Any]:
    """Run the operator on a file, in this process."""
    connection = {
        "conn_type": "openclinica",
        "host": f"{url}/OpenClinica",
        "login": "data_manager",
        "password": "sandbox",
        "extra": {"auth_url": f"{url}/user-service/api/oauth/token", "token_cache": "memory"},
    }
    os.environ["AIRFLOW_CONN_OPENCLINICA_DEFAULT"] = json.dumps(connection)
    from airflow_provider_openclinica.operators.events import OpenClinicaBulkEventsOperator
    from airflow_provider_openclinica.operators.participants import OpenClinicaBulkParticipantsOperator
    from tests.tasks import Task

    operators: dict[str, Any] = {
        "participants": OpenClinicaBulkParticipantsOperator,
        "events": OpenClinicaBulkEventsOperator,
    }
    operator = operators[kind](
        task_id=kind, study_oid=STUDY, site_oid=SITE, csv_uri=str(path), poll_interval=0.01, deferrable=False
    )
    before, start = peak_megabytes(), time.perf_counter()
    result = Task().run(operator)
    seconds = time.perf_counter() - start
    assert result["rows_logged"] == result["rows_sent"]
    assert not result["rows_failed"]
    return {
        "seconds": seconds,
        "megabytes": peak_megabytes() - before,
        "rows": result["rows_sent"],
        "jobs": len(result["jobs"]),
        "xcom": len(json.dumps(result)),
    }


def bare_loop(kind: str, url: str, path: Path) -> float:
    """Post the rows in files, wait for each job and download its log; returns the seconds."""
    session = requests.Session()
    account = {"username": "data_manager", "password": "sandbox"}
    token = session.post(f"{url}/user-service/api/oauth/token", json=account, timeout=60).text
    session.headers["Authorization"] = f"Bearer {token}"
    api = f"{url}/OpenClinica/pages/auth/api"
    header, *rows = path.read_text().splitlines()
    start = time.perf_counter()
    while rows:
        room, lines = FILE_CHARACTERS, [header]
        while rows and len(rows[0]) < room:
            room -= len(rows[0]) + 1
            lines.append(rows.pop(0))
        address = f"{api}/clinicaldata/studies/{STUDY}/sites/{SITE}/{kind}/bulk"
        answer = session.post(address, files={"file": ("rows.csv", "\n".join(lines))}, timeout=60)
        answer.raise_for_status()
        job_uuid = answer.text.removeprefix("job uuid: ").strip()
        while "Content-Disposition" not in session.get(f"{api}/jobs/{job_uuid}/downloadFile", timeout=60).headers:
            time.sleep(0.01)
    return time.perf_counter() - start


def measure(kind: str, url: str, path: Path) -> tuple[dict[str, Any], int]:
    """Run the operator in a process of its own; returns its figures and the number of its calls."""
    requests.delete(f"{url}/sandbox/requests", timeout=60)
    printed = printed_by([sys.executable, "-m", "benchmarks.bulk_rows", "--measure", kind, url, str(path)])
    figures = json.loads(printed.splitlines()[-1])  # above it, Airflow logs
    return figures, len(requests.get(f"{url}/sandbox/requests", timeout=60).json())


def main(*, quick: bool = False) -> None:
    """Measure a tenth and the whole, then the bare loop, and print a line for each kind of rows."""
    people = 500 if quick else 10_000
    with tempfile.TemporaryDirectory(prefix="openclinica-bench-") as folder, sandbox() as url:
        files: dict[tuple[str, int], Path] = {}
        for kind, header in HEADERS.items():
            for count in (people // 10, people):
                files[kind, count] = Path(folder, f"{kind}-{count}.csv")
                files[kind, count].write_text("\n".join([header, *lines_of(kind, count), ""]))
        found: dict[tuple[str, int], tuple[dict[str, Any], int]] = {}
        for count in (people // 10, people):
            requests.post(f"{url}/sandbox/reset", timeout=60)
            for kind in HEADERS:
                found[kind, count] = measure(kind, url, files[kind, count])
        requests.post(f"{url}/sandbox/reset", timeout=60)
        for kind in HEADERS:
            report(kind, found[kind, people // 10][0], *found[kind, people], bare_loop(kind, url, files[kind, people]))


def report(kind: str, tenth: dict[str, Any], whole: dict[str, Any], calls: int, bare: float) -> None:
    """Print what was found."""
    rows, jobs, seconds = whole["rows"], whole["jobs"], whole["seconds"]
    print(f"{kind:12}  {rows:,} rows in {jobs} jobs and {calls} calls ({calls / jobs:.1f} a job), ", end="")
    print(f"{seconds:.0f} s ({rows / seconds:,.0f} rows/s); bare loop {bare:.0f} s: ratio {seconds / bare:.1f}")
    print(f"{'':12}  memory above idle {whole['megabytes']:.0f} MB, {tenth['megabytes']:.0f} MB for ", end="")
    print(f"{tenth['rows']:,} rows; what goes to XCom: {whole['xcom'] / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="500 participants instead of 10,000")
    parser.add_argument("--measure", nargs=3, metavar=("KIND", "URL", "PATH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(ours(arguments.measure[0], arguments.measure[1], Path(arguments.measure[2]))))
    else:
        main(quick=arguments.quick)

"""Import laboratory data twice, through Airflow, into an OpenClinica on this machine. ``make demo`` runs this.

The first file is right. The second has one value that OpenClinica refuses, and the task fails with what a user needs to
know. The DAG is the one in ``example_dags``, as it stands; Airflow, its database and the sandbox are real. What is
left behind lies in ``var/demo``: the logs of the jobs, and Airflow's own log.
"""

from __future__ import annotations

import csv
import json
import logging
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ROOT = HERE.parent
OUTPUT = ROOT / "var" / "demo"
DAG_FILE = ROOT / "example_dags" / "openclinica_import.py"
TASK = "import_labs"


def main() -> int:
    """Run the demonstration; return 0 where it ended as it should."""
    begun = time.monotonic()
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    with sandbox() as study_url:
        say(f"A sandbox OpenClinica listens at {study_url}, with the invented study Juno of two sites.")
        prepare_airflow(study_url)
        with airflow_log():
            runner = DagRunner()
        say("Airflow is ready: its database is made, and the DAG example_dags/openclinica_import.py is loaded.")
        good = import_file(runner, HERE / "labs.xml", "A night of laboratory results")
        bad = import_file(runner, HERE / "labs-with-a-wrong-flag.xml", "The same results, one flag mistyped")
    heading("That was it", f"{time.monotonic() - begun:.0f} seconds")
    say(f"Everything lies in {shown(OUTPUT)}: the logs, the failed rows, and airflow.log with what Airflow said.")
    return 0 if (good, bad) == ("success", "failed") else 1


@contextmanager
def sandbox() -> Iterator[str]:
    """Run a sandbox in a process of its own, and give its address."""
    command = [sys.executable, "-m", "airflow_provider_openclinica.sandbox", "--port", "0", "--job-seconds", "1"]
    with (OUTPUT / "sandbox.log").open("w") as errors:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)  # noqa: S603
        try:
            first_line = server.stdout.readline() if server.stdout else ""
            if " on http" not in first_line:
                raise SystemExit(f"The sandbox did not start; {shown(OUTPUT / 'sandbox.log')} says why.")
            yield first_line.rsplit(" on ", 1)[1].strip()
        finally:
            server.terminate()
            server.wait(timeout=10)


def prepare_airflow(study_url: str) -> None:
    """Give Airflow a home of its own and the connection. It reads both when it is first imported."""
    connection = {
        "conn_type": "openclinica",
        "host": study_url,
        "login": "data_manager",
        "password": "sandbox",
        "extra": {"auth_url": study_url.replace("/OpenClinica", "/user-service/api/oauth/token")},
    }
    os.environ.update(
        AIRFLOW_HOME=str(OUTPUT / "airflow"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__DAGS_FOLDER=str(DAG_FILE.parent),
        AIRFLOW__OPENCLINICA__TOKEN_CACHE_DIR=str(OUTPUT / "tokens"),
        AIRFLOW_CONN_OPENCLINICA_DEFAULT=json.dumps(connection),
    )


class DagRunner:
    """Airflow in this process: the real scheduler loop of ``dag.test``, its database, its task runner, its triggers."""

    def __init__(self) -> None:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
        from airflow.utils.db import initdb

        initdb()
        DagBundlesManager().sync_bundles_to_db()
        bag = DagBag(DAG_FILE)
        sync_bag_to_db(bag, "dags-folder", None)
        self.dag = bag.dags["openclinica_import"]
        task = self.dag.get_task(TASK)
        task.poll_interval = 1.0  # a night has more time than you
        task.on_failure_callback = [self._keep]
        self.failure = ""
        self.said: list[str] = []
        logging.getLogger("airflow_provider_openclinica").addHandler(_Keeper(self.said))

    def run(self, odm: Path, logs: Path) -> tuple[str, dict[str, Any]]:
        """Run the DAG once; return how its task ended, and what it returned."""
        self.said.clear()
        run = self.dag.test(run_conf={"odm_uri": str(odm), "log_uri": f"{logs}/"})
        instance = run.get_task_instance(TASK)
        return str(instance.state), instance.xcom_pull(task_ids=TASK) or {}

    def _keep(self, context: Any) -> None:
        self.failure = str(context["exception"])


class _Keeper(logging.Handler):
    """Keep what the provider writes into the task's log."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.INFO)
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        self.lines.append(record.getMessage())


def import_file(runner: DagRunner, odm: Path, title: str) -> str:
    """Run the DAG on one file and tell what came of it."""
    heading(title, shown(odm))
    logs = OUTPUT / "logs" / odm.stem
    with airflow_log():
        state, result = runner.run(odm, logs)
    say("What the task logged:")
    for line in runner.said:
        print(textwrap.fill(line, 110, initial_indent="    ", subsequent_indent="      "))
    say(f"Airflow calls the task: {state}.")
    if runner.failure:
        say("Its message:")
        print(textwrap.indent(textwrap.fill(runner.failure, 106), "    "))
    if result:
        say(f"It returned: {len(result['jobs'])} jobs, {result['rows_logged']} rows, {result['outcomes']}")
    show_rows(sorted(logs.glob("*.csv")))
    return state


def show_rows(logs: list[Path]) -> None:
    """Show the outcomes by participant and item group, and each row that failed."""
    counts: Counter[tuple[str, ...]] = Counter()
    failed = []
    for log in logs:
        if log.name.endswith(".failed.csv"):
            continue
        for row in csv.DictReader(log.open(encoding="utf-8")):
            counts[row["ParticipantID"], row["StudyEventOID"], row["ItemGroupOID"], row["Status"]] += 1
            if row["Status"].casefold() == "failed":
                failed.append(row)
    print()
    line = "    {:<12}{:<14}{:<18}{:<11}{:>5}".format
    print(line("Participant", "Event", "Item group", "Outcome", "Rows"))
    for key, count in counts.items():
        print(line(*key, count))
    for row in failed:
        say(
            f"Refused: {row['ItemOID']} of {row['ParticipantID']}, {row['Message']}; also in the .failed.csv beside it."
        )


@contextmanager
def airflow_log() -> Iterator[None]:
    """Send all that Airflow prints to a file, so that this account stays readable."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with (OUTPUT / "airflow.log").open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, descriptor in enumerate(kept, 1):
                os.dup2(descriptor, number)
                os.close(descriptor)


def shown(path: Path) -> str:
    """Name a path as a user in this folder would."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def heading(title: str, aside: str) -> None:
    """Print a line that begins a section."""
    print(f"\n== {title} ({aside})", flush=True)


def say(text: str) -> None:
    """Print a sentence."""
    print(textwrap.fill(text, 110, subsequent_indent="  "), flush=True)


if __name__ == "__main__":
    sys.exit(main())

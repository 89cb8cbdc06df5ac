"""A real Airflow for tests: ``airflow standalone`` with its scheduler, triggerer and API server, driven by REST.

It lives in a process group of its own with an empty home, free ports and room for two tasks at once. Starting takes
about 20 seconds, so one instance serves all tests of a session.

    with Standalone(home, dags_folder) as airflow:
        run = airflow.trigger("hello", conf={"name": "value"})
        run.wait_for("task", {"success"})
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import psutil
import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

START_SECONDS = 300
PARSE_SECONDS = 180
TASK_SECONDS = 180
ANSWER_SECONDS = 60  # SQLite has one writer at a time, and a request may wait for it
T = TypeVar("T")
ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


def free_port() -> int:
    """Find a port of loopback that nobody listens on, and that the system gives to nobody before Airflow takes it."""
    for port in random.sample(range(20_000, 32_000), 1000):  # below those that whoever asks for any is given
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def until(seconds: float, look: Callable[[], T | None], what: str) -> T:
    """Ask twice a second until ``look`` gives something; fail, saying what was waited for, when time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (found := look()) is not None:
            return found
        time.sleep(0.5)
    raise AssertionError(f"after {seconds:.0f} s still waiting for {what}")


def readable(line: str | dict[str, Any]) -> str:
    """Turn one structured line of a task's log into text: its event, then everything else that it holds."""
    if isinstance(line, str):
        return line
    rest = {name: value for name, value in line.items() if name not in {"event", "timestamp", "level"}}
    errors = [f"{error['exc_type']}: {error['exc_value']}" for error in line.get("error_detail") or []]
    return " ".join([line["event"], *errors, json.dumps(rest)])


@dataclass
class Standalone:
    """One ``airflow standalone``.

    :param home: an empty folder; becomes AIRFLOW_HOME and keeps ``standalone.log``.
    :param dags: the folder of the DAG files; it is only read.
    :param environment: added to the environment of all of Airflow's processes, such as ``AIRFLOW_CONN_...``.
    """

    home: Path
    dags: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start Airflow and wait until all four of its parts are healthy."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "standalone.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(Path(sys.executable).with_name("airflow")), "standalone"],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._session = requests.Session()
        self._session.trust_env = False
        try:
            until(START_SECONDS, self._healthy, f"Airflow to start; see {self.home / 'standalone.log'}")
        except BaseException:
            self.stop()
            raise
        self._session.mount("http://", HTTPAdapter(max_retries=Retry(3, backoff_factor=1)))  # what only reads
        answer = self._session.get(f"http://127.0.0.1:{self.port}/auth/token", timeout=ANSWER_SECONDS)
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def stop(self) -> None:
        """End every process of this Airflow. A signal to the parent alone would leave its children behind."""
        parent = [] if self._process.poll() is not None else [psutil.Process(self._process.pid)]
        family = [*parent, *self._children()]
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
            psutil.wait_procs(family, timeout=5)
        self._process.wait(timeout=10)

    def get(self, path: str, **options: Any) -> Any:
        """Read something from the REST API; ``path`` stands below ``/api/v2``."""
        return self._answer("GET", path, **options)

    def trigger(self, dag_id: str, *, conf: Mapping[str, Any] | None = None) -> Run:
        """Start a run as soon as the DAG has been parsed."""
        until(PARSE_SECONDS, lambda: self._parsed(dag_id), f"the DAG {dag_id}; import errors: {self._import_errors()}")
        body = {"logical_date": None, "conf": dict(conf or {})}
        answer = self._answer("POST", f"dags/{dag_id}/dagRuns", json=body)
        return Run(self, dag_id, answer["dag_run_id"])

    def runs(self, dag_id: str) -> list[Run]:
        """Return the runs of a DAG, whoever started them, in their order."""
        found = self.get(f"dags/{dag_id}/dagRuns", params={"order_by": "run_after"})["dag_runs"]
        return [Run(self, dag_id, run["dag_run_id"]) for run in found]

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
        return kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}",  # it starts itself by name
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.port}/execution/",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            **self.environment,
        }

    def _healthy(self) -> bool | None:
        if self._process.poll() is not None:
            raise AssertionError(f"Airflow ended while starting; see {self.home / 'standalone.log'}")
        try:
            health = self._session.get(f"http://127.0.0.1:{self.port}/api/v2/monitor/health", timeout=5).json()
        except (requests.ConnectionError, requests.Timeout, json.JSONDecodeError):
            return None
        parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        return True if all(health[part]["status"] == "healthy" for part in parts) else None

    def _parsed(self, dag_id: str) -> bool | None:
        answer = self._session.get(f"http://127.0.0.1:{self.port}/api/v2/dags/{dag_id}", timeout=ANSWER_SECONDS)
        return True if answer.status_code == 200 else None

    def _import_errors(self) -> list[str]:
        return [error["stack_trace"] for error in self.get("importErrors")["import_errors"]]

    def _answer(self, method: str, path: str, **options: Any) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/v2/{path}"
        for _ in range(5):
            answer = self._session.request(method, url, timeout=ANSWER_SECONDS, **options)
            if answer.status_code < 500:  # SQLite has one writer at a time, and Airflow says 500 to whoever comes late
                break
            time.sleep(1)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def _children(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []


@dataclass(frozen=True)
class Run:
    """One run of a DAG."""

    airflow: Standalone
    dag_id: str
    run_id: str

    def task(self, task_id: str) -> dict[str, Any]:
        """Return what Airflow knows of the latest try: ``state``, ``try_number``, ``pid``, …"""
        return dict(self.airflow.get(f"{self._path}/taskInstances/{task_id}"))

    def wait_for(self, task_id: str, states: Collection[str], seconds: float = TASK_SECONDS) -> dict[str, Any]:
        """Wait until a task is in one of these states; fail with its log where it ends in another."""

        def look() -> dict[str, Any] | None:
            task = self.task(task_id)
            if task["state"] in states:
                return task
            assert task["state"] not in ENDED, f"{task_id} ended {task['state']}:\n{self.log(task_id)}"
            return None

        return until(seconds, look, f"{self.dag_id}.{task_id} to be {' or '.join(states)}")

    def wait_for_end(self, seconds: float = TASK_SECONDS) -> None:
        """Wait until Airflow has closed the run: a clearing at that very moment would go unheard."""

        def closed() -> bool | None:
            return True if self.airflow.get(self._path)["state"] in {"success", "failed"} else None

        until(seconds, closed, f"run {self.run_id} of {self.dag_id} to end")

    def wait_for_try(self, task_id: str, number: int, states: Collection[str], seconds: float = TASK_SECONDS) -> None:
        """Wait until a task that was cleared has begun that try and is in one of these states."""

        def begun() -> bool | None:
            return True if self.task(task_id)["try_number"] >= number else None

        until(seconds, begun, f"try {number} of {self.dag_id}.{task_id}")
        self.wait_for(task_id, states, seconds)

    def wait_until_deferred(self, task_id: str, seconds: float = TASK_SECONDS) -> None:
        """Wait until a task is deferred and the scheduler knows that its worker has ended.

        Seconds may lie between. If the trigger fires in them, the scheduler takes the end of that worker for the end
        of the one that resumes, and fails the task: Airflow's error, which tests of ours need not meet.
        """
        ended = f"Received executor event with state success for task instance TaskInstanceKey(dag_id='{self.dag_id}'"
        key = f"task_id='{task_id}', run_id='{self.run_id}'"

        def heard() -> bool | None:
            lines = (self.airflow.home / "standalone.log").read_text(errors="replace").splitlines()
            return any(ended in line and key in line for line in lines) or None

        self.wait_for(task_id, {"deferred"}, seconds)
        until(seconds, heard, f"the scheduler to hear that the worker of {self.dag_id}.{task_id} has ended")

    def wait_for_line(self, task_id: str, text: str, seconds: float = TASK_SECONDS) -> None:
        """Wait until a running task has logged something."""
        self.wait_for(task_id, {"running"}, seconds)
        until(seconds, lambda: True if text in self.log(task_id) else None, f"{task_id} to log {text!r}")

    def log(self, task_id: str, *, try_number: int | None = None) -> str:
        """Return the log of a try, the latest by default, one event a line."""
        number = try_number or self.task(task_id)["try_number"]
        answer = self.airflow.get(f"{self._path}/taskInstances/{task_id}/logs/{number}")
        return "\n".join(readable(line) for line in answer["content"])

    def xcom(self, task_id: str, key: str = "return_value") -> Any:
        """Return one value that a task left in XCom."""
        path = f"{self._path}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.airflow.get(path, params={"deserialize": "true"})["value"]

    def xcom_keys(self, task_id: str) -> set[str]:
        """Return the keys of all that a task left in XCom."""
        entries = self.airflow.get(f"{self._path}/taskInstances/{task_id}/xcomEntries")["xcom_entries"]
        return {entry["key"] for entry in entries}

    def clear(self, task_id: str) -> None:
        """Clear a task, as a person does in the UI."""
        body = {
            "dag_run_id": self.run_id,
            "dry_run": False,
            "only_failed": False,
            "reset_dag_runs": True,
            "task_ids": [task_id],
        }
        self.airflow._answer("POST", f"dags/{self.dag_id}/clearTaskInstances", json=body)

    def kill(self, task_id: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the process that runs a task; SIGKILL is how a node looks that goes away."""
        pid = self.task(task_id)["pid"]
        assert pid in [child.pid for child in self.airflow._children()], f"{pid} is no process of this Airflow"
        os.kill(pid, number)

    @property
    def _path(self) -> str:
        return f"dags/{self.dag_id}/dagRuns/{self.run_id}"

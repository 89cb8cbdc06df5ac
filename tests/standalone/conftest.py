"""One real Airflow, and an OpenClinica of each dialect beside it, for all tests of this folder."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.postgres import postgres_folder, running_postgres
from tests.standalone.harness import Standalone

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class RunningSandbox:
    """A sandbox in a process of its own.

    :param conn_id: Airflow's connection to it.
    """

    dialect: str
    url: str

    @property
    def conn_id(self) -> str:
        return f"openclinica_{self.dialect}"

    @property
    def connection(self) -> str:
        extra = {"auth_url": f"{self.url}/user-service/api/oauth/token"}
        account = {"conn_type": "openclinica", "login": "data_manager", "password": "sandbox", "extra": extra}
        return json.dumps(account | {"host": f"{self.url}/OpenClinica"})

    def plan(self, what: str, **details: Any) -> None:
        """Plan a fault, or the fate of a job."""
        requests.post(f"{self.url}/sandbox/{what}", json=details, timeout=60).raise_for_status()

    def show(self, what: str) -> list[dict[str, Any]]:
        """Return its jobs, its data or the requests that it saw."""
        shown: list[dict[str, Any]] = requests.get(f"{self.url}/sandbox/{what}", timeout=60).json()
        return shown


@contextmanager
def running_sandbox(dialect: str, folder: Path) -> Iterator[RunningSandbox]:
    command = [sys.executable, "-m", "airflow_provider_openclinica.sandbox", "--port", "0", "--dialect", dialect]
    with (folder / f"{dialect}.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout
        first = process.stdout.readline()
        yield RunningSandbox(dialect, first.split()[-1].removesuffix("/OpenClinica"))
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture(scope="session")
def sandboxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RunningSandbox]]:
    """Start both OpenClinicas."""
    folder = tmp_path_factory.mktemp("sandboxes")
    with ExitStack() as stack:
        yield {dialect: stack.enter_context(running_sandbox(dialect, folder)) for dialect in ("docs", "source")}


@pytest.fixture(scope="session")
def database_folder() -> Iterator[Path]:
    """Where PostgreSQL lies, if a test needs it: Airflow has to know that before it starts."""
    with postgres_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres(database_folder: Path) -> Iterator[str]:
    """Start PostgreSQL and give its address; Airflow's connection ``warehouse`` leads to it."""
    with running_postgres(database_folder) as address:
        yield address


@pytest.fixture(scope="session")
def standalone(
    sandboxes: dict[str, RunningSandbox], database_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Standalone]:
    """Start Airflow with the DAGs of ``tests/standalone/dags`` and a connection to each OpenClinica."""
    home = tmp_path_factory.mktemp("standalone")
    environment = {f"AIRFLOW_CONN_{sandbox.conn_id.upper()}": sandbox.connection for sandbox in sandboxes.values()}
    environment["AIRFLOW_CONN_OPENCLINICA_DEFAULT"] = sandboxes["docs"].connection
    database = {"conn_type": "postgres", "host": str(database_folder), "login": "postgres", "schema": "postgres"}
    environment["AIRFLOW_CONN_WAREHOUSE"] = json.dumps(database)
    environment["AIRFLOW__OPENCLINICA__TOKEN_CACHE_DIR"] = str(home / "tokens")
    with Standalone(home, Path(__file__).parent / "dags", environment) as airflow:
        yield airflow


@pytest.fixture
def openclinica(sandboxes: dict[str, RunningSandbox], dialect: str) -> RunningSandbox:
    """Hand over one OpenClinica, as fresh as if it had just been started."""
    sandbox = sandboxes[dialect]
    sandbox.plan("reset")
    return sandbox

"""Fixtures that all parts of the suite share. Neither Airflow nor the sandbox is imported until a test asks for it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_openclinica.sandbox.server import Sandbox

AIRFLOW_SETTINGS = {
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
}


def pytest_configure(config: pytest.Config) -> None:
    """Give Airflow a home of its own before any test module can import it; the home is empty and costs nothing."""
    home = Path(tempfile.mkdtemp(prefix="openclinica-airflow-"))
    for name in [name for name in os.environ if name.startswith(("AIRFLOW", "_AIRFLOW"))]:
        del os.environ[name]  # a developer's own settings would make the suite mean something else
    os.environ.update(AIRFLOW_SETTINGS)
    os.environ["AIRFLOW_HOME"] = str(home)
    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(home / "dags")
    if config.pluginmanager.hasplugin("hypothesispytest"):  # not there where old Airflows are tested
        from hypothesis import HealthCheck, settings

        # A busy machine is no reason to fail, and two runs of the same code try the same. Others, by chance:
        # ``--hypothesis-profile=default``.
        settings.register_profile(
            "any-machine", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
        )
        settings.load_profile("any-machine")
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Create Airflow's metadata database. Some seconds, once, for the tests that need it."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture(params=["docs", "source"])
def dialect(request: pytest.FixtureRequest) -> str:
    """Both accounts of OpenClinica 4, one after the other (docs/protocol.md, sandbox)."""
    return str(request.param)


@pytest.fixture(scope="session")
def sandboxes() -> Iterator[Callable[[str], Sandbox]]:
    """Return a function that gives the sandbox of a dialect, started when it is first asked for."""
    from airflow_provider_openclinica.sandbox.server import Sandbox

    with ExitStack() as started:
        yield cache(lambda dialect: started.enter_context(Sandbox(dialect=dialect, job_seconds=0.2, token_rate=0)))


@pytest.fixture
def sandbox(sandboxes: Callable[[str], Sandbox], dialect: str) -> Sandbox:
    """Give an OpenClinica on a free port of loopback, fresh for each test, whose jobs are quick."""
    server = sandboxes(dialect)
    server.reset()
    return server


@pytest.fixture
def token_cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the tokens of this test are kept."""
    folder = tmp_path / "tokens"
    monkeypatch.setenv("AIRFLOW__OPENCLINICA__TOKEN_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def openclinica_conn(sandbox: Sandbox, token_cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Define ``openclinica_default`` for the sandbox's data manager; returns the connection's id."""
    connection = {
        "conn_type": "openclinica",
        "host": sandbox.study_url,
        "login": "data_manager",
        "password": "sandbox",
        "extra": {"auth_url": sandbox.auth_url},
    }
    monkeypatch.setenv("AIRFLOW_CONN_OPENCLINICA_DEFAULT", json.dumps(connection))
    return "openclinica_default"


@pytest.fixture
def clinone_conn(sandbox: Sandbox, token_cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Define ``clinone_default`` for the sandbox's ClinOne; returns the connection's id."""
    from tests.clinone import connect  # the sandbox

    return connect(sandbox, monkeypatch)


@pytest.fixture(scope="session")
def started_sandbox3() -> Iterator[Sandbox]:
    """Start an OpenClinica 3 when it is first asked for."""
    from airflow_provider_openclinica.sandbox.server import Sandbox

    with Sandbox(version=3) as started:
        yield started


@pytest.fixture
def sandbox3(started_sandbox3: Sandbox) -> Sandbox:
    """Give an OpenClinica 3 on a free port of loopback, fresh for each test."""
    started_sandbox3.reset()
    return started_sandbox3


@pytest.fixture
def openclinica3_conn(sandbox3: Sandbox, token_cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Define ``openclinica3_default`` for the sandbox's data manager; returns the connection's id."""
    connection = {
        "conn_type": "openclinica3",
        "host": sandbox3.study_url,
        "login": "data_manager",
        "password": "sandbox",
        "extra": {"ws_url": sandbox3.ws_url},
    }
    monkeypatch.setenv("AIRFLOW_CONN_OPENCLINICA3_DEFAULT", json.dumps(connection))
    return "openclinica3_default"


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """Run an S3 API on loopback: one for all tests of a process, since Airflow keeps a connection's address there."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give an empty bucket, ``s3://minio@labs/`` for Airflow. It goes after the test, and so does any other."""
    import boto3  # type: ignore[import-untyped]

    keys = {"aws_access_key_id": "example", "aws_secret_access_key": "example"}
    place = {"endpoint_url": s3_url, "region_name": "us-east-1"}
    monkeypatch.setenv("AIRFLOW_CONN_MINIO", json.dumps({"conn_type": "aws", "extra": keys | place}))
    storage = boto3.resource("s3", **keys, **place)
    yield storage.create_bucket(Bucket="labs")
    for left in storage.buckets.all():
        left.objects.delete()
        left.delete()

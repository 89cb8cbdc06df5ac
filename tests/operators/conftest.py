"""What the tests of operators share."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.client import retries
from tests.documents import labs as labs_document

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait milliseconds between the tries of a request; how long they really are is tested with the client."""
    monkeypatch.setattr(retries, "_FIRST_WAIT", 0.01)


@pytest.fixture
def task() -> Task:
    """A task on an Airflow that has a state store."""
    from tests.tasks import Task  # Airflow: a conftest may be loaded before its home is set

    return Task()


@pytest.fixture
def labs(tmp_path: Path) -> Callable[..., str]:
    """Write a laboratory file, see ``tests/documents.py``, and return its path."""

    def write(*participants: str, name: str = "labs.xml", **content: Any) -> str:
        path = tmp_path / name
        path.write_text(labs_document(*participants, **content), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def told(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Return a function that gives all that was logged or printed since it was last asked."""
    caplog.set_level(logging.INFO)
    return lambda: "".join(capfd.readouterr()) + caplog.text


@pytest.fixture
def coordinator_conn(sandbox: Sandbox, openclinica_conn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the connection be that of a site's coordinator; one participant there has contact data."""
    from airflow_provider_openclinica.hooks.clients import client_for
    from tests.operators.contacts import CONTACT, log_in_as

    data_manager = client_for(openclinica_conn)
    data_manager.participants.add("BOS-001", CONTACT, study_oid="S_JUNO", site_oid="S_BOSTON", register=True)
    log_in_as("crc_boston", sandbox, monkeypatch)
    sandbox.service.requests.clear()

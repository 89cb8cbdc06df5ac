"""What the tests of transfers share."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from airflow_provider_openclinica.client import retries
from airflow_provider_openclinica.engine import pieces

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.tasks import Task


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait milliseconds between the tries of a request."""
    monkeypatch.setattr(retries, "_FIRST_WAIT", 0.01)
    monkeypatch.setattr(pieces, "PAUSES", (0.01, 0.01))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a set goes; its tokens are elsewhere."""
    (tmp_path / "juno").mkdir()
    return tmp_path / "juno"


@pytest.fixture
def task() -> Task:
    """A task with retries, on an Airflow that has a state store."""
    from tests.tasks import Instance, Task  # Airflow: a conftest may be loaded before its home is set

    return Task(Instance(max_tries=2))


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Return a function that gives what was logged; where a task's log goes depends on the Airflow."""
    caplog.set_level(logging.INFO)
    return lambda: "".join(capfd.readouterr()) + caplog.text

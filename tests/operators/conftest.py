"""What the tests of operators share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.client import retries
from tests.documents import labs as labs_document

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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

"""Real sandboxes, one for each dialect and session, fresh for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.sandbox.server import Sandbox
from tests.sandbox.calls import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def started() -> Iterator[dict[str, Sandbox]]:
    options: dict[str, Any] = {"job_seconds": 0.0, "token_rate": 0, "job_list": True}
    with Sandbox(dialect="docs", **options) as docs, Sandbox(dialect="source", **options) as source:
        yield {"docs": docs, "source": source}


@pytest.fixture(params=["docs", "source"])
def sandbox(request: pytest.FixtureRequest, started: dict[str, Sandbox]) -> Sandbox:
    """A fresh sandbox; the test runs in each dialect."""
    started[request.param].reset()
    return started[request.param]


@pytest.fixture
def documented(started: dict[str, Sandbox]) -> Sandbox:
    started["docs"].reset()
    return started["docs"]


@pytest.fixture
def sourced(started: dict[str, Sandbox]) -> Sandbox:
    started["source"].reset()
    return started["source"]


@pytest.fixture
def manager(sandbox: Sandbox) -> Caller:
    return Caller(sandbox)

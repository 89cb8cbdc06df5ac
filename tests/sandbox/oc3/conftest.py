"""A real sandbox of version 3, fresh for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_openclinica.sandbox.server import Sandbox
from tests.sandbox.oc3.calls import Browser, Keyed, Soap

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def started_3() -> Iterator[Sandbox]:
    with Sandbox(version=3) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(started_3: Sandbox) -> Sandbox:
    started_3.reset()
    return started_3


@pytest.fixture
def browser(sandbox: Sandbox) -> Browser:
    """Somebody who is logged in."""
    browser = Browser(sandbox)
    browser.log_in()
    return browser


@pytest.fixture
def soap(sandbox: Sandbox) -> Soap:
    return Soap(sandbox)


@pytest.fixture
def keyed(sandbox: Sandbox) -> Keyed:
    return Keyed(sandbox)

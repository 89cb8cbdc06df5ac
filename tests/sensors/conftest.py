"""What the tests of sensors share."""

from __future__ import annotations

import pytest

from tests.tasks import Task


@pytest.fixture
def task() -> Task:
    """A task on an Airflow that has a state store."""
    return Task()

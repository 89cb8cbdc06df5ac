"""What the tests of sensors share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.tasks import Task


@pytest.fixture
def task() -> Task:
    """A task on an Airflow that has a state store."""
    from tests.tasks import Task  # Airflow: a conftest may be loaded before its home is set

    return Task()

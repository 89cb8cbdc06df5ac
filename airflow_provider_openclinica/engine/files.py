"""Where the engine reads and writes files. It knows no storage: whoever runs it hands one in."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class Files(Protocol):
    """Files by URI: object storage under Airflow, a folder in a notebook."""

    def create(self, uri: str) -> AbstractContextManager[BinaryIO]:
        """Write a file that appears under its name, whole, at a clean exit; after an exception it never does."""
        ...

    def open(self, uri: str) -> BinaryIO:
        """Read a file from its beginning."""
        ...


class PrivateFiles(Protocol):
    """Files of clinical data: as above, and readable by nobody else where the place can do that; and removed again."""

    def create(self, uri: str, *, private: bool = False) -> AbstractContextManager[BinaryIO]:
        """Write a file that appears under its name, whole, at a clean exit; after an exception it never does."""
        ...

    def open(self, uri: str) -> BinaryIO:
        """Read a file from its beginning."""
        ...

    def remove(self, uri: str) -> None:
        """Remove a file, or see that there is none."""
        ...

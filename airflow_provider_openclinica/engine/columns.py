"""What tables are made of: their columns, batches of rows, and the files that take them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airflow_provider_openclinica.odm.itemcolumns import Parts, Runs

    Batch = Mapping[str, list[Any] | Parts | Runs]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    :param kind: ``str``, ``bool``, ``int``, ``float``, ``date`` or ``datetime``.
    :param nullable: it may hold None.
    :param repeats: its values come as ``Runs`` or ``Parts``, the same ones many times.
    :param label: what people call it, where the study's metadata say so.
    :param item_oid: of the item that it holds.
    :param length: how many characters the metadata allow.
    """

    name: str
    kind: type
    nullable: bool = True
    repeats: bool = False
    label: str = ""
    item_oid: str = ""
    length: int | None = None


class TableFile(Protocol):
    """A file that a table is written to."""

    def write(self, batch: Batch) -> None:
        """Write some rows, given as their columns."""

    def close(self) -> None:
        """End the file."""


@dataclass(slots=True)
class Built:
    """A table that is being written, or is complete when ``Tables`` is closed.

    :param oid: of the item group that a wide table is of, and its name in ``label``; empty for the others.
    """

    name: str
    path: Path
    columns: list[Column]
    file: TableFile = field(repr=False)
    rows: int = 0
    oid: str = ""
    label: str = ""

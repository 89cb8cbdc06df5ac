"""What is stored in one form."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3


class StoredValue(NamedTuple):
    """A value: its number, the item's group and which repeat of it, the item."""

    id: int
    group_oid: str
    repeat: int
    item_oid: str
    value: str


def values_in(db: sqlite3.Connection, form: int) -> list[StoredValue]:
    """Return the values of a form that were not removed, as they were stored."""
    rows = db.execute(
        "SELECT id, group_oid, repeat, item_oid, value FROM items WHERE form = ? AND removed = 0 ORDER BY id", (form,)
    )
    return [StoredValue(*row) for row in rows]

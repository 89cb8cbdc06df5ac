"""Read an export in one sweep: items in columns, all else in rows. Made for tables of millions of items.

    swept(source)    (rows of all tables but ``items``, Items) of some participants, then of the next

What a tag says is decided in ``reader.py``, for both. Where Arrow is installed, what OpenClinica writes is read by
columns (``plain.py``); the rest, and everything without Arrow, out of small trees.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.odm.itemcolumns import Items
from airflow_provider_openclinica.odm.jsonexport import subjects_in_json
from airflow_provider_openclinica.odm.parser import opened
from airflow_provider_openclinica.odm.plainrows import TABLES, PlainRows
from airflow_provider_openclinica.odm.portions import PORTION, Portion, portions
from airflow_provider_openclinica.odm.reader import (
    LOCAL,
    NO_ITEM,
    attributes_of,
    children_of,
    fill_item,
    item_group_row,
    rows_about,
    rows_of,
    unit_in,
)
from airflow_provider_openclinica.odm.repair import Repairs, clean, mend
from airflow_provider_openclinica.odm.subjects import peeked, rooted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from lxml import etree

    from airflow_provider_openclinica.odm.subjects import Source

    Row = dict[str, Any]
    Swept = tuple[list[tuple[str, Row]], Items]

PACK = 2_000  #: items, or rows of other tables, that are handed over together


def swept(
    source: Source,
    *,
    charset: str = "",
    repairs: Repairs | None = None,
    tables: Collection[str] = TABLES,
    portion: int = PORTION,
) -> Iterator[Swept]:
    """Yield what some participants have, then the next: rows as ``reader.rows`` has them, but for the items.

    Parameters are those of ``reader.read``, and:

    :param tables: rows of participants, events, forms and groups are made for those named, which takes a while; items
        know theirs anyhow.
    :param portion: bytes that are read together.

    :raises FileError: it is no ODM 1.3, or is broken; what came just before the break has not been yielded.
    """
    repairs = Repairs() if repairs is None else repairs
    if isinstance(source, Path):
        with opened(source) as stream:
            yield from swept(stream, charset=charset, repairs=repairs, tables=tables, portion=portion)
        return
    head, chunks = peeked(clean(source, charset, repairs))
    if head.startswith(b"{"):
        found: Iterator[Portion] = (Portion([subject]) for subject in subjects_in_json(chunks, repairs))
    else:
        found = portions(rooted(mend(chunks, repairs)), portion)
    yield from _packed(found, frozenset(tables))


def _packed(found: Iterator[Portion], tables: frozenset[str]) -> Iterator[Swept]:
    trees, columns = _Trees(tables), PlainRows(tables)
    others: list[tuple[str, Row]] = []
    for portion in found:
        if portion.plain:
            yield others, trees.take()
            yield columns.read(portion.plain, portion.study_oid)
            others = []
        for study_oid, subject in portion.subjects:
            if max(len(trees.items), len(others)) >= PACK:
                yield others, trees.take()
                others = []
            others.extend(trees.read(subject, study_oid))
    yield others, trees.take()


class _Trees:
    """Reads elements: items into columns, and rows of all else."""

    def __init__(self, tables: frozenset[str]) -> None:
        self.items, self._left_out = Items(), frozenset(TABLES) - tables

    def take(self) -> Items:
        """Return the items read so far, once."""
        items, self.items = self.items, Items()
        return items

    def read(self, subject: etree._Element, study_oid: str) -> Iterator[tuple[str, Row]]:
        """Read SubjectData."""
        for table, row in rows_of(subject, study_oid, self._group):
            if table not in self._left_out:
                yield table, row

    def _group(self, element: etree._Element, above: Row, flags: Row) -> Iterator[tuple[str, Row]]:
        keys, _, row = item_group_row(attributes_of(element), above, flags)
        self.items.add_group(above, row)
        yield "item_groups", row
        for child in element:
            name = LOCAL[child.tag]
            if not name.startswith("ItemData"):
                yield from rows_about(name, child, keys, "item_group")
                continue
            row = NO_ITEM.copy()
            fill_item(row, name, child.items(), child.text or "")
            self.items.add(row)
            if len(child):
                yield from self._below_item(child, {**keys, "item_oid": row["item_oid"]})

    def _below_item(self, element: etree._Element, keys: Row) -> Iterator[tuple[str, Row]]:
        for kind, child in children_of(element):
            if kind == "MeasurementUnitRef":
                self.items.measure(len(self.items) - 1, unit_in(child))
            else:
                yield from rows_about(kind, child, keys, "item")

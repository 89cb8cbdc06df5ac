"""Read an export in one sweep: items in columns, all else in rows. Made for tables of millions of items.

    swept(source)    (rows of all tables but ``items``, Items) of some participants, then of the next

What a tag says is decided in ``reader.py``, for both. Items that are as OpenClinica writes most of them (OID, perhaps a
name, value) are taken out before parsing and go straight to their columns. Groups that say the same are read once.
"""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.odm.itemcolumns import OF_GROUP, Items
from airflow_provider_openclinica.odm.jsonexport import subjects_in_json
from airflow_provider_openclinica.odm.parser import opened
from airflow_provider_openclinica.odm.plainitems import MARK
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
    from collections.abc import Iterator

    from lxml import etree

    from airflow_provider_openclinica.odm.plainitems import PlainItems
    from airflow_provider_openclinica.odm.subjects import Source

    Row = dict[str, Any]
    Swept = tuple[list[tuple[str, Row]], Items]

PACK = 2_000  #: items, or rows of other tables, that are handed over together
MOST_SAID = 10_000  #: kinds of groups that are known
OF_FORM = OF_GROUP[: OF_GROUP.index("item_group_oid")]
NO_FLAGS = {"removed": False, "archived": False}

cells_of_form = itemgetter(*OF_FORM)
cells_of_own = itemgetter(*OF_GROUP[len(OF_FORM) :])


def swept(
    source: Source,
    *,
    charset: str = "",
    repairs: Repairs | None = None,
    item_groups: bool = True,
    portion: int = PORTION,
) -> Iterator[Swept]:
    """Yield what some participants have, then the next: rows as ``reader.rows`` has them, but for the items.

    Parameters are those of ``reader.read``, and:

    :param item_groups: ``False`` makes no rows of groups, which takes a while; items know theirs anyhow.
    :param portion: bytes that are parsed together.

    :raises FileError: it is no ODM 1.3, or is broken; what came just before the break has not been yielded.
    """
    repairs = Repairs() if repairs is None else repairs
    if isinstance(source, Path):
        with opened(source) as stream:
            yield from swept(stream, charset=charset, repairs=repairs, item_groups=item_groups, portion=portion)
        return
    head, chunks = peeked(clean(source, charset, repairs))
    if head.startswith(b"{"):
        found: Iterator[Portion] = (Portion([subject]) for subject in subjects_in_json(chunks, repairs))
    else:
        found = portions(rooted(mend(chunks, repairs)), portion)
    yield from _packed(found, _Sweep(item_groups))


def _packed(found: Iterator[Portion], sweep: _Sweep) -> Iterator[Swept]:
    others: list[tuple[str, Row]] = []
    for portion in found:
        sweep.plain = portion.plain
        for study_oid, subject in portion.subjects:
            if max(len(sweep), len(others)) >= PACK:
                yield others, sweep.take()
                others = []
            others.extend(rows_of(subject, study_oid, sweep.read_group))
    yield others, sweep.take()


class _Sweep:
    """Reads groups: items into columns, and rows of all else.

    :param item_groups: groups themselves are among that.
    """

    def __init__(self, item_groups: bool) -> None:
        self.plain: PlainItems | None = None  # those that are marked in the groups to come
        self._items, self._wants_groups = Items(), item_groups
        self._above: Row = {}
        self._of_form: tuple[Any, ...] = ()
        self._own: dict[tuple[tuple[str, str], ...], tuple[Any, ...]] = {}

    def __len__(self) -> int:
        return len(self._items)

    def take(self) -> Items:
        """Return the items read so far, once."""
        items, self._items = self._items, Items()
        items.finish()
        return items

    def read_group(self, element: etree._Element, above: Row, flags: Row) -> list[tuple[str, Row]]:
        """Read ItemGroupData; ``rows_of`` calls it."""
        items, rows = self._items, []
        items.add_group(self._cells(element, above, flags))
        if self._wants_groups:
            rows.append(("item_groups", item_group_row(attributes_of(element), above, flags)[2]))
        for child in element:
            name = LOCAL[child.tag]
            if name == MARK and self.plain:
                items.put(self.plain, *map(int, child.values()))
                continue
            if name.startswith("ItemData"):
                row = NO_ITEM.copy()
                fill_item(row, name, child.items(), child.text or "")
                items.add(row)
            if len(child):
                rows.extend(self._below(child, name, item_group_row(attributes_of(element), above, flags)[0]))
        return rows

    def _cells(self, element: etree._Element, above: Row, flags: Row) -> tuple[Any, ...]:
        """Return the cells of ``OF_GROUP``. What a group says of itself is read once for all that say the same."""
        if above is not self._above:
            self._above, self._of_form = above, (cells_of_form(above), flags["removed"], flags["archived"])
        said = tuple(element.items())
        own = self._own.get(said)
        if own is None:
            if len(self._own) > MOST_SAID:
                self._own.clear()
            own = self._own[said] = cells_of_own(item_group_row(attributes_of(element), {}, NO_FLAGS)[2])
        form, form_removed, form_archived = self._of_form
        oid, repeat_key, removed, archived = own
        return (*form, oid, repeat_key, removed or form_removed, archived or form_archived)

    def _below(self, element: etree._Element, name: str, keys: Row) -> Iterator[tuple[str, Row]]:
        """Yield what hangs on an item or on its group."""
        if not name.startswith("ItemData"):
            yield from rows_about(name, element, keys, "item_group")
            return
        keys = {**keys, "item_oid": self._items.item_oid[-1]}
        for kind, child in children_of(element):
            if kind == "MeasurementUnitRef":
                self._items.measure_last(unit_in(child))
            else:
                yield from rows_about(kind, child, keys, "item")

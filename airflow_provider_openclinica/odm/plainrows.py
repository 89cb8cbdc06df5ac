"""What participants have that were read by columns (``plain.py``): items in columns, all else in rows.

What a tag says is decided in ``reader.py``. Tags that say the same are read once, which is most of them.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_openclinica.odm.itemcolumns import Items, Parts, Runs, cells_of_form, cells_of_group
from airflow_provider_openclinica.odm.reader import (
    LOCAL,
    NO_ITEM,
    event_row,
    fill_item,
    form_row,
    item_group_row,
    participant_row,
    rows_about,
    unit_in,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_openclinica.odm.plain import Hanging, Plain, Tag

    Row = dict[str, Any]

TABLES = ("participants", "events", "forms", "item_groups")  #: of tags, by their depth
LEVELS = ("participant", "event", "form", "item_group", "item")  #: as ``rows_about`` calls them
READ = {1: event_row, 2: form_row, 3: item_group_row}
PARTICIPANT, FORM, GROUP = (TABLES.index(table) for table in ("participants", "forms", "item_groups"))
MOST_SAID = 10_000  #: that are remembered
NO_FLAGS = {"removed": False, "archived": False}


class _Said(NamedTuple):
    """What a tag says, without what it stands in.

    :param cells: of a group.
    """

    keys: Row
    flags: Row
    row: Row
    cells: tuple[Any, ...]


class PlainRows:
    """Reads participants of one document.

    :param tables: those whose rows are made.
    """

    def __init__(self, tables: frozenset[str]) -> None:
        self._wanted = [table in tables for table in TABLES]
        self._known: dict[tuple[bool, ...], dict[Tag, _Said]] = defaultdict(dict)  # by the flags of what they stand in

    def read(self, plain: Plain, study_oid: str) -> tuple[list[tuple[str, Row]], Items]:
        """Return rows of all tables but ``items``, and those in columns."""
        items, hanging = _items_of(plain), iter(plain.hanging)
        rows: list[tuple[str, Row]] = []
        keys: list[Row] = [{} for _ in TABLES]  # of the tags that are open; so are flags
        flags = [NO_FLAGS for _ in TABLES]
        forms, firsts = [], []  # cells of each, and its first group
        groups, places = [], []  # cells of each, and its first item
        in_form = self._known[False, False]
        for tag, place in zip(plain.tags, plain.places, strict=True):
            kind = tag.kind
            if kind == GROUP:
                said = in_form.get(tag) or self._said_by(tag, flags[FORM])
                keys[GROUP], row = said.keys, said.row
                groups.append(said.cells)
                places.append(place)
            elif kind == PARTICIPANT:
                keys[0], flags[0], row = participant_row(tag.said, study_oid)
            elif kind in READ:
                said = self._said_by(tag, flags[kind - 1])
                keys[kind], flags[kind], row = {**keys[kind - 1], **said.keys}, said.flags, said.row
                if kind == FORM:
                    in_form = self._known[(*said.flags.values(),)]
                    forms.append(cells_of_form(keys[FORM]))
                    firsts.append(len(groups))
            else:
                rows.extend(_below(next(hanging), keys, items, place - 1))
                continue
            if self._wanted[kind]:
                rows.append((TABLES[kind], {**keys[kind - 1], **row} if kind else row))
        items.forms = Runs(forms, _differences(*firsts, len(groups)))
        items.groups = Runs(groups, _differences(*places, len(items)))
        return rows, items

    def _said_by(self, tag: Tag, flags: Row) -> _Said:
        known = self._known[(*flags.values(),)]
        said = known.get(tag)
        if said is None:
            if len(known) > MOST_SAID:
                known.clear()
            keys, own, row = READ[tag.kind](tag.said, {}, flags)
            said = known[tag] = _Said(keys, own, row, cells_of_group(row) if tag.kind == GROUP else ())
        return said


def _differences(*numbers: int) -> list[int]:
    return [end - begin for begin, end in pairwise(numbers)]


def _items_of(plain: Plain) -> Items:
    """Return the items, before their groups are known."""
    items = Items(Parts([plain.item_oid]), Parts([plain.name]), Parts([plain.value]), count=len(plain.item_oid))
    nulls = []
    for place, said in plain.others.items():
        row = NO_ITEM.copy()
        fill_item(row, "ItemData", said.items(), "")
        items.describe(place, row)
        if row["is_null"]:
            nulls.append(place)
    if nulls:
        items.value = Parts([plain.value_without(nulls)])
    return items


def _below(cut: Hanging, keys: list[Row], items: Items, place: int) -> Iterator[tuple[str, Row]]:
    """Yield what was cut out of a tag.

    :param place: of the last item before it.
    """
    level, name = LEVELS[cut.depth - 1], LOCAL[cut.element.tag]
    if level == "item" and name == "MeasurementUnitRef":
        items.measure(place, unit_in(cut.element))
        return
    of_tag = keys[FORM] | keys[GROUP] if cut.depth > GROUP else keys[cut.depth - 1]
    if level == "item":
        of_tag["item_oid"] = items.item_oid.parts[0][place].as_py()
    yield from rows_about(name, cut.element, of_tag, level)

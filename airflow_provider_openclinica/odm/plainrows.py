"""What participants have that were read by columns (``plain.py``): items in columns, all else in rows.

What a tag says is decided in ``reader.py``. Tags that say the same are read once, which is most of them.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_openclinica.odm.itemcolumns import GROUPS_OWN, OF_FORM, Items, Parts, Runs
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
    from collections.abc import Iterable, Iterator

    from airflow_provider_openclinica.odm.plain import Hanging, Plain, Tag

    Row = dict[str, Any]

TABLES = ("participants", "events", "forms", "item_groups")  #: of tags, by their depth
LEVELS = ("participant", "event", "form", "item_group", "item")  #: as ``rows_about`` calls them
READ = {1: event_row, 2: form_row, 3: item_group_row}
FORM, GROUP = TABLES.index("forms"), TABLES.index("item_groups")
CUT = len(LEVELS)  #: kind of the mark of what was cut out, as in ``plain.KINDS``; that module needs Arrow
CELLS = (OF_FORM[:3], OF_FORM[3:5], OF_FORM[5:], GROUPS_OWN)  #: columns of ``items`` that a tag fills, by its depth
MOST_SAID = 10_000  #: that are remembered


class _Said(NamedTuple):
    """What a tag says, without what it stands in.

    :param cells: those of its columns in the table ``items``.
    :param inside: what tags say that were read before, and stand in one of the same flags.
    """

    keys: Row
    flags: Row
    row: Row
    cells: tuple[Any, ...]
    inside: dict[Tag, _Said]


class PlainRows:
    """Reads participants of one document.

    :param tables: those whose rows are made.
    """

    def __init__(self, tables: frozenset[str]) -> None:
        self._wanted = [table in tables for table in TABLES]
        self._known: dict[tuple[bool, ...], dict[Tag, _Said]] = defaultdict(dict)

    def read(self, plain: Plain, study_oid: str) -> tuple[list[tuple[str, Row]], Items]:
        """Return rows of all tables but ``items``, and those in columns."""
        items, hanging = _items_of(plain), iter(plain.hanging)
        rows: list[tuple[str, Row]] = []
        forms, firsts = [], []  # cells of each, and its first group
        groups, places = [], []  # cells of each, and its first item
        path: list[_Said] = []  # the tags that are open
        for tag, place in zip(plain.tags, plain.places, strict=True):
            kind = tag.kind
            if kind == CUT:
                rows.extend(_below(next(hanging), path, items, place - 1))
                continue
            del path[kind:]
            said = (path[-1].inside.get(tag) if path else None) or self._said_by(tag, path, study_oid)
            path.append(said)
            if kind == GROUP:
                groups.append(said.cells)
                places.append(place)
            elif kind == FORM:
                forms.append(path[0].cells + path[1].cells + said.cells)
                firsts.append(len(groups))
            if self._wanted[kind]:
                rows.append((TABLES[kind], {**_keys(path), **said.row}))
        items.forms = Runs(forms, _differences(*firsts, len(groups)))
        items.groups = Runs(groups, _differences(*places, len(items)))
        return rows, items

    def _said_by(self, tag: Tag, path: list[_Said], study_oid: str) -> _Said:
        """Read a tag; all but those of participants are kept, for there are few different ones."""
        if path:
            keys, flags, row = READ[tag.kind](tag.said, {}, path[-1].flags)
        else:
            keys, flags, row = participant_row(tag.said, study_oid)
        cells = itemgetter(*CELLS[tag.kind])({**keys, **flags})
        said = _Said(keys, flags, row, cells, self._known[(*flags.values(),)])
        if path:
            if len(path[-1].inside) > MOST_SAID:
                path[-1].inside.clear()
            path[-1].inside[tag] = said
        return said


def _keys(path: Iterable[_Said]) -> Row:
    return {key: value for said in path for key, value in said.keys.items()}


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


def _below(cut: Hanging, path: list[_Said], items: Items, place: int) -> Iterator[tuple[str, Row]]:
    """Yield what was cut out of a tag.

    :param path: the tags that are open, and some that are closed.
    :param place: of the last item before it.
    """
    level, name = LEVELS[cut.depth - 1], LOCAL[cut.element.tag]
    if level == "item" and name == "MeasurementUnitRef":
        items.measure(place, unit_in(cut.element))
        return
    keys = _keys(path[: cut.depth])
    if level == "item":
        keys["item_oid"] = items.item_oid.parts[0][place].as_py()
    yield from rows_about(name, cut.element, keys, level)

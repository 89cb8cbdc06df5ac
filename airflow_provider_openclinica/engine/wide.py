"""Wide tables: one for each item group, a row for each of its repeats, a typed column for each of its items.

The study's metadata say which columns there are and what they hold, so they are the same whatever the data are. A
column has the name of the item's OID. Beside a typed column stands the same name with ``_text`` behind it, which holds
what was stored where the type cannot hold all of it. Partial dates stay text; the same name with ``_parsed`` behind it
holds those that are whole. Items of several choices stay text.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_openclinica.engine.columns import Column
from airflow_provider_openclinica.odm.itemcolumns import OF_GROUP
from airflow_provider_openclinica.odm.values import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow_provider_openclinica.odm.design import ItemDefinition, ItemGroupDefinition, StudyMetadata

    Parse = Callable[[str], Any]

INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
FLOAT = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
LONGEST_NAME = 200  #: of a folder; file systems take 255 bytes
WHOLE_MOMENT = len("2026-01-05T08:30:00")  #: what is longer has fractions of a second, or an offset


def parse_integer(text: str) -> int | None:
    """Parse a whole number that 64 bits hold."""
    return int(text) if INTEGER.fullmatch(text) else None


def parse_float(text: str) -> float | None:
    """Parse a number with a point; neither NaN nor infinity is one."""
    number = float(text) if FLOAT.fullmatch(text) else math.nan
    return number if math.isfinite(number) else None


def parse_date(text: str) -> date | None:
    """Parse a whole date."""
    found = moment(text) if DATE.fullmatch(text) else None
    return found.date() if found else None


def parse_datetime(text: str) -> datetime | None:
    """Parse a date with its time; a day alone is no moment."""
    return None if DATE.fullmatch(text) else moment(text)


def parse_boolean(text: str) -> bool | None:
    """Parse what XML takes for true or false, in any letter case."""
    return BOOLEANS.get(text.lower())


#: ODM's word for a type -> the type of the column, and what parses a value.
TYPED: dict[str, tuple[type, Parse]] = {
    "integer": (int, parse_integer),
    "float": (float, parse_float),
    "double": (float, parse_float),
    "decimal": (float, parse_float),
    "date": (date, parse_date),
    "datetime": (datetime, parse_datetime),
    "boolean": (bool, parse_boolean),
}
PARTIAL: dict[str, tuple[type, Parse]] = {
    "partialdate": (date, parse_date),
    "incompletedate": (date, parse_date),
    "partialdatetime": (datetime, parse_datetime),
    "incompletedatetime": (datetime, parse_datetime),
}
KEYS = tuple(Column(name, bool if name in ("removed", "archived") else str, nullable=False) for name in OF_GROUP)


def table_names(group_oids: Iterable[str]) -> dict[str, str]:
    """Return the name of each group's table: legal as a folder's, and another one even where letter case is ignored.

    A digest tells those apart that differ in letter case only, and ends those that are too long.
    """
    quoted = {oid: quote(oid, safe="") for oid in group_oids}
    alike = Counter(map(str.casefold, quoted.values()))
    names = {}
    for oid, name in quoted.items():
        if len(name) > LONGEST_NAME or alike[name.casefold()] > 1:
            name = f"{name[:LONGEST_NAME]}~{hashlib.sha256(oid.encode()).hexdigest()[:8]}"
        names[oid] = f"item_group={name}"
    return names


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the values of an item go. ``parse`` is None for text."""

    as_text: int
    as_type: int = -1
    parse: Parse | None = None
    keeps_text: bool = True


class WideTable:
    """The rows of an item group that are not written yet."""

    def __init__(self, metadata: StudyMetadata, group: ItemGroupDefinition) -> None:
        self.columns = list(KEYS)
        self._taken = {name.casefold() for name in OF_GROUP}
        self._places = {item.oid: self._place(item) for item in metadata.items_of(group)}
        self._blank = [None] * (len(self.columns) - len(KEYS))
        self._rows: list[list[Any]] = []

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def cells(self) -> int:
        """How many cells are held."""
        return len(self._rows) * len(self.columns)

    def add(self, keys: Sequence[Any], oids: list[str], values: list[str | None]) -> int:
        """Add a repeat of the group, and return how many of its values the metadata know no column for."""
        row = [*keys, *self._blank]
        unplaced = 0
        for oid, value in zip(oids, values, strict=True):
            place = self._places.get(oid)
            if place is None:
                unplaced += 1
            elif value is not None:
                _put(row, place, value)
        self._rows.append(row)
        return unplaced

    def take(self) -> list[list[Any]]:
        """Return the rows that are held, and hold none."""
        rows, self._rows = self._rows, []
        return rows

    def columns_of(self, rows: list[list[Any]]) -> dict[str, list[Any]]:
        """Return rows that were held as columns."""
        columns = zip(*rows, strict=True) if rows else ((),) * len(self.columns)
        return {column.name: list(cells) for column, cells in zip(self.columns, columns, strict=True)}

    def _place(self, item: ItemDefinition) -> _Place:
        word = item.data_type.lower()
        if not item.multiple and word in TYPED:
            kind, parse = TYPED[word]
            as_type = self._column(item, kind)
            return _Place(self._column(item, str, "_text", ", as typed"), as_type, parse, keeps_text=False)
        as_text = self._column(item, str)
        if not item.multiple and word in PARTIAL:
            kind, parse = PARTIAL[word]
            return _Place(as_text, self._column(item, kind, "_parsed", ", parsed"), parse)
        return _Place(as_text)

    def _column(self, item: ItemDefinition, kind: type, suffix: str = "", role: str = "") -> int:
        """Add a column of an item and return its place; a name that is taken in any letter case gets a number.

        :param role: what its label says of a column beside the item's own.
        """
        free, number = f"{item.oid}{suffix}", 1
        while free.casefold() in self._taken:
            number += 1
            free = f"{item.oid}{suffix}_{number}"
        self._taken.add(free.casefold())
        label = f"{item.label or item.description or item.name or item.oid}{role}"
        oid, length = ("", None) if suffix else (item.oid, (item.length or None) if kind is str else None)
        self.columns.append(Column(free, kind, label=label, item_oid=oid, length=length))
        return len(self.columns) - 1


def _put(row: list[Any], place: _Place, value: str) -> None:
    """Put a value where it belongs; an empty one is none where there is a type."""
    if place.parse is None:
        row[place.as_text] = value
        return
    parsed = row[place.as_type] = place.parse(value.strip())
    is_whole = parsed is not None and not (isinstance(parsed, datetime) and len(value.strip()) > WHOLE_MOMENT)
    if place.keeps_text or (value and not is_whole):
        row[place.as_text] = value

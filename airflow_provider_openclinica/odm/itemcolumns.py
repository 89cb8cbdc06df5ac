"""Items in columns, for tables of millions of them: what ``flatten`` says row by row, without a dict for each.

Items    the items of some participants; columns() are those of the table ``items``
Runs     a column in which values come many times in a row
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import compress, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.odm.flattener import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_openclinica.odm.plainitems import PlainItems

    Row = dict[str, Any]

#: Columns of an item: those it has from its group, those of its own that are nearly always alike, and the others.
OF_GROUP = (
    *("study_oid", "subject_key", "participant_id", "study_event_oid", "study_event_repeat_key"),
    *("form_oid", "form_repeat_key", "form_layout_oid", "item_group_oid", "item_group_repeat_key"),
    *("removed", "archived"),
)
RARE = ("is_null", "reason_for_null", "measurement_unit_oid", "data_type", "transaction_type")
OWN = ("item_oid", "name", "value")
PLAIN = (False, None, None, None, None)  #: RARE of an item that has nothing of the kind

cells_of_group = itemgetter(*OF_GROUP)  #: of a row of ``item_groups``


@dataclass(slots=True)
class Runs:
    """A column in which values come many times in a row: each value once, and how often, at least once."""

    values: list[Any] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def __iter__(self) -> Iterator[Any]:
        for value, length in zip(self.values, self.lengths, strict=True):
            for _ in range(length):
                yield value


@dataclass(slots=True)
class Items:
    """Items in columns; cells are as ``flatten`` has them.

    :param groups: cells of ``OF_GROUP`` of each group, and how many items it has, which may be none.
    :param rare: place of an item -> its cells of ``RARE``, unless they are ``PLAIN``.
    """

    item_oid: list[str] = field(default_factory=list)
    name: list[str | None] = field(default_factory=list)
    value: list[str | None] = field(default_factory=list)
    groups: Runs = field(default_factory=Runs)
    rare: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    _begins: list[int] = field(default_factory=list)  # of groups whose length is not known yet

    def __len__(self) -> int:
        return len(self.item_oid)

    def extend(self, more: Items) -> None:
        """Add items behind these."""
        self.rare.update((len(self) + place, cells) for place, cells in more.rare.items())
        for name in OWN:
            getattr(self, name).extend(getattr(more, name))
        self.groups.values.extend(more.groups.values)
        self.groups.lengths.extend(more.groups.lengths)

    def add_group(self, cells: tuple[Any, ...]) -> None:
        """Begin a group. Items may be put to the lists then, or added."""
        self.groups.values.append(cells)
        self._begins.append(len(self.item_oid))

    def finish(self) -> None:
        """Count the items of each group; those that were put without a name have none."""
        self._name_those_before()
        self.groups.lengths += [end - begin for begin, end in pairwise((*self._begins, len(self)))]
        self._begins.clear()

    def put(self, plain: PlainItems, begin: int, end: int) -> None:
        """Add some of the plain items to the last group."""
        if plain.name:
            self._name_those_before()
            self.name.extend(name or None for name in plain.name[begin:end])
        self.item_oid.extend(plain.item_oid[begin:end])
        self.value.extend(plain.value[begin:end])

    def _name_those_before(self) -> None:
        """Give no name to items that were put without one."""
        self.name.extend([None] * (len(self) - len(self.name)))

    def add(self, row: Row) -> None:
        """Add an item to the last group. ``row`` is one of ``reader.rows``."""
        rare = (row["is_null"], *(row[name] or None for name in RARE[1:]))
        if rare != PLAIN:
            self.rare[len(self)] = rare
        self._name_those_before()
        self.name.append(row["name"] or None)
        self.item_oid.append(row["item_oid"])
        self.value.append(row["value"])

    def measure_last(self, unit_oid: str) -> None:
        """Give the last item its unit, unless it has one."""
        is_null, reason, known, *rest = self.rare.get(len(self) - 1, PLAIN)
        if unit_oid:
            self.rare[len(self) - 1] = (is_null, reason, known or unit_oid, *rest)

    def columns(self) -> dict[str, list[Any] | Runs]:
        """Return the columns of the table ``items``, in their order."""
        found: dict[str, list[Any] | Runs] = {name: getattr(self, name) for name in OWN}
        groups = Runs(list(compress(self.groups.values, self.groups.lengths)), list(filter(None, self.groups.lengths)))
        for names, runs in ((OF_GROUP, groups), (RARE, self._rare_runs())):
            columns = zip(*runs.values, strict=True) if runs.values else ((),) * len(names)
            found.update((name, Runs(list(cells), runs.lengths)) for name, cells in zip(names, columns, strict=True))
        return {name: found[name] for name in COLUMNS["items"]}

    def _rare_runs(self) -> Runs:
        runs, end = Runs(), 0
        for place, cells in (*sorted(self.rare.items()), (len(self), None)):
            if place > end:
                runs.values.append(PLAIN)
                runs.lengths.append(place - end)
            if cells:
                runs.values.append(cells)
                runs.lengths.append(1)
            end = place + 1
        return runs

    def by_group(self) -> Iterator[tuple[tuple[Any, ...], list[str], list[str | None]]]:
        """Yield each group as (cells of ``OF_GROUP``, OIDs of its items, their values); no group is left out."""
        start = 0
        for cells, length in zip(self.groups.values, self.groups.lengths, strict=True):
            yield cells, self.item_oid[start : start + length], self.value[start : start + length]
            start += length

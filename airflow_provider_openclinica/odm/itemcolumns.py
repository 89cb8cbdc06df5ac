"""Items in columns, for tables of millions of them: what ``flatten`` says row by row, without a dict for each.

Items    the items of some participants; columns() are those of the table ``items``
Runs     a column in which values come many times in a row
Parts    a column that has come in parts, Python's lists or Arrow's arrays
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate, chain, compress, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.odm.flattener import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    Row = dict[str, Any]

#: Columns of an item: those it has from its form and from its group, those of its own that are nearly always alike, and
#: the others.
OF_FORM = (
    *("study_oid", "subject_key", "participant_id", "study_event_oid", "study_event_repeat_key"),
    *("form_oid", "form_repeat_key", "form_layout_oid"),
)
GROUPS_OWN = ("item_group_oid", "item_group_repeat_key", "removed", "archived")
OF_GROUP = (*OF_FORM, *GROUPS_OWN)
RARE = ("is_null", "reason_for_null", "measurement_unit_oid", "data_type", "transaction_type")
OWN = ("item_oid", "name", "value")
PLAIN = (False, None, None, None, None)  #: RARE of an item that has nothing of the kind

cells_of_form = itemgetter(*OF_FORM)  #: of keys
cells_of_group = itemgetter(*GROUPS_OWN)  #: of a row of ``item_groups``


@dataclass(slots=True)
class Runs:
    """A column in which values come many times in a row: each value once, and how often."""

    values: list[Any] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def __iter__(self) -> Iterator[Any]:
        for value, length in zip(self.values, self.lengths, strict=True):
            for _ in range(length):
                yield value

    def append(self, value: Any, length: int) -> None:
        """Add a value behind the others."""
        self.values.append(value)
        self.lengths.append(length)

    def extend(self, more: Runs) -> None:
        """Add a column behind this one."""
        self.values += more.values
        self.lengths += more.lengths


@dataclass(slots=True)
class Parts:
    """A column of texts and None in parts, each a list or an array of Arrow's that numbers its texts."""

    parts: list[Any] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __iter__(self) -> Iterator[str | None]:
        return chain.from_iterable(part if isinstance(part, list) else part.to_pylist() for part in self.parts)

    def append(self, text: str | None) -> None:
        """Add a text behind the others."""
        if not self.parts or not isinstance(self.parts[-1], list):
            self.parts.append([])
        self.parts[-1].append(text)

    def extend(self, more: Parts) -> None:
        """Add a column behind this one."""
        self.parts += more.parts


@dataclass(slots=True)
class Items:
    """Items in columns; cells are as ``flatten`` has them.

    :param forms: cells of ``OF_FORM`` of each form, and how many groups it has.
    :param groups: cells of ``GROUPS_OWN`` of each group, and how many items it has, which may be none.
    :param rare: place of an item -> its cells of ``RARE``, unless they are ``PLAIN``.
    """

    item_oid: Parts = field(default_factory=Parts)
    name: Parts = field(default_factory=Parts)
    value: Parts = field(default_factory=Parts)
    forms: Runs = field(default_factory=Runs)
    groups: Runs = field(default_factory=Runs)
    rare: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    count: int = 0

    def __len__(self) -> int:
        return self.count

    def extend(self, more: Items) -> None:
        """Add items behind these."""
        self.rare.update((self.count + place, cells) for place, cells in more.rare.items())
        for name in OWN:
            getattr(self, name).extend(getattr(more, name))
        self.forms.extend(more.forms)
        self.groups.extend(more.groups)
        self.count += more.count

    def add_group(self, keys: Row, row: Row) -> None:
        """Begin a group.

        :param keys: those of its form.
        :param row: one of ``item_groups``.
        """
        self.forms.append(cells_of_form(keys), 1)
        self.groups.append(cells_of_group(row), 0)

    def add(self, row: Row) -> None:
        """Add an item to the last group. ``row`` is one of ``reader.rows``."""
        self.describe(self.count, row)
        self.name.append(row["name"] or None)
        self.item_oid.append(row["item_oid"])
        self.value.append(row["value"])
        self.groups.lengths[-1] += 1
        self.count += 1

    def describe(self, place: int, row: Row) -> None:
        """Keep what few items have."""
        rare = (row["is_null"], *(row[name] or None for name in RARE[1:]))
        if rare != PLAIN:
            self.rare[place] = rare

    def measure(self, place: int, unit_oid: str) -> None:
        """Give an item its unit, unless it has one."""
        is_null, reason, known, *rest = self.rare.get(place, PLAIN)
        if unit_oid:
            self.rare[place] = (is_null, reason, known or unit_oid, *rest)

    def columns(self) -> dict[str, Parts | Runs]:
        """Return the columns of the table ``items``, in their order."""
        found: dict[str, Parts | Runs] = {name: getattr(self, name) for name in OWN}
        ends = (0, *accumulate(self.groups.lengths))  # counted in items, where each group does
        of_forms = [ends[group] for group in (0, *accumulate(self.forms.lengths))]
        forms = Runs(self.forms.values, [end - begin for begin, end in pairwise(of_forms)])
        for names, runs in ((OF_FORM, forms), (GROUPS_OWN, self.groups), (RARE, self._rare_runs())):
            values, lengths = list(compress(runs.values, runs.lengths)), list(filter(None, runs.lengths))
            columns = zip(*values, strict=True) if values else ((),) * len(names)
            found.update((name, Runs(list(cells), lengths)) for name, cells in zip(names, columns, strict=True))
        return {name: found[name] for name in COLUMNS["items"]}

    def _rare_runs(self) -> Runs:
        runs, end = Runs(), 0
        for place, cells in sorted(self.rare.items()):
            runs.append(PLAIN, place - end)
            runs.append(cells, 1)
            end = place + 1
        runs.append(PLAIN, self.count - end)
        return runs

    def by_group(self) -> Iterator[tuple[tuple[Any, ...], list[Any], list[str | None]]]:
        """Yield each group as (cells of ``OF_GROUP``, OIDs of its items, their values); no group is left out."""
        item_oid, value, start = list(self.item_oid), list(self.value), 0
        for of_form, own, length in zip(self.forms, self.groups.values, self.groups.lengths, strict=True):
            yield (*of_form, *own), item_oid[start : start + length], value[start : start + length]
            start += length

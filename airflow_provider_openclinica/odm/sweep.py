"""Read an export in one sweep: items in columns, all else in rows. Made for tables of millions of items.

    swept(source)    (rows of all tables but ``items``, Items) of some participants, then of the next

What a tag says is decided in ``reader.py``, for both. Here expat leads through the document: it hands a tag's
attributes over as a list and builds nothing, which makes it fast. Items that are as OpenClinica writes most of them
(OID, perhaps a name, value) go straight to their columns. JSON comes as elements, and is put into columns afterwards.
"""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from airflow_provider_openclinica.odm.itemcolumns import OF_GROUP, Items, cells_of_group
from airflow_provider_openclinica.odm.jsonexport import subjects_in_json
from airflow_provider_openclinica.odm.names import ODM, OPENCLINICA, split_name
from airflow_provider_openclinica.odm.parser import opened
from airflow_provider_openclinica.odm.reader import (
    LOCAL,
    NO_ITEM,
    event_row,
    fill_item,
    form_row,
    item_group_row,
    participant_row,
    rows_about,
    rows_of,
    unit_in,
)
from airflow_provider_openclinica.odm.repair import Repairs, clean, mend
from airflow_provider_openclinica.odm.subjects import broken, peeked, rooted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lxml import etree

    from airflow_provider_openclinica.odm.subjects import Source

    Row = dict[str, Any]
    Swept = tuple[list[tuple[str, Row]], Items]


def swept(
    source: Source, *, charset: str = "", repairs: Repairs | None = None, item_groups: bool = True
) -> Iterator[Swept]:
    """Yield what some participants have, then the next: rows as ``reader.rows`` has them, but for the items.

    Parameters are those of ``reader.read``, and:

    :param item_groups: ``False`` makes no rows of groups, which takes a sixth of the time; items know theirs anyhow.

    :raises FileError: it is no ODM 1.3, or is broken; what came just before the break has not been yielded.
    """
    repairs = Repairs() if repairs is None else repairs
    if isinstance(source, Path):
        with opened(source) as stream:
            yield from swept(stream, charset=charset, repairs=repairs, item_groups=item_groups)
        return
    head, chunks = peeked(clean(source, charset, repairs))
    if head.startswith(b"{"):
        for study_oid, subject in subjects_in_json(chunks, repairs):
            yield _in_columns(rows_of(subject, study_oid))
    else:
        yield from _swept_xml(rooted(mend(chunks, repairs)), item_groups)


def _in_columns(rows: Iterable[tuple[str, Row]]) -> Swept:
    """Put the rows of items into columns."""
    others, items = [], Items()
    for table, row in rows:
        if table == "items":
            items.add(row)
            continue
        others.append((table, row))
        if table == "item_groups":
            items.add_group(cells_of_group(row))
    items.finish()
    return others, items


def _swept_xml(chunks: Iterator[bytes], item_groups: bool) -> Iterator[Swept]:
    sweep = _Sweep(item_groups)
    try:
        for chunk in chunks:
            sweep.parser.Parse(chunk, False)
            yield from sweep.take()
        sweep.parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise broken(OF_EXPAT.get(error.code, 0), error.lineno) from None
    sweep.pack()
    yield from sweep.take()


# -- expat

#: Its error numbers -> those of libxml2, in which ``subjects`` knows what they mean.
OF_EXPAT = {3: 4, 5: 4, 6: 4, 20: 4, 7: 76, 8: 42, 9: 5, 11: 26, 14: 14, 27: 201}
ROOT, CLINICAL, SUBJECT, EVENT, FORM, GROUP, ITEM = range(1, 8)  #: how deep each stands
NAME = {
    ROOT: f"{ODM} ODM",
    CLINICAL: f"{ODM} ClinicalData",
    SUBJECT: f"{ODM} SubjectData",
    EVENT: "StudyEventData",
    FORM: "FormData",
    GROUP: "ItemGroupData",
}
TABLE = {SUBJECT: "participants", EVENT: "events", FORM: "forms", GROUP: "item_groups"}
LEVEL = {SUBJECT: "participant", EVENT: "event", FORM: "form", GROUP: "item_group", ITEM: "item"}
ROW = {EVENT: event_row, FORM: form_row}
HANGING = frozenset({"AuditLogs", "AuditRecord", "DiscrepancyNotes", "MeasurementUnitRef"})
ITEM_DATA = f"{ODM} ItemData"
NAMED = ["ItemOID", f"{OPENCLINICA} ItemName", "Value"]
PACK = 2_000  #: items, or rows of other tables, that are handed over together
MOST_SAID = 10_000  #: kinds of tags whose attributes are known
OF_FORM = OF_GROUP[: OF_GROUP.index("item_group_oid")]
NO_FLAGS = {"removed": False, "archived": False}

cells_of_own = itemgetter(*OF_GROUP[len(OF_FORM) :])


class _Sweep:
    """Handlers of the parser, and what they have found.

    Where a tag stands is known by counting. The *path* is made of the open tags that are where they belong, from the
    root to the last of them: an item is one if six are. What else hangs on these is built as elements and read by
    ``reader.py``; all other tags are passed over.
    """

    def __init__(self, item_groups: bool) -> None:
        self._wants_groups = item_groups
        self._group: dict[str, str] = {}  # attributes of the group that is open
        self._form: tuple[Any, ...] = ()  # cells that its groups have from it
        self._done: list[Swept] = []
        self._others: list[tuple[str, Row]] = []
        self._items = Items()
        self._study_oid = ""
        self._keys: dict[int, Row] = {}
        self._flags: dict[int, Row] = {}
        self._said: dict[tuple[str, ...], dict[str, str]] = {}
        self._own: dict[int, tuple[Any, ...]] = {}
        self._ends: list[str] = []
        self._item: tuple[str, list[str]] | None = None  # one that is not plain, until its end
        self._unit, self._texts = "", list[str]()
        self.parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        self.parser.ordered_attributes = True
        self.parser.buffer_text = True
        self._begin, self._where = self._starter()
        self._listen()

    def take(self) -> list[Swept]:
        """Return what is complete, once."""
        done, self._done = self._done, []
        return done

    def pack(self) -> None:
        """Put together what there is, which then is complete."""
        self._done.append((self._others, self._items.take()))
        self._others = []

    def _listen(self) -> None:
        """Let the parser tell of starts; ends are only counted, which costs half as much as a call of ours."""
        self.parser.StartElementHandler = self._begin
        self.parser.EndElementHandler = self._ends.append
        self.parser.CharacterDataHandler = None

    def _starter(self) -> tuple[Callable[[str, list[str]], None], Callable[[], tuple[int, int]]]:
        """Return what is called for each start, and what tells (how many tags are open, how many of the path are).

        Plain items, nine of ten tags of an export, are done with here; names of this function are faster than ours.
        """
        ends, start_other = self._ends, self._start_other
        add_oid, add_value = self._items.item_oid.append, self._items.value.append
        starts = path = 0

        def start(name: str, attributes: list[str]) -> None:
            nonlocal starts, path
            above = starts - len(ends)
            starts += 1
            if name == ITEM_DATA and above == GROUP and path >= GROUP:
                path = ITEM
                if len(attributes) == 4 and attributes[0] == "ItemOID" and attributes[2] == "Value":
                    add_oid(attributes[1])
                    add_value(attributes[3])
                    return
                if attributes[::2] == NAMED:
                    self._items.add_name(attributes[3])
                    add_oid(attributes[1])
                    add_value(attributes[5])
                    return
            path = min(path, above)
            if path == above:
                path = start_other(name, attributes, above + 1)
                if path == SUBJECT:
                    starts -= len(ends)
                    ends.clear()

        return start, lambda: (starts - len(ends), path)

    def _start_other(self, name: str, attributes: list[str], depth: int) -> int:
        """Begin anything but a plain item, in a tag that is where it belongs; return how long the path is then."""
        self.parser.CharacterDataHandler = None  # the text of an item ends at a tag
        local = name if depth <= SUBJECT else LOCAL[name]
        if local == NAME.get(depth):
            if depth == GROUP:
                self._start_group(self._attributes(attributes))
            else:
                self._start_level(depth, self._attributes(attributes))
            return depth
        if depth == ITEM and local.startswith("ItemData"):
            self._item = (local, attributes)
            self.parser.CharacterDataHandler = self._texts.append
            self.parser.EndElementHandler = self._end_item
            return depth
        if local in HANGING and depth > SUBJECT:
            self._build(name, attributes)
        return depth - 1

    def _attributes(self, pairs: list[str]) -> dict[str, str]:
        """Return attributes by local name; groups of items have the same again and again."""
        known = self._said.get(key := tuple(pairs))
        if known is None:
            if len(self._said) > MOST_SAID:
                self._said.clear()
                self._own.clear()
            known = self._said[key] = _by_name(map(LOCAL.__getitem__, pairs[::2]), pairs[1::2])
        return known

    def _start_level(self, depth: int, said: dict[str, str]) -> None:
        if depth == CLINICAL:
            self._study_oid = said.get("StudyOID", "")
        elif depth == SUBJECT:
            if max(len(self._items), len(self._others)) >= PACK:
                self.pack()
            self._take_row(depth, participant_row(said, self._study_oid))
        elif depth > SUBJECT:
            self._take_row(depth, ROW[depth](said, self._keys[depth - 1], self._flags[depth - 1]))
            if depth == FORM:
                self._form = tuple(self._keys[depth][name] for name in OF_FORM)

    def _take_row(self, depth: int, told: tuple[Row, Row, Row]) -> None:
        self._keys[depth], self._flags[depth], row = told
        self._others.append((TABLE[depth], row))

    def _start_group(self, said: dict[str, str]) -> None:
        """Begin a group. What it says of itself is read once for all that say the same."""
        self._group = said
        own = self._own.get(id(said))
        if own is None:
            own = self._own[id(said)] = cells_of_own(item_group_row(said, {}, NO_FLAGS)[2])
        oid, repeat_key, removed, archived = own
        flags = self._flags[FORM]
        self._items.add_group(
            (*self._form, oid, repeat_key, removed or flags["removed"], archived or flags["archived"])
        )
        if self._wants_groups:
            self._others.append((TABLE[GROUP], item_group_row(said, self._keys[FORM], flags)[2]))

    def _end_item(self, name: str) -> None:
        """End an item that is not plain, or a tag in it."""
        self._ends.append(name)
        if self._item is None or self._where()[0] > GROUP:
            return
        kind, attributes = self._item
        row = NO_ITEM.copy()
        fill_item(row, kind, zip(attributes[::2], attributes[1::2], strict=True), "".join(self._texts))
        row["measurement_unit_oid"] = self._unit
        self._items.add(row)
        self._item, self._unit = None, ""
        self._texts.clear()
        self._listen()

    # -- what hangs on something

    def _build(self, name: str, attributes: list[str]) -> None:
        """Build elements until this one ends."""
        from lxml import etree

        builder, depth = etree.TreeBuilder(), 0

        def start(name: str, attributes: list[str]) -> None:
            nonlocal depth
            depth += 1
            builder.start(_clark(name), _by_name(map(_clark, attributes[::2]), attributes[1::2]))

        def end(name: str) -> None:
            nonlocal depth
            depth -= 1
            builder.end(_clark(name))
            if not depth:
                self._ends.append(name)
                self._listen()
                if self._item:
                    self.parser.EndElementHandler = self._end_item
                self._take_built(builder.close())

        self.parser.StartElementHandler, self.parser.EndElementHandler = start, end
        self.parser.CharacterDataHandler = builder.data
        start(name, attributes)

    def _take_built(self, element: etree._Element) -> None:
        name, path = LOCAL[element.tag], self._where()[1]
        if name != "MeasurementUnitRef":
            keys = self._keys[min(path, FORM)]
            if path >= GROUP:
                keys = item_group_row(self._group, keys, self._flags[FORM])[0]
            if path == ITEM:
                keys = {**keys, "item_oid": self._item_oid()}
            self._others.extend(rows_about(name, element, keys, LEVEL[path]))
        elif path == ITEM and self._item:
            self._unit = self._unit or unit_in(element)
        elif path == ITEM:
            self._items.measure_last(unit_in(element))

    def _item_oid(self) -> str:
        """Return the OID of the item that is open."""
        if self._item is None:
            return self._items.item_oid[-1]
        row = NO_ITEM.copy()
        fill_item(row, "ItemData", zip(self._item[1][::2], self._item[1][1::2], strict=True), "")
        return str(row["item_oid"])


def _clark(name: str) -> str:
    """Write a name of expat as lxml does."""
    namespace, local = split_name(name)
    return f"{{{namespace}}}{local}" if namespace else local


def _by_name(names: Iterable[str], values: list[str]) -> dict[str, str]:
    return dict(zip(names, values, strict=True))

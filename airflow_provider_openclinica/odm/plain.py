r"""Read participants by columns, with numpy and Arrow: neither a parser nor Python sees each item.

    PlainReader(namespaces).read(text)    Plain: their tags, their items in columns; None if a parser has to read it

Cut at its quotation marks, an export is values of attributes and what stands between: ``/>\n<ItemData ItemOID=``,
`` Value=``, ``/></ItemGroupData>…``. In a study of millions of items these are some dozens of different texts. Each is
read once, in Python: which tags it ends, which it begins. From then on it is a number, and that the tags of millions of
items are closed in their order is some sums over columns of numbers.

Only what OpenClinica writes is read so: participants, events, forms, groups and items in each other, with blanks
between them. What hangs on them (queries, audit entries, units) is cut out first and parsed; so are, each text once,
the tags of all but items. A text with anything else is none of this reader's, and it does not guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.sax.saxutils import quoteattr

import numpy as np
from lxml import etree

from airflow_provider_openclinica.odm.names import ODM, OPENCLINICA_FAMILY, PREFIX
from airflow_provider_openclinica.odm.quoted import Quoted, nothing, read, spread, without
from airflow_provider_openclinica.odm.reader import attributes_of
from airflow_provider_openclinica.odm.subjects import PARSER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_openclinica.odm.quoted import Numbers

MARK = b'<Cut.Out Of=""/>'  #: stands where something was cut out; ODM has no such name
#: Kinds of tags. All but the mark, which may stand anywhere in a participant, have the depth of their number.
KINDS = (b"SubjectData", b"StudyEventData", b"FormData", b"ItemGroupData", b"ItemData", b"Cut.Out")
ITEM, CUT = KINDS.index(b"ItemData"), KINDS.index(b"Cut.Out")
NONE = -1

_OURS = PREFIX.encode()
_NAME = rb"[A-Za-z_][A-Za-z0-9_.-]*"
_ATTRIBUTE = rb"\s+((?:%s:)?%s)\s*=\s*" % (_OURS, _NAME)
#: Between two values stands the name of another attribute; or the end of the tag, and of those that are closed then.
#: Behind these a tag begins, unless all is over.
BETWEEN = re.compile(rb"%s|\s*(/?)>\s*((?:</%s\s*>\s*)*)(?:(<(%s))%s)?" % (_ATTRIBUTE, _NAME, _NAME, _ATTRIBUTE))
CLOSED = re.compile(rb"</([^\s>]+)")
HANGING = re.compile(
    rb"<(%s:(?:AuditLogs|DiscrepancyNotes))[\s>].*?</\1>|<MeasurementUnitRef\s[^<>]*/>" % _OURS, re.DOTALL
)
HANGS = (b"</%s:" % _OURS, b"<MeasurementUnitRef")  #: without one of these, nothing hangs on anything
MOST_KNOWN = 10_000  #: texts that are remembered
MOST_ATTRIBUTES = 100  #: that have a number


@dataclass(frozen=True, slots=True, eq=False)
class Tag:
    """A tag that is no item's. The same text gives the same tag.

    :param kind: its place in ``KINDS``.
    :param said: its attributes by local name.
    """

    kind: int
    said: dict[str, str]


class Hanging(NamedTuple):
    """Something that was cut out.

    :param depth: of it; one more than that of what it hangs on.
    """

    element: etree._Element
    depth: int


class Plain(NamedTuple):
    """What some participants have. Columns of items are Arrow's, of texts that are numbered.

    :param tags: all but those of items, in document order. One of the kind ``CUT`` stands for the next in ``hanging``.
    :param places: for each tag, how many items stand before it.
    :param item_oid: a column without null. So are ``name`` and ``value``, where null is what an item does not have.
    :param others: place of an item -> its other attributes, by local name.
    """

    tags: list[Tag]
    places: list[int]
    hanging: list[Hanging]
    item_oid: Any
    name: Any
    value: Any
    others: dict[int, dict[str, str]]

    def value_without(self, places: list[int]) -> Any:
        """Return the column of values with null in some places."""
        return without(self.value, places)


class _Between(NamedTuple):
    """What a text between two values says, in numbers.

    :param before: how deep the tag that ends has to be, for the tags that are closed then; ``NONE``: as it is.
    :param deeper: how much deeper than that tag is the one of the next value.
    :param kind: of the tag that begins; ``NONE``: none does.
    :param attribute: number of the name of the next value; ``NONE`` at the end.
    :param length: bytes between the beginning of the tag that begins and its first value.
    """

    before: int
    deeper: int
    kind: int
    attribute: int
    length: int


class PlainReader:
    """Reads texts of one document.

    :param namespaces: prefix -> URI, where participants stand.
    """

    def __init__(self, namespaces: Mapping[str | None, str]) -> None:
        self._is_odm = namespaces.get(None) == ODM
        self._knows_prefix = namespaces.get(PREFIX, "").startswith(OPENCLINICA_FAMILY)
        declared = (f"xmlns{':' * bool(prefix)}{prefix or ''}={quoteattr(uri)}" for prefix, uri in namespaces.items())
        self._opening = f"<ODM {' '.join(declared)}>".encode()
        self._parser = etree.XMLParser(**PARSER)
        self._between: dict[bytes, _Between] = {}
        self._attributes: dict[str, int] = {}
        self._tags: dict[bytes, Tag] = {}

    def read(self, text: bytes) -> Plain | None:
        """Return what participants have; None if a parser has to tell, or to say what is wrong.

        :param text: mended UTF-8, from before a SubjectData to behind the end of one.
        """
        if not self._is_odm:
            return None
        try:
            elements: list[etree._Element] = []
            if any(mark in text for mark in HANGS):
                text, elements = self._without_hanging(text)
            return self._read(b"/>" + text, elements)  # as if a tag had ended just before
        except (_NotPlainError, etree.XMLSyntaxError):
            return None

    def _without_hanging(self, text: bytes) -> tuple[bytes, list[etree._Element]]:
        found: list[bytes] = []

        def mark(hanging: re.Match[bytes]) -> bytes:
            found.append(hanging[0])
            return MARK

        return HANGING.sub(mark, text), self._parsed(found)

    def _parsed(self, texts: list[bytes]) -> list[etree._Element]:
        """Parse texts that are an element each."""
        elements = list(etree.fromstring(b"".join((self._opening, *texts, b"</ODM>")), self._parser))
        _demand(len(elements) == len(texts))
        return elements

    def _read(self, text: bytes, elements: list[etree._Element]) -> Plain:
        quoted = Quoted(text)
        _demand(quoted.is_even)
        between = quoted.between()
        known = [self._known(each) for each in between.dictionary.to_pylist()]
        number = between.indices.to_numpy()
        before, deeper, kind, attribute, _ = (np.array(each, np.int8).take(number) for each in zip(*known, strict=True))
        depth = np.cumsum(deeper, dtype=np.int32)
        _demand(kind[0] == 0 and depth[-1] == 0)
        _demand(attribute[-1] == NONE and (attribute[:-1] != NONE).all())
        _demand(((depth == kind) | (kind == NONE) | ((kind == CUT) & (depth > 0))).all())
        _demand(((before[1:] == depth[:-1]) | (before[1:] == NONE)).all())

        first = np.flatnonzero(kind != NONE)  # value of each tag
        last = np.append(first[1:], len(quoted)) - 1
        is_item = kind[first] == ITEM
        items = np.cumsum(kind == ITEM, dtype=np.int32)
        of_items = np.flatnonzero(np.repeat(is_item, last - first + 1))
        (item_oid, name, value), others = self._items(quoted, of_items, items[of_items] - 1, attribute[of_items])

        of_tags = first[~is_item]
        length = np.array([each.length for each in known]).take(number[of_tags])
        tags = self._tags_in(quoted.around(of_tags, last[~is_item], length))
        depths = depth[kind == CUT].tolist()
        _demand(len(depths) == len(elements))
        hanging = list(map(Hanging, elements, depths))
        return Plain(tags, items[of_tags].tolist(), hanging, item_oid, name, value, others)

    def _known(self, text: bytes) -> _Between:
        """Read what stands between two values, once."""
        if known := self._between.get(text):
            return known
        found = BETWEEN.fullmatch(text)
        if not found or len(self._between) > MOST_KNOWN:
            raise _NotPlainError
        more, slash, closed, begun, name, first = found.groups()
        names = CLOSED.findall(closed or b"")
        _demand(all(each in KINDS for each in (*names, name or KINDS[0])))
        kinds = [KINDS.index(each) for each in names]
        _demand(not kinds or kinds == [*range(kinds[0], kinds[0] - len(kinds), -1)])
        stays = bool(slash or more)
        self._between[text] = known = _Between(
            before=kinds[0] + stays if kinds else NONE,
            deeper=1 - stays - len(kinds),
            kind=KINDS.index(name) if begun else NONE,
            attribute=self._attribute(more or first),
            length=len(text) - found.start(4) if begun else 0,
        )
        return known

    def _attribute(self, name: bytes | None) -> int:
        if name is None:
            return NONE
        prefix, _, local = name.decode().rpartition(":")
        _demand(local != "xmlns" and (not prefix or self._knows_prefix))
        _demand(local in self._attributes or len(self._attributes) < MOST_ATTRIBUTES)
        return self._attributes.setdefault(local, len(self._attributes))

    def _items(
        self, quoted: Quoted, values: Numbers, place: Numbers, attribute: Numbers
    ) -> tuple[list[Any], dict[int, dict[str, str]]]:
        """Return columns for OID, name and value of items, and their other attributes.

        :param values: which are of items; ``place`` says of which item each is, ``attribute`` what it is.
        """
        count = int(place[-1]) + 1 if len(place) else 0
        columns = {name: nothing(count) for name in ("ItemOID", "ItemName", "Value")}
        others: dict[int, dict[str, str]] = {}
        for name, number in self._attributes.items():
            those = np.flatnonzero(attribute == number)
            if not len(those):
                continue
            where = place[those]
            texts = read(quoted.values(values[those]))
            _demand(texts is not None and (where[1:] != where[:-1]).all())  # no tag has an attribute twice
            if name in columns:
                columns[name] = texts if len(texts) == count else spread(texts, where, count)
            else:
                for item, said in zip(where.tolist(), texts.to_pylist(), strict=True):
                    others.setdefault(item, {})[name] = said
        # What is empty counts as absent, or the other way round.
        _demand(columns["ItemOID"].null_count == 0 and "" not in columns["ItemName"].dictionary.to_pylist())
        return list(columns.values()), others

    def _tags_in(self, texts: Any) -> list[Tag]:
        """Read tags, each text once."""
        written = texts.dictionary.to_pylist()
        if len(self._tags) > MOST_KNOWN:
            self._tags.clear()
        unknown = [text for text in written if text not in self._tags]
        for text, element in zip(unknown, self._parsed([text + b"/>" for text in unknown]), strict=True):
            name = text[1:].split(maxsplit=1)[0]
            self._tags[text] = Tag(KINDS.index(name), attributes_of(element))
        tags = [self._tags[text] for text in written]
        return [tags[number] for number in texts.indices.to_pylist()]


class _NotPlainError(Exception):
    """A text has something that is not read here."""


def _demand(is_so: object) -> None:
    if not is_so:
        raise _NotPlainError

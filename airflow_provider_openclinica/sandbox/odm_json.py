"""Clinical data as JSON, made from the XML as the server makes them, faults included (docs/protocol.md, clinical data).

One child is an object and several are a list. A text ``null`` becomes null, what looks like a list or an object is
read as one, what looks like a function stands there without quotes, and dates are rewritten, those in items too.
"""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MONTHS = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "de": ("Jan", "Feb", "Mrz", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez"),
    "nl": ("jan", "feb", "mrt", "apr", "mei", "jun", "jul", "aug", "sep", "okt", "nov", "dec"),
}
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d:\d\d:\d\d)| (\d\d:\d\d:\d\d)\.\d+)?", re.ASCII)
_CONTAINER = re.compile(r"\[.*\]|\{.*\}", re.DOTALL)
_FUNCTION = re.compile(r"function ?\(.*?\)\s*\{.*\}", re.DOTALL)
_MARK = "\ue000"  # stands around what is written without quotes
_UNQUOTED = re.compile(f'"{_MARK}((?:[^"\\\\]|\\\\.)*){_MARK}"')


class Unreadable(Exception):  # noqa: N818 - not a failure of the sandbox, but of the server it plays
    """The XML is not well-formed, so that the server cannot make JSON of it."""


class Converter:
    """Turns pieces of a document into JSON.

    :param opening: the document up to where clinical data begin.
    :param language: what ``Accept-Language`` says; only its first language counts.
    :raises Unreadable: the opening is not well-formed.
    """

    def __init__(self, opening: str, language: str) -> None:
        self._months = _MONTHS.get(language[:2].lower(), _MONTHS["en"])
        root = self._parsed(f"{opening}</ODM>")
        self._start = etree.tostring(etree.Element(root.tag, nsmap=root.nsmap), encoding="unicode")[:-2] + ">"
        self._prefixes = {uri: f"{prefix}:" if prefix else "" for prefix, uri in root.nsmap.items()}
        declared = {f"@xmlns:{prefix}" if prefix else "@xmlns": uri for prefix, uri in root.nsmap.items()}
        self.head = declared | self._members(root)

    def subject(self, xml: str) -> Any:
        """Turn a participant into what JSON has for one.

        :raises Unreadable: it is not well-formed.
        """
        (node,) = self._parsed(f"{self._start}{xml}</ODM>")
        return {"@xmlns:OpenClinica": node.nsmap["OpenClinica"]} | self._members(node)

    def _parsed(self, xml: str) -> etree._Element:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
        try:
            return etree.fromstring(xml.encode("utf-8", "surrogatepass"), parser)
        except etree.XMLSyntaxError:
            raise Unreadable from None

    def _members(self, node: etree._Element) -> dict[str, Any]:
        members: dict[str, Any] = {f"@{self._name(str(name))}": self._text(value) for name, value in node.items()}
        children: dict[str, list[Any]] = {}
        for child in node:
            children.setdefault(self._name(str(child.tag)), []).append(self._value(child))
        return members | {name: found[0] if len(found) == 1 else found for name, found in children.items()}

    def _value(self, node: etree._Element) -> Any:
        if not len(node) and not node.attrib:
            return self._text(node.text or "")
        members = self._members(node)
        if etree.QName(node).localname == "UserRef":
            return {"@xmlns": etree.QName(node).namespace} | members
        if node.text and node.text.strip():
            members["#text"] = self._text(node.text)
        return members

    def _name(self, name: str) -> str:
        qualified = etree.QName(name)
        return f"{self._prefixes.get(qualified.namespace or '', '')}{qualified.localname}"

    def _text(self, plain: str) -> Any:
        if plain == "null":
            return None
        if _CONTAINER.fullmatch(plain):
            try:
                return self._rewritten(json.loads(plain))
            except ValueError:
                return plain
        if _FUNCTION.fullmatch(plain):
            return f"{_MARK}{plain}{_MARK}"
        return self._rewritten(plain)

    def _rewritten(self, value: Any) -> Any:
        """Rewrite dates, wherever they stand."""
        if isinstance(value, list):
            return [self._rewritten(each) for each in value]
        if isinstance(value, dict):
            return {name: self._rewritten(each) for name, each in value.items()}
        return self._date(value) if isinstance(value, str) else value

    def _date(self, plain: str) -> str:
        found = _DATE.fullmatch(plain)
        if found is None:
            return plain
        year, month, day = (int(part) for part in found.groups()[:3])
        moved = _shifted(year, month, day)
        time = found[4] or found[5]
        if moved is None:
            return plain
        return f"{moved.day:02d}-{self._months[moved.month - 1]}-{moved.year:04d}{f' {time}' if time else ''}"


def _shifted(year: int, month: int, day: int) -> date | None:
    """Read a date as leniently as the server: day 31 of a month of 30 is the first of the next."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    try:
        return date(year, month, 1) + timedelta(days=day - 1)
    except (ValueError, OverflowError):
        return None  # before the year 1, or after 9999


def json_document(
    head: dict[str, Any], sections: Iterable[tuple[str, Iterator[Any]]], *, several: bool
) -> Iterator[str]:
    """Write the whole document, one participant at a time, indented by two blanks.

    :param head: what stands before the clinical data.
    :param sections: the OID of a study or site, and its participants.
    :param several: whether there is more than one section.
    """
    yield _opened(head, 0)
    depth = 2 if several else 1
    separator = f',\n  "ClinicalData": {"[" + _line(depth) if several else ""}'
    for study_oid, subjects in sections:
        yield separator + _opened({"@StudyOID": study_oid, "@MetaDataVersionOID": None}, depth)
        yield from _subjects(subjects, depth + 1)
        yield _line(depth) + "}"
        separator = f",{_line(depth)}"
    yield "\n  ]\n}" if several else "\n}"


def _subjects(subjects: Iterator[Any], depth: int) -> Iterator[str]:
    """Write participants as a member: alone, or as a list where there are several."""
    name = f',{_line(depth)}"SubjectData": '
    first, second = next(subjects, None), next(subjects, None)
    if first is None:
        return
    if second is None:
        yield name + _indented(first, depth)
        return
    yield f"{name}[{_line(depth + 1)}{_indented(first, depth + 1)}"
    for subject in chain([second], subjects):
        yield f",{_line(depth + 1)}{_indented(subject, depth + 1)}"
    yield _line(depth) + "]"


def _opened(members: dict[str, Any], depth: int) -> str:
    """Write an object without its last line, so that more can follow."""
    return _indented(members, depth).rpartition("\n")[0]


def _indented(value: Any, depth: int) -> str:
    """Write a value whose first line is somewhere already."""
    written = json.dumps(value, indent=2, ensure_ascii=False).replace("\n", _line(depth))
    return _UNQUOTED.sub(lambda found: str(json.loads(f'"{found[1]}"')), written)


def _line(depth: int) -> str:
    return "\n" + "  " * depth

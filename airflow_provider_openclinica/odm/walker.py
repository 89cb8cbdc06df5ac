"""Walk through an ODM document tag by tag, as OpenClinica's import would read it if every name were exact.

The one place that decides what a name in a file means: which element and attribute of ``names.VOCABULARY`` it is, or
that it is passed over. Checks, normaliser and splitter are visitors of this walk, so they cannot disagree.

    walk(source, visitor, report)    the visitor sees known tags only, each with its attributes by exact name
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

from airflow_provider_openclinica.errors import FileError
from airflow_provider_openclinica.odm.model import Problem
from airflow_provider_openclinica.odm.names import (
    ODM,
    OPENCLINICA,
    PASSED_OVER,
    PASSED_OVER_IN,
    PREFIX,
    VOCABULARY,
    XML,
    XSI,
    is_ours,
    split_name,
)
from airflow_provider_openclinica.odm.parser import TOKEN_LIMIT, TOO_LONG, Unreadable, parse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from xml.parsers import expat

    Report = Callable[[Problem], None]

DEEPEST = 256  #: levels of tags; a deeper document is no ODM but an attack
BLANK = " \t\r\n"
SHOWN_NAMES = 20
OF_ODM = re.compile(r"http://www\.cdisc\.org/ns/odm/v(\d+\.\d+)")
REMOVAL = (
    'TransactionType="Remove" of {} is ignored by OpenClinica, which removes nothing. Write Value="" to clear an item, '
    'Removed="Yes" on a repeat of an item group; remove anything else in OpenClinica itself, and leave it out here'
)
SAFE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


class Tag:
    """A start tag that the import reads, and what has been met in it so far.

    ``attributes`` go by exact local name, in the order of the file; ``holds`` counts the known children by name;
    ``text`` is what stands in a DetailedNote, complete at its end.
    """

    __slots__ = ("attributes", "holds", "line", "name", "parent", "text")

    def __init__(self, name: str, attributes: dict[str, str], line: int, parent: Tag | None) -> None:
        self.name, self.attributes, self.line, self.parent = name, attributes, line, parent
        self.holds: dict[str, int] = {}
        self.text = ""


class Visitor(Protocol):
    """What is called for each known tag."""

    def start(self, tag: Tag) -> None:
        """Begin an element."""

    def end(self, tag: Tag) -> None:
        """End an element; ``tag`` is the one it began with."""


def walk(source: Path | BinaryIO, visitor: Visitor, report: Report) -> None:
    """Lead ``visitor`` through a document.

    :param report: is given each problem with a name or a text; the walk goes on unless it raises.
    :raises Unreadable: the document ends before its end: broken, not XML, not ODM 1.3.
    :raises FileError: it cannot be opened.
    """
    walker = _Walker(visitor, report)
    parse(source, walker)
    walker.report_names()


def walk_good(source: Path | BinaryIO, visitor: Visitor) -> None:
    """Lead ``visitor`` through a document that should be flawless: the first error ends the walk.

    :raises FileError: says the error, with its line. ``check`` tells them all.
    """

    def refuse(problem: Problem) -> None:
        if problem.severity == "error":
            raise Unreadable(problem)

    try:
        walk(source, visitor, refuse)
    except Unreadable as error:
        raise FileError(f"The ODM document cannot be used, {error.problem}") from error


class _Ruling(NamedTuple):
    """What a name in a file means at its place."""

    name: str = ""  #: the exact local name; empty: passed over
    fault: str = ""  #: why the document has to be corrected
    note: str = ""  #: the name, as shown in the closing warning
    mended: bool = False  #: it is known, but in a form that the import may lose


NOTHING = _Ruling()


class _Walker:
    """Handler of the parser, caller of the visitor."""

    def __init__(self, visitor: Visitor, report: Report) -> None:
        self._visitor, self._report = visitor, report
        self._tag: Tag | None = None
        self._skipping = 0  # levels below the last known tag
        self._text: list[str] = []  # of the current DetailedNote
        self._text_size = 0
        # for each known element: names met in it -> exact local name; empty: passed over
        self._elements: dict[str, dict[str, str]] = {name: {} for name in VOCABULARY}
        self._attributes: dict[str, dict[str, str]] = {name: {} for name in VOCABULARY}
        self._depth = 0
        self._noted: dict[tuple[bool, str], int] = {}
        self._parser: expat.XMLParserType

    def run(self, parser: expat.XMLParserType) -> None:
        self._parser = parser

    # -- the parser's calls

    def start(self, name: str, attributes: list[str]) -> None:
        self._depth += 1
        if self._skipping:
            self._skipping += 1
            if self._depth > DEEPEST:
                raise Unreadable(Problem(f"tags are nested more than {DEEPEST} deep", self._parser.CurrentLineNumber))
            return
        line = self._parser.CurrentLineNumber
        parent = self._tag
        if parent is None:
            _refuse_root(name, attributes, line)
            exact = "ODM"
        else:
            met = self._elements[parent.name]
            known = met.get(name)
            exact = self._learn(met, name, _rule_element(parent.name, name), line) if known is None else known
            if not exact:
                self._skipping = 1
                return
            parent.holds[exact] = parent.holds.get(exact, 0) + 1
        self._tag = Tag(exact, self._read(exact, attributes, line), line, parent)
        self._visitor.start(self._tag)

    def end(self, _name: str) -> None:
        self._depth -= 1
        if self._skipping:
            self._skipping -= 1
            return
        tag = self._tag
        if tag is None:  # pragma: no cover - expat pairs the tags
            return
        if self._text:
            text = "".join(self._text)
            tag.text = text if tag.attributes.get("xml:space") == "preserve" else text.strip(BLANK)
            self._text.clear()
            self._text_size = 0
        self._visitor.end(tag)
        self._tag = tag.parent

    def text(self, text: str) -> None:
        if self._skipping or self._tag is None:
            return
        if self._tag.name == "DetailedNote":
            self._text.append(text)
            self._text_size += len(text)
            if self._text_size > TOKEN_LIMIT:
                raise Unreadable(Problem(TOO_LONG, self._parser.CurrentLineNumber))
        elif not self._tag.holds.get("#text") and text.strip(BLANK):
            self._tag.holds["#text"] = 1  # one message for each tag is enough
            reason = (
                f"there is text in {self._tag.name}, between the tags; OpenClinica refuses the whole file. "
                "Remove it, or move it to the attribute it belongs to"
            )
            self._report(Problem(reason, self._parser.CurrentLineNumber))

    # -- names

    def _read(self, element: str, pairs: list[str], line: int) -> dict[str, str]:
        """Give the attributes of a tag by exact name; a repeat under another spelling is an error."""
        attributes: dict[str, str] = {}
        met = self._attributes[element]
        each = iter(pairs)
        for name, value in zip(each, each, strict=False):
            known = met.get(name)
            exact = self._learn(met, name, _rule_attribute(element, name), line) if known is None else known
            if exact and attributes.setdefault(exact, value) != value:
                reason = f"{exact} of {element} is given twice, in two spellings and with two values. Keep one"
                self._report(Problem(reason, line))
        is_removal = "Remove" in pairs and _by_name(pairs).get("TransactionType") == "Remove"
        if is_removal and attributes.get("Removed") != "Yes":
            self._report(Problem(REMOVAL.format(element), line))
        return attributes

    def _learn(self, met: dict[str, str], name: str, ruling: _Ruling, line: int) -> str:
        """Report what a name deserves, and remember its meaning; a faulty one is reported each time it comes."""
        if ruling.fault:
            self._report(Problem(ruling.fault, line))
            return ruling.name
        if ruling.note:
            self._noted.setdefault((ruling.mended, ruling.note), line)
        return met.setdefault(name, ruling.name)

    def report_names(self) -> None:
        """Say, once for all, what is sent in another form and what is not sent."""
        for mended, what in (
            (True, "names in a form that OpenClinica may lose; they are sent in its own form"),
            (False, "left out, since OpenClinica's import does not read them"),
        ):
            notes = {note: line for (kind, note), line in self._noted.items() if kind is mended}
            if notes:
                more = f" and {len(notes) - SHOWN_NAMES} more" if len(notes) > SHOWN_NAMES else ""
                shown = ", ".join(list(notes)[:SHOWN_NAMES])
                self._report(Problem(f"{what}: {shown}{more}", min(notes.values()), "warning"))


def _refuse_root(name: str, pairs: list[str], line: int) -> None:
    """Raise unless the root is ODM in the namespace of 1.3."""
    namespace, local = split_name(name)
    version = OF_ODM.fullmatch(namespace)
    if local != "ODM":
        reason = "the root element is not ODM. Send a CDISC ODM 1.3 document"
    elif namespace == ODM:
        return
    elif version:
        reason = f"this is ODM {version[1]}, and OpenClinica reads ODM 1.3 only. Export or convert it as ODM 1.3"
    elif not namespace:
        given = _by_name(pairs).get("ODMVersion", "")
        old = f", as in ODM {given}" if re.fullmatch(r"1\.[0-2]", given) else ""
        reason = f'the ODM element is in no namespace{old}. Write <ODM xmlns="{ODM}" ...> for an ODM 1.3 document'
    else:
        reason = f'the ODM element is in a namespace that is not ODM\'s. Write <ODM xmlns="{ODM}" ...>'
    raise Unreadable(Problem(reason, line))


def _by_name(pairs: list[str]) -> dict[str, str]:
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


def _shown(local: str) -> str:
    return local if SAFE_NAME.fullmatch(local) else "(a name too strange to show)"


def _rule_element(parent: str, name: str) -> _Ruling:
    """Decide what an element is, from its name and where it stands."""
    namespace, local = split_name(name)
    shown, known = _shown(local), VOCABULARY.get(local)
    if local in VOCABULARY[parent].children and known is not None:
        if not is_ours(namespace):
            return _Ruling(fault=_foreign(f"the element {shown}", known.written))
        mended = known.is_note and namespace != OPENCLINICA
        return _Ruling(local, note=known.written if mended else "", mended=mended)
    if parent == "DetailedNote":
        return _Ruling(
            fault="there is a tag in a DetailedNote, which holds text only. Write &lt; for '<', or remove it"
        )
    if not is_ours(namespace) or parent in PASSED_OVER_IN.get(local, ()):
        return _Ruling(note=f"{parent}/{shown}")
    if parent == "ItemGroupData" and local.startswith("ItemData"):
        reason = f"{shown} is ignored by OpenClinica, with its value. Write <ItemData ItemOID=... Value=.../>"
        return _Ruling(fault=reason)
    if known is not None:
        return _Ruling(fault=f"{shown} stands in {parent}, where OpenClinica ignores it. Look at where it belongs")
    meant = next((exact for exact in VOCABULARY if exact.casefold() == local.casefold()), "")
    if meant:
        return _Ruling(fault=f"the element {shown} is ignored by OpenClinica. Spell it {meant}")
    if namespace in (ODM, "") and parent != "ODM" and local not in PASSED_OVER:
        return _Ruling(fault=f"ODM 1.3 has no element {shown} in {parent}, so OpenClinica ignores it. Correct its name")
    return NOTHING if parent == "ODM" else _Ruling(note=f"{parent}/{shown}")


def _rule_attribute(element: str, name: str) -> _Ruling:
    """Decide what an attribute is, from its name and its element."""
    namespace, local = split_name(name)
    known, shown = VOCABULARY[element], _shown(local)
    if element == "DetailedNote" and name == f"{XML} space":
        return _Ruling("xml:space")
    if namespace in (XML, XSI) or element == "ODM":
        return NOTHING
    if local in known.attributes:
        written = known.attribute_written(local)
        if not is_ours(namespace):
            return _Ruling(fault=_foreign(f"the attribute {shown} of {element}", written))
        exact = namespace == (OPENCLINICA if local in known.prefixed else "")
        tolerated = (
            exact or namespace == OPENCLINICA
        )  # OpenClinica:Removed is what the vendor advises, and exports hold
        return _Ruling(local, note="" if tolerated else f"{element}/{written}", mended=not tolerated)
    if not is_ours(namespace):
        return _Ruling(note=f"{element}/@{shown}")
    meant = next((exact for exact in known.attributes if exact.casefold() == local.casefold()), "")
    if meant:
        written = known.attribute_written(meant)
        return _Ruling(fault=f"the attribute {shown} of {element} is ignored by OpenClinica. Spell it {written}")
    return _Ruling(note=f"{element}/@{shown}")


def _foreign(what: str, written: str) -> str:
    """Word the fault of a name that is known, in a namespace that is not."""
    declared = f', with xmlns:{PREFIX}="{OPENCLINICA}" on the ODM element' if ":" in written else " without a prefix"
    return f"{what} is in a namespace of somebody else. If it is meant for OpenClinica, write {written}{declared}"

"""Read OpenClinica's JSON export, one participant at a time, into the elements its XML export would have given.

The server makes the JSON from the XML (docs/protocol.md, clinical data): attributes are keys that begin with ``@``, one
child is an object, several are an array, a text-only element is a string. What was lost on the way stays lost.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.errors import FileError
from airflow_provider_openclinica.odm.names import ODM, OPENCLINICA, PREFIX
from airflow_provider_openclinica.odm.repair import REPLACEMENT, Repairs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml import etree

LARGEST = 256 << 20  #: characters of one participant, or of the study's design
TRIM = 1 << 20
BLANKS = re.compile(r"[ \t\r\n]*")
ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
DATE = re.compile(r"[0-9]{2}-[A-Z][a-z]{2}-[0-9]{4}(?: [0-9]{2}:[0-9]{2}:[0-9]{2})?")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: Attributes that hold a date and nothing else, so that its form can be brought back.
DATES = frozenset(
    {
        *("DateOfBirth", "EnrollmentDate", "StartDate", "EndDate", "InterviewDate", "CreatedDate", "UpdatedDate"),
        *("DateTimeStamp", "DateUpdated", "DateCreated"),
    }
)
ADVICE = "Ask for XML, which has none of JSON's losses; or fetch it again, if it was cut off."


def subjects_in_json(chunks: Iterator[bytes], repairs: Repairs) -> Iterator[tuple[str, etree._Element]]:
    """Yield each participant with the StudyOID of the ClinicalData that holds it.

    :param chunks: the document in UTF-8.
    :raises FileError: it is no JSON export of ODM 1.3, or is broken.
    """
    text = _Text(chunks)
    root: dict[str, Any] = {}
    for key in text.members():
        if key == "ClinicalData":
            _refuse_other_than_odm(root)
            for _ in text.each():
                yield from _of_clinical_data(text, repairs)
        elif key.startswith("@"):
            root[key] = text.value()
        else:
            text.value()
    _refuse_other_than_odm(root)


def _of_clinical_data(text: _Text, repairs: Repairs) -> Iterator[tuple[str, etree._Element]]:
    study_oid = ""
    for key in text.members():
        if key == "@StudyOID":
            study_oid = str(text.value())
        elif key == "SubjectData":
            for _ in text.each():
                yield study_oid, _element(key, text.value(), repairs)
        else:
            text.value()


def _refuse_other_than_odm(root: dict[str, Any]) -> None:
    namespace, version = root.get("@xmlns", ODM), str(root.get("@ODMVersion", ""))
    if namespace != ODM or not version.startswith("1.3"):
        named = f"it is ODM {version}" if re.fullmatch(r"\d{1,3}(\.\d{1,3}){0,3}", version) else "it does not say so"
        raise FileError(
            f"The JSON document is no export of ODM 1.3: {named}", next_step="Look at what should have written it."
        )


# -- JSON as it arrives


class _Text:
    """JSON in pieces. The generators stop at each value, which the caller then reads, whole or in pieces again."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = codecs.iterdecode(chunks, "utf-8")
        self._text, self._at = "", 0
        self._decode = json.JSONDecoder().raw_decode

    def members(self) -> Iterator[str]:
        """Yield the keys of an object; the value of each is to be read before the next."""
        self._take("{")
        while self._peek() != "}":
            key = self.value()
            self._take(":")
            yield str(key)
            if self._peek() == ",":
                self._take(",")
        self._take("}")

    def each(self) -> Iterator[None]:
        """Stop at each element of an array, or once where there is no array around the only one."""
        if self._peek() != "[":
            yield
            return
        self._take("[")
        while self._peek() != "]":
            yield
            if self._peek() == ",":
                self._take(",")
        self._take("]")

    def value(self) -> Any:
        """Read a value whole."""
        self._peek()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError:
                end = len(self._text)
            except RecursionError:
                raise _broken() from None
            if end < len(self._text):  # at the very end, a number might go on
                self._at = end
                return value
            self._more(enlarge=True)

    def _peek(self) -> str:
        """Return the next character that is no blank."""
        while True:
            found = BLANKS.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            self._more()

    def _take(self, character: str) -> None:
        if self._peek() != character:
            raise _broken()
        self._at += 1

    def _more(self, *, enlarge: bool = False) -> None:
        """Read on; twice as much as before where a value is not complete yet, so that few attempts are in vain."""
        if self._at > TRIM or self._at == len(self._text):
            self._text, self._at = self._text[self._at :], 0
        rest = len(self._text) - self._at
        if rest > LARGEST:
            raise _broken()
        pieces, size = [self._text], 0
        for chunk in self._chunks:
            pieces.append(chunk)
            size += len(chunk)
            if size >= (rest if enlarge else 1):
                break
        if not size:
            raise _broken()
        self._text = "".join(pieces)


def _broken() -> FileError:
    return FileError("The JSON document is broken, or was cut off", next_step=ADVICE)


# -- from JSON to elements


def _element(name: str, node: Any, repairs: Repairs) -> etree._Element:
    """Build the element that was there before it became JSON."""
    from lxml import etree

    element = etree.Element(_clark(name, ODM))
    _fill(element, node, repairs)
    return element


def _fill(element: etree._Element, node: Any, repairs: Repairs) -> None:
    from lxml import etree

    if not isinstance(node, dict):
        element.text = _written(node, repairs)
        return
    for key, value in node.items():
        if key == "#text":
            element.text = _written(value, repairs)
        elif key.startswith("@"):
            if name := _clark(key[1:], ""):
                element.set(name, _attribute(key[1:], value, repairs))
        elif name := _clark(key, ODM):
            for child in value if isinstance(value, list) else [value]:
                _fill(etree.SubElement(element, name), child, repairs)


def _clark(name: str, namespace: str) -> str:
    """Give a name as lxml writes it; empty for what belongs neither to ODM nor to OpenClinica.

    :param namespace: of names without prefix.
    """
    prefix, _, local = name.rpartition(":")
    if name.startswith("xmlns") or not NAME.fullmatch(local) or prefix not in ("", PREFIX):
        return ""
    namespace = OPENCLINICA if prefix else namespace
    return f"{{{namespace}}}{local}" if namespace else local


def _attribute(name: str, value: Any, repairs: Repairs) -> str:
    text = _written(value, repairs)
    if name.rpartition(":")[2] not in DATES or not DATE.fullmatch(text) or text[3:6] not in MONTHS:
        return text
    repairs.rewritten_dates += 1
    month = MONTHS.index(text[3:6]) + 1
    return f"{text[7:11]}-{month:02}-{text[:2]}{text[11:].replace(' ', 'T')}"


def _written(value: Any, repairs: Repairs) -> str:
    """Give a value back as text: the server turns ``null`` into nothing and parses what looks like JSON."""
    if value is None:
        return "null"
    if not isinstance(value, str):
        repairs.parsed_values += 1
        value = json.dumps(value, ensure_ascii=False)
    text, count = ILLEGAL.subn(REPLACEMENT, value)
    repairs.illegal_characters += count
    return text

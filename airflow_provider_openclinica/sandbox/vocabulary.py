"""Read an upload as the server reads it, with all that gets lost on the way.

The server joins the lines of a file with nothing between them, then maps elements to objects without caring much for
namespaces (docs/protocol.md, import document):

- elements count by their local name, in any namespace; only those of notes must be in OpenClinica's namespace or none;
- attributes are looked for in two passes, first the exact ones, then the rest by local name, and that second pass ends
  at the first attribute nobody knows: what it has not reached is lost without a word;
- unknown elements are passed over with all they hold;
- an undeclared prefix is no error, so the parser here knows no namespaces and prefixes are resolved by hand.

The one thing that differs: a DTD is refused, so that no entity is ever expanded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from airflow_provider_openclinica.sandbox.import_document import (
    ChildNote,
    DiscrepancyNote,
    DiscrepancyNotes,
    Document,
    FormData,
    ItemData,
    ItemGroupData,
    Signature,
    StudyEventData,
    SubjectData,
    UpsertOn,
    UserRef,
)
from airflow_provider_openclinica.sandbox.study import OPENCLINICA

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Document", "XmlRefused", "read_upload"]

_SCHEMA_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_LINE_ENDS = dict.fromkeys(map(ord, "\n\r\x85\u2028\u2029"))
_BLANKS = " \t\r\n"
_OIDS = {"StudyOID", "SubjectKey", "StudyEventOID", "FormOID", "ItemGroupOID", "ItemOID"}
_BOOLEANS = {"true", "false", "1", "0", ""}


class XmlRefused(Exception):  # noqa: N818
    """The upload cannot be read. The text is what the server prints below its code, on two or more lines."""


@dataclass(slots=True)
class _Odm:
    clinical_data: Document | None = None


@dataclass(slots=True)
class _Text:
    """The text of a ``DetailedNote`` while it is read."""

    preserved: bool = False
    pieces: list[str] = field(default_factory=list)

    def read(self) -> str:
        """Return the text with blanks as the server leaves them."""
        text = "".join(self.pieces)
        return text if self.preserved else text.translate(dict.fromkeys(map(ord, "\t\r\n"), " ")).strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """How one element is read.

    :param into: the attribute of its parent's object that takes it; a list takes many, else a second one replaces
        the first, or is refused if it may stand only ``once``.
    :param plain: its unprefixed attributes, and the fields they fill.
    :param oc: the same for those in OpenClinica's namespace.
    :param is_note: the element is only known in OpenClinica's namespace or in none.
    """

    make: Callable[[], Any]
    into: str
    plain: Mapping[str, str] = field(default_factory=dict)
    oc: Mapping[str, str] = field(default_factory=dict)
    children: Mapping[str, _Rule] = field(default_factory=dict)
    once: bool = False
    is_note: bool = False


_CHILD_NOTE = _Rule(
    make=ChildNote,
    into="children",
    is_note=True,
    plain={"ID": "id", "Status": "status", "UserName": "user_name"},
    children={
        "DetailedNote": _Rule(make=_Text, into="detailed_note", once=True, is_note=True),
        "UserRef": _Rule(make=UserRef, into="user_ref", oc={"UserName": "user_name"}),
    },
)
_NOTES = _Rule(
    make=DiscrepancyNotes,
    into="notes",
    once=True,
    is_note=True,
    children={
        "DiscrepancyNote": _Rule(
            make=DiscrepancyNote,
            into="notes",
            is_note=True,
            plain={"ID": "id", "NoteType": "note_type"},
            children={"ChildNote": _CHILD_NOTE},
        )
    },
)
_ITEM = _Rule(
    make=ItemData,
    into="items",
    plain={"ItemOID": "oid", "Value": "value", "TransactionType": "transaction_type", "IsNull": "is_null"},
    children={"DiscrepancyNotes": _NOTES},
)
_GROUP = _Rule(
    make=ItemGroupData,
    into="groups",
    plain={"ItemGroupOID": "oid", "ItemGroupRepeatKey": "repeat_key", "Removed": "removed"},
    children={"ItemData": _ITEM},
)
_FORM = _Rule(
    make=FormData,
    into="forms",
    plain={"FormOID": "oid"},
    oc={
        "FormLayoutOID": "layout",
        "Status": "status",
        "WorkflowStatus": "workflow_status",
        "SdvStatus": "sdv_status",
        "ReasonForChangeForCompleteForms": "reason_for_change",
    },
    children={"ItemGroupData": _GROUP},
)
_EVENT = _Rule(
    make=StudyEventData,
    into="events",
    plain={"StudyEventOID": "oid", "StudyEventRepeatKey": "repeat_key"},
    oc={
        "StartDate": "start_date",
        "EndDate": "end_date",
        "Status": "status",
        "WorkflowStatus": "workflow_status",
        "Signed": "signed",
    },
    children={
        "Signature": _Rule(make=Signature, into="signatures", oc={"Attestation": "attestation"}),
        "FormData": _FORM,
    },
)
_CLINICAL_DATA = _Rule(
    make=Document,
    into="clinical_data",
    once=True,
    plain={"StudyOID": "study_oid"},
    children={
        "UpsertOn": _Rule(
            make=UpsertOn,
            into="upsert_on",
            once=True,
            plain={
                "NotStarted": "not_started",
                "DataEntryStarted": "data_entry_started",
                "DataEntryComplete": "data_entry_complete",
            },
        ),
        "SubjectData": _Rule(
            make=SubjectData,
            into="subjects",
            plain={"SubjectKey": "key"},
            oc={"StudySubjectID": "participant_id"},
            children={"StudyEventData": _EVENT},
        ),
    },
)
_ODM = _Rule(make=_Odm, into="", children={"ClinicalData": _CLINICAL_DATA})


@dataclass(slots=True)
class _Open:
    """An element whose end has not come yet."""

    rule: _Rule
    node: Any
    namespaces: Mapping[str, str]


class _Reader:
    """Build objects while the parser walks through the text."""

    def __init__(self) -> None:
        self.odm = _Odm()
        self._open: list[_Open] = []
        self._depth_unknown = 0  # how deep we are inside an element that nobody knows
        self._parser = expat.ParserCreate("utf-8")  # the text was decoded before, whatever its first line says
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.buffer_text = True

    def read(self, text: str) -> Document:
        try:
            self._parser.Parse(text.encode(), True)
        except expat.ExpatError as error:
            raise self._refusal(expat.ErrorString(error.code)) from error
        if self.odm.clinical_data is None:
            raise self._refusal("unable to find 'ClinicalData' in 'ODM'")
        return self.odm.clinical_data

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._depth_unknown:
            self._depth_unknown += 1
            return
        prefix, _, local = name.rpartition(":")
        namespaces = self._namespaces(attributes)
        rule = self._rule_for(local)
        if rule is None or (rule.is_note and namespaces.get(prefix, "") not in (OPENCLINICA, "")):
            self._depth_unknown = 1
            return
        node = self.odm if rule is _ODM else rule.make()
        for field_name, value in _fields(rule, attributes, namespaces).items():
            if rule.make is UpsertOn and value.lower() not in _BOOLEANS:
                raise self._refusal("a switch of 'UpsertOn' is neither true nor false")
            setattr(node, field_name, value)
        if isinstance(node, _Text):
            node.preserved = attributes.get("xml:space") == "preserve"
        elif self._open:
            self._attach(rule, node, local)
        self._open.append(_Open(rule, node, namespaces))

    def _rule_for(self, local: str) -> _Rule | None:
        if self._open:
            return self._open[-1].rule.children.get(local)
        if local != "ODM":
            raise self._refusal(f"the root is '{local}', expected 'ODM'")
        return _ODM

    def _namespaces(self, attributes: Mapping[str, str]) -> Mapping[str, str]:
        """Return what each prefix stands for here; the default namespace is under the empty prefix."""
        known = self._open[-1].namespaces if self._open else {}
        declared = {
            name.partition(":")[2]: uri
            for name, uri in attributes.items()
            if name == "xmlns" or name.startswith("xmlns:")
        }
        return {**known, **declared} if declared else known

    def _attach(self, rule: _Rule, node: object, local: str) -> None:
        parent = self._open[-1].node
        present = getattr(parent, rule.into)
        if isinstance(present, list):
            present.append(node)
            return
        if rule.once and present is not None:
            raise self._refusal(f"element '{local}' occurs more than once")
        setattr(parent, rule.into, node)

    def _end(self, name: str) -> None:
        if self._depth_unknown:
            self._depth_unknown -= 1
            return
        closed = self._open.pop()
        if isinstance(closed.node, _Text):
            self._attach(closed.rule, closed.node.read(), name)

    def _text(self, text: str) -> None:
        if self._depth_unknown:
            return
        node = self._open[-1].node
        if isinstance(node, _Text):
            node.pieces.append(text)
        elif text.strip(_BLANKS):
            raise self._refusal("illegal text data found as a child of an element that holds elements only")

    def _doctype(self, *_: object) -> None:
        raise self._refusal("a document type declaration is not accepted")

    def _refusal(self, reason: str) -> XmlRefused:
        # The line is always 1: by now the file has no others.
        return XmlRefused(f"Parsing Error : {reason}\nLine : 1\nColumn : {self._parser.CurrentColumnNumber + 1}")


def _fields(rule: _Rule, attributes: Mapping[str, str], namespaces: Mapping[str, str]) -> dict[str, str]:
    """Read attributes in the server's two passes; return the fields they fill."""
    known = {**rule.plain, **rule.oc}
    found: dict[str, str] = {}
    rest: list[tuple[str, str, str]] = []
    for name, value in attributes.items():
        prefix, _, local = name.rpartition(":")
        exact = rule.oc if namespaces.get(prefix) == OPENCLINICA and prefix else {} if prefix else rule.plain
        if local in exact:
            found[local] = value
        elif name != "xmlns" and prefix != "xmlns":
            rest.append((prefix, local, value))
    for prefix, local, value in sorted(rest, key=lambda attribute: bool(attribute[0])):  # unprefixed ones first
        if prefix and namespaces.get(prefix) == _SCHEMA_INSTANCE:
            continue
        if local not in known:
            break
        found[local] = value
    return {known[local]: value.upper() if local in _OIDS else value for local, value in found.items()}


def read_upload(raw: bytes) -> Document:
    """Read the bytes of an upload.

    :raises XmlRefused: it is not well-formed once its lines are joined, or breaks one of the few rules there are
        (docs/protocol.md, import).
    """
    text = raw.decode("utf-8-sig", errors="replace").translate(_LINE_ENDS)
    return _Reader().read(text)

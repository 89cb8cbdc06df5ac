"""The design of a study: sites, events, forms, item groups, items, choices. Loaded from ODM 1.3 metadata.

OpenClinica's own exports say more than plain ODM does, and are read with it (docs/protocol.md, studies): which events
are common ones (``OpenClinica:EventType``), which versions a form has (``OpenClinica:FormLayoutDef``), which of them an
event allows and which is its default (``OpenClinica:FormLayoutRef``), lists that take several choices
(``OpenClinica:MultiSelectList``), and which items are files (``OpenClinica:ItemResponse``). Where a plain ODM file is
silent, everything is available, each form has one version called ``1``, and every choice is a single one.

The first ``Study`` of a file is the study, the others are its sites. Whoever is named in a ``ClinicalData`` is a
participant the study starts with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import BinaryIO

ODM = "http://www.cdisc.org/ns/odm/v1.3"
OPENCLINICA = "http://www.openclinica.org/ns/odm_ext_v130/v3.1"
AVAILABLE = "AVAILABLE"
_OC = f"{{{OPENCLINICA}}}"
_DEFAULT_VERSION = "1"

#: ODM's data types, lower case, and the server's names for them; what is not here is plain text (``ST``).
_ITEM_TYPES = {
    "integer": "INT",
    "float": "REAL",
    "double": "REAL",
    "date": "DATE",
    "partialdate": "PDATE",
    "boolean": "BL",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeList:
    """The choices of an item, in order: codes and what they mean."""

    oid: str
    name: str
    choices: tuple[tuple[str, str], ...]
    multiple: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDefinition:
    """A field of a form.

    :param type: ``ST``, ``INT``, ``REAL``, ``DATE``, ``PDATE``, ``BL`` or ``FILE``; a select item is ``ST``.
    """

    oid: str
    name: str
    type: str = "ST"
    question: str = ""
    code_list: CodeList | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDefinition:
    """A group of items that stand once in a form, or in as many repeats as needed."""

    oid: str
    name: str
    repeating: bool
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormDefinition:
    """A form, the names of its versions (oldest first) and the OIDs of its groups."""

    oid: str
    name: str
    versions: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A form's place in an event.

    :param versions: the versions that may be used here; empty: all.
    """

    form_oid: str
    default_version: str
    versions: tuple[str, ...] = ()
    available: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDefinition:
    """A visit, or a common event such as an adverse event; ``forms`` by form OID."""

    oid: str
    name: str
    common: bool
    repeating: bool
    forms: dict[str, Assignment]
    available: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A site; ``status`` as the server spells it, such as ``AVAILABLE`` or ``LOCKED``."""

    oid: str
    name: str
    unique_id: str
    status: str = AVAILABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedParticipant:
    """A participant the study starts with. ``status``: ``AVAILABLE``, ``SIGNED`` or ``REMOVED``."""

    oid: str
    participant_id: str
    site_oid: str
    status: str = AVAILABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study as published: everything an import is checked against. Dictionaries are keyed by OID.

    :param participate: whether participants may take part online.
    :param generates_ids: whether the study makes the IDs of its participants itself.
    :param expected_participants: how many it takes; ``None``: as many as come.
    """

    oid: str
    name: str
    unique_id: str
    description: str = ""
    status: str = AVAILABLE
    sites: tuple[Site, ...] = ()
    events: dict[str, EventDefinition] = field(default_factory=dict)
    forms: dict[str, FormDefinition] = field(default_factory=dict)
    groups: dict[str, GroupDefinition] = field(default_factory=dict)
    items: dict[str, ItemDefinition] = field(default_factory=dict)
    code_lists: dict[str, CodeList] = field(default_factory=dict)
    participants: tuple[SeedParticipant, ...] = ()
    participate: bool = True
    generates_ids: bool = False
    expected_participants: int | None = None

    @property
    def env(self) -> str:
        """The environment, ``TEST`` unless the OID ends in another, as in ``S_JUNO(PROD)``."""
        named = re.search(r"\((\w+)\)$", self.oid)
        return named[1] if named else "TEST"

    def site(self, oid: str) -> Site | None:
        """Return the site of that OID, or ``None``."""
        return next((site for site in self.sites if site.oid == oid), None)

    def scope(self, oid: str) -> frozenset[str]:
        """Return the OIDs whose participants a study's or a site's OID covers."""
        return frozenset({self.oid, *(site.oid for site in self.sites)} if oid == self.oid else {oid})


def load(source: Path | BinaryIO) -> Study:
    """Load a study from ODM 1.3 metadata: an export of OpenClinica, or plain CDISC ODM.

    :raises ValueError: the file is not XML, or holds no ``Study``.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        root = etree.parse(source, parser).getroot()
    except etree.XMLSyntaxError as error:
        raise ValueError(f"the study metadata is not well-formed XML: {error.msg}") from error
    studies = list(_children(root, "Study"))
    if not studies:
        raise ValueError("the study metadata holds no Study element")
    return _study(studies[0], sites=studies[1:], clinical_data=_children(root, "ClinicalData"))


def _study(node: etree._Element, sites: list[etree._Element], clinical_data: Iterable[etree._Element]) -> Study:
    design = next(_children(node, "MetaDataVersion"), node)
    code_lists = {code_list.oid: code_list for code_list in _code_lists(design)}
    forms = {_oid(form): _form(form) for form in _children(design, "FormDef")}
    oid = _oid(node)
    return Study(
        oid=oid,
        name=_text(node, "GlobalVariables", "StudyName") or oid,
        unique_id=_text(node, "GlobalVariables", "ProtocolName") or oid,
        description=_text(node, "GlobalVariables", "StudyDescription"),
        status=_status(node),
        sites=tuple(_site(site) for site in sites),
        events={_oid(event): _event(event, forms) for event in _children(design, "StudyEventDef")},
        forms=forms,
        groups={_oid(group): _group(group) for group in _children(design, "ItemGroupDef")},
        items={_oid(item): _item(item, code_lists) for item in _children(design, "ItemDef")},
        code_lists=code_lists,
        participants=tuple(_participants(clinical_data)),
    )


def _site(node: etree._Element) -> Site:
    oid = _oid(node)
    return Site(
        oid=oid,
        name=_text(node, "GlobalVariables", "StudyName") or oid,
        unique_id=_text(node, "GlobalVariables", "ProtocolName") or oid,
        status=_status(node),
    )


def _event(node: etree._Element, forms: dict[str, FormDefinition]) -> EventDefinition:
    kind = node.get(f"{_OC}EventType") or node.get("Type") or ""
    return EventDefinition(
        oid=_oid(node),
        name=node.get("Name", ""),
        common=kind.casefold() == "common",
        repeating=_yes(node.get("Repeating")),
        forms={_oid(ref, "FormOID"): _assignment(ref, forms) for ref in _children(node, "FormRef")},
        available=_is_available(node),
    )


def _assignment(ref: etree._Element, forms: dict[str, FormDefinition]) -> Assignment:
    oid = _oid(ref, "FormOID")
    every = forms[oid].versions if oid in forms else (_DEFAULT_VERSION,)
    layouts = list(_children(ref, "FormLayoutRef"))
    named = tuple(layout.get("OID", "") for layout in layouts)
    default = next((layout.get("OID", "") for layout in layouts if _yes(layout.get("IsDefaultVersion"))), every[-1])
    return Assignment(
        form_oid=oid,
        default_version=default,
        versions=() if set(named) >= set(every) else named,
        available=_is_available(ref),
    )


def _form(node: etree._Element) -> FormDefinition:
    versions = tuple(layout.get("OID", "") for layout in _children(node, "FormLayoutDef"))
    return FormDefinition(
        oid=_oid(node),
        name=node.get("Name", ""),
        versions=versions or (_DEFAULT_VERSION,),
        groups=tuple(_oid(ref, "ItemGroupOID") for ref in _children(node, "ItemGroupRef")),
    )


def _group(node: etree._Element) -> GroupDefinition:
    return GroupDefinition(
        oid=_oid(node),
        name=node.get("Name", ""),
        repeating=_yes(node.get("Repeating")),
        items=tuple(_oid(ref, "ItemOID") for ref in _children(node, "ItemRef")),
    )


def _item(node: etree._Element, code_lists: dict[str, CodeList]) -> ItemDefinition:
    single = [_oid(ref, "CodeListOID") for ref in _children(node, "CodeListRef")]
    several = [_oid(ref, "MultiSelectListID") for ref in _children(node, "MultiSelectListRef")]
    code_list = code_lists.get(next(iter(single + several), ""))
    return ItemDefinition(
        oid=_oid(node),
        name=node.get("Name", ""),
        type="ST" if code_list else _item_type(node),
        question=_text(node, "Question", "TranslatedText"),
        code_list=code_list,
    )


def _item_type(node: etree._Element) -> str:
    """Return the server's name of an item's type. To ODM a file item is text; how it is answered tells it apart."""
    if any(response.get("ResponseType") == "file" for response in node.iter("{*}ItemResponse")):
        return "FILE"
    return _ITEM_TYPES.get(node.get("DataType", "").casefold(), "ST")


def _code_lists(design: etree._Element) -> Iterator[CodeList]:
    for node in _children(design, "CodeList"):
        choices = [*_children(node, "CodeListItem"), *_children(node, "EnumeratedItem")]
        yield CodeList(
            oid=_oid(node),
            name=node.get("Name", ""),
            choices=tuple(
                (choice.get("CodedValue", ""), _text(choice, "Decode", "TranslatedText")) for choice in choices
            ),
        )
    for node in _children(design, "MultiSelectList"):
        choices = list(_children(node, "MultiSelectListItem"))
        yield CodeList(
            oid=_oid(node, "ID"),
            name=node.get("Name", ""),
            choices=tuple(
                (choice.get("CodedOptionValue", ""), _text(choice, "Decode", "TranslatedText")) for choice in choices
            ),
            multiple=True,
        )


def _participants(clinical_data: Iterable[etree._Element]) -> Iterator[SeedParticipant]:
    for node in clinical_data:
        for subject in _children(node, "SubjectData"):
            oid = _oid(subject, "SubjectKey")
            status = subject.get(f"{_OC}Status", AVAILABLE).upper()
            yield SeedParticipant(
                oid=oid,
                participant_id=subject.get(f"{_OC}StudySubjectID", oid),
                site_oid=_oid(node, "StudyOID"),
                status="REMOVED" if status == "AUTO-REMOVED" else status,
            )


def _status(study: etree._Element) -> str:
    """Return a study's status; the exports spell its element so."""
    return next((node.text or "" for node in study.iter("{*}StudySytemStatus")), AVAILABLE).strip().upper()


def _is_available(node: etree._Element) -> bool:
    return node.get(f"{_OC}Status", AVAILABLE).casefold() == "available"


def _oid(node: etree._Element, attribute: str = "OID") -> str:
    """Return an OID in upper case, as publishing a study makes them and as an import looks for them."""
    return node.get(attribute, "").upper()


def _children(node: etree._Element, name: str) -> Iterator[etree._Element]:
    return node.iterchildren(f"{{*}}{name}")


def _text(node: etree._Element, *path: str) -> str:
    found = node.find("/".join(f"{{*}}{name}" for name in path))
    return " ".join((found.text or "").split()) if found is not None else ""


def _yes(text: str | None) -> bool:
    return (text or "").casefold() == "yes"

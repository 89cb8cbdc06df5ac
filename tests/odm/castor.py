"""Read an ODM document as OpenClinica's importer does, faults included: the judge of what a normalised file says.

Written from docs/protocol.md, import document, and on purpose over another parser and other tables than the package:
line terminators are deleted first, elements go by local name, notes only in their own namespace or none, attributes
in two passes of which the second ends at the first unknown one.
"""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

OC = "http://www.openclinica.org/ns/odm_ext_v130/v3.1"
TERMINATORS = re.compile("[\n\r\u0085\u2028\u2029]")

READS: dict[str, tuple[str, str]] = {  # element: unprefixed attributes, those of OpenClinica's namespace
    "ODM": ("", ""),
    "ClinicalData": ("StudyOID", ""),
    "UpsertOn": ("NotStarted DataEntryStarted DataEntryComplete", ""),
    "SubjectData": ("SubjectKey", "StudySubjectID"),
    "StudyEventData": ("StudyEventOID StudyEventRepeatKey", "StartDate EndDate Status WorkflowStatus Signed"),
    "Signature": ("", "Attestation"),
    "FormData": ("FormOID", "FormLayoutOID Status WorkflowStatus SdvStatus ReasonForChangeForCompleteForms"),
    "ItemGroupData": ("ItemGroupOID ItemGroupRepeatKey Removed", ""),
    "ItemData": ("ItemOID Value TransactionType IsNull", ""),
    "DiscrepancyNotes": ("", ""),
    "DiscrepancyNote": ("ID NoteType", ""),
    "ChildNote": ("ID Status UserName", ""),
    "DetailedNote": ("", ""),
    "UserRef": ("", "UserName"),
}
NOTES = {"DiscrepancyNotes", "DiscrepancyNote", "ChildNote", "DetailedNote"}


def read_as_server(document: bytes) -> tuple[str, dict[str, str], list[Any]]:
    """Return (element, attributes, children) as the importer has them; a DetailedNote has its text as only child."""
    text = TERMINATORS.sub("", document.decode("latin-1"))  # a charset nobody intended: ASCII must not mind
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
    return _read(etree.fromstring(text.encode("ascii"), parser))


def _read(element: etree._Element) -> tuple[str, dict[str, str], list[Any]]:
    name = etree.QName(element).localname
    children: list[Any] = []
    for child in element:
        if not isinstance(child.tag, str):
            continue
        qname = etree.QName(child)
        if qname.localname in READS and not (qname.localname in NOTES and qname.namespace not in (OC, None)):
            children.append(_read(child))
    text = element.text or ""
    if name == "DetailedNote":
        keeps = element.get("{http://www.w3.org/XML/1998/namespace}space") == "preserve"
        children = [text if keeps else text.strip().replace("\n", " ")]
    else:
        assert not text.strip(), "the server refuses text in a container"
    return name, _attributes(element, *(names.split() for names in READS[name])), children


def _attributes(element: etree._Element, plain: list[str], prefixed: list[str]) -> dict[str, str]:
    exact = {**{name: name for name in plain}, **{f"{{{OC}}}{name}": name for name in prefixed}}
    found = {exact[name]: value for name, value in element.attrib.items() if name in exact}
    rest = [(name, value) for name, value in element.attrib.items() if name not in exact]
    for name, value in sorted(rest, key=lambda pair: pair[0].startswith("{")):  # unprefixed ones first
        local = etree.QName(name).localname
        if local not in plain + prefixed:
            break  # what stands behind is lost
        found.setdefault(local, value)
    return found

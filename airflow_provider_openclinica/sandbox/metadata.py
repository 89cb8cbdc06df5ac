"""Write a study's design as ODM 1.3 metadata, in the shape of OpenClinica's own exports.

That is what ``GET clinicaldata/{study}/*/*/*`` returns with metadata and without clinical data (docs/protocol.md,
studies), and what ``study.load`` reads. Clients learn a study's sites from its ``Study`` elements.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lxml import etree

from airflow_provider_openclinica.sandbox.study import ODM, OPENCLINICA

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_openclinica.sandbox.people import Person
    from airflow_provider_openclinica.sandbox.study import (
        Assignment,
        CodeList,
        EventDefinition,
        FormDefinition,
        GroupDefinition,
        ItemDefinition,
        Site,
        Study,
    )

_OC = f"{{{OPENCLINICA}}}"
_RULES = "http://www.openclinica.org/ns/rules/v3.1"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_VERSION = {"OID": "v1.0.0", "Name": "MetaDataVersion_v1.0.0"}
_DATA_TYPES = {
    "ST": "text",
    "INT": "integer",
    "REAL": "float",
    "DATE": "date",
    "PDATE": "partialDate",
    "BL": "boolean",
    "FILE": "text",
}


END = "</ODM>\n"
"""What follows an opening, once all data are written."""


def odm_metadata(study: Study, scope_oid: str, base: str) -> str:
    """Return the metadata of a study with all its sites, or of one site alone.

    :param scope_oid: OID of the study or of one of its sites.
    :param base: address of the study server, for the links to its forms.
    """
    return odm_opening(study, scope_oid, base) + END


def odm_opening(
    study: Study, scope_oid: str, base: str, *, metadata: bool = True, people: Iterable[Person] = ()
) -> str:
    """Return the beginning of a document, up to where clinical data stand.

    :param metadata: whether the metadata are to be in it.
    :param people: who is named beside the metadata.
    """
    moment = datetime.now(UTC)
    root = etree.Element(
        f"{{{ODM}}}ODM",
        {
            "FileOID": f"Study-MetaD{moment:%Y%m%d%H%M%S%z}",
            "Description": "Study Metadata",
            "CreationDateTime": moment.isoformat(timespec="seconds"),
            "FileType": "Snapshot",
            "ODMVersion": "1.3",
            f"{{{_XSI}}}schemaLocation": f"{ODM} OpenClinica-ODM1-3-0-OC3-0.xsd",
        },
        nsmap={None: ODM, "OpenClinica": OPENCLINICA, "OpenClinicaRules": _RULES, "xsi": _XSI},
    )
    root.text = "\n"
    if metadata:
        _add_studies(root, study, study.site(scope_oid), base)
        _add_people(root, scope_oid, people)
        etree.indent(root, "    ")
    document = etree.tostring(root, encoding="unicode").removesuffix("</ODM>")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{document}'


def _add_studies(root: etree._Element, study: Study, site: Site | None, base: str) -> None:
    if site:
        _add_design(_add_site(root, study, site), study, base)
        return
    _add_design(_add_study(root, study), study, base)
    for each in study.sites:
        version = _add_site(root, study, each)
        version.insert(0, etree.Element(_odm("Include"), StudyOID=study.oid, MetaDataVersionOID=_VERSION["OID"]))


def _add_people(root: etree._Element, scope_oid: str, people: Iterable[Person]) -> None:
    node = _add(root, "AdminData", StudyOID=scope_oid)
    for person in people:
        user = _add(node, "User", OID=person.oid)
        first, _, last = person.name.partition(" ")
        for name, text in (("FullName", person.name), ("FirstName", first), ("LastName", last)):
            _add(user, name).text = text


def _add_study(root: etree._Element, study: Study) -> etree._Element:
    """Add the study and return its ``MetaDataVersion``."""
    node = _add(root, "Study", OID=study.oid)
    _add_names(node, study.name, study.description, study.unique_id)
    version = _add(node, "MetaDataVersion", **_VERSION)
    _add_status(_add(version, f"{_OC}StudyDetails", StudyOID=study.oid), study.status)
    return version


def _add_site(root: etree._Element, study: Study, site: Site) -> etree._Element:
    """Add a site and return its ``MetaDataVersion``."""
    node = _add(root, "Study", OID=site.oid)
    _add_names(node, site.name, study.description, site.unique_id)
    version = _add(node, "MetaDataVersion", **_VERSION)
    names = {"StudyOID": site.oid, "SiteName": site.name, "ParentStudyName": study.name}
    _add_status(_add(version, f"{_OC}StudyDetails", **names), site.status)
    return version


def _add_names(node: etree._Element, name: str, description: str, unique_id: str) -> None:
    variables = _add(node, "GlobalVariables")
    _add(variables, "StudyName").text = name
    _add(variables, "StudyDescription").text = description
    _add(variables, "ProtocolName").text = unique_id


def _add_status(details: etree._Element, status: str) -> None:
    described = _add(details, f"{_OC}StudyDescriptionAndStatus")
    _add(described, f"{_OC}StudySytemStatus").text = status.lower()  # OpenClinica spells it so


def _add_design(version: etree._Element, study: Study, base: str) -> None:
    """Add events, forms, groups, items and lists, before the details of the study."""
    details = version[-1]
    protocol = _add(version, "Protocol")
    for number, oid in enumerate(study.events, start=1):
        _add(protocol, "StudyEventRef", StudyEventOID=oid, OrderNumber=str(number), Mandatory="Yes")
    for event in study.events.values():
        _add_event(version, event, study)
    for form in study.forms.values():
        _add_form(version, form, base)
    for group in study.groups.values():
        _add_group(version, group)
    for item in study.items.values():
        _add_item(version, item)
    for code_list in study.code_lists.values():
        _add_code_list(version, code_list)
    version.append(details)


def _add_event(version: etree._Element, event: EventDefinition, study: Study) -> None:
    kind = "Common" if event.common else "Scheduled"
    names = {"OID": event.oid, "Name": event.name, "Repeating": _yes_no(event.repeating), "Type": kind}
    node = _add(version, "StudyEventDef", **names)
    node.set(f"{_OC}EventType", kind)
    node.set(f"{_OC}Status", _status(event.available))
    for assignment in event.forms.values():
        _add_form_ref(node, assignment, study)


def _add_form_ref(event: etree._Element, assignment: Assignment, study: Study) -> None:
    node = _add(event, "FormRef", FormOID=assignment.form_oid, Mandatory="No")
    node.set(f"{_OC}Status", _status(assignment.available))
    for name in assignment.versions or study.forms[assignment.form_oid].versions:
        is_default = _yes_no(name == assignment.default_version)
        _add(node, f"{_OC}FormLayoutRef", OID=name, IsDefaultVersion=is_default)


def _add_form(version: etree._Element, form: FormDefinition, base: str) -> None:
    node = _add(version, "FormDef", OID=form.oid, Name=form.name, Repeating="No")
    for oid in form.groups:
        _add(node, "ItemGroupRef", ItemGroupOID=oid, Mandatory="Yes")
    for name in form.versions:
        layout = _add(node, f"{_OC}FormLayoutDef", OID=name)
        _add(layout, f"{_OC}URL").text = f"{base.rstrip('/')}/forms/{form.oid}/{name}"


def _add_group(version: etree._Element, group: GroupDefinition) -> None:
    repeating = _yes_no(group.repeating)
    node = _add(version, "ItemGroupDef", OID=group.oid, Name=group.name, Repeating=repeating)
    for number, oid in enumerate(group.items, start=1):
        _add(node, "ItemRef", ItemOID=oid, OrderNumber=str(number), Mandatory="No")


def _add_item(version: etree._Element, item: ItemDefinition) -> None:
    node = _add(version, "ItemDef", OID=item.oid, Name=item.name, DataType=_DATA_TYPES[item.type])
    if item.question:
        _add(_add(node, "Question"), "TranslatedText").text = item.question
    if item.code_list and item.code_list.multiple:
        _add(node, f"{_OC}MultiSelectListRef", MultiSelectListID=item.code_list.oid)
    elif item.code_list:
        _add(node, "CodeListRef", CodeListOID=item.code_list.oid)
    elif item.type == "FILE":
        present = _add(_add(node, f"{_OC}ItemDetails", ItemOID=item.oid), f"{_OC}ItemPresentInForm")
        _add(present, f"{_OC}ItemResponse", ResponseType="file")


def _add_code_list(version: etree._Element, code_list: CodeList) -> None:
    names = {"Name": code_list.name, "DataType": "text"}
    if code_list.multiple:
        node = _add(version, f"{_OC}MultiSelectList", ID=code_list.oid, **names)
        choices = [_add(node, f"{_OC}MultiSelectListItem", CodedOptionValue=code) for code, _ in code_list.choices]
    else:
        node = _add(version, "CodeList", OID=code_list.oid, **names)
        choices = [_add(node, "CodeListItem", CodedValue=code) for code, _ in code_list.choices]
    for choice, (_, meaning) in zip(choices, code_list.choices, strict=True):
        _add(_add(choice, "Decode"), "TranslatedText").text = meaning


def _add(parent: etree._Element, name: str, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, name if name.startswith("{") else _odm(name), attributes)


def _odm(name: str) -> str:
    return f"{{{ODM}}}{name}"


def _yes_no(answer: bool) -> str:
    return "Yes" if answer else "No"


def _status(available: bool) -> str:
    return "available" if available else "removed"

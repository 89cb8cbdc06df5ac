"""Read a study's design from ODM metadata: its sites, events, forms, item groups, items and lists of choices.

    read_metadata(source)    StudyMetadata, from an export of OpenClinica or of another system that writes ODM 1.3
    codebook(metadata)       one row for each item and choice, for people and for joins

A study that OpenClinica exports with its sites has a ``Study`` element for each; the first is the study itself, or the
site that was asked for (docs/protocol.md, studies). Clinical data in the same document are passed over.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.errors import FileError
from airflow_provider_openclinica.odm.design import (
    Choice,
    CodeList,
    EventDefinition,
    FormDefinition,
    FormInEvent,
    ItemDefinition,
    ItemGroupDefinition,
    SiteDefinition,
    StudyMetadata,
)
from airflow_provider_openclinica.odm.names import ODM, is_ours
from airflow_provider_openclinica.odm.parser import opened
from airflow_provider_openclinica.odm.repair import Repairs, clean, mend
from airflow_provider_openclinica.odm.subjects import ends_of, peeked, rooted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml import etree

    from airflow_provider_openclinica.odm.subjects import Source

__all__ = [
    "Choice",
    "CodeList",
    "EventDefinition",
    "FormDefinition",
    "FormInEvent",
    "ItemDefinition",
    "ItemGroupDefinition",
    "SiteDefinition",
    "StudyMetadata",
    "codebook",
    "read_metadata",
]

#: Column of the codebook -> type of its values.
CODEBOOK: dict[str, type] = {
    "study_oid": str,
    "form_oid": str,
    "form_name": str,
    "item_group_oid": str,
    "item_group_name": str,
    "item_group_repeating": bool,
    "item_oid": str,
    "item_number": int,
    "item_name": str,
    "label": str,
    "description": str,
    "data_type": str,
    "length": int,
    "significant_digits": int,
    "units": str,
    "code_list_oid": str,
    "multiple": bool,
    "choice_number": int,
    "code": str,
    "code_label": str,
}
STUDY = f"{{{ODM}}}Study"
#: Not design, and the larger part of most exports.
PASSED_OVER = tuple(f"{{{ODM}}}{name}" for name in ("SubjectData", "AdminData", "ReferenceData", "Association"))


def read_metadata(source: Source, *, charset: str = "", repairs: Repairs | None = None) -> StudyMetadata:
    """Read a study's design.

    :param source: a path, an open file, or anything that yields bytes, such as the chunks of an answer.
    :param charset: of the answer's ``Content-Type`` header; empty for a file.
    :param repairs: is told what had to be mended.
    :raises FileError: it is no ODM 1.3 in XML, is broken, or has no Study.
    """
    if isinstance(source, Path):
        with opened(source) as stream:
            return read_metadata(stream, charset=charset, repairs=repairs)
    repairs = Repairs() if repairs is None else repairs
    head, chunks = peeked(clean(source, charset, repairs))
    if head.startswith(b"{"):
        raise FileError("The design of a study is read from XML, and this is JSON", next_step="Ask for it as XML.")
    metadata, sites = None, {}
    for element in ends_of(rooted(mend(chunks, repairs)), STUDY, *PASSED_OVER):
        if element.tag == STUDY and metadata is None:
            metadata = _study(element)
        elif element.tag == STUDY:
            site = _site(element)
            sites[site.oid] = site
    if metadata is None:
        raise FileError(
            "The document holds no Study, so it says nothing about a design", next_step="Ask for it with metadata."
        )
    return replace(metadata, sites=sites)


def _study(study: etree._Element) -> StudyMetadata:
    variables = _variables(study)
    units = {
        unit.get("OID", ""): _text(unit, "Symbol", "TranslatedText") or unit.get("Name", "")
        for basics in _children(study, "BasicDefinitions")
        for unit in _children(basics, "MeasurementUnit")
    }
    versions = list(_children(study, "MetaDataVersion"))

    def defined(name: str) -> Iterator[tuple[str, etree._Element]]:
        """Yield the definitions of one kind; where versions of a design differ, the last one counts."""
        return ((_oid(node), node) for version in versions for node in _children(version, name))

    return StudyMetadata(
        study_oid=study.get("OID", ""),
        name=variables["StudyName"],
        description=variables["StudyDescription"],
        protocol_name=variables["ProtocolName"],
        sites={},
        events={oid: _event(node) for oid, node in defined("StudyEventDef")},
        forms={oid: _form(node) for oid, node in defined("FormDef")},
        item_groups={oid: _item_group(node) for oid, node in defined("ItemGroupDef")},
        items={oid: _item(node, units) for oid, node in defined("ItemDef")},
        code_lists={oid: _code_list(node) for kind in ("CodeList", "MultiSelectList") for oid, node in defined(kind)},
        version_oid=next((_oid(version) for version in reversed(versions)), ""),
    )


def _variables(study: etree._Element) -> dict[str, str]:
    names = ("StudyName", "StudyDescription", "ProtocolName")
    return {name: _text(study, "GlobalVariables", name) for name in names}


def _site(study: etree._Element) -> SiteDefinition:
    variables = _variables(study)
    return SiteDefinition(
        oid=study.get("OID", ""), name=variables["StudyName"], protocol_name=variables["ProtocolName"]
    )


def _event(node: etree._Element) -> EventDefinition:
    said = _attributes(node)
    return EventDefinition(
        oid=_oid(node),
        name=said.get("Name", ""),
        repeating=said.get("Repeating") == "Yes",
        type=said.get("EventType") or said.get("Type", ""),
        removed=_is_removed(said),
        forms=tuple(map(_form_in_event, _children(node, "FormRef"))),
    )


def _form_in_event(node: etree._Element) -> FormInEvent:
    said = _attributes(node)
    layouts = [_attributes(layout) for layout in _children(node, "FormLayoutRef")]
    return FormInEvent(
        form_oid=said.get("FormOID", ""),
        mandatory=said.get("Mandatory") == "Yes",
        versions=tuple(layout.get("OID", "") for layout in layouts),
        default_version=next((layout.get("OID", "") for layout in layouts if _is_default(layout)), ""),
        removed=_is_removed(said),
    )


def _form(node: etree._Element) -> FormDefinition:
    return FormDefinition(
        oid=_oid(node),
        name=node.get("Name", ""),
        versions=tuple(layout.get("OID", "") for layout in _children(node, "FormLayoutDef")),
        item_groups=tuple(group.get("ItemGroupOID", "") for group in _children(node, "ItemGroupRef")),
    )


def _item_group(node: etree._Element) -> ItemGroupDefinition:
    return ItemGroupDefinition(
        oid=_oid(node),
        name=node.get("Name", ""),
        repeating=node.get("Repeating") == "Yes",
        items=tuple(item.get("ItemOID", "") for item in _children(node, "ItemRef")),
    )


def _item(node: etree._Element, units: dict[str, str]) -> ItemDefinition:
    several = [_attributes(each).get("MultiSelectListID", "") for each in _children(node, "MultiSelectListRef")]
    single = [each.get("CodeListOID", "") for each in _children(node, "CodeListRef")]
    used = [unit.get("MeasurementUnitOID", "") for unit in _children(node, "MeasurementUnitRef")]
    return ItemDefinition(
        oid=_oid(node),
        name=node.get("Name", ""),
        label=_text(node, "Question", "TranslatedText"),
        description=node.get("Comment", "") or _text(node, "Description", "TranslatedText"),
        data_type=node.get("DataType", ""),
        length=_number(node.get("Length")),
        significant_digits=_number(node.get("SignificantDigits")),
        units=tuple(units.get(oid, oid) for oid in used),
        code_list_oid=next(iter(several + single), ""),
        multiple=bool(several),
    )


def _code_list(node: etree._Element) -> CodeList:
    kinds = ("CodeListItem", "EnumeratedItem", "MultiSelectListItem")
    choices = []
    for item in (child for kind in kinds for child in _children(node, kind)):
        said = _attributes(item)
        code = said.get("CodedValue") or said.get("CodedOptionValue", "")
        choices.append(Choice(code, _text(item, "Decode", "TranslatedText")))
    return CodeList(
        oid=_oid(node),
        name=node.get("Name", ""),
        data_type=node.get("DataType", ""),
        multiple=_local(node) == "MultiSelectList",
        choices=tuple(choices),
    )


def codebook(metadata: StudyMetadata) -> Iterator[dict[str, Any]]:
    """Yield a row for each item in each form, and for each choice that it has, in the order of the forms.

    ``choice_number`` is 1 for the first choice, so rows with a number below 2 are the items; 0 where there is no list.
    ``code`` and ``code_label`` are None then.
    """
    for form in metadata.forms.values():
        for group in metadata.groups_of(form):
            for number, item in enumerate(metadata.items_of(group), start=1):
                row = _codebook_row(metadata, form, group, item, number)
                choices = metadata.choices_of(item)
                if not choices:
                    yield {**row, "choice_number": 0, "code": None, "code_label": None}
                for at, choice in enumerate(choices, start=1):
                    yield {**row, "choice_number": at, "code": choice.code, "code_label": choice.label}


def _codebook_row(
    metadata: StudyMetadata, form: FormDefinition, group: ItemGroupDefinition, item: ItemDefinition, number: int
) -> dict[str, Any]:
    return {
        "study_oid": metadata.study_oid,
        "form_oid": form.oid,
        "form_name": form.name,
        "item_group_oid": group.oid,
        "item_group_name": group.name,
        "item_group_repeating": group.repeating,
        "item_oid": item.oid,
        "item_number": number,
        "item_name": item.name,
        "label": item.label,
        "description": item.description,
        "data_type": item.data_type,
        "length": item.length,
        "significant_digits": item.significant_digits,
        "units": ", ".join(item.units),
        "code_list_oid": item.code_list_oid,
        "multiple": item.multiple,
    }


# -- reading elements by local name


def _local(node: etree._Element) -> str:
    namespace, _, local = (
        str(node.tag)[1:].rpartition("}") if str(node.tag).startswith("{") else ("", "", str(node.tag))
    )
    return local if is_ours(namespace) else ""


def _children(node: etree._Element, name: str) -> Iterator[etree._Element]:
    return (child for child in node if _local(child) == name)


def _attributes(node: etree._Element) -> dict[str, str]:
    return {name.rpartition("}")[2]: value for name, value in node.items()}


def _oid(node: etree._Element) -> str:
    return node.get("OID", "") or node.get("ID", "")  # OpenClinica's lists of multiple choice have an ID


def _text(node: etree._Element, *path: str) -> str:
    """Return the text at the end of a path of names, the first where there are several."""
    for name in path:
        found = next(_children(node, name), None)
        if found is None:
            return ""
        node = found
    return (node.text or "").strip()


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None


def _is_removed(said: dict[str, str]) -> bool:
    return said.get("Status", "").casefold() in ("removed", "auto-removed")


def _is_default(layout: dict[str, str]) -> bool:
    return layout.get("IsDefaultVersion") == "Yes"

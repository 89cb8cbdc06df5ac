"""Write what OpenClinica 3 imports, from any ODM 1.3 document.

Its web service reads ``<ODM>`` in no namespace and without attributes, one ClinicalData in it, and of that a few names
only (docs/protocol3.md, import). A document is cut into one request for each participant; or, where ``UpsertOn`` keeps
some forms out, for each form, since the server drops the forms before one that it skips.

    for part in requests_of(stream, upsert_on=…):
        part.odm        the bytes to send
        part.values     what has to be stored afterwards, by its keys
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, NamedTuple
from xml.sax.saxutils import quoteattr

from airflow_provider_openclinica.errors import FileError
from airflow_provider_openclinica.odm.names import ODM, is_ours

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml import etree

INITIAL = "initial data entry"  #: the one status of a form that the import reads: it is left open
_REPEAT_KEY = re.compile("0*[1-9][0-9]*")
_PASSED_OVER = frozenset({"AuditLogs", "DiscrepancyNotes", "SubjectGroupData", "MeasurementUnitRef", "Annotation"})
_SHOWN = 10


class ValueKey(NamedTuple):
    """What a value belongs to, within a participant."""

    event_oid: str
    event_repeat: str
    form_oid: str
    group_oid: str
    group_repeat: str
    item_oid: str


class FormKey(NamedTuple):
    """A form of a participant."""

    event_oid: str
    event_repeat: str
    form_oid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertOn:
    """Which forms an import may change, by how far they are."""

    not_started: bool = True
    data_entry_started: bool = True
    data_entry_complete: bool = True

    @property
    def is_restrictive(self) -> bool:
        """Whether some are kept out."""
        return not (self.not_started and self.data_entry_started and self.data_entry_complete)

    def written(self) -> str:
        """Return it as an element."""
        flags = {
            "NotStarted": self.not_started,
            "DataEntryStarted": self.data_entry_started,
            "DataEntryComplete": self.data_entry_complete,
        }
        said = " ".join(f'{name}="{str(flag).lower()}"' for name, flag in flags.items())
        return f"<UpsertOn {said}/>"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """One request, with what it says.

    :param line: of the participant in the document.
    :param forms: each form, with whether it is to be complete afterwards.
    """

    study_oid: str
    subject_key: str = field(repr=False)
    line: int
    odm: bytes = field(repr=False)
    forms: dict[FormKey, bool]
    values: dict[ValueKey, str] = field(repr=False)


def requests_of(source: BinaryIO, upsert_on: UpsertOn) -> Iterator[ImportRequest]:
    """Yield the requests of a document, in its order. Memory holds one participant at a time.

    :param upsert_on: what to write; the document itself must not say another.
    :raises FileError: it is no ODM 1.3, or holds what the import cannot do; problems by line, no value among them.
    """
    for study_oid, subject in _subjects(source, upsert_on):
        problems: list[str] = []
        forms = list(_forms_of(subject, problems))
        if not _said(subject).get("SubjectKey"):
            problems.append(f"line {subject.sourceline}: SubjectData has no SubjectKey, the participant's OID")
        if problems:
            raise _faulty(problems)
        groups = [[form] for form in forms] if upsert_on.is_restrictive else [forms] if forms else []
        yield from (_request(study_oid, subject, group, upsert_on) for group in groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    key: FormKey
    complete: bool
    values: dict[ValueKey, str]


def _subjects(source: BinaryIO, upsert_on: UpsertOn) -> Iterator[tuple[str, etree._Element]]:
    from lxml import etree

    study_oid, root = "", None
    walk = etree.iterparse(source, events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False)
    try:
        for event, element in walk:
            if root is None:
                root = element
                _check_root(root)
            name = _name(element)
            if name == "ClinicalData" and event == "start":
                study_oid = _said(element).get("StudyOID", "")
                if not study_oid:
                    raise _faulty([f"line {element.sourceline}: ClinicalData has no StudyOID"])
            elif name == "UpsertOn" and event == "end":
                _check_upsert_on(element, upsert_on)
            elif name == "SubjectData" and event == "end":
                yield study_oid, element
                _drop(element)
    except etree.XMLSyntaxError as error:
        line = f" (line {error.lineno})" if error.lineno else ""
        raise FileError(f"The ODM document cannot be read: it is no well-formed XML{line}") from None


def _check_root(root: etree._Element) -> None:
    info = root.getroottree().docinfo
    if info.doctype or info.internalDTD is not None:
        raise FileError("The ODM document has a document type declaration (<!DOCTYPE ...>), which is never read")
    namespace, _, local = str(root.tag).removeprefix("{").rpartition("}")
    if local != "ODM" or namespace not in ("", ODM):
        raise FileError("The document is no ODM 1.3", next_step="Send an ODM 1.3 document, with ODM as its root.")


def _check_upsert_on(element: etree._Element, upsert_on: UpsertOn) -> None:
    said = {name: value.lower() != "false" for name, value in _said(element).items()}
    written = UpsertOn(
        not_started=said.get("NotStarted", True),
        data_entry_started=said.get("DataEntryStarted", True),
        data_entry_complete=said.get("DataEntryComplete", True),
    )
    if written != upsert_on:
        raise FileError(
            f"The ODM document, line {element.sourceline}: its UpsertOn is not what the argument upsert_on says",
            next_step="Give the argument the same three answers, or leave UpsertOn out of the file.",
        )


def _drop(element: etree._Element) -> None:
    element.clear()
    while element.getprevious() is not None:
        parent = element.getparent()
        if parent is None:
            return
        del parent[0]


def _forms_of(subject: etree._Element, problems: list[str]) -> Iterator[_Form]:
    for event in _children(subject, "StudyEventData", problems):
        event_oid, event_repeat = _key(event, "StudyEvent", problems)
        for form in _children(event, "FormData", problems):
            key = FormKey(event_oid, event_repeat, _oid(form, "FormOID", problems))
            status = _said(form).get("Status", "").lower()
            if status == "invalid":
                problems.append(f"line {form.sourceline}: the form is removed, and an import would bring it back")
            values: dict[ValueKey, str] = {}
            for group in _children(form, "ItemGroupData", problems):
                group_oid, group_repeat = _key(group, "ItemGroup", problems)
                for item in _children(group, "ItemData", problems):
                    place = ValueKey(*key, group_oid, group_repeat, _oid(item, "ItemOID", problems))
                    if place in values:
                        problems.append(f"line {item.sourceline}: item {place.item_oid} stands twice in its group")
                    said = _said(item)
                    if "Value" not in said or said.get("IsNull", "").lower() == "yes":
                        problems.append(f"line {item.sourceline}: ItemData has no Value, and an import would empty it")
                    values[place] = said.get("Value", "")
            yield _Form(key=key, complete=status != INITIAL, values=values)


def _request(study_oid: str, subject: etree._Element, forms: list[_Form], upsert_on: UpsertOn) -> ImportRequest:
    subject_key = _said(subject)["SubjectKey"]
    parts = [f"<ODM><ClinicalData StudyOID={quoteattr(study_oid)}>", upsert_on.written()]
    parts.append(f"<SubjectData SubjectKey={quoteattr(subject_key)}>")
    for form in forms:
        oid, repeat, form_oid = form.key
        status = "" if form.complete else f' OpenClinica:Status="{INITIAL}"'
        parts.append(f"<StudyEventData StudyEventOID={quoteattr(oid)} StudyEventRepeatKey={quoteattr(repeat)}>")
        parts.append(f"<FormData FormOID={quoteattr(form_oid)}{status}>")
        at: tuple[str, str] | None = None
        for key, value in form.values.items():
            if at != (key.group_oid, key.group_repeat):
                parts.append("</ItemGroupData>" if at else "")
                at = (key.group_oid, key.group_repeat)
                group = f"ItemGroupOID={quoteattr(at[0])} ItemGroupRepeatKey={quoteattr(at[1])}"
                parts.append(f"<ItemGroupData {group}>")
            parts.append(f"<ItemData ItemOID={quoteattr(key.item_oid)} Value={quoteattr(value)}/>")
        parts.append("</ItemGroupData>" if at else "")
        parts.append("</FormData></StudyEventData>")
    parts.append("</SubjectData></ClinicalData></ODM>")
    return ImportRequest(
        study_oid=study_oid,
        subject_key=subject_key,
        line=int(subject.sourceline or 0),
        odm="".join(parts).encode(),
        forms={form.key: form.complete for form in forms},
        values={key: value for form in forms for key, value in form.values.items()},
    )


def _children(element: etree._Element, name: str, problems: list[str]) -> Iterator[etree._Element]:
    """Yield the children of a name; what else stands there has to be something that may be passed over."""
    for child in element:
        found = _name(child)
        if found == name:
            if _said(child).get("TransactionType", "").lower() == "remove":
                problems.append(f"line {child.sourceline}: OpenClinica 3 removes nothing, and would import it")
            yield child
        elif found and found not in _PASSED_OVER:
            problems.append(f"line {child.sourceline}: OpenClinica 3 imports no {found} in {_name(element)}")


def _key(element: etree._Element, kind: str, problems: list[str]) -> tuple[str, str]:
    repeat = _said(element).get(f"{kind}RepeatKey", "1")
    if not _REPEAT_KEY.fullmatch(repeat):
        problems.append(f"line {element.sourceline}: {kind}RepeatKey is no whole number from 1")
        return _oid(element, f"{kind}OID", problems), repeat
    return _oid(element, f"{kind}OID", problems), str(int(repeat))


def _oid(element: etree._Element, name: str, problems: list[str]) -> str:
    oid = _said(element).get(name, "")
    if not oid:
        problems.append(f"line {element.sourceline}: {_name(element)} has no {name}")
    return oid


def _name(element: etree._Element) -> str:
    """Return the local name of an element; ``""`` for a comment and for what is somebody else's."""
    if not isinstance(element.tag, str):
        return ""
    namespace, _, local = element.tag.removeprefix("{").rpartition("}")
    return local if is_ours(namespace) else ""


def _said(element: etree._Element) -> dict[str, str]:
    return {str(name).rpartition("}")[2]: str(value) for name, value in element.items()}


def _faulty(problems: list[str]) -> FileError:
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return FileError(f"The ODM document cannot be imported: {'; '.join(problems[:_SHOWN])}{more}")

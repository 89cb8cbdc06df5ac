"""Exports in the forms that servers write them, and a strategy that makes any.

An export is a tree of (name, attributes, children) with exact names; ``oc:`` stands for OpenClinica's prefix. Written
from docs/protocol.md, clinical data, over tables of its own.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

ODM = "http://www.cdisc.org/ns/odm/v1.3"
OC = "http://www.openclinica.org/ns/odm_ext_v130/v3.1"
PROLOG = '<?xml version="1.0" encoding="UTF-8"?>\n'
ROOT = f'<ODM FileOID="Study-MetaD1" FileType="Snapshot" ODMVersion="1.3" xmlns="{ODM}" xmlns:OpenClinica="{OC}">'

Node = tuple[str, dict[str, str], list[Any]]


def export(*clinical: Node, prolog: str = PROLOG, root: str = ROOT) -> str:
    """Write ClinicalData elements as OpenClinica's XML export."""
    return f"{prolog}{root}\n{''.join(map(as_xml, clinical))}\n</ODM>\n"


def clinical(*subjects: Node, study_oid: str = "S_JUNO") -> Node:
    return "ClinicalData", {"StudyOID": study_oid, "MetaDataVersionOID": "null"}, list(subjects)


def with_subject(body: str, root: str = ROOT) -> bytes:
    """Put a SubjectData, given as text, into an export."""
    return f'{PROLOG}{root}<ClinicalData StudyOID="S_JUNO">{body}</ClinicalData></ODM>'.encode()


def as_xml(node: Node) -> str:
    """Write an element as the server does: raw in values, references elsewhere, surrogates one by one."""
    name, attributes, children = node
    tag = name.replace("oc:", "OpenClinica:")
    written = "".join(
        f' {key.replace("oc:", "OpenClinica:")}="{raw(value) if key == "Value" else referenced(value)}"'
        for key, value in attributes.items()
    )
    if not children:
        return f"<{tag}{written}/>"
    return f"<{tag}{written}>{''.join(referenced(c) if isinstance(c, str) else as_xml(c) for c in children)}</{tag}>"


def escaped(character: str) -> str:
    if character < " ":
        return f"&#{ord(character)};"
    return {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}.get(character, character)


def raw(value: str) -> str:
    return "".join(map(escaped, value))


def referenced(value: str) -> str:
    return "".join(escaped(each) if each.isascii() else surrogates(each) for each in value)


def surrogates(character: str) -> str:
    """Write one reference for each UTF-16 unit, as Java does."""
    units = character.encode("utf-16-be")
    return "".join(f"&#{int.from_bytes(units[at : at + 2], 'big')};" for at in range(0, len(units), 2))


# -- JSON, as json-lib makes it of the XML


def as_json(*clinical: Node) -> bytes:
    root = {"@FileOID": "Study-MetaD1", "@FileType": "Snapshot", "@ODMVersion": "1.3", "@xmlns": ODM}
    members = {**root, "@xmlns:OpenClinica": OC, **_grouped([_object(node) for node in clinical])}
    return json.dumps(members, indent=2, ensure_ascii=False).encode()


def _object(node: Node) -> tuple[str, Any]:
    name, attributes, children = node
    members: dict[str, Any] = {
        "@" + key.replace("oc:", "OpenClinica:"): None if value == "null" else value
        for key, value in attributes.items()
    }
    if children and all(isinstance(child, str) for child in children):
        return name.replace("oc:", "OpenClinica:"), "".join(children)
    return name.replace("oc:", "OpenClinica:"), {**members, **_grouped([_object(child) for child in children])}


def _grouped(objects: list[tuple[str, Any]]) -> dict[str, Any]:
    """One child becomes an object, several an array."""
    by_name: dict[str, list[Any]] = {}
    for name, value in objects:
        by_name.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in by_name.items()}


# -- any export

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=12
)
OIDS = st.from_regex(r"[A-Z]{1,2}_[A-Z0-9]{1,4}", fullmatch=True)
KEYS = st.integers(1, 12).map(str)
YES = st.just("Yes")


def _node(name: str, children: Any, *, optional: dict[str, Any] | None = None, **required: Any) -> st.SearchStrategy:
    attributes = st.fixed_dictionaries(required, optional=optional or {})
    return st.tuples(st.just(name), attributes, children)


def _some(children: Any) -> st.SearchStrategy:
    return st.lists(children, max_size=3)


ITEMS = _node("ItemData", st.just([]), optional={"IsNull": YES, "oc:ItemName": TEXT}, ItemOID=OIDS, Value=TEXT)
GROUPS = _node(
    "ItemGroupData",
    _some(ITEMS),
    optional={"ItemGroupRepeatKey": KEYS, "oc:Removed": YES, "oc:ItemGroupName": TEXT},
    ItemGroupOID=OIDS,
)
FORMS = _node(
    "FormData", _some(GROUPS), optional={"oc:FormLayoutOID": TEXT, "oc:Removed": YES, "oc:Archived": YES}, FormOID=OIDS
)
EVENTS = _node(
    "StudyEventData",
    _some(FORMS),
    optional={"StudyEventRepeatKey": KEYS, "oc:EventName": TEXT, "oc:Removed": YES, "oc:Archived": YES},
    StudyEventOID=OIDS,
)
SUBJECTS = _node(
    "SubjectData",
    _some(EVENTS),
    optional={"oc:StudySubjectID": TEXT, "oc:Status": st.sampled_from(["Available", "Removed", "signed"])},
    SubjectKey=OIDS,
)
EXPORTS = _some(_node("ClinicalData", _some(SUBJECTS), StudyOID=OIDS))


def items_in(clinical: list[Node]) -> list[tuple[Any, ...]]:
    """Return the keys, the value and the flags of each item: what any reader of an export has to find."""
    found = []
    for _, study, subjects in clinical:
        for _, subject, events in subjects:
            gone = subject.get("oc:Status") == "Removed"
            for _, event, forms in events:
                for _, form, groups in forms:
                    for _, group, items in groups:
                        above = (event, form, group)
                        removed = gone or any(node.get("oc:Removed") for node in above)
                        archived = any(node.get("oc:Archived") for node in above)
                        keys = (
                            *(study["StudyOID"], subject["SubjectKey"], subject.get("oc:StudySubjectID", "")),
                            *(event["StudyEventOID"], event.get("StudyEventRepeatKey", "1")),
                            *(form["FormOID"], form.get("oc:FormLayoutOID", "")),
                            *(group["ItemGroupOID"], group.get("ItemGroupRepeatKey", "1")),
                        )
                        for _, item, _ in items:
                            value = None if item.get("IsNull") else item["Value"]
                            found.append((*keys, item["ItemOID"], value, removed, archived))
    return found

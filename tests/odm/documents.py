"""Small invented documents, and a strategy that makes nasty ones."""

from __future__ import annotations

import io
from typing import Any
from xml.sax.saxutils import escape

from hypothesis import strategies as st

from tests.odm.castor import OC, READS

ODM = "http://www.cdisc.org/ns/odm/v1.3"
FAMILY = "http://www.openclinica.org/ns/openclinica_odm/v1.3"

ITEM = '<ItemData ItemOID="I_HR" Value="72"/>'
GROUP = f'<ItemGroupData ItemGroupOID="IG_V" ItemGroupRepeatKey="1">\n{ITEM}\n</ItemGroupData>'
FORM = f'<FormData FormOID="F_V" OpenClinica:FormLayoutOID="1">\n{GROUP}\n</FormData>'
EVENT = (
    f'<StudyEventData StudyEventOID="SE_V" StudyEventRepeatKey="1" OpenClinica:StartDate="2026-01-05">\n{FORM}\n'
    "</StudyEventData>"
)
SUBJECT = f'<SubjectData SubjectKey="SS_1" OpenClinica:StudySubjectID="B-001">\n{EVENT}\n</SubjectData>'
CLINICAL = f'<ClinicalData StudyOID="S_JUNO" MetaDataVersionOID="v1">\n{SUBJECT}\n</ClinicalData>'
ROOT = f'<ODM xmlns="{ODM}" xmlns:OpenClinica="{OC}" ODMVersion="1.3">'


def document(body: str = CLINICAL, *, root: str = ROOT) -> io.BytesIO:
    """Wrap ClinicalData elements; the declaration is line 1, the root line 2, ``body`` begins on line 3."""
    return io.BytesIO(f'<?xml version="1.0" encoding="UTF-8"?>\n{root}\n{body}\n</ODM>\n'.encode())


def with_item(item: str) -> io.BytesIO:
    """Put an item on line 8 of a good document, in the place of its only one."""
    return document(CLINICAL.replace(ITEM, item))


def with_note(note: str) -> io.BytesIO:
    """Put a note into the only item; it begins on line 8."""
    return with_item(f'<ItemData ItemOID="I_HR" Value="72">{note}</ItemData>')


def changed(old: str, new: str) -> io.BytesIO:
    """Change one place of a good document."""
    assert CLINICAL.count(old) == 1, f"{old} does not stand exactly once"
    return document(CLINICAL.replace(old, new))


# -- documents nobody would write

CHILDREN = {
    "ODM": ["ClinicalData"],
    "ClinicalData": ["SubjectData"],
    "SubjectData": ["StudyEventData"],
    "StudyEventData": ["FormData", "Signature"],
    "FormData": ["ItemGroupData"],
    "ItemGroupData": ["ItemData"],
    "ItemData": ["DiscrepancyNotes"],
    "DiscrepancyNotes": ["DiscrepancyNote"],
    "DiscrepancyNote": ["ChildNote"],
    "ChildNote": ["DetailedNote", "UserRef"],
}
NOTES = {"DiscrepancyNotes", "DiscrepancyNote", "ChildNote", "DetailedNote"}

#: Whatever XML 1.0 can hold, with a taste for what breaks servers.
nasty = st.text(
    st.one_of(
        st.sampled_from("\t\n\r\u0085\u2028\u2029<>&\"' \u00e9\u4e2d\U0001f600\x7f;#"),
        st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"),
    ),
    max_size=12,
)

Model = tuple[str, dict[str, str], list[Any]]


@st.composite
def models(draw: st.DrawFn, name: str = "ODM") -> Model:
    """Draw what a document says: (element, attributes, children), in the shape of ``read_as_server``."""
    if name == "DetailedNote":
        return name, {}, [draw(nasty)]
    plain, prefixed = READS[name]
    known = [*plain.split(), *prefixed.split()]
    attributes = {each: draw(nasty) for each in draw(st.permutations(known)) if draw(st.booleans())}
    if name == "ODM":
        count = draw(st.integers(1, 2))
        return name, {}, [draw(models("ClinicalData")) for _ in range(count)]
    children = [draw(models(child)) for child in CHILDREN.get(name, []) for _ in range(draw(st.integers(0, 2)))]
    if name in ("ItemData", "ChildNote"):  # the server takes one DiscrepancyNotes and one DetailedNote
        children = list({child[0]: child for child in children}.values())
    return name, attributes, children


@st.composite
def rendered(draw: st.DrawFn, model: Model) -> bytes:
    """Write a model as some careless tool would: other prefixes and orders, unread names, comments, raw text."""
    pieces: list[str] = ['<?xml version="1.0" encoding="UTF-8"?>\n']
    _render(draw, model, pieces)
    return "".join(pieces).encode()


def _render(draw: st.DrawFn, model: Model, out: list[str]) -> None:
    name, attributes, children = model
    blank = draw(st.sampled_from([" ", "\n  ", "  "]))
    written = [f"{_spelled(draw, name, each)}={_quoted(draw, value)}" for each, value in attributes.items()]
    if name == "ODM":
        written = [f'xmlns:odm="{ODM}"', f'xmlns:oc="{OC}"', f'xmlns:old="{FAMILY}"', f'xmlns="{ODM}"']
        written += ['xmlns:alien="urn:alien"', 'CreationDateTime="2026-01-05T08:00:00"']
    elif draw(st.booleans()):
        unread = draw(st.sampled_from(['alien:Colour="red"', 'Unread="x"', 'oc:EventName="A &amp; B"']))
        written.insert(draw(st.integers(0, len(written))), unread)
    tag = _element(draw, name)
    if name == "DetailedNote":
        out.append(f'<{tag} xml:space="preserve">{_content(draw, children[0])}</{tag}>')
        return
    out.append(f"<{blank.join([tag, *written])}>")
    for child in children:
        out.append(draw(st.sampled_from(["", "\n", "<!-- a remark -->", "<?hint?>", "<alien:X>y<alien:Y/></alien:X>"])))
        _render(draw, child, out)
    out.append(f"</{tag}>")


def _element(draw: st.DrawFn, name: str) -> str:
    return draw(st.sampled_from([f"oc:{name}", f"old:{name}"] if name in NOTES else [name, f"odm:{name}"]))


def _spelled(draw: st.DrawFn, element: str, attribute: str) -> str:
    return draw(st.sampled_from([attribute, f"oc:{attribute}", f"odm:{attribute}", f"old:{attribute}"]))


def _quoted(draw: st.DrawFn, value: str) -> str:
    quote = draw(st.sampled_from("'\""))
    references = {"\n": "&#10;", "\r": "&#xD;", "\t": "&#9;", quote: "&#34;" if quote == '"' else "&#39;"}
    return f"{quote}{escape(value, references)}{quote}"


def _content(draw: st.DrawFn, text: str) -> str:
    if "]]>" not in text and "\r" not in text and draw(st.booleans()):
        return f"<![CDATA[{text}]]>"
    return escape(text, {"\r": "&#13;"})

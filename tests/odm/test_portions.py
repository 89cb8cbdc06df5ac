from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_openclinica.errors import FileError
from airflow_provider_openclinica.odm import portions as module
from airflow_provider_openclinica.odm.plain import KINDS
from airflow_provider_openclinica.odm.portions import PORTION, portions
from airflow_provider_openclinica.odm.reader import rows
from airflow_provider_openclinica.odm.subjects import subjects
from airflow_provider_openclinica.odm.sweep import swept
from tests.odm.exports import ODM, PROLOG, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ITEM = '<ItemData ItemOID="I_1" Value="1"/>\n'
SUBJECT = (
    '<SubjectData SubjectKey="SS_{}">\n<StudyEventData StudyEventOID="SE"><FormData FormOID="F">\n'
    f'<ItemGroupData ItemGroupOID="IG">\n{ITEM}{ITEM}</ItemGroupData>\n</FormData></StudyEventData></SubjectData>\n'
)
FOUR = "".join(map(SUBJECT.format, range(4)))
SITES = "".join(f'<ClinicalData StudyOID="S_{site}&amp;">{FOUR}</ClinicalData>\n' for site in "AB")
FOUR_OF_ONE = f'{PROLOG}{ROOT}\n<ClinicalData StudyOID="S">{FOUR}</ClinicalData></ODM>\n'
EXPORT = f"{PROLOG}{ROOT}\n{SITES}</ODM>\n"


def body_of(text: str) -> bytes:
    """Return a document without its declaration, as ``portions`` gets it."""
    return text.removeprefix(PROLOG).encode()


def keys(text: str, size: int = 1, chunk: int = PORTION) -> list[tuple[str, str | None]]:
    """Return whom the portions of a document hold."""
    content = body_of(text)
    chunks = [content[at : at + chunk] for at in range(0, len(content), chunk)]
    found: list[tuple[str, str | None]] = []
    for portion in portions(chunks, size):
        found += [(study_oid, subject.get("SubjectKey")) for study_oid, subject in portion.subjects]
        if portion.plain:
            tags = (tag.said for tag in portion.plain.tags if tag.kind == KINDS.index(b"SubjectData"))
            found += [(portion.study_oid, said.get("SubjectKey")) for said in tags]
    return found


def expected(text: str) -> list[tuple[str, str | None]]:
    return [(study_oid, subject.get("SubjectKey")) for study_oid, subject in subjects(io.BytesIO(text.encode()))]


@given(st.integers(1, 2_000), st.integers(1, 2_000))
def test_each_participant_is_found_once_whatever_the_size_of_portions_and_chunks(size: int, chunk: int) -> None:
    assert keys(EXPORT, size, chunk) == expected(EXPORT)


def test_all_participants_but_the_first_are_read_by_columns() -> None:
    first, *others, tail = portions([body_of(FOUR_OF_ONE)], 1)
    assert (first.plain, tail.plain) == (None, None)
    assert [len(portion.plain.item_oid) for portion in others if portion.plain] == [2, 2, 2]


def test_participants_of_one_size_come_several_in_a_portion() -> None:
    sizes = [
        len(portion.plain.item_oid) if portion.plain else len(portion.subjects)
        for portion in portions([body_of(FOUR_OF_ONE)], 2 * len(SUBJECT))
    ]
    assert sizes == [1, 6, 0]


ODD: dict[str, Callable[[str], str]] = {
    "an-end-in-a-comment": lambda text: text.replace("</FormData>", "<!-- </SubjectData> --></FormData>", 3),
    "an-end-in-cdata": lambda text: text.replace("</FormData>", "<![CDATA[</SubjectData>]]></FormData>", 3),
    "a-comment-over-participants": lambda text: text.replace(FOUR, f"{FOUR}<!-- {FOUR} -->{FOUR}"),
    "blanks-in-the-end": lambda text: text.replace("</SubjectData>", "</SubjectData\n>"),
    "other-elements-between": lambda text: text.replace("<ClinicalData", "<ReferenceData/><AdminData/><ClinicalData"),
    "sites-in-a-prefix": lambda text: text.replace("<ClinicalData", f'<o:ClinicalData xmlns:o="{ODM}"').replace(
        "</Cl", "</o:Cl"
    ),
    "one-site-in-a-prefix": lambda text: text.replace(
        '<ClinicalData StudyOID="S_B', f'<o:ClinicalData xmlns:o="{ODM}" StudyOID="S_B'
    ).replace("</ClinicalData>\n</ODM>", "</o:ClinicalData>\n</ODM>"),
    "no-site": lambda text: text.replace(SITES, ""),
    "nobody": lambda text: text.replace(FOUR, ""),
    "one-participant": lambda text: text.replace(SITES, f"<ClinicalData>{SUBJECT}</ClinicalData>"),
    "a-reference-in-a-namespace": lambda text: text.replace("<ODM", "<ODM xmlns:x='urn:x&amp;y'"),
}


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
def test_an_odd_document_holds_the_same_participants(change: Callable[[str], str]) -> None:
    text = change(EXPORT)
    assert keys(text) == expected(text)


def test_everything_in_a_prefix_is_read() -> None:
    text = EXPORT.replace("</", "</o:").replace("<", "<o:").replace("<o:/o:", "</o:").replace("<o:?", "<?")
    text = text.replace('xmlns="', 'xmlns:o="')
    assert keys(text) == expected(text) == expected(EXPORT)


def test_a_participant_without_end_in_sight_is_read_as_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 300)
    text = EXPORT.replace("<StudyEventData", f"{' ' * 1_000}<StudyEventData", 3)
    assert keys(text, 1, 100) == expected(text)


def outcome(found: Iterator[Any]) -> tuple[int, str]:
    """Say how many items there are, or why not."""
    try:
        return sum(len(each) for each in found), ""
    except FileError as error:
        return 0, str(error)


def of_sweep(content: bytes) -> tuple[int, str]:
    return outcome(items for _, items in swept(io.BytesIO(content), portion=1))


def of_rows(content: bytes) -> tuple[int, str]:
    return outcome([row] for table, row in rows(io.BytesIO(content)) if table == "items")


@given(st.integers(0, len(EXPORT)), st.integers(0, 40), st.sampled_from(["", "<", ">", '"', "&", " ", ITEM, "</x>"]))
@settings(max_examples=300, deadline=None)
def test_what_is_broken_anywhere_is_refused_in_the_same_words(begin: int, length: int, instead: str) -> None:
    content = f"{EXPORT[:begin]}{instead}{EXPORT[begin + length :]}".encode()
    assert of_sweep(content) == of_rows(content)


@pytest.mark.parametrize(
    "item",
    [
        pytest.param('<ItemData OpenClinica:ItemName="x" Value="1"/>', id="no-oid"),
        pytest.param('<ItemData ItemOID="I" OpenClinica:ItemName="x" Value="1"/>', id="named"),
        pytest.param(f"<StudyEventData a='{ITEM}'/>", id="in-an-attribute"),
        pytest.param(f"<StudyEventData {ITEM}/>", id="in-a-tag"),
    ],
)
def test_a_plain_item_where_none_may_be_or_with_a_prefix_unknown_is_refused(item: str) -> None:
    known = EXPORT.replace(ITEM, item)
    unknown = known.replace(" xmlns:OpenClinica", " xmlns:Other")
    assert of_sweep(unknown.encode()) == of_rows(unknown.encode())
    assert of_sweep(unknown.encode())[1]
    assert of_sweep(known.encode()) == of_rows(known.encode())

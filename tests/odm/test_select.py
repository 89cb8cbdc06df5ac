"""Selecting events and forms on this side: what stays, stays byte for byte."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from airflow_provider_openclinica.errors import ConfigurationError, FileError
from airflow_provider_openclinica.odm.repair import Repairs, mend
from airflow_provider_openclinica.odm.select import Selection, select
from tests.odm.exports import EXPORTS, ROOT, export


def cut(document: bytes, size: int) -> list[bytes]:
    return [document[start : start + size] for start in range(0, len(document), size)]


def selected(document: bytes, selection: Selection, size: int = 50) -> bytes:
    return b"".join(select(cut(document, size), selection))


def canonical(document: bytes) -> bytes:
    """Make one of two ways to write an empty element."""
    return etree.tostring(etree.fromstring(document), method="c14n")


def named(clinical, name, attribute):
    """Return an attribute of all elements of that name."""
    found = [clinical] if isinstance(clinical, tuple) else clinical
    return [
        oid for node in found for oid in ([node[1][attribute]] if node[0] == name else named(node[2], name, attribute))
    ]


def without(nodes, is_kept):
    """Return a tree without the elements that are not kept."""
    return [(name, said, without(children, is_kept)) for name, said, children in nodes if is_kept(name, said)]


@given(st.data(), EXPORTS, st.integers(1, 200), st.booleans())
def test_what_is_selected_is_the_document_without_the_rest(data, clinical, size, archived):
    oids, forms = named(clinical, "StudyEventData", "StudyEventOID"), named(clinical, "FormData", "FormOID")
    wanted = data.draw(st.sets(st.tuples(st.sampled_from([*oids, "SE"]), st.sampled_from(["", "1", "2"])), max_size=4))
    wanted_forms = data.draw(st.sets(st.sampled_from([*forms, "F"]), max_size=3))
    selection = Selection(frozenset(wanted), frozenset(wanted_forms), archived)

    def is_kept(name, said):
        if name == "FormData":
            return not wanted_forms or said["FormOID"] in wanted_forms
        if name != "StudyEventData" or not wanted:
            return True
        key = said.get("StudyEventRepeatKey", "1")
        is_gone = "oc:Removed" in said or "oc:Archived" in said
        return bool({(said["StudyEventOID"], ""), (said["StudyEventOID"], key)} & wanted) and (archived or not is_gone)

    document = export(*clinical, prolog="").encode()
    mended = b"".join(mend(cut(document, size), Repairs()))
    expected = b"".join(mend([export(*without(clinical, is_kept), prolog="").encode()], Repairs()))

    assert canonical(selected(mended, selection, size)) == canonical(expected)


@given(EXPORTS, st.integers(1, 200))
def test_who_selects_nothing_gets_every_byte(clinical, size):
    document = b"".join(mend([export(*clinical, prolog="").encode()], Repairs()))
    assert selected(document, Selection(), size) == document


@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_what_stands_between_elements_stays(size):
    head, tail = (
        f'{ROOT}<ClinicalData><SubjectData SubjectKey="é">\n '.encode(),
        b"</SubjectData></ClinicalData></ODM>\n",
    )
    kept = b"<StudyEventData  StudyEventOID='B' ><!-- </FormData> --><FormData FormOID='F'/>\t<?x y?></StudyEventData >"
    dropped = b'<StudyEventData StudyEventOID="A"><FormData FormOID="F">/></FormData></StudyEventData>'
    empty = b'<StudyEventData StudyEventOID="A"/>'
    document = head + empty + b"<!--1-->" + kept + dropped + b" \xc3\xa9 " + empty + dropped + tail
    assert selected(document, Selection.of("B"), size) == head + b"<!--1-->" + kept + b" \xc3\xa9 " + tail


@pytest.mark.parametrize(
    ("event", "form", "events", "forms"),
    [
        ("*", "*", set(), set()),
        (" * ", "F_A", set(), {"F_A"}),
        ("SE_A", "*", {("SE_A", "")}, set()),
        ("SE_A[12], SE_B", "F_A ,F_B", {("SE_A", "12"), ("SE_B", "")}, {"F_A", "F_B"}),
    ],
)
def test_selectors_are_read_as_people_write_them(event, form, events, forms):
    selection = Selection.of(event, form)
    assert (selection.events, selection.forms) == (events, forms)
    assert selection.is_everything == (not events and not forms)


@pytest.mark.parametrize(
    ("event", "form"),
    [("", "*"), ("*", ""), ("SE_A[0]", "*"), ("SE_A[x]", "*"), ("SE_A,,SE_B", "*"), ("*,SE_A", "*"), ("*", "F_A[1]")],
)
def test_what_is_no_selector_is_refused(event, form):
    with pytest.raises(ConfigurationError, match="neither"):
        Selection.of(event, form)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b'<ODM><a x="Ann < Lee"/></ODM>', "line 1: the XML is broken"),
        (b"<ODM>\n<a></b></ODM>", "line 2: the XML is broken"),
        (b"<ODM>", "the XML is broken"),
        (b"<!DOCTYPE ODM []><ODM/>", "document type declaration"),
    ],
)
def test_what_is_no_xml_cannot_be_selected_from_and_is_not_quoted(document, words):
    with pytest.raises(FileError, match=words) as caught:
        selected(document, Selection.of("SE_A"))
    assert "Ann" not in str(caught.value)


def test_a_tag_without_an_end_is_given_up():
    endless = [b"<ODM><a b='", *[b"x" * (1 << 20)] * 8]
    with pytest.raises(FileError, match="longer than 4 MiB"):
        list(select(endless, Selection.of("SE_A")))


@pytest.mark.parametrize("event", ["SE_A", "SE_B"], ids=["all-dropped", "all-kept"])
def test_memory_does_not_grow_with_the_document(event):
    one = (
        b'<StudyEventData StudyEventOID="SE_B"><FormData FormOID="F">'
        + b"<i/>" * 10_000
        + b"</FormData></StudyEventData>"
    )

    def document():
        yield ROOT.encode()
        for _ in range(200):
            yield one
        yield b"</ODM>"

    tracemalloc.start()
    size = sum(map(len, select(document(), Selection.of(event))))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (size > len(one)) == (event == "SE_B")
    assert peak < 20 * len(one)

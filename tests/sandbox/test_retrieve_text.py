"""How exports write characters, and in which charset they are sent (docs/protocol.md, clinical data)."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from airflow_provider_openclinica.sandbox.accounts import Account
from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.odm_export import Exporter
from airflow_provider_openclinica.sandbox.odm_text import text, value
from airflow_provider_openclinica.sandbox.people import People
from airflow_provider_openclinica.sandbox.retrieve import ALL, EventSelection, FormSelection, Section
from tests.sandbox import imports
from tests.sandbox.calls import Caller
from tests.sandbox.retrievals import document, found, retrieve

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.data import ClinicalStore

EMOJI = "\N{GRINNING FACE}"
MIXED = f"Zürich, Łódź & <5> {EMOJI}"


def store(manager: Caller, stored: str) -> None:
    """Store a value, as no import would where it holds what XML cannot."""
    manager.finished(manager.submitted(imports.odm(imports.labs()).encode()))
    with manager.sandbox.service.state.writing() as db:
        db.execute("UPDATE items SET value = ?", (stored,))


def annotate(manager: Caller, words: str, author: str = "monitor") -> None:
    note = imports.note(imports.entry(words, user=author))
    item = imports.item("I_LABS_SAMPLE", "A-1", note)
    manager.finished(manager.submitted(imports.odm(imports.labs(imports.group(item))).encode()))


# Characters


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_is_ascii_and_a_surrogate_pair_is_two_references(plain):
    written = text(plain)
    assert written.isascii()
    assert written.count("&#") == sum(len(each.encode("utf-16-be")) // 2 for each in plain if not each.isascii())


@pytest.mark.parametrize(
    ("plain", "as_text", "as_value"),
    [
        (
            """a & <b> "c" 'd'""",
            "a &amp; &lt;b&gt; &quot;c&quot; &apos;d&apos;",
            "a &amp; &lt;b&gt; &quot;c&quot; &apos;d&apos;",
        ),
        ("é", "&#233;", "é"),
        (EMOJI, "&#55357;&#56832;", EMOJI),
        ("a\r\n\tb", "a\r\n\tb", "a\r\n\tb"),
        ("\x01", "\x01", "&#1;"),
    ],
)
def test_values_are_written_in_another_way_than_all_else(plain, as_text, as_value):
    assert (text(plain), value(plain)) == (as_text, as_value)


@given(st.text(st.characters(codec="latin-1", exclude_categories=["Cc"])))
def test_a_value_without_control_characters_survives(plain):
    assert etree.fromstring(f'<a v="{value(plain)}"/>').get("v") == plain


def test_line_breaks_in_a_value_are_sent_raw_and_read_as_blanks(manager):
    store(manager, "one\ntwo\tthree")
    answer = retrieve(manager, "S_JUNO/BOS-001/*/*")
    assert 'Value="one\ntwo\tthree"' in answer.text
    assert found(document(manager, "S_JUNO/BOS-001/*/*"), "ItemData", "Value") == ["one two three"]


def test_a_control_character_in_a_value_spoils_the_document(manager):
    store(manager, "a\x01b")
    answer = retrieve(manager)
    assert 'Value="a&#1;b"' in answer.text
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(answer.content)


def test_an_emoji_does_no_harm_in_a_value_and_spoils_the_document_in_a_note(manager):
    store(manager, MIXED)
    assert found(document(manager, "S_JUNO/BOS-001/*/*"), "ItemData", "Value") == [MIXED]
    annotate(manager, f"Why {EMOJI}?")
    assert retrieve(manager).status_code == 200
    answer = retrieve(manager, includeDNs="y")
    assert "<OpenClinica:DetailedNote>Why &#55357;&#56832;?</OpenClinica:DetailedNote>" in answer.text
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(answer.content)


def test_an_emoji_in_a_participant_id_spoils_the_document(manager):
    body = {"subjectKey": f"BOS-{EMOJI}é"}
    path = "clinicaldata/studies/S_JUNO/sites/S_BOSTON/participants"
    assert manager.call("POST", path, json=body).status_code == 200
    assert 'OpenClinica:StudySubjectID="BOS-&#55357;&#56832;&#233;"' in retrieve(manager).text
    assert retrieve(manager, f"S_JUNO/BOS-{EMOJI}é/*/*").status_code == 200


def test_a_user_with_an_ampersand_spoils_the_document_by_a_note_and_not_by_an_audit(manager):
    manager.sandbox.service.accounts.add(Account(login="a & b", password=""))
    annotate(manager, "Why?", author="a & b")
    assert retrieve(manager, includeAudits="y").status_code == 200
    document(manager, includeAudits="y")
    answer = retrieve(manager, includeDNs="y")
    assert 'UserName="a & b" Name="A & B"' in answer.text
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(answer.content)


@settings(max_examples=25)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff")), min_size=1))
def test_whatever_is_stored_comes_back_but_for_control_characters(values):
    values = [
        "".join(" " if char in "\t\n\r" else char for char in plain if char >= " " or char in "\t\n\r")
        for plain in values
    ]
    clinic = imports.Clinic(Dialect.SOURCE)
    clinic.send(imports.labs(*(imports.results(key=str(key)) for key in range(1, len(values) + 1))))
    for repeat, plain in enumerate(values, start=1):
        clinic.db.execute("UPDATE items SET value = ? WHERE repeat = ?", (plain, repeat))
    (participant,) = clinic.store.participants_by_id("BOS-001", {"S_BOSTON"})
    written = "".join(exporter_of(clinic).subject(participant))
    root = etree.fromstring(f"<ODM {imports.NAMESPACES}>{written}</ODM>".encode())
    assert found(root, "ItemData", "Value") == values


# Charsets


@pytest.mark.parametrize("charset", ["UTF-8", "ISO-8859-1", "US-ASCII", "UTF-16"])
def test_the_answer_has_the_charset_that_was_asked_for(manager, charset):
    store(manager, MIXED)
    answer = retrieve(manager, accept=f"application/xml;charset={charset}")
    assert answer.headers["Content-Type"] == f"application/xml;charset={charset}"
    lossy = MIXED.encode(charset, "replace").decode(charset).replace("&", "&amp;").replace("<5>", "&lt;5&gt;")
    assert f'Value="{lossy}"' in answer.content.decode(charset)
    assert answer.content.decode(charset).startswith('<?xml version="1.0" encoding="UTF-8"?>'), "whatever it is"


def test_without_a_charset_the_source_sends_latin_1_under_a_prolog_that_says_utf_8(sourced):
    manager = Caller(sourced)
    store(manager, MIXED)
    answer = retrieve(manager, accept="application/xml")
    assert answer.headers["Content-Type"] == "application/xml;charset=ISO-8859-1"
    assert 'Value="Zürich, ?ód? &amp; &lt;5&gt; ?"'.encode("latin-1") in answer.content


def test_without_a_charset_documented_servers_send_utf_8_and_do_not_say_so(documented):
    manager = Caller(documented)
    store(manager, MIXED)
    answer = retrieve(manager, accept="application/xml")
    assert answer.headers["Content-Type"] == "application/xml"
    assert found(etree.fromstring(answer.content), "ItemData", "Value") == [MIXED]


@pytest.mark.parametrize("accept", ["text/xml", "text/plain", "application/*"])
def test_other_types_are_not_to_be_had(manager, accept):
    assert retrieve(manager, accept=accept).status_code == 406


# Size


def exporter_of(clinic: imports.Clinic) -> Exporter:
    return Exporter(
        db=clinic.db,
        store=clinic.store,
        study=clinic.study,
        people=People([]),
        events=EventSelection(),
        forms=FormSelection(ALL, Dialect.SOURCE, archived=False),
        audits=True,
        notes=True,
    )


def peak_of_export(participants: int, clinic: imports.Clinic) -> int:
    """Write so many participants with a form each, and tell how much memory that took at most."""
    exporter = exporter_of(clinic)
    fill(clinic.store, participants)
    tracemalloc.start()
    size = 0
    for participant in Section("S_BOSTON").participants(clinic.db):
        size += sum(map(len, exporter.subject(participant)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > participants * 1000
    return peak


def fill(clinical: ClinicalStore, participants: int) -> None:
    db = clinical._db
    numbers = [(number,) for number in range(1000, 1000 + participants)]
    db.execute("BEGIN")
    for statement in (
        "INSERT INTO participants VALUES (?1, 'SS_' || ?1, 'P-' || ?1, 'S_BOSTON', 'AVAILABLE', '', '', NULL, NULL)",
        "INSERT INTO events VALUES (?1, ?1, 'SE_BASELINE', 1, 'SCHEDULED', '2026-01-05', '', 0, 0, 0, 0)",
        "INSERT INTO forms VALUES (?1, ?1, 'F_VITALS', '1', 0, '', 0, 0)",
        "INSERT INTO items VALUES (?1, ?1, 'IG_VITALS_MAIN', 1, 'I_VITALS_PULSE', '72', 0)",
    ):
        db.executemany(statement, numbers)
    db.execute("COMMIT")


def test_memory_does_not_grow_with_the_number_of_participants():
    few = peak_of_export(50, imports.Clinic(Dialect.SOURCE))
    many = peak_of_export(2000, imports.Clinic(Dialect.SOURCE))
    assert many < 2 * few + 200_000

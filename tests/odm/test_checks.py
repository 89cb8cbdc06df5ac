"""Everything wrong with a document is told at once, by line, in words that say what to do, and without its data."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica import odm
from airflow_provider_openclinica.errors import FileError
from airflow_provider_openclinica.odm.model import Problem
from tests.odm.documents import (
    CLINICAL,
    EVENT,
    FORM,
    GROUP,
    ITEM,
    ODM,
    SUBJECT,
    changed,
    document,
    with_item,
    with_note,
)

DATA = Path(__file__).parent / "data"
BOMB = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
EMOJI = "\U0001f600"


def found(source: io.BytesIO, **options: bool) -> list[str]:
    return [f"{problem.severity[0]} {problem}" for problem in odm.check(source, **options)]


def test_a_good_document_has_no_problem():
    assert found(document()) == []


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        pytest.param(b"", None, "the file is empty. Look at what should have written it", id="empty"),
        pytest.param(b"\xef\xbb\xbf \n", None, "the file is empty", id="blank"),
        pytest.param(b"SubjectKey,Value\n1,2\n", None, "the file is not XML. Send an ODM 1.3 document", id="csv"),
        pytest.param(b"PK\x03\x04zip", None, "the file is not XML", id="zip"),
        pytest.param(b'{"ODM": 1}', None, "the file is not XML", id="json"),
        pytest.param(
            document().getvalue()[:-12], 13, "ends before its last tag is closed", id="truncated-between-tags"
        ),
        pytest.param(document().getvalue()[:400], 6, "ends before its last tag is closed", id="truncated-in-a-tag"),
        pytest.param(b"<html><body/></html>", 1, "the root element is not ODM", id="wrong-root"),
        pytest.param(b"<ODM/>", 1, f'in no namespace. Write <ODM xmlns="{ODM}" ...>', id="no-namespace"),
        pytest.param(b'<ODM ODMVersion="1.1"/>', 1, "in no namespace, as in ODM 1.1", id="odm-1.1"),
        pytest.param(b'<ODM xmlns="http://www.cdisc.org/ns/odm/v1.2"/>', 1, "this is ODM 1.2", id="odm-1.2"),
        pytest.param(b'<ODM xmlns="http://www.cdisc.org/ns/odm/v2.0"/>', 1, "this is ODM 2.0", id="odm-2.0"),
        pytest.param(b'<ODM xmlns="urn:else"/>', 1, "in a namespace that is not ODM's", id="wrong-namespace"),
        pytest.param(f"<!DOCTYPE ODM [{BOMB}]><ODM>&e11;</ODM>".encode(), 1, "document type", id="entity-bomb"),
        pytest.param(b'<!DOCTYPE ODM SYSTEM "file:///etc/passwd"><ODM/>', 1, "document type", id="external-dtd"),
        pytest.param(
            document("<a:b/>"), 3, "a prefix is used and declared nowhere. Declare it", id="undeclared-prefix"
        ),
        pytest.param(with_item("<ItemData ItemOID=I/>"), 8, "not well-formed XML", id="unquoted"),
        pytest.param(with_item(ITEM.replace("72", "7 & 2")), 8, "&amp; for '&'", id="bare-ampersand"),
        pytest.param(with_item(ITEM.replace("72", "&nbsp;")), 8, "an entity such as &nbsp;", id="html-entity"),
        pytest.param(with_item(ITEM.replace("72", "&#0;")), 8, "names a control character", id="control-reference"),
        pytest.param(with_item(ITEM.replace("72", "\x01")), 8, "holds a control character", id="control-character"),
        pytest.param(with_item("<ItemData>"), 9, "a closing tag does not match", id="tag-mismatch"),
        pytest.param(with_item('<ItemData Value="1" Value="2"/>'), 8, "an attribute stands twice", id="twice"),
        pytest.param(b"\n" + document().getvalue(), 2, "something stands before the XML declaration", id="late-prolog"),
        pytest.param(document().getvalue() + b"<more/>", 15, "something follows after the end", id="junk-behind"),
        pytest.param(
            document().getvalue().replace(b"72", b"36.6 \xb0C"),
            8,
            "not in the encoding of the file",
            id="latin-1-bytes",
        ),
        pytest.param(b'<?xml version="1.0" encoding="Shift_JIS"?><ODM/>', 1, "Save it as UTF-8", id="multi-byte"),
        pytest.param(b'<?xml version="1.0" encoding="no-such"?><ODM/>', 1, "Save it as UTF-8", id="unknown-encoding"),
        pytest.param(b"<?xml version='1.0' encoding='utf-16'?><ODM/>", 1, "another encoding", id="wrong-encoding"),
    ],
)
def test_what_is_no_odm_is_told_in_one_sentence(source, line, words):
    *_, last = odm.check(source if isinstance(source, io.BytesIO) else io.BytesIO(source))
    assert words in last.reason
    assert (last.line, last.severity) == (line, "error")


def note(ids: str = 'ID="D"', child: str = 'ID="C"', text: str = "why?", kind: str = 'NoteType="Query"') -> str:
    detailed = f"<OpenClinica:DetailedNote>{text}</OpenClinica:DetailedNote>"
    inner = f"<OpenClinica:ChildNote {child}>{detailed}</OpenClinica:ChildNote>"
    return notes(f"<OpenClinica:DiscrepancyNote {ids} {kind}>{inner}</OpenClinica:DiscrepancyNote>")


def notes(inner: str) -> str:
    return f"<OpenClinica:DiscrepancyNotes>{inner}</OpenClinica:DiscrepancyNotes>"


def signed(attestation: str) -> io.BytesIO:
    return changed(FORM, f"{FORM}<Signature {attestation}/>")


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        pytest.param(document(""), 2, "ODM has no ClinicalData; there is nothing to import", id="no-clinical-data"),
        pytest.param(document('<ClinicalData StudyOID="S"/>'), 3, "ClinicalData S has no SubjectData", id="no-subject"),
        pytest.param(changed('StudyOID="S_JUNO"', ""), 3, "ClinicalData has no StudyOID", id="no-study-oid"),
        pytest.param(changed("S_JUNO", ""), 3, "ClinicalData has no StudyOID", id="empty-study-oid"),
        pytest.param(
            changed('SubjectKey="SS_1" OpenClinica:StudySubjectID="B-001"', ""), 4, "has neither", id="no-participant"
        ),
        pytest.param(changed(EVENT, ""), 4, "SubjectData has no StudyEventData", id="no-event"),
        pytest.param(changed(FORM, ""), 5, "StudyEventData SE_V has no FormData", id="no-form"),
        pytest.param(changed('StudyEventOID="SE_V"', ""), 5, "has no StudyEventOID", id="no-event-oid"),
        pytest.param(changed('FormOID="F_V"', ""), 6, "FormData has no FormOID", id="no-form-oid"),
        pytest.param(changed('ItemGroupOID="IG_V"', ""), 7, "ItemGroupData has no ItemGroupOID", id="no-group-oid"),
        pytest.param(changed('ItemOID="I_HR"', 'ItemOID=" "'), 8, "ItemData has no ItemOID", id="no-item-oid"),
        pytest.param(
            changed('StudyEventRepeatKey="1"', ""), 5, "has no StudyEventRepeatKey; each import", id="no-event-key"
        ),
        pytest.param(
            changed('ItemGroupRepeatKey="1"', 'ItemGroupRepeatKey=""'),
            7,
            "ItemGroupData IG_V has no ItemGroupRepeatKey; each import would add a new row. "
            "Write the key, and 1 where nothing repeats",
            id="no-group-key",
        ),
        *(
            pytest.param(
                changed('ItemGroupRepeatKey="1"', f'ItemGroupRepeatKey="{key}"'), 7, "whole number", id=f"key-{key}"
            )
            for key in ("0", "-1", "1.0", "one", " 1", "2147483648", "\u0661")
        ),
        *(
            pytest.param(changed("2026-01-05", date), 5, f"StartDate of StudyEventData SE_V {words}", id=f"date-{date}")
            for date, words in {
                "2026-02-31": "is not a day of the calendar. Write it as yyyy-MM-dd",
                "2025-02-29": "is not a day of the calendar",
                "2026-13-01": "is not a day of the calendar",
                "0000-01-01": "is not a day of the calendar",
                "+12026-01-05": "is not written as a date",
                "26-01-05": "is not written as a date",
                "2026-1-5": "is not written as a date",
                "2026/01/05": "is not written as a date",
                "05.01.2026": "is not written as a date",
                "2026-01-05T08:00": "is not written as a date",
                "2026-01-05 24:00": "is not written as a date",
                "2026-01-05 ": "is not written as a date",
                "\u0662026-01-05": "is not written as a date",
            }.items()
        ),
        pytest.param(
            changed('"2026-01-05"', '"2026-01-05" OpenClinica:EndDate="2026-01-04"'),
            5,
            "before its StartDate",
            id="order",
        ),
        pytest.param(with_item(ITEM.replace("72", "x" * 4001)), 8, "longer than 4,000 characters", id="long-value"),
        pytest.param(
            with_item(ITEM.replace("72", EMOJI * 2001)), 8, "longer than 4,000 characters", id="long-for-java"
        ),
        pytest.param(
            with_item(ITEM.replace("/>", ">x</ItemData>")), 8, "there is text in ItemData", id="text-in-an-item"
        ),
        pytest.param(changed(SUBJECT, f"hello{SUBJECT}"), 4, "there is text in ClinicalData", id="text-elsewhere"),
        pytest.param(
            with_item('<ItemDataString ItemOID="I_HR">72</ItemDataString>'),
            8,
            "ItemDataString is ignored",
            id="typed-item",
        ),
        pytest.param(changed(SUBJECT, f"<UpsertOn/>\n<UpsertOn/>{SUBJECT}"), 5, "a second UpsertOn", id="two-upserts"),
        pytest.param(
            changed(SUBJECT, f'<UpsertOn NotStarted="1"/>{SUBJECT}'), 4, "Write one of 'true', 'false'", id="upsert"
        ),
        pytest.param(with_note(note() + note()), 8, "a second DiscrepancyNotes in one ItemData", id="two-notes"),
        pytest.param(
            with_note(note(text="a</OpenClinica:DetailedNote><OpenClinica:DetailedNote>b")),
            8,
            "a second DetailedNote in one ChildNote",
            id="two-texts",
        ),
        pytest.param(with_note(note(text="x" * 1001)), 8, "the text of a note is longer than 1,000", id="long-note"),
        pytest.param(with_note(note(text=" ")), 8, "DetailedNote is empty", id="empty-note"),
        pytest.param(with_note(note(text="a <b>b</b>")), 8, "there is a tag in a DetailedNote", id="tag-in-a-note"),
        pytest.param(with_note(note(ids=f'ID="{"x" * 33}"')), 8, "longer than 32 characters", id="long-note-id"),
        pytest.param(with_note(note(kind="")), 8, "has no NoteType. Write Query or Annotation", id="no-note-type"),
        pytest.param(
            with_note(note(kind='NoteType="Reason"')), 8, "Write one of 'query', 'annotation'", id="note-type"
        ),
        pytest.param(
            with_note(notes('<OpenClinica:DiscrepancyNote ID="D" NoteType="Query"/>')), 8, "no ChildNote", id="no-child"
        ),
        pytest.param(
            with_note('<n:DiscrepancyNotes xmlns:n="urn:lims"/>'),
            8,
            "the element DiscrepancyNotes is in a namespace of somebody else. If it is meant for OpenClinica, "
            "write OpenClinica:DiscrepancyNotes",
            id="foreign-notes",
        ),
        pytest.param(
            changed("OpenClinica:FormLayoutOID", 'xmlns:n="urn:lims" n:FormLayoutOID'),
            6,
            "the attribute FormLayoutOID of FormData is in a namespace of somebody else",
            id="foreign-attribute",
        ),
        pytest.param(
            changed("OpenClinica:FormLayoutOID", "FormLayoutOid"), 6, "Spell it OpenClinica:FormLayoutOID", id="case"
        ),
        pytest.param(
            changed("OpenClinica:FormLayoutOID", 'FormLayoutOID="2" OpenClinica:FormLayoutOID'),
            6,
            "given twice",
            id="both",
        ),
        pytest.param(with_item('<itemData ItemOID="I_HR"/>'), 8, "Spell it ItemData", id="element-case"),
        pytest.param(
            with_item(FORM), 8, "FormData stands in ItemGroupData, where OpenClinica ignores it", id="misplaced"
        ),
        pytest.param(with_item("<ItemValue/>"), 8, "ODM 1.3 has no element ItemValue in ItemGroupData", id="no-such"),
        pytest.param(signed(""), 10, "Signature has no OpenClinica:Attestation", id="no-attestation"),
        pytest.param(
            signed(f'OpenClinica:Attestation="{"x" * 1001}"'), 10, "the attestation is longer", id="long-attestation"
        ),
        pytest.param(
            changed("<FormData ", '<FormData OpenClinica:Status="done" '),
            6,
            "OpenClinica:Status of FormData F_V is none that the import accepts. "
            "Write one of 'initial data entry', 'complete', 'data entry complete'",
            id="form-status",
        ),
        pytest.param(
            changed("<FormData ", '<FormData OpenClinica:Status="complete" OpenClinica:WorkflowStatus="locked" '),
            6,
            "OpenClinica:WorkflowStatus of FormData F_V is none",
            id="workflow-status-wins",
        ),
        pytest.param(
            changed("<FormData ", '<FormData OpenClinica:SdvStatus="ok" '), 6, "'not verified'", id="sdv-status"
        ),
        pytest.param(
            changed("<StudyEventData ", '<StudyEventData OpenClinica:Signed="true" '), 5, "'Yes', 'No'", id="signed"
        ),
        pytest.param(changed("<ItemGroupData ", '<ItemGroupData Removed="yes" '), 7, "'Yes', 'No'", id="removed"),
        pytest.param(
            changed("<SubjectData ", '<SubjectData TransactionType="Remove" '),
            4,
            'TransactionType="Remove" of SubjectData is ignored by OpenClinica, which removes nothing',
            id="removal-of-a-participant",
        ),
        pytest.param(
            with_item('<ItemData ItemOID="I_HR" TransactionType="Remove" Value="72"/>'),
            8,
            'Write Value="" to clear an item',
            id="removal-of-a-value",
        ),
    ],
)
def test_each_fault_is_an_error_on_its_line(source, line, words):
    errors = [problem for problem in odm.check(source) if problem.severity == "error"]
    assert [(problem.line, words in problem.reason) for problem in errors] == [(line, True)], errors


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(changed("<ItemGroupData ", f'<ItemGroupData TransactionType="{kind}" {more}'), id=kind)
        for kind, more in (
            ("Insert", ""),
            ("Update", ""),
            ("Upsert", ""),
            ("Context", ""),
            ("Remove", 'Removed="Yes" '),
        )
    ],
)
def test_a_transaction_type_that_asks_for_no_more_than_the_import_does_is_no_fault(source):
    (problem,) = odm.check(source)
    assert (problem.severity, "ItemGroupData/@TransactionType" in problem.reason) == ("warning", True)


@pytest.mark.parametrize("name", ["template", "export", "transactional"])
def test_what_vendors_and_other_producers_write_has_warnings_at_most(name):
    problems = odm.check(DATA / f"{name}.xml")
    assert [problem for problem in problems if problem.severity == "error"] == []


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        pytest.param(with_item(ITEM.replace("72", "x" * 4000)), 8, "older servers take 3,999", id="4000-characters"),
        pytest.param(
            changed("2026-01-05", "2026-01-05 08:30"), 5, "older OpenClinica servers refuse", id="time-of-day"
        ),
        pytest.param(with_note(note(ids="")), 8, "DiscrepancyNote has no ID, so each import adds it again", id="no-id"),
        pytest.param(with_note(note(child="")), 8, "ChildNote has no ID", id="no-child-id"),
        pytest.param(with_item(ITEM + ITEM), 8, "ItemData I_HR stands twice in its group", id="same-item-twice"),
        pytest.param(changed("SS_1", ""), 4, 'SubjectKey="" of SubjectData is left out', id="empty-key"),
        pytest.param(
            changed("2026-01-05", ""), 5, 'OpenClinica:StartDate="" of StudyEventData is left out', id="empty-date"
        ),
        pytest.param(
            with_item('<ItemData ItemOID="I_HR" IsNull="Yes"/>'), 8, "without Value is skipped", id="no-value"
        ),
        pytest.param(
            changed("OpenClinica:FormLayoutOID", "FormLayoutOID"),
            6,
            "they are sent in its own form: FormData/OpenClinica:FormLayoutOID",
            id="unprefixed-attribute",
        ),
        pytest.param(
            with_note(note().replace("OpenClinica:Disc", "Disc")),
            8,
            "they are sent in its own form: OpenClinica:DiscrepancyNotes, OpenClinica:DiscrepancyNote",
            id="unprefixed-notes",
        ),
        pytest.param(
            changed("<FormData ", '<AuditRecord/><FormData OpenClinica:FormName="Vitals" '),
            6,
            "left out, since OpenClinica's import does not read them: StudyEventData/AuditRecord, FormData/@FormName",
            id="left-out",
        ),
    ],
)
def test_what_may_go_wrong_is_a_warning_on_its_line(source, line, words):
    (problem,) = odm.check(source)
    assert words in problem.reason
    assert (problem.line, problem.severity) == (line, "warning")


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(changed("2026-01-05", "2024-02-29"), id="leap-day"),
        pytest.param(changed('"2026-01-05"', '"2026-01-05" OpenClinica:EndDate="2026-01-05"'), id="one-day-visit"),
        pytest.param(changed("<FormData ", '<FormData OpenClinica:Status="Complete" '), id="status-in-any-case"),
        pytest.param(changed("<FormData ", '<FormData OpenClinica:SdvStatus="Verified" '), id="sdv-in-any-case"),
        pytest.param(changed("<ItemGroupData ", '<ItemGroupData OpenClinica:Removed="Yes" '), id="the-vendors-removed"),
        pytest.param(changed(GROUP, ""), id="a-form-without-items-can-be-completed"),
        pytest.param(changed('"72"', '""'), id="an-empty-value-clears"),
        pytest.param(with_item(ITEM.replace("72", "x" * 3999)), id="3999-characters"),
        pytest.param(with_note(note(text="x" * 1000)), id="1000-characters-of-note"),
        pytest.param(with_note(note(text=f"\n{'x' * 1000}\n")), id="indented-note"),
        pytest.param(with_note(note(kind='NoteType="annotation"')), id="annotation"),
        pytest.param(with_item(f"<!-- {ITEM} --><?php 1 ?>{ITEM}"), id="comments"),
        pytest.param(
            document(f'<Study OID="S"><a>text</a></Study>{CLINICAL}{CLINICAL}'), id="metadata-and-two-studies"
        ),
    ],
)
def test_these_are_right(source):
    assert found(source) == []


def test_without_required_repeat_keys_a_document_may_lack_them():
    bare = changed('StudyEventRepeatKey="1"', "").getvalue().replace(b'ItemGroupRepeatKey="1"', b"")
    assert found(io.BytesIO(bare), require_repeat_keys=False) == []
    assert len(found(io.BytesIO(bare))) == 2


def test_all_problems_are_told_sorted_by_line_up_to_a_break():
    body = CLINICAL.replace("2026-01-05", "2026-02-31").replace('FormOID="F_V"', "").replace(ITEM, f"{ITEM}<oops>")
    assert [problem.line for problem in odm.check(document(body))] == [5, 6, 8, 9]


def test_a_line_is_right_in_a_file_longer_than_65535_lines():
    before = '<Study OID="S">' + "\n" * 70_000 + "</Study>\n"
    (problem,) = odm.check(document(before + CLINICAL.replace("S_JUNO", "")))
    assert problem.line == 3 + 70_000 + 1


def test_after_a_hundred_of_a_kind_the_rest_is_counted():
    bad = with_item("\n".join(['<ItemData Value="1"/>'] * 101 + [ITEM] * 201))
    problems = odm.check(bad)
    assert len(problems) == 202
    assert [str(problem) for problem in problems[-2:]] == ["and 1 more error", "and 100 more warnings"]


def test_an_entity_bomb_costs_nothing():
    started = time.perf_counter()
    odm.check(io.BytesIO(f"<!DOCTYPE ODM [{BOMB}]><ODM>{'&e11;' * 1000}</ODM>".encode()))
    assert time.perf_counter() - started < 60  # where expanding it would take hours


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        pytest.param(b"<SiteRef>", "nested more than 256 deep", id="depth"),
        pytest.param(b"<!--" + b" " * 5_000_000, "longer than 4 MiB", id="comment"),
        pytest.param(b"<ItemGroupData ItemGroupOID='" + b"x" * 5_000_000, "longer than 4 MiB", id="value"),
    ],
)
def test_a_document_made_to_exhaust_the_parser_is_refused(piece, words):
    begun = document().getvalue().partition(b"<FormData")[0]
    *_, last = odm.check(io.BytesIO(begun + piece * (300 if len(piece) < 10 else 1)))
    assert words in last.reason


def test_a_note_without_end_is_refused():
    open_note = with_note(note(text="x" * 5_000_000))
    assert "longer than 4 MiB" in odm.check(open_note)[-1].reason


def test_a_file_that_cannot_be_opened_raises(tmp_path):
    with pytest.raises(FileError, match="cannot be opened"):
        odm.check(tmp_path / "missing.xml")


SECRET = "Q-7391"


@pytest.mark.parametrize(
    "old",
    ["SS_1", "B-001", "2026-01-05", 'StudyEventRepeatKey="1"', 'ItemGroupRepeatKey="1"', 'FormLayoutOID="1"', '"72"'],
)
def test_no_message_quotes_a_value_or_a_participant(old):
    name = old.partition("=")[0]
    new = f'{name}="{SECRET}"' if "=" in old else old.replace(old.strip('"'), SECRET)
    body = CLINICAL.replace(old, new).replace("<FormData ", f'<FormData OpenClinica:Status="{SECRET}" ')
    body = body.replace("<ItemGroupData ", f'<ItemGroupData Removed="{SECRET}" ').replace(
        "<ItemData ", f"{SECRET}<ItemData "
    )
    body = body.replace("</StudyEventData>", f'<Signature OpenClinica:Attestation="{SECRET * 200}"/></StudyEventData>')
    told = " ".join(found(document(body + f"<{SECRET}")))
    assert told
    assert SECRET not in told


@given(st.binary(max_size=300))
def test_no_content_makes_it_raise(content):
    assert odm.check(io.BytesIO(content))


@given(st.data())
def test_a_damaged_document_never_makes_it_raise(data):
    content = bytearray(document().getvalue())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    assert all(isinstance(problem, Problem) for problem in odm.check(io.BytesIO(bytes(content))))

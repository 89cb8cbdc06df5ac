from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_openclinica import odm
from airflow_provider_openclinica.errors import FileError
from airflow_provider_openclinica.odm.reader import AuditEntry, Event, Form, Item, ItemGroup, Participant, Query
from airflow_provider_openclinica.odm.repair import Repairs
from airflow_provider_openclinica.odm.subjects import subjects
from tests.odm.exports import EXPORTS, ODM, PROLOG, as_json, clinical, export, items_in, with_subject
from tests.odm.records import items, only

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPORT = Path(__file__).parent / "data" / "export.xml"

KEYS = {
    "study_oid": "S_BOSTON",
    "subject_key": "SS_1",
    "participant_id": "B-001",
    "study_event_oid": "SE_V",
    "study_event_repeat_key": "1",
    "form_oid": "F_V",
    "form_repeat_key": "1",
    "item_group_oid": "IG_V",
    "item_group_repeat_key": "2",
    "item_oid": "I_HR",
}


def keys(count: int, **others: Any) -> dict[str, Any]:
    """Return the first keys of the only item in the export, and others."""
    return dict(list(KEYS.items())[:count]) | others


# -- OpenClinica 4


def test_an_export_is_read_in_the_order_of_the_document() -> None:
    kinds = [Participant, Event, Form, ItemGroup, Item, AuditEntry, Query, Query, Query, Query]
    assert [type(record) for record in odm.read(EXPORT)] == kinds


def test_a_participant_is_read() -> None:
    assert only(EXPORT, Participant) == Participant(
        **keys(3),
        status="signed",
        unique_identifier="1",
        secondary_id="",
        year_of_birth="",
        date_of_birth="",
        sex="f",
        enrollment_date="2026-01-05",
        removed=False,
    )


def test_an_event_is_read() -> None:
    assert only(EXPORT, Event) == Event(
        **keys(5),
        name="Visit",
        location="",
        start_date="2026-01-05",
        end_date="",
        status="signed",
        workflow_status="completed",
        age_at_event="40",
        removed=False,
        archived=False,
        locked=True,
        signed=True,
    )


def test_a_form_is_read() -> None:
    assert only(EXPORT, Form) == Form(
        **keys(7),
        name="Vitals",
        form_layout_oid="1",
        status="invalid",
        workflow_status="data entry complete",
        sdv_status="Changed since verified",
        interviewer_name="",
        interview_date="",
        created_at="2026-01-05T08:00:00",
        created_by="jdoe",
        updated_at="",
        updated_by="jdoe",
        removed=True,
        archived=False,
    )


def test_a_value_is_read_with_its_group_its_unit_and_its_history() -> None:
    group, item = only(EXPORT, ItemGroup), only(EXPORT, Item)
    assert (group.name, group.transaction_type, group.removed) == ("main", "Insert", True)
    assert (item.value, item.name, item.measurement_unit_oid, item.removed) == ("72", "hr", "MU_1", True)
    audit = only(EXPORT, AuditEntry)
    assert audit == AuditEntry(
        **KEYS,
        level="item",
        audit_id="AL_17",
        user_id="USR_3",
        user_name="jdoe",
        name="Jo Doe",
        timestamp="",
        audit_type="Item data value updated",
        reason_for_change="",
        old_value="71",
        new_value="72",
        value_type="",
        details="",
    )


def test_a_query_knows_what_it_is_about() -> None:
    queries = [record for record in odm.read(EXPORT) if isinstance(record, Query)]
    assert [query.level for query in queries] == ["item", "form", "event", "participant"]
    for query, count in zip(queries, (10, 7, 5, 3), strict=True):
        assert {name: getattr(query, name) for name in KEYS} == dict.fromkeys(KEYS, "") | keys(count)
    first = queries[0]
    assert (first.query_id, first.query_number, first.status, first.note_type) == ("DN_1", "1", "New", "Query")
    assert (first.note_number, first.note_id, first.note_status) == (1, "CDN_1", "New")
    assert (first.description, first.detailed_note) == ("of the thread", "Please confirm")
    assert (first.note_user_name, first.assigned_user_name, first.assigned_user_oid) == ("jdoe", "jdoe", "USR_3")


def test_a_thread_comes_once_for_each_note_and_once_without_any() -> None:
    notes = '<OpenClinica:ChildNote ID="CDN_1"/><OpenClinica:ChildNote ID="CDN_2"/>'
    threads = f'<OpenClinica:DiscrepancyNote ID="DN_1">{notes}</OpenClinica:DiscrepancyNote>'
    threads += '<OpenClinica:DiscrepancyNote ID="DN_2"/>'
    body = f"<OpenClinica:DiscrepancyNotes>{threads}</OpenClinica:DiscrepancyNotes>"
    found = odm.read(io.BytesIO(with_subject(f'<SubjectData SubjectKey="SS_1">{body}</SubjectData>')))
    queries = [record for record in found if isinstance(record, Query)]
    assert [(query.query_id, query.note_number, query.note_id) for query in queries] == [
        ("DN_1", 1, "CDN_1"),
        ("DN_1", 2, "CDN_2"),
        ("DN_2", 0, ""),
    ]


@pytest.mark.parametrize(
    ("subject", "event", "form", "group", "removed", "archived"),
    [
        pytest.param("", "", "", "", False, False, id="neither"),
        pytest.param("OpenClinica:Status='Removed'", "", "", "", True, False, id="participant-removed"),
        pytest.param("OpenClinica:Status='auto-removed'", "", "", "", True, False, id="participant-auto-removed"),
        pytest.param("", "OpenClinica:Removed='Yes'", "", "", True, False, id="event-removed"),
        pytest.param("", "OpenClinica:Archived='Yes'", "OpenClinica:Status='invalid'", "", False, True, id="archived"),
        pytest.param("", "OpenClinica:Removed='No'", "OpenClinica:Archived='No'", "", False, False, id="said-to-be-no"),
        pytest.param("", "", "OpenClinica:Archived='Yes'", "", False, True, id="form-archived"),
        pytest.param("", "", "OpenClinica:Status='invalid'", "", True, False, id="form-removed-in-openclinica-3"),
        pytest.param("", "", "", "OpenClinica:Removed='Yes'", True, False, id="group-removed"),
    ],
)
def test_an_item_is_removed_when_anything_above_it_is(
    subject: str, event: str, form: str, group: str, removed: bool, archived: bool
) -> None:
    body = f'<ItemGroupData ItemGroupOID="IG" {group}><ItemData ItemOID="I" Value="1"/></ItemGroupData>'
    body = f'<StudyEventData StudyEventOID="SE" {event}><FormData FormOID="F" {form}>{body}</FormData></StudyEventData>'
    item = only(io.BytesIO(with_subject(f'<SubjectData SubjectKey="SS" {subject}>{body}</SubjectData>')), Item)
    assert (item.removed, item.archived) == (removed, archived)


def test_the_same_keys_may_come_twice_once_removed() -> None:
    group = (
        '<ItemGroupData ItemGroupOID="IG" ItemGroupRepeatKey="1" {}><ItemData ItemOID="I" Value="{}"/></ItemGroupData>'
    )
    groups = group.format("", 1) + group.format('OpenClinica:Removed="Yes"', 2)
    body = f'<StudyEventData StudyEventOID="SE"><FormData FormOID="F">{groups}</FormData></StudyEventData>'
    found = items(with_subject(f'<SubjectData SubjectKey="SS">{body}</SubjectData>'))
    assert [row[-3:] for row in found] == [("1", False, False), ("2", True, False)]
    assert len({row[:-3] for row in found}) == 1


def test_sites_are_kept_apart() -> None:
    subject = ("SubjectData", {"SubjectKey": "SS_1"}, [])
    document = export(clinical(subject, study_oid="S_BOSTON"), clinical(subject, study_oid="S_LEIDEN"))
    assert [record.study_oid for record in odm.read([document.encode()])] == ["S_BOSTON", "S_LEIDEN"]


# -- others


def test_openclinica_3_is_read() -> None:
    body = """<SubjectData SubjectKey="SS_A1" OpenClinica:StudySubjectID="A&#45;1" OpenClinica:Status="available"
          OpenClinica:Sex="null" OpenClinica:EnrollmentDate="null">
        <StudyEventData OpenClinica:Status="completed" StudyEventOID="SE_S"
            OpenClinica:StartDate="2026-01-04 09:30:00.0">
          <FormData FormOID="F_VITALS_1" OpenClinica:Version="v1" OpenClinica:Status="data entry complete">
            <ItemGroupData ItemGroupOID="IG_V" TransactionType="Insert">
              <ItemData ItemOID="I_V_PULSE" Value="72 &#181;">
                <OpenClinica:AuditLogs EntityID="I_V_PULSE">
                  <OpenClinica:AuditLog ID="AL_1" Type="Item data value updated" NewValue="72"/>
                </OpenClinica:AuditLogs>
              </ItemData>
            </ItemGroupData>
          </FormData>
        </StudyEventData>
        <OpenClinica:SubjectGroupData OpenClinica:StudyGroupName="arm"/>
      </SubjectData>"""
    document = with_subject(body).replace(b"UTF-8", b"US-ASCII")
    participant, event, form, group, item, audit = odm.read(io.BytesIO(document))
    assert isinstance(participant, Participant)
    assert (participant.participant_id, participant.sex, participant.enrollment_date) == ("A-1", "", "")
    assert isinstance(event, Event)
    assert (event.study_event_repeat_key, event.start_date) == ("1", "2026-01-04 09:30:00.0")
    assert isinstance(form, Form)
    assert (form.form_layout_oid, form.removed) == ("v1", False)
    assert isinstance(group, ItemGroup)
    assert group.item_group_repeat_key == "1"
    assert isinstance(item, Item)
    assert (item.value, item.form_layout_oid) == ("72 µ", "v1")
    assert isinstance(audit, AuditEntry)
    assert (audit.audit_type, audit.new_value) == ("Item data value updated", "72")


@pytest.mark.parametrize(
    ("item", "value", "is_null", "data_type"),
    [
        pytest.param('<ItemData ItemOID="I" Value=""/>', "", False, "", id="an-empty-value"),
        pytest.param('<ItemData ItemOID="I"/>', None, False, "", id="no-value"),
        pytest.param('<ItemData ItemOID="I" IsNull="Yes"/>', None, True, "", id="null"),
        pytest.param('<ItemData ItemOID="I" IsNull="Yes" Value="NASK"/>', None, True, "", id="null-with-a-value"),
        pytest.param('<ItemDataFloat ItemOID="I"> 36.6\n</ItemDataFloat>', "36.6", False, "Float", id="float"),
        pytest.param('<ItemDataString ItemOID="I"> a\n</ItemDataString>', " a\n", False, "String", id="string"),
        pytest.param('<ItemDataString ItemOID="I"/>', "", False, "String", id="an-empty-string"),
        pytest.param('<ItemDataDate ItemOID="I" IsNull="Yes"/>', None, True, "Date", id="typed-null"),
        pytest.param("<ItemDataAny ItemOID='I'>a<!-- x -->b</ItemDataAny>", "ab", False, "Any", id="with-a-comment"),
    ],
)
def test_odm_of_other_systems_is_read(item: str, value: str | None, is_null: bool, data_type: str) -> None:
    body = (
        '<SubjectData SubjectKey="001"><AuditRecord ID="A1"><UserRef UserOID="U1"/><LocationRef LocationOID="L"/>'
        "<DateTimeStamp>2026-01-05T08:00:00Z</DateTimeStamp><ReasonForChange>typo</ReasonForChange></AuditRecord>"
        '<StudyEventData StudyEventOID="SE"><FormData FormOID="F" FormRepeatKey="3"><ItemGroupData ItemGroupOID="IG">'
        f"{item}</ItemGroupData></FormData></StudyEventData></SubjectData>"
    )
    document = with_subject(body, root=f'<ODM xmlns="{ODM}" ODMVersion="1.3.2">')
    found = only(io.BytesIO(document), Item)
    assert (found.value, found.is_null, found.data_type) == (value, is_null, data_type)
    assert (found.participant_id, found.form_repeat_key) == ("", "3")
    audit = only(io.BytesIO(document), AuditEntry)
    assert (audit.level, audit.audit_id, audit.user_id) == ("participant", "A1", "U1")
    assert (audit.timestamp, audit.reason_for_change) == ("2026-01-05T08:00:00Z", "typo")


def test_names_of_somebody_else_are_passed_over() -> None:
    other = 'xmlns:x="urn:other" x:Status="Removed" x:StudySubjectID="no"'
    participant = only(
        io.BytesIO(with_subject(f'<SubjectData SubjectKey="SS" {other}><x:AuditLogs/></SubjectData>')), Participant
    )
    assert (participant.removed, participant.participant_id) == (False, "")


# -- sources


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_any_source_gives_the_same(size: int) -> None:
    data = EXPORT.read_bytes()
    expected = list(odm.read(EXPORT))
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    assert list(odm.read(io.BytesIO(data))) == expected
    assert list(odm.read(iter([b"", *chunks]))) == expected
    assert list(odm.read(chunks, charset="UTF-8")) == expected


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b" \n ", "is empty", id="blank"),
        pytest.param(b"PK\x03\x04", "not XML", id="a-zip"),
        pytest.param(b"<html><body/></html>", "root element is not ODM", id="a-page"),
        pytest.param(b'<ODM ODMVersion="1.1"/>', "it is ODM 1.1", id="odm-1.1"),
        pytest.param(b'<ODM xmlns="http://www.cdisc.org/ns/odm/v1.2"/>', "it is ODM 1.2", id="odm-1.2"),
        pytest.param(b'<ODM xmlns="http://www.cdisc.org/ns/odm/v2.0" ODMVersion="2.0"/>', "ODM 2.0", id="odm-2.0"),
        pytest.param(b'<ODM ODMVersion="Ann"/>', "not in the namespace", id="no-namespace"),
        pytest.param(b'<ODM xmlns="urn:x" ODMVersion="1.3"/>', "not in the namespace", id="another-namespace"),
        pytest.param(b'<!DOCTYPE ODM [<!ENTITY a "b">]><ODM/>', "document type declaration", id="a-doctype"),
        pytest.param(export().encode()[:-8], "cut off.*Fetch it again", id="cut-off"),
        pytest.param(export().encode() + b"<ODM/>", "something follows.*Fetch it again", id="two-documents"),
        pytest.param(b"<ODM xmlns=urn:x>", "line 1: the XML is broken", id="broken-in-the-root"),
        pytest.param(PROLOG.encode() + b"<ODM", "the XML is broken|cut off|not ODM", id="cut-off-in-the-root"),
        pytest.param(b"{}", "no export of ODM 1.3", id="json-of-nothing"),
        pytest.param(b'{"@ODMVersion": "2.0"}', "it is ODM 2.0", id="json-of-another-version"),
        pytest.param(as_json()[:-3], "broken, or was cut off", id="json-cut-off"),
        pytest.param(b'{"@ODMVersion": "1.3", "ClinicalData": 7}', "broken", id="json-of-another-shape"),
        pytest.param(b'{"@ODMVersion": "1.3", "a": function(a){}}', "broken", id="json-as-the-server-breaks-it"),
        pytest.param(b'{"@ODMVersion": "1.3", "a": ' + b"[" * 100_000, "broken", id="json-too-deep"),
    ],
)
def test_what_is_no_odm_1_3_is_refused_by_name(document: bytes, complaint: str) -> None:
    with pytest.raises(FileError, match=complaint):
        list(odm.read(io.BytesIO(document)))


def test_what_came_before_a_break_is_read_and_the_break_is_not_quoted() -> None:
    good = '<SubjectData SubjectKey="SS_1"/>'
    bad = '<SubjectData SubjectKey="SS_2"><AuditLogs><AuditLog Name="Ann "Secret" Lee"/></AuditLogs></SubjectData>'
    document = with_subject(f"{good}\n" * 10_000 + bad)
    records, seen = odm.read(io.BytesIO(document)), []
    with pytest.raises(FileError, match="line 10002: the XML is broken") as caught:
        seen.extend(records)
    assert len(seen) > 5_000
    assert "Secret" not in f"{caught.value}{caught.value.__cause__}"
    assert caught.value.__suppress_context__


def test_what_was_mended_is_reported() -> None:
    subject = ("SubjectData", {"SubjectKey": "SS_1", "oc:StudySubjectID": "😀", "oc:SecondaryID": "\x01"}, [])
    repairs = Repairs()
    participant = only([export(clinical(subject)).encode()], Participant, repairs=repairs)
    assert (participant.participant_id, participant.secondary_id) == ("😀", "\ufffd")
    assert repairs.counts() == {"surrogate_pairs": 1, "illegal_characters": 1}


def test_a_charset_overrules_the_prolog() -> None:
    body = '<SubjectData SubjectKey="SS_1" OpenClinica:StudySubjectID="Ã©"/>'
    document = with_subject(body).decode().encode("latin-1")
    assert only([document], Participant, charset="ISO-8859-1").participant_id == "Ã©"


def test_a_record_that_is_printed_shows_no_participant_and_no_value() -> None:
    shown = "".join(map(repr, odm.read(EXPORT)))
    assert "Item(study_oid=S_BOSTON, study_event_oid=SE_V, form_oid=F_V, item_group_oid=IG_V, item_oid=I_HR)" in shown
    for secret in ("SS_1", "B-001", "72", "Jo Doe", "jdoe", "Please confirm", "2026"):
        assert secret not in shown


@pytest.mark.parametrize("written", [lambda node: export(node).encode(), as_json], ids=["xml", "json"])
def test_memory_does_not_grow_with_the_document(written: Any) -> None:
    item = ("ItemData", {"ItemOID": "I_1", "Value": "x" * 1000}, [])
    group = ("ItemGroupData", {"ItemGroupOID": "IG"}, [item] * 100)
    event = ("StudyEventData", {"StudyEventOID": "SE"}, [("FormData", {"FormOID": "F"}, [group])])
    subject = ("SubjectData", {"SubjectKey": "SS"}, [event])
    document = written(clinical(subject, subject, subject))
    first, second, third = _places(document)
    head, middle, tail = document[:first], document[first:second], document[third:]

    def chunks(count: int) -> Iterator[bytes]:
        yield head
        for _ in range(count):
            yield middle
        yield tail

    process = psutil.Process()
    assert sum(1 for _ in subjects(chunks(100))) == 101
    before = process.memory_info().rss
    assert sum(1 for _ in subjects(chunks(1000))) == 1001
    assert process.memory_info().rss - before < 16 << 20, f"{len(middle) * 600 >> 20} MB were read"


def _places(document: bytes) -> Iterator[int]:
    """Yield where each participant begins."""
    mark = b'{\n        "@SubjectKey"' if document.startswith(b"{") else b"<SubjectData"
    at = document.find(mark)
    while at >= 0:
        yield at
        at = document.find(mark, at + 1)


# -- any export


@settings(max_examples=50)
@given(EXPORTS)
def test_every_value_comes_back_from_xml_with_its_keys(clinical_data: list[Any]) -> None:
    repairs = Repairs()
    assert items(export(*clinical_data).encode(), repairs=repairs) == items_in(clinical_data)
    assert repairs.counts().keys() <= {"surrogate_pairs"}


WHOLE = [
    EXPORT.read_bytes(),
    as_json(clinical(("SubjectData", {"SubjectKey": "SS"}, [("StudyEventData", {"StudyEventOID": "SE"}, [])]))),
]


@settings(max_examples=200)
@given(st.sampled_from(WHOLE), st.integers(0, 5000), st.integers(0, 40), st.binary(max_size=8))
def test_a_damaged_document_is_read_or_refused(document: bytes, place: int, length: int, instead: bytes) -> None:
    at = place % len(document)
    damaged = document[:at] + instead + document[at + length :]
    with contextlib.suppress(FileError):
        list(odm.flatten(io.BytesIO(damaged)))
    with contextlib.suppress(FileError):
        odm.read_metadata(io.BytesIO(damaged))

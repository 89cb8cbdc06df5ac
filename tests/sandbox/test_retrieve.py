"""What a retrieval finds: selectors, flags, roles (docs/protocol.md, clinical data)."""

from __future__ import annotations

import re

import pytest
import requests

from tests.sandbox import imports
from tests.sandbox.calls import Caller, is_html
from tests.sandbox.retrievals import JSON, OC, XML, document, found, only, retrieve

ALL_SITES = ["S_BOSTON", "S_LEIDEN"]


def fill(manager: Caller) -> None:
    """Give BOS-001 two follow-up visits with two forms, and an adverse event."""
    visits = [
        imports.event(
            imports.form(imports.group(imports.item("I_LABS_SAMPLE", f"A-{key}"))),
            imports.form(
                imports.group(imports.item("I_VITALS_PULSE", "72"), oid="IG_VITALS_MAIN"), oid="F_VITALS", layout="2"
            ),
            key=str(key),
        )
        for key in (1, 2)
    ]
    subject = imports.subject(*visits, imports.common(imports.adverse_event()))
    log = manager.finished(manager.submitted(imports.odm(subject).encode())).text
    assert "Failed" not in log


@pytest.fixture
def filled(manager: Caller) -> Caller:
    fill(manager)
    return manager


# Selectors


def test_everything_of_a_study_comes_site_by_site(filled):
    root = document(filled)
    assert found(root, "ClinicalData", "StudyOID") == ALL_SITES, "and none for the study, where nobody is"
    assert found(root, "ClinicalData", "MetaDataVersionOID") == ["null", "null"]
    assert len(found(root, "SubjectData", "SubjectKey")) == 12
    assert root.find("{*}Study") is None


def test_everything_of_a_site_is_of_that_site_only(filled):
    root = document(filled, "S_LEIDEN/*/*/*")
    assert found(root, "ClinicalData", "StudyOID") == ["S_LEIDEN"]
    assert len(found(root, "SubjectData", "SubjectKey")) == 5


@pytest.mark.parametrize("participant", ["SS_BOS001", "BOS-001"])
def test_a_participant_is_found_by_oid_or_id_under_the_oid_that_was_asked_for(filled, participant):
    root = document(filled, f"S_JUNO/{participant}/*/*")
    assert found(root, "ClinicalData", "StudyOID") == ["S_JUNO"]
    assert found(root, "SubjectData", f"{OC}StudySubjectID") == ["BOS-001"]
    assert found(root, "StudyEventData", "StudyEventOID") == ["SE_FOLLOWUP", "SE_FOLLOWUP", "SE_AE"]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ("SE_FOLLOWUP", ["1", "2"]),
        ("SE_FOLLOWUP[2]", ["2"]),
        ("SE_FOLLOWUP[2],SE_AE", ["2", "1"]),
        ("SE_FOLLOWUP[7]", []),
        ("SE_NOPE", []),
        ("se_followup", []),
    ],
)
def test_events_are_selected_by_oid_by_occurrence_or_by_a_list(filled, events, expected):
    root = document(filled, f"S_JUNO/BOS-001/{events}/*")
    assert found(root, "StudyEventData", "StudyEventRepeatKey") == expected
    assert found(root, "SubjectData", "SubjectKey") == ["SS_BOS001"]


@pytest.mark.parametrize(
    ("selector", "docs", "source"),
    [
        ("F_VITALS_1", [], ["F_VITALS"]),  # the first version: in the source it selects data of whatever version
        ("F_VITALS_2", ["F_VITALS"], []),
        ("F_VITALS", ["F_VITALS"], []),
        ("F_NOPE", [], []),
        ("*", ["F_LABS", "F_VITALS"], ["F_LABS", "F_VITALS"]),
    ],
)
def test_a_form_is_selected_by_what_the_documents_or_the_source_take(filled, selector, docs, source):
    root = document(filled, f"S_JUNO/BOS-001/SE_FOLLOWUP[1]/{selector}")
    assert found(root, "FormData", "FormOID") == (docs if filled.is_docs else source)
    assert found(root, "StudyEventData", "StudyEventOID") == ["SE_FOLLOWUP"], "its event is there all the same"


@pytest.mark.parametrize(
    "path",
    [
        "*/SE_FOLLOWUP/*",
        "*/*/F_LABS_1",
        "*/SE_FOLLOWUP/F_LABS_1",
        "BOS-001/*/F_LABS_1",
        "BOS-001/*/F_LABS",
        "BOS-001/SE_FOLLOWUP,SE_AE/F_LABS_1",
    ],
)
def test_other_combinations_are_answered_without_clinical_data(filled, path):
    root = document(filled, f"S_JUNO/{path}")
    assert len(root) == 0


@pytest.mark.parametrize(
    "path",
    [
        "S_NOPE/*/*/*",
        "s_juno/*/*/*",
        "S_JUNO/BOS-999/*/*",
        "S_JUNO/bos-001/*/*",
        "S_LEIDEN/BOS-001/*/*",
        "S_JUNO/BOS-001/SE_FOLLOWUP[a]/*",
        "S_JUNO/BOS-001/SE_FOLLOWUP[]/*",
    ],
)
def test_what_nobody_can_find_breaks_the_server(filled, path):
    answer = retrieve(filled, path)
    assert (answer.status_code, is_html(answer)) == (500, True)


def test_a_participant_of_another_site_asked_for_by_oid_is_nobody(filled):
    root = document(filled, "S_LEIDEN/SS_BOS001/*/*")
    assert found(root, "SubjectData", "SubjectKey") == ["null"]
    assert len(only(root, "SubjectData")) == 0


@pytest.mark.parametrize("path", ["clinicaldata/S_JUNO/BOS-001", "clinicaldata/S_JUNO/*/*", "clinicaldata/S_JUNO"])
def test_the_path_has_four_parts(filled, path):
    assert filled.get(path, headers={"Accept": XML}).status_code == 404


# Flags and roles


def test_metadata_stand_before_the_data(filled):
    root = document(filled, includeMetadata="y")
    names = [node.tag.rpartition("}")[2] for node in root]
    assert list(dict.fromkeys(names)) == ["Study", "AdminData", "ClinicalData"]


def test_whoever_is_named_in_the_data_is_named_with_the_metadata(filled):
    root = document(filled, includeMetadata="y", includeAudits="y")
    named = dict(zip(found(root, "User", "OID"), root.xpath("//*[local-name()='FullName']/text()"), strict=True))
    assert named["USR_2"] == "Data Manager"
    assert set(found(root, "AuditLog", "UserID")) <= set(named)


@pytest.mark.parametrize("value", ["n", "no", "N", "NO", "maybe", ""])
def test_data_that_nobody_wants_are_left_out(filled, value):
    assert found(document(filled, clinicaldata=value), "ClinicalData", "StudyOID") == []


@pytest.mark.parametrize("name", ["clinicalData", "includeDN"])
def test_the_spellings_of_the_vendors_samples_mean_nothing_to_the_source(filled, name):
    wanted = {"clinicalData": "n", "includeDN": "y"}[name]
    note = imports.item("I_LABS_SAMPLE", "A-1", imports.note(imports.entry(user="monitor")))
    filled.finished(filled.submitted(imports.odm(imports.labs(imports.group(note))).encode()))
    root = document(filled, **{name: wanted})
    has_data, has_notes = bool(found(root, "ItemData", "ItemOID")), bool(found(root, "DiscrepancyNote", "ID"))
    is_plain = not filled.is_docs or name == "includeDN"
    assert (has_data, has_notes) == (is_plain, filled.is_docs and name == "includeDN")


def test_of_two_spellings_the_sources_own_counts(filled):
    assert found(document(filled, clinicaldata="y", clinicalData="n"), "ClinicalData", "StudyOID") == ALL_SITES


def test_no_role_means_no_data(sandbox, manager):
    fill(manager)
    coordinator = Caller(sandbox, "crc_boston")
    assert found(document(coordinator, "S_BOSTON/*/*/*"), "ClinicalData", "StudyOID") == ["S_BOSTON"]
    assert found(document(coordinator, "S_LEIDEN/*/*/*"), "ClinicalData", "StudyOID") == []
    assert found(document(coordinator, "S_JUNO/*/*/*"), "ClinicalData", "StudyOID") == []


def test_an_account_without_an_active_study_breaks_the_server_where_there_are_data(filled):
    filled.sandbox.service.accounts.get(filled.login).active_study = None
    assert retrieve(filled).status_code == 500
    assert retrieve(filled, clinicaldata="n").status_code == 200


# Removed and archived


@pytest.mark.parametrize("flag", ["removed", "archived"])
def test_hidden_events_are_shown_on_request_or_when_they_are_named(filled, flag):
    event = {"participant": "BOS-001", "event": "SE_FOLLOWUP"}
    filled.sandbox.set_status("event", repeat=2, **event, **{flag: True})
    shown = [
        found(document(filled, path, showArchived=archived), "StudyEventData", "StudyEventRepeatKey")
        for path, archived in (
            ("S_JUNO/BOS-001/*/*", "n"),
            ("S_JUNO/BOS-001/*/*", "y"),
            ("S_JUNO/BOS-001/SE_FOLLOWUP/*", "n"),
        )
    ]
    assert shown == [["1", "1"], ["1", "2", "1"], ["1", "2"]]


@pytest.mark.parametrize("flag", ["removed", "archived"])
def test_hidden_forms_are_shown_on_request_only(filled, flag):
    form = {"participant": "BOS-001", "event": "SE_FOLLOWUP", "form": "F_LABS"}
    filled.sandbox.set_status("form", **form, **{flag: True})
    path = "S_JUNO/BOS-001/SE_FOLLOWUP[1]/*"
    assert found(document(filled, path), "FormData", "FormOID") == ["F_VITALS"]
    shown = document(filled, path, showArchived="y")
    assert found(shown, "FormData", "FormOID") == ["F_LABS", "F_VITALS"]
    assert found(shown, "FormData", f"{OC}{flag.capitalize()}") == ["Yes", None]
    assert found(shown, "FormData", f"{OC}Status") == ["invalid", "initial data entry"]
    assert found(shown, "FormData", f"{OC}WorkflowStatus") == ["initial data entry"] * 2


def test_removed_participants_are_always_there(manager):
    root = document(manager, "S_BOSTON/*/*/*")
    assert found(root, "SubjectData", f"{OC}Status") == ["Available"] * 6 + ["Removed"]


def test_a_removed_repeat_stands_beside_what_was_stored_in_its_place(manager):
    def send(*groups: str) -> None:
        manager.finished(manager.submitted(imports.odm(imports.labs(*groups)).encode()))

    send(imports.results(key="1"), imports.results(key="2"))
    send(imports.results(imports.item("I_LABS_TEST", "GLUC"), key="2", removed="Yes"))
    send(imports.results(imports.item("I_LABS_VALUE", "5.5"), key="2"))
    root = document(manager, "S_JUNO/BOS-001/*/*")
    keys, removed = (found(root, "ItemGroupData", name) for name in ("ItemGroupRepeatKey", f"{OC}Removed"))
    assert list(zip(keys, removed, strict=True)) == [("1", None), ("2", None), ("2", "Yes")]


# Statuses


@pytest.mark.parametrize(
    ("change", "status", "workflow"),
    [
        ({"status": "completed"}, "completed", "completed"),
        ({"status": "data entry started"}, "data entry started", "data entry started"),
        ({"status": "completed", "signed": True}, "signed", "completed"),
        ({"status": "completed", "signed": True, "locked": True}, "Locked", "completed"),
    ],
)
def test_an_event_tells_two_statuses(manager, change, status, workflow):
    manager.sandbox.set_status("event", participant="BOS-001", event="SE_BASELINE", **change)
    event = only(document(manager, "S_JUNO/BOS-001/*/*"), "StudyEventData")
    assert (event.get(f"{OC}Status"), event.get(f"{OC}WorkflowStatus")) == (status, workflow)
    assert event.get(f"{OC}Locked") == ("Yes" if "locked" in change else None)
    assert event.get("StudyEventRepeatKey") is None, "of a visit that does not repeat"


@pytest.mark.parametrize(
    ("change", "status", "sdv"),
    [
        ({"status": "initial data entry"}, "initial data entry", None),
        ({"status": "data entry complete"}, "data entry complete", None),
        ({"sdv_status": "verified"}, "initial data entry", "Verified"),
        ({"sdv_status": "not verified"}, "initial data entry", "Not verified"),
        ({"sdv_status": "changed since verified"}, "initial data entry", "Changed since verified"),
    ],
)
def test_a_form_tells_its_statuses(manager, change, status, sdv):
    manager.sandbox.set_status("form", participant="BOS-001", event="SE_BASELINE", form="F_VITALS", **change)
    form = only(document(manager, "S_JUNO/BOS-001/*/*"), "FormData")
    assert [form.get(f"{OC}{name}") for name in ("Status", "WorkflowStatus", "SdvStatus")] == [status, status, sdv]


def test_a_locked_event_locks_its_forms(filled):
    filled.sandbox.set_status("event", participant="BOS-001", event="SE_AE", locked=True)
    form = only(document(filled, "S_JUNO/BOS-001/SE_AE/*"), "FormData")
    assert form.get(f"{OC}WorkflowStatus") == "Locked"


@pytest.mark.parametrize(
    ("status", "exported", "docs", "source"),
    [
        ("available", "Available", "Available", "AVAILABLE"),
        ("signed", "signed", "Signed", "SIGNED"),
        ("removed", "Removed", "Removed", "DELETED"),
        ("auto removed", "auto-removed", "Auto-removed", "AUTO_DELETED"),
    ],
)
def test_a_participants_status_is_one_thing_in_an_export_and_another_in_a_list(manager, status, exported, docs, source):
    manager.sandbox.set_status("participant", participant="BOS-001", status=status)
    assert only(document(manager, "S_JUNO/BOS-001/*/*"), "SubjectData").get(f"{OC}Status") == exported
    listed = manager.get("clinicaldata/studies/S_JUNO/sites/S_BOSTON/participants").json()["studyParticipants"]
    assert listed[0]["status"] == (docs if manager.is_docs else source)


def test_a_time_is_written_as_a_timestamp(documented):
    manager = Caller(documented)
    body = {"subjectKey": "BOS-001", "studyEventOID": "SE_BASELINE", "startDate": "2026-01-05 10:30"}
    assert manager.call("POST", "clinicaldata/studies/S_JUNO/sites/S_BOSTON/events", json=body).status_code == 200
    event = only(document(manager, "S_JUNO/BOS-001/*/*"), "StudyEventData")
    assert event.get(f"{OC}StartDate") == "2026-01-05 10:30:00.0"


def test_what_was_set_cannot_be_set_to_what_does_not_exist(manager):
    for kind, wanted in [
        ("participant", {"participant": "BOS-999", "status": "signed"}),
        ("participant", {"participant": "BOS-001", "status": "scheduled"}),
        ("event", {"participant": "BOS-001", "event": "SE_NOPE"}),
        ("event", {"participant": "BOS-001", "event": "SE_BASELINE", "frozen": True}),
        ("form", {"participant": "BOS-001", "event": "SE_BASELINE", "form": "F_AE"}),
        ("site", {}),
    ]:
        with pytest.raises(ValueError, match=r"^no "):
            manager.sandbox.set_status(kind, **wanted)
    assert manager.sandbox.events() == []


# The shape


def test_the_document_is_written_as_the_server_writes_it(filled):
    text = retrieve(filled, "S_JUNO/BOS-001/SE_AE/*").text
    shape = re.sub(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\+00:00)?"', '"*"', re.sub(r"\d{14}", "*", text))
    assert shape == SHAPE


SHAPE = """\
<?xml version="1.0" encoding="UTF-8"?>
<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" xmlns:OpenClinica="http://www.openclinica.org/ns/odm_ext_v130/v3.1" \
xmlns:OpenClinicaRules="http://www.openclinica.org/ns/rules/v3.1" \
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
FileOID="Study-MetaD*+0000" Description="Study Metadata" CreationDateTime="*" FileType="Snapshot" ODMVersion="1.3" \
xsi:schemaLocation="http://www.cdisc.org/ns/odm/v1.3 OpenClinica-ODM1-3-0-OC3-0.xsd">
    <ClinicalData StudyOID="S_JUNO" MetaDataVersionOID="null">
        <SubjectData SubjectKey="SS_BOS001" OpenClinica:StudySubjectID="BOS-001" OpenClinica:Status="Available">
            <StudyEventData StudyEventOID="SE_AE" StudyEventRepeatKey="1" OpenClinica:EventName="Adverse events" \
OpenClinica:Status="data entry started" OpenClinica:WorkflowStatus="data entry started">
                <FormData FormOID="F_AE" OpenClinica:FormName="Adverse event" OpenClinica:FormLayoutOID="1" \
OpenClinica:CreatedDate="*" OpenClinica:CreatedBy="data_manager" OpenClinica:UpdatedDate="*" \
OpenClinica:UpdatedBy="data_manager" OpenClinica:Status="initial data entry" \
OpenClinica:WorkflowStatus="initial data entry">
                    <ItemGroupData ItemGroupOID="IG_AE_MAIN" ItemGroupRepeatKey="1" OpenClinica:ItemGroupName="main" \
TransactionType="Insert">
                        <ItemData ItemOID="I_AE_TERM"  OpenClinica:ItemName="term" Value="Headache"/>
                    </ItemGroupData>
                </FormData>
            </StudyEventData>
        </SubjectData>
    </ClinicalData>
</ODM>
"""


# From outside


def test_a_status_can_be_set_over_http(manager):
    wanted = {"kind": "event", "participant": "BOS-001", "event": "SE_FOLLOWUP", "repeat": 2, "status": "skipped"}
    answer = requests.post(f"{manager.sandbox.url}/sandbox/statuses", json=wanted, timeout=10)
    assert (answer.status_code, answer.json()) == (200, {})
    (event,) = manager.sandbox.events()
    assert (event["event"], event["repeat"], event["status"]) == ("SE_FOLLOWUP", 2, "SKIPPED")


@pytest.mark.parametrize(
    "wanted", [{}, {"kind": "site"}, {"kind": "event"}, {"kind": "participant", "participant": "X", "status": "signed"}]
)
def test_a_status_of_nothing_is_refused(manager, wanted):
    answer = requests.post(f"{manager.sandbox.url}/sandbox/statuses", json=wanted, timeout=10)
    assert answer.status_code == 422


@pytest.mark.parametrize("accept", [XML, JSON])
def test_an_answer_can_be_cut(filled, accept):
    filled.sandbox.fault("cut_body", path="clinicaldata/S_JUNO/*", size=1000)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        retrieve(filled, accept=accept)

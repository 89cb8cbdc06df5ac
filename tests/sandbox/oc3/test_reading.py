"""ODM over a session: what is refused how, and what comes though nobody asked (docs/protocol3.md, clinical data)."""

from __future__ import annotations

import json

import pytest
import requests
from lxml import etree

from airflow_provider_openclinica.sandbox.data import ClinicalStore, ItemPlace
from tests.sandbox.oc3.calls import OC, Browser, create, found

XML = "rest/clinicaldata/xml/view"
JSON = "rest/clinicaldata/json/view"


@pytest.fixture
def filled(sandbox, browser):
    """BOS-001 has two events; one of them holds vital signs in version 2 and laboratory values."""
    for event, form in (("SE_BASELINE", "F_VITALS"), ("SE_BASELINE", "F_LABS"), ("SE_SCREENING", "F_DEMOGRAPHICS")):
        sandbox.set_status("form", participant="BOS-001", event=event, form=form, status="initial data entry")
    store_value(sandbox, "72")
    return browser


def store_value(sandbox, value: str) -> None:
    with sandbox.service.state.writing() as db:
        (form,) = db.execute("SELECT id FROM forms WHERE form_oid = 'F_VITALS'").fetchone()
        ClinicalStore(db).insert_value(ItemPlace(form, 1, "I_VITALS_PULSE"), "IG_VITALS_MAIN", value)


def test_everybody_comes_by_site_with_the_design_before(filled):
    root = filled.xml("S_JUNO/*/*/*")
    assert found(root, "Study", "OID") == ["S_JUNO", "S_BOSTON", "S_LEIDEN"]
    assert found(root, "ClinicalData", "StudyOID") == ["S_BOSTON", "S_LEIDEN"]
    assert found(root, "ClinicalData", "MetaDataVersionOID") == ["null", "null"]
    assert len(found(root, "SubjectData", "SubjectKey")) == 12


def test_a_site_comes_alone(filled):
    assert found(filled.xml("S_LEIDEN/*/*/*"), "ClinicalData", "StudyOID") == ["S_LEIDEN"]


@pytest.mark.parametrize("participant", ["BOS-001", "SS_BOS001"])
@pytest.mark.parametrize("study", ["S_JUNO", "S_BOSTON"])
def test_one_participant_comes_with_everything_below_the_own_site(filled, participant, study):
    root = filled.xml(f"{study}/{participant}/*/*")
    (item,) = root.iter("{*}ItemData")
    assert found(root, "ClinicalData", "StudyOID") == ["S_BOSTON"]
    assert found(root, "SubjectData", f"{OC}StudySubjectID") == ["BOS-001"]
    assert found(root, "SubjectData", f"{OC}Sex") == found(root, "SubjectData", f"{OC}EnrollmentDate") == ["null"]
    assert found(root, "StudyEventData", "StudyEventRepeatKey") == ["1", "1"]
    assert (item.get("ItemOID"), item.get("Value")) == ("I_VITALS_PULSE", "72")


def test_a_form_is_named_by_its_version(filled):
    root = filled.xml("S_JUNO/BOS-001/*/*")
    assert found(root, "FormData", "FormOID") == ["F_VITALS_2", "F_LABS_1", "F_DEMOGRAPHICS_1"]
    assert found(root, "FormData", f"{OC}Version") == ["2", "1", "1"]
    assert {"F_VITALS_1", "F_VITALS_2"} <= set(found(root, "FormDef", "OID"))


@pytest.mark.parametrize("event", ["SE_SCREENING", "SE_SCREENING[1]"])
def test_an_event_comes_with_all_the_others(filled, event):
    root = filled.xml(f"S_JUNO/BOS-001/{event}/*")
    assert found(root, "StudyEventData", "StudyEventOID") == ["SE_BASELINE", "SE_SCREENING"]
    assert len(found(root, "FormData", "FormOID")) == 3


def test_a_form_leaves_the_other_events_empty(filled):
    root = filled.xml("S_JUNO/BOS-001/SE_BASELINE/F_VITALS_2")
    assert found(root, "StudyEventData", "StudyEventOID") == ["SE_BASELINE", "SE_SCREENING"]
    assert found(root, "FormData", "FormOID") == ["F_VITALS_2"]


@pytest.mark.parametrize("path", ["S_JUNO/*/SE_BASELINE/*", "S_JUNO/*/*/F_VITALS_2", "S_JUNO/BOS-001/*/F_VITALS_2"])
def test_a_combination_that_nobody_supports_is_500_or_nothing(filled, path):
    assert filled.get(f"{XML}/{path}").status_code == 500
    assert filled.get(f"{JSON}/{path}").status_code == 204
    assert filled.get(f"{JSON}/{path}").content == b""


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("S_NOWHERE/*/*/*", id="study"),
        pytest.param("S_JUNO/NOBODY/*/*", id="participant"),
        pytest.param("S_LEIDEN/BOS-001/*/*", id="participant-of-another-site-by-label"),
        pytest.param("S_JUNO/BOS-001/SE_NOWHERE/*", id="event"),
        pytest.param("*/*/*/*", id="any-study"),
        pytest.param("S_JUNO/*/*", id="too-short"),
    ],
)
@pytest.mark.parametrize("kind", [XML, JSON])
def test_what_does_not_exist_is_500(filled, kind, path):
    assert filled.get(f"{kind}/{path}").status_code == 500


def test_a_participant_of_another_site_is_found_by_oid(filled):
    assert found(filled.xml("S_LEIDEN/SS_BOS001/*/*"), "ClinicalData", "StudyOID") == ["S_BOSTON"]


def test_without_a_role_it_is_403(sandbox):
    browser = Browser(sandbox)
    browser.log_in("crc_boston")
    assert browser.get(f"{XML}/S_JUNO/*/*/*").status_code == 403
    assert browser.get(f"{XML}/S_LEIDEN/*/*/*").status_code == 403
    assert browser.get(f"{XML}/S_BOSTON/*/*/*").status_code == 200
    assert browser.get("rest/metadata/xml/view/S_JUNO").status_code == 403


def test_a_role_that_was_taken_away_gets_past_the_filter_and_no_further(sandbox, browser):
    removed = {"login": "data_manager", "removed_roles": ["S_JUNO"]}
    requests.post(f"{sandbox.url}/sandbox/users", json=removed, timeout=10)
    assert browser.get("rest/metadata/xml/view/S_JUNO").status_code == 200
    assert browser.get(f"{XML}/S_JUNO/*/*/*").status_code == 500
    assert browser.get(f"{JSON}/S_JUNO/*/*/*").status_code == 204


def test_removed_data_come_too(sandbox, filled):
    sandbox.set_status("event", participant="BOS-001", event="SE_BASELINE", removed=True)
    root = filled.xml("S_JUNO/*/*/*")
    assert "removed" in found(root, "SubjectData", f"{OC}Status")
    assert found(root, "StudyEventData", f"{OC}Status") == ["scheduled", "scheduled"]
    assert found(root, "FormData", f"{OC}Status") == ["invalid", "invalid", "initial data entry"]


def test_a_document_is_ascii_under_another_name(sandbox, soap, filled):
    soap.ask("studySubject", create("MÜN-1", uniqueIdentifier="a&amp;b"))
    answer = filled.get(f"{XML}/S_JUNO/*/*/*")
    assert answer.headers["Content-Type"] == "text/xml;charset=UTF-8"
    assert answer.content.isascii()
    assert b"M&#220;N-1" in answer.content
    assert "MÜN-1" in found(etree.fromstring(answer.content), "SubjectData", f"{OC}StudySubjectID")


def test_audits_and_notes_come_when_they_are_asked_for(sandbox, filled):
    with sandbox.service.state.writing() as db:
        (form,) = db.execute("SELECT id FROM forms WHERE form_oid = 'F_VITALS'").fetchone()
        db.execute(
            """INSERT INTO notes (note_id, form, repeat, item_oid, type, status, text, author, assigned, created_at)
               VALUES ('DN_1', ?, 1, 'I_VITALS_PULSE', 'Query', 'New', 'x', 'monitor', '', '2025-01-02T03:04:05')""",
            (form,),
        )
    plain, full = filled.xml("S_JUNO/*/*/*"), filled.xml("S_JUNO/*/*/*", includeAudits="Yes", includeDNs="y")
    assert found(plain, "AuditLog", "ID") == found(plain, "DiscrepancyNote", "ID") == []
    assert found(full, "DiscrepancyNote", "ID") == ["DN_1"]
    assert "Item data value updated" in found(full, "AuditLog", "AuditType")
    assert found(filled.xml("S_JUNO/*/*/*", includeAudits="true"), "AuditLog", "ID") == []


def test_json_has_no_root_and_rewrites_what_looks_like_a_date(sandbox, filled):
    store = sandbox.service.study.groups["IG_VITALS_MAIN"].items[0]
    with sandbox.service.state.writing() as db:
        (form,) = db.execute("SELECT id FROM forms WHERE form_oid = 'F_VITALS'").fetchone()
        ClinicalStore(db).insert_value(ItemPlace(form, 1, store), "IG_VITALS_MAIN", "2025-01-06")
    answer = filled.get(f"{JSON}/S_JUNO/BOS-001/*/*", headers={"Accept-Language": "en-US"})
    document = json.loads(answer.content)
    participant = document["ClinicalData"]["SubjectData"]
    assert {"Study", "AdminData", "@FileOID"} <= document.keys()
    assert participant["@OpenClinica:StudySubjectID"] == "BOS-001"
    assert "06-Jan-2025" in json.dumps(participant["StudyEventData"][0]["FormData"][0])


@pytest.mark.parametrize("path", ["S_JUNO", "S_JUNO/SE_NOWHERE/F_NOWHERE", "*/*/F_VITALS_1"])
def test_a_design_comes_as_a_whole(browser, path):
    answer = browser.get(f"rest/metadata/xml/view/{path}")
    root = etree.fromstring(answer.content)
    assert found(root, "StudyEventDef", "OID")[:2] == ["SE_SCREENING", "SE_BASELINE"]
    assert found(root, "ClinicalData", "StudyOID") == []
    assert found(root, "User", "OID")
    assert browser.get(f"rest/metadata/json/view/{path}").json()["Study"]


@pytest.mark.parametrize("path", ["*", "*/*/*", "*/SE_BASELINE/F_VITALS_1", "S_NOWHERE"])
def test_no_design_is_500(browser, path):
    assert browser.get(f"rest/metadata/xml/view/{path}").status_code == 500


@pytest.mark.parametrize(("automatic", "said"), [(False, "manual"), (True, "auto non-editable")])
def test_a_design_tells_who_makes_the_labels(sandbox, browser, automatic, said):
    sandbox.configure(generates_ids=automatic)
    root = etree.fromstring(browser.get("rest/metadata/xml/view/S_JUNO").content)
    (ref,) = root.xpath("//*[@StudyParameterListID='SPL_subjectIdGeneration']")
    assert ref.get("Value") == said


def test_there_is_a_page_to_print_and_no_pdf(browser):
    assert "html" in browser.get("rest/clinicaldata/html/print/S_JUNO/*/*/*").headers["Content-Type"]
    assert browser.get("rest/clinicaldata/pdf/view/S_JUNO/*/*/*").status_code == 404
    assert browser.get("rest/metadata/pdf/view/S_JUNO").status_code == 404


def test_answers_are_compressed_for_whoever_takes_that(browser):
    packed, plain = (
        browser.get(f"{XML}/S_JUNO/*/*/*", headers={"Accept-Encoding": encoding}) for encoding in ("gzip", "identity")
    )
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert found(etree.fromstring(packed.content), "SubjectData", "SubjectKey") == found(
        etree.fromstring(plain.content), "SubjectData", "SubjectKey"
    )


@pytest.mark.parametrize(("kind", "status"), [("redirect", 302), ("html", 200)])
def test_a_fault_can_bring_up_the_login_page(sandbox, browser, kind, status):
    sandbox.fault(kind, path="OpenClinica/rest/*")
    answer = browser.get(f"{XML}/S_JUNO/*/*/*")
    assert answer.status_code == status
    assert "/pages/login/login" in answer.headers.get("Location", "") or "j_spring_security_check" in answer.text
    assert browser.get(f"{XML}/S_JUNO/*/*/*").status_code == 200

"""The answers of the import and of the lists, as a client without any care sees them."""

from __future__ import annotations

import re
import socket

import pytest
import requests

from airflow_provider_openclinica.sandbox.server import Sandbox
from tests.sandbox.calls import ODM, Caller, is_html, odm, post_raw, raw_part

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


# Accepted


def test_an_import_answers_with_the_uuid_of_its_job_and_nothing_else(manager):
    answer = manager.submit()
    assert answer.status_code == 200
    assert re.fullmatch(f"job uuid: {UUID}", answer.text)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "text/plain;charset=ISO-8859-1"),
        ("application/json", "application/json;charset=ISO-8859-1"),
        ("application/json;charset=UTF-8", "application/json;charset=UTF-8"),
        ("application/json; charset=utf-8, */*", "application/json;charset=utf-8"),
        ("text/html", "text/html;charset=ISO-8859-1"),
        ("application/json;charset=klingon", "application/json;charset=ISO-8859-1"),
        ("application/json;charset=hex", "application/json;charset=ISO-8859-1"),
    ],
)
def test_a_text_takes_the_type_and_charset_of_accept_and_is_never_quoted(manager, accept, content_type):
    answer = manager.submit(headers={"Accept": accept})
    assert answer.headers["Content-Type"] == content_type
    assert answer.text.startswith("job uuid: ")


# Refused


REFUSALS = [
    # what is sent, the source's answer, the documented server's answer
    pytest.param(b"", (415, "invalidXMLFile"), (415, "invalidXMLFile"), id="empty-file"),
    pytest.param(b"no xml", (415, "invalidXMLFile"), (415, "invalidXMLFile"), id="not-xml"),
    pytest.param(b"<ODM/>", (415, "invalidXMLFile"), (415, "invalidXMLFile"), id="no-clinical-data"),
    pytest.param(odm(study=""), (404, "studyOidMissing"), (400, "missingStudyOID"), id="empty-study-oid"),
    pytest.param(odm(study="S_NOPE"), (404, "studyNotExist"), (400, "studyOIDNotFound"), id="unknown-study"),
]


@pytest.mark.parametrize(("document", "source", "docs"), REFUSALS)
def test_an_unusable_document_is_refused_at_once(manager, document, source, docs):
    status, code = docs if manager.is_docs else source
    answer = manager.submit(document or b" ")
    assert (answer.status_code, answer.text.split("\n")[0]) == (status, f"errorCode.{code}")
    assert manager.sandbox.jobs() == []
    if code == "invalidXMLFile":
        assert len(answer.text.splitlines()) > 1, "the parser's message follows on lines of its own"


def test_a_study_oid_that_is_absent_breaks_the_source_and_is_missing_in_the_documents(manager):
    answer = manager.submit(odm().replace(b' StudyOID="S_BOSTON"', b""))
    if manager.is_docs:
        assert (answer.status_code, answer.text) == (400, "errorCode.missingStudyOID")
    else:
        assert (answer.status_code, is_html(answer)) == (500, True)


def test_the_study_oid_is_taken_in_any_case(manager):
    assert manager.submit(odm(study="s_boston")).text.startswith("job uuid: ")


@pytest.mark.parametrize(
    ("closed", "study", "source", "docs"),
    [
        ("S_JUNO", "S_JUNO", "studyNotAvailable", "studyOIDNotAvailable"),
        ("S_JUNO", "S_BOSTON", "studyNotAvailable", "studyOIDNotAvailable"),
        ("S_BOSTON", "S_BOSTON", "siteNotAvailable", "siteNotAvailable"),
    ],
)
def test_a_closed_study_or_site_takes_no_import(manager, closed, study, source, docs):
    change = {"oid": closed, "status": "LOCKED"}
    assert requests.post(f"{manager.sandbox.url}/sandbox/studies", json=change, timeout=10).ok
    answer = manager.submit(odm(study=study))
    wanted = (400, f"errorCode.{docs}") if manager.is_docs else (200, f"errorCode.{source}")
    assert (answer.status_code, answer.text) == wanted


@pytest.mark.parametrize(
    ("roles", "study", "refusal"),
    [
        ({}, "S_JUNO", "noRoleSetUp"),
        ({}, "S_BOSTON", "noRoleSetUp"),
        ({"S_BOSTON": "Investigator"}, "S_JUNO", "noRoleSetUp"),
        ({"S_LEIDEN": "Investigator"}, "S_BOSTON", "noRoleSetUp"),
        ({"S_JUNO": "Monitor"}, "S_JUNO", "noSufficientPrivileges"),
        ({"S_JUNO": "Monitor"}, "S_BOSTON", "noSufficientPrivileges"),
        ({"S_BOSTON": "Monitor"}, "S_BOSTON", "noSufficientPrivileges"),
        ({"S_JUNO": "Data Manager"}, "S_JUNO", ""),
        ({"S_JUNO": "Data Entry Person"}, "S_JUNO", ""),
        ({"S_JUNO": "Data Specialist"}, "S_BOSTON", ""),
        ({"S_BOSTON": "Clinical Research Coordinator"}, "S_BOSTON", ""),
        ({"S_BOSTON": "Investigator"}, "S_BOSTON", ""),
    ],
)
def test_who_may_import_is_a_matter_of_the_role_and_where_it_is_held(sandbox, roles, study, refusal):
    account = {"login": "somebody", "password": "sandbox", "roles": roles, "active_study": "S_JUNO"}
    assert requests.post(f"{sandbox.url}/sandbox/users", json=account, timeout=10).ok
    caller = Caller(sandbox, "somebody")
    answer = caller.submit(odm(study=study))
    if not refusal:
        assert answer.text.startswith("job uuid: ")
        return
    documented = {"noRoleSetUp": "noRoleSetup"}.get(refusal, refusal)
    wanted = (400, f"errorCode.{documented}") if caller.is_docs else (200, f"errorCode.{refusal}")
    assert (answer.status_code, answer.text) == wanted


@pytest.mark.parametrize(
    ("pulse", "status", "text"), [("72", 200, "job uuid: null"), ("fast", 400, "errorCode.importFailed")]
)
def test_a_system_user_waits_for_the_rows_and_gets_no_job(sandbox, pulse, status, text):
    account = {"login": "system", "password": "sandbox", "user_type": "System", "active_study": "S_JUNO"}
    requests.post(f"{sandbox.url}/sandbox/users", json=account, timeout=10)
    answer = Caller(sandbox, "system").submit(odm(pulse=pulse))
    assert (answer.status_code, answer.text) == (status, text)
    assert sandbox.jobs() == []


def test_an_import_of_a_system_user_that_breaks_is_a_page(sandbox):
    account = {"login": "system", "password": "sandbox", "user_type": "System", "active_study": "S_JUNO"}
    requests.post(f"{sandbox.url}/sandbox/users", json=account, timeout=10)
    broken = odm().replace(b'"SE_BASELINE"', b'"SE_AE"').replace(b"2026-01-05", b"soon")
    answer = Caller(sandbox, "system").submit(broken)
    assert (answer.status_code, is_html(answer)) == (500, True)


# Addresses


@pytest.mark.parametrize(
    ("dialect", "path", "status"),
    [
        ("docs", "clinicaldata/import/xml", 200),
        ("docs", "clinicaldata/import", 404),
        ("docs", "clinicaldata/", 404),
        ("source", "clinicaldata/import", 200),
        ("source", "clinicaldata/import/xml", 404),
        ("source", "clinicaldata", 404),
    ],
)
def test_each_dialect_imports_at_an_address_of_its_own(started, dialect, path, status):
    started[dialect].reset()
    answer = Caller(started[dialect]).call("POST", path, files={"file": ("odm.xml", odm())})
    assert answer.status_code == status
    assert is_html(answer) == (status == 404)


@pytest.mark.parametrize(("method", "path"), [("GET", "IMPORT"), ("PUT", "clinicaldata/studies/S_JUNO/participants")])
def test_a_wrong_method_is_a_page(manager, method, path):
    answer = manager.call(method, path.replace("IMPORT", manager.import_path))
    assert (answer.status_code, is_html(answer)) == (405, True)


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        ({"files": {"file": ("odm.xml", odm())}}, 200, {"message": "SUCCESS"}),
        ({"data": odm()}, 200, {"message": "SUCCESS"}),
        ({"data": b"before " + odm() + b" after"}, 200, {"message": "SUCCESS"}),
        ({"files": {"file": ("odm.csv", odm())}}, 400, "errorCode.notXMLfile"),
        ({"data": b"no xml"}, 400, "errorCode.XmlRootTagisNotODM"),
        ({"data": b"<ODM><ClinicalData>"}, 400, "errorCode.Exception"),
        ({"data": odm(study="S_NOPE")}, 400, "errorCode.studyNotExist"),
        ({"data": odm(pulse="fast")}, 400, "errorCode.ValidationFailed"),
        ({"data": ODM.format(study="S_JUNO", subjects="").encode()}, 400, "errorCode.noParticipantIDinDataFile"),
    ],
)
def test_the_deprecated_import_answers_json_and_makes_no_job(sourced, sent, status, body):
    answer = Caller(sourced).call("POST", "clinicaldata/", **sent)
    assert answer.status_code == status
    if status == 200:
        assert answer.json() == body | {"detailMessages": answer.json()["detailMessages"]}
    else:
        assert answer.json()["message"] == "VALIDATION FAILED"
        assert [error["code"] for error in answer.json()["errors"]] == [body]
    assert sourced.jobs() == []
    assert len(sourced.data()) == (1 if status == 200 else 0)


# Participants and metadata


def test_the_study_lists_all_participants_and_does_not_say_where_they_are(manager):
    listed = manager.get("clinicaldata/studies/S_JUNO/participants").json()
    assert {listed["siteID"], listed["siteOID"], listed["siteName"]} == {None}
    assert {one["subjectOid"] for one in listed["studyParticipants"]} >= {"SS_BOS001", "SS_LEI001"}


def test_a_site_lists_its_own_participants_removed_ones_too(manager):
    listed = manager.get("clinicaldata/studies/s_juno/sites/s_boston/participants").json()
    assert listed["siteOID"] == "S_BOSTON"
    status = {one["subjectKey"]: one["status"] for one in listed["studyParticipants"]}
    assert set(status) == {f"BOS-00{number}" for number in range(1, 8)}
    assert (status["BOS-001"], status["BOS-007"]) == (
        ("Available", "Removed") if manager.is_docs else ("AVAILABLE", "DELETED")
    )


def test_moments_are_written_as_each_dialect_does(manager):
    listed = manager.get("clinicaldata/studies/S_JUNO/participants").json()
    written = {one["createdAt"] for one in listed["studyParticipants"]}
    shape = r"[A-Z][a-z]{2} \d{1,2}, \d{4} 12:00:00 AM" if manager.is_docs else r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}\+0000"
    assert all(re.fullmatch(shape, moment) for moment in written)


@pytest.mark.parametrize(
    ("login", "path", "code", "site"),
    [
        ("data_manager", "studies/S_NOPE/participants", "studyNotExist", None),
        ("data_manager", "studies/S_NOPE/sites/S_BOSTON/participants", "studyNotExist", "S_BOSTON"),
        ("data_manager", "studies/S_JUNO/sites/S_NOPE/participants", "invalidSiteIdentifier", "S_NOPE"),
        ("monitor", "studies/S_JUNO/participants", "noSufficientPrivileges", None),
        ("monitor", "studies/S_JUNO/sites/S_BOSTON/participants", "noSufficientPrivileges", "S_BOSTON"),
        ("crc_boston", "studies/S_JUNO/participants", "noRoleSetUp", None),
        ("crc_boston", "studies/S_JUNO/sites/S_LEIDEN/participants", "noRoleSetUp", "S_LEIDEN"),
    ],
)
def test_a_refused_list_says_why_in_json(sandbox, login, path, code, site):
    answer = Caller(sandbox, login).get(f"clinicaldata/{path}")
    assert answer.status_code == 400
    assert answer.json()["message"] == f"errorCode.{code}"
    assert answer.json()["params"]["siteOid"] == site


def test_a_coordinator_lists_the_own_site_in_the_place_of_the_study(sandbox):
    listed = Caller(sandbox, "crc_boston").get("clinicaldata/studies/S_BOSTON/participants").json()
    assert (len(listed["studyParticipants"]), listed["siteOID"]) == (7, None)


def test_a_study_in_the_place_of_the_site_fails(manager):
    answer = manager.get("clinicaldata/studies/S_JUNO/sites/S_JUNO/participants")
    assert (answer.status_code, is_html(answer)) == (500, True)


def test_metadata_name_the_study_and_its_sites(manager):
    path = "clinicaldata/S_JUNO/*/*/*?includeMetadata=y&clinicaldata=n"
    answer = manager.get(path, headers={"Accept": "application/xml;charset=UTF-8"})
    assert answer.text.startswith('<?xml version="1.0" encoding="UTF-8"?>')
    assert re.findall(r'<Study OID="(\w+)"', answer.text) == ["S_JUNO", "S_BOSTON", "S_LEIDEN"]


def test_metadata_that_nobody_asked_for_come_from_the_source_only(manager):
    answer = manager.get("clinicaldata/S_JUNO/*/*/*?clinicaldata=n", headers={"Accept": "application/xml"})
    assert (answer.status_code, "<Study " in answer.text) == (200, not manager.is_docs)


def test_without_a_role_there_are_metadata_and_no_data(sandbox):
    path = "clinicaldata/S_LEIDEN/*/*/*?includeMetadata=y"
    answer = Caller(sandbox, "crc_boston").get(path, headers={"Accept": "application/xml"})
    assert (answer.status_code, "<Study " in answer.text, "ClinicalData" in answer.text) == (200, True, False)


@pytest.mark.parametrize(
    ("accept", "path", "status"),
    [
        ("text/xml", "clinicaldata/S_JUNO/*/*/*", 406),
        ("application/xml", "clinicaldata/S_NOPE/*/*/*", 500),
        ("application/xml", "clinicaldata/S_JUNO/*/*", 404),
    ],
)
def test_what_is_asked_wrongly_is_a_page(manager, accept, path, status):
    answer = manager.get(path, headers={"Accept": accept})
    assert (answer.status_code, is_html(answer)) == (status, True)


def test_selectors_that_find_nothing_answer_without_clinical_data(manager):
    path = "clinicaldata/S_JUNO/*/SE_BASELINE/*?includeMetadata=n"
    answer = manager.get(path, headers={"Accept": "application/xml"})
    assert answer.status_code == 200
    assert "ClinicalData" not in answer.text


# The sandbox itself


@pytest.mark.parametrize("path", ["/", "/OpenClinica", "/OpenClinica/Jobs", "/OpenClinica/Jobs?uuid=nope"])
def test_people_find_a_page(sandbox, path):
    answer = requests.get(sandbox.url + path, timeout=10)
    assert (answer.status_code, is_html(answer)) == (200, True)


def test_the_page_of_a_job_shows_it_and_escapes_its_name(manager):
    job_uuid = post_raw(manager, raw_part('name="file"; filename="<b>.xml"', odm())).text[-36:]
    page = requests.get(f"{manager.sandbox.study_url}/Jobs", params={"uuid": job_uuid}, timeout=10).text
    assert job_uuid in page
    assert "&lt;b&gt;.xml" in page


def test_the_page_of_a_job_counts_its_outcomes_and_shows_no_values(manager):
    job_uuid = manager.submitted(odm("SS_BOS001", "SS_BOS002", pulse="90407311") + b" ", name="night-7.xml")
    failed = manager.submitted(odm("SS_BOS003", pulse="fast"), name="day-8.xml")
    for one in (job_uuid, failed):
        manager.finished(one)
    page = requests.get(f"{manager.sandbox.study_url}/Jobs", timeout=10).text
    assert all(text in page for text in ("night-7.xml", "2&nbsp;Inserted", "day-8.xml", "1&nbsp;Failed", "COMPLETED"))
    assert not any(text in page for text in ("90407311", "fast", "BOS-001", "SS_BOS001"))


def test_it_listens_on_loopback_only(sandbox):
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((f"127.0.0.{2}", sandbox.port), timeout=5)


def test_a_reset_brings_the_fresh_study_back(manager):
    manager.finished(manager.submitted())
    assert manager.sandbox.data()
    manager.sandbox.reset()
    assert (manager.sandbox.data(), manager.sandbox.jobs(), manager.sandbox.requests()) == ([], [], [])
    assert len(manager.get("clinicaldata/studies/S_JUNO/participants").json()["studyParticipants"]) == 12


def test_requests_are_noted_in_order_and_without_secrets(manager):
    manager.get("studies/S_JUNO%28TEST%29/jobs?a=b", cookies={"JSESSIONID": "secret-session"})
    first, second = manager.sandbox.requests()
    assert (first["method"], first["path"]) == ("POST", "/user-service/api/oauth/token")
    assert second["path"].endswith("studies/S_JUNO(TEST)/jobs")
    assert second["target"].endswith("studies/S_JUNO%28TEST%29/jobs?a=b")
    assert (second["user"], second["status"], second["headers"]["cookie"]) == ("data_manager", 400, "JSESSIONID")
    noted = str([first, second])
    assert manager.token not in noted
    assert "secret-session" not in noted
    assert '"sandbox"' not in noted


def test_what_a_control_route_cannot_use_it_says(sandbox):
    for path, body in (
        ("faults", {"kind": "meteor"}),
        ("faults", {"kind": "delay", "seconds": "long"}),
        ("faults", {"kind": "status", "status": "bad"}),
        ("job-fates", {"fate": "odd"}),
        ("users", {}),
        ("tokens", {"reply": 1}),
    ):
        answer = requests.post(f"{sandbox.url}/sandbox/{path}", json=body, timeout=10)
        assert (answer.status_code, list(answer.json())) == (422, ["error"])


def test_two_sandboxes_know_nothing_of_each_other(started):
    for one in started.values():
        one.reset()
    Caller(started["docs"]).submit()
    assert (len(started["docs"].jobs()), len(started["source"].jobs())) == (1, 0)


def test_a_port_that_is_taken_is_an_error(sandbox):
    with pytest.raises(OSError, match=f"port {sandbox.port}: Address already in use"):
        Sandbox(port=sandbox.port).start()

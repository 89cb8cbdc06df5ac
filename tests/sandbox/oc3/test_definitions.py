"""What a call with a key creates, and how it is refused (docs/protocol3.md, definitions)."""

from __future__ import annotations

import pytest

from tests.sandbox.oc3.calls import PASSWORD, Browser, Keyed, sha1, study_ref, texts

STUDY = {
    "uniqueProtocolID": "vesta",
    "briefTitle": "Vesta",
    "principalInvestigator": "A. Name",
    "briefSummary": "Invented",
    "sponsor": "Nobody",
    "protocolType": "Interventional",
    "startDate": "2025-03-01",
    "expectedTotalEnrollment": "10",
    "status": "available",
    "assignUserRoles": [{"username": "monitor", "role": "Monitor"}],
}
SITE = {
    "uniqueProtocolID": "juno-oslo",
    "briefTitle": "Oslo",
    "principalInvestigator": "A. Name",
    "expectedTotalEnrollment": "10",
    "startDate": "2025-03-01",
    "protocolDateVerification": "2025-03-01",
    "assignUserRoles": [{"username": "crc_boston", "role": "Investigator"}],
}
EVENT = {"name": "Week 4", "description": "d", "category": "c", "repeating": "true", "type": "Scheduled"}
USER = {
    "username": "ann",
    "fName": "Ann",
    "lName": "Other",
    "institution": "Here",
    "email": "ann@example.org",
    "study_name": "Juno",
    "role_name": "Data Entry Person",
    "user_type": "User",
    "authorize_soap": "true",
}


def test_a_study_is_created_with_its_roles(keyed, soap):
    assert keyed.post("studies/", STUDY).json() == {
        "message": "SUCCESS",
        "uniqueProtocolID": "vesta",
        "studyOid": "S_VESTA",
    }
    assert [study["Study Oid"] for study in keyed.get("system/modules").json()] == ["S_JUNO", "S_VESTA"]
    assert "S_VESTA" in texts(soap.ask("study", "<d:listAllRequest/>", login="monitor"), "oid")
    assert "S_VESTA" not in texts(soap.ask("study", "<d:listAllRequest/>"), "oid")


def test_the_slash_at_the_end_matters(keyed):
    assert keyed.post("studies", STUDY).status_code == 404


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"briefTitle": ""}, "BriefTitle"),
        ({"briefTitle": None}, "BriefTitle"),
        ({"startDate": "01-03-2025"}, "StartDate"),
        ({"protocolType": "interventional"}, "ProtocolType"),
        ({"status": "locked"}, "Status"),
        ({"uniqueProtocolID": "juno"}, "UniqueProtocolId"),
        ({"assignUserRoles": ""}, "AssignUserRoles"),
        ({"assignUserRoles": [{"username": "nobody", "role": "Monitor"}]}, "AssignUserRoles"),
        ({"expectedTotalEnrollment": ""}, "ExpectedTotalEnrollment"),
    ],
)
def test_a_wrong_study_is_400_with_reasons(keyed, changed, field):
    answer = keyed.post("studies/", STUDY | changed)
    refusal = answer.json()
    assert answer.status_code == 400
    assert refusal["message"] == "VALIDATION FAILED"
    assert refusal["sponsor"] == "Nobody"
    assert [(error["field"], error["resource"]) for error in refusal["errors"]] == [(field, "Study Object")]


def test_only_an_administrator_creates_a_study(sandbox):
    refusal = Keyed(sandbox, "data_manager").post("studies/", STUDY)
    assert refusal.status_code == 400
    assert [error["field"] for error in refusal.json()["errors"]] == ["Account"]


@pytest.mark.parametrize(
    "changed",
    [
        {"expectedTotalEnrollment": 10},
        {"expectedTotalEnrollment": "ten"},
        {"status": True},
        {"sponsor": ["Nobody"]},
        {"assignUserRoles": {"username": "monitor", "role": "Monitor"}},
        {"assignUserRoles": ["monitor"]},
    ],
)
def test_what_is_no_text_breaks_the_server(keyed, changed):
    assert keyed.post("studies/", STUDY | changed).status_code == 500


@pytest.mark.parametrize("changed", [{"uniqueProtocolID": "v" * 31}, {"briefSummary": "x" * 256}])
def test_a_study_too_long_for_the_database_is_a_success_without_an_oid(keyed, changed):
    answer = keyed.post("studies/", STUDY | changed).json()
    assert (answer["message"], answer["studyOid"]) == ("SUCCESS", None)
    assert len(keyed.get("system/modules").json()) == 1


def test_a_site_is_created_where_one_is_a_coordinator(sandbox, soap):
    answer = Keyed(sandbox, "data_manager").post("studies/juno/sites", SITE)
    assert answer.json() == {"message": "SUCCESS", "siteOid": "S_JUNOOSLO", "uniqueSiteProtocolID": "juno-oslo"}
    assert "S_JUNOOSLO" in texts(soap.ask("study", "<d:listAllRequest/>"), "oid")


@pytest.mark.parametrize(
    ("login", "study", "changed", "field"),
    [
        ("monitor", "juno", {}, "Account"),
        ("data_manager", "nowhere", {}, "UniqueProtocolId"),
        ("data_manager", "juno", {"uniqueProtocolID": "juno-boston"}, "UniqueProtocolId"),
        ("data_manager", "juno", {"uniqueProtocolID": "o" * 31}, "UniqueProtocolId"),
        ("data_manager", "juno", {"briefTitle": "o" * 101}, "BriefTitle"),
        ("data_manager", "juno", {"principalInvestigator": "o" * 256}, "PrincipalInvestigator"),
        ("data_manager", "juno", {"expectedTotalEnrollment": "0"}, "ExpectedTotalEnrollment"),
        ("data_manager", "juno", {"startDate": "soon"}, "StartDate"),
        ("data_manager", "juno", {"protocolDateVerification": ""}, "ProtocolDateVerification"),
    ],
)
def test_a_wrong_site_is_400_with_reasons(sandbox, login, study, changed, field):
    answer = Keyed(sandbox, login).post(f"studies/{study}/sites", SITE | changed)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_refused_site_echoes_one_field_under_another_name(sandbox):
    answer = Keyed(sandbox, "monitor").post("studies/juno/sites", SITE | {"secondaryProtocolID": "two"})
    assert answer.json()["secondaryProId"] == "two"


def test_a_site_without_an_enrolment_breaks_the_server(keyed):
    assert keyed.post("studies/juno/sites", SITE | {"expectedTotalEnrollment": ""}).status_code == 500


def test_an_event_is_created_as_often_as_it_is_asked_for(keyed, soap):
    oids = [keyed.post("studies/juno/eventdefinitions", EVENT).json()["eventDefOid"] for _ in range(2)]
    asked = f"<d:studyEventDefinitionListAll>{study_ref()}</d:studyEventDefinitionListAll>"
    listed = soap.ask("studyEventDefinition", f"<d:listAllRequest>{asked}</d:listAllRequest>")
    assert oids == ["SE_WEEK4", "SE_WEEK4_2"]
    assert set(oids) <= set(texts(listed, "oid"))


@pytest.mark.parametrize(
    ("login", "study", "changed"),
    [
        ("data_manager", "juno", {}),
        ("administrator", "nowhere", {}),
        ("administrator", "juno", {"type": "scheduled"}),
        ("administrator", "juno", {"repeating": "yes"}),
        ("administrator", "juno", {"description": ""}),
    ],
)
def test_a_refused_event_is_a_200_without_reasons(sandbox, login, study, changed):
    answer = Keyed(sandbox, login).post(f"studies/{study}/eventdefinitions", EVENT | changed)
    assert answer.status_code == 200
    assert answer.json() == {"message": "VALIDATION FAILED", "name": "Week 4", "eventDefOid": None}


def test_an_account_is_created_by_anybody_and_comes_locked(sandbox, soap):
    answer = Keyed(sandbox, "monitor").post("createuseraccount", USER)
    made = answer.json()
    browser = Browser(sandbox)
    browser.get("pages/login/login")

    assert answer.status_code == 200
    assert browser.log_in("ann", made["password"]) == "/pages/login/login?action=errorLocked"
    assert Keyed(sandbox, "ann").key == made["apiKey"]
    assert Keyed(sandbox, "ann").get("system/config").status_code == 200
    assert texts(soap.ask("study", "<d:listAllRequest/>", login="ann", password=sha1(made["password"])), "oid")


def test_an_account_that_exists_is_a_200_with_nothing(sandbox, keyed):
    answer = keyed.post("createuseraccount", USER | {"username": "monitor"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert sandbox.service.accounts.check("monitor", PASSWORD)


@pytest.mark.parametrize("changed", [{"role_name": "King"}, {"study_name": "Vesta"}, {"email": ""}])
def test_a_wrong_account_is_400_without_reasons(keyed, changed):
    answer = keyed.post("createuseraccount", USER | changed)
    assert (answer.status_code, answer.json()) == (400, {})


@pytest.mark.parametrize("name", ["username", "role_name", "user_type"])
def test_an_account_without_a_needed_field_breaks_the_server(keyed, name):
    assert (
        keyed.post("createuseraccount", {key: value for key, value in USER.items() if key != name}).status_code == 500
    )


def test_a_reset_forgets_what_was_created(sandbox, keyed):
    keyed.post("studies/", STUDY)
    sandbox.reset()
    assert len(keyed.get("system/modules").json()) == 1

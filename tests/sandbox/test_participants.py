"""Adding participants, one at once and many by a job."""

from __future__ import annotations

import re

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.import_run import Refused
from airflow_provider_openclinica.sandbox.participants import checked_id
from tests.sandbox.bulk import BOSTON, LEIDEN, code, configure, log_of, participant, set_status, upload, with_roles
from tests.sandbox.calls import Caller, is_html

ADD = f"{BOSTON}/participants"
BULK = f"{BOSTON}/participants/bulk"
CONTACT = {
    "firstName": "Ann",
    "lastName": "Lee",
    "emailAddress": "ann@example.org",
    "phoneNumber": "+1 5550100",
    "identifier": "MRN-1",
}


def add(caller: Caller, path: str = ADD, *, register: str = "n", **fields: object) -> requests.Response:
    return caller.call("POST", path, json=fields, params={"register": register})


# One at once


def test_a_new_participant_is_stored_with_an_oid_made_of_the_id(manager):
    answer = add(manager, subjectKey="BOS-100", **CONTACT)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert answer.json() == {
        "subjectKey": "BOS-100",
        "subjectOid": "SS_BOS100",
        "status": "AVAILABLE",
        "participateStatus": "",
    }
    stored = participant(manager.sandbox, "BOS-100")
    assert {name: stored[name] for name in CONTACT} == CONTACT
    assert "BOS-100" in manager.get(ADD).text


@pytest.mark.parametrize(
    ("participant_id", "oid"),
    [
        ("ab_1-2.3", "SS_AB_123"),
        ("A-12345678901", "SS_A1234567"),
        ("BOS/001", r"SS_BOS001_\d{1,4}"),  # taken
        ("---", r"SS__\d{1,4}"),
        ("éa", "SS_A"),
        (" ", r"SS__\d{1,4}"),
    ],
)
def test_oids_take_eight_characters_of_the_id_and_a_number_where_they_must(manager, participant_id, oid):
    answer = add(manager, subjectKey=participant_id).json()
    assert answer["subjectKey"] == participant_id
    assert re.fullmatch(oid, answer["subjectOid"])


def test_who_is_found_is_changed_and_only_where_something_was_sent(manager):
    add(manager, subjectKey="BOS-001", **CONTACT)
    answer = add(manager, subjectKey="BOS-001", firstName="Eve", lastName="", emailAddress=None)
    assert (answer.status_code, answer.json()["subjectOid"]) == (200, "SS_BOS001")
    stored = participant(manager.sandbox, "BOS-001")
    assert [stored[name] for name in CONTACT] == ["Eve", "", "ann@example.org", "+1 5550100", "MRN-1"]
    listed = next(one for one in manager.get(ADD).json()["studyParticipants"] if one["subjectKey"] == "BOS-001")
    assert listed["lastModifiedBy"] == "data_manager"


@pytest.mark.parametrize(("register", "status"), [("y", "Created"), ("YES", "Created"), ("n", ""), ("true", "")])
def test_participants_are_registered_only_for_a_yes(manager, register, status):
    assert add(manager, subjectKey="BOS-100", register=register).json()["participateStatus"] == status
    assert add(manager, subjectKey="BOS-100").json()["participateStatus"] == status, "and stay so"


@pytest.mark.parametrize(("site", "path"), [("S_BOSTON", LEIDEN), ("S_LEIDEN", BOSTON)])
def test_a_case_variant_changes_whoever_has_the_id_at_whatever_site(manager, site, path):
    known = {"S_BOSTON": "BOS-001", "S_LEIDEN": "LEI-001"}[site]
    answer = add(manager, f"{path}/participants", subjectKey=known.lower(), firstName="Ann")
    assert (answer.status_code, answer.json()["subjectKey"]) == (200, known)
    assert participant(manager.sandbox, known, site)["firstName"] == "Ann"


def test_registering_a_case_variant_breaks_the_server_after_the_contact_data_were_stored(manager):
    answer = add(manager, subjectKey="bos-001", firstName="Ann", register="y")
    assert (answer.status_code, is_html(answer)) == (500, True)
    stored = participant(manager.sandbox, "BOS-001")
    assert (stored["firstName"], stored["participateStatus"]) == ("Ann", "")


CHECKS = [
    # fields; the source's code, the documents'
    pytest.param({"subjectKey": ""}, "missingParticipantIdData", "missingParticipantIdData", id="empty-id"),
    pytest.param({"subjectKey": None}, "missingParticipantIdData", "missingParticipantIdData", id="null-id"),
    pytest.param({"subjectKey": "x" * 31}, "participantIdTooLong", "participantIDLongerThan30Characters", id="31"),
    pytest.param({"subjectKey": "x" * 30}, "", "", id="30"),
    pytest.param({"subjectKey": "a<b"}, "", "participantIDContainsUnsupportedHTMLCharacter", id="less"),
    pytest.param({"subjectKey": "a>b"}, "", "participantIDContainsUnsupportedHTMLCharacter", id="greater"),
    pytest.param({"firstName": "x" * 36, "lastName": "x" * 36}, "firstNameTooLong", "firstNameTooLong", id="first"),
    pytest.param({"lastName": "x" * 36}, "lastNameTooLong", "lastNameTooLong", id="last"),
    pytest.param({"identifier": "x" * 36, "emailAddress": "x"}, "identifierTooLong", "identifierTooLong", id="mrn"),
    pytest.param({"firstName": "x" * 35, "lastName": "x" * 35, "identifier": "x" * 35}, "", "", id="35"),
    pytest.param({"emailAddress": "x" * 256}, "emailAddressTooLong", "emailAddressTooLong", id="email-long"),
    pytest.param({"emailAddress": "x", "phoneNumber": "x"}, "invalidEmailAddress", "invalidEmailAddress", id="email"),
    pytest.param({"emailAddress": ""}, "", "", id="email-cleared"),
    pytest.param({"phoneNumber": "+1 " + "5" * 15}, "phoneNumberTooLong", "phoneNumberTooLong", id="phone-18"),
    pytest.param({"phoneNumber": "+1 " + "5" * 14}, "", "", id="phone-17"),
    pytest.param({"phoneNumber": "5550100"}, "invalidPhoneNumber", "invalidPhoneNumber", id="phone"),
    pytest.param({"subjectKey": "LEI-001"}, "participantNotFound", "participantNotFound", id="of-another-site"),
    pytest.param({"subjectKey": "BOS-007"}, "participantIDNotAvailable", "participantIDNotAvailable", id="removed"),
    pytest.param({"subjectKey": "bos-007"}, "participantIDNotAvailable", "participantIDNotAvailable", id="removed-any"),
    pytest.param({"shoeSize": {}, "firstName": 7}, "", "", id="unknown-fields-and-numbers"),
]


@pytest.mark.parametrize(("fields", "source", "docs"), CHECKS)
def test_a_participant_is_checked_in_the_order_of_the_server(manager, fields, source, docs):
    before = manager.sandbox.participants()
    answer = add(manager, **{"subjectKey": "BOS-100", **fields})
    assert code(answer) == (docs if manager.is_docs else source)
    if not answer.ok:
        assert answer.json()["params"] == {"studyOid": "S_JUNO", "siteOid": "S_BOSTON"}
        assert manager.sandbox.participants() == before


def test_a_body_without_an_id_is_refused(manager):
    assert code(add(manager, firstName="Ann")) == "missingParticipantIdData"


IN_BULK = {"phoneNumberTooLong": "mobileNumberTooLong", "invalidPhoneNumber": "invalidMobileNumber"}
BULK_CHECKS = [check for check in CHECKS if not {"identifier", "shoeSize"} & check.values[0].keys()]


@pytest.mark.parametrize(("fields", "source", "docs"), BULK_CHECKS)
def test_a_row_is_checked_as_one_participant_is_and_fails_by_itself(manager, fields, source, docs):
    values = {name: str(value or "") for name, value in {"subjectKey": "BOS-100", **fields}.items()}
    headers = {"subjectKey": "ParticipantID", "phoneNumber": "phoneNumber" if manager.is_docs else "MobileNumber"}
    header = ",".join(headers.get(name, name) for name in values)
    good = "BOS-101" + "," * (len(values) - 1)
    file = f"Order,{header}\n1,{','.join(values.values())}\n2,{good}\n"
    first, second = log_of(manager, upload(manager, BULK, file))
    wanted = IN_BULK.get(docs, docs) if manager.is_docs else source
    if wanted:
        assert first == f"1,{values['subjectKey']},,,Failed,errorCode.{wanted},"
    else:
        assert re.fullmatch(rf"1,{values['subjectKey']},SS_\w+,,AVAILABLE,Success,", first)
    assert second == "2,BOS-101,SS_BOS101,,AVAILABLE,Success,"


def test_a_case_variant_in_a_file_is_logged_as_sent_with_the_oid_that_is_stored(manager):
    assert log_of(manager, upload(manager, BULK, "ParticipantID\nbos-001\n")) == [
        "1,bos-001,SS_BOS001,,AVAILABLE,Success,"
    ]


def test_registering_a_case_variant_fails_the_job_and_leaves_the_rows_before_it(manager):
    file = "ParticipantID,FirstName\nBOS-100,Ann\nbos-001,Eve\nBOS-101,Zoe\n"
    finished = manager.finished(upload(manager, BULK, file, register="y").text.removeprefix("job uuid: "))
    assert finished.text.endswith(".noLogFileFound")
    assert [job["status"] for job in manager.sandbox.jobs()] == ["FAILED"]
    assert participant(manager.sandbox, "BOS-100")["participateStatus"] == "Created"
    assert participant(manager.sandbox, "BOS-001")["firstName"] == "Eve"
    assert "BOS-101" not in {one["participant"] for one in manager.sandbox.participants()}


def test_only_documented_servers_read_identifiers_from_a_file(manager):
    long = "x" * 36
    (row,) = log_of(manager, upload(manager, BULK, f"ParticipantID,identifier\nBOS-100,{long}\n"))
    result = ",,Failed,errorCode.identifierTooLong," if manager.is_docs else "SS_BOS100,,AVAILABLE,Success,"
    assert row == f"1,BOS-100,{result}"


@pytest.mark.parametrize("header", ["phoneNumber", "MobileNumber"])
def test_a_phone_under_the_other_name_is_dropped_without_a_word(manager, header):
    file = f"ParticipantID,{header}\nBOS-100,+1 5550100\n"
    assert log_of(manager, upload(manager, BULK, file)) == ["1,BOS-100,SS_BOS100,,AVAILABLE,Success,"]
    is_known = manager.is_docs == (header == "phoneNumber")
    assert participant(manager.sandbox, "BOS-100")["phoneNumber"] == ("+1 5550100" if is_known else None)


PLACES = [
    # study, site, the code
    ("S_NOPE", "S_BOSTON", "studyNotExist"),
    ("S_BOSTON", "S_BOSTON", "studyNotValidOid"),
    ("S_JUNO", "S_NOPE", "siteNotExist"),
    ("S_JUNO", "S_JUNO", "siteNotValidOid"),
]
ENDPOINTS = ["participants", "participants/bulk", "events", "events/bulk"]
PARTICIPANTS_CSV = "ParticipantID\nBOS-100\n"
EVENTS_CSV = "ParticipantID,StudyEventOID,StartDate\nBOS-001,SE_FOLLOWUP,2026-01-05\n"


def post(caller: Caller, study: str, site: str, endpoint: str) -> requests.Response:
    """Send what is good, wherever it goes."""
    path = f"clinicaldata/studies/{study}/sites/{site}/{endpoint}"
    if endpoint.endswith("bulk"):
        return upload(caller, path, EVENTS_CSV if "events" in endpoint else PARTICIPANTS_CSV)
    event = {"studyEventOID": "SE_FOLLOWUP", "startDate": "2026-01-05"} if endpoint == "events" else {}
    return caller.call("POST", path, json={"subjectKey": "BOS-001", **event})


def refusal(caller: Caller, endpoint: str, answer: requests.Response) -> str:
    """Return a code, whose shape is another for participants in bulk in the documented servers."""
    if not (caller.is_docs and endpoint == "participants/bulk") or answer.ok:
        return code(answer)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("text/plain")
    return answer.text.removeprefix("errorCode.").replace("invalidSiteIdentifier", "siteNotExist")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(("study", "site", "wanted"), PLACES)
def test_study_and_site_have_to_be_what_they_are_named_as(manager, endpoint, study, site, wanted):
    assert refusal(manager, endpoint, post(manager, study, site, endpoint)) == wanted
    assert manager.sandbox.jobs() == []


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    ("closed", "status", "wanted"),
    [
        ("S_JUNO", "LOCKED", "studyNotAvailable"),
        ("S_JUNO", "FROZEN", "studyNotAvailable"),
        ("S_BOSTON", "LOCKED", "siteNotAvailable"),
        ("S_LEIDEN", "LOCKED", ""),
    ],
)
def test_a_closed_study_or_site_takes_neither_participants_nor_events(manager, endpoint, closed, status, wanted):
    set_status(manager.sandbox, closed, status)
    assert refusal(manager, endpoint, post(manager, "S_JUNO", "S_BOSTON", endpoint)) == wanted


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    ("roles", "wanted"),
    [
        ({}, "noRoleSetUp"),
        ({"S_LEIDEN": "Investigator"}, "noRoleSetUp"),
        ({"S_JUNO": "Monitor"}, "noSufficientPrivileges"),
        ({"S_BOSTON": "Monitor"}, "noSufficientPrivileges"),
        ({"S_JUNO": "Data Manager"}, ""),
        ({"S_JUNO": "Data Entry Person"}, ""),
        ({"S_JUNO": "Data Specialist"}, ""),
        ({"S_BOSTON": "Clinical Research Coordinator"}, ""),
        ({"S_BOSTON": "Investigator"}, ""),
    ],
)
def test_who_may_enter_data_may_add_participants_and_events(sandbox, endpoint, roles, wanted):
    caller = with_roles(sandbox, **roles)
    assert refusal(caller, endpoint, post(caller, "S_JUNO", "S_BOSTON", endpoint)) == wanted


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_system_user_needs_no_role(sandbox, endpoint):
    change = {"login": "monitor", "roles": {}, "user_type": "System"}
    assert requests.post(f"{sandbox.url}/sandbox/users", json=change, timeout=10).ok
    assert post(Caller(sandbox, "monitor"), "S_JUNO", "S_BOSTON", endpoint).ok


@pytest.mark.parametrize("endpoint", [*ENDPOINTS[:1], *ENDPOINTS[2:]])
def test_oids_are_taken_in_any_case(manager, endpoint):
    assert post(manager, "s_juno", "s_boston", endpoint).ok


def test_participants_in_bulk_break_on_oids_in_another_case(manager):
    answer = post(manager, "S_JUNO", "s_boston", "participants/bulk")
    assert (answer.status_code, is_html(answer)) == (500, True)


# The settings of a study


@pytest.mark.parametrize(("path", "docs"), [(ADD, "participateNotEnabled"), (BULK, "participateInActive")])
def test_nobody_is_registered_where_taking_part_online_is_off(manager, path, docs):
    configure(manager.sandbox, participate=False)
    if path == ADD:
        refused = code(add(manager, subjectKey="BOS-100", register="y"))
    else:
        refused = refusal(manager, "participants/bulk", upload(manager, BULK, PARTICIPANTS_CSV, register="y"))
    assert refused == (docs if manager.is_docs else "participateInActive")
    assert add(manager, subjectKey="BOS-100").ok


def test_ids_that_the_study_makes_are_refused_by_the_source_and_made_by_the_documented_servers(manager):
    configure(manager.sandbox, generates_ids=True)
    one, many = add(manager, firstName="Ann"), upload(manager, BULK, "ParticipantID,FirstName\n,Eve\n")
    if manager.is_docs:
        assert one.json()["subjectKey"] == "juno-boston-001"
        (row,) = log_of(manager, many)
        assert re.fullmatch(r"1,juno-boston-002,SS_JUNOBOST_\d{1,4},,AVAILABLE,Success,", row)
    else:
        assert code(one) == code(many) == "studyHasSystemGeneratedIdEnabled"


def test_a_full_study_takes_nobody_and_changes_nobody(manager):
    enrolled = sum(one["status"] in {"AVAILABLE", "SIGNED"} for one in manager.sandbox.participants())
    configure(manager.sandbox, expected_participants=enrolled + 1)
    assert log_of(manager, upload(manager, BULK, "ParticipantID\nBOS-100\nBOS-101\n")) == [
        "1,BOS-100,SS_BOS100,,AVAILABLE,Success,",
        "2,BOS-101,,,Failed,errorCode.participantsEnrollmentCapReached,",
    ]
    assert code(add(manager, subjectKey="BOS-001")) == "participantsEnrollmentCapReached"


def test_a_setting_that_no_study_has_is_refused(manager):
    assert requests.post(f"{manager.sandbox.url}/sandbox/settings", json={"shoe": 1}, timeout=10).status_code == 422


# At study level


def test_only_documented_servers_take_participants_of_the_study_itself_and_none_of_their_contact_data(manager):
    answer = add(manager, "clinicaldata/studies/S_JUNO/participants", subjectKey="J-1", register="y", **CONTACT)
    if manager.is_docs:
        assert answer.json()["participateStatus"] == ""
        assert participant(manager.sandbox, "J-1", "S_JUNO")["firstName"] is None
        assert add(manager, subjectKey="J-1").json()["subjectOid"] == "SS_J1", "any site's address changes them"
    else:
        assert (answer.status_code, is_html(answer)) == (405, True)


@pytest.mark.parametrize(
    ("study", "roles", "wanted"),
    [
        ("S_NOPE", {"S_JUNO": "Data Manager"}, "studyNotExist"),
        ("S_BOSTON", {"S_JUNO": "Data Manager"}, "studyNotValidOid"),
        ("S_JUNO", {"S_BOSTON": "Investigator"}, "noRoleSetUp"),
        ("S_JUNO", {"S_JUNO": "Monitor"}, "noSufficientPrivileges"),
        ("S_JUNO", {"S_JUNO": "Data Entry Person"}, ""),
    ],
)
def test_participants_of_the_study_itself_need_a_role_at_the_study(documented, study, roles, wanted):
    caller = with_roles(documented, **roles)
    answer = add(caller, f"clinicaldata/studies/{study}/participants", subjectKey="J-1")
    assert code(answer) == wanted
    if wanted:
        assert answer.json()["params"] == {"studyOid": study, "siteOid": None}


# Bodies that are none


@pytest.mark.parametrize("path", [ADD, f"{BOSTON}/events"])
@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"subjectKey": {}}', "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"subjectKey=P", "application/x-www-form-urlencoded", 415),
    ],
)
def test_a_body_that_is_no_json_object_of_texts_gets_a_page(manager, path, body, content_type, status):
    answer = manager.call("POST", path, data=body, headers={"Content-Type": content_type})
    assert (answer.status_code, is_html(answer)) == (status, True)


@pytest.mark.parametrize("path", [ADD, BULK, f"{BOSTON}/events", f"{BOSTON}/events/bulk"])
def test_nobody_adds_anything_without_a_token(manager, path):
    assert requests.post(f"{manager.sandbox.api_url}/{path}", json={}, timeout=10).status_code == 401


# The patterns


def is_taken(**fields: str) -> bool:
    try:
        checked_id("P-1", fields, Dialect.SOURCE)
    except Refused:
        return False
    return True


@pytest.mark.parametrize(
    ("address", "taken"),
    [
        ("a@b.c", True),
        ("a.b+c@sub.example.org", True),
        ("o'neil@example.org", True),
        ("a@b-c.org", True),
        ("a@example", False),
        ("a@-b.org", False),
        ("a@b-.org", False),
        (".a@example.org", False),
        ("a..b@example.org", False),
        ("a b@example.org", False),
        ("a@@example.org", False),
        ("ä@example.org", False),
        ("a@example.org\n", False),
    ],
)
def test_e_mail_addresses(address, taken):
    assert is_taken(emailAddress=address) == taken


@pytest.mark.parametrize(
    ("number", "taken"),
    [
        ("+1 5", True),
        ("+123 123456789012", True),
        ("+1234 5", False),
        ("+ 5", False),
        ("+1  5", False),
        ("+15", False),
        ("1 5", False),
        ("+1 5-5", False),
        ("+1 5 5", False),
        ("+\u0661 5", False),
        ("+1 5\n", False),
    ],
)
def test_phone_numbers(number, taken):
    assert is_taken(phoneNumber=number) == taken


@given(st.from_regex(r"\A\+[0-9]{1,3} [0-9]{1,12}\Z"))
def test_every_number_of_the_documented_form_is_taken(number):
    assert is_taken(phoneNumber=number)

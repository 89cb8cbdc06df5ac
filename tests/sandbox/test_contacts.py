"""How participants can be reached: those of a site by a job, one of them at once."""

from __future__ import annotations

import pytest
import requests

from airflow_provider_openclinica.sandbox.participants import ACCESS_CODE_LETTERS
from tests.sandbox.bulk import BOSTON, code, configure, set_status, with_roles
from tests.sandbox.calls import Caller, is_html

EXTRACT = f"{BOSTON}/participants/extractParticipantsInfo"
MISSPELT = f"{BOSTON}/participants/extractPartcipantsInfo"
ONE = f"{BOSTON}/participant"
ANN = {
    "firstName": "Ann",
    "lastName": "Lee, MD",
    "emailAddress": "ann@example.org",
    "phoneNumber": "+1 5550100",
    "identifier": "MRN-1",
}
FIRST_SIX = [f"BOS-00{number}" for number in range(1, 7)]  # BOS-007 has been removed
DETAILS = ["First Name", "Last Name", "Email", "Mobile", "Identifier"]


@pytest.fixture
def coordinator(sandbox):
    """Somebody of the site, as the documents demand."""
    return Caller(sandbox, "crc_boston")


def add(caller: Caller, participant_id: str = "BOS-001", *, register: str = "n", **fields: str) -> None:
    body = {"subjectKey": participant_id, **fields}
    assert caller.call("POST", f"{BOSTON}/participants", json=body, params={"register": register}).ok


def extract(caller: Caller, path: str = EXTRACT, **params: str) -> requests.Response:
    return caller.call("POST", path, params=params)


def file_of(caller: Caller, **params: str) -> list[str]:
    """Extract, and return the lines of the file."""
    answer = extract(caller, **params)
    assert answer.text.startswith("job uuid: "), answer.text
    finished = caller.finished(answer.text.removeprefix("job uuid: "))
    assert "Content-Disposition" in finished.headers, finished.text
    *lines, blank, end = finished.content.decode().split("\n")
    assert (blank, end) == ("", "")
    return lines


def ids(lines: list[str]) -> list[str]:
    return [line.partition(",")[0] for line in lines[1:]]


def access_code(caller: Caller, participant_id: str = "BOS-001") -> str:
    link = caller.get(f"clinicaldata/studies/S_JUNO/participants/{participant_id}/accessLink?includeAccessCode=y")
    return link.json()["accessCode"]


# By a job


def test_the_file_has_who_is_not_removed_at_that_site_in_the_order_they_came(coordinator):
    add(coordinator, "AAA-9")
    assert ids(file_of(coordinator)) == [*FIRST_SIX, "AAA-9"]


def test_nothing_in_the_file_is_quoted(coordinator):
    add(coordinator, **ANN | {"firstName": 'Änn "A" 漢'})
    assert file_of(coordinator)[1].startswith('BOS-001,Änn "A" 漢,Lee, MD,ann@example.org,+1 5550100,MRN-1')


@pytest.mark.parametrize(
    ("flags", "columns"),
    [
        ({}, ["ParticipantId", *DETAILS, "Participate Status"]),
        ({"includeParticipateInfo": "y"}, ["ParticipantId", *DETAILS, "Access Code", "Participate Status"]),
        ({"includeParticipateInfo": "Y"}, ["ParticipantId", *DETAILS, "Access Code", "Participate Status"]),
        ({"includeParticipateInfo": "yes"}, ["ParticipantId", *DETAILS, "Participate Status"]),
        ({"register": "y"}, ["ParticipantId", *DETAILS, "Participate Status"]),
    ],
    ids=str,
)
def test_the_source_adds_the_access_code_where_it_was_asked_for(sourced, flags, columns):
    assert file_of(Caller(sourced, "crc_boston"), **flags)[0].split(",") == columns


@pytest.mark.parametrize(
    ("flags", "columns"),
    [
        ({}, ["ParticipantId", *DETAILS]),
        ({"register": "y"}, ["ParticipantId", *DETAILS, "Access Code", "Participate Status"]),
        ({"register": "n"}, ["ParticipantId", *DETAILS]),
        ({"includeParticipateInfo": "y"}, ["ParticipantId", *DETAILS]),
    ],
    ids=str,
)
def test_the_documents_add_access_code_and_status_together(documented, flags, columns):
    assert file_of(Caller(documented, "crc_boston"), **flags)[0].split(",") == columns


@pytest.mark.parametrize("flag", ["n", "y"])
def test_a_role_at_the_study_alone_shows_no_contact_data(sourced, flag):
    manager = Caller(sourced)
    add(manager, register="y", **ANN)
    lines = file_of(manager, includeParticipateInfo=flag)
    assert lines[:3] == ["ParticipantId,Participate Status", "BOS-001,CREATED", "BOS-002,"]


def test_an_access_code_belongs_to_who_is_registered_and_stays_theirs(coordinator):
    add(coordinator, register="y", **ANN)
    add(coordinator, "BOS-002", **ANN)
    both = {"includeParticipateInfo": "y", "register": "y"}
    (_, ann, other, *_), again = file_of(coordinator, **both), file_of(coordinator, **both)

    shown = ann.split(",")[-2]
    assert (len(shown), set(shown) - set(ACCESS_CODE_LETTERS)) == (9, set())
    assert ann == again[1]
    assert other.endswith("MRN-1,,")
    assert access_code(coordinator) == shown
    assert not set("015loIOS") & set(ACCESS_CODE_LETTERS)


def test_the_status_of_who_never_gave_a_detail_is_not_told(coordinator):
    add(coordinator, register="y")
    line = file_of(coordinator, includeParticipateInfo="y", register="y")[1]
    assert line == f"BOS-001,,,,,,{access_code(coordinator)},"


def test_the_job_has_no_file_name_and_its_file_has_one_of_its_own(coordinator):
    job_uuid = extract(coordinator).text.removeprefix("job uuid: ")
    name = coordinator.finished(job_uuid).headers["Content-Disposition"]
    assert name.startswith("attachment; filename=juno-TEST_Participant%20Access%20Code_")
    assert name.endswith("Z.csv")
    (job,) = coordinator.sandbox.jobs()
    expected = {"type": "ACCESS_CODE", "sourceFileName": None, "siteOid": "S_BOSTON", "creator": "crc_boston"}
    assert {key: job[key] for key in expected} == expected
    assert requests.get(f"{coordinator.sandbox.study_url}/Jobs", timeout=10).ok


def test_a_job_that_could_not_ask_for_log_ins_is_complete_and_has_no_file(coordinator):
    coordinator.sandbox.fate("log_gone")
    answer = coordinator.finished(extract(coordinator).text.removeprefix("job uuid: "))
    assert answer.text.endswith(".noLogFileFound")
    assert [job["status"] for job in coordinator.sandbox.jobs()] == ["COMPLETED"]


# Pages


def test_pages_of_the_source_follow_each_other(sourced):
    caller = Caller(sourced, "crc_boston")
    pages = [ids(file_of(caller, page_number=str(number), page_size="4")) for number in (1, 2, 3)]
    assert pages == [FIRST_SIX[:4], FIRST_SIX[4:], []]


def test_the_source_stops_at_a_hundred_and_does_not_say_so(sourced):
    caller = Caller(sourced, "crc_boston")
    for number in range(100):
        add(caller, f"NEW-{number:03d}")
    assert len(ids(file_of(caller))) == 100
    assert len(ids(file_of(caller, page_size="1000"))) == 106


def test_the_documents_know_no_pages(documented):
    caller = Caller(documented, "crc_boston")
    assert ids(file_of(caller, page_number="2", page_size="4")) == FIRST_SIX
    assert ids(file_of(caller, page_number="0", page_size="x")) == FIRST_SIX


@pytest.mark.parametrize(
    ("params", "refused"),
    [
        ({"page_number": "0"}, "invalidPageNumberParameter"),
        ({"page_number": "-1"}, "invalidPageNumberParameter"),
        ({"page_number": ""}, "invalidPageNumberParameter"),
        ({"page_number": "1.0"}, "invalidPageNumberParameter"),
        ({"page_number": "2147483648"}, "invalidPageNumberParameter"),
        ({"page_number": "x", "page_size": "x"}, "invalidPageNumberParameter"),
        ({"page_size": "0"}, "invalidPageSizeParameter"),
        ({"page_size": "many"}, "invalidPageSizeParameter"),
    ],
    ids=str,
)
def test_a_page_has_to_be_a_number_from_1(sourced, params, refused):
    assert code(extract(Caller(sourced), **params)) == refused
    assert sourced.jobs() == []


def test_pages_too_far_away_leave_a_job_in_progress_for_ever(sourced):
    caller = Caller(sourced)
    assert ids(file_of(caller, page_number="2", page_size="2147483647")) == []
    job_uuid = extract(caller, page_number="3", page_size="2147483647").text.removeprefix("job uuid: ")
    assert caller.download(job_uuid).text == "error.jobInProgress"
    assert sourced.release() == 0


# Who may, and where


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_documents_spell_the_path_in_two_ways(documented, method):
    caller = Caller(documented, "crc_boston")
    assert caller.call(method, MISSPELT).text.startswith("job uuid: ")
    assert caller.call(method, EXTRACT).status_code == (200 if method == "POST" else 405)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", EXTRACT, 405), ("GET", MISSPELT, 404)])
def test_the_source_knows_one_path_and_one_method(sourced, method, path, status):
    answer = Caller(sourced, "crc_boston").call(method, path)
    assert (answer.status_code, is_html(answer)) == (status, True)


@pytest.mark.parametrize(
    ("study", "site", "refused"),
    [
        ("S_NONE", "S_BOSTON", "studyNotExist"),
        ("S_LEIDEN", "S_BOSTON", "studyNotValidOid"),
        ("S_JUNO", "S_NONE", "siteNotExist"),
        ("S_JUNO", "S_JUNO", "siteNotValidOid"),
        ("s_juno", "S_BOSTON", "studyNotExist"),
        ("S_JUNO", "s_boston", "siteNotExist"),
        ("S_JUNO", "S_LEIDEN", "noRoleSetUp"),
    ],
)
def test_the_place_is_checked_and_named_in_the_refusal(coordinator, study, site, refused):
    here = f"clinicaldata/studies/{study}/sites/{site}"
    for answer in (
        extract(coordinator, f"{here}/participants/extractParticipantsInfo"),
        coordinator.get(f"{here}/participant", params={"participantID": "BOS-001"}),
    ):
        assert code(answer) == refused
        assert answer.json()["params"] == {"studyOid": study, "siteOid": site}
    assert coordinator.sandbox.jobs() == []


@pytest.mark.parametrize(
    ("roles", "documents", "source"),
    [
        ({"S_JUNO": "Data Manager"}, "noSufficientPrivileges", ""),
        ({"S_JUNO": "Data Entry Person"}, "noSufficientPrivileges", ""),
        ({"S_JUNO": "Data Specialist"}, "noSufficientPrivileges", ""),
        ({"S_JUNO": "Monitor"}, "noSufficientPrivileges", "noSufficientPrivileges"),
        ({"S_BOSTON": "Monitor"}, "noSufficientPrivileges", "noSufficientPrivileges"),
        ({"S_BOSTON": "Investigator"}, "", ""),
        ({"S_BOSTON": "Clinical Research Coordinator"}, "", ""),
        ({"S_LEIDEN": "Investigator"}, "noRoleSetUp", "noRoleSetUp"),
        ({}, "noRoleSetUp", "noRoleSetUp"),
    ],
    ids=str,
)
def test_roles_decide(sandbox, roles, documents, source):
    answer = extract(with_roles(sandbox, **roles))
    assert code(answer) == (documents if sandbox.service.dialect == "docs" else source)


def test_a_study_whose_participants_do_not_take_part_online_gives_nothing(coordinator):
    configure(coordinator.sandbox, participate=False)
    assert code(extract(coordinator)) == "participateInActive"
    assert code(coordinator.get(ONE, params={"participantID": "BOS-001"})) == "participateInActive"


def test_what_is_locked_can_be_read(coordinator):
    for oid in ("S_JUNO", "S_BOSTON"):
        set_status(coordinator.sandbox, oid, "LOCKED")
    assert ids(file_of(coordinator)) == FIRST_SIX


# One at once


def test_who_was_changed_is_shown_in_full_to_their_own_site(coordinator):
    add(coordinator, register="y", **ANN)
    shown = coordinator.get(ONE, params={"participantID": "BOS-001", "includeParticipateInfo": "y"}).json()
    created, changed = shown.pop("createdAt"), shown.pop("lastModified")
    assert "T" not in created
    assert changed.endswith("M")
    assert shown == {
        "subjectKey": "BOS-001",
        "subjectOid": "SS_BOS001",
        "status": "Created",
        "createdBy": "root",
        "lastModifiedBy": "crc_boston",
        "firstName": "Ann",
        "lastName": "Lee, MD",
        "secondaryID": "",
        "email": "ann@example.org",
        "mobileNumber": "+1 5550100",
        "accessCode": access_code(coordinator),
    }


def test_the_access_code_has_to_be_asked_for(coordinator):
    add(coordinator, register="y", **ANN)
    shown = coordinator.get(ONE, params={"participantID": "BOS-001", "includeParticipateInfo": "yes"}).json()
    assert shown["accessCode"] is None


def test_who_was_never_changed_is_shown_in_part(coordinator):
    shown = coordinator.get(ONE, params={"participantID": "BOS-002"}).json()
    told = {"subjectKey": "BOS-002", "subjectOid": "SS_BOS002", "secondaryID": "", "createdBy": "root"}
    assert {name: value for name, value in shown.items() if value is not None} == told
    assert len(shown) == 13


def test_a_role_at_the_study_sees_no_contact_data_of_one_either(sourced):
    manager = Caller(sourced)
    add(manager, register="y", **ANN)
    shown = manager.get(ONE, params={"participantID": "BOS-001"}).json()
    assert (shown["status"], shown["firstName"], shown["email"]) == ("Created", None, None)


@pytest.mark.parametrize(
    ("participant_id", "refused"),
    [
        ("LEI-001", ""),  # of the other site
        ("BOS-404", "participantNotFound"),
        ("bos-001", "participantNotFound"),
        ("BOS-007", "participantIDNotAvailable"),
        ("", "participantNotFound"),
    ],
)
def test_one_is_looked_for_in_the_whole_study(coordinator, participant_id, refused):
    assert code(coordinator.get(ONE, params={"participantID": participant_id})) == refused


def test_one_has_to_be_named(coordinator):
    answer = coordinator.get(ONE)
    assert (answer.status_code, is_html(answer)) == (400, True)

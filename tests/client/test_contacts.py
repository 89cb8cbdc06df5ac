"""Contact data: the job that writes them, by whatever call a server has, and those of one participant."""

from __future__ import annotations

import json

import pytest

from airflow_provider_openclinica.errors import (
    ConfigurationError,
    NotAvailableError,
    NotFoundError,
    RoleError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)
from tests.client.conftest import answer, drop_after_reading

UUID = "6c325687-c3c3-41f6-9b98-154ef3352cb1"
TAKEN = answer(200, f"job uuid: {UUID}", Content_Type="text/plain")
SITE = "/api/clinicaldata/studies/S_JUNO/sites/S_BOSTON%281%29"
CONTACT = {
    "subjectKey": "P-001",
    "subjectOid": "SS_P001",
    "status": "Created",
    "createdBy": "ann",
    "createdAt": "Jun 7, 2019",
    "lastModified": None,
    "firstName": "Ann",
    "lastName": "Lee",
    "secondaryID": "",
    "email": "ann@example.org",
    "mobileNumber": None,
    "accessCode": "aB3dE9xzQ",
}


def calls(wire):
    """Method and last segment of each request."""
    return [f"{request.method} {request.path.partition('?')[0].rpartition('/')[2]}" for request in wire.requests]


def query(request):
    return dict(pair.split("=") for pair in request.path.partition("?")[2].split("&"))


@pytest.mark.parametrize(("register", "flag"), [(False, "n"), (True, "y")])
def test_a_page_is_asked_for_with_the_flag_by_both_its_names_and_without_a_body(client, wire, register, flag):
    wire.will(TAKEN)

    assert client.contacts.extract("S_JUNO", "S_BOSTON(1)", register=register, page=3, page_size=50) == UUID

    (request,) = wire.requests
    assert f"{SITE}/participants/" in request.path
    assert query(request) == {
        "includeParticipateInfo": flag,
        "register": flag,
        "page_number": "3",
        "page_size": "50",
    }
    assert request.body == b""


@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize(
    "tried",
    [
        ["POST extractParticipantsInfo"],
        ["POST extractParticipantsInfo", "POST extractPartcipantsInfo"],
        ["POST extractParticipantsInfo", "POST extractPartcipantsInfo", "GET extractPartcipantsInfo"],
        [
            "POST extractParticipantsInfo",
            "POST extractPartcipantsInfo",
            "GET extractPartcipantsInfo",
            "GET extractParticipantsInfo",
        ],
    ],
    ids=["as-in-the-source", "misspelt", "misspelt-by-get", "by-get"],
)
def test_the_call_that_a_server_has_is_found_and_remembered(client, wire, tried, status):
    wire.will(*[answer(status, "<html>", Content_Type="text/html")] * (len(tried) - 1), TAKEN, TAKEN)

    client.contacts.extract("S_JUNO", "S_BOSTON")
    assert calls(wire) == tried

    client.contacts.extract("S_JUNO", "S_BOSTON", page=2)
    assert calls(wire)[len(tried) :] == tried[-1:]


def test_a_server_without_any_of_the_calls_says_so(client, wire):
    wire.will(*[answer(404, "<html>", Content_Type="text/html")] * 4)
    with pytest.raises(NotAvailableError, match="extracts no contacts"):
        client.contacts.extract("S_JUNO", "S_BOSTON")


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "siteNotExist", NotFoundError),
        (404, "studyNotExist", NotFoundError),
        (400, "participateInActive", NotAvailableError),
        (400, "noSufficientPrivileges", RoleError),
        (400, "invalidPageSizeParameter", ConfigurationError),
    ],
)
def test_a_refusal_is_no_reason_to_try_another_call(client, wire, status, code, error):
    wire.will(answer(status, json.dumps({"message": f"errorCode.{code}", "params": {}})))
    with pytest.raises(error, match=code):
        client.contacts.extract("S_JUNO", "S_BOSTON")
    assert len(wire.requests) == 1


def test_the_request_is_repeated_where_its_answer_is_lost_since_it_changes_nothing(client, wire):
    wire.will(drop_after_reading, answer(503), TAKEN)
    assert client.contacts.extract("S_JUNO", "S_BOSTON") == UUID
    assert calls(wire) == ["POST extractParticipantsInfo"] * 3


@pytest.mark.parametrize("body", ["", "done", "job uuid: null"])
def test_an_answer_without_a_job_leaves_no_doubt_since_nothing_was_to_change(client, wire, body):
    wire.will(answer(200, body))
    with pytest.raises(UnexpectedAnswerError, match="without the uuid of a job") as caught:
        client.contacts.extract("S_JUNO", "S_BOSTON")
    assert "file" not in str(caught.value)


@pytest.mark.parametrize("wanted", [{"page": 0}, {"page_size": 0}, {"page_size": -1}])
def test_pages_are_counted_from_1(client, wire, wanted):
    with pytest.raises(ConfigurationError):
        client.contacts.extract("S_JUNO", "S_BOSTON", **wanted)
    assert wire.requests == []


# -- one participant


@pytest.mark.parametrize(("register", "flag"), [(False, "n"), (True, "y")])
def test_the_contact_data_of_one_participant_come_at_once(client, wire, register, flag):
    wire.will(answer(200, json.dumps(CONTACT)))

    contact = client.contacts.of("S_JUNO", "S_BOSTON(1)", "P-001", register=register)

    assert (contact.participant_id, contact.oid, contact.participate_status) == ("P-001", "SS_P001", "Created")
    assert (contact.first_name, contact.last_name, contact.email) == ("Ann", "Lee", "ann@example.org")
    assert (contact.mobile_number, contact.secondary_id, contact.access_code) == (None, "", "aB3dE9xzQ")
    (request,) = wire.requests
    assert request.path.partition("?")[0].endswith(f"{SITE}/participant")
    assert query(request) == {"participantID": "P-001", "includeParticipateInfo": flag, "register": flag}


def test_nobody_is_shown_by_accident(client, wire):
    wire.will(answer(200, json.dumps(CONTACT)))
    shown = repr(client.contacts.of("S_JUNO", "S_BOSTON", "P-001"))
    assert [value for value in ("Ann", "Lee", "ann@", "aB3dE9xzQ") if value in shown] == []


def test_of_somebody_who_was_never_changed_little_is_known(client, wire):
    wire.will(answer(200, '{"subjectKey": "P-001", "subjectOid": "SS_P001", "secondaryID": "", "createdBy": "ann"}'))
    assert client.contacts.of("S_JUNO", "S_BOSTON", "P-001").email is None


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, '{"message": "errorCode.participantNotFound", "params": {}}', NotFoundError),
        (400, '{"message": "errorCode.participantIDNotAvailable", "params": {}}', NotAvailableError),
        (404, "<html>", NotAvailableError),
        (405, "<html>", NotAvailableError),
        (200, "[]", UnexpectedAnswerError),
        (200, '{"firstName": "Ann"}', UnexpectedAnswerError),
        (500, "<html>Ann</html>", ServerUnavailableError),
    ],
)
def test_what_is_no_contact_is_an_error_that_quotes_nothing(client, wire, status, body, error):
    wire.will(answer(status, body))
    with pytest.raises(error) as caught:
        client.contacts.of("S_JUNO", "S_BOSTON", "P-001")
    assert [word for word in ("Ann", "P-001") if word in str(caught.value)] == []

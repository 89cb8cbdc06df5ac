"""Lists of participants, and adding them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from airflow_provider_openclinica.client.participants import AddedParticipant, ListedParticipant
from airflow_provider_openclinica.client.uploads import upload_file
from airflow_provider_openclinica.errors import (
    FileError,
    NotAvailableError,
    NotFoundError,
    RoleError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)
from tests.client.conftest import answer, drop_after_reading

LISTED = {
    "subjectKey": "P-001",
    "subjectOid": "SS_P001",
    "status": "AVAILABLE",
    "createdBy": "ann",
    "createdAt": "2019-06-07T23:20:32.690+0000",
    "lastModified": None,
}
ADDED = datetime(2019, 6, 7, 23, 20, 32, 690_000, tzinfo=UTC)


def test_a_participant_has_an_oid_an_id_and_a_status(client, wire):
    removed = LISTED | {"subjectKey": "P-002", "subjectOid": "SS_P002", "status": "DELETED", "new": [1]}
    listed = {"studyParticipants": [LISTED, removed], "siteID": None, "siteOID": None, "siteName": None}
    wire.will(answer(200, json.dumps(listed), Content_Type="application/json;charset=UTF-8"))
    assert client.participants.list("S_JUNO") == [
        ListedParticipant(oid="SS_P001", participant_id="P-001", status="AVAILABLE", changed_at=ADDED),
        ListedParticipant(oid="SS_P002", participant_id="P-002", status="DELETED", changed_at=ADDED),
    ]
    assert wire.requests[0].path.endswith("/api/clinicaldata/studies/S_JUNO/participants")


def test_the_list_of_a_site_has_a_path_of_its_own(client, wire):
    wire.will(answer(200, '{"studyParticipants": []}'))
    assert client.participants.list("S_JUNO", "S_BOSTON(1)") == []
    assert wire.requests[0].path.endswith("/studies/S_JUNO/sites/S_BOSTON%281%29/participants")


def test_a_long_list_is_read_to_its_end(client, wire):
    wire.will(answer(200, json.dumps({"studyParticipants": [LISTED] * 5_000})))
    assert len(client.participants.list("S_JUNO")) == 5_000


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, '{"message": "errorCode.studyNotExist", "params": {"studyOid": "S_JUNO"}}', NotFoundError),
        (400, '{"message": "errorCode.noSufficientPrivileges", "params": {}}', RoleError),
        (200, "[]", UnexpectedAnswerError),
        (200, '{"studyParticipants": [{"subjectKey": "P-001"}]}', UnexpectedAnswerError),
        (200, '{"studyParticipants": ["P-001"]}', UnexpectedAnswerError),
        (200, '{"studyParticipants": {}}', UnexpectedAnswerError),
        (200, "P-001", UnexpectedAnswerError),
    ],
)
def test_a_list_that_cannot_be_had_is_an_error_that_names_no_participant(client, wire, status, body, error):
    wire.will(answer(status, body))
    with pytest.raises(error, match="S_JUNO") as caught:
        client.participants.list("S_JUNO")
    assert "P-001" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "changed_at"),
    [
        ({}, ADDED),
        ({"lastModified": "2020-01-02T03:04:05.000+0000"}, datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ({"lastModified": 1_577_934_245_000}, datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ({"createdAt": None}, None),
        ({"createdAt": "Jun 7, 2019 12:00:00 AM"}, datetime(2019, 6, 8, 12, tzinfo=UTC)),
        ({"lastModified": "Dec 31, 2019 12:00:00 AM"}, datetime(2020, 1, 1, 12, tzinfo=UTC)),
        ({"createdAt": "Jun 31, 2019 12:00:00 AM"}, None),
        ({"createdAt": "7. Juni 2019"}, None),
        ({"lastModified": "31. Dez. 2019"}, None),
        ({"lastModified": "2019-12-31"}, datetime(2020, 1, 1, 12, tzinfo=UTC)),
        ({"lastModified": "2019-12-31T10:20:30"}, datetime(2020, 1, 1, 12, tzinfo=UTC)),
        ({"lastModified": "Dec 31, 9999 12:00:00 AM"}, None),
    ],
)
def test_a_participant_changed_when_last_modified_or_else_when_added(client, wire, written, changed_at):
    wire.will(answer(200, json.dumps({"studyParticipants": [LISTED | written]})))
    assert client.participants.list("S_JUNO")[0].changed_at == changed_at


@pytest.mark.parametrize(
    ("status", "removed"), [("AVAILABLE", False), ("Signed", False), ("DELETED", True), ("auto_deleted", True)]
)
def test_a_removed_participant_is_known_by_the_status(status, removed):
    assert ListedParticipant(oid="SS_1", participant_id="P-1", status=status).removed is removed


ADDED_JSON = {"subjectKey": "P-1", "subjectOid": "SS_P1", "status": "AVAILABLE", "participateStatus": ""}


@pytest.mark.parametrize(
    ("site_oid", "register", "target"),
    [
        ("S_BOSTON(1)", False, "/studies/S_JUNO/sites/S_BOSTON%281%29/participants?register=n"),
        ("S_BOSTON(1)", True, "/studies/S_JUNO/sites/S_BOSTON%281%29/participants?register=y"),
        (None, False, "/studies/S_JUNO/participants?register=n"),
    ],
)
def test_a_participant_is_sent_as_json(client, wire, site_oid, register, target):
    wire.will(answer(200, json.dumps(ADDED_JSON)))
    added = client.participants.add(
        "P-1", {"firstName": "Ånn", "lastName": ""}, study_oid="S_JUNO", site_oid=site_oid, register=register
    )
    assert added == AddedParticipant(oid="SS_P1", participant_id="P-1", status="AVAILABLE", participate_status="")
    (request,) = wire.requests
    assert request.method == "POST"
    assert request.path.endswith(target)
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body) == {"subjectKey": "P-1", "firstName": "Ånn", "lastName": ""}


def test_a_participant_is_sent_again_where_the_answer_is_lost(client, wire):
    wire.will(drop_after_reading, answer(503), answer(200, json.dumps(ADDED_JSON)))
    assert client.participants.add("P-1", study_oid="S_JUNO", site_oid="S_BOSTON").oid == "SS_P1"
    assert len(wire.requests) == 3


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, '{"message": "errorCode.participantNotFound", "params": {}}', NotFoundError),
        (400, '{"message": "errorCode.participantsEnrollmentCapReached", "params": {}}', NotAvailableError),
        (400, '{"message": "errorCode.studyHasSystemGeneratedIdEnabled", "params": {}}', NotAvailableError),
        (400, '{"message": "errorCode.invalidPhoneNumber", "params": {}}', FileError),
        (405, "<html>P-1 Ann</html>", NotAvailableError),
        (500, "<html>P-1 Ann</html>", ServerUnavailableError),
        (200, "P-1 Ann", UnexpectedAnswerError),
        (200, '{"subjectKey": "P-1"}', UnexpectedAnswerError),
    ],
)
def test_a_participant_who_is_refused_is_an_error_that_names_nobody(client, wire, status, body, error):
    wire.will(answer(status, body))
    with pytest.raises(error, match="S_JUNO") as caught:
        client.participants.add("P-1", {"firstName": "Ann"}, study_oid="S_JUNO", site_oid="S_BOSTON")
    assert "P-1" not in str(caught.value)
    assert "Ann" not in str(caught.value)


def test_a_file_of_participants_becomes_a_job(client, wire, tmp_path):
    path = tmp_path / "people.csv"
    path.write_bytes(b"ParticipantID\nP-1\n")
    wire.will(answer(200, "job uuid: 6c325687-8e28-4c9b-a3b4-3e2f0c1d2a5b"))
    upload = upload_file(path, name="people.csv")
    uuid = client.participants.add_bulk(upload, study_oid="S_JUNO", site_oid="S_BOSTON", register=True)
    assert uuid == "6c325687-8e28-4c9b-a3b4-3e2f0c1d2a5b"
    (request,) = wire.requests
    assert request.path.endswith("/studies/S_JUNO/sites/S_BOSTON/participants/bulk?register=y")
    assert b'name="file"; filename="people.csv"' in request.body


@pytest.mark.parametrize(
    "body",
    ["errorCode.invalidSiteIdentifier", '{"message": "errorCode.siteNotExist", "params": {}}'],
    ids=["as-documented", "as-in-the-source"],
)
def test_a_file_that_is_refused_is_an_error(client, wire, tmp_path, body):
    path = tmp_path / "people.csv"
    path.write_bytes(b"ParticipantID\nP-1\n")
    wire.will(answer(400, body))
    with pytest.raises(NotFoundError, match="S_BOSTON"):
        client.participants.add_bulk(upload_file(path, name="people.csv"), study_oid="S_JUNO", site_oid="S_BOSTON")

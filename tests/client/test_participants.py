"""Lists of participants."""

from __future__ import annotations

import json

import pytest

from airflow_provider_openclinica.client.participants import ListedParticipant
from airflow_provider_openclinica.errors import NotFoundError, RoleError, UnexpectedAnswerError
from tests.client.conftest import answer

LISTED = {
    "subjectKey": "P-001",
    "subjectOid": "SS_P001",
    "status": "AVAILABLE",
    "createdBy": "ann",
    "createdAt": "2019-06-07T23:20:32.690+0000",
    "lastModified": None,
}


def test_a_participant_has_an_oid_an_id_and_a_status(client, wire):
    removed = LISTED | {"subjectKey": "P-002", "subjectOid": "SS_P002", "status": "DELETED", "new": [1]}
    listed = {"studyParticipants": [LISTED, removed], "siteID": None, "siteOID": None, "siteName": None}
    wire.will(answer(200, json.dumps(listed), Content_Type="application/json;charset=UTF-8"))
    assert client.participants.list("S_JUNO") == [
        ListedParticipant(oid="SS_P001", participant_id="P-001", status="AVAILABLE"),
        ListedParticipant(oid="SS_P002", participant_id="P-002", status="DELETED"),
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
        (200, "P-001", UnexpectedAnswerError),
    ],
)
def test_a_list_that_cannot_be_had_is_an_error_that_names_no_participant(client, wire, status, body, error):
    wire.will(answer(status, body))
    with pytest.raises(error, match="S_JUNO") as caught:
        client.participants.list("S_JUNO")
    assert "P-001" not in str(caught.value)

"""Events, one by one and as a file: where a call goes, how often, and what each answer means."""

from __future__ import annotations

import io
import json

import pytest

from airflow_provider_openclinica.client.events import Events, WrittenEvent
from airflow_provider_openclinica.client.uploads import upload_from
from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    FileError,
    NotAvailableError,
    NotFoundError,
    RoleError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)
from tests.client.conftest import (
    answer,
    drop_after_reading,
    drop_in_the_body,
    drop_in_the_headers,
    drop_in_the_status_line,
)

UUID = "6c325687-c3c3-41f6-9b98-154ef3352cb1"
CSV = upload_from(
    lambda: io.BytesIO(b"ParticipantID,StudyEventOID,StartDate\nP-1,SE_VISIT,2026-01-01\n"), name="visits.csv"
)


def refusal(code: str):
    params = {"studyOid": "S_JUNO", "siteOid": "S_BOSTON"}
    return answer(400, json.dumps({"message": code, "params": params}), Content_Type="application/json")


def test_the_file_goes_to_the_bulk_path_of_its_site(http, wire):
    wire.will(answer(200, f"job uuid: {UUID}"))
    assert Events(http).bulk(CSV, study_oid="S_JUNO(TEST)", site_oid="S_BOSTON") == UUID
    (request,) = wire.requests
    assert request.path.endswith("/clinicaldata/studies/S_JUNO%28TEST%29/sites/S_BOSTON/events/bulk")
    assert b'name="file"; filename="visits.csv"' in request.body
    assert b"P-1,SE_VISIT,2026-01-01\n" in request.body


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        pytest.param(refusal("errorCode.siteNotExist"), NotFoundError, id="no-such-site"),
        pytest.param(refusal("errorCode.studyNotAvailable"), NotAvailableError, id="study-closed"),
        pytest.param(refusal("errorCode.noRoleSetUp"), RoleError, id="no-role"),
        pytest.param(refusal("errorCode.missingStartDateData"), FileError, id="column-missing"),
        pytest.param(refusal("errorCode.notCSVfile"), FileError, id="no-csv"),
        pytest.param(refusal("errorCode.notSupportedFileFormat"), FileError, id="no-csv-as-documented"),
        pytest.param(answer(400, "errorCode.blankFile"), FileError, id="a-bare-code"),
        pytest.param(answer(500, "<html>"), AmbiguousSubmitError, id="500"),
        pytest.param(drop_in_the_headers, AmbiguousSubmitError, id="answer-cut-off"),
    ],
)
def test_a_file_without_a_job_is_an_error_and_is_not_sent_again(http, wire, reply, error):
    wire.will(reply)
    with pytest.raises(error, match="S_JUNO"):
        Events(http).bulk(CSV, study_oid="S_JUNO", site_oid="S_BOSTON")
    assert len(wire.requests) == 1


WRITTEN = {
    "subjectKey": "P-1",
    "studyEventOID": "SE_VISIT",
    "studyEventRepeatKey": "2",
    "startDate": "2026-05-01",
    "endDate": None,
    "eventStatus": "SCHEDULED",
}


def written(**differently: object):
    return answer(200, json.dumps(WRITTEN | differently), Content_Type="application/json;charset=UTF-8")


def create(http, **options: str) -> WrittenEvent:
    usual = {"start_date": "2026-05-01", "study_oid": "S_JUNO", "site_oid": "S_BOSTON"}
    return Events(http).create("P-1", "SE_VISIT", **usual | options)


def update(http, **options: str) -> WrittenEvent:
    return Events(http).update("P-1", "SE_VISIT", "2", study_oid="S_JUNO", site_oid="S_BOSTON", **options)


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, {"startDate": "2026-05-01"}),
        ({"end_date": "2026-05-02"}, {"startDate": "2026-05-01", "endDate": "2026-05-02"}),
        ({"start_date": "2026-05-01 09:30"}, {"startDate": "2026-05-01 09:30"}),
    ],
)
def test_a_visit_is_asked_for_with_what_is_known_of_it(http, wire, options, sent):
    wire.will(written())
    assert create(http, **options) == WrittenEvent(
        study_event_oid="SE_VISIT", repeat_key="2", start_date="2026-05-01", end_date="", status="scheduled"
    )
    (request,) = wire.requests
    assert request.method == "POST"
    assert request.path.endswith("/clinicaldata/studies/S_JUNO/sites/S_BOSTON/events")
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body) == {"subjectKey": "P-1", "studyEventOID": "SE_VISIT"} | sent


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"status": "DATA_ENTRY_STARTED"}, {"eventStatus": "data entry started"}),
        ({"end_date": "2026-05-02"}, {"endDate": "2026-05-02"}),
        ({"start_date": "2026-05-01", "status": "skipped"}, {"startDate": "2026-05-01", "eventStatus": "skipped"}),
    ],
)
def test_a_change_names_what_changes_and_nothing_else(http, wire, options, sent):
    wire.will(written(eventStatus="DATA_ENTRY_STARTED"))
    assert update(http, **options).status == "data entry started"
    (request,) = wire.requests
    assert request.method == "PUT"
    assert (
        json.loads(request.body)
        == {
            "subjectKey": "P-1",
            "studyEventOID": "SE_VISIT",
            "studyEventRepeatKey": "2",
        }
        | sent
    )


def test_a_status_is_told_in_one_spelling_whoever_answers(http, wire):
    wire.will(written(eventStatus="scheduled"), written(eventStatus="SCHEDULED"), written(eventStatus=None))
    assert [update(http, status="scheduled").status for _ in range(3)] == ["scheduled", "scheduled", ""]


@pytest.mark.parametrize(
    "lost",
    [drop_after_reading, drop_in_the_status_line, drop_in_the_headers, drop_in_the_body, answer(500, "<html>")],
    ids=["no-answer", "half-a-status", "half-a-head", "half-a-body", "500"],
)
def test_a_visit_whose_answer_is_lost_is_not_asked_for_again(http, wire, lost):
    wire.will(lost, written())
    with pytest.raises(AmbiguousSubmitError, match="participant's events") as caught:
        create(http)
    assert len(wire.requests) == 1
    assert "P-1" not in str(caught.value)


def test_a_visit_that_cannot_have_arrived_is_asked_for_again(http, wire, naps):
    wire.will(answer(503, "", Retry_After="1"), answer(429, ""), written())
    assert create(http).repeat_key == "2"
    assert len(wire.requests) == 3
    assert [json.loads(request.body) for request in wire.requests] == [json.loads(wire.requests[0].body)] * 3


def test_a_token_that_is_refused_costs_no_visit(http, wire):
    wire.will(answer(401, "<html>"), written())
    assert create(http).repeat_key == "2"
    assert len(wire.requests) == 2


def test_a_change_whose_answer_is_lost_is_sent_again(http, wire, naps):
    wire.will(drop_after_reading, answer(502, ""), written())
    assert update(http, status="skipped").repeat_key == "2"
    assert len(wire.requests) == 3


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        pytest.param(refusal("errorCode.participantNotFound"), NotFoundError, id="no-such-participant"),
        pytest.param(refusal("errorCode.invalidStudyEventOID"), NotFoundError, id="no-such-event"),
        pytest.param(refusal("errorCode.studyEventRepeatNotFound"), NotFoundError, id="no-such-occurrence"),
        pytest.param(refusal("errorCode.siteNotAvailable"), NotAvailableError, id="site-closed"),
        pytest.param(refusal("errorCode.noSufficientPrivileges"), RoleError, id="role"),
        pytest.param(refusal("errorCode.commonEventsCannotBeScheduled"), FileError, id="common"),
        pytest.param(refusal("errorCode.commonEventCannotBeScheduled"), FileError, id="common-as-documented"),
        pytest.param(refusal("errorCode.eventAlreadyExists"), FileError, id="there-already"),
        pytest.param(refusal("errorCode.invalidStartDate"), FileError, id="date"),
        pytest.param(refusal("errorCode.invalidStatus"), FileError, id="status-as-documented"),
        pytest.param(refusal("errorCode.invalidEventStatus"), FileError, id="status"),
        pytest.param(refusal("errorCode.eventStatusTransitionNotAllowed"), NotAvailableError, id="transition"),
        pytest.param(refusal("errorCode.invalidEventTransitionStatus"), NotAvailableError, id="transition-in-source"),
    ],
)
@pytest.mark.parametrize("call", [create, update])
def test_what_is_refused_is_an_error_that_names_nobody(http, wire, call, reply, error):
    wire.will(reply)
    with pytest.raises(error, match="S_JUNO") as caught:
        call(http)
    assert "P-1" not in str(caught.value)
    assert "Correct the file" not in str(caught.value)
    assert len(wire.requests) == 1


@pytest.mark.parametrize("body", ['{"subjectKey": "P-1"}', "P-1", ""], ids=["something-else", "no-json", "nothing"])
def test_an_answer_that_tells_of_no_visit_leaves_open_whether_there_is_one(http, wire, body):
    wire.will(answer(200, body))
    with pytest.raises(AmbiguousSubmitError, match="does not tell of it") as caught:
        create(http)
    assert "P-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param('{"subjectKey": "P-1"}', UnexpectedAnswerError, id="something-else"),
        pytest.param("P-1", UnexpectedAnswerError, id="no-json"),
        pytest.param("", NotAvailableError, id="a-kind-that-cannot-be-changed"),
    ],
)
def test_an_answer_that_tells_of_no_change_is_an_error(http, wire, body, error):
    wire.will(answer(200, body))
    with pytest.raises(error, match="S_JUNO") as caught:
        update(http, status="skipped")
    assert "P-1" not in str(caught.value)


def test_a_server_that_is_away_has_taken_nothing(http, wire, naps):
    wire.close()
    with pytest.raises(ServerUnavailableError):
        create(http)

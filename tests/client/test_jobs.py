"""Jobs: what an answer tells of one, its file, and the list."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.client.answers import Answer
from airflow_provider_openclinica.client.jobs import JobState, job_state, job_uuid_in
from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    CredentialsError,
    JobUnknownError,
    LogGoneError,
    NotAvailableError,
    NotFoundError,
    OpenClinicaError,
    RoleError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)
from tests.client.conftest import answer, drop_after_reading, response

UUID = "6c325687-c3c3-41f6-9b98-154ef3352cb1"
FILE = {"Content_Disposition": "attachment; filename=JUNO-TEST_XML_IMPORT_2026-01-02-030405006Z.csv"}


@pytest.mark.parametrize(
    ("status", "headers", "body", "state"),
    [
        pytest.param(200, {}, "errorCode.jobInProgress", JobState.RUNNING, id="running-as-documented"),
        pytest.param(200, {}, "error.jobInProgress", JobState.RUNNING, id="running-as-in-the-source"),
        pytest.param(200, {"Content-Disposition": "x"}, "", JobState.FINISHED, id="a-log-is-ready"),
        pytest.param(200, {}, "error.noLogFileFound", JobState.NO_LOG, id="ended-without-a-log"),
        pytest.param(200, {}, "errorCode.noLogFileFound", JobState.NO_LOG, id="ended-without-a-log-as-documented"),
        pytest.param(200, {}, "errorCode.noSufficientPrivileges", JobState.NOT_YOURS, id="another-account"),
        pytest.param(404, {}, "error.invalidUuid", JobState.UNKNOWN, id="no-such-job-or-wrong-active-study"),
        pytest.param(404, {}, "errorCode.invalidUuid", JobState.UNKNOWN, id="no-such-job-as-documented"),
        pytest.param(200, {}, "errorCode.invalidUuid", JobState.UNKNOWN, id="no-such-job-with-200"),
        pytest.param(404, {}, "<html>", JobState.UNKNOWN, id="a-page-for-404"),
        pytest.param(200, {}, "errorCode.jobPaused", JobState.RUNNING, id="a-code-we-have-never-seen"),
        pytest.param(400, {}, "error.jobPaused", JobState.RUNNING, id="the-same-with-another-status"),
        pytest.param(200, {}, '"ERRORCODE.JOBINPROGRESS"', JobState.RUNNING, id="other-letters-and-quotes"),
    ],
)
def test_the_answer_to_a_download_tells_the_job_state(status, headers, body, state):
    assert job_state(Answer(status, headers, body)) is state


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        pytest.param(200, "", UnexpectedAnswerError, id="nothing"),
        pytest.param(200, "Ann Lee", UnexpectedAnswerError, id="text"),
        pytest.param(200, '{"message": "Ann Lee"}', UnexpectedAnswerError, id="json"),
        pytest.param(200, "<html>Ann Lee</html>", CredentialsError, id="a-log-in-page"),
        pytest.param(500, "<html>Ann Lee</html>", ServerUnavailableError, id="an-error-page"),
        pytest.param(403, "errorCode.noRoleSetUp", RoleError, id="a-code-that-is-no-state"),
    ],
)
def test_an_answer_without_a_state_is_an_error_that_does_not_quote_it(status, body, error):
    with pytest.raises(error) as caught:
        job_state(Answer(status, {}, body))
    assert "Ann" not in str(caught.value)


@given(st.integers(200, 599), st.text(), st.booleans())
def test_every_answer_is_either_a_state_or_an_error_of_ours(status, body, has_file):
    with suppress(OpenClinicaError):
        assert job_state(Answer(status, {"Content-Disposition": "x"} if has_file else {}, body)) in JobState


def test_a_new_code_is_logged_once(caplog):
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            job_state(Answer(200, {}, "errorCode.jobTakesANap"))
    assert [record.getMessage() for record in caplog.records if ".client." in record.name] == [
        "OpenClinica answers for a job with errorCode.jobTakesANap, which is new to us: we go on waiting"
    ]


@pytest.mark.parametrize(
    "body",
    [
        f"job uuid: {UUID}",
        f"job uuid: {UUID}\n",
        f'"job uuid: {UUID}"',
        f"job UUID : {UUID}",
        f"JOB UUID:{UUID}",
    ],
)
def test_the_uuid_of_a_submitted_job_is_found_in_each_spelling(body):
    assert job_uuid_in(Answer(200, {"Content-Type": "application/json"}, body), "the import") == UUID


def test_a_uuid_may_have_letters_beyond_f():
    uuid = UUID.replace("c3c3", "hj98")
    assert job_uuid_in(Answer(200, {}, f"job uuid: {uuid}"), "the import") == uuid


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        pytest.param(200, "errorCode.noRoleSetUp", RoleError, "refused the import", id="refused-with-200"),
        pytest.param(404, "errorCode.studyNotExist", NotFoundError, "S_JUNO", id="no-such-study"),
        pytest.param(200, "job uuid: null", LogGoneError, "System user", id="system-user"),
        pytest.param(
            200,
            '{"message": "SUCCESS", "detailMessages": []}',
            UnexpectedAnswerError,
            "old importer",
            id="wrong-importer",
        ),
        pytest.param(
            400,
            '{"message": "VALIDATION FAILED", "errors": [{"code": "errorCode.ValidationFailed", "message": "Ann"}]}',
            UnexpectedAnswerError,
            "old importer",
            id="wrong-importer-refuses",
        ),
        pytest.param(
            400, '{"message": "errorCode.noRoleSetUp", "params": {}}', RoleError, "refused", id="code-in-json"
        ),
        pytest.param(200, "", AmbiguousSubmitError, "neither a job nor a code", id="nothing"),
        pytest.param(200, "job uuid: ", AmbiguousSubmitError, "neither a job nor a code", id="cut-short"),
        pytest.param(200, f"job uuid: {UUID}{UUID}", AmbiguousSubmitError, "neither", id="two"),
    ],
)
def test_a_submit_without_a_uuid_is_an_error_by_what_the_user_can_do(status, body, error, says):
    with pytest.raises(error, match=says) as caught:
        job_uuid_in(Answer(status, {}, body), "the import", study="S_JUNO")
    assert "Ann" not in str(caught.value)


def test_the_state_is_asked_for_without_reading_a_byte_of_the_log(client, wire):
    def begin_an_endless_log(peer):
        request = peer.read()
        assert request.path.endswith(f"/jobs/{UUID}/downloadFile")
        peer.send(response(200, "Row", Content_Length="99999999999", **FILE))

    wire.will(begin_an_endless_log)
    assert client.jobs.state(UUID) is JobState.FINISHED


def test_a_log_is_streamed_under_a_safe_name(client, wire):
    wire.will(answer(200, b"a,b\n" * 100_000, **FILE))
    with client.jobs.open_log(UUID) as log:
        assert log.name == "JUNO-TEST_XML_IMPORT_2026-01-02-030405006Z.csv"
        assert b"".join(log.chunks()) == b"a,b\n" * 100_000


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("attachment; filename=JUNO-TEST_Schedule%20Event_1Z.csv", "JUNO-TEST_Schedule Event_1Z.csv"),
        ('attachment; filename="log.csv"; size=3', "log.csv"),
        ("attachment; filename*=UTF-8''Zo%C3%AB%3B.csv", "Zo__.csv"),
        ("attachment; filename=..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("attachment; filename=..%5C..%5Cx.csv", "x.csv"),
        ("attachment; filename=a%0D%0Ab%00.csv", "a__b_.csv"),
        ("attachment; filename=..", f"{UUID}.csv"),
        ("attachment", f"{UUID}.csv"),
        ("attachment; filename=" + "x" * 300 + ".csv", "x" * 100 + "x" * 96 + ".csv"),
    ],
)
def test_a_file_name_of_the_server_is_made_safe(client, wire, disposition, name):
    wire.will(answer(200, "x", Content_Disposition=disposition))
    with client.jobs.open_log(UUID) as log:
        assert log.name == name


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, "error.jobInProgress", NotAvailableError),
        (200, "errorCode.jobPaused", OpenClinicaError),
        (200, "error.noLogFileFound", LogGoneError),
        (200, "errorCode.noSufficientPrivileges", RoleError),
        (404, "error.invalidUuid", JobUnknownError),
        (200, "Ann Lee", UnexpectedAnswerError),
    ],
)
def test_a_log_that_cannot_be_had_is_an_error_that_names_the_job(client, wire, status, body, error):
    wire.will(answer(status, body))
    with pytest.raises(error) as caught, client.jobs.open_log(UUID):
        pass
    assert body == "Ann Lee" or UUID in str(caught.value)


LISTED = {
    "uuid": UUID,
    "status": "COMPLETED",
    "type": "XML_IMPORT",
    "createdByUsername": "ann",
    "siteOid": "",
    "studyOid": "S_JUNO",
    "dateCreated": "2020-10-26T12:00:00.000Z",
    "dateUpdated": None,
    "sourceFileName": "odm.xml",
}


def test_the_list_of_a_study_names_its_jobs(client, wire):
    bare = {"uuid": "u2", "status": "in_progress", "type": "ACCESS_CODE", "sourceFileName": None, "siteOid": None}
    wire.will(answer(200, json.dumps([LISTED, bare]), Content_Type="application/json;charset=UTF-8"))
    first, second = client.jobs.list("S_JUNO(TEST)")
    assert wire.requests[0].path == "/OpenClinica/pages/auth/api/studies/S_JUNO%28TEST%29/jobs"
    assert (first.uuid, first.status, first.type, first.source_file_name) == (
        UUID,
        "COMPLETED",
        "XML_IMPORT",
        "odm.xml",
    )
    assert first.date_created == datetime(2020, 10, 26, 12, tzinfo=UTC)
    assert (second.status, second.source_file_name, second.date_created, second.site_oid) == (
        "IN_PROGRESS",
        "",
        None,
        "",
    )


def test_the_list_of_a_site_has_a_path_of_its_own(client, wire):
    wire.will(answer(200, "[]"))
    assert client.jobs.list("S_JUNO", "S_BOSTON") == []
    assert wire.requests[0].path.endswith("/studies/S_JUNO/sites/S_BOSTON/jobs")


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2020-10-26T12:00:00.000+0000", datetime(2020, 10, 26, 12, tzinfo=UTC)),
        ("2020-10-26T12:00:00", datetime(2020, 10, 26, 12, tzinfo=UTC)),
        (1603713600000, datetime(2020, 10, 26, 12, tzinfo=UTC)),
        ("yesterday", None),
        (10**30, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_date_of_the_list_is_read_in_each_spelling(client, wire, written, moment):
    wire.will(answer(200, json.dumps([LISTED | {"dateCreated": written}])))
    assert client.jobs.list("S_JUNO")[0].date_created == moment


@pytest.mark.parametrize(
    ("reply", "error", "is_transient"),
    [
        pytest.param(answer(404, "<html>"), NotAvailableError, False, id="no-list-404"),
        pytest.param(answer(405, "<html>"), NotAvailableError, False, id="no-list-405"),
        pytest.param(answer(500, "<html>"), RoleError, False, id="no-role"),
        pytest.param(
            answer(400, "", X_runtimeApp_error="InValid StudyOID. The StudyOID is invalid or does not exist"),
            NotFoundError,
            False,
            id="no-such-study",
        ),
        pytest.param(answer(200, '{"Ann": "Lee"}'), UnexpectedAnswerError, False, id="an-object"),
        pytest.param(answer(200, "{}"), UnexpectedAnswerError, False, id="an-empty-object"),
        pytest.param(answer(200, '["Ann Lee"]'), UnexpectedAnswerError, False, id="a-list-of-something-else"),
        pytest.param(answer(200, "Ann Lee"), UnexpectedAnswerError, False, id="text"),
        pytest.param(answer(503, "<html>"), ServerUnavailableError, True, id="down"),
        pytest.param(drop_after_reading, ServerUnavailableError, True, id="dropped"),
    ],
)
def test_a_list_that_cannot_be_had_tells_whether_asking_again_may_help(client, wire, reply, error, is_transient):
    wire.will(*[reply] * 5)
    with pytest.raises(error) as caught:
        client.jobs.list("S_JUNO")
    assert caught.value.retry is is_transient
    assert "Ann" not in str(caught.value)


def test_the_page_of_a_job_stands_on_the_study_server(client, wire):
    assert client.jobs.page(UUID) == f"{wire.url}/OpenClinica/Jobs?uuid={UUID}"

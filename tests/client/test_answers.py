"""Every failure shape, on any endpoint, becomes an error that says what to do and quotes nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.client.answers import Answer, error_in, raise_for
from airflow_provider_openclinica.errors import (
    CredentialsError,
    FileError,
    JobUnknownError,
    NotAvailableError,
    NotFoundError,
    RateLimitError,
    RoleError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)

HTML = {"Content-Type": "text/html;charset=utf-8"}
PAGE = "<!DOCTYPE html><html><body>Zoe Xu, P-001</body></html>"


def of_shape_j(code: str, study: str | None = "S_JUNO", site: str | None = "S_NORTH") -> str:
    return json.dumps({"message": code, "params": {"studyOid": study, "siteOid": site}})


@pytest.mark.parametrize(
    ("body", "headers", "code", "spelled"),
    [
        pytest.param("errorCode.noRoleSetUp", {}, "norolesetup", "errorCode.noRoleSetUp", id="bare"),
        pytest.param("error.jobInProgress", {}, "jobinprogress", "error.jobInProgress", id="bare-as-in-the-source"),
        pytest.param(
            "errorcode.cannotSignEventWithoutAttestation",
            {},
            "cannotsigneventwithoutattestation",
            "errorcode.cannotSignEventWithoutAttestation",
            id="bare-in-lower-case",
        ),
        pytest.param('"errorCode.noRoleSetup"\n', {}, "norolesetup", "errorCode.noRoleSetup", id="bare-in-quotes"),
        pytest.param(
            "errorCode.invalidXMLFile\nP-001 is not closed\nline 1",
            {},
            "invalidxmlfile",
            "errorCode.invalidXMLFile",
            id="bare-before-a-parser's-message",
        ),
        pytest.param(
            "errorCode.missingItemFile.Zoe Xu scan.png",
            {},
            "missingitemfile",
            "errorCode.missingItemFile",
            id="bare-before-the-name-of-a-file",
        ),
        pytest.param(
            of_shape_j("errorCode.siteNotExist"), {}, "sitenotexist", "errorCode.siteNotExist", id="message-and-params"
        ),
        pytest.param(
            '{"message":"VALIDATION FAILED","errors":[{"code":"errorCode.notXMLfile","message":"Zoe"}]}',
            {},
            "notxmlfile",
            "errorCode.notXMLfile",
            id="validation-list",
        ),
        pytest.param(
            "",
            {"x-runtimeapp-error": "Incorrect User. The user is not the owner of this log file"},
            "incorrectuser",
            "incorrectUser",
            id="sentence-in-a-header",
        ),
        pytest.param("", {"X-runtimeApp-error": "Zoe Xu is on leave"}, None, "", id="unknown-sentence-in-a-header"),
        pytest.param(
            "Insufficient privileges.", {}, "nosufficientprivileges", "noSufficientPrivileges", id="sentence-as-body"
        ),
        pytest.param("job uuid: 6c325687-c3c3-41f6-9b98-154ef3352cb1", {}, None, "", id="a-job"),
        pytest.param(PAGE, HTML, None, "", id="a-page"),
        pytest.param("[]", {}, None, "", id="an-empty-list"),
        pytest.param("", {}, None, "", id="nothing"),
        pytest.param("see errorCode.noRoleSetUp", {}, None, "", id="a-code-inside-a-text"),
    ],
)
def test_a_code_is_found_in_every_shape(body, headers, code, spelled):
    answer = Answer(200, headers, body)
    assert (answer.code, answer.raw_code) == (code, spelled)


@pytest.mark.parametrize(
    ("status", "headers", "body", "error"),
    [
        pytest.param(200, {}, "errorCode.noRoleSetUp", RoleError, id="no-role-comes-with-200"),
        pytest.param(200, {}, "errorCode.studyNotAvailable", NotAvailableError, id="closed-study-comes-with-200"),
        pytest.param(404, {}, "errorCode.studyNotExist", NotFoundError, id="unknown-study"),
        pytest.param(404, {}, "error.invalidUuid", JobUnknownError, id="unknown-job"),
        pytest.param(415, {}, "errorCode.invalidXMLFile\nP-001", FileError, id="broken-xml"),
        pytest.param(400, {}, of_shape_j("errorCode.siteNotExist"), NotFoundError, id="unknown-site"),
        pytest.param(
            400,
            {"X-runtimeApp-error": "InValid StudyOID. The StudyOID should have a Study Level Oid"},
            "",
            NotFoundError,
            id="site-in-the-place-of-a-study",
        ),
        pytest.param(400, {"X-runtimeApp-error": "Zoe Xu"}, "", UnexpectedAnswerError, id="unknown-sentence"),
        pytest.param(400, HTML, PAGE, UnexpectedAnswerError, id="malformed-request"),
        pytest.param(401, HTML, PAGE, CredentialsError, id="refused-token"),
        pytest.param(403, HTML, PAGE, RoleError, id="forbidden"),
        pytest.param(404, HTML, PAGE, NotFoundError, id="no-such-address"),
        pytest.param(405, HTML, PAGE, NotAvailableError, id="call-not-offered"),
        pytest.param(406, HTML, PAGE, UnexpectedAnswerError, id="not-acceptable"),
        pytest.param(413, HTML, PAGE, FileError, id="too-large"),
        pytest.param(415, HTML, PAGE, FileError, id="wrong-type"),
        pytest.param(429, {}, "", RateLimitError, id="too-many-calls"),
        pytest.param(500, HTML, PAGE, ServerUnavailableError, id="uncaught-in-the-server"),
        pytest.param(502, HTML, PAGE, ServerUnavailableError, id="gateway"),
        pytest.param(503, {}, "", ServerUnavailableError, id="down"),
        pytest.param(504, {}, "", ServerUnavailableError, id="gateway-timeout"),
        pytest.param(302, {"Location": "https://x/login?user=zoe"}, "", CredentialsError, id="sent-to-log-in"),
        pytest.param(200, HTML, PAGE, CredentialsError, id="log-in-page-with-200"),
        pytest.param(200, {}, PAGE, CredentialsError, id="log-in-page-without-a-type"),
        pytest.param(200, {}, "errorCode.paused", UnexpectedAnswerError, id="unknown-code-with-200"),
        pytest.param(403, {}, "errorCode.paused", RoleError, id="unknown-code-with-a-status-that-tells"),
    ],
)
def test_a_failure_is_the_error_that_says_what_to_do(status, headers, body, error):
    found = error_in(Answer(status, headers, body), "the import")
    assert type(found) is error
    assert found.status == status
    assert "zoe" not in str(found).casefold()
    assert "P-001" not in str(found)
    with pytest.raises(error):
        raise_for(Answer(status, headers, body), "the import")


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        pytest.param(200, {}, "job uuid: 6c325687-c3c3-41f6-9b98-154ef3352cb1", id="a-job"),
        pytest.param(200, {}, "[]", id="a-list"),
        pytest.param(200, {}, "", id="an-empty-answer"),
        pytest.param(204, {}, "", id="no-content"),
        pytest.param(
            200, {"content-disposition": "attachment; filename=x.html"} | HTML, PAGE, id="a-file-that-is-html"
        ),
        pytest.param(200, {"Content-Disposition": "attachment"}, "errorCode.noRoleSetUp", id="a-file-that-is-a-code"),
    ],
)
def test_a_success_is_no_error(status, headers, body):
    assert error_in(Answer(status, headers, body), "the import") is None
    raise_for(Answer(status, headers, body), "the import")


def test_an_error_tells_code_status_study_site_job_meaning_and_next_step():
    answer = Answer(404, {}, "errorCode.studyOIDNotFound")
    error = error_in(answer, "the import", study="S_JUNO", site="S_NORTH", job="6c32")
    assert str(error) == (
        "OpenClinica refused the import: no study has this OID (study S_JUNO, site S_NORTH, job 6c32, "
        "code errorCode.studyOIDNotFound, HTTP status 404). Compare the OID, letter for letter, with the study in "
        "OpenClinica."
    )


def test_the_oids_of_an_answer_fill_in_for_those_the_caller_did_not_know():
    error = error_in(Answer(400, {}, of_shape_j("errorCode.noRoleSetUp", site=None)), "the list", site="S_SOUTH")
    assert (error.study, error.site) == ("S_JUNO", "S_SOUTH")


@pytest.mark.parametrize("oid", ["Zoe Xu", "S_" + "X" * 80, 17, ["S_JUNO"], "S_JUNO\n"])
def test_what_is_not_spelled_like_an_oid_is_not_taken_for_one(oid):
    assert error_in(Answer(400, {}, of_shape_j("errorCode.noRoleSetUp", study=oid)), "the list").study == ""


def test_a_code_that_nobody_knows_is_named_so_that_it_can_be_reported():
    error = error_in(Answer(200, {}, "errorCode.paused"), "the import")
    assert error.code == "errorCode.paused"
    assert "errorCode.paused" in str(error)


@given(
    st.integers(100, 599),
    st.text(),
    st.dictionaries(st.sampled_from(["Content-Type", "X-runtimeApp-error"]), st.text()),
)
def test_no_answer_at_all_breaks_the_reading_or_is_quoted(status, body, headers):
    marked = f"{body}<P-001>"
    error = error_in(Answer(status, headers, marked), "the import")
    assert error is None or "<P-001>" not in str(error)
    assert status < 300 or error is not None


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists)
    | st.dictionaries(
        st.sampled_from(["message", "params", "errors", "code"]),
        st.none()
        | st.integers()
        | st.text()
        | st.lists(st.dictionaries(st.sampled_from(["code", "message"]), st.integers() | st.text())),
    )
)
def test_json_of_any_form_is_survived(content):
    answer = Answer(400, {}, json.dumps(content))
    assert error_in(answer, "the list") is not None


def test_json_that_nests_without_end_is_no_json():
    assert Answer(400, {}, "[" * 60_000).json is None


@pytest.mark.parametrize(
    ("status", "body", "absent", "breakdown"),
    [
        pytest.param(404, PAGE, True, False, id="no-such-address"),
        pytest.param(405, "", True, False, id="not-by-this-method"),
        pytest.param(404, "errorCode.studyNotExist", False, False, id="404-with-a-code"),
        pytest.param(500, PAGE, False, True, id="a-page-of-500"),
        pytest.param(500, "errorCode.studyNotExist", False, False, id="500-with-a-code"),
        pytest.param(200, "", False, False, id="200"),
        pytest.param(503, PAGE, False, False, id="503"),
    ],
)
def test_what_has_no_code_tells_a_call_that_is_not_there_from_one_that_broke(
    status: int, body: str, absent: bool, breakdown: bool
) -> None:
    answer = Answer(status, HTML, body)
    assert (answer.is_absent, answer.is_breakdown) == (absent, breakdown)

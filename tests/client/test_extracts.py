"""The files of scheduled extracts: listed newest first, streamed, and every refusal in words."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from airflow_provider_openclinica.client.extracts import ExtractExecution
from airflow_provider_openclinica.errors import (
    FileUnavailableError,
    NotAvailableError,
    NotFoundError,
    RoleError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)
from tests.client.conftest import answer, response

EXTRACT_JOB = "0b1e9d3c-31d4-4c8f-8a27-50a1b7a0f6f1"
OLD, NEW, UNDATED = (f"6c325687-c3c3-41f6-9b98-154ef3352cb{number}" for number in (1, 2, 3))
HTML = {"Content_Type": "text/html;charset=utf-8"}
PAGE = "<!DOCTYPE html><html><body>Zoe Xu</body></html>"


def listed(*executions):
    return json.dumps([{"dateCreated": created, "jobExecutionUuid": uuid} for uuid, created in executions])


def executions(client):
    return client.extracts.executions("S_JUNO(TEST)", EXTRACT_JOB)


def read(client):
    with client.extracts.open_dataset("S_JUNO", NEW) as dataset:
        return dataset.name, b"".join(dataset.chunks())


def test_the_runs_are_listed_newest_first(client, wire):
    wire.will(
        answer(
            200,
            listed(
                (UNDATED, None),
                (OLD, "2026-10-26T12:00:00.000Z"),
                (NEW, "2026-10-27T12:00:00.000+0000"),
            ),
        )
    )
    assert executions(client) == [
        ExtractExecution(uuid=NEW, date_created=datetime(2026, 10, 27, 12, tzinfo=UTC)),
        ExtractExecution(uuid=OLD, date_created=datetime(2026, 10, 26, 12, tzinfo=UTC)),
        ExtractExecution(uuid=UNDATED, date_created=None),
    ]
    [request] = wire.requests
    assert request.path.endswith(f"/studies/S_JUNO%28TEST%29/extractJobs/{EXTRACT_JOB}/jobExecutions")


def test_an_extract_that_has_not_run_yet_has_no_files(client, wire):
    wire.will(answer(200, "[]"))
    assert executions(client) == []


def test_a_file_is_streamed_as_it_came_under_a_name_made_safe(client, wire):
    content = b"PK\x03\x04" + bytes(700_000)
    wire.will(answer(200, content, Content_Disposition='attachment; filename="../Zoë all.zip"'))
    assert read(client) == ("Zo_ all.zip", content)
    assert wire.requests[0].path.endswith(f"/studies/S_JUNO/extractJobs/jobExecutions/{NEW}/dataset")


def test_a_file_without_a_name_has_the_uuid_of_its_run(client, wire):
    wire.will(answer(200, b"data", Content_Disposition="attachment"))
    assert read(client) == (NEW, b"data")


def test_a_download_that_breaks_off_is_no_file(client, wire):
    def break_off(peer):
        peer.read()
        peer.send(response(200, b"half", Content_Disposition="attachment", Content_Length="1000"))
        peer.close()

    wire.will(break_off)
    with pytest.raises(ServerUnavailableError, match="in the middle of the file of an extract"):
        read(client)


NOT_ALLOWED = "Insufficient privileges."
NO_STUDY = "No study found for StudyOId:S_JUNO."
COMMON = [
    pytest.param(answer(404, PAGE, **HTML), NotAvailableError, "gives out no extracts", id="no-such-call"),
    pytest.param(answer(405, PAGE, **HTML), NotAvailableError, "gives out no extracts", id="another-method"),
    pytest.param(answer(500, PAGE, **HTML), ServerUnavailableError, "gone from its disk", id="failed-inside"),
    pytest.param(answer(200, "Zoe Xu"), UnexpectedAnswerError, "something else", id="text"),
]


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        pytest.param(answer(400, "", X_runtimeApp_error=NOT_ALLOWED), RoleError, "techadmin", id="no-privileges"),
        pytest.param(answer(400, "", X_runtimeApp_error=NO_STUDY), NotFoundError, "no study", id="no-such-study"),
        pytest.param(
            answer(400, "", X_runtimeApp_error=f"No content found for job Uuid: {EXTRACT_JOB}."),
            NotFoundError,
            "no such extract job",
            id="no-such-job",
        ),
        pytest.param(answer(400, "", X_runtimeApp_error="Zoe Xu"), UnexpectedAnswerError, "gave no code", id="new"),
        pytest.param(answer(200, '{"Zoe": "Xu"}'), UnexpectedAnswerError, "something else", id="no-list"),
        pytest.param(answer(200, "{}"), UnexpectedAnswerError, "something else", id="an-empty-object"),
        pytest.param(answer(200, '[{"Zoe": "Xu"}]'), UnexpectedAnswerError, "something else", id="other-list"),
        *COMMON,
    ],
)
def test_a_list_that_is_refused_says_why_and_quotes_nothing(client, wire, reply, error, words):
    wire.will(reply)
    with pytest.raises(error, match=words) as caught:
        executions(client)
    assert "Zoe" not in str(caught.value)
    assert caught.value.study == "S_JUNO(TEST)"


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        pytest.param(answer(404, NO_STUDY), NotFoundError, "no study", id="no-such-study"),
        pytest.param(
            answer(404, f"Job execution id {NEW} is invalid."), NotFoundError, "no such extract job", id="no-such-run"
        ),
        pytest.param(
            answer(404, f"The file reference for job_execution_uuid {NEW} has been deleted."),
            FileUnavailableError,
            "not yet or no longer",
            id="no-file",
        ),
        *COMMON,
    ],
)
def test_a_file_that_cannot_be_had_says_why_and_quotes_nothing(client, wire, reply, error, words):
    wire.will(reply)
    with pytest.raises(error, match=words) as caught:
        read(client)
    assert "Zoe" not in str(caught.value)
    assert caught.value.job == NEW


def test_an_account_without_the_user_type_is_told_so_and_its_token_kept(client, wire, token_server):
    wire.will(answer(401, NOT_ALLOWED, Content_Type="text/plain"))
    with pytest.raises(RoleError, match="sysadmin and techadmin"):
        read(client)
    assert (len(wire.requests), len(token_server.requests)) == (1, 1)


def test_an_expired_token_is_still_renewed(client, wire, token_server):
    wire.will(answer(401, PAGE, **HTML), answer(200, b"data", Content_Disposition="attachment"))
    assert read(client) == (NEW, b"data")
    assert len(token_server.requests) == 2

"""Scheduled extracts: what they made, and the file of one execution."""

from __future__ import annotations

import re

import pytest
import requests

from airflow_provider_openclinica.sandbox.extracts import CONTENT
from tests.sandbox.calls import Caller, is_html

NO_JOB = "6c325687-c3c3-41f6-9b98-154ef3352cb1"


@pytest.fixture
def administrator(sandbox):
    return Caller(sandbox, "administrator")


def executions(caller: Caller, job_uuid: str, study: str = "S_JUNO") -> requests.Response:
    return caller.get(f"studies/{study}/extractJobs/{job_uuid}/jobExecutions")


def dataset(caller: Caller, execution_uuid: str, study: str = "S_JUNO", **headers: str) -> requests.Response:
    return caller.get(f"studies/{study}/extractJobs/jobExecutions/{execution_uuid}/dataset", headers=headers)


def as_user(caller: Caller, **change: object) -> Caller:
    """Change the administrator's account."""
    address = f"{caller.sandbox.url}/sandbox/users"
    assert requests.post(address, json={"login": "administrator", **change}, timeout=10).ok
    return caller


def test_executions_are_listed_with_the_time_they_were_made(administrator):
    first = administrator.sandbox.extract(created="2026-11-20T02:00:00+01:00")
    second = administrator.sandbox.extract(job_uuid=first["job_uuid"])
    administrator.sandbox.extract()  # of another extract
    answer = executions(administrator, first["job_uuid"])
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert answer.json() == [
        {"dateCreated": "2026-11-20T01:00:00.000Z", "jobExecutionUuid": first["execution_uuid"]},
        {"dateCreated": second["created"], "jobExecutionUuid": second["execution_uuid"]},
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", second["created"])


@pytest.mark.parametrize(
    ("state", "is_listed"), [("completed", True), ("lost", True), ("running", False), ("deleted", False)]
)
def test_only_what_is_complete_and_has_a_file_on_record_is_listed(administrator, state, is_listed):
    made = administrator.sandbox.extract(state=state)
    listed = [each["jobExecutionUuid"] for each in executions(administrator, made["job_uuid"]).json()]
    assert listed == ([made["execution_uuid"]] if is_listed else [])


def test_ten_executions_are_kept(administrator):
    days = [f"2026-11-{day:02d}T02:00:00+00:00" for day in range(1, 13)]
    job_uuid = administrator.sandbox.extract(created=days[5])["job_uuid"]
    made = {day: administrator.sandbox.extract(job_uuid=job_uuid, created=day) for day in days if day != days[5]}
    dates = [each["dateCreated"][:10] for each in executions(administrator, job_uuid).json()]
    assert dates == [day[:10] for day in days[2:]]
    assert dataset(administrator, made[days[0]]["execution_uuid"]).status_code == 404


def test_a_dataset_is_a_file_with_a_name_and_a_length(administrator):
    made = administrator.sandbox.extract(content="Größe\n", file_name="Juno extract 1.csv")
    answer = dataset(administrator, made["execution_uuid"])
    assert answer.content == "Größe\n".encode()
    assert answer.headers["Content-Disposition"] == 'attachment; filename="Juno extract 1.csv"'
    assert answer.headers["Content-Length"] == "8"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "application/octet-stream"),
        ("application/octet-stream", "application/octet-stream"),
        ("application/json;charset=UTF-8", "application/json"),
        ("text/csv, */*;q=0.1", "text/csv"),
    ],
)
def test_the_type_of_a_dataset_is_whatever_was_accepted(administrator, accept, content_type):
    answer = dataset(administrator, administrator.sandbox.extract()["execution_uuid"], Accept=accept)
    assert (answer.headers["Content-Type"], answer.text) == (content_type, CONTENT)


def test_a_dataset_can_be_as_large_as_wanted(administrator):
    made = administrator.sandbox.extract(content="0123456789\n", size=3_000_000)
    answer = dataset(administrator, made["execution_uuid"])
    assert 3_000_000 <= len(answer.content) < 5_000_000
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert set(answer.text.splitlines()) == {"0123456789"}


@pytest.mark.parametrize(
    ("change", "may"),
    [
        ({}, True),
        ({"user_type": "Tech Admin"}, True),
        ({"user_type": "User"}, False),
        ({"user_type": "System"}, False),
        ({"roles": {"S_LEIDEN": "Monitor"}}, True),
        ({"roles": {"S_OTHER": "Data Manager"}}, False),
        ({"roles": {}}, False),
    ],
    ids=str,
)
def test_administrators_with_any_role_may(administrator, change, may):
    made = administrator.sandbox.extract()
    as_user(administrator, **change)
    listed = executions(administrator, made["job_uuid"])
    answer = dataset(administrator, made["execution_uuid"], Accept="application/json;charset=UTF-8")
    if may:
        assert (len(listed.json()), answer.text) == (1, CONTENT)
        return
    assert (listed.status_code, listed.content) == (400, b"")
    assert listed.headers["X-runtimeApp-error"] == "Insufficient privileges."
    assert (answer.status_code, answer.text) == (401, "Insufficient privileges.")
    assert "WWW-Authenticate" not in answer.headers
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"


@pytest.mark.parametrize(
    ("study", "job_uuid", "reason"),
    [
        ("S_NONE", NO_JOB, "No study found for StudyOId:S_NONE."),
        ("S_JUNO", NO_JOB, f"No content found for job Uuid: {NO_JOB}."),
    ],
)
def test_what_is_not_there_is_named_in_a_header(administrator, study, job_uuid, reason):
    answer = executions(administrator, job_uuid, study)
    assert (answer.status_code, answer.content) == (400, b"")
    assert answer.headers["X-runtimeApp-error"] == reason


def test_a_dataset_that_is_not_there_is_404_in_words(administrator):
    running = administrator.sandbox.extract(state="running")["execution_uuid"]
    deleted = administrator.sandbox.extract(state="deleted")["execution_uuid"]
    gone = "The file reference for job_execution_uuid {} has been deleted."
    for study, execution_uuid, reason in (
        ("S_NONE", running, "No study found for StudyOId:S_NONE."),
        ("S_JUNO", NO_JOB, f"Job execution id {NO_JOB} is invalid."),
        ("S_JUNO", running, gone.format(running)),
        ("S_JUNO", deleted, gone.format(deleted)),
    ):
        answer = dataset(administrator, execution_uuid, study)
        assert (answer.status_code, answer.text) == (404, reason)


def test_a_file_that_was_lost_is_500(administrator):
    answer = dataset(administrator, administrator.sandbox.extract(state="lost")["execution_uuid"])
    assert (answer.status_code, is_html(answer)) == (500, True)


def test_an_extract_can_be_run_by_a_control_route(administrator):
    address = f"{administrator.sandbox.url}/sandbox/extracts"
    made = requests.post(address, json={"content": "a,b\n"}, timeout=10).json()
    assert dataset(administrator, made["execution_uuid"]).text == "a,b\n"
    for wrong in ({"state": "odd"}, {"created": "yesterday"}, {"colour": "red"}):
        assert requests.post(address, json=wrong, timeout=10).status_code == 422


def test_a_reset_forgets_extracts(administrator):
    made = administrator.sandbox.extract()
    administrator.sandbox.reset()
    assert dataset(administrator, made["execution_uuid"]).status_code == 404

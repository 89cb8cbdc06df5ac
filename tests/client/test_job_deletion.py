"""Deleting a job, on real sockets."""

from __future__ import annotations

import pytest

from airflow_provider_openclinica.errors import (
    ConfigurationError,
    CredentialsError,
    JobUnknownError,
    NotAvailableError,
    RoleError,
    ServerUnavailableError,
)
from tests.client.conftest import answer, drop_after_reading, drop_before_reading

UUID = "6c325687-c3c3-41f6-9b98-154ef3352cb1"
PATH = f"/OpenClinica/pages/auth/api/jobs/{UUID}"
GONE = answer(200, "", X_studyServiceApp_params=UUID)
FILE = answer(200, "Row", Content_Disposition="attachment; filename=log.csv")


def test_a_deletion_names_the_job_and_says_no_more(client, wire):
    wire.will(GONE)
    client.jobs.delete(UUID)
    [request] = wire.requests
    assert (request.method, request.path, request.body) == ("DELETE", PATH, b"")
    assert request.headers["Authorization"].startswith("Bearer e30.")


@pytest.mark.parametrize(
    "trouble", [answer(503, "<html>"), answer(429), answer(401), drop_before_reading, drop_after_reading]
)
def test_a_deletion_is_repeated_for_what_is_gone_stays_gone(client, wire, trouble):
    wire.will(trouble, GONE)
    client.jobs.delete(UUID)
    assert wire.requests[-1].method == "DELETE"


@pytest.mark.parametrize(
    ("replies", "error", "says"),
    [
        pytest.param(
            [answer(400, "", X_runtimeApp_error="Incorrect User. The user is not the owner of this log file")],
            RoleError,
            "belongs to another account",
            id="not-the-owner",
        ),
        pytest.param(
            [answer(500, "<html>"), answer(404, "error.invalidUuid")], JobUnknownError, "active study", id="unknown"
        ),
        pytest.param([answer(404, "errorCode.invalidUuid")], JobUnknownError, "active study", id="unknown-in-words"),
        pytest.param([answer(500, "<html>"), FILE], ServerUnavailableError, "failed at the deletion", id="broken"),
        pytest.param([answer(404, "<html>")], NotAvailableError, "deletes no jobs", id="not-offered-404"),
        pytest.param([answer(405, "<html>")], NotAvailableError, "deletes no jobs", id="not-offered-405"),
        pytest.param(
            [answer(200, "<html>Log in</html>", Content_Type="text/html")], CredentialsError, "log in", id="log-in-page"
        ),
        pytest.param([answer(503, "<html>")] * 5, ServerUnavailableError, "deletion of a job", id="down"),
    ],
)
def test_a_deletion_that_did_not_happen_says_what_to_do(client, wire, replies, error, says):
    wire.will(*replies)
    with pytest.raises(error, match=says) as caught:
        client.jobs.delete(UUID)
    assert caught.value.job == UUID


@pytest.mark.parametrize("uuid", ["", ".", ".."])
def test_what_would_name_another_address_is_never_sent(client, wire, uuid):
    with pytest.raises(ConfigurationError):
        client.jobs.delete(uuid)
    assert wire.requests == []

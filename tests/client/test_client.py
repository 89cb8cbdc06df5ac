"""The client as a whole: its check, its menu, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import airflow_provider_openclinica.client as menu
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    CredentialsError,
    RoleError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)
from tests.client.conftest import answer, fall_silent


@pytest.mark.parametrize("body", ["error.invalidUuid", "errorCode.invalidUuid"])
def test_a_server_that_does_not_know_an_invented_job_is_openclinica_and_lets_us_in(client, wire, body):
    wire.will(answer(404, body))
    client.check()
    assert wire.requests[0].path.endswith("/downloadFile")


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        pytest.param(404, "<html>", ConfigurationError, "no OpenClinica", id="another-server"),
        pytest.param(405, "", ConfigurationError, "no OpenClinica", id="another-server-405"),
        pytest.param(500, "<html>", RoleError, "Log in to the web page once", id="no-active-study"),
        pytest.param(401, "<html>", CredentialsError, "same customer", id="token-of-somebody-else"),
        pytest.param(302, "", CredentialsError, "elsewhere", id="log-in-form"),
        pytest.param(200, "<html>", CredentialsError, "web page", id="log-in-page"),
        pytest.param(200, "welcome", UnexpectedAnswerError, "does not answer as OpenClinica", id="a-friendly-server"),
        pytest.param(503, "", ServerUnavailableError, "down", id="down"),
    ],
)
def test_a_check_says_in_words_what_is_wrong(client, wire, status, body, error, says):
    wire.will(*[answer(status, body)] * 5)
    with pytest.raises(error, match=says):
        client.check()


def test_a_check_that_is_refused_a_token_asks_the_study_server_nothing(client, wire, token_server):
    token_server.scripts.clear()
    token_server.will(answer(401))
    with pytest.raises(CredentialsError):
        client.check()
    assert wire.connections == 0


def test_a_check_keeps_nobody_waiting_for_a_server_that_is_silent(client_with, wire, monkeypatch):
    monkeypatch.setattr("airflow_provider_openclinica.client.client.CHECK_SECONDS", 0.2)
    wire.will(*[fall_silent] * 5)
    with pytest.raises(ServerUnavailableError, match="was silent"):
        client_with(request_timeout=300).check()
    assert wire.heard(1)


def test_making_a_client_opens_no_connection(client, wire, token_server):
    assert client.jobs.page("u")
    client.close()
    assert (wire.connections, token_server.connections) == (0, 0)


def test_the_menu_is_sorted_and_complete():
    assert menu.__all__ == sorted(menu.__all__)
    home = "airflow_provider_openclinica.client."
    assert all(getattr(menu, name).__module__.startswith(home) for name in menu.__all__)
    with pytest.raises(AttributeError, match="nothing_such"):
        menu.nothing_such  # noqa: B018


def test_looking_at_the_menu_loads_neither_requests_nor_lxml_nor_airflow():
    code = (
        "import sys, airflow_provider_openclinica.client; "
        "print([name for name in ('requests', 'lxml', 'airflow', 'cryptography') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

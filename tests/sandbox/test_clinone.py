"""The sandbox's ClinOne: a token endpoint like the identity platform's, and an API that echoes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_openclinica.sandbox.clinone import SCOPE

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

GOOD = {
    "grant_type": "client_credentials",
    "client_id": "sandbox-client",
    "client_secret": "sandbox",
    "scope": SCOPE,
}


def ask(sandbox: Sandbox, **changed: str) -> requests.Response:
    return requests.post(sandbox.clinone_auth_url, data=GOOD | changed, timeout=10)


def call(sandbox: Sandbox, method: str, path: str, token: str = "", **options: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {token or ask(sandbox).json()['access_token']}"}
    return requests.request(method, f"{sandbox.clinone_url}/{path}", headers=headers, timeout=10, **options)


def control(sandbox: Sandbox, **wanted: Any) -> requests.Response:
    return requests.post(f"{sandbox.url}/sandbox/clinone", json=wanted, timeout=10)


def test_a_token_comes_with_how_long_it_lives(documented: Sandbox) -> None:
    control(documented, seconds=90)
    granted = ask(documented).json()
    assert granted["access_token"].count(".") == 2
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 90)
    assert granted["expires_on"] - granted["not_before"] == 90


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        pytest.param({"grant_type": "password"}, 400, "unsupported_grant_type", id="another-grant"),
        pytest.param({"client_id": "nobody"}, 401, "invalid_client", id="no-such-client"),
        pytest.param({"client_secret": "wrong"}, 401, "invalid_client", id="a-wrong-secret"),
        pytest.param({"scope": "clinoneapi"}, 400, "invalid_request", id="a-wrong-scope"),
    ],
)
def test_a_wrong_form_gets_an_oauth_error(
    documented: Sandbox, changed: dict[str, str], status: int, error: str
) -> None:
    refused = ask(documented, **changed)
    assert (refused.status_code, refused.json()["error"]) == (status, error)


def test_json_is_no_form(documented: Sandbox) -> None:
    assert requests.post(documented.clinone_auth_url, json=GOOD, timeout=10).status_code == 400


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_the_api_echoes_what_it_is_asked(sandbox: Sandbox, method: str) -> None:
    body = None if method == "GET" else {"a": [1]}
    answer = call(sandbox, method, "some/path", params={"x": "y"}, json=body)
    assert answer.json() == {"method": method, "path": "/some/path", "query": {"x": "y"}, "json": body}


def test_a_body_that_is_no_json_is_refused(documented: Sandbox) -> None:
    assert call(documented, "POST", "x", data="{").status_code == 400


def test_a_planned_reply_is_given_until_the_reset(documented: Sandbox) -> None:
    assert control(documented, path="some/path", status=201, json=[1, 2]).json()["paths"] == ["/some/path"]
    answer = call(documented, "GET", "some/path")
    assert (answer.status_code, answer.json()) == (201, [1, 2])
    documented.reset()
    assert call(documented, "GET", "some/path").json()["path"] == "/some/path"


def test_without_a_good_token_nobody_gets_in(documented: Sandbox) -> None:
    token = ask(documented).json()["access_token"]
    assert call(documented, "GET", "x", token).status_code == 200
    documented.clinone(revoke=True)
    for bad in (token, "abc"):
        refused = call(documented, "GET", "x", bad)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert requests.get(f"{documented.clinone_url}/x", timeout=10).status_code == 401


def test_no_secret_and_no_token_is_noted(documented: Sandbox) -> None:
    call(documented, "GET", "x")
    noted = str(documented.requests())
    assert [request["path"] for request in documented.requests()] == ["/clinone/oauth2/v2.0/token", "/clinone/api/x"]
    assert "client_secret" not in noted
    assert "eyJ" not in noted


def test_faults_strike_here_too(documented: Sandbox) -> None:
    documented.fault("status", path="clinone/api/*", status=503)
    assert call(documented, "GET", "x").status_code == 503
    assert call(documented, "GET", "x").status_code == 200

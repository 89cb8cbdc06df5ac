"""Tokens and who is let in."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import jwt
import pytest
import requests

from airflow_provider_openclinica.sandbox.accounts import Account
from tests.sandbox.calls import Caller

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

GOOD = {"username": "data_manager", "password": "sandbox"}


def control(sandbox: Sandbox, **wanted: object) -> None:
    assert requests.post(f"{sandbox.url}/sandbox/tokens", json=wanted, timeout=10).ok


def mint(sandbox: Sandbox, **body: str) -> requests.Response:
    return requests.post(sandbox.auth_url, json=body or GOOD, timeout=10)


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("plain", lambda answer: answer.text),
        ("quoted", lambda answer: json.loads(answer.text)),
        ("json", lambda answer: answer.json()["access_token"]),
    ],
)
def test_a_token_comes_in_the_shape_that_was_asked_for(sandbox, reply, read):
    control(sandbox, reply=reply)
    assert read(mint(sandbox)).count(".") == 2


def test_a_token_says_who_it_is_for_and_how_long_it_lives(sandbox):
    control(sandbox, seconds=90)
    claims = jwt.decode(mint(sandbox).text, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 90
    assert abs(claims["iat"] - time.time()) < 60
    context = claims["https://www.openclinica.com/userContext"]
    assert (context["userType"], context["userUuid"]) == ("User", claims["sub"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"username": "data_manager", "password": "wrong"}, 401),
        ({"username": "nobody", "password": "sandbox"}, 401),
        ({"username": "data_manager"}, 400),
        ({"username": 1, "password": None}, 401),
        (["data_manager", "sandbox"], 400),
    ],
)
def test_without_login_and_password_there_is_no_token(sandbox, body, status):
    assert requests.post(sandbox.auth_url, json=body, timeout=10).status_code == status


def test_the_token_endpoint_takes_json_and_post_only(sandbox):
    assert requests.post(sandbox.auth_url, data=GOOD, timeout=10).status_code == 400
    assert requests.get(sandbox.auth_url, timeout=10).status_code == 405


def test_the_third_token_call_of_a_minute_is_one_too_many_whoever_asks(sandbox):
    control(sandbox, rate=2)
    statuses = [mint(sandbox).status_code, mint(sandbox, username="x", password="y").status_code]
    statuses += [mint(sandbox).status_code]
    assert statuses == [200, 401, 429]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_taken_in_any_case(sandbox, scheme):
    caller = Caller(sandbox)
    answer = caller.get("studies/S_JUNO/jobs", headers={"Authorization": f"{scheme} {caller.token}"})
    assert answer.status_code == 200


def foreign() -> str:
    return jwt.encode({"sub": "x", "exp": int(time.time()) + 60}, "k" * 32, algorithm="HS256")


@pytest.mark.parametrize("path", ["studies/S_JUNO/jobs", "jobs/nope/downloadFile", "clinicaldata/S_JUNO/*/*/*"])
@pytest.mark.parametrize("case", ["expired", "tampered", "foreign", "none-at-all", "revoked"])
def test_a_token_that_is_not_good_is_challenged(sandbox, case, path):
    if case == "expired":
        control(sandbox, seconds=-1)
    token = Caller(sandbox).token
    if case == "revoked":
        control(sandbox, revoke=True)
    bad = {"tampered": token[:-4] + "AAAA", "foreign": foreign(), "none-at-all": "word"}.get(case, token)
    answer = requests.get(f"{sandbox.api_url}/{path}", headers={"Authorization": f"Bearer {bad}"}, timeout=10)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="')
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "IMPORT", 401),
        ("GET", "clinicaldata/studies/S_JUNO/participants", 401),
        ("GET", "studies/S_JUNO/jobs", 500),
        ("GET", "studies/S_JUNO/sites/S_BOSTON/jobs", 500),
        ("GET", "jobs/nope/downloadFile", 500),
        ("DELETE", "jobs/nope", 500),
    ],
)
def test_without_a_header_it_is_401_or_500_as_the_controller_has_it(sandbox, method, path, status):
    address = f"{sandbox.api_url}/{path.replace('IMPORT', Caller(sandbox).import_path)}"
    answer = requests.request(method, address, files={"file": ("odm.xml", b"<ODM/>")}, timeout=10)
    assert answer.status_code == status
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Protected"'
    assert sandbox.jobs() == []


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic dXNlcjo=", "Bearer {token} more", "{token}", ""])
def test_a_header_that_is_not_two_words_is_sent_to_the_login_page(sandbox, header):
    caller = Caller(sandbox)
    answer = caller.get("studies/S_JUNO/jobs", headers={"Authorization": header.format(token=caller.token)})
    assert answer.status_code == 302
    assert answer.headers["Location"].endswith("/login")


def test_a_token_without_a_known_user_fails(sandbox):
    token = sandbox.service.tokens.mint(Account(login="ghost", password=""), "issuer")
    answer = requests.get(
        f"{sandbox.api_url}/studies/S_JUNO/jobs", headers={"Authorization": f"Bearer {token}"}, timeout=10
    )
    assert answer.status_code == 500


def test_a_session_cookie_serves_requests_without_a_header_as_its_user(sandbox):
    caller = Caller(sandbox)
    with requests.Session() as browser:
        address = f"{sandbox.api_url}/studies/S_JUNO/jobs"
        first = browser.get(address, headers={"Authorization": f"Bearer {caller.token}"}, timeout=10)
        assert "JSESSIONID" in first.cookies
        second = browser.get(address, timeout=10)
        assert (second.status_code, sandbox.requests()[-1]["user"]) == (200, "data_manager")
        assert "Set-Cookie" not in second.headers
        control(sandbox, revoke=True)
        assert browser.get(address, timeout=10).status_code == 500


def test_a_token_counts_more_than_the_session_it_comes_with(sandbox):
    with requests.Session() as browser:
        address = f"{sandbox.api_url}/studies/S_JUNO/jobs"
        for login in ("data_manager", "second_manager"):
            browser.get(address, headers={"Authorization": f"Bearer {Caller(sandbox, login).token}"}, timeout=10)
            assert sandbox.requests()[-1]["user"] == login


def test_tokens_of_before_a_reset_stay_good(sandbox):
    caller = Caller(sandbox)
    sandbox.reset()
    assert caller.get("studies/S_JUNO/jobs").status_code == 200

"""ClinOne's tokens: what is sent, what is read, what a refusal means, and who shares one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.client.answers import Answer
from airflow_provider_openclinica.client.clinone.settings import ClinOneSettings
from airflow_provider_openclinica.client.clinone.token import ClientCredentials
from airflow_provider_openclinica.client.token_shelf import FileShelf
from airflow_provider_openclinica.client.tokens import TokenManager
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    CredentialsError,
    OpenClinicaError,
    RateLimitError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)
from tests.client.clinone.conftest import SCOPE, SECRET, granting
from tests.client.conftest import Wire, answer
from tests.client.token_server import Clock, jwt

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_800_000_000.0
OPAQUE = "abc-._~+/=="
SETTINGS = ClinOneSettings.from_parts(
    host="api.clinone.example", auth_url="https://b2c.example/token", scope=SCOPE, login="client-1", password=SECRET
)
SettingsWith = Callable[..., ClinOneSettings]


def read(body: Any, status: int = 200) -> tuple[str, float]:
    return ClientCredentials(SETTINGS).read(
        Answer(status, {}, body if isinstance(body, str) else json.dumps(body)), NOW
    )


# What is sent


def test_the_call_is_a_form_with_client_credentials_and_nothing_else(
    settings_with: SettingsWith, token_wire: Wire
) -> None:
    TokenManager(ClientCredentials(settings_with())).token()
    (call,) = token_wire.requests
    assert (call.method, call.path) == ("POST", "/acme/b2c_1/oauth2/v2.0/token")
    assert call.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in call.headers
    assert parse_qs(call.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["client-1"],
        "client_secret": [SECRET],
        "scope": [SCOPE],
    }


def test_a_secret_does_not_follow_a_redirect(settings_with: SettingsWith, token_wire: Wire, elsewhere: Wire) -> None:
    token_wire.scripts.clear()
    token_wire.will(answer(307, Location=elsewhere.url))
    with pytest.raises(UnexpectedAnswerError, match="redirects"):
        TokenManager(ClientCredentials(settings_with())).token()
    assert elsewhere.requests == []


# What is read


@pytest.mark.parametrize(
    ("granted", "end"),
    [
        pytest.param({"expires_in": 3600, "expires_on": 5, "exp": 7}, NOW + 3600, id="how-long-it-lives"),
        pytest.param({"expires_in": "3600"}, NOW + 3600, id="as-text"),
        pytest.param({"expires_on": NOW + 60}, NOW + 60, id="else-the-moment"),
        pytest.param({"expires_in": None, "expires_on": "1800000060"}, NOW + 60, id="the-moment-as-text"),
        pytest.param({"expires_in": "soon", "exp": NOW + 90}, NOW + 90, id="else-its-own-claim"),
        pytest.param({"expires_in": True, "exp": NOW + 90}, NOW + 90, id="a-switch-is-no-number"),
    ],
)
def test_a_token_ends_when_the_reply_says_so_else_when_it_says_itself(granted: dict[str, Any], end: float) -> None:
    token = jwt(exp=granted["exp"]) if "exp" in granted else OPAQUE
    assert read(granted | {"access_token": token}) == (token, end)


@pytest.mark.parametrize("kind", ["Bearer", "bearer"])
def test_a_token_need_not_be_a_jwt(kind: str) -> None:
    assert read({"access_token": OPAQUE, "token_type": kind, "expires_in": 60}) == (OPAQUE, NOW + 60)


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        pytest.param(200, "", UnexpectedAnswerError, "without a token", id="nothing"),
        pytest.param(200, "<html>Ann Lee</html>", UnexpectedAnswerError, "without a token", id="a-page"),
        pytest.param(200, {"access_token": 7}, UnexpectedAnswerError, "without a token", id="a-number"),
        pytest.param(200, {"access_token": "a b\r\nX: y"}, UnexpectedAnswerError, "without a token", id="line-ends"),
        pytest.param(200, {"access_token": "a.b.c"}, UnexpectedAnswerError, "does not tell when it ends", id="no-end"),
        pytest.param(
            200, {"access_token": "abc", "token_type": "mac"}, UnexpectedAnswerError, "no bearer token", id="no-bearer"
        ),
        pytest.param(200, {"error": "invalid_client"}, UnexpectedAnswerError, "without a token", id="an-error-in-200"),
        pytest.param(302, "", UnexpectedAnswerError, "redirects", id="a-redirect"),
        pytest.param(404, "Ann Lee", UnexpectedAnswerError, "no token server", id="no-such-page"),
        pytest.param(
            400,
            {"error": "invalid_request", "error_description": "AADB2C90085: Ann Lee"},
            ConfigurationError,
            r"code invalid_request AADB2C90085, HTTP status 400.*scope",
            id="a-wrong-scope",
        ),
        pytest.param(400, {"error": "invalid_scope"}, ConfigurationError, "invalid_scope", id="an-invalid-scope"),
        pytest.param(400, {"error": "unsupported_grant_type"}, ConfigurationError, "auth_url", id="no-such-grant"),
        pytest.param(
            401,
            {"error": "invalid_client", "error_description": "Ann Lee"},
            CredentialsError,
            "invalid_client.*External Client",
            id="a-wrong-secret",
        ),
        pytest.param(400, "Ann Lee", CredentialsError, "ID and secret", id="a-refusal-without-words"),
        pytest.param(403, {"error": ["Ann Lee"]}, CredentialsError, "ID and secret", id="a-refusal-of-another-shape"),
        pytest.param(401, {"error": "Ann Lee"}, CredentialsError, "ID and secret", id="an-error-that-is-none"),
        pytest.param(429, "", RateLimitError, "fewer calls", id="too-many-calls"),
        pytest.param(500, "Ann Lee", ServerUnavailableError, "down", id="failed"),
    ],
)
def test_an_answer_without_a_token_is_an_error_that_does_not_quote_it(
    status: int, body: Any, error: type[OpenClinicaError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        read(body, status)
    assert "Ann" not in str(caught.value)
    assert SECRET not in str(caught.value)


@given(st.text() | st.dictionaries(st.sampled_from(["access_token", "token_type", "expires_in", "error"]), st.text()))
def test_no_answer_breaks_the_reader(body: Any) -> None:
    for status in (200, 400):
        try:
            token, _ = read(body, status)
        except OpenClinicaError:
            continue
        assert token.isascii()
        assert token.isprintable()


# How long one is used, and by whom


def managed(settings: ClinOneSettings, clock: Clock, folder: Path | None = None) -> TokenManager:
    return TokenManager(ClientCredentials(settings), cache_dir=folder, clock=clock, sleep=clock.sleep)


def test_a_token_is_renewed_before_it_ends_and_shared_until_then(
    settings_with: SettingsWith, token_wire: Wire, tmp_path: Path
) -> None:
    clock, folder = Clock(), tmp_path / "tokens"
    first = managed(settings_with(), clock, folder).token()
    clock.now += 3600 - 121
    assert managed(settings_with(), clock, folder).token() == first
    clock.now += 2
    assert managed(settings_with(), clock, folder).token() != first
    assert len(token_wire.requests) == 2


@pytest.mark.parametrize(
    "changed",
    [{"login": "client-2"}, {"scope": "another/.default"}, {"password": "another"}],
    ids=lambda one: next(iter(one)),
)
def test_another_client_scope_or_secret_gets_no_token_of_this_one(
    settings_with: SettingsWith, token_wire: Wire, tmp_path: Path, changed: dict[str, str]
) -> None:
    clock, folder = Clock(), tmp_path / "tokens"
    first = managed(settings_with(), clock, folder).token()
    assert managed(settings_with(**changed), clock, folder).token() != first
    assert len(token_wire.requests) == 2


def test_many_clients_of_one_server_wait_for_no_minute(
    settings_with: SettingsWith, token_wire: Wire, tmp_path: Path
) -> None:
    clock = Clock()
    for number in range(5):
        managed(settings_with(login=f"client-{number}"), clock, tmp_path / "tokens").token()
    tokens = managed(settings_with(), clock, tmp_path / "tokens")
    for _ in range(3):
        tokens.renew(tokens.token())
    assert clock.slept == []


def test_a_429_of_the_token_server_is_waited_out(settings_with: SettingsWith, token_wire: Wire) -> None:
    clock = Clock()
    token_wire.scripts.clear()
    token_wire.will(answer(429, Retry_After="7"), granting(1))
    assert managed(settings_with(), clock).token()
    assert 7 <= clock.now - NOW < 9


def test_a_server_that_always_says_429_ends_the_patience_in_words(
    settings_with: SettingsWith, token_wire: Wire
) -> None:
    clock = Clock()
    token_wire.scripts.clear()
    token_wire.will(*[answer(429, Retry_After="50")] * 10)
    with pytest.raises(RateLimitError, match="ClinOne's token server asked for fewer calls"):
        managed(settings_with(), clock).token()


def test_a_stored_token_is_named_after_clinone_and_cannot_be_read(settings_with: SettingsWith, tmp_path: Path) -> None:
    kept: dict[str, str] = {}

    class Store:
        def load(self, key: str) -> str | None:
            return kept.get(key)

        def save(self, key: str, text: str) -> None:
            kept[key] = text

    settings = settings_with()
    token = TokenManager(ClientCredentials(settings), stores=[Store()]).token()
    ((name, sealed),) = kept.items()
    assert name.startswith("clinone_token_")
    assert token not in sealed
    assert TokenManager(ClientCredentials(settings), stores=[Store()]).token() == token


def test_a_shelf_without_a_limit_still_lets_one_ask_at_a_time(tmp_path: Path) -> None:
    shelf = FileShelf(tmp_path / "tokens", "server", 0)
    with shelf.turn(NOW) as turn:
        assert turn
        for _ in range(5):
            turn.begin()
            assert turn.wait() == 0
        with shelf.turn(NOW) as other:
            assert other is None
        turn.hold(9)
    with shelf.turn(NOW) as turn:
        assert turn
        assert turn.wait() == 9

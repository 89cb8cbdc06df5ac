"""The call for a token: what is sent, what is read from an answer, and whom it trusts."""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import InsecureRequestWarning

from airflow_provider_openclinica.client.answers import Answer
from airflow_provider_openclinica.client.token_request import expiry_of, token_in
from airflow_provider_openclinica.client.tokens import TokenManager
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    CredentialsError,
    OpenClinicaError,
    RateLimitError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)
from tests.client.token_server import Clock, Reply, TokenServer, jwt, manager

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = jwt(exp=1_900_000_000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[TokenServer]:
    with TokenServer(clock=clock) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


# What is read from an answer


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(TOKEN, id="the-bare-token"),
        pytest.param(f"  {TOKEN}\r\n", id="with-line-ends"),
        pytest.param(json.dumps(TOKEN), id="quoted"),
        pytest.param(json.dumps({"access_token": TOKEN, "expires_in": 5}), id="access_token"),
        pytest.param(json.dumps({"accessToken": TOKEN}), id="accessToken"),
        pytest.param(json.dumps({"token": TOKEN}), id="token"),
        pytest.param(json.dumps({"id_token": TOKEN}), id="id_token"),
        pytest.param(json.dumps({"access_token": None, "token": TOKEN}), id="the-first-that-is-filled"),
    ],
)
def test_a_token_is_read_in_whichever_dress_it_comes(body: str) -> None:
    assert token_in(Answer(200, {}, body)) == TOKEN


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        pytest.param(200, "", UnexpectedAnswerError, id="nothing"),
        pytest.param(200, "<html>Ann Lee</html>", UnexpectedAnswerError, id="a-page"),
        pytest.param(200, "Ann Lee", UnexpectedAnswerError, id="words"),
        pytest.param(200, '{"access_token": 7}', UnexpectedAnswerError, id="a-number-for-a-token"),
        pytest.param(200, '{"user": "Ann Lee"}', UnexpectedAnswerError, id="an-object-without-a-token"),
        pytest.param(200, '{"access_token": "a.b.c\\r\\nX: y"}', UnexpectedAnswerError, id="a-token-with-line-ends"),
        pytest.param(200, '{"access_token":', UnexpectedAnswerError, id="cut-json"),
        pytest.param(200, "[" * 60_000, UnexpectedAnswerError, id="a-deep-list"),
        pytest.param(200, "{" + '"a":{' * 30_000, UnexpectedAnswerError, id="a-deep-object"),
        pytest.param(201, TOKEN, UnexpectedAnswerError, id="another-success"),
        pytest.param(302, "", UnexpectedAnswerError, id="a-redirect"),
        pytest.param(404, "Ann Lee", UnexpectedAnswerError, id="no-such-page"),
        pytest.param(405, "", UnexpectedAnswerError, id="no-such-method"),
        pytest.param(400, "Ann Lee", CredentialsError, id="bad-request"),
        pytest.param(401, "Ann Lee", CredentialsError, id="unauthorised"),
        pytest.param(403, "Ann Lee", CredentialsError, id="forbidden"),
        pytest.param(429, "", RateLimitError, id="too-many-calls"),
        pytest.param(500, "Ann Lee", ServerUnavailableError, id="failed"),
        pytest.param(503, "", ServerUnavailableError, id="down"),
    ],
)
def test_an_answer_without_a_token_is_an_error_that_does_not_quote_it(
    status: int, body: str, error: type[OpenClinicaError]
) -> None:
    with pytest.raises(error) as caught:
        token_in(Answer(status, {}, body))
    assert caught.value.status == status
    assert "Ann" not in str(caught.value)


@given(st.text() | st.from_regex(r'[{"]?[A-Za-z0-9_.{}":, \[\]-]*'))
def test_no_answer_breaks_the_reader(body: str) -> None:
    try:
        token = token_in(Answer(200, {}, body))
    except OpenClinicaError:
        return
    assert token.isascii()
    assert token.isprintable()


@given(st.floats(allow_nan=False, allow_infinity=False, width=32), st.dictionaries(st.text(), st.text()))
def test_the_end_is_read_from_the_claims(expiry: float, claims: dict[str, str]) -> None:
    assert expiry_of(jwt(**{name: value for name, value in claims.items() if name != "exp"}, exp=expiry)) == expiry


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(jwt(iat=1_800_000_000), id="no-end"),
        pytest.param(jwt(exp="soon"), id="a-word"),
        pytest.param(jwt(exp=None), id="null"),
        pytest.param(jwt(exp=float("inf")), id="infinite"),
        pytest.param(jwt(exp=10**400), id="too-large-for-a-clock"),
        pytest.param("a.b.c", id="claims-that-are-no-json"),
        pytest.param("a.W10.c", id="claims-that-are-a-list"),
        pytest.param("a._w.c", id="claims-that-are-no-text"),
        pytest.param("a.bcdef.c", id="claims-that-are-no-base64"),
        pytest.param("opaque", id="no-jwt"),
    ],
)
def test_a_token_that_does_not_tell_its_end_is_refused(token: str) -> None:
    with pytest.raises(UnexpectedAnswerError, match="does not tell when it ends"):
        expiry_of(token)


def test_a_token_that_has_ended_when_it_comes_blames_the_clock(server: TokenServer, clock: Clock) -> None:
    server.replies = [Reply(200, jwt(exp=clock.now - 3600))]
    with pytest.raises(UnexpectedAnswerError, match=r"ended 3600 s ago.*Set this machine's clock"):
        manager(server, clock).token()


# The call itself


def test_the_call_carries_login_and_password_as_json_and_nothing_else(
    server: TokenServer, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    manager(server, clock).token()
    (call,) = server.calls
    assert json.loads(call.body) == {"username": "nightly", "password": "correct horse battery"}
    assert call.headers["Content-Type"] == "application/json"
    assert call.headers["User-Agent"].startswith("airflow-provider-openclinica/")
    assert "Authorization" not in call.headers


def test_a_password_does_not_follow_a_redirect_and_cookies_do_not_come_back(server: TokenServer, clock: Clock) -> None:
    elsewhere = server.url.replace("/token", "/elsewhere")
    server.replies = [Reply(302, headers={"Location": elsewhere, "Set-Cookie": "JSESSIONID=1; Path=/"})]
    tokens = manager(server, clock)
    with pytest.raises(UnexpectedAnswerError, match="redirects"):
        tokens.token()
    tokens.token()
    assert [call.path for call in server.calls] == ["/user-service/api/oauth/token"] * 2
    assert "Cookie" not in server.calls[1].headers


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for loopback that no authority has signed, with its key."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")]),
    )
    today = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, today - timedelta(days=1), today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = tmp_path / "loopback.pem"
    path.write_bytes(signed.public_bytes(Encoding.PEM) + secret)
    return path


def test_a_certificate_must_be_trusted_unless_the_connection_says_otherwise(certificate: Path, folder: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with TokenServer(tls=tls) as server:
        for _ in range(3):  # none of these counts as a call
            with pytest.raises(ConfigurationError, match=r"certificate.*verify"):
                TokenManager(server.settings(), cache_dir=folder).token()
        assert server.calls == []
        trusting = TokenManager(server.settings(verify=str(certificate)), cache_dir=folder)
        assert trusting.token() == server.given[0]
        with pytest.warns(InsecureRequestWarning):
            TokenManager(server.settings(verify=False, login="careless"), cache_dir=folder).token()


def test_no_error_holds_the_password_or_the_login(server: TokenServer, clock: Clock) -> None:
    server.replies = [Reply(401, "nightly correct horse battery")]
    with pytest.raises(CredentialsError) as caught:
        manager(server, clock).token()
    assert "horse" not in repr(caught.value) + str(caught.value)
    assert "nightly" not in repr(caught.value) + str(caught.value)

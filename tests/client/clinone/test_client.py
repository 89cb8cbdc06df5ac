"""Requests to ClinOne: what goes out, what is sent twice and what never, and what a failure is told as."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_openclinica.client.clinone import client as module
from airflow_provider_openclinica.client.clinone.client import METHODS, ClinOneClient
from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    ConfigurationError,
    CredentialsError,
    NotAvailableError,
    NotFoundError,
    OpenClinicaError,
    RateLimitError,
    RoleError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)
from tests.client import token_server
from tests.client.clinone.conftest import SECRET, granting
from tests.client.conftest import (
    Wire,
    answer,
    drop_after_reading,
    drop_before_reading,
    drop_in_the_body,
    drop_in_the_status_line,
    fall_silent,
)

ClientWith = Callable[..., ClinOneClient]
FINE = answer(200, '{"id": "BOS-001"}', Content_Type="application/json")
BODY = {"name": "Ann Lee"}

all_that_change = pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])


# What goes out


def test_a_question_carries_the_token_and_its_query(client: ClinOneClient, wire: Wire) -> None:
    wire.will(FINE)
    reply = client.request("GET", "/some/path", query={"since": "2026-01-01", "none": None, "of": [1, 2]})
    (request,) = wire.requests
    assert (request.method, request.path) == ("GET", "/v5/some/path?since=2026-01-01&of=1&of=2")
    assert request.headers["Authorization"].startswith("Bearer e30.")
    assert request.headers["Accept"] == "application/json"
    assert request.headers["User-Agent"].startswith("airflow-provider-openclinica/")
    assert "Content-Type" not in request.headers
    assert (reply.status, reply.json) == (200, {"id": "BOS-001"})


@pytest.mark.parametrize("method", sorted(METHODS - {"HEAD"}))
def test_any_method_may_carry_json(client: ClinOneClient, wire: Wire, method: str) -> None:
    wire.will(answer(204))
    assert client.request(method, "some/path", json=BODY).json is None
    (request,) = wire.requests
    assert (request.method, request.path, json.loads(request.body)) == (method, "/v5/some/path", BODY)
    assert request.headers["Content-Type"] == "application/json"


def test_what_an_id_holds_stays_within_its_segment(client: ClinOneClient, wire: Wire) -> None:
    wire.will(FINE)
    client.request("GET", "/some/BOS 001%2F7%3Fé")
    assert wire.requests[0].path == "/v5/some/BOS%20001%2F7%3F%C3%A9"


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("https://evil.example/x", id="another-host"),
        pytest.param("//evil.example/x", id="another-host-without-a-scheme"),
        pytest.param("/a/../../b", id="above-the-base"),
        pytest.param("/a/%2e%2E/b", id="above-the-base-encoded"),
        pytest.param("/a\\..\\b", id="backslashes"),
        pytest.param("/a?b=c", id="a-query"),
        pytest.param("/a#b", id="a-fragment"),
        pytest.param("/a\r\nX: y", id="line-ends"),
        pytest.param("", id="nothing"),
        pytest.param("/", id="a-slash"),
        pytest.param(None, id="none"),
        pytest.param(7, id="a-number"),
    ],
)
def test_a_path_that_leads_elsewhere_is_refused_before_a_token_is_asked_for(
    client: ClinOneClient, wire: Wire, token_wire: Wire, path: Any
) -> None:
    with pytest.raises(ConfigurationError, match="path"):
        client.request("GET", path)
    assert wire.requests == token_wire.requests == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param({"method": "get"}, "in capitals", id="a-method-in-small-letters"),
        pytest.param({"method": "TRACE"}, "method is none of", id="no-such-method"),
        pytest.param({"json": "text"}, "neither an object nor a list", id="text-for-json"),
        pytest.param({"json": {"at": object()}}, "cannot be written as JSON", id="no-json-value"),
        pytest.param({"json": [float("nan")]}, "cannot be written as JSON", id="not-a-number"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_a_token_is_asked_for(
    client: ClinOneClient, wire: Wire, token_wire: Wire, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        client.request(**({"method": "POST", "path": "/x"} | arguments))
    assert wire.requests == token_wire.requests == []


# What is sent again


@pytest.mark.parametrize("method", sorted(METHODS - {"HEAD"}))
def test_a_refused_token_is_renewed_once(client: ClinOneClient, wire: Wire, token_wire: Wire, method: str) -> None:
    wire.will(answer(401), FINE, answer(401), answer(401))
    assert client.request(method, "/x").status == 200
    with pytest.raises(CredentialsError, match="same environment"):
        client.request(method, "/x")
    used = [request.headers["Authorization"] for request in wire.requests]
    assert used[0] != used[1] == used[2] != used[3]
    assert len(token_wire.requests) == 3


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(drop_before_reading, id="cut-before"),
        pytest.param(drop_after_reading, id="cut-after"),
        pytest.param(drop_in_the_status_line, id="cut-in-the-status-line"),
        pytest.param(drop_in_the_body, id="cut-in-the-body"),
        pytest.param(answer(408), id="408"),
        pytest.param(answer(429), id="429"),
        pytest.param(answer(502), id="502"),
        pytest.param(answer(503), id="503"),
        pytest.param(answer(504), id="504"),
    ],
)
@pytest.mark.parametrize(
    "request_of",
    [{"method": "GET"}, {"method": "POST", "json": BODY, "repeatable": True}],
    ids=["a-question", "what-may-be-repeated"],
)
def test_what_may_arrive_twice_is_sent_again(
    client: ClinOneClient, wire: Wire, naps: list[float], trouble: Any, request_of: dict[str, Any]
) -> None:
    wire.will(trouble, FINE)
    assert client.request(path="/x", **request_of).json == {"id": "BOS-001"}
    assert len(naps) == 1


def test_a_time_that_the_server_names_is_waited(client: ClinOneClient, wire: Wire, naps: list[float]) -> None:
    wire.will(answer(429, Retry_After="17"), FINE)
    client.request("GET", "/x")
    assert 17 <= naps[0] < 19


@pytest.mark.parametrize(("status", "error"), [(429, RateLimitError), (503, ServerUnavailableError)])
def test_a_question_is_given_up_after_some_tries(
    client: ClinOneClient, wire: Wire, status: int, error: type[OpenClinicaError]
) -> None:
    wire.will(*[answer(status)] * 9)
    with pytest.raises(error):
        client.request("GET", "/x")
    assert len(wire.requests) == 5


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(drop_after_reading, id="cut-after"),
        pytest.param(drop_in_the_status_line, id="cut-in-the-status-line"),
        pytest.param(drop_in_the_body, id="cut-in-the-body"),
        pytest.param(answer(408), id="408"),
        pytest.param(answer(500), id="500"),
        pytest.param(answer(502), id="502"),
        pytest.param(answer(503, Retry_After="1"), id="503"),
        pytest.param(answer(504), id="504"),
        pytest.param(answer(303, Location="/elsewhere"), id="a-redirect"),
        pytest.param(answer(200, "<html>Done</html>", Content_Type="text/html"), id="a-web-page"),
    ],
)
@all_that_change
def test_what_may_have_been_done_is_never_sent_again(
    client: ClinOneClient, wire: Wire, naps: list[float], trouble: Any, method: str
) -> None:
    wire.will(trouble, FINE)
    with pytest.raises(AmbiguousSubmitError, match="Look in ClinOne"):
        client.request(method, "/x", json=BODY)
    assert len(wire.requests) == 1
    assert naps == []


def test_a_server_that_falls_silent_leaves_open_what_it_did(client_with: ClientWith, wire: Wire) -> None:
    wire.will(fall_silent)
    with pytest.raises(AmbiguousSubmitError, match="silent"):
        client_with(request_timeout=0.2).request("POST", "/x", json=BODY)


@all_that_change
def test_what_cannot_have_arrived_is_tried_again(
    client: ClinOneClient, wire: Wire, naps: list[float], method: str
) -> None:
    wire.close()
    with pytest.raises(ServerUnavailableError, match=r"ClinOne could not be reached .* refuses connections"):
        client.request(method, "/x", json=BODY)
    assert len(naps) == 4


def test_a_proxy_that_does_not_pass_it_on_leaves_nothing_open(
    client: ClinOneClient, token_wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.check()
    token_wire.close()
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(ServerUnavailableError, match="proxy"):
        client.request("POST", "/x", json=BODY)


def test_a_proxy_that_drops_what_it_took_leaves_open_what_was_done(
    client: ClinOneClient, elsewhere: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.check()
    monkeypatch.setenv("http_proxy", elsewhere.url)
    monkeypatch.delenv("no_proxy", raising=False)
    elsewhere.will(drop_after_reading, FINE)
    with pytest.raises(AmbiguousSubmitError):
        client.request("POST", "/x", json=BODY)
    assert len(elsewhere.requests) == 1


@all_that_change
def test_a_certificate_that_nobody_trusts_stops_a_request_before_it_is_sent(
    client_with: ClientWith, secure_wire: Wire, method: str
) -> None:
    with pytest.raises(ConfigurationError, match="does not trust"):
        client_with(host=secure_wire.url).request(method, "/x", json=BODY)
    assert secure_wire.requests == []


# What a failure is told as


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        pytest.param(400, UnexpectedAnswerError, "Compare method, path", id="400"),
        pytest.param(403, RoleError, "scopes are assigned by ClinOne's staff", id="403"),
        pytest.param(404, NotFoundError, "nothing is at this path", id="404"),
        pytest.param(405, NotAvailableError, "does not take this method", id="405"),
        pytest.param(409, UnexpectedAnswerError, "HTTP status 409", id="409"),
        pytest.param(410, NotFoundError, "gone", id="410"),
        pytest.param(422, UnexpectedAnswerError, "HTTP status 422", id="422"),
        pytest.param(429, RateLimitError, "call less often", id="429"),
        pytest.param(501, NotAvailableError, "does not offer", id="501"),
    ],
)
@all_that_change
def test_a_refusal_is_told_by_its_status_and_quotes_nothing(
    client: ClinOneClient, wire: Wire, status: int, error: type[OpenClinicaError], words: str, method: str
) -> None:
    wire.will(answer(status, '{"error": "Ann Lee"}'))
    with pytest.raises(error, match=words) as caught:
        client.request(method, "/patients-of/BOS-001", json=BODY)
    told = str(caught.value)
    assert caught.value.status == status
    assert [secret for secret in ("Ann", "BOS-001", SECRET) if secret in told] == []


def test_a_question_that_fails_inside_may_be_retried_by_the_task(client: ClinOneClient, wire: Wire) -> None:
    wire.will(answer(500))
    with pytest.raises(ServerUnavailableError):
        client.request("GET", "/x")


def test_no_redirect_is_followed(client: ClinOneClient, wire: Wire, elsewhere: Wire) -> None:
    wire.will(answer(302, Location=elsewhere.url))
    with pytest.raises(UnexpectedAnswerError, match="nothing was followed"):
        client.request("GET", "/x")
    assert elsewhere.requests == []


def test_a_web_page_is_no_reply(client: ClinOneClient, wire: Wire) -> None:
    wire.will(answer(200, "<html>Log in, Ann</html>", Content_Type="text/html; charset=utf-8"))
    with pytest.raises(UnexpectedAnswerError, match="web page") as caught:
        client.request("GET", "/x")
    assert "Ann" not in str(caught.value)


@pytest.mark.parametrize("body", ["Ann Lee", '{"name": "Ann', "[" * 100_000, b"\xff\xfe\xff"])
def test_a_reply_that_is_no_json_can_be_had_as_bytes(client: ClinOneClient, wire: Wire, body: str | bytes) -> None:
    wire.will(answer(200, body))
    reply = client.request("GET", "/x")
    assert reply.content == (body if isinstance(body, bytes) else body.encode())
    with pytest.raises(UnexpectedAnswerError, match="output_uri") as caught:
        _ = reply.json
    assert "Ann" not in str(caught.value) + repr(reply)


def test_a_reply_too_large_for_memory_goes_to_a_file(
    client: ClinOneClient, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    wire.will(*[answer(200, b"x" * 11)] * 3)
    with pytest.raises(UnexpectedAnswerError, match="output_uri"):
        client.request("GET", "/x")
    with pytest.raises(AmbiguousSubmitError, match="the request was taken"):
        client.request("POST", "/x")
    with client.stream("GET", "/x") as reply:
        assert b"".join(reply.chunks()) == b"x" * 11


@pytest.mark.parametrize(("method", "error"), [("GET", ServerUnavailableError), ("POST", AmbiguousSubmitError)])
def test_a_stream_that_breaks_off_says_whether_it_may_be_repeated(
    client: ClinOneClient, wire: Wire, method: str, error: type[OpenClinicaError]
) -> None:
    wire.will(drop_in_the_body)
    with client.stream(method, "/x") as reply, pytest.raises(error, match="in the middle of ClinOne's reply"):
        list(reply.chunks())


def test_addresses_and_secrets_are_in_no_log(
    client: ClinOneClient, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wire.will(drop_after_reading, FINE)
    client.request("GET", "/patients-of/BOS-001", query={"name": "Ann"})
    assert [word for word in ("BOS-001", "Ann", SECRET, "Bearer") if word in caplog.text] == []


# Scopes and tokens


def test_a_scope_that_seems_to_be_lacking_is_one_warning_and_no_refusal(
    client: ClinOneClient, wire: Wire, token_wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    token_wire.scripts.clear()
    token_wire.will(granting(0, access_token=token_server.jwt(scp="api.patient.read")))
    wire.will(FINE, FINE, FINE)
    for _ in range(2):
        client.request("POST", "/x", json=BODY, function_group="patient")
    client.request("GET", "/x", function_group="patient")
    assert caplog.text.count("takes the action write or manage") == 1
    assert len(wire.requests) == 3


def test_a_check_gets_a_token_and_calls_nothing(client: ClinOneClient, wire: Wire, token_wire: Wire) -> None:
    token_wire.scripts.clear()
    token_wire.will(granting(0, access_token=token_server.jwt(scp="api.patient.read", exp=1_900_000_000)))
    access = client.check()
    assert (access.scopes, access.ends) == (("api.patient.read",), 1_900_000_000)
    assert wire.requests == []


def test_an_opaque_token_says_nothing(client: ClinOneClient, token_wire: Wire) -> None:
    token_wire.scripts.clear()
    token_wire.will(granting(0, access_token="opaque"))
    access = client.check()
    assert (access.scopes, access.ends) == ((), None)

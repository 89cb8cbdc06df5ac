"""Signers: a function of the user's sees each request last of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.client.clinone.client import ClinOneClient
from airflow_provider_openclinica.errors import ConfigurationError
from tests.client.conftest import Wire, answer, drop_after_reading

if TYPE_CHECKING:
    import requests

ClientWith = Callable[..., ClinOneClient]
FINE = answer(200, "{}")
BODY = {"name": "Ann Lee"}
SECRET = "no function"


def signed(request: requests.PreparedRequest, client_key: str, secret_key: str) -> dict[str, str]:
    body = request.body if isinstance(request.body, bytes) else b""
    return {"hmacAuthHeader": f"{client_key}:{secret_key}:{request.method}:{request.path_url}:{len(body)}"}


def replacing(request: requests.PreparedRequest, client_key: str, secret_key: str) -> dict[str, str]:
    return {"Authorization": f"Acme {client_key}:digest"}


def failing(request: requests.PreparedRequest, client_key: str, secret_key: str) -> dict[str, str]:
    raise OSError(secret_key)


def no_headers(request: requests.PreparedRequest, client_key: str, secret_key: str) -> None:
    return None


def two_lines(request: requests.PreparedRequest, client_key: str, secret_key: str) -> dict[str, str]:
    return {"X-Sign": f"{secret_key}\r\nX: y"}


def a_number(request: requests.PreparedRequest, client_key: str, secret_key: str) -> dict[str, Any]:
    return {"X-Sign": 7}


def test_a_signer_sees_the_request_as_it_is_sent_and_adds_headers(client_with: ClientWith, wire: Wire) -> None:
    wire.will(FINE)
    client = client_with(signer=f"{__name__}.signed", hmac_client_key="key", hmac_secret_key="hush")
    client.request("POST", "/x", query={"a": "b"}, json={})
    (request,) = wire.requests
    assert request.headers["hmacAuthHeader"] == "key:hush:POST:/v5/x?a=b:2"
    assert request.headers["Authorization"].startswith("Bearer ")


def test_a_signer_may_replace_the_token(client_with: ClientWith, wire: Wire) -> None:
    wire.will(FINE)
    client_with(signer=f"{__name__}.replacing", hmac_client_key="key").request("GET", "/x")
    assert wire.requests[0].headers["Authorization"] == "Acme key:digest"


@pytest.mark.parametrize(
    ("signer", "words"),
    [
        pytest.param("failing", "raised OSError", id="it-fails"),
        pytest.param("no_headers", "what are no headers", id="it-returns-nothing"),
        pytest.param("two_lines", "raised InvalidHeader", id="it-returns-two-lines"),
        pytest.param("a_number", "raised InvalidHeader", id="it-returns-a-number"),
        pytest.param("not_there", "no function that can be imported", id="it-is-not-there"),
        pytest.param("SECRET", "no function that can be imported", id="it-is-no-function"),
    ],
)
def test_a_signer_that_does_not_work_stops_the_request_and_tells_no_secret(
    client_with: ClientWith, wire: Wire, signer: str, words: str
) -> None:
    client = client_with(signer=f"{__name__}.{signer}", hmac_secret_key="hush")
    with pytest.raises(ConfigurationError, match=words) as caught:
        client.request("POST", "/x", json=BODY)
    assert "hush" not in str(caught.value)
    assert wire.requests == []


@pytest.mark.parametrize("signer", ["nowhere.at.all", "word", "os."])
def test_a_signer_that_is_no_dotted_path_is_refused(client_with: ClientWith, token_wire: Wire, signer: str) -> None:
    with pytest.raises(ConfigurationError, match=r"package\.module\.function"):
        client_with(signer=signer).request("GET", "/x")
    assert token_wire.requests == []


def test_a_check_runs_no_signer(client_with: ClientWith) -> None:
    assert client_with(signer="nowhere.at.all").check()


def test_each_try_is_signed(client_with: ClientWith, wire: Wire) -> None:
    wire.will(drop_after_reading, answer(401), FINE)
    client_with(signer=f"{__name__}.signed", hmac_client_key="key").request("GET", "/x")
    assert ["hmacAuthHeader" in request.headers for request in wire.requests] == [True] * 3

"""The hook: the client it gives, and what the *Test* button says."""

from __future__ import annotations

import socket
import time
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from airflow_provider_openclinica.client.client import OpenClinicaClient
from airflow_provider_openclinica.client.token_shelf import FileShelf
from airflow_provider_openclinica.client.tokens import _digest
from airflow_provider_openclinica.get_provider_info import get_provider_info
from airflow_provider_openclinica.hooks.clients import client_for
from airflow_provider_openclinica.hooks.openclinica import OpenClinicaHook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.hooks.conftest import Connect


def test_the_hook_gives_the_client_that_triggers_and_operators_use(openclinica_conn: str) -> None:
    client = OpenClinicaHook(openclinica_conn).get_conn()
    assert isinstance(client, OpenClinicaClient)
    assert client is client_for(openclinica_conn)


def test_a_hook_is_made_without_reading_anything() -> None:
    assert OpenClinicaHook("no_such_connection").openclinica_conn_id == "no_such_connection"
    assert OpenClinicaHook().openclinica_conn_id == "openclinica_default"


def test_airflow_finds_the_hook_by_the_connection_type(openclinica_conn: str) -> None:
    from airflow.providers.common.compat.sdk import BaseHook

    hook = BaseHook.get_hook(openclinica_conn)
    assert isinstance(hook, OpenClinicaHook)
    assert hook.openclinica_conn_id == openclinica_conn


def test_a_good_connection_passes_the_test_and_many_tests_make_one_token_call(
    sandbox: Sandbox, openclinica_conn: str
) -> None:
    for _ in range(3):
        assert OpenClinicaHook(openclinica_conn).test_connection() == (
            True,
            f"OpenClinica answers at {sandbox.study_url} and accepts the account.",
        )
    calls = [(request["method"], request["path"].rpartition("/")[2]) for request in sandbox.requests()]
    assert calls == [("POST", "token"), *[("GET", "downloadFile")] * 3]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Give a port of loopback where nobody listens, as long as the test lasts."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({"password": "wrong"}, "refused login and password", id="credentials-refused"),
        pytest.param({"host": "http://127.0.0.1:{closed}"}, "refuses connections", id="study-server-unreachable"),
        pytest.param({"extra": {"auth_url": "http://127.0.0.1:{closed}"}}, "refuses connections", id="no-token-server"),
        pytest.param({"host": "no-such-host.invalid"}, "cannot be resolved", id="a-name-that-does-not-exist"),
        pytest.param({"host": "https://127.0.0.1:{port}"}, "TLS", id="tls-where-there-is-none"),
        pytest.param({"host": "http://127.0.0.1:{port}/Elsewhere"}, "no OpenClinica", id="not-an-openclinica-server"),
        pytest.param({"extra": {"auth_url": "http://127.0.0.1:{port}/"}}, "auth_url", id="not-a-token-server"),
        pytest.param({"host": "http://oc.example"}, "plain http", id="plain-http"),
        pytest.param({"login": None}, "no login", id="no-login"),
    ],
)
@pytest.mark.parametrize("dialect", ["docs"])
def test_the_test_button_says_what_is_wrong(
    sandbox: Sandbox,
    token_cache_dir: Path,
    connect: Connect,
    closed_port: int,
    changed: dict[str, object],
    words: str,
) -> None:
    def filled(value: object) -> object:
        if isinstance(value, dict):
            return {name: filled(inner) for name, inner in value.items()}
        ports = {"{closed}": str(closed_port), "{port}": str(sandbox.port)}
        for mark, port in ports.items():
            value = value.replace(mark, port) if isinstance(value, str) else value
        return value

    good = {
        "host": sandbox.study_url,
        "login": "data_manager",
        "password": "sandbox",
        "extra": {"auth_url": sandbox.auth_url},
    }
    conn_id = connect(**good | {name: filled(value) for name, value in changed.items()})
    begun = time.monotonic()
    passed, message = OpenClinicaHook(conn_id).test_connection()
    assert not passed
    assert words in message
    assert "sandbox" not in message.replace("sandbox OpenClinica", "")
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("dialect", ["docs"])
def test_the_test_button_does_not_wait_a_minute_for_a_token_call(
    sandbox: Sandbox, openclinica_conn: str, token_cache_dir: Path
) -> None:
    with FileShelf(token_cache_dir, _digest(sandbox.auth_url)).turn(time.time()) as turn:
        assert turn
        turn.begin()
        turn.begin()
    begun = time.monotonic()
    passed, message = OpenClinicaHook(openclinica_conn).test_connection()
    assert not passed
    assert "two token calls a minute" in message
    assert time.monotonic() - begun < 30


def test_a_connection_that_does_not_exist_is_named() -> None:
    passed, message = OpenClinicaHook("no_such_connection").test_connection()
    assert not passed
    assert "no_such_connection" in message


@pytest.mark.parametrize("dialect", ["docs"])
def test_a_connection_that_is_not_saved_yet_can_be_tested(
    sandbox: Sandbox, token_cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = import_module("airflow.models.connection").Connection(
        conn_id="temporary",
        conn_type="openclinica",
        host=sandbox.study_url,
        login="data_manager",
        password="sandbox",
        extra={"auth_url": sandbox.auth_url},
    )
    monkeypatch.setenv("AIRFLOW_CONN_TEMPORARY", written.get_uri())  # as Airflow's API does it
    passed, message = written.test_connection()
    assert passed, message


def test_the_form_of_older_airflow_hides_and_labels_the_same_fields() -> None:
    info: dict[str, list[dict[str, dict[str, object]]]] = get_provider_info()  # type: ignore[assignment]
    declared = info["connection-types"][0]["ui-field-behaviour"]
    assert OpenClinicaHook.get_ui_field_behaviour() == {
        "hidden_fields": declared["hidden-fields"],
        "relabeling": declared["relabeling"],
        "placeholders": declared["placeholders"],
    }

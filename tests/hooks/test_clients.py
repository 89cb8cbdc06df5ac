"""What a connection may say, and who shares a client."""

from __future__ import annotations

import multiprocessing
import os
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_openclinica.errors import ConfigurationError
from airflow_provider_openclinica.hooks import clients
from airflow_provider_openclinica.hooks.clients import client_for, settings_of, token_cache_of

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from tests.hooks.conftest import Connect

HOSTED = {"host": "https://acme.openclinica.io/OpenClinica"}
AUTH_URL = "https://acme.build.openclinica.io/user-service/api/oauth/token"
LOCAL = "http://127.0.0.1:8090"


@pytest.mark.parametrize(
    ("written", "settings"),
    [
        pytest.param(HOSTED, {"study_url": HOSTED["host"], "auth_url": AUTH_URL}, id="the-url-of-the-study-server"),
        pytest.param({"host": "acme.openclinica.io"}, {"study_url": HOSTED["host"]}, id="a-host-alone-means-https"),
        pytest.param(
            {"host": "127.0.0.1", "schema": "http", "port": 8090, "extra": {"auth_url": LOCAL}},
            {"study_url": f"{LOCAL}/OpenClinica", "auth_url": LOCAL},
            id="schema-and-port",
        ),
        pytest.param(
            {"uri": f"openclinica://nightly:s%2Fecret@127.0.0.1:8090/http?auth_url={quote(LOCAL, safe='')}"},
            {"study_url": f"{LOCAL}/OpenClinica", "password": "s/ecret"},
            id="uri-with-the-scheme-as-path",
        ),
        pytest.param(
            {"uri": f"openclinica://http://nightly:secret@127.0.0.1:8090/OC?auth_url={quote(LOCAL, safe='')}"},
            {"study_url": f"{LOCAL}/OC", "login": "nightly"},
            id="uri-with-scheme-and-path",
        ),
        pytest.param(
            {"uri": "openclinica://nightly:secret@acme.openclinica.io/OpenClinica?keep_cookies=true&verify=false"},
            {"study_url": HOSTED["host"], "keep_cookies": True, "verify": False},
            id="uri-with-a-path",
        ),
        pytest.param(
            HOSTED | {"extra": {"import_path": "import", "request_timeout": "12.5", "verify": __file__}},
            {"import_path": "import", "request_timeout": 12.5, "verify": __file__},
            id="extras",
        ),
        pytest.param(
            HOSTED | {"extra": {"import_path": None, "request_timeout": None, "verify": "", "allow_http": None}},
            {"import_path": "", "request_timeout": 300.0, "verify": True},
            id="form-fields-left-empty",
        ),
        pytest.param(
            {"host": "http://oc.example/OpenClinica", "extra": {"auth_url": "http://oc.example/t", "allow_http": True}},
            {"study_url": "http://oc.example/OpenClinica", "auth_url": "http://oc.example/t"},
            id="plain-http-on-demand",
        ),
    ],
)
def test_a_connection_is_understood_however_it_is_written(
    connect: Connect, written: dict[str, Any], settings: dict[str, Any]
) -> None:
    read = settings_of(BaseHook.get_connection(connect(**written)))
    assert {name: getattr(read, name) for name in settings} == settings


@pytest.mark.parametrize(
    ("written", "message"),
    [
        pytest.param({}, "no host", id="no-host"),
        pytest.param(HOSTED | {"password": ""}, "no login or no password", id="no-password"),
        pytest.param({"host": "oc.example"}, "Set auth_url", id="a-host-that-tells-no-token-url"),
        pytest.param({"host": "http://acme.openclinica.io"}, "plain http", id="plain-http"),
        pytest.param(
            {"host": "http://acme.openclinica.io", "extra": {"allow_http": "perhaps"}},
            "allow_http is neither true nor false",
            id="a-switch-that-is-none",
        ),
        pytest.param(HOSTED | {"extra": {"token_cache": "redis"}}, "token_cache is none of memory", id="no-such-cache"),
        pytest.param(HOSTED | {"extra": {"import_path": "/"}}, None, id="an-import-path-of-a-slash-means-none"),
        pytest.param(HOSTED | {"extra": {"import_path": "xml"}}, "import_path", id="no-such-import"),
    ],
)
def test_a_connection_that_cannot_work_is_refused_in_words(
    connect: Connect, written: dict[str, Any], message: str | None
) -> None:
    conn_id = connect(**written)
    if message is None:
        assert client_for(conn_id)
        return
    with pytest.raises(ConfigurationError, match=message) as caught:
        client_for(conn_id)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("token_cache", ["memory", "file", "variable", None, ""])
def test_a_token_is_shared_on_this_host_unless_said_otherwise(connect: Connect, token_cache: str | None) -> None:
    connection = BaseHook.get_connection(connect(**HOSTED, extra={"token_cache": token_cache}))
    assert token_cache_of(connection) == (token_cache or "file")


def test_the_folder_of_tokens_can_be_configured(token_cache_dir: Path) -> None:
    assert clients.token_cache_dir() == token_cache_dir


def test_the_folder_of_tokens_is_one_for_each_user_by_default() -> None:
    assert clients.token_cache_dir().name == f"airflow-openclinica-{os.geteuid()}"


def test_a_process_has_one_client_for_a_connection(connect: Connect) -> None:
    conn_id = connect(**HOSTED)
    assert client_for(conn_id) is client_for(conn_id) is client_for(connect("the_same", **HOSTED))


def test_a_changed_password_means_a_new_client(connect: Connect) -> None:
    old = client_for(connect(**HOSTED))
    assert client_for(connect(**HOSTED, password="changed")) is not old
    assert client_for(connect(**HOSTED)) is old


def test_threads_get_the_same_client(connect: Connect) -> None:
    conn_id = connect(**HOSTED, login="threads")
    got: list[OpenClinicaClient] = []
    threads = [threading.Thread(target=lambda: got.append(client_for(conn_id))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(got) == 8
    assert len({id(client) for client in got}) == 1


def test_a_forked_process_makes_a_client_of_its_own(connect: Connect) -> None:
    conn_id = connect(**HOSTED)
    parent = client_for(conn_id)
    context = multiprocessing.get_context("fork")
    shared = context.SimpleQueue()
    process = context.Process(target=lambda: shared.put(client_for(conn_id) is parent))
    process.start()
    process.join(20)
    assert shared.get() is False

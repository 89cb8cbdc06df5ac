"""The hook for ClinOne: what a connection says, its client, its lists, and what the *Test* button says."""

from __future__ import annotations

import json
import multiprocessing
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from airflow_provider_openclinica.errors import ConfigurationError, FileUnavailableError
from airflow_provider_openclinica.get_provider_info import get_provider_info
from airflow_provider_openclinica.hooks.clinone import ClinOneHook
from airflow_provider_openclinica.sandbox.clinone import SCOPE
from tests.clinone import IDENTIFIERS, calls, connect

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = [pytest.mark.usefixtures("clinone_conn"), pytest.mark.parametrize("dialect", ["docs"])]


def test_a_request_goes_out_and_its_reply_comes_back(sandbox: Sandbox) -> None:
    reply = ClinOneHook().request("PUT", "/some/path", query={"a": "b"}, json={"c": 1})
    assert reply.json == {"method": "PUT", "path": "/some/path", "query": {"a": "b"}, "json": {"c": 1}}


def test_a_process_has_one_client_for_a_connection_and_another_for_a_changed_one(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = ClinOneHook().get_conn()
    assert ClinOneHook().get_conn() is client
    connect(sandbox, monkeypatch, password="changed")
    assert ClinOneHook().get_conn() is not client


def test_processes_of_a_host_share_a_token(sandbox: Sandbox) -> None:
    ClinOneHook().request("GET", "/x")
    process = multiprocessing.get_context("fork").Process(target=lambda: ClinOneHook().request("GET", "/x"))
    process.start()
    process.join(30)
    assert calls(sandbox) == ["GET", "GET"]
    assert len(sandbox.requests()) == 3


def test_a_revoked_token_is_replaced(sandbox: Sandbox) -> None:
    ClinOneHook().request("POST", "/x")
    sandbox.clinone(revoke=True)
    assert ClinOneHook().request("POST", "/x").status == 200


def test_airflow_finds_the_hook_by_the_connection_type(clinone_conn: str) -> None:
    from airflow.providers.common.compat.sdk import BaseHook

    hook = BaseHook.get_hook(clinone_conn)
    assert isinstance(hook, ClinOneHook)
    assert hook.clinone_conn_id == clinone_conn


def test_a_hook_is_made_without_reading_anything() -> None:
    assert ClinOneHook("no_such_connection").clinone_conn_id == "no_such_connection"


def test_a_connection_may_be_a_uri(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = f"auth_url={quote(sandbox.clinone_auth_url, safe='')}&scope={quote(SCOPE, safe='')}"
    host = sandbox.clinone_url.removeprefix("http://")
    monkeypatch.setenv("AIRFLOW_CONN_CLINONE_DEFAULT", f"clinone://http://sandbox-client:sandbox@{host}?{extra}")
    assert ClinOneHook().request("GET", "/x").json["path"] == "/x"


# Identifiers


@pytest.mark.parametrize("kind", ["object", "text", "file"])
def test_identifiers_stand_in_the_connection_or_in_a_file(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "identifiers.json"
    path.write_text(json.dumps(IDENTIFIERS))
    written = {"object": IDENTIFIERS, "text": json.dumps(IDENTIFIERS), "file": str(path)}[kind]
    connect(sandbox, monkeypatch, extra={"identifiers": written})
    assert ClinOneHook().identifiers().site_oid("002") == "S_LEIDEN"


@pytest.mark.parametrize(
    ("written", "error"),
    [
        pytest.param({"sites": {"S_A": "1", "S_B": "1"}}, ConfigurationError, id="not-one-to-one"),
        pytest.param("/no/such/file.json", FileUnavailableError, id="no-such-file"),
        pytest.param("{", ConfigurationError, id="no-json"),
    ],
)
def test_identifiers_that_cannot_be_used_are_refused(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, written: Any, error: type[Exception]
) -> None:
    connect(sandbox, monkeypatch, extra={"identifiers": written})
    with pytest.raises(error):
        ClinOneHook().identifiers()


def test_a_connection_without_identifiers_knows_none(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(sandbox, monkeypatch, extra={"identifiers": None})
    assert ClinOneHook().identifiers().studies == {}


# The test button


def test_a_good_connection_passes_the_test_with_a_token_and_no_call(sandbox: Sandbox) -> None:
    passed, message = ClinOneHook().test_connection()
    assert passed, message
    assert "Scopes: api.patient.read. The API itself was not called." in message
    assert calls(sandbox) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({"password": "wrong"}, "refused client ID and secret", id="a-wrong-secret"),
        pytest.param({"extra": {"scope": "clinoneapi"}}, "AADB2C90085", id="a-wrong-scope"),
        pytest.param({"extra": {"auth_url": "http://127.0.0.1:1/token"}}, "ClinOne could not be reached", id="nobody"),
        pytest.param({"extra": {"auth_url": ""}}, "no auth_url", id="no-token-url"),
        pytest.param({"extra": {"token_cache": "redis"}}, "token_cache is none of", id="no-such-cache"),
        pytest.param({"extra": {"allow_http": "perhaps"}}, "allow_http is neither", id="no-switch"),
        pytest.param({"host": "http://clinone.example"}, "plain http", id="plain-http"),
    ],
)
def test_the_test_button_says_what_is_wrong(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], words: str
) -> None:
    connect(sandbox, monkeypatch, **changed)
    passed, message = ClinOneHook().test_connection()
    assert not passed
    assert words in message


def test_a_signer_is_not_run_by_the_test_button(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(sandbox, monkeypatch, extra={"signer": "nowhere.at.all"})
    assert ClinOneHook().test_connection()[0]


def test_a_connection_that_does_not_exist_is_named() -> None:
    assert ClinOneHook("no_such_connection").test_connection() == (False, "There is no connection no_such_connection")


def test_a_connection_that_is_not_saved_yet_can_be_tested(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    written = import_module("airflow.models.connection").Connection(
        conn_id="temporary",
        conn_type="clinone",
        host=sandbox.clinone_url,
        login="sandbox-client",
        password="sandbox",
        extra={"auth_url": sandbox.clinone_auth_url, "scope": SCOPE},
    )
    monkeypatch.setenv("AIRFLOW_CONN_TEMPORARY", written.get_uri())  # as Airflow's API does it
    passed, message = written.test_connection()
    assert passed, message


def test_the_form_of_older_airflow_hides_and_labels_the_same_fields() -> None:
    info: dict[str, list[dict[str, Any]]] = get_provider_info()  # type: ignore[assignment]
    (declared,) = [kind for kind in info["connection-types"] if kind["connection-type"] == "clinone"]
    behaviour = declared["ui-field-behaviour"]
    assert ClinOneHook.get_ui_field_behaviour() == {
        "hidden_fields": behaviour["hidden-fields"],
        "relabeling": behaviour["relabeling"],
        "placeholders": behaviour["placeholders"],
    }

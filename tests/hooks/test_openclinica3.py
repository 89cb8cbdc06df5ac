"""The connection of OpenClinica 3: what it says, what is refused, and the button that tests it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.client.openclinica3.settings import Settings3
from airflow_provider_openclinica.errors import ConfigurationError
from airflow_provider_openclinica.hooks.openclinica3 import OpenClinica3Hook, client3_for

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

USUAL: dict[str, Any] = {"host": "https://edc.example.org", "login": "svc_etl", "password": "example-password"}


def test_what_is_not_said_is_completed() -> None:
    settings = Settings3.from_parts(**USUAL)
    assert settings.web_url == "https://edc.example.org/OpenClinica"
    assert settings.ws_url == "https://edc.example.org/OpenClinica-ws"
    assert settings.password_hash == "555da20df20d4172e00f1b73d7c3943802055270"
    assert (settings.read_by, settings.api_key, settings.verify) == ("session", "", True)
    shown = repr(settings)
    assert "example-password" not in shown
    assert settings.password_hash not in shown


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"host": ""}, "no host"),
        ({"password": ""}, "no login or no password"),
        ({"host": "http://edc.example.org"}, "plain http"),
        ({"ws_url": "http://edc.example.org/ws"}, "ws_url: .*plain http"),
        ({"ws_url": "ftp://edc.example.org"}, "ws_url"),
        ({"password_hash": "secret-8820"}, "password_hash"),
        ({"read_by": "oauth"}, "read_by"),
        ({"request_timeout": "0"}, "request_timeout"),
        ({"verify": "/nowhere/ca.pem"}, "verify"),
    ],
)
def test_what_cannot_work_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        Settings3.from_parts(**USUAL | wrong)
    assert "secret-8820" not in str(caught.value)


def test_an_old_hash_is_md5() -> None:
    digest = hashlib.md5(b"old", usedforsecurity=False).hexdigest()
    assert Settings3.from_parts(**USUAL, password_hash=digest.upper()).password_hash == digest


def test_a_connection_in_uri_form_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "openclinica3://svc:pw@edc.example.org:8443/OpenClinica?read_by=api_key&allow_http=false"
    monkeypatch.setenv("AIRFLOW_CONN_OC3", uri)
    settings = client3_for("oc3").settings
    assert settings.web_url == "https://edc.example.org:8443/OpenClinica"
    assert settings.ws_url == "https://edc.example.org:8443/OpenClinica-ws"
    assert settings.read_by == "api_key"


def test_a_process_has_one_client_for_a_connection(openclinica3_conn: str, sandbox3: Sandbox) -> None:
    assert OpenClinica3Hook().get_conn() is client3_for(openclinica3_conn)
    assert sandbox3.requests() == []


@pytest.mark.usefixtures("openclinica3_conn")
def test_the_button_says_that_all_is_well() -> None:
    is_well, said = OpenClinica3Hook().test_connection()
    assert is_well
    assert "so do its web services" in said


def test_the_button_says_what_is_wrong(
    openclinica3_conn: str, sandbox3: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {
        "conn_type": "openclinica3",
        "host": sandbox3.study_url,
        "login": "data_manager",
        "password": "no-8820",
    }
    monkeypatch.setenv("AIRFLOW_CONN_OPENCLINICA3_DEFAULT", json.dumps(connection))
    is_well, said = OpenClinica3Hook(openclinica3_conn).test_connection()
    assert not is_well
    assert "refused the login" in said
    assert "no-8820" not in said


@pytest.mark.usefixtures("openclinica3_conn")
def test_who_can_read_and_not_write_is_told(sandbox3: Sandbox) -> None:
    sandbox3.fault("status", path="/OpenClinica-ws/*", status=404)
    is_well, said = OpenClinica3Hook().test_connection()
    assert is_well
    assert "Nothing can be written" in said


def test_a_connection_that_is_not_there_is_told() -> None:
    assert OpenClinica3Hook("nowhere").test_connection() == (False, "There is no connection nowhere")


def test_by_api_key_the_button_proves_the_key(
    openclinica3_conn: str, sandbox3: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"ws_url": sandbox3.ws_url, "read_by": "api_key"}
    connection = {
        "conn_type": "openclinica3",
        "host": sandbox3.study_url,
        "login": "data_manager",
        "password": "sandbox",
    }
    monkeypatch.setenv("AIRFLOW_CONN_OPENCLINICA3_DEFAULT", json.dumps(connection | {"extra": extra}))
    assert OpenClinica3Hook(openclinica3_conn).test_connection()[0]
    assert "/OpenClinica/j_spring_security_check" not in [request["path"] for request in sandbox3.requests()]


def test_old_airflows_get_the_form_from_the_hook() -> None:
    assert OpenClinica3Hook.get_ui_field_behaviour()["relabeling"]["host"] == "Web application URL"

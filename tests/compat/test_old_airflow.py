"""What has to hold on every Airflow from 2.11 on. The rest of the suite runs on the newest only."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_openclinica.client.token_shelf import MemoryShelf
from airflow_provider_openclinica.get_provider_info import get_provider_info
from airflow_provider_openclinica.hooks.clients import client_for, token_cache_dir
from airflow_provider_openclinica.hooks.openclinica import OpenClinicaHook
from airflow_provider_openclinica.hooks.storage import ObjectStorage
from airflow_provider_openclinica.hooks.token_variable import VariableTokenStore

INFO: dict[str, Any] = get_provider_info()
KINDS = {kind["connection-type"]: kind for kind in INFO["connection-types"]}
#: In a process of its own, as the API server is: there the form comes before anything else asks for hooks.
SHOW_FORM = """
import sys
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
(shown,) = [hook for hook in HookMetaService.hook_meta_data() if hook.connection_type == sys.argv[1]]
print(shown.model_dump_json())
"""
AIRFLOW_2 = airflow.__version__.startswith("2.")


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> str:
    extra = {"auth_url": "http://127.0.0.1:8090/token", "token_cache": "memory", "request_timeout": "20"}
    written = {"conn_type": "openclinica", "login": "nightly", "password": "secret", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_OC", json.dumps(written | {"host": "127.0.0.1", "schema": "http", "port": 8090}))
    return "oc"


def test_this_airflow_accepts_the_metadata() -> None:
    schema = Path(airflow.__file__).parent / "provider_info.schema.json"
    jsonschema.validate(INFO, json.loads(schema.read_text()))


@pytest.mark.parametrize("key", ["hooks", "operators", "sensors", "triggers"])
def test_each_module_can_be_imported(key: str) -> None:
    for entry in INFO[key]:
        for module in entry["python-modules"]:
            assert import_module(module)


def test_this_airflow_finds_hook_link_and_settings() -> None:
    manager = import_module("airflow.providers_manager").ProvidersManager()
    hook = manager.hooks["openclinica"]
    assert hook is not None
    assert hook.hook_name == "OpenClinica"
    assert "airflow_provider_openclinica.links.jobs.OpenClinicaJobLink" in manager.extra_links_class_names
    assert token_cache_dir().name.startswith("airflow-openclinica-")


def test_a_connection_becomes_a_client(connection: str) -> None:
    hook = BaseHook.get_hook(connection)
    assert isinstance(hook, OpenClinicaHook)
    client = hook.get_conn()
    assert client is client_for(connection)
    assert client.settings.study_url == "http://127.0.0.1:8090/OpenClinica"
    assert client.settings.request_timeout == 20
    assert isinstance(client.tokens._shelf, MemoryShelf)


@pytest.mark.parametrize("kind", KINDS)
def test_the_connection_form_has_the_declared_fields(kind: str) -> None:
    declared = KINDS[kind]["conn-fields"]
    assert _form_fields(kind) == {name: _declared_as(field) for name, field in declared.items()}


def _declared_as(field: dict[str, Any]) -> tuple[str, str]:
    schema = field["schema"]
    is_switch, is_secret = "boolean" in schema["type"], schema.get("format") == "password"
    return field["label"], "switch" if is_switch else "secret" if is_secret else "text"


def _form_fields(kind: str) -> dict[str, tuple[str, str]]:
    """Return label and sort of each field, from wherever this Airflow's own form has them."""
    return _fields_of_airflow_2(kind) if AIRFLOW_2 else _fields_of_airflow_3(kind)


def _fields_of_airflow_2(kind: str) -> dict[str, tuple[str, str]]:
    hook = import_module("airflow.providers_manager").ProvidersManager().hooks[kind].hook_class_name
    module, _, name = hook.rpartition(".")
    widgets = getattr(import_module(module), name).get_connection_form_widgets()
    form = type("ConnectionForm", (import_module("wtforms").Form,), widgets)()
    sorts = {"BooleanField": "switch", "PasswordField": "secret", "StringField": "text"}
    return {field.name: (str(field.label.text), sorts[field.type]) for field in form}


def _fields_of_airflow_3(kind: str) -> dict[str, tuple[str, str]]:
    done = subprocess.run([sys.executable, "-c", SHOW_FORM, kind], capture_output=True, text=True, check=True)
    shown = json.loads(done.stdout.splitlines()[-1])
    for name, label in KINDS[kind]["ui-field-behaviour"]["relabeling"].items():
        assert shown["standard_fields"][name]["title"] == label
    assert shown["standard_fields"]["port"]["hidden"]
    for name, field in KINDS[kind]["conn-fields"].items():
        assert shown["extra_fields"][name]["schema"].get("enum") == field["schema"].get("enum")
        # A default of a field so named as a secret would be shown as ***, and stored.
        assert shown["extra_fields"][name]["value"] == field["schema"].get("default")
    return {
        name: _declared_as(field | {"label": field["schema"]["title"]}) for name, field in shown["extra_fields"].items()
    }


if AIRFLOW_2:  # newer forms are no pages of the web server, and Airflow's own code keeps what they hide

    @pytest.mark.parametrize(
        ("kind", "secrets"),
        [
            ("openclinica3", {"password_hash": "cafe-4711", "api_key": "key-4711"}),
            ("clinone", {"hmac_secret_key": "4711"}),
        ],
    )
    def test_a_secret_is_neither_shown_nor_lost_when_a_connection_is_saved_again(
        kind: str, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        extra = secrets | {"verify": "/etc/ca.pem"}
        monkeypatch.setenv("AIRFLOW_CONN_OC", json.dumps({"conn_type": kind, "extra": extra}))
        view = object.__new__(import_module("airflow.www.views").ConnectionModelView)
        connection = {"conn_id": "oc", "conn_type": kind, "extra": json.dumps(extra)}

        shown = _edit_form()(data=connection)
        view.prefill_form(shown, 1)
        page = " ".join(str(field()) for field in shown)
        assert not [secret for secret in secrets.values() if secret in page]

        values = dict(re.findall(r'name="(\w+)" type="(?:text|password)" value="([^"]*)"', page))
        saved = _edit_form()(data=values | {"conn_id": "oc", "conn_type": kind, "extra": shown.extra.data})
        view.process_form(saved, is_created=False)
        assert secrets.items() <= json.loads(saved.extra.data).items()


def _edit_form() -> Any:
    """Make the page of Airflow 2 on which a connection is edited, with the extra fields of all its types."""
    wtforms, manager = import_module("wtforms"), import_module("airflow.providers_manager").ProvidersManager()
    fields = {name: info.field for name, info in manager.connection_form_widgets.items()}
    usual = {name: wtforms.StringField() for name in ("conn_id", "conn_type", "extra")}
    return type("ConnectionForm", (wtforms.Form,), usual | fields)


def test_variables_can_be_missing() -> None:
    assert VariableTokenStore().load("openclinica_token_missing") is None


def test_a_relative_path_is_written_where_the_user_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ObjectStorage().create("logs/today.csv") as file:
        file.write(b"row")
    assert (tmp_path / "logs" / "today.csv").read_bytes() == b"row"
    with ObjectStorage().open("logs/today.csv") as file:
        assert file.read() == b"row"

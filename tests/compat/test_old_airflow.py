"""What has to hold on every Airflow from 2.11 on. The rest of the suite runs on the newest only."""

from __future__ import annotations

import json
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
FIELDS: dict[str, Any] = INFO["connection-types"][0]["conn-fields"]
#: In a process of its own, as the API server is: there the form comes before anything else asks for hooks.
SHOW_FORM = """
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
(shown,) = [hook for hook in HookMetaService.hook_meta_data() if hook.connection_type == "openclinica"]
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


def test_the_connection_form_has_the_declared_fields() -> None:
    assert _form_fields() == {name: field["label"] for name, field in FIELDS.items()}


def _form_fields() -> dict[str, str]:
    """Return name and label of each field, from wherever this Airflow's own form has them."""
    if AIRFLOW_2:
        form = import_module("wtforms").Form
        fields = type("ConnectionForm", (form,), OpenClinicaHook.get_connection_form_widgets())()
        assert fields["allow_http"].type == "BooleanField"
        return {field.name: str(field.label.text) for field in fields}
    done = subprocess.run([sys.executable, "-c", SHOW_FORM], capture_output=True, text=True, check=True)
    shown = json.loads(done.stdout.splitlines()[-1])
    assert shown["standard_fields"]["host"]["title"] == "Study server URL"
    assert shown["standard_fields"]["port"]["hidden"]
    assert shown["extra_fields"]["token_cache"]["schema"]["enum"] == ["memory", "file", "variable"]
    assert shown["extra_fields"]["token_cache"]["value"] is None  # and not ***, which would be stored
    assert "boolean" in shown["extra_fields"]["allow_http"]["schema"]["type"]
    return {name: field["schema"]["title"] for name, field in shown["extra_fields"].items()}


def test_variables_can_be_missing() -> None:
    assert VariableTokenStore().load("openclinica_token_missing") is None


def test_a_relative_path_is_written_where_the_user_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ObjectStorage().create("logs/today.csv") as file:
        file.write(b"row")
    assert (tmp_path / "logs" / "today.csv").read_bytes() == b"row"
    with ObjectStorage().open("logs/today.csv") as file:
        assert file.read() == b"row"

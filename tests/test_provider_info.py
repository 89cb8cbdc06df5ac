"""What Airflow learns about this provider, and what that costs everybody's ``import airflow``."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points, version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.providers.common.compat.sdk import BaseHook

import airflow_provider_openclinica
from airflow_provider_openclinica.get_provider_info import get_provider_info

INFO: dict[str, Any] = get_provider_info()
PACKAGE = Path(airflow_provider_openclinica.__file__).parent
#: What a provider.yaml must say of Airflow's own releases, and a provider's metadata need not.
OF_A_RELEASE = {"state": "ready", "source-date-epoch": 0}


def schema(name: str) -> Any:
    return json.loads((Path(airflow.__file__).parent / name).read_text())


def test_airflow_accepts_the_metadata() -> None:
    jsonschema.validate(INFO, schema("provider_info.schema.json"))


def test_the_stricter_schema_of_airflows_own_providers_holds_too() -> None:
    jsonschema.validate(INFO | OF_A_RELEASE, schema("provider.yaml.schema.json"))


@pytest.mark.parametrize(
    ("key", "field"),
    [
        pytest.param("label", {"schema": {"type": "string"}}, id="a-field-without-a-label"),
        pytest.param("format", {"label": "x", "schema": {"type": "string", "format": "uri"}}, id="an-unknown-format"),
    ],
)
def test_the_stricter_schema_would_notice_a_mistake(key: str, field: dict[str, Any]) -> None:
    wrong = json.loads(json.dumps(INFO | OF_A_RELEASE))
    wrong["connection-types"][0]["conn-fields"]["wrong"] = field
    with pytest.raises(jsonschema.ValidationError, match=key):
        jsonschema.validate(wrong, schema("provider.yaml.schema.json"))


def test_name_and_version_are_those_of_the_distribution() -> None:
    assert INFO["package-name"] == "airflow-provider-openclinica"
    assert INFO["versions"][0] == airflow_provider_openclinica.__version__ == version("airflow-provider-openclinica")


def test_airflow_finds_the_metadata_by_its_entry_point() -> None:
    found = {point.value: point for point in entry_points(group="apache_airflow_provider")}
    (ours,) = [point for value, point in found.items() if value.startswith("airflow_provider_openclinica")]
    assert ours.load() is get_provider_info


def _modules() -> list[str]:
    listed = [INFO[key] for key in ("hooks", "operators", "sensors", "triggers")]
    modules = [module for entries in listed for entry in entries for module in entry["python-modules"]]
    return modules + [entry["python-module"] for entry in INFO["transfers"]]


def _classes() -> list[str]:
    return [*INFO["extra-links"], *(kind["hook-class-name"] for kind in INFO["connection-types"])]


@pytest.mark.parametrize("module", _modules())
def test_each_module_that_is_named_can_be_imported(module: str) -> None:
    assert import_module(module)


@pytest.mark.parametrize("dotted", _classes())
def test_each_class_that_is_named_can_be_imported(dotted: str) -> None:
    module, _, name = dotted.rpartition(".")
    assert isinstance(getattr(import_module(module), name), type)


@pytest.mark.parametrize("folder", ["hooks", "operators", "sensors", "transfers", "triggers"])
def test_no_module_with_something_public_is_left_out(folder: str) -> None:
    base = {"hooks": "Hook", "sensors": "Sensor", "triggers": "Trigger"}.get(folder, "Operator")
    public = set()
    for path in (PACKAGE / folder).glob("*.py"):
        classes = [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
        if any(name.startswith(("OpenClinica", "ClinOne")) and name.endswith(base) for name in classes):
            public.add(f"airflow_provider_openclinica.{folder}.{path.stem}")
    bases = {f"airflow_provider_openclinica.operators.{name}" for name in ("base", "bulk")}  # for others to extend
    assert public - bases == {module for module in _modules() if f".{folder}." in module}


@pytest.mark.parametrize("kind", INFO["connection-types"], ids=lambda kind: kind["connection-type"])
def test_hook_and_connection_type_agree(kind: dict[str, Any]) -> None:
    module, _, name = kind["hook-class-name"].rpartition(".")
    hook = getattr(import_module(module), name)
    assert (kind["connection-type"], kind["hook-name"]) == (hook.conn_type, hook.hook_name)


@pytest.mark.parametrize("kind", INFO["connection-types"], ids=lambda kind: kind["connection-type"])
def test_the_form_offers_every_extra_that_is_read(kind: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    extra = Noting(auth_url="https://login.example/token", scope="api")
    usual = {"host": "https://acme.example", "schema": None, "port": None, "login": "nightly", "password": "secret"}
    monkeypatch.setattr(BaseHook, "get_connection", lambda _: SimpleNamespace(**usual, extra_dejson=extra))
    module, _, name = kind["hook-class-name"].rpartition(".")
    hook = getattr(import_module(module), name)()
    hook.get_conn()
    if kind["connection-type"] == "clinone":
        hook.identifiers()
    assert extra.noted == set(kind["conn-fields"])


class Noting(dict[str, Any]):
    """The extra of a connection, which notes what it is asked for."""

    def __init__(self, **values: str) -> None:
        super().__init__(values)
        self.noted: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.noted.add(name)
        return super().get(name, default)


def test_settings_of_the_configuration_are_strings() -> None:
    options = INFO["config"]["openclinica"]["options"]
    assert all(isinstance(option["default"], str) for option in options.values())


def test_the_metadata_need_no_import() -> None:
    tree = ast.parse((PACKAGE / "get_provider_info.py").read_text())
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imported] == ["from __future__ import annotations"]


def test_importing_airflow_loads_no_other_module_of_ours(tmp_path: Path) -> None:
    code = "import sys, airflow.configuration; print(*[name for name in sys.modules if 'openclinica' in name])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"AIRFLOW_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert loaded == {"airflow_provider_openclinica", "airflow_provider_openclinica.get_provider_info"}


def test_airflow_shows_the_connection_form() -> None:
    manager = import_module("airflow.providers_manager").ProvidersManager()
    hook = manager.hooks["openclinica"]
    assert hook is not None
    assert hook.hook_class_name == "airflow_provider_openclinica.hooks.openclinica.OpenClinicaHook"
    fields = {name for name in manager.connection_form_widgets if name.startswith("extra__openclinica__")}
    assert fields == {f"extra__openclinica__{name}" for name in INFO["connection-types"][0]["conn-fields"]}
    assert manager.field_behaviours["openclinica"]["relabeling"]["host"] == "Study server URL"

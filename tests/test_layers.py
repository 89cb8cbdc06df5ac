"""Who may import whom. The drawing is in the design: each layer imports only what stands below it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import airflow_provider_openclinica

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "airflow_provider_openclinica"
PACKAGE = Path(airflow_provider_openclinica.__file__).parent

#: Layer -> the layers of ours that it may import, itself always included. ``version`` is the package's ``__init__``.
BELOW_AIRFLOW = {
    "version": set(),
    "get_provider_info": set(),
    "errors": set(),
    "client": {"errors", "version"},
    "odm": {"errors", "version"},
    "engine": {"client", "odm", "errors", "version"},
    "sandbox": set(),
}
WITH_AIRFLOW = {
    "links": {"client", "errors"},
    "hooks": {"engine", "client", "odm", "errors", "version", "get_provider_info"},
    "triggers": {"hooks", "engine", "client", "errors"},
    "operators": {"triggers", "links", "hooks", "engine", "client", "odm", "errors"},
    "sensors": {"operators", "triggers", "links", "hooks", "engine", "client", "errors"},
    "transfers": {"operators", "triggers", "links", "hooks", "engine", "client", "odm", "errors"},
}
#: Airflow by the doors that stay open from 2.11 to 3.3; the bare name is for its version.
DOORS = (
    "airflow",
    "airflow.providers.common.compat.sdk",
    "airflow.providers.common.sql.hooks.sql",
    "airflow.triggers.base",
    "airflow.sdk.exceptions",
)


def layer_of(module: str) -> str:
    """Return the layer of a module of ours: ``airflow_provider_openclinica.client.jobs`` belongs to ``client``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "version"


def imports_of(path: Path, package: Path) -> Iterator[tuple[int, str]]:
    """Yield line and full module name of every import in a file, those within functions and for types included."""
    folders = [NAME, *path.relative_to(package).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = folders[: len(folders) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            if module == NAME:  # from airflow_provider_openclinica import errors
                modules = {alias.name for alias in node.names} & {*BELOW_AIRFLOW, *WITH_AIRFLOW}
                yield from ((node.lineno, f"{NAME}.{name}") for name in sorted(modules) or [""])
            else:
                yield node.lineno, module


def violations(package: Path) -> list[str]:
    """Return a line for each import that points upwards or sideways, or at Airflow from below it."""
    found = []
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package)
        own = layer_of(".".join([NAME, *place.with_suffix("").parts])) if place.name != "__init__.py" else None
        own = own or (place.parts[0] if len(place.parts) > 1 else "version")
        allowed = BELOW_AIRFLOW | WITH_AIRFLOW
        if own not in allowed:
            found.append(f"{place}: no layer has this name")
            continue
        for line, module in imports_of(path, package):
            imported = layer_of(module.rstrip(".")) if module.split(".")[0] == NAME else None
            if imported and imported != own and imported not in allowed[own]:
                found.append(f"{place}:{line}: {own} must not import {imported}")
            if module.split(".")[0] == "airflow" and own not in WITH_AIRFLOW:
                found.append(f"{place}:{line}: {own} must not import airflow")
            elif module.split(".")[0] == "airflow" and module not in DOORS:
                found.append(f"{place}:{line}: {module} is not the same on all versions of Airflow")
    return found


def test_each_layer_imports_only_what_stands_below_it() -> None:
    assert violations(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        pytest.param("client/jobs.py", f"from {NAME}.odm.names import X", "client must not import odm", id="siblings"),
        pytest.param("odm/names.py", f"import {NAME}.client.jobs", "odm must not import client", id="plain-import"),
        pytest.param("engine/run.py", "import airflow.models", "engine must not import airflow", id="airflow-below"),
        pytest.param("client/a.py", "import airflow", "client must not import airflow", id="airflow-itself"),
        pytest.param("engine/run.py", f"from {NAME} import hooks", "engine must not import hooks", id="upwards"),
        pytest.param("client/a/b.py", "from ...odm import names", "client must not import odm", id="relative-import"),
        pytest.param("client/a.py", "from .. import odm", "client must not import odm", id="relative-package"),
        pytest.param(
            "client/a.py",
            f"def f():\n    import {NAME}.engine",
            "a.py:2: client must not import engine",
            id="in-a-function",
        ),
        pytest.param(
            "odm/a.py",
            f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from {NAME}.engine.files import Files",
            "odm must not import engine",
            id="for-types-only",
        ),
        pytest.param("sandbox/a.py", f"from {NAME}.errors import X", "sandbox must not import errors", id="sandbox"),
        pytest.param("sandbox/a.py", f"from {NAME} import __version__", "sandbox must not", id="sandbox-version"),
        pytest.param("hooks/a.py", f"import {NAME}.sandbox", "hooks must not import sandbox", id="into-the-sandbox"),
        pytest.param("__init__.py", f"from {NAME} import errors", "version must not import errors", id="init-of-all"),
        pytest.param("client/__init__.py", f"import {NAME}.hooks", "client must not import hooks", id="init-of-layer"),
        pytest.param(
            "get_provider_info.py", f"import {NAME}.hooks", "get_provider_info must not import hooks", id="metadata"
        ),
        pytest.param("hooks/a.py", f"import {NAME}.operators", "hooks must not import operators", id="hooks-are-lower"),
        pytest.param("hooks/a.py", "from airflow.models import Variable", "not the same on all", id="a-closed-door"),
        pytest.param("utils.py", "", "no layer has this name", id="a-drawer"),
    ],
)
def test_a_violation_is_found(tmp_path: Path, file: str, source: str, complaint: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    (found,) = violations(tmp_path)
    assert complaint in found


@pytest.mark.parametrize(
    ("file", "source"),
    [
        pytest.param("client/jobs.py", f"from {NAME}.client.http import Http\nimport requests", id="within-a-layer"),
        pytest.param("client/http.py", f"from {NAME} import __version__, errors", id="version-and-errors"),
        pytest.param("engine/run.py", f"import {NAME}.client.jobs\nimport {NAME}.odm", id="both-siblings"),
        pytest.param("hooks/a.py", "from airflow.providers.common.compat.sdk import BaseHook", id="airflow-by-a-door"),
        pytest.param("client/a.py", "from airflowish import thing", id="another-package"),
    ],
)
def test_what_is_allowed_is_no_violation(tmp_path: Path, file: str, source: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    assert violations(tmp_path) == []

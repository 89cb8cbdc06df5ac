"""The table of OpenClinica 3's calls stays true: what it names is there, and what is there it names."""

from __future__ import annotations

import ast
import re
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.openclinica3 import client_for

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "airflow_provider_openclinica"
PAGE = ROOT / "docs" / "openclinica3.md"
CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)]+)\)")


class Row(NamedTuple):
    """A line of the table."""

    call: str
    mechanism: str
    client: str
    operators: str
    tests: str


def rows() -> list[Row]:
    lines = [line for line in PAGE.read_text().splitlines() if re.match(r"\| `(GET|POST) /", line)]
    return [Row(*(cell.strip() for cell in line.strip("|").split("|"))) for line in lines]


def public_classes() -> set[str]:
    modules = [PACKAGE / folder / "openclinica3.py" for folder in ("operators", "sensors")]
    return {
        node.name
        for module in modules
        for node in ast.parse(module.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    }


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.call)
def test_a_row_names_what_exists_and_is_tested(row: Row, sandbox3: Sandbox) -> None:
    client = client_for(sandbox3)
    tests = "".join((PAGE.parent / link).read_text() for link in LINK.findall(row.tests))
    for method in CODE.findall(row.client):
        assert callable(attrgetter(method)(client))
        assert f".{method.rpartition('.')[2]}(" in tests
    for name in CODE.findall(row.operators):
        assert name in public_classes()
        assert name in tests


def test_nothing_is_left_out(sandbox3: Sandbox) -> None:
    named = {name for row in rows() for name in CODE.findall(row.operators) + CODE.findall(row.client)}
    client = client_for(sandbox3)
    parts = {"api": client.api, "soap": client.soap, "studies": client.studies, "participants": client.participants}
    calls = {
        f"{name}.{method}"
        for name, part in parts.items()
        for method in vars(type(part))
        if not method.startswith("_") and method != "stream"
    }
    assert public_classes() | calls <= named

"""The table of endpoints stays true: what it names is there, and what is there it names."""

from __future__ import annotations

import ast
import re
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from airflow_provider_openclinica.client.addresses import ServerSettings
from airflow_provider_openclinica.client.client import OpenClinicaClient
from airflow_provider_openclinica.client.tokens import TokenManager
from airflow_provider_openclinica.sandbox.faults import API
from airflow_provider_openclinica.sandbox.server import api

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_openclinica.sandbox.server import Sandbox

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "airflow_provider_openclinica"
PAGE = ROOT / "docs" / "endpoints.md"
CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)]+)\)")
#: Public, and no call to OpenClinica.
NO_CALLS = {"jobs.page"}
NO_OPERATORS = {
    *("OpenClinicaBulkOperator", "OpenClinicaStudyOperator"),  # what others extend
    *("OpenClinicaChangesOperator", "OpenClinicaTablesToSqlOperator"),  # what asks no OpenClinica
}
DIALECTS = {"both": {"docs", "source"}, "docs": {"docs"}, "source": {"source"}, "no": set()}
CHAPTERS = {f"15.{number}" for number in (2, 3, 4, 5, 6, 7, 9)}  # 15.1 is about ODM, 15.8 about a page for people


class Row(NamedTuple):
    """A line of the table."""

    call: str
    manual: str
    protocol: str
    client: str
    operators: str
    sandbox: str
    tests: str

    @property
    def route(self) -> str:
        """Method and path, with nothing said of what the placeholders are called."""
        return anonymous(CODE.findall(self.call)[0])

    @property
    def names(self) -> list[str]:
        """What stands for the call in this package."""
        return CODE.findall(self.client) + CODE.findall(self.operators)


def anonymous(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path)


def rows() -> list[Row]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    return [Row(*(cell.strip() for cell in line.strip("|").split("|"))) for line in lines]


def calls_of(client: OpenClinicaClient) -> set[str]:
    """Every public method of every resource: ``jobs.list``."""
    resources = {name: part for name, part in vars(client).items() if type(part).__module__.count(".client.")}
    return {
        f"{name}.{method}"
        for name, part in resources.items()
        if not name.startswith("_") and name not in {"settings", "tokens"}
        for method in vars(type(part))
        if not method.startswith("_")
    }


def public_classes() -> set[str]:
    """Every operator and sensor that a DAG author can import."""
    modules = [path for folder in ("operators", "sensors", "transfers") for path in (PACKAGE / folder).glob("*.py")]
    return {
        node.name
        for module in modules
        for node in ast.parse(module.read_text()).body
        if isinstance(node, ast.ClassDef) and re.fullmatch(r"OpenClinica(?!3)\w+(Operator|Sensor)", node.name)
    }


@pytest.fixture(scope="module")
def client() -> OpenClinicaClient:
    """A client, which calls nobody."""
    settings = ServerSettings.from_parts(host="acme.openclinica.io", login="nightly", password="secret")
    return OpenClinicaClient(settings, TokenManager(settings))


@pytest.fixture(scope="module")
def played(sandboxes: Callable[[str], Sandbox]) -> dict[str, set[str]]:
    """The calls that the sandbox answers: dialect -> method and path."""
    return {
        dialect: {
            anonymous(f"{method} {route.path.removeprefix(API)}")
            for route in api(sandboxes(dialect).service)
            for method in (route.methods or set()) - {"HEAD"}
        }
        for dialect in ("docs", "source")
    }


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.call)
def test_a_row_names_what_exists(row: Row, client: OpenClinicaClient) -> None:
    for method in CODE.findall(row.client):
        assert callable(attrgetter(method)(client))
    assert set(CODE.findall(row.operators)) <= public_classes()
    assert CODE.findall(row.client) or row.client in {"not yet", "never"}
    assert row.manual == "—" or set(row.manual.split(", ")) <= CHAPTERS


@pytest.mark.parametrize("row", [row for row in rows() if row.names], ids=lambda row: row.call)
def test_what_a_row_names_is_documented_and_tested(row: Row) -> None:
    tests = "".join((PAGE.parent / link).read_text() for link in LINK.findall(row.tests))
    calls = [f".{method.rpartition('.')[2]}(" for method in CODE.findall(row.client)]

    assert LINK.findall(row.protocol)
    assert [name for name in [*calls, *CODE.findall(row.operators)] if name not in tests] == []


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.call)
def test_a_row_tells_in_which_dialects_the_sandbox_plays_it(row: Row, played: dict[str, set[str]]) -> None:
    assert {dialect for dialect, calls in played.items() if row.route in calls} == DIALECTS[row.sandbox]


def test_nothing_is_left_out(client: OpenClinicaClient, played: dict[str, set[str]]) -> None:
    table = rows()
    named = {name for row in table for name in row.names}

    assert public_classes() - NO_OPERATORS <= named
    assert calls_of(client) - NO_CALLS <= named
    assert played["docs"] | played["source"] <= {row.route for row in table}
    assert {chapter for row in table for chapter in row.manual.split(", ")} - {"—"} == CHAPTERS

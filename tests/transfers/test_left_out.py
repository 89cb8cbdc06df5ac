"""From OpenClinica into a database, with queries and audit trail in one night and without them in the next."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.transfers.openclinica_to_file import OpenClinicaToFileOperator
from airflow_provider_openclinica.transfers.openclinica_to_tables import OpenClinicaToTablesOperator
from airflow_provider_openclinica.transfers.tables_to_sql import OpenClinicaTablesToSqlOperator
from tests.pulls import store
from tests.sandbox import imports
from tests.tables import manifest_of
from tests.tasks import Instance, Task

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = [pytest.mark.usefixtures("openclinica_conn"), pytest.mark.parametrize("dialect", ["docs"])]

WITH = {"include_queries": True, "include_audits": True}


@pytest.fixture
def queried(sandbox: Sandbox) -> None:
    """Let there be a value with a query."""
    note = imports.note(imports.entry("Please check", user="monitor"))
    store(sandbox, "S_BOSTON", imports.odm(imports.labs(imports.group(imports.item("I_LABS_SAMPLE", "A-1", note)))))


def pulled(folder: Path, **asked_for: Any) -> str:
    """Pull the study into a set of documents."""
    uri = f"{folder}/odm/"
    Task().run(OpenClinicaToFileOperator(task_id="pull", study_oid="S_JUNO", output_uri=uri, **asked_for))
    return uri


@pytest.mark.parametrize(
    ("asked_for", "left_out"),
    [
        pytest.param({}, ["audit", "queries"], id="neither"),
        pytest.param({"include_queries": True}, ["audit"], id="queries"),
        pytest.param({"include_audits": True}, ["queries"], id="audit-trail"),
        pytest.param(WITH, [], id="both"),
    ],
)
def test_a_set_and_its_tables_say_what_nobody_asked_for(
    tmp_path: Path, queried: None, asked_for: dict[str, bool], left_out: list[str]
) -> None:
    odm_uri = pulled(tmp_path, **asked_for)
    Task().run(OpenClinicaToTablesOperator(task_id="tables", odm_uri=odm_uri, output_uri=str(tmp_path / "tables")))

    assert sorted(json.loads((tmp_path / "odm" / "manifest.json").read_text())["left_out"]) == left_out
    assert sorted(manifest_of(tmp_path / "tables")["left_out"]) == left_out


@pytest.mark.parametrize(
    ("tables", "left_out"), [(None, []), (["participants", "queries"], ["audit"]), (["items"], ["audit", "queries"])]
)
def test_tables_that_are_pulled_for_say_it_too(
    tmp_path: Path, queried: None, tables: list[str] | None, left_out: list[str]
) -> None:
    out = str(tmp_path / "tables")
    Task().run(OpenClinicaToTablesOperator(task_id="tables", study_oid="S_JUNO", output_uri=out, tables=tables))

    assert sorted(manifest_of(tmp_path / "tables")["left_out"]) == left_out


def test_a_night_without_queries_and_audit_trail_leaves_those_of_the_night_before(
    tmp_path: Path, queried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "warehouse.sqlite"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(database)}))

    def night(number: int, **asked_for: bool) -> dict[str, Any]:
        folder = tmp_path / str(number)
        odm_uri, tables_uri = pulled(folder, **asked_for), str(folder / "tables")
        Task().run(OpenClinicaToTablesOperator(task_id="tables", odm_uri=odm_uri, output_uri=tables_uri))
        load = OpenClinicaTablesToSqlOperator(task_id="load", tables_uri=tables_uri, sql_conn_id="warehouse")
        tables: dict[str, Any] = Task(Instance(run_id=str(number))).run(load)["tables"]
        return tables

    def counted() -> list[int]:
        with closing(sqlite3.connect(database)) as connection:
            tables = ("queries", "audit")
            return [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]  # noqa: S608

    night(1, **WITH)
    before = counted()
    second = night(2)

    assert all(before)
    assert counted() == before
    assert not {"queries", "audit"} & second.keys()
    assert night(3, **WITH)["queries"]["removed"] == 0

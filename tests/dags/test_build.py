"""Rows of a query become values in OpenClinica: the DAG of ``docs/import.md``, as it stands there."""

from __future__ import annotations

import re
import runpy
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG, BaseHook

from airflow_provider_openclinica import odm
from airflow_provider_openclinica.operators.clinicaldata import OpenClinicaImportClinicalDataOperator
from tests.dags.conftest import RunDag, TaskLog, states, xcoms
from tests.documents import COMMENT, FIRST, SECOND, found_in

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("openclinica_conn")

PAGE = (Path(__file__).parents[2] / "docs" / "import.md").read_text()
BLOCK = re.search(r"^```python\n((?:(?!^```).)*?labs_from_rows.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

RESULTS = [
    (FIRST, "2026-01-05", 1, "I_LABS_TEST", "HBA1C"),
    (FIRST, "2026-01-05", 1, "I_LABS_VALUE", 41.5),
    (FIRST, "2026-01-05", 1, "I_LABS_UNIT", "mmol/mol"),
    (FIRST, "2026-01-05", 2, "I_LABS_TEST", "HBA1C"),
    (FIRST, "2026-01-05", 2, "I_LABS_VALUE", None),
    (SECOND, "2026-01-06", 1, "I_LABS_TEST", "HBA1C"),
    (SECOND, "2026-01-06", 1, "I_LABS_VALUE", 39),
]


@pytest.fixture
def dag_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that gives a laboratory these results, and returns the DAG."""
    database = tmp_path / "laboratory.sqlite"

    class SqliteHook(BaseHook):  # its provider is not installed with every Airflow
        def get_conn(self) -> sqlite3.Connection:
            return sqlite3.connect(database)

    def get_hook(conn_id: str) -> BaseHook:
        assert conn_id == "laboratory"
        return SqliteHook()

    monkeypatch.setattr(BaseHook, "get_hook", get_hook)

    def fill(results: list[tuple[Any, ...]]) -> DAG:
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("CREATE TABLE results (participant, drawn_on, number, item_oid, value)")
            connection.executemany("INSERT INTO results VALUES (?, ?, ?, ?, ?)", results)
        assert BLOCK is not None
        code = BLOCK[1].replace("/data/labs", str(tmp_path)).replace("deferrable=True", "poll_interval=0.1, timeout=60")
        (tmp_path / "labs.py").write_text(code)  # Airflow reads it again, to show it
        [dag] = [value for value in runpy.run_path(str(tmp_path / "labs.py")).values() if isinstance(value, DAG)]
        return dag

    return fill


def test_rows_of_a_query_are_stored_in_openclinica(
    dag_of_the_page: Any, run_dag: RunDag, sandbox: Sandbox, task_log: TaskLog, tmp_path: Path
) -> None:
    run = run_dag(dag_of_the_page(RESULTS))

    assert states(run) == {"build_labs": "success", "import_labs": "success"}
    assert xcoms(run, "build_labs")["return_value"] == 6
    assert xcoms(run, "import_labs")["return_value"]["outcomes"] == {"Inserted": 6}
    columns = ("participant", "group_repeat", "item", "value")
    assert sorted(tuple(item[column] for column in columns) for item in sandbox.data()) == sorted(
        (participant, number, item, str(value)) for participant, _, number, item, value in RESULTS if value is not None
    )
    [document] = tmp_path.glob("*.xml")
    assert odm.check(document) == []
    assert found_in(task_log()) == []


@pytest.mark.parametrize("dialect", ["docs"])
def test_a_night_without_results_imports_nothing(dag_of_the_page: Any, run_dag: RunDag, sandbox: Sandbox) -> None:
    run = run_dag(dag_of_the_page([]))

    assert states(run) == {"build_labs": "success", "import_labs": "skipped"}
    assert sandbox.requests() == []


def test_visits_are_created_and_forms_that_come_back_are_the_same_forms(
    run_dag: RunDag, sandbox: Sandbox, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    def row(form: str, group: str, item: str, value: object, **more: object) -> dict[str, object]:
        keys = {"study_oid": "S_BOSTON", "participant_id": FIRST, "study_event_oid": "SE_FOLLOWUP"}
        repeats = {"study_event_repeat_key": 1, "item_group_repeat_key": 1, "start_date": "2026-02-05"}
        names = {"form_oid": form, "item_group_oid": group, "item_oid": item, "value": value}
        return {**keys, **repeats, **names, "form_layout_oid": "1" if form != "F_VITALS" else "2", **more}

    rows = [
        row("F_LABS", "IG_LABS_MAIN", "I_LABS_COMMENT", COMMENT),
        row("F_VITALS", "IG_VITALS_MAIN", "I_VITALS_PULSE", 72),
        row("F_LABS", "IG_LABS_MAIN", "I_LABS_FASTING", 1),
        row("F_LABS", "IG_LABS_MAIN", "I_LABS_COMMENT", "of the second", study_event_repeat_key=2),
        row("F_AE", "IG_AE_MAIN", "I_AE_TERM", "\u00a0Übelkeit,\n<2 h>", study_event_oid="SE_AE", start_date=None),
    ]
    odm.build(rows, tmp_path / "visits.xml")
    with DAG("".join(filter(str.isalnum, request.node.name)), schedule=None) as dag:
        OpenClinicaImportClinicalDataOperator(
            task_id="visits", odm_uri=str(tmp_path / "visits.xml"), study_oid="S_JUNO", poll_interval=0.1, timeout=60
        )

    run = run_dag(dag)

    assert states(run) == {"visits": "success"}
    columns = ("event", "event_repeat", "form", "version", "item", "value")
    assert [tuple(item[column] for column in columns) for item in sandbox.data()] == [
        ("SE_FOLLOWUP", 1, "F_LABS", "1", "I_LABS_COMMENT", COMMENT),
        ("SE_FOLLOWUP", 1, "F_VITALS", "2", "I_VITALS_PULSE", "72"),
        ("SE_FOLLOWUP", 1, "F_LABS", "1", "I_LABS_FASTING", "1"),
        ("SE_FOLLOWUP", 2, "F_LABS", "1", "I_LABS_COMMENT", "of the second"),
        ("SE_AE", 1, "F_AE", "1", "I_AE_TERM", "\u00a0Übelkeit,\n<2 h>"),
    ]

"""The example DAGs do what they say, against an OpenClinica of either dialect."""

from __future__ import annotations

import json
import runpy
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.dags.conftest import RunDag, TaskLog, states, xcoms
from tests.documents import FIRST, SECOND, found_in, labs
from tests.pulls import fill, let_weeks_pass, store, stored_items
from tests.tables import table

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("openclinica_conn")

EXAMPLES = Path(__file__).parents[2] / "example_dags"
PERSON = ("Ann-4711", "Lee-4711", "ann-4711@example.org")


def example(name: str) -> DAG:
    """Load an example; its jobs are looked at often and tries follow at once, so that a test need not wait."""
    dag: DAG = runpy.run_path(str(EXAMPLES / f"{name}.py"))["dag"]
    assert dag.dag_id == name
    for task in dag.tasks:
        task.retry_delay = timedelta(seconds=0.1)
        if hasattr(task, "poll_interval"):
            task.poll_interval = 0.1
    return dag


def outcomes(run: Any, task_id: str) -> dict[str, int]:
    counted: dict[str, int] = xcoms(run, task_id)["return_value"]["outcomes"]
    return counted


def test_laboratory_data_come_in(run_dag: RunDag, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "labs.xml").write_text(labs(FIRST, SECOND))

    run = run_dag(
        example("openclinica_import"),
        run_conf={"odm_uri": str(tmp_path / "labs.xml"), "log_uri": f"{tmp_path}/log/"},
    )

    assert states(run) == {"import_labs": "success"}
    assert outcomes(run, "import_labs") == {"Inserted": 18}


def test_a_study_is_pulled_and_becomes_tables(
    run_dag: RunDag, sandbox: Sandbox, tmp_path: Path, task_log: TaskLog
) -> None:
    fill(sandbox)

    run = run_dag(example("openclinica_nightly_pull"), run_conf={"study_oid": "S_JUNO", "output_uri": str(tmp_path)})

    assert states(run) == {"pull": "success", "make_tables": "success"}
    values = sorted(row["value"] for row in table(tmp_path / "tables", "items"))
    assert values == sorted(item[-1] for item in stored_items(sandbox))
    assert xcoms(run, "make_tables")["return_value"]["tables"]["item_group=IG_VITALS_MAIN"] == 2
    assert not found_in(task_log())


def test_a_study_is_kept_in_a_database_and_nights_after_the_first_move_what_changed(
    run_dag: RunDag, sandbox: Sandbox, tmp_path: Path, task_log: TaskLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = {"conn_type": "sqlite", "host": str(tmp_path / "warehouse.sqlite")}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(database))
    conf = {"study_oid": "S_JUNO", "output_uri": str(tmp_path)}
    fill(sandbox)

    def night() -> tuple[Any, Any]:
        run = run_dag(example("openclinica_nightly_warehouse"), run_conf=conf)
        assert states(run) == {"pull": "success", "make_tables": "success", "load": "success"}
        covers = xcoms(run, "pull")["return_value"]["covers"]
        return covers["participants"], xcoms(run, "load")["return_value"]["tables"]["items"]

    first = night()
    let_weeks_pass(sandbox)
    store(sandbox, "S_BOSTON", labs(SECOND, unit="%"))
    second = night()

    values = len(stored_items(sandbox))
    assert first == ("all", {"rows": values, "inserted": values, "changed": 0, "removed": 0})
    assert second[0] == "changed"
    assert second[1] | {"rows": None} == {"rows": None, "inserted": 0, "changed": 1, "removed": 0}
    with closing(sqlite3.connect(tmp_path / "warehouse.sqlite")) as reader:
        assert sorted(reader.execute("SELECT value FROM items")) == sorted(
            (item[-1],) for item in stored_items(sandbox)
        )
    assert not found_in(task_log())


def test_participants_of_a_site_are_synchronised_and_nobody_is_named(
    run_dag: RunDag, sandbox: Sandbox, tmp_path: Path, task_log: TaskLog
) -> None:
    first, last, email = PERSON
    (tmp_path / "boston.csv").write_text(
        f"ParticipantID,FirstName,LastName,EmailAddress\n{FIRST},,,\nBOS-901,{first},{last},{email}\n"
    )

    run = run_dag(
        example("openclinica_participants_sync"),
        run_conf={"csv_uri": str(tmp_path / "boston.csv"), "log_uri": f"{tmp_path}/log/"},
    )

    assert states(run) == {"sync_participants": "success"}
    assert outcomes(run, "sync_participants") == {"Success": 2}
    left = task_log() + str(xcoms(run, "sync_participants"))
    assert [word for word in (*PERSON, "BOS-901") if word in left] == []


def test_visits_are_scheduled_once_for_those_who_are_new(run_dag: RunDag, sandbox: Sandbox, tmp_path: Path) -> None:
    conf = {"site_oid": "S_LEIDEN", "since": "2000-01-01", "log_uri": f"{tmp_path}/log/"}

    first = run_dag(example("openclinica_schedule_visits"), run_conf=conf)
    again = run_dag(example("openclinica_schedule_visits"), run_conf=conf)

    assert set(states(first).values()) == set(states(again).values()) == {"success"}
    created = outcomes(first, "schedule_visits")
    assert created.keys() == {"Created"}
    assert outcomes(again, "schedule_visits") == {"Failed": created["Created"]}


def test_each_site_has_a_task_and_a_place_in_the_pool(run_dag: RunDag, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "S_BOSTON.csv").write_text("ParticipantID\nBOS-901\nBOS-902\n")
    (tmp_path / "S_LEIDEN.csv").write_text("ParticipantID\nLEI-901\n")
    dag = example("openclinica_two_sites")
    dag.get_task("sync_site").partial_kwargs["poll_interval"] = 0.1

    run = run_dag(dag, run_conf={"csv_folder": f"{tmp_path}/", "log_uri": f"{tmp_path}/log/"})

    tasks = [task for task in run.get_task_instances() if task.task_id == "sync_site"]
    assert [(str(task.state), task.pool) for task in tasks] == [("success", "openclinica")] * 2
    sites = {person["participant"]: person["site"] for person in sandbox.participants()}
    assert [sites[who] for who in ("BOS-901", "BOS-902", "LEI-901")] == ["S_BOSTON", "S_BOSTON", "S_LEIDEN"]
    assert sorted(job["siteOid"] for job in sandbox.jobs()) == ["S_BOSTON", "S_LEIDEN"]


def test_no_visit_is_scheduled_where_nobody_is_new(run_dag: RunDag, sandbox: Sandbox, tmp_path: Path) -> None:
    run = run_dag(
        example("openclinica_schedule_visits"), run_conf={"since": "2999-01-01", "log_uri": f"{tmp_path}/log/"}
    )

    assert states(run) == {"list_participants": "success", "plan_visits": "skipped", "schedule_visits": "skipped"}
    assert sandbox.jobs() == []

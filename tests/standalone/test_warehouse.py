"""A study in a database, night by night: the example's DAGs in a real Airflow, PostgreSQL behind them."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from airflow_provider_openclinica.client import JobState, upload_from
from demo.study import connect
from tests.documents import FIRST, SECOND, found_in, labs
from tests.standalone.harness import TASK_SECONDS, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.standalone.conftest import RunningSandbox
    from tests.standalone.harness import Run, Standalone

pytestmark = pytest.mark.standalone

NIGHTLY, CHANGED = "openclinica_nightly_warehouse", "openclinica_warehouse_changed"
VALUES = "SELECT participant_id, item_oid, item_group_repeat_key, value FROM items ORDER BY 1, 2, 3"


def import_labs(openclinica: RunningSandbox, *participants: str, unit: str) -> None:
    client = connect(f"{openclinica.url}/OpenClinica")
    document = labs(*participants, unit=unit).encode()
    job = client.clinicaldata.import_odm(upload_from(lambda: BytesIO(document), name="labs.xml"))
    until(60, lambda: client.jobs.state(job) is JobState.FINISHED or None, "the import")
    client.close()


def values(address: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(address) as reader:
        return reader.execute(VALUES).fetchall()


def waiting_for_a_lock(address: str) -> bool | None:
    with psycopg.connect(address) as reader:
        return reader.execute("SELECT true FROM pg_locks WHERE NOT granted").fetchone() is not None or None


def night(standalone: Standalone, folder: Path) -> Run:
    """Start a night, and wait until its tables are there."""
    run = standalone.trigger(NIGHTLY, conf={"study_oid": "S_JUNO", "output_uri": str(folder)})
    for task_id in ("pull", "make_tables"):
        run.wait_for(task_id, {"success"})
    return run


def started_by_a_change(standalone: Standalone, number: int) -> Run:
    """Return the run that the event of a load has started."""
    until(TASK_SECONDS, lambda: len(standalone.runs(CHANGED)) >= number or None, f"run {number} of {CHANGED}")
    run = standalone.runs(CHANGED)[number - 1]
    run.wait_for("tell", {"success"})
    return run


@pytest.mark.parametrize("dialect", ["docs"])
def test_a_load_that_is_killed_leaves_the_night_before_and_only_a_change_starts_what_comes_after(
    standalone: Standalone, openclinica: RunningSandbox, postgres: str, tmp_path: Path
) -> None:
    import_labs(openclinica, FIRST, SECOND, unit="mmol/mol")
    first = night(standalone, tmp_path)
    first.wait_for("load", {"success"})
    before = values(postgres)
    assert len(before) == first.xcom("load")["tables"]["items"]["inserted"] == 18
    started_by_a_change(standalone, 1)

    import_labs(openclinica, SECOND, unit="%")
    with psycopg.connect(postgres) as somebody:
        somebody.execute("LOCK TABLE items IN SHARE MODE")
        second = night(standalone, tmp_path)
        second.wait_for("load", {"running"})
        until(TASK_SECONDS, lambda: waiting_for_a_lock(postgres), "the load to be in its middle")
        second.kill("load")
    second.wait_for_try("load", 2, {"success"})

    assert second.xcom("pull")["covers"]["participants"] == "changed"
    items = second.xcom("load")["tables"]["items"]
    assert (items["inserted"], items["changed"], items["removed"]) == (0, 1, 0)
    assert [new for new in values(postgres) if new not in before] == [(SECOND, "I_LABS_UNIT", "1", "%")]
    (told,) = started_by_a_change(standalone, 2).xcom("tell")
    assert told["tables.items.changed"] == 1
    assert found_in(second.log("load") + json.dumps(told)) == []

    third = night(standalone, tmp_path)
    third.wait_for("load", {"success"})
    assert third.xcom("load")["tables"]["items"]["changed"] == 0
    events = standalone.get("assets/events", params={"source_dag_id": NIGHTLY, "source_task_id": "load"})
    assert events["total_entries"] == 2  # a run that one more would start would come after a while

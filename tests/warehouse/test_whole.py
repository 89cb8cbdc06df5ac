"""All of a set or nothing: for readers meanwhile, after errors, and after a kill in the middle."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.errors import WaitInterruptedError, WarehouseError
from tests.warehouse.sets import at, full, item, participant, publish, values, weight

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.warehouse.conftest import Warehouse

FIRST = {
    "participants": [participant("A"), participant("B")],
    "items": [item("A", "I_1", "1"), item("B", "I_1", "1")],
    "item_group=IG_VITALS": [weight("A", 70.0)],
}
SECOND = {
    "participants": [participant("A", sex="f"), participant("C")],
    "items": [item("A", "I_1", "2"), item("C", "I_1", "2")],
    "item_group=IG_VITALS": [weight("A", 71.0)],
}
BATCHES = 6  #: of the second load: stale keys and new rows of each table


class Asked(threading.Event):
    """Does something each time it is asked whether the task was killed."""

    def __init__(self, act: Callable[[], bool]) -> None:
        super().__init__()
        self._act = act

    def is_set(self) -> bool:
        return self._act()


def seen(warehouse: Warehouse) -> list[list[Any]]:
    """Return what a reader sees."""
    weights = sorted(row["i_weight"] for row in warehouse.rows("item_group_ig_vitals"))
    people = sorted((row["participant_id"], row["sex"]) for row in warehouse.rows("participants"))
    return [values(warehouse.rows("items")), weights, people]


def test_a_reader_sees_the_set_before_until_the_next_is_whole(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.load(publish(tmp_path / "1", FIRST, full(at(1))))
    before = seen(warehouse)
    meanwhile = []

    def look() -> bool:
        meanwhile.append(seen(warehouse))
        return False

    warehouse.load(publish(tmp_path / "2", SECOND, full(at(2))), Asked(look))

    assert len(meanwhile) == BATCHES
    assert all(each == before for each in meanwhile)
    assert seen(warehouse) == [
        [("A", "I_1", "2"), ("C", "I_1", "2")],
        [71.0],
        [("A", "f"), ("C", None)],
    ]


@pytest.mark.parametrize("number", range(1, BATCHES + 1))
def test_a_task_that_is_told_to_stop_leaves_all_as_it_was(warehouse: Warehouse, tmp_path: Path, number: int) -> None:
    warehouse.load(publish(tmp_path / "1", FIRST, full(at(1))))
    before, second = seen(warehouse), publish(tmp_path / "2", SECOND, full(at(2)))
    asked: list[None] = []

    def stops() -> bool:
        asked.append(None)
        return len(asked) == number

    with pytest.raises(WaitInterruptedError):
        warehouse.load(second, Asked(stops))

    assert seen(warehouse) == before
    assert warehouse.load(second).load == 2


@pytest.mark.parametrize("number", [1, 3, BATCHES])
def test_a_worker_that_is_killed_leaves_all_as_it_was(warehouse: Warehouse, tmp_path: Path, number: int) -> None:
    if warehouse.kind == "plain":
        return  # SQLite again
    warehouse.load(publish(tmp_path / "1", FIRST, full(at(1))))
    before, second = seen(warehouse), publish(tmp_path / "2", SECOND, full(at(2)))
    scratch = tmp_path / "of-the-killed"
    scratch.mkdir()

    command = [sys.executable, "-m", "tests.warehouse.killed"]
    command += [warehouse.kind, warehouse.address, second, str(scratch), str(number)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout
        assert worker.stdout.readline() == "standing\n"
        worker.send_signal(signal.SIGKILL)

    assert seen(warehouse) == before
    assert warehouse.load(second).load == 2
    assert values(warehouse.rows("items")) == values(SECOND["items"])


def test_what_the_database_refuses_is_told_without_the_row(warehouse: Warehouse, tmp_path: Path) -> None:
    if warehouse.kind == "duckdb":
        return  # adds no constraint to a table that is there
    warehouse.load(publish(tmp_path / "1", FIRST, full(at(1))))
    before = seen(warehouse)
    if warehouse.kind in ("sqlite", "plain"):
        warehouse.execute(
            "CREATE TRIGGER refuses BEFORE INSERT ON items WHEN new.value = 'secret' "
            "BEGIN SELECT RAISE(ABORT, 'no secret here'); END"
        )
    else:
        warehouse.execute("ALTER TABLE items ADD CHECK (value <> 'secret')")
    bad = SECOND | {"items": [item("A", "I_1", "secret")]}

    with pytest.raises(WarehouseError) as caught:
        warehouse.load(publish(tmp_path / "2", bad, full(at(2))))

    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None
    assert seen(warehouse) == before
    assert warehouse.load(publish(tmp_path / "3", SECOND, full(at(3)))).load == 2


def test_two_loads_at_once_come_one_after_the_other(warehouse: Warehouse, tmp_path: Path) -> None:
    if warehouse.kind not in ("psycopg", "psycopg2"):
        return  # the others let only one in that writes
    warehouse.load(publish(tmp_path / "1", FIRST, full(at(1))))
    second, third = publish(tmp_path / "2", SECOND, full(at(2))), publish(tmp_path / "3", FIRST, full(at(3)))
    threads: list[threading.Thread] = []

    def begin_another() -> bool:
        if not threads:
            threads.append(threading.Thread(target=warehouse.load, args=[third]))
            threads[0].start()
            threads[0].join(0.5)
            assert threads[0].is_alive()
        return False

    warehouse.load(second, Asked(begin_another))
    threads[0].join(30)

    loads = sorted((row["load"], row["tables"]) for row in warehouse.rows("openclinica_loads"))
    assert loads == [(load, tables) for load in (1, 2, 3) for tables in ("items", "participants", "wide")]
    assert values(warehouse.rows("items")) == values(FIRST["items"])

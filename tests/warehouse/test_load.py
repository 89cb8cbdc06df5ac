"""Sets in a database: what a reader finds there after each load."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.engine.columns import Column
from airflow_provider_openclinica.engine.warehouse.load import Counts, Loaded
from tests.warehouse.sets import at, changes, full, item, participant, publish, query, values, weight

if TYPE_CHECKING:
    from pathlib import Path

    from tests.warehouse.conftest import Warehouse

NIGHT_1 = {
    "participants": [participant("A"), participant("B")],
    "items": [item("A", "I_SEX", "f"), item("A", "I_AGE", "41"), item("B", "I_SEX", "m"), item("B", "I_NOTE", "")],
    "item_group=IG_VITALS": [weight("A", 70.5), weight("B", None, I_WEIGHT_text="not done")],
}


NIGHT_2 = {
    "participants": [participant("A"), participant("C")],
    "items": [item("A", "I_SEX", "f"), item("A", "I_AGE", "42"), item("C", "I_SEX", None)],
    "item_group=IG_VITALS": [weight("A", 70.5), weight("C", 60.0)],
}


def test_the_first_load_makes_the_tables_and_fills_them(warehouse: Warehouse, tmp_path: Path) -> None:
    loaded = warehouse.load(publish(tmp_path / "set", NIGHT_1, full(at(1))))

    assert loaded.load == 1
    assert loaded.tables == {
        "participants": Counts(rows=2, inserted=2),
        "items": Counts(rows=4, inserted=4),
        "item_group_ig_vitals": Counts(rows=2, inserted=2),
    }
    assert values(warehouse.rows("items")) == [
        ("A", "I_AGE", "41"),
        ("A", "I_SEX", "f"),
        ("B", "I_NOTE", ""),
        ("B", "I_SEX", "m"),
    ]
    wide = {
        row["participant_id"]: (row["i_weight"], row["i_weight_text"]) for row in warehouse.rows("item_group_ig_vitals")
    }
    assert wide == {"A": (70.5, None), "B": (None, "not done")}


def test_the_next_load_writes_only_what_is_different(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.load(publish(tmp_path / "1", NIGHT_1, full(at(1))))

    loaded = warehouse.load(publish(tmp_path / "2", NIGHT_2, full(at(2))))

    assert loaded.tables == {
        "participants": Counts(rows=2, inserted=1, removed=1),
        "items": Counts(rows=3, inserted=1, changed=1, removed=2),
        "item_group_ig_vitals": Counts(rows=2, inserted=1, removed=1),
    }
    assert values(warehouse.rows("items")) == values(NIGHT_2["items"])
    written_by = {(row["participant_id"], row["item_oid"]): row["_load"] for row in warehouse.rows("items")}
    assert written_by == {("A", "I_SEX"): 1, ("A", "I_AGE"): 2, ("C", "I_SEX"): 2}


def test_the_same_set_again_is_no_load(warehouse: Warehouse, tmp_path: Path) -> None:
    folder = publish(tmp_path / "1", NIGHT_1, full(at(1)))
    warehouse.load(folder)
    warehouse.execute("DELETE FROM items")

    loaded = warehouse.load(folder)

    assert not loaded.is_new
    assert warehouse.rows("items") == []
    assert {row["load"] for row in warehouse.rows("openclinica_loads")} == {1}


def test_the_same_set_again_tells_what_its_load_did(warehouse: Warehouse, tmp_path: Path) -> None:
    first, second = publish(tmp_path / "1", NIGHT_1, full(at(1))), publish(tmp_path / "2", NIGHT_2, full(at(2)))
    loads = [warehouse.load(first), warehouse.load(second, tables=["items"]), warehouse.load(second)]

    assert [warehouse.load(first), warehouse.load(second, tables=["items"]), warehouse.load(second)] == [
        replace(loaded, is_new=False) for loaded in loads
    ]


def test_what_was_loaded_before_counts_were_kept_is_told_without_them(warehouse: Warehouse, tmp_path: Path) -> None:
    first = publish(tmp_path / "1", NIGHT_1, full(at(1)))
    warehouse.load(first)
    warehouse.execute("ALTER TABLE openclinica_loads DROP COLUMN counts")

    assert warehouse.load(first) == Loaded(load=1, tables={}, is_new=False)
    second = publish(tmp_path / "2", NIGHT_2, full(at(2)))
    assert warehouse.load(second) == replace(warehouse.load(second), is_new=True)


def test_the_same_tables_of_a_later_pull_change_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.load(publish(tmp_path / "1", NIGHT_1, full(at(1))))

    loaded = warehouse.load(publish(tmp_path / "2", NIGHT_1, full(at(2))))

    assert loaded.load == 2
    assert not loaded.has_changed
    assert {row["_load"] for row in warehouse.rows("items")} == {1}


def test_tables_that_were_left_out_come_with_a_later_load_of_the_same_set(warehouse: Warehouse, tmp_path: Path) -> None:
    folder = publish(tmp_path / "1", NIGHT_1, full(at(1)))
    warehouse.load(folder, tables=["items"])

    loaded = warehouse.load(folder)

    assert set(loaded.tables) == {"participants", "item_group_ig_vitals"}


def test_changed_participants_leave_all_others_as_they_are(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.load(publish(tmp_path / "1", NIGHT_1, full(at(1))))
    changed = {
        "participants": [participant("B"), participant("C")],
        "items": [item("B", "I_SEX", "f"), item("C", "I_SEX", "m")],
        "item_group=IG_VITALS": [],
    }

    loaded = warehouse.load(publish(tmp_path / "2", changed, changes(at(0), at(2))))

    assert loaded.tables["items"] == Counts(rows=2, inserted=1, changed=1, removed=1)
    assert loaded.tables["item_group_ig_vitals"] == Counts(rows=0, removed=1)
    assert values(warehouse.rows("items")) == [
        ("A", "I_AGE", "41"),
        ("A", "I_SEX", "f"),
        ("B", "I_SEX", "f"),
        ("C", "I_SEX", "m"),
    ]


def test_nobody_changed_is_a_load_that_changes_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.load(publish(tmp_path / "1", NIGHT_1, full(at(1))))
    nobody: dict[str, list[Any]] = {"participants": [], "items": [], "item_group=IG_VITALS": []}

    assert not warehouse.load(publish(tmp_path / "2", nobody, changes(at(1), at(2)))).has_changed
    assert warehouse.load(publish(tmp_path / "3", nobody, changes(at(2), at(3)))).load == 3
    assert len(warehouse.rows("items")) == 4


def test_a_participant_who_moved_to_another_site_is_there_once(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.load(publish(tmp_path / "1", NIGHT_1, full(at(1))))
    moved = {
        "participants": [participant("A", study_oid="S_BOS")],
        "items": [item("A", "I_SEX", "f", study_oid="S_BOS")],
    }

    warehouse.load(publish(tmp_path / "2", moved, changes(at(1), at(2))))

    assert [row["study_oid"] for row in warehouse.rows("items") if row["participant_id"] == "A"] == ["S_BOS"]
    assert len(warehouse.rows("participants")) == 2


def test_a_new_participant_id_is_a_change_and_no_new_row(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.load(publish(tmp_path / "1", {"items": [item("A", "I_SEX", "f")]}, full(at(1))))

    renamed = {"items": [item("A", "I_SEX", "f", participant_id="A-2")]}
    loaded = warehouse.load(publish(tmp_path / "2", renamed, full(at(2))))

    assert loaded.tables["items"] == Counts(rows=1, changed=1)


def test_missing_rows_can_be_kept(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.load(publish(tmp_path / "1", NIGHT_1, full(at(1))))

    loaded = warehouse.load(
        publish(tmp_path / "2", {"items": [item("A", "I_SEX", "x")]}, changes(at(1), at(2))), missing="keep"
    )

    assert loaded.tables["items"] == Counts(rows=1, changed=1)
    assert len(warehouse.rows("items")) == 4


def test_the_same_keys_twice_are_two_rows_and_each_is_compared(warehouse: Warehouse, tmp_path: Path) -> None:
    live, gone = item("A", "I_SEX", "f"), item("A", "I_SEX", "m", removed=True)
    warehouse.load(publish(tmp_path / "1", {"items": [gone, live]}, full(at(1))))

    other_order = warehouse.load(publish(tmp_path / "2", {"items": [live, gone]}, full(at(2))))
    only_live = warehouse.load(publish(tmp_path / "3", {"items": [live]}, full(at(3))))

    assert not other_order.has_changed
    assert only_live.tables["items"] == Counts(rows=1, removed=1)
    assert [(row["value"], bool(row["removed"])) for row in warehouse.rows("items")] == [("f", False)]


def test_null_and_an_empty_value_are_not_the_same(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.load(publish(tmp_path / "1", {"items": [item("A", "I_1", None), item("A", "I_2", "")]}, full(at(1))))
    assert values(warehouse.rows("items")) == [("A", "I_1", None), ("A", "I_2", "")]

    swapped = {"items": [item("A", "I_1", ""), item("A", "I_2", None)]}
    loaded = warehouse.load(publish(tmp_path / "2", swapped, full(at(2))))

    assert loaded.tables["items"] == Counts(rows=2, changed=2)
    assert values(warehouse.rows("items")) == [("A", "I_1", ""), ("A", "I_2", None)]


@pytest.mark.parametrize(
    "value", ['a "quote"', "comma, semicolon;", "two\nlines\r\n", "Größe 5 µg 🙂", "\\N", "NULL", "'"]
)
def test_any_text_arrives_as_it_is(warehouse: Warehouse, tmp_path: Path, value: str) -> None:
    warehouse.load(publish(tmp_path / "1", {"items": [item("A", "I_1", value)]}, full(at(1))))

    assert values(warehouse.rows("items")) == [("A", "I_1", value)]


def test_dates_and_flags_have_types(warehouse: Warehouse, tmp_path: Path) -> None:
    born = participant("A", date_of_birth="1980-05-01", date_of_birth_parsed=datetime(1980, 5, 1), removed=True)  # noqa: DTZ001
    warehouse.load(publish(tmp_path / "1", {"participants": [born]}, full(at(1))))

    (row,) = warehouse.rows("participants")

    assert str(row["date_of_birth_parsed"]) == "1980-05-01 00:00:00"
    assert row["enrollment_date_parsed"] is None
    assert row["removed"] in (True, 1)


def test_a_codebook_is_whole_in_every_set_but_an_empty_one(warehouse: Warehouse, tmp_path: Path) -> None:
    def codebook(*oids: str) -> list[dict[str, Any]]:
        return [{"study_oid": "S_JUNO", "form_oid": "F_VITALS", "item_oid": oid} for oid in oids]

    sets = {"participants": [participant("A")]}
    warehouse.load(publish(tmp_path / "1", sets | {"codebook": codebook("I_1", "I_2")}, full(at(1))))
    warehouse.load(publish(tmp_path / "2", sets | {"codebook": codebook("I_2", "I_3")}, changes(at(1), at(2))))
    warehouse.load(publish(tmp_path / "3", sets | {"codebook": []}, changes(at(2), at(3))))

    assert sorted(row["item_oid"] for row in warehouse.rows("codebook")) == ["I_2", "I_3"]


def test_notes_without_an_identifier_are_compared_like_any_row(warehouse: Warehouse, tmp_path: Path) -> None:
    thread = query("A", "DN_1")
    warehouse.load(publish(tmp_path / "1", {"queries": [thread]}, full(at(1))))

    loaded = warehouse.load(publish(tmp_path / "2", {"queries": [thread | {"status": "Closed"}]}, full(at(2))))

    assert loaded.tables["queries"] == Counts(rows=1, changed=1)


def test_a_key_that_is_null_is_not_an_empty_one(warehouse: Warehouse, tmp_path: Path) -> None:
    threads = [{**participant("A"), "query_id": told, "note_id": "N_1"} for told in (None, "")]

    loaded = warehouse.load(publish(tmp_path / "1", {"queries": threads}, full(at(1))))

    assert loaded.tables["queries"] == Counts(rows=2, inserted=2)
    assert not warehouse.load(publish(tmp_path / "2", {"queries": threads[::-1]}, full(at(2)))).has_changed


@pytest.mark.parametrize("warehouse", ["duckdb"], indirect=True)  # what reads and compares is the same for all
def test_a_table_of_many_columns_is_loaded(warehouse: Warehouse, tmp_path: Path) -> None:
    columns = [Column(f"I_{number}", str) for number in range(1200)]

    def night(hour: int, first: str) -> Counts:
        cells = {column.name: f"{column.name} of this visit" for column in columns} | {"I_0": first}
        rows = [weight(str(number), None, **cells) for number in range(3000)]
        set_ = publish(tmp_path / str(hour), {"item_group=IG_W": rows}, full(at(hour)), items=columns)
        return warehouse.load(set_).tables["item_group_ig_w"]

    assert night(1, "x") == Counts(rows=3000, inserted=3000)
    assert night(2, "y") == Counts(rows=3000, changed=3000)


def test_plain_files_speak_for_their_own_participants_only(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.load(publish(tmp_path / "1", NIGHT_1))
    only_a = {"participants": [participant("A")], "items": [item("A", "I_SEX", "f")]}

    warehouse.load(publish(tmp_path / "2", only_a))

    assert values(warehouse.rows("items")) == [("A", "I_SEX", "f"), ("B", "I_NOTE", ""), ("B", "I_SEX", "m")]

"""What may follow on what: the order of sets, modes, studies, tables of other making, columns of other types."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.engine.columns import Column
from airflow_provider_openclinica.engine.warehouse.load import Counts, How
from airflow_provider_openclinica.engine.warehouse.names import column_names
from airflow_provider_openclinica.errors import ConfigurationError, FileError, FileUnavailableError
from tests.warehouse.sets import at, changes, full, item, participant, publish, values, weight

if TYPE_CHECKING:
    from pathlib import Path

    from tests.warehouse.conftest import Warehouse

ONE = {"participants": [participant("A")], "items": [item("A", "I_1", "1")]}
TWO = {"participants": [participant("A")], "items": [item("A", "I_1", "2")]}


@pytest.mark.parametrize(
    ("first", "then", "reason"),
    [
        pytest.param(full(at(5)), full(at(4)), "stands at 2026-03-01T05:00:00+00:00", id="an-older-set"),
        pytest.param(full(at(5)), changes(at(6), at(7)), "hold changes since 2026-03-01T06", id="a-gap"),
        pytest.param(full(at(5)), changes(at(3), at(4)), "These tables are of 2026-03-01T04", id="older-changes"),
        pytest.param(full(at(5)), None, "nobody knows of when", id="plain-files-behind-a-pull"),
        pytest.param(None, changes(at(1), at(2)), "was never loaded whole", id="changes-behind-plain-files"),
        pytest.param(
            full(at(5)),
            full(at(6)) | {"selection": "form=F_LABS"},
            "holds all but what is archived, and this set what form=F_LABS selects",
            id="other-forms",
        ),
        pytest.param(
            full(at(5)) | {"selection": "show_archived"}, changes(at(5), at(6)), "show_archived", id="archived-no-more"
        ),
    ],
)
def test_a_set_that_does_not_follow_is_refused(
    warehouse: Warehouse, tmp_path: Path, first: dict[str, Any], then: dict[str, Any], reason: str
) -> None:
    warehouse.load(publish(tmp_path / "1", ONE, first))

    with pytest.raises(FileError) as caught:
        warehouse.load(publish(tmp_path / "2", TWO, then))

    assert reason in str(caught.value)
    assert values(warehouse.rows("items")) == values(ONE["items"])


@pytest.mark.parametrize("warehouse", ["sqlite"], indirect=True)
def test_sets_of_the_same_selection_follow_each_other_and_another_may_take_their_place(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    labs = {"selection": "form=F_LABS"}
    warehouse.load(publish(tmp_path / "1", ONE, full(at(1)) | labs))
    warehouse.load(publish(tmp_path / "2", TWO, changes(at(1), at(2)) | labs))
    assert values(warehouse.rows("items")) == values(TWO["items"])

    warehouse.load(publish(tmp_path / "3", ONE, full(at(3))), mode="replace")
    assert values(warehouse.rows("items")) == values(ONE["items"])


def test_changes_alone_do_not_begin_a_database(warehouse: Warehouse, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="was never loaded whole"):
        warehouse.load(publish(tmp_path / "1", ONE, changes(at(1), at(2))))


def test_a_set_of_long_ago_that_was_loaded_then_is_no_failure(warehouse: Warehouse, tmp_path: Path) -> None:
    old = publish(tmp_path / "1", ONE, full(at(1)))
    warehouse.load(old)
    warehouse.load(publish(tmp_path / "2", TWO, full(at(2))))

    assert not warehouse.load(old).is_new
    assert values(warehouse.rows("items")) == values(TWO["items"])


def test_changes_since_the_last_set_follow_with_an_overlap(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.load(publish(tmp_path / "1", ONE, full(at(5))))

    loaded = warehouse.load(publish(tmp_path / "2", TWO, changes(at(4), at(6))))

    assert loaded.tables["items"] == Counts(rows=1, changed=1)


def test_a_new_form_in_a_set_of_changes_needs_no_full_pull(warehouse: Warehouse, tmp_path: Path) -> None:
    first = ONE | {"item_group=IG_VITALS": [weight("A", 70.0)]}
    warehouse.load(publish(tmp_path / "1", first, full(at(1))))

    new_form = first | {"item_group=IG_NEW": [weight("A", 1.0, item_group_oid="IG_NEW")]}
    loaded = warehouse.load(publish(tmp_path / "2", new_form, changes(at(1), at(2))))

    assert loaded.tables["item_group_ig_new"] == Counts(rows=1, inserted=1)


def test_appended_sets_lie_beside_each_other(warehouse: Warehouse, tmp_path: Path) -> None:
    first = publish(tmp_path / "1", ONE, full(at(1)))
    warehouse.load(first, mode="append")
    warehouse.load(publish(tmp_path / "2", ONE, full(at(2))), mode="append")
    warehouse.load(first, mode="append")

    assert sorted((row["_load"], row["value"]) for row in warehouse.rows("items")) == [(1, "1"), (2, "1")]


def test_replacing_puts_a_set_in_the_place_of_all(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.load(publish(tmp_path / "1", ONE, full(at(1))), mode="append")
    warehouse.load(publish(tmp_path / "2", ONE, full(at(2))), mode="append")

    loaded = warehouse.load(publish(tmp_path / "3", TWO, full(at(3))), mode="replace")

    assert loaded.tables["items"] == Counts(rows=1, inserted=1, removed=2)
    assert values(warehouse.rows("items")) == values(TWO["items"])
    assert warehouse.load(publish(tmp_path / "4", ONE, full(at(4)))).tables["items"] == Counts(rows=1, changed=1)


def test_changes_replace_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.load(publish(tmp_path / "1", ONE, full(at(1))))

    with pytest.raises(FileError, match="cannot replace"):
        warehouse.load(publish(tmp_path / "2", TWO, changes(at(1), at(2))), mode="replace")


@pytest.mark.parametrize(("first", "then"), [("append", "merge"), ("merge", "append")])
def test_appending_and_merging_do_not_mix(warehouse: Warehouse, tmp_path: Path, first: str, then: str) -> None:
    warehouse.load(publish(tmp_path / "1", ONE, full(at(1))), mode=first)

    with pytest.raises(FileError, match=f"mode='{first}' so far"):
        warehouse.load(publish(tmp_path / "2", TWO, full(at(2))), mode=then)


def test_creating_needs_a_place_without_the_tables(warehouse: Warehouse, tmp_path: Path) -> None:
    assert warehouse.load(publish(tmp_path / "1", ONE, full(at(1))), mode="create").load == 1

    with pytest.raises(ConfigurationError, match="There is a table participants already"):
        warehouse.load(publish(tmp_path / "2", TWO, full(at(2))), mode="create")


def test_a_table_of_somebody_else_is_not_touched(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.execute("CREATE TABLE items (id INTEGER)")

    with pytest.raises(ConfigurationError, match="not made by this package"):
        warehouse.load(publish(tmp_path / "1", ONE, full(at(1))))

    assert warehouse.load(publish(tmp_path / "1", ONE, full(at(1))), prefix="juno_").load == 1
    assert values(warehouse.rows("juno_items")) == values(ONE["items"])


def test_each_study_has_a_place_of_its_own(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.load(publish(tmp_path / "1", ONE, full(at(1))))
    other = publish(tmp_path / "2", ONE, full(at(2)), study_oid="S_OTHER")

    with pytest.raises(FileError, match="those of S_JUNO, and these are those of S_OTHER"):
        warehouse.load(other)

    assert warehouse.load(other, prefix="other_").load == 1


def test_a_schema_holds_a_study(warehouse: Warehouse, tmp_path: Path) -> None:
    schema = "main"
    if warehouse.kind not in ("sqlite", "plain"):
        schema = "Trial 1"
        warehouse.execute(f'CREATE SCHEMA "{schema}"')

    warehouse.load(publish(tmp_path / "1", ONE, full(at(1))), schema=schema)
    loaded = warehouse.load(publish(tmp_path / "2", TWO, changes(at(1), at(2))), schema=schema)

    assert loaded.tables["items"] == Counts(rows=1, changed=1)
    assert values(warehouse.rows(f'"{schema}".items')) == values(TWO["items"])
    if warehouse.kind.startswith("psycopg"):
        warehouse.execute(f'DROP SCHEMA "{schema}" CASCADE')


def test_which_participants_are_covered_must_be_known(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.load(publish(tmp_path / "1", ONE, full(at(1))))

    with pytest.raises(FileError, match="Without the table participants"):
        warehouse.load(publish(tmp_path / "2", {"items": []}, changes(at(1), at(2))))


def test_a_table_that_the_set_lacks_is_named(warehouse: Warehouse, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="are without queries"):
        warehouse.load(publish(tmp_path / "1", ONE, full(at(1))), tables=["items", "queries"])


def test_a_part_that_is_not_what_the_manifest_says_is_not_loaded(warehouse: Warehouse, tmp_path: Path) -> None:
    folder = publish(tmp_path / "1", ONE, full(at(1)))
    (part,) = (tmp_path / "1" / "items").iterdir()
    part.write_bytes(part.read_bytes() + b"\0")

    with pytest.raises(FileUnavailableError, match="is not what the manifest names"):
        warehouse.load(folder)


@pytest.mark.parametrize(
    "wrong", [{"mode": "upsert"}, {"missing": "ignore"}, {"prefix": "Juno"}, {"tables": frozenset({"item"})}]
)
def test_arguments_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        How(**wrong)


# -- columns of another form version


def load_weights(warehouse: Warehouse, folder: Path, hour: int, columns: list[Column], **cells: Any) -> Counts:
    """Load a wide table with these columns and one row."""
    row = {**weight("A", None), **cells}
    loaded = warehouse.load(publish(folder / str(hour), {"item_group=IG_V": [row]}, full(at(hour)), items=columns))
    return loaded.tables["item_group_ig_v"]


def test_a_new_column_is_added_and_an_old_one_stays(warehouse: Warehouse, tmp_path: Path) -> None:
    load_weights(warehouse, tmp_path, 1, [Column("I_OLD", str)], I_OLD="x")

    nothing_in_it = load_weights(warehouse, tmp_path, 2, [Column("I_OLD", str), Column("I_NEW", int)], I_OLD="x")
    load_weights(warehouse, tmp_path, 3, [Column("I_NEW", int)], I_NEW=5)

    assert nothing_in_it == Counts(rows=1)
    (row,) = warehouse.rows("item_group_ig_v")
    assert (row["i_old"], row["i_new"]) == (None, 5)


@pytest.mark.parametrize(
    ("was", "becomes", "old", "new"),
    [
        pytest.param(int, float, 5, 5.5, id="a-number-gets-a-point"),
        pytest.param(int, str, 5, "five", id="a-number-becomes-text"),
        pytest.param(date, str, date(2026, 1, 5), "2026-01", id="a-date-becomes-partial"),
        pytest.param(date, datetime, date(2026, 1, 5), datetime(2026, 1, 5, 8), id="a-date-gets-a-time"),  # noqa: DTZ001
    ],
)
def test_a_type_becomes_wider_where_the_database_can_do_that(
    warehouse: Warehouse, tmp_path: Path, was: type, becomes: type, old: Any, new: Any
) -> None:
    load_weights(warehouse, tmp_path, 1, [Column("I_X", was)], I_X=old)
    if warehouse.kind == "sqlite":
        with pytest.raises(FileError, match="column i_x of the table item_group_ig_v"):
            load_weights(warehouse, tmp_path, 2, [Column("I_X", becomes)], I_X=new)
        folder = publish(
            tmp_path / "r",
            {"item_group=IG_V": [weight("A", None, I_X=new)]},
            full(at(3)),
            items=[Column("I_X", becomes)],
        )
        warehouse.load(folder, mode="replace")
    elif warehouse.kind == "plain":
        return  # knows no types: the database itself takes what it can
    else:
        load_weights(warehouse, tmp_path, 2, [Column("I_X", becomes)], I_X=new)

    (row,) = warehouse.rows("item_group_ig_v")
    assert str(row["i_x"]) == str(new)


@pytest.mark.parametrize("name", ["_KEY", "_row", "_load", "_ordinal", "_hash"])
def test_an_item_that_is_called_like_our_columns_is_refused(warehouse: Warehouse, tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match=f"An item is called {name.lower()}"):
        load_weights(warehouse, tmp_path, 1, [Column(name, str)])


@pytest.mark.parametrize("oid", ["xmin", "XMAX", "ctid", "tableoid", "oid", "rowid", "_rowid_", "filename", "select"])
def test_an_item_that_is_called_like_something_of_the_database_is_loaded_and_merged(
    warehouse: Warehouse, tmp_path: Path, oid: str
) -> None:
    columns = [Column(oid, str)]
    load_weights(warehouse, tmp_path, 1, columns, **{oid: "x"})

    assert load_weights(warehouse, tmp_path, 2, columns, **{oid: "y"}) == Counts(rows=1, changed=1)
    assert load_weights(warehouse, tmp_path, 3, columns, **{oid: "y"}) == Counts(rows=1)
    (row,) = warehouse.rows("item_group_ig_v")
    assert row[column_names([oid])[oid]] == "y"


def test_a_narrower_type_goes_into_the_wider_column(warehouse: Warehouse, tmp_path: Path) -> None:
    load_weights(warehouse, tmp_path, 1, [Column("I_X", str)], I_X="five")

    load_weights(warehouse, tmp_path, 2, [Column("I_X", int)], I_X=5)

    assert [row["i_x"] for row in warehouse.rows("item_group_ig_v")] == ["5"]


def test_a_number_that_would_lose_digits_keeps_its_type(warehouse: Warehouse, tmp_path: Path) -> None:
    load_weights(warehouse, tmp_path, 1, [Column("I_X", int)], I_X=2**53 + 1)
    if warehouse.kind == "plain":
        return

    with pytest.raises(FileError, match="cannot be changed without a loss"):
        load_weights(warehouse, tmp_path, 2, [Column("I_X", float)], I_X=0.5)

    assert [row["i_x"] for row in warehouse.rows("item_group_ig_v")] == [2**53 + 1]


def test_a_number_that_the_column_cannot_hold_exactly_is_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    load_weights(warehouse, tmp_path, 1, [Column("I_X", float)], I_X=0.5)
    if warehouse.kind == "plain":
        return

    with pytest.raises(FileError, match="cannot be changed without a loss"):
        load_weights(warehouse, tmp_path, 2, [Column("I_X", int)], I_X=-(2**53) - 1)

    assert [row["i_x"] for row in warehouse.rows("item_group_ig_v")] == [0.5]

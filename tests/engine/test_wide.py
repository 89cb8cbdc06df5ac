from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.engine.wide import (
    KEYS,
    WideTable,
    parse_boolean,
    parse_date,
    parse_float,
    parse_integer,
    table_names,
)
from airflow_provider_openclinica.odm.design import ItemDefinition, ItemGroupDefinition, StudyMetadata

HALF_PAST_EIGHT = datetime.fromisoformat("2026-01-05T08:30:15")
GROUP_KEYS = ("S", "SS", "P", "SE", "1", "F", "1", "v1", "IG", "1", False, False)


def item(oid: str, data_type: str = "text", *, multiple: bool = False) -> ItemDefinition:
    return ItemDefinition(
        oid=oid,
        name=oid,
        label="",
        description="",
        data_type=data_type,
        length=None,
        significant_digits=None,
        units=(),
        code_list_oid="",
        multiple=multiple,
    )


def wide(*items: ItemDefinition) -> WideTable:
    """Begin the table of a group with these items."""
    group = ItemGroupDefinition(oid="IG", name="", repeating=False, items=tuple(each.oid for each in items))
    metadata = StudyMetadata(
        study_oid="S",
        name="",
        description="",
        protocol_name="",
        sites={},
        events={},
        forms={},
        item_groups={"IG": group},
        items={each.oid: each for each in items},
        code_lists={},
    )
    return WideTable(metadata, group)


def stored(definition: ItemDefinition, value: str | None) -> dict[str, Any]:
    """Return the columns of an item in which a value is stored."""
    table = wide(definition)
    table.add(GROUP_KEYS, [definition.oid], [value])
    return {name: cells[0] for name, cells in table.columns_of(table.take()).items() if name.startswith("I_")}


@pytest.mark.parametrize(
    ("data_type", "value", "columns"),
    [
        pytest.param("text", "mild", {"I_X": "mild"}, id="text"),
        pytest.param("text", "", {"I_X": ""}, id="an-empty-text-is-empty"),
        pytest.param("text", None, {"I_X": None}, id="null"),
        pytest.param("time", "08:30", {"I_X": "08:30"}, id="other-types-are-text"),
        pytest.param("integer", "-72", {"I_X": -72, "I_X_text": None}, id="integer"),
        pytest.param("integer", "007", {"I_X": 7, "I_X_text": None}, id="leading-zeros"),
        pytest.param("integer", "7.5", {"I_X": None, "I_X_text": "7.5"}, id="no-integer"),
        pytest.param("integer", "9" * 19, {"I_X": None, "I_X_text": "9" * 19}, id="more-than-64-bits"),
        pytest.param("integer", "", {"I_X": None, "I_X_text": None}, id="an-empty-number-is-null"),
        pytest.param("float", "41.5", {"I_X": 41.5, "I_X_text": None}, id="float"),
        pytest.param("float", "1e400", {"I_X": None, "I_X_text": "1e400"}, id="infinite"),
        pytest.param("float", "nan", {"I_X": None, "I_X_text": "nan"}, id="not-a-number"),
        pytest.param("float", "not done", {"I_X": None, "I_X_text": "not done"}, id="no-number"),
        pytest.param("date", "2026-01-05", {"I_X": date(2026, 1, 5), "I_X_text": None}, id="date"),
        pytest.param("date", "2026-01", {"I_X": None, "I_X_text": "2026-01"}, id="partial-in-a-date"),
        pytest.param("date", "2026-02-31", {"I_X": None, "I_X_text": "2026-02-31"}, id="no-such-day"),
        pytest.param("partialDate", "2026-01", {"I_X": "2026-01", "I_X_parsed": None}, id="partial-date"),
        pytest.param(
            "partialDate", "2026-01-05", {"I_X": "2026-01-05", "I_X_parsed": date(2026, 1, 5)}, id="whole-partial-date"
        ),
        pytest.param("datetime", "2026-01-05T08:30:15", {"I_X": HALF_PAST_EIGHT, "I_X_text": None}, id="datetime"),
        pytest.param(
            "datetime",
            "2026-01-05T08:30:15+02:00",
            {"I_X": HALF_PAST_EIGHT, "I_X_text": "2026-01-05T08:30:15+02:00"},
            id="an-offset-stays-in-the-text",
        ),
        pytest.param("datetime", "2026-01-05", {"I_X": None, "I_X_text": "2026-01-05"}, id="a-day-is-no-moment"),
        pytest.param(
            "partialDatetime", "2026-01-05", {"I_X": "2026-01-05", "I_X_parsed": None}, id="a-day-is-half-a-datetime"
        ),
        pytest.param("boolean", "True", {"I_X": True, "I_X_text": None}, id="boolean"),
        pytest.param("boolean", "maybe", {"I_X": None, "I_X_text": "maybe"}, id="no-boolean"),
    ],
)
def test_a_value_has_its_type_and_loses_nothing(data_type: str, value: str | None, columns: dict[str, Any]) -> None:
    assert stored(item("I_X", data_type), value) == columns


def test_several_choices_stay_text() -> None:
    assert stored(item("I_X", "integer", multiple=True), "1,2") == {"I_X": "1,2"}


def test_columns_are_those_of_the_metadata_in_their_order() -> None:
    table = wide(item("I_B", "integer"), item("I_A"))
    assert [column.name for column in table.columns[len(KEYS) :]] == ["I_B", "I_B_text", "I_A"]
    assert all(cells == [] for cells in table.columns_of(table.take()).values())


def test_columns_say_what_the_metadata_say_of_their_item() -> None:
    dose = replace(item("I_DOSE", "integer"), label="Dose (mg)", length=3)
    note = replace(item("I_NOTE"), description="free text", length=40)
    told = [
        (c.name, c.label, c.item_oid, c.length)
        for c in wide(dose, note, replace(item("I_A"), length=0)).columns[len(KEYS) :]
    ]
    assert told == [
        ("I_DOSE", "Dose (mg)", "I_DOSE", None),
        ("I_DOSE_text", "Dose (mg), as typed", "", None),
        ("I_NOTE", "free text", "I_NOTE", 40),
        ("I_A", "I_A", "I_A", None),
    ]


def test_a_name_that_is_taken_in_any_letter_case_gets_a_number() -> None:
    table = wide(item("I_B", "integer"), item("i_b"), item("I_B_TEXT"), item("REMOVED"))
    names = [column.name for column in table.columns[len(KEYS) :]]
    assert names == ["I_B", "I_B_text", "i_b_2", "I_B_TEXT_2", "REMOVED_2"]


def test_values_without_a_place_are_counted() -> None:
    table = wide(item("I_A"))
    assert table.add(GROUP_KEYS, ["I_A", "I_NEW", "I_OLD"], ["1", "2", None]) == 2
    assert table.columns_of(table.take())["I_A"] == ["1"]
    assert len(table) == 0


@pytest.mark.parametrize("oid", ["IG_VITALS", "IG/..", "a b", "é", "..", "C:\\x"])
def test_a_tables_name_is_a_legal_folder(oid: str) -> None:
    name = table_names([oid])[oid]
    assert name.isascii()
    assert not set(name) & set('/\\:*?"<>| ')


def test_tables_have_names_of_their_own_on_disks_that_ignore_case_too() -> None:
    oids = ["IG_A", "ig_a", "IG_B", f"IG_{'X' * 300}_1", f"IG_{'X' * 300}_2", "é" * 60]
    names = table_names(oids)
    assert names["IG_B"] == "item_group=IG_B"
    assert len({name.casefold() for name in names.values()}) == len(oids)
    assert all(len(name) < 256 for name in names.values())
    assert table_names(oids[::-1]) == names


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_any_integer_comes_back(number: int) -> None:
    assert parse_integer(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_comes_back(number: float) -> None:
    assert parse_float(repr(number)) == number


@given(st.dates())
def test_any_date_comes_back(day: date) -> None:
    assert parse_date(day.isoformat()) == day


@given(st.text())
def test_any_text_is_parsed_or_not_but_never_raises(text: str) -> None:
    for parse in (parse_integer, parse_float, parse_date, parse_boolean):
        parse(text)

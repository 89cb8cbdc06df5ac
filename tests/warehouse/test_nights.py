"""Whatever happens to a study from night to night: the database holds what the study holds."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_openclinica.engine.tablereader import read_tables
from airflow_provider_openclinica.engine.warehouse.databases import database_of
from airflow_provider_openclinica.engine.warehouse.load import How, load
from tests.warehouse.sets import LocalFiles, at, changes, full, item, participant, publish

PEOPLE = ["A", "B", "C"]
CELLS = st.tuples(
    st.sampled_from(["I_1", "I_2"]),
    st.sampled_from([None, "", "1", "2"]),
    st.booleans(),
    st.sampled_from(["S_1", "S_2"]),
)
#: Participant -> what is stored of him; nobody is in it who is not there.
STUDIES = st.dictionaries(st.sampled_from(PEOPLE), st.lists(CELLS, max_size=4))
NIGHTS = st.lists(st.tuples(STUDIES, st.booleans()), min_size=1, max_size=4)


def rows_of(key: str, cells: list[Any]) -> list[dict[str, Any]]:
    return [item(key, oid, value, removed=removed, study_oid=site) for oid, value, removed, site in cells]


@settings(max_examples=25)
@given(NIGHTS)
def test_the_database_holds_what_the_study_holds(nights: list[tuple[dict[str, list[Any]], bool]]) -> None:
    files, before = LocalFiles(), dict[str, list[Any]]()
    with tempfile.TemporaryDirectory() as place, closing(sqlite3.connect(f"{place}/warehouse.sqlite")) as connection:
        for number, (study, is_full) in enumerate(nights):
            if is_full or not number:
                study_now, shown, covers = study, study, full(at(number))
            else:  # a participant who is gone is seen by a full pull only
                shown = {key: cells for key, cells in study.items() if before.get(key) != cells}
                study_now, covers = before | study, changes(at(number - 1), at(number))
            sets = {
                "participants": [participant(key) for key in shown],
                "items": [row for key, cells in shown.items() for row in rows_of(key, cells)],
            }
            folder = publish(Path(place, str(number)), sets, covers)
            scratch = Path(place, f"scratch{number}")
            scratch.mkdir()
            load(files, read_tables(files, folder), database_of(connection), How(), scratch)
            before = study_now

            stored = connection.execute("SELECT subject_key, item_oid, value, removed, study_oid FROM items").fetchall()
            told = [row for key, cells in before.items() for row in rows_of(key, cells)]
            names = ("subject_key", "item_oid", "value", "removed", "study_oid")
            assert sorted(map(repr, stored)) == sorted(
                repr((*row[:3], int(row[3]), row[4])) for row in cells_of(told, names)
            )
            assert len(connection.execute("SELECT * FROM participants").fetchall()) == len(before)


def cells_of(rows: list[dict[str, Any]], names: tuple[str, ...]) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]

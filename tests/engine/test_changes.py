"""What has changed between two sets of tables, against a comparison row by row in Python."""

from __future__ import annotations

import itertools
import tempfile
import threading
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_openclinica.engine import changes as engine
from airflow_provider_openclinica.engine.changes import COLUMNS, Comparison, chosen, total
from airflow_provider_openclinica.engine.changesql import ChangesQuery
from airflow_provider_openclinica.engine.columns import Column
from airflow_provider_openclinica.engine.rowkeys import keys_of
from airflow_provider_openclinica.engine.tablereader import read_tables
from airflow_provider_openclinica.errors import FileError, FileUnavailableError, WaitInterruptedError
from tests.warehouse import sets
from tests.warehouse.sets import LocalFiles, at, full, item, participant, publish, weight

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_openclinica.engine.tablereader import PublishedTables

    Row = dict[str, Any]
    Told = tuple[str, ...]

WEIGHTS = "item_group=IG_VITALS"
NEVER = threading.Event()


def in_set(folder: Path, covers: Mapping[str, Any] | None = None, **tables: Sequence[Row]) -> PublishedTables:
    tables = {WEIGHTS if name == "weights" else name: rows for name, rows in tables.items()}
    return read_tables(LocalFiles(), publish(folder, tables, covers))


def compared(
    folder: Path, before: PublishedTables | None, after: PublishedTables, *tables: str
) -> tuple[list[Row], dict[str, dict[str, int]]]:
    """Return all changes, and their counts."""
    found, comparison = finished(folder, before, after, *tables)
    return found, comparison.counts


def finished(
    folder: Path, before: PublishedTables | None, after: PublishedTables, *tables: str
) -> tuple[list[Row], Comparison]:
    copies = folder / "copies"
    copies.mkdir(exist_ok=True)
    found: list[Row] = []
    with Comparison(LocalFiles(), copies, NEVER) as comparison:
        for name in chosen(before, after, tables or None):
            for batch in comparison.compare(name, before, after):
                assert list(batch) == [column.name for column in COLUMNS]
                found += [dict(zip(batch, cells, strict=True)) for cells in zip(*batch.values(), strict=True)]
    return found, comparison


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., list[Told]]:
    """Return a function that compares rows of a table: change, participant, column, old and new value of each."""

    def compare(name: str, old: Sequence[Row], new: Sequence[Row]) -> list[Told]:
        sides: list[dict[str, Any]] = [{name: old}, {name: new}]
        before, after = in_set(tmp_path / "before", **sides[0]), in_set(tmp_path / "after", **sides[1])
        rows, counts = compared(tmp_path, before, after, "wide" if name == "weights" else name)
        assert total(counts.values()) == len({(row["subject_key"], row["item_oid"], row["ordinal"]) for row in rows})
        names = ("change", "participant_id", "column", "old_value", "new_value")
        return [tuple(row[name] for name in names) for row in rows]

    return compare


PULSE = item("P1", "I_PULSE", "72")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param([PULSE], [PULSE], [], id="nothing"),
        pytest.param([], [PULSE], [("inserted", "P1", "value", None, "72")], id="a-value-that-came"),
        pytest.param([PULSE], [], [("removed", "P1", "value", "72", None)], id="a-value-that-went"),
        pytest.param([PULSE], [PULSE | {"value": "80"}], [("changed", "P1", "value", "72", "80")], id="another-value"),
        pytest.param([PULSE], [PULSE | {"value": ""}], [("changed", "P1", "value", "72", "")], id="an-empty-value"),
        pytest.param(
            [PULSE | {"value": ""}], [PULSE | {"value": None}], [("changed", "P1", "value", "", None)], id="null-now"
        ),
        pytest.param(
            [PULSE],
            [PULSE | {"value": None, "is_null": True, "reason_for_null": "UNK"}],
            [
                ("changed", "P1", "is_null", "false", "true"),
                ("changed", "P1", "reason_for_null", None, "UNK"),
                ("changed", "P1", "value", "72", None),
            ],
            id="several-columns-of-a-row",
        ),
        pytest.param(
            [PULSE], [PULSE | {"removed": True}], [("changed", "P1", "removed", "false", "true")], id="flagged"
        ),
        pytest.param([PULSE], [PULSE | {"participant_id": "P9", "form_layout_oid": "2"}], [], id="said-elsewhere"),
        pytest.param(
            [PULSE, PULSE | {"removed": True, "value": "1"}],
            [PULSE],
            [("removed", "P1", "value", "1", None)],
            id="one-of-two-of-the-same-keys",
        ),
        pytest.param(
            [PULSE], [PULSE, PULSE], [("inserted", "P1", "value", None, "72")], id="one-more-of-the-same-keys"
        ),
    ],
)
def test_a_change_of_an_item_is_told(
    told: Callable[..., list[Told]], old: list[Row], new: list[Row], expected: list[Told]
) -> None:
    assert told("items", old, new) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({"participant_id": "P9"}, ("participant_id", "P1", "P9"), id="another-name"),
        pytest.param({"status": "Removed"}, ("status", "Available", "Removed"), id="another-status"),
        pytest.param(
            {"date_of_birth": "1970-01-01", "date_of_birth_parsed": datetime(1970, 1, 1)},  # noqa: DTZ001
            ("date_of_birth", None, "1970-01-01"),
            id="a-date-once-and-not-as-parsed-again",
        ),
    ],
)
def test_a_change_of_a_participant_is_told(
    told: Callable[..., list[Told]], change: Row, expected: tuple[str, ...]
) -> None:
    ((kind, _, *rest),) = told("participants", [participant("P1")], [participant("P1") | change])
    assert (kind, *rest) == ("changed", *expected)


def test_a_new_column_of_a_wide_table_is_compared_with_nothing(tmp_path: Path) -> None:
    before = in_set(tmp_path / "before", weights=[weight("P1", 60.5), weight("P2", 70)])
    columns = [*sets.WEIGHT, Column("I_DAY", datetime)]
    row = weight("P1", 60.5) | {"I_DAY": datetime(2026, 1, 5, 8, 30)}  # noqa: DTZ001
    after = read_tables(LocalFiles(), publish(tmp_path / "after", {WEIGHTS: [row, weight("P2", 71.25)]}, items=columns))
    rows, _ = compared(tmp_path, before, after, "wide")
    assert [(row["participant_id"], row["column"], row["old_value"], row["new_value"]) for row in rows] == [
        ("P1", "I_DAY", None, "2026-01-05T08:30:00"),
        ("P2", "I_WEIGHT", "70.0", "71.25"),
    ]


@pytest.mark.parametrize("oid", ["item_oid", "of_keys", "of_row", "piece", "name", "I'\"; --", "$1"])
@pytest.mark.parametrize(("old", "new"), [("x", "y"), (1, 2)])
def test_an_item_may_be_called_like_anything(tmp_path: Path, oid: str, old: Any, new: Any) -> None:
    columns = [Column(oid, type(old))]
    before, after = (
        read_tables(LocalFiles(), publish(tmp_path / side, {WEIGHTS: [weight("P1", 0) | {oid: cell}]}, items=columns))
        for side, cell in (("before", old), ("after", new))
    )
    ((row,), counts) = compared(tmp_path, before, after, "wide")
    assert counts == {WEIGHTS: {"inserted": 0, "changed": 1, "removed": 0}}
    assert (row["column"], row["old_value"], row["new_value"]) == (oid, str(old), str(new))
    assert row["item_oid"] is None


def test_an_integer_that_is_a_float_now_is_no_change(tmp_path: Path) -> None:
    rows = [weight("P1", 60), weight("P2", 70)]
    columns = [Column("I_WEIGHT", int)]
    before = read_tables(LocalFiles(), publish(tmp_path / "before", {WEIGHTS: rows}, items=columns))
    after = in_set(tmp_path / "after", weights=[weight("P1", 60.0), weight("P2", 70.5)])
    changes, _ = compared(tmp_path, before, after, "wide")
    assert [(row["participant_id"], row["old_value"], row["new_value"]) for row in changes] == [("P2", "70.0", "70.5")]


def test_two_rows_that_exchange_a_value_are_both_told(told: Callable[..., list[Told]]) -> None:
    """For these two, sums of DuckDB 2's plain hashes of a row are the same before and after."""
    one, other = item("P1", "I_11538", "1"), item("P1", "I_30441", "1")
    rows = told("items", [one, other | {"archived": True}], [one | {"archived": True}, other])
    assert [row[2:] for row in rows] == [("archived", "false", "true"), ("archived", "true", "false")]


def test_a_table_of_a_thousand_items_is_compared(tmp_path: Path) -> None:
    columns = [Column(f"I_{number}", float) for number in range(1000)]
    before, after = (
        read_tables(
            LocalFiles(),
            publish(
                tmp_path / side,
                {WEIGHTS: [weight("P1", 0) | {column.name: cell for column in columns}]},
                items=columns,
            ),
        )
        for side, cell in (("before", 1.0), ("after", 2.0))
    )
    rows, counts = compared(tmp_path, before, after, "wide")
    assert counts[WEIGHTS] == {"inserted": 0, "changed": 1, "removed": 0}
    assert len(rows) == 1000


def test_a_wide_table_that_came_or_went_is_one_without_rows_on_the_other_side(tmp_path: Path) -> None:
    other = "item_group=IG_OTHER"
    before = read_tables(LocalFiles(), publish(tmp_path / "before", {WEIGHTS: [weight("P1", 60)]}))
    after = read_tables(LocalFiles(), publish(tmp_path / "after", {other: [weight("P1", 60)]}))
    _, counts = compared(tmp_path, before, after, "wide")
    assert counts == {
        other: {"inserted": 1, "changed": 0, "removed": 0},
        WEIGHTS: {"inserted": 0, "changed": 0, "removed": 1},
    }


def test_a_row_of_a_query_is_named_by_its_record(tmp_path: Path) -> None:
    note = item("P1", "I_PULSE", None) | {"status": "New", "note_number": 1}
    ids = [("DN_1", "DN_2"), ("DN_1", None), (None, "DN_1"), (None, None)]
    notes = [note | {"query_id": query_id, "note_id": note_id} for query_id, note_id in ids]
    before = in_set(tmp_path / "before", queries=notes)
    after = in_set(tmp_path / "after", queries=[note | {"status": "Closed"} for note in notes])
    rows, counts = compared(tmp_path, before, after, "queries")
    assert {row["record_id"] for row in rows} == {"DN_1/DN_2", "DN_1", "/DN_1", None}
    assert {(row["column"], row["old_value"], row["new_value"]) for row in rows} == {("status", "New", "Closed")}
    assert counts["queries"]["changed"] == len(rows) == len(notes)


def test_the_codebook_is_compared_by_form(tmp_path: Path) -> None:
    choice = {"study_oid": "S_JUNO", "form_oid": "F_A", "item_group_oid": "IG_A", "item_oid": "I_A", "choice_number": 1}
    before = in_set(tmp_path / "before", codebook=[choice | {"code_label": "yes"}])
    after = in_set(tmp_path / "after", codebook=[choice | {"code_label": "Yes"}])
    ((row,), _) = compared(tmp_path, before, after, "codebook")
    assert (row["form_oid"], row["record_id"], row["old_value"], row["new_value"]) == ("F_A", "1", "yes", "Yes")


def test_a_set_of_changed_participants_says_nothing_of_the_others(tmp_path: Path) -> None:
    people = [participant("P1"), participant("P2"), participant("P3")]
    before = in_set(
        tmp_path / "before", full(at(1)), participants=people, items=[item(key, "I_A", "1") for key in ("P1", "P2")]
    )
    after = in_set(
        tmp_path / "after",
        sets.changes(at(1), at(2)),
        participants=[participant("P1", status="signed"), participant("P3")],
        items=[item("P3", "I_A", "1")],
    )
    rows, _ = compared(tmp_path, before, after)
    assert [(row["table"], row["change"], row["participant_id"]) for row in rows] == [
        ("participants", "changed", "P1"),
        ("items", "inserted", "P3"),
        ("items", "removed", "P1"),
    ]


def test_rows_are_counted_by_event_and_by_form(tmp_path: Path) -> None:
    event = participant("P1") | {"study_event_oid": "SE_DAY1", "study_event_repeat_key": "1"}
    elsewhere = {"study_event_oid": "SE_DAY2", "form_oid": "F_LABS"}
    before = in_set(
        tmp_path / "before",
        participants=[participant("P1")],
        events=[event],
        items=[PULSE, item("P1", "I_A", "1", **elsewhere)],
        weights=[weight("P1", 60)],
    )
    after = in_set(
        tmp_path / "after",
        participants=[participant("P1", status="Removed"), participant("P2")],
        events=[event | {"status": "completed"}],
        items=[PULSE | {"value": "80", "removed": True}, item("P1", "I_B", "1", **elsewhere)],
        weights=[weight("P1", 61), weight("P1", 1, study_event_oid="SE_DAY2")],
    )
    _, comparison = finished(tmp_path, before, after, "participants", "events", "items", "wide")
    assert comparison.places() == {
        "by_event": {"SE_DAY1": {"events": 1, "items": 1, "wide": 1}, "SE_DAY2": {"items": 2, "wide": 1}},
        "by_form": {"F_VITALS": {"items": 1, "wide": 2}, "F_LABS": {"items": 2}},
    }


def test_where_there_was_nothing_everything_is_inserted(tmp_path: Path) -> None:
    after = in_set(tmp_path / "after", participants=[participant("P1")], items=[PULSE])
    _, counts = compared(tmp_path, None, after)
    assert counts == {name: {"inserted": 1, "changed": 0, "removed": 0} for name in ("participants", "items")}


def test_the_usual_tables_are_those_that_both_sets_have(tmp_path: Path) -> None:
    before = in_set(tmp_path / "before", participants=[], events=[], items=[], item_groups=[])
    after = in_set(tmp_path / "after", items=[], item_groups=[], participants=[])
    assert chosen(before, after, None) == ["participants", "items"]


@pytest.mark.parametrize(
    ("before", "after", "wanted", "says"),
    [
        pytest.param({"items": []}, {"items": []}, ["forms"], "tables forms", id="a-table-that-both-lack"),
        pytest.param({"items": []}, {"items": [], "forms": []}, ["forms"], "tables forms", id="that-one-lacks"),
        pytest.param({"queries": []}, {"queries": []}, None, "tables events, forms", id="none-of-the-usual"),
        pytest.param({"items": []}, {"items": [], "weights": []}, ["wide"], "tables wide", id="wide-on-one-side"),
    ],
)
def test_a_table_that_cannot_be_compared_is_refused(
    tmp_path: Path, before: Any, after: Any, wanted: list[str] | None, says: str
) -> None:
    with pytest.raises(FileError, match=says):
        chosen(in_set(tmp_path / "before", **before), in_set(tmp_path / "after", **after), wanted)


@pytest.mark.parametrize("empty", ["before", "after"])
def test_a_codebook_that_was_made_without_metadata_is_not_compared(tmp_path: Path, empty: str) -> None:
    row = {"study_oid": "S_JUNO", "form_oid": "F_A", "item_group_oid": "IG_A", "item_oid": "I_A", "choice_number": 1}
    before, after = (
        in_set(tmp_path / side, codebook=[] if side == empty else [row], items=[PULSE]) for side in ("before", "after")
    )
    with pytest.raises(FileError, match=rf"tables codebook, and one has not: \S+/{empty}/ is without codebook"):
        chosen(before, after, ["items", "codebook"])


def test_sets_in_reverse_are_refused(tmp_path: Path) -> None:
    before, after = (in_set(tmp_path / str(hour), full(at(hour)), items=[]) for hour in (2, 1))
    with pytest.raises(FileError, match=r"before are as of 2026-03-01T02:00\S+, those after as of 2026-03-01T01"):
        chosen(before, after, None)
    assert chosen(after, before, None) == chosen(after, after, None) == ["items"]


def test_sets_of_two_studies_are_refused(tmp_path: Path) -> None:
    other = read_tables(LocalFiles(), publish(tmp_path / "before", {"items": []}, study_oid="S_OTHER"))
    with pytest.raises(FileError, match="before are of S_OTHER, those after of S_JUNO"):
        chosen(other, in_set(tmp_path / "after", items=[]), None)


def test_a_set_before_of_changed_participants_is_refused(tmp_path: Path) -> None:
    before = in_set(tmp_path / "before", sets.changes(at(1), at(2)), items=[])
    with pytest.raises(FileError, match="not known what was there"):
        chosen(before, in_set(tmp_path / "after", items=[]), None)


def test_a_set_of_changed_participants_has_to_say_which(tmp_path: Path) -> None:
    before = in_set(tmp_path / "before", items=[])
    after = in_set(tmp_path / "after", sets.changes(at(1), at(2)), items=[PULSE])
    with pytest.raises(FileError, match="do not say which"):
        compared(tmp_path, before, after)


def test_a_table_that_is_published_anew_meanwhile_is_not_compared(tmp_path: Path) -> None:
    before, after = in_set(tmp_path / "before", items=[]), in_set(tmp_path / "after", items=[PULSE])
    Path(after.tables[0].uri).write_bytes(b"something else")
    with pytest.raises(FileUnavailableError, match="is not what the manifest names"):
        compared(tmp_path, before, after)


def test_a_killed_task_stops(tmp_path: Path) -> None:
    before, after = in_set(tmp_path / "before", items=[]), in_set(tmp_path / "after", items=[PULSE])
    stop = threading.Event()
    stop.set()
    with Comparison(LocalFiles(), tmp_path, stop) as comparison, pytest.raises(WaitInterruptedError):
        list(comparison.compare("items", before, after))


def test_a_long_query_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = in_set(tmp_path / "before", items=[]), in_set(tmp_path / "after", items=[PULSE])
    for_hours = "CREATE TEMP TABLE differing AS SELECT sum(hash(range)) AS piece FROM range(1000000000000)"
    monkeypatch.setattr(ChangesQuery, "differing", lambda *_: for_hours)
    with Comparison(LocalFiles(), tmp_path, NEVER) as comparison:
        killed = threading.Timer(0.3, comparison.interrupt)
        killed.start()
        with pytest.raises(WaitInterruptedError):
            list(comparison.compare("items", before, after))
        killed.join()


CELLS = st.fixed_dictionaries(
    {
        "value": st.sampled_from([None, "", "1", "é'\"", "NULL"]),
        "is_null": st.booleans(),
        "reason_for_null": st.sampled_from([None, "UNK"]),
        "removed": st.booleans(),
    }
)
ITEMS = st.dictionaries(st.tuples(st.sampled_from("ABC"), st.sampled_from(["I_1", "I_2"])), CELLS)


def expected(old: dict[Any, Row], new: dict[Any, Row]) -> list[Told]:
    """Compare cell by cell."""
    found: list[tuple[Any, ...]] = []
    for key in old.keys() | new.keys():
        if key not in old:
            found.append(("inserted", *key, "value", None, new[key]["value"]))
        elif key not in new:
            found.append(("removed", *key, "value", old[key]["value"], None))
        else:
            pairs = ((name, old[key][name], new[key][name]) for name in old[key])
            found += [("changed", *key, name, as_text(a), as_text(b)) for name, a, b in pairs if a != b]
    return sorted(found, key=str)


def as_text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


@settings(max_examples=25)
@given(old=ITEMS, new=ITEMS, at_once=st.sampled_from([1, 30, 10000]))
def test_any_two_sets_are_compared_as_cell_by_cell(old: dict[Any, Row], new: dict[Any, Row], at_once: int) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "CELLS_AT_ONCE", at_once)
        folder = Path(name)
        before, after = (
            in_set(folder / side, items=[item(*key, **cells) for key, cells in rows.items()])
            for side, rows in (("before", old), ("after", new))
        )
        rows, counts = compared(folder, before, after)
    names = ("change", "participant_id", "item_oid", "column", "old_value", "new_value")
    found = sorted((tuple(row[name] for name in names) for row in rows), key=str)
    assert found == expected(old, new)
    kinds = [kind for (kind, *_), _ in itertools.groupby(found, key=lambda row: row[:3])]
    assert counts["items"] == {kind: kinds.count(kind) for kind in ("inserted", "changed", "removed")}


def test_every_key_of_every_table_tells_which_row_has_changed() -> None:
    told = {column.name for column in COLUMNS} | {"query_id", "note_id", "audit_id", "choice_number", "level"}
    tables = ("participants", "events", "forms", "item_groups", "items", "queries", "audit", "codebook", WEIGHTS)
    assert {key for table in tables for key in keys_of(table)} <= told

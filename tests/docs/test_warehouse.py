"""``docs/warehouse.md``: its code runs, and it lists what a database gets."""

from __future__ import annotations

import re
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_openclinica.engine.warehouse.ledger import COLUMNS
from airflow_provider_openclinica.engine.warehouse.load import MODES
from airflow_provider_openclinica.engine.warehouse.shape import OWN

PAGE = (Path(__file__).parents[2] / "docs" / "warehouse.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def first_cells(heading: str) -> list[str]:
    """Return the names in the first column of a section's table."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


def test_the_code_defines_a_dag() -> None:
    (block,) = BLOCKS
    known: dict[str, object] = {}
    exec(block, known)  # noqa: S102 - from our own page
    assert isinstance(known["dag"], DAG)


def test_the_page_lists_the_columns_that_are_added_to_each_table() -> None:
    assert first_cells("What it looks like there") == [*OWN]


def test_the_page_lists_the_modes() -> None:
    assert sorted(first_cells("Modes")) == sorted(["mode", *MODES])  # the first one heads the column


def test_the_page_lists_the_columns_of_the_table_of_loads() -> None:
    (told,) = re.findall(r"^`openclinica_loads` has a row.*?\n\n", PAGE, re.MULTILINE | re.DOTALL)
    named = [name for name in re.findall(r"`(\w+)`", told) if name in COLUMNS]
    assert named == [*COLUMNS]

"""``docs/changes.md``: its code runs, and it lists each column."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_openclinica.engine.changes import COLUMNS, USUAL
from airflow_provider_openclinica.operators.assets import asset_of

PAGE = (Path(__file__).parents[2] / "docs" / "changes.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_code_defines_a_dag(block: str) -> None:
    known: dict[str, object] = {}
    exec(block, known)  # noqa: S102 - from our own page
    assert [value for value in known.values() if isinstance(value, DAG)]


def test_the_second_dag_waits_for_what_the_first_one_writes() -> None:
    known: dict[str, Any] = {}
    for block in BLOCKS:
        exec(block, known)  # noqa: S102 - from our own page
    assert known["changes"].outlets == known["report"].schedule == [asset_of("s3://warehouse/juno-changes/")]


def test_the_page_lists_each_column() -> None:
    section = PAGE.partition("\n## The table of changes\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == [column.name for column in COLUMNS]


def test_the_page_tells_the_usual_tables() -> None:
    assert ", ".join(f"`{name}`" for name in USUAL[:-1]) + f" and `{USUAL[-1]}`" in PAGE

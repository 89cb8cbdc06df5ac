"""How many files a process may have open, where a study has many item groups."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

#: In a process of its own: what it gives up, no process gets back.
BUILD = """
import json, resource, sys
from dataclasses import replace
from pathlib import Path
from airflow_provider_openclinica.engine.tables import WIDE, Tables
from airflow_provider_openclinica.errors import ConfigurationError
from airflow_provider_openclinica.odm.metadata import read_metadata
from airflow_provider_openclinica import sandbox

folder, written_as, most = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_NOFILE, (100, most))
design = read_metadata(Path(sandbox.__file__).parent / "demo_study.xml")
group = next(iter(design.item_groups.values()))
groups = {f"IG_{number}": replace(group, oid=f"IG_{number}") for number in range(300)}
try:
    with Tables(folder, written_as, replace(design, item_groups=groups), [WIDE]) as tables:
        pass
    print(json.dumps({"files": sum(built.path.exists() for built in tables.built)}))
except ConfigurationError as error:
    print(json.dumps({"error": str(error), "files": len(list(folder.iterdir()))}))
"""


@pytest.mark.parametrize("written_as", ["parquet", "csv"])
def test_a_study_may_have_more_item_groups_than_a_process_may_open_files_at_first(
    tmp_path: Path, written_as: str
) -> None:
    assert built(tmp_path, written_as, most=1000) == {"files": 300}


def test_where_the_system_allows_no_more_it_is_said_before_anything_is_written(tmp_path: Path) -> None:
    told = built(tmp_path, "csv", most=500)
    assert told == {
        "files": 0,
        "error": "300 tables are written at the same time, and a process may have 500 files open here. Raise the hard "
        "limit of the workers (ulimit -Hn) to 556, or leave 'wide' out of tables.",
    }


def built(folder: Path, written_as: str, most: int) -> dict[str, int | str]:
    """Make the tables of 300 item groups in a process that may open 100 files, or ask for so many."""
    arguments = [sys.executable, "-c", BUILD, str(folder), written_as, str(most)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    told: dict[str, int | str] = json.loads(done.stdout)
    return told

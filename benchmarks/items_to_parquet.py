"""Measure making the table of items against a bare parse by lxml, and against pandas, each in a process of its own.

python -m benchmarks.items_to_parquet [--megabytes 150] [--rounds 3] [--quick]

The file is an export, 2.6 million items in 150 MB. The bare parse builds each participant and clears it. Another file
is of the same size, with a note at one item in a hundred, which makes it less plain. pandas reads the same items with
``read_xml`` and its ``iterparse``, by each of its parsers: OID and value only, since it cannot give an item what stands
above it, and that is all but three of the columns made here; it runs once, and needs 1.6 GB. On one core means that the
process may use no other. Imports are part of every time. Peak memory is that of the whole process, Python included; the
last line is for a file ten times as large. Exits with 1 when more memory is needed than may be.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from benchmarks.generate_odm import generate

if TYPE_CHECKING:
    from collections.abc import Callable

MEMORY_LIMIT = 300  # MB
#: Times a bare parse that items may take, by cores; and how much longer pandas takes at least.
MOST = {1: 2.5, 2: 1.5}
PANDAS = 10
ODM = "http://www.cdisc.org/ns/odm/v1.3"


class Measured(NamedTuple):
    """What one run took, and how many things it saw."""

    seconds: float
    megabytes: float
    rows: int


def bare(source: Path, _folder: Path) -> int:
    """Parse and clear."""
    from lxml import etree

    count = 0
    for _, element in etree.iterparse(str(source), tag=f"{{{ODM}}}SubjectData", resolve_entities=False):
        count += 1
        element.clear()
    return count


def tables(source: Path, folder: Path) -> int:
    """Make the table of items with this package."""
    return _made(source, folder, ["items"])


def all_tables(source: Path, folder: Path) -> int:
    """Make all tables that need no metadata."""
    from airflow_provider_openclinica.odm.flattener import COLUMNS

    return _made(source, folder, list(COLUMNS))


def _made(source: Path, folder: Path, wanted: list[str]) -> int:
    from airflow_provider_openclinica.engine.tables import Tables

    with Tables(folder, "parquet", wanted=wanted) as made:
        made.add(source)
    return sum(table.rows for table in made.built)


def with_pandas(source: Path, folder: Path, parser: Literal["lxml", "etree"]) -> int:
    """Read OIDs and values with pandas, and write them."""
    import pandas as pd  # type: ignore[import-untyped]

    items = pd.read_xml(source, iterparse={"ItemData": ["ItemOID", "Value"]}, parser=parser, dtype=str)
    items.to_parquet(folder / "items.parquet")
    return len(items)


WORKS: dict[str, Callable[[Path, Path], int]] = {
    "bare": bare,
    "items": tables,
    "all-tables": all_tables,
    "pandas-lxml": partial(with_pandas, parser="lxml"),
    "pandas-etree": partial(with_pandas, parser="etree"),
}


def work(name: str, source: Path, cores: int) -> None:
    """Do one work and print what it took, as JSON; runs in a process of its own."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        count = WORKS[name](source, Path(folder))
        seconds = time.perf_counter() - started
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, count]))


def measure(name: str, source: Path, cores: int) -> Measured:
    """Run one work."""
    command = [sys.executable, "-m", "benchmarks.items_to_parquet", "--work", name, str(source), str(cores)]
    return Measured(*json.loads(subprocess.check_output(command)))


def show(name: str, measured: Measured, baseline: Measured, most: float | None = None) -> None:
    """Print a line."""
    ratio = measured.seconds / baseline.seconds
    print(
        f"  {name:<20} {measured.seconds:6.2f} s  {ratio:5.2f} x bare  peak {measured.megabytes:4.0f} MB"
        f"  {measured.rows:10,} rows{f'  (at most {most} x)' if most else ''}"
    )


def compare(source: Path, rounds: int) -> dict[str, Measured]:
    """Measure the works in turn, some times; keep the shortest time and the highest memory of each, and print them."""
    print(f"{source.stem} of {source.stat().st_size / 1e6:.0f} MB, best of {rounds}")
    works = {"bare": ("bare", 1), "items, one core": ("items", 1), "items, two cores": ("items", 2)}
    works["all tables"] = ("all-tables", 2)
    runs: dict[str, list[Measured]] = {shown: [] for shown in works}
    for _ in range(rounds):
        for shown, (name, cores) in works.items():
            runs[shown].append(measure(name, source, cores))
    took = {
        shown: Measured(min(run.seconds for run in each), max(run.megabytes for run in each), each[0].rows)
        for shown, each in runs.items()
    }
    for shown, measured in took.items():
        name, cores = works[shown]
        show(shown, measured, took["bare"], MOST[cores] if name == "items" else None)
    return took


def beside_pandas(source: Path, took: dict[str, Measured]) -> None:
    """Print how much faster this package is than pandas, which has no use for a second core."""
    if not find_spec("pandas"):
        print("  pandas is not installed, so nothing is compared with it")
        return
    for parser in ("lxml", "etree"):
        measured = measure(f"pandas-{parser}", source, 2)
        one, two = (measured.seconds / took[f"items, {cores}"].seconds for cores in ("one core", "two cores"))
        print(
            f"  pandas.read_xml with {parser:<5} {measured.seconds:6.2f} s, {two:.1f} times as long as items (at least"
            f" {PANDAS}), as items on one core {one:.1f}, peak {measured.megabytes:.0f} MB"
        )


def main() -> int:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="10 MB once: seconds instead of minutes")
    parser.add_argument("--work", nargs=3, metavar=("NAME", "SOURCE", "CORES"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        name, source, cores = arguments.work
        work(name, Path(source), int(cores))
        return 0
    if arguments.quick:
        arguments.megabytes, arguments.rounds = 10, 1
    with tempfile.TemporaryDirectory() as folder:
        source, noted, large = (Path(folder, f"{name}.xml") for name in ("export", "export-with-notes", "large"))
        generate(source, arguments.megabytes, export=True)
        took = compare(source, arguments.rounds)
        beside_pandas(source, took)
        source.unlink()
        generate(noted, arguments.megabytes)
        with_notes = compare(noted, arguments.rounds)
        noted.unlink()
        generate(large, arguments.megabytes * 10, export=True)
        largest = measure("items", large, 2)
    show("items, ten times", largest, took["bare"])
    peak = max(each.megabytes for each in (*took.values(), *with_notes.values(), largest))
    print(f"  peak {peak:.0f} MB of {MEMORY_LIMIT} MB allowed: {'ok' if peak < MEMORY_LIMIT else 'TOO MUCH'}")
    return 0 if peak < MEMORY_LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())

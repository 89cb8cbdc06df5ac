"""Measure comparing two snapshots of 2.6 million items against reading both with pyarrow, each in a process of its own.

python -m benchmarks.compare_snapshots [--megabytes 157] [--rounds 3] [--quick]

The items are those of a generated export of 157 MB. Snapshots to compare it with: the same data, written anew; a night
on which one participant in fifty has changes; and one on which one value in a hundred is another, so that nearly every
participant has some. Then a night of a study ten times as large: memory stays what it was, or this exits with 1.
pyarrow reads all columns of both into memory, which is what a comparison in pandas begins with.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from benchmarks.generate_odm import items_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

MEMORY_LIMIT = 500  # MB
TIMES = 10  #: as large is the large study
#: Rows are told apart by a number that DuckDB derives from their keys.
NUMBER = "hash(subject_key, study_event_oid, item_oid)"
CHANGED = "CASE WHEN {} THEN value || ' ' ELSE value END AS value"
SNAPSHOTS = {
    "before": "SELECT * FROM source",
    "same": "SELECT * FROM source ORDER BY item_group_oid, item_oid",
    "night": f"""
        SELECT * REPLACE ({CHANGED.format(f"{NUMBER} % 100 = 7 AND hash(subject_key) % 50 = 1")})
        FROM source WHERE {NUMBER} % 1000 <> 2 OR hash(subject_key) % 50 <> 1""",  # noqa: S608 - no input
    "everywhere": f"SELECT * REPLACE ({CHANGED.format(f'{NUMBER} % 100 = 7')}) FROM source WHERE {NUMBER} % 1000 <> 2",  # noqa: S608
}
LARGE = "SELECT * REPLACE (subject_key || '-' || range AS subject_key) FROM ({}), range({})"


class Measured(NamedTuple):
    """What one run took, and how many rows it found or read."""

    seconds: float
    megabytes: float
    rows: int


def make_snapshots(folder: Path, megabytes: float) -> int:
    """Publish the snapshots as OpenClinicaToTablesOperator does; return how many items the first one has."""
    import duckdb

    from airflow_provider_openclinica.engine.tableset import publish
    from airflow_provider_openclinica.hooks.storage import ObjectStorage

    built = items_table(folder, megabytes)
    items, source = built.rows, built.path.rename(folder / "source.parquet")
    queries = SNAPSHOTS | {f"large-{name}": LARGE.format(SNAPSHOTS[name], TIMES) for name in ("before", "night")}
    with closing(duckdb.connect()) as connection:
        connection.execute(f"CREATE VIEW source AS SELECT * FROM read_parquet('{source}')")  # noqa: S608
        for name, query in queries.items():
            copied = connection.execute(f"COPY ({query}) TO '{built.path}' (FORMAT parquet, COMPRESSION zstd)")
            ((built.rows,),) = copied.fetchall()
            publish(ObjectStorage(), f"{folder}/{name}/", "parquet", [built], {"study_oid": "S"}, threading.Event())
    return items


def read_both(folder: Path, snapshot: str) -> int:
    """Read both with pyarrow."""
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    tables = [pq.read_table(next((folder / name / "items").iterdir())) for name in ("before", snapshot)]
    return sum(table.num_rows for table in tables)


def compare(folder: Path, snapshot: str) -> int:
    """Compare both, and write the changes."""
    from airflow_provider_openclinica.engine.changes import COLUMNS, Comparison, total
    from airflow_provider_openclinica.engine.tablefiles import writer_of
    from airflow_provider_openclinica.engine.tablereader import read_tables

    files = LocalFiles()
    prefix = "large-" if snapshot.startswith("large-") else ""
    before, after = (read_tables(files, f"{folder}/{name}/") for name in (f"{prefix}before", snapshot))
    with tempfile.TemporaryDirectory() as scratch:
        target = writer_of("parquet")(Path(scratch, "changes.parquet"), COLUMNS)
        with Comparison(files, Path(scratch), threading.Event()) as comparison:
            for batch in comparison.compare("items", before, after):
                target.write(batch)
        target.close()
    return total(comparison.counts.values())


class LocalFiles:
    """Files of this machine, to read."""

    def open(self, uri: str) -> BinaryIO:
        """Open a file."""
        return Path(uri).open("rb")

    def create(self, uri: str) -> AbstractContextManager[BinaryIO]:
        """Nothing is written here."""
        raise PermissionError(uri)


WORKS: dict[str, Callable[[Path, str], int]] = {
    "make": lambda folder, megabytes: make_snapshots(folder, float(megabytes)),
    "read": read_both,
    "compare": compare,
}


def work(name: str, folder: Path, snapshot: str) -> None:
    """Do one work and print what it took, as JSON; runs in a process of its own, which imports before it starts."""
    import duckdb  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    import airflow_provider_openclinica.engine.changes  # noqa: F401

    started = time.perf_counter()
    count = WORKS[name](folder, snapshot)
    seconds = time.perf_counter() - started
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, count]))


def measure(name: str, folder: Path, snapshot: str) -> Measured:
    """Run one work. Making snapshots is one, too: a process passes on what memory it needed to those that it starts."""
    command = [sys.executable, "-m", "benchmarks.compare_snapshots", "--work", name, str(folder), snapshot]
    return Measured(*json.loads(subprocess.check_output(command)))


def show(shown: str, measured: Measured, bare: Measured) -> None:
    """Print a line."""
    ratio = measured.seconds / bare.seconds
    print(
        f"  {shown:<42} {measured.seconds:6.2f} s  {ratio:5.2f} x pyarrow  peak {measured.megabytes:4.0f} MB"
        f"  {measured.rows:10,} rows"
    )


def main() -> int:
    """Make snapshots, measure in turn, print the shortest time and the highest memory of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=157)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="10 MB once: seconds instead of minutes")
    parser.add_argument("--work", nargs=3, metavar=("NAME", "FOLDER", "SNAPSHOT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        name, folder, snapshot = arguments.work
        work(name, Path(folder), snapshot)
        return 0
    if arguments.quick:
        arguments.megabytes, arguments.rounds = 10, 1
    works = {
        "both read with pyarrow": ("read", "night"),
        "compared, the same": ("compare", "same"),
        "compared, 1 participant in 50": ("compare", "night"),
        "compared, 1 value in 100": ("compare", "everywhere"),
    }
    with tempfile.TemporaryDirectory() as folder:
        items = measure("make", Path(folder), str(arguments.megabytes)).rows
        print(f"Two snapshots of {items:,} items, best of {arguments.rounds}")
        runs: dict[str, list[Measured]] = {shown: [] for shown in works}
        for _ in range(arguments.rounds):
            for shown, (name, snapshot) in works.items():
                runs[shown].append(measure(name, Path(folder), snapshot))
        large = measure("compare", Path(folder), "large-night")
    took = {
        shown: Measured(min(run.seconds for run in each), max(run.megabytes for run in each), each[0].rows)
        for shown, each in runs.items()
    }
    bare = took.pop("both read with pyarrow")
    show("both read with pyarrow", bare, bare)
    for shown, measured in took.items():
        show(shown, measured, bare)
    show(f"1 participant in 50, {TIMES} times the study", large, bare)
    peak = max(each.megabytes for each in (*took.values(), large))
    print(f"  peak {peak:.0f} MB of {MEMORY_LIMIT} MB allowed: {'ok' if peak < MEMORY_LIMIT else 'TOO MUCH'}")
    return 0 if peak < MEMORY_LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())

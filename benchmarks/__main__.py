"""Run all benchmarks, one after the other, each in a process of its own, and repeat their figures in one table.

python -m benchmarks [--quick]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Benchmark:
    """A module of this package.

    :param quick: its arguments for small sizes.
    """

    module: str
    shows: str
    quick: tuple[str, ...]


BENCHMARKS = (
    Benchmark("provider_import", "what the provider adds to `import airflow`", ("--quick",)),
    Benchmark("token_sharing", "processes that start cold at once, and what a warm read costs", ("--quick",)),
    Benchmark("normalise_odm", "an ODM file normalised, beside lxml copying it", ("--quick",)),
    Benchmark("read_odm", "an ODM export read, beside lxml parsing it", ("--quick",)),
    Benchmark("read_log", "an import log read, beside Python's csv", ("100000",)),
    Benchmark("bulk_rows", "participants and events in bulk, beside a bare loop", ("--quick",)),
    Benchmark("transfer", "a large file sent and fetched, beside curl", ("--quick",)),
    Benchmark("items_to_parquet", "the table of items, beside a bare parse and pandas", ("--quick",)),
    Benchmark("compare_snapshots", "two snapshots compared, beside pyarrow reading both", ("--quick",)),
    Benchmark("merge_to_postgres", "tables loaded into PostgreSQL, beside a bare COPY", ("--quick",)),
    Benchmark("pull", "clinical data pulled into a file, beside curl", ("--quick",)),
)


def run(benchmark: Benchmark, *, quick: bool) -> list[str]:
    """Run one; show its output as it comes, and return its lines."""
    print(f"\n{benchmark.module}: {benchmark.shows}", flush=True)
    command = [sys.executable, "-m", f"benchmarks.{benchmark.module}", *(benchmark.quick if quick else ())]
    lines = []
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            print(f"  {line}", end="", flush=True)
            if line.strip():
                lines.append(line.strip())
    if process.returncode:
        lines.append(f"FAILED with status {process.returncode}")
    return [*lines, f"(took {time.perf_counter() - start:.0f} s)"]


def main(*, quick: bool) -> int:
    """Run all; returns how many failed."""
    results = {benchmark.module: run(benchmark, quick=quick) for benchmark in BENCHMARKS}
    width = max(map(len, results))
    print("\n" + "=" * 120)
    for module, lines in results.items():
        for number, line in enumerate(lines):
            print(f"{'' if number else module:{width}}  {line}")
    return sum(any(line.startswith("FAILED") for line in lines) for lines in results.values())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run all benchmarks.")
    parser.add_argument("--quick", action="store_true", help="small sizes: seconds instead of minutes")
    sys.exit(main(quick=parser.parse_args().quick))

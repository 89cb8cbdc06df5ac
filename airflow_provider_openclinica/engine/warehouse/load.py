"""Load a set of published tables into a database, all of it or nothing.

    load(files, published, database, how, scratch)

In one transaction, so that nobody ever sees a part of a set: make what tables and columns are missing; compare digests
of the rows, here; delete what is gone or has changed, and insert what is new or has changed. Rows that are as they were
stay untouched, and do not travel.
"""

# ruff: noqa: S608 - names are quoted, values are parameters
from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from airflow_provider_openclinica.engine.rowkeys import keys_of
from airflow_provider_openclinica.engine.tablereader import PARTICIPANTS, local_copy
from airflow_provider_openclinica.engine.tables import TABLES
from airflow_provider_openclinica.engine.warehouse.databases import plain_errors
from airflow_provider_openclinica.engine.warehouse.ledger import Ledger, still_to_load
from airflow_provider_openclinica.engine.warehouse.names import checked_prefix, listed, quoted, table_name
from airflow_provider_openclinica.engine.warehouse.rows import KEY, ROW, Rows, columns_in, libraries, participants_in
from airflow_provider_openclinica.engine.warehouse.shape import LOAD, OWN, Shape, shape_of
from airflow_provider_openclinica.errors import ConfigurationError, FileError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airflow_provider_openclinica.engine.files import Files
    from airflow_provider_openclinica.engine.tablereader import PublishedTable, PublishedTables
    from airflow_provider_openclinica.engine.warehouse.databases import Database
    from airflow_provider_openclinica.engine.warehouse.ledger import Entry

MODES = ("merge", "append", "replace", "create")
MAY_BE_LEFT_OUT = frozenset({"queries", "audit"})  #: of a pull
COVERED, STALE = "_openclinica_covered", "_openclinica_stale"  #: temporary tables


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How a set is loaded.

    :param schema: empty for the one that the connection leads to.
    :param prefix: what all names of tables begin with.
    :param tables: which ones, by the names of docs/tables.md, ``wide`` for those of item groups; None for all.
    :param mode: one of ``MODES``.
    :param missing: ``delete`` or ``keep``, what to do with rows that the set does not have any more.
    :raises ConfigurationError: an argument is none of these.
    """

    schema: str = ""
    prefix: str = ""
    tables: frozenset[str] | None = None
    mode: str = "merge"
    missing: str = "delete"

    def __post_init__(self) -> None:
        checked_prefix(self.prefix)
        if self.mode not in MODES:
            raise ConfigurationError(f"mode is none of {', '.join(MODES)}")
        if self.missing not in ("delete", "keep"):
            raise ConfigurationError("missing is neither 'delete' nor 'keep'")
        if self.tables is not None and (unknown := self.tables - {*TABLES}):
            raise ConfigurationError(
                f"There is no table {', '.join(sorted(unknown))}", next_step=f"Choose among {', '.join(TABLES)}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of the rows of a table.

    :param rows: that the set has; those that were neither inserted nor changed were there already.
    """

    rows: int
    inserted: int = 0
    changed: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What became of a set.

    :param load: its number in the database; None where there was nothing to load.
    :param tables: by the name in the database.
    :param is_new: this load it was. Else the set had been loaded already, and this is what became of it then; no tables
        if that was before the ledger kept their counts.
    """

    load: int | None
    tables: dict[str, Counts]
    is_new: bool = True

    @property
    def has_changed(self) -> bool:
        """There are other rows in the database than before."""
        return any(each.inserted or each.changed or each.removed for each in self.tables.values())


def load(files: Files, published: PublishedTables, database: Database, how: How, scratch: Path) -> Loaded:
    """Load a set.

    :param scratch: an empty folder on this machine.
    :raises FileError: the set cannot be loaded into what is there; the message says why.
    :raises FileUnavailableError: a table cannot be read.
    :raises ConfigurationError: tables of other making are in the way; or DuckDB or pyarrow is not installed.
    :raises WarehouseError: the database refused something, or was lost.
    :raises WaitInterruptedError: the task was stopped. In all cases nothing was loaded.
    """
    libraries()
    ledger, families = Ledger(database, how.schema, how.prefix), _families(published, how)
    with plain_errors("show what it holds"):
        entries = ledger.look()
        wanted = still_to_load(entries, published, families, how.mode)
        if not wanted:
            return _loaded_before(ledger, entries, published, families)
    loading = _Loading(database, how, published, scratch, files)
    loading.fetch(wanted)
    with plain_errors("load the tables"):
        database.begin()
        try:
            ledger.lock()
            entries = ledger.entries()
            wanted = still_to_load(entries, published, wanted, how.mode)
            if not wanted:  # somebody else has just done so
                database.rollback()
                return _loaded_before(ledger, entries, published, families)
            number = max((entry.load for entry in entries), default=0) + 1
            counts = loading.run(wanted, number)
            ledger.add(number, _by_family(published, wanted, counts, how.prefix), how.mode, published)
            database.commit()
        except BaseException:
            database.undo()
            raise
    return Loaded(load=number, tables=counts)


def _loaded_before(
    ledger: Ledger, entries: Sequence[Entry], published: PublishedTables, families: frozenset[str]
) -> Loaded:
    """Return what became of a set whose tables are in the database already."""
    loads = [entry.load for entry in entries if entry.sha256 == published.sha256 and entry.tables in families]
    if not loads:
        return Loaded(load=None, tables={}, is_new=False)
    counts = {name: Counts(**told) for name, told in ledger.counts(loads[-1], families).items()}
    return Loaded(load=loads[-1], tables=counts, is_new=False)


def _by_family(
    published: PublishedTables, families: frozenset[str], counts: dict[str, Counts], prefix: str
) -> dict[str, dict[str, dict[str, int]]]:
    """Return counts as the ledger keeps them."""
    told: dict[str, dict[str, dict[str, int]]] = {family: {} for family in sorted(families)}
    for table in published.tables:
        if table.family in families:
            name = table_name(table.name, prefix)
            told[table.family][name] = asdict(counts[name])
    return told


def _families(published: PublishedTables, how: How) -> frozenset[str]:
    """Return what the set has of what is wanted.

    An empty codebook only says that there were no metadata. And where nobody knows what the pull asked for, no queries
    and no audit trail only say that it may not have been these.

    :raises FileError: it lacks something that is asked for by name.
    """
    silent = {"codebook"} if published.left_out is not None else {"codebook", *MAY_BE_LEFT_OUT}
    has = {table.family for table in published.tables if table.rows or table.name not in silent}
    if how.tables is not None and (lacking := how.tables - has):
        raise FileError(
            f"The tables in {published.folder} are without {', '.join(sorted(lacking))}",
            next_step="Let OpenClinicaToTablesOperator make them, too (queries and audit, of a pull that asks for "
            "them), or leave them out here.",
        )
    return frozenset(has if how.tables is None else how.tables)


class _Loading:
    """A load that is at work."""

    def __init__(self, database: Database, how: How, published: PublishedTables, scratch: Path, files: Files) -> None:
        self._database, self._how = database, how
        self._published, self._scratch, self._files = published, scratch, files
        self._paths: dict[str, Path] = {}
        covers = published.covers
        #: Columns that say which participant a row is of. A set that was pulled knows all of a participant, whichever
        #: site he was moved to; what plain files say is taken for no other site.
        self._participant = ("subject_key",) if covers else ("study_oid", "subject_key")
        self._covers_all = covers is not None and covers.participants == "all"

    def fetch(self, families: frozenset[str]) -> None:
        """Copy what is needed to this machine, before the database has to wait for it."""
        for table in self._published.tables:
            if table.family in families or table.name == PARTICIPANTS:
                self._paths[table.name] = local_copy(self._files, table, self._scratch)
        if self._needs_participants(families) and PARTICIPANTS not in self._paths:
            raise FileError(
                "Without the table participants nobody can tell which participants these tables cover",
                next_step="Let it be made with the others, or load with missing='keep'.",
            )

    def run(self, families: frozenset[str], number: int) -> dict[str, Counts]:
        """Load the tables. The transaction has begun."""
        tables = [table for table in self._published.tables if table.family in families]
        shapes = {table.name: self._shape(table) for table in tables}  # looks only: nothing is changed before
        for shape in shapes.values():
            shape.make(self._database)
        is_partial = not self._covers_all and PARTICIPANTS in self._paths
        if is_partial:
            self._database.create_temporary(COVERED, dict.fromkeys(self._participant, str))
            covered = participants_in(self._paths[PARTICIPANTS], self._participant)
            self._database.fill(quoted(COVERED), self._participant, covered)
        counts = {shapes[table.name].name: self._load(table, shapes[table.name], number) for table in tables}
        if is_partial:
            self._database.execute(f"DROP TABLE {quoted(COVERED)}")
        return counts

    def _needs_participants(self, families: frozenset[str]) -> bool:
        deletes = self._how.mode == "merge" and self._how.missing == "delete"
        return deletes and not self._covers_all and bool(families - {"codebook"})

    def _shape(self, table: PublishedTable) -> Shape:
        columns = columns_in(self._paths[table.name])
        name = table_name(table.name, self._how.prefix)
        return shape_of(self._database, self._how.schema, name, keys_of(table.name), columns, self._how.mode)

    def _load(self, table: PublishedTable, shape: Shape, number: int) -> Counts:
        database, target, mode = self._database, quoted(shape.schema, shape.name), self._how.mode
        written = [*shape.columns, *OWN]
        values = [*shape.values(database), f"{number}::BIGINT AS {quoted(LOAD)}"]
        removed = 0
        if mode == "replace" and not shape.is_new:
            removed = database.execute(f"DELETE FROM {target}")
        with Rows(self._paths[table.name], table.name, self._scratch) as rows:
            shape.see_that_it_holds(rows)
            if mode == "merge" and not shape.is_new:
                return self._merge(table, target, rows, written, values)
            database.fill(target, written, rows.batches(values))
        shape.finish(database, unique=mode != "append")
        return Counts(rows=table.rows, inserted=table.rows, removed=removed)

    def _merge(
        self, table: PublishedTable, target: str, rows: Rows, written: Sequence[str], values: Sequence[str]
    ) -> Counts:
        """Bring a table to what the set has, as far as that covers it."""
        database, digests = self._database, self._scratch / "digests.csv"
        database.fetch(f"SELECT {listed((KEY, ROW))} FROM {target}{self._scope(table)}", digests)
        difference = rows.compare(digests, missing=self._how.missing)
        if difference.changed or difference.removed:
            database.create_temporary(STALE, {KEY: UUID})
            database.fill(quoted(STALE), [KEY], rows.stale())
            database.analyse(quoted(STALE))
            database.execute(f"DELETE FROM {target} WHERE {KEY} IN (SELECT {KEY} FROM {quoted(STALE)})")
            database.execute(f"DROP TABLE {quoted(STALE)}")
        if difference.inserted or difference.changed:
            database.fill(target, written, rows.different(values))
        return Counts(
            rows=table.rows,
            inserted=difference.inserted,
            changed=difference.changed,
            removed=difference.removed,
        )

    def _scope(self, table: PublishedTable) -> str:
        """Return which rows of the database the set has, or would have if they still were there."""
        if self._covers_all or table.name == "codebook" or PARTICIPANTS not in self._paths:
            return ""
        same = " AND ".join(f"c.{quoted(name)} = t.{quoted(name)}" for name in self._participant)
        return f" AS t WHERE EXISTS (SELECT 1 FROM {quoted(COVERED)} AS c WHERE {same})"

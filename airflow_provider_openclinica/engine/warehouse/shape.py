"""What a table in the database looks like, and what is done where a set brings other columns.

A column that the database does not have is added. One that the set does not have stays. A type becomes wider where
each value stays what it is: a whole number a number with a point, a date a timestamp, anything a text. All else is
refused, by name.
"""

# ruff: noqa: S608 - names are quoted, values are parameters
from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from airflow_provider_openclinica.engine.rowkeys import ORDINAL
from airflow_provider_openclinica.engine.warehouse.names import column_names, quoted
from airflow_provider_openclinica.engine.warehouse.rows import DUCKDB_TYPES, KEY, ROW, digest_as_text
from airflow_provider_openclinica.errors import ConfigurationError, FileError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_openclinica.engine.columns import Column
    from airflow_provider_openclinica.engine.warehouse.databases import Database
    from airflow_provider_openclinica.engine.warehouse.rows import Rows

#: Kinds that another one can hold, each value as it is.
HELD_BY: Mapping[type, tuple[type, ...]] = {
    str: (str,),
    bool: (bool, str),
    int: (int, float, str),
    float: (float, str),
    date: (date, datetime, str),
    datetime: (datetime, str),
}
EXACT = 1 << 53  #: up to here a number with a point holds each whole one
LOAD = "_load"  #: number of the load that wrote a row last
OWN: Mapping[str, type] = {KEY: UUID, ROW: UUID, LOAD: int}  #: columns that every table has in the database
HELPERS = frozenset({ORDINAL, "_hash"})  #: columns that rows have on their way
PARTICIPANT = "subject_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A table of the database, as a load will find it.

    :param keys: by their names in the database.
    :param columns: of the set, by their names in the database.
    :param kinds: of these columns in the database, once all is made.
    :param added: columns that the table does not have yet.
    :param widened: columns that get another type.
    :param is_new: the table is made by this load.
    :param is_in_the_way: a table of that name has to go first.
    """

    schema: str
    name: str
    keys: tuple[str, ...]
    columns: Mapping[str, Column]
    kinds: Mapping[str, type]
    added: tuple[str, ...] = ()
    widened: tuple[str, ...] = ()
    is_new: bool = False
    is_in_the_way: bool = False

    def make(self, database: Database) -> None:
        """Make what is missing. The transaction has begun."""
        table = quoted(self.schema, self.name)
        if self.is_in_the_way:
            database.execute(f"DROP TABLE {table}")
        if self.is_new:
            told = [self._declared(database, name, kind) for name, kind in self.kinds.items()]
            told += [f"{quoted(name)} {database.types[kind]} NOT NULL" for name, kind in OWN.items()]
            database.execute(f"CREATE TABLE {table} ({', '.join(told)})")
            return
        for name in self.added:
            database.execute(f"ALTER TABLE {table} ADD COLUMN {quoted(name)} {database.types[self.kinds[name]]}")
        for name in self.widened:
            if self.kinds[name] is float:
                self._see_that_numbers_are_exact(database, name)
            database.execute(
                database.widening.format(table=table, column=quoted(name), type=database.types[self.kinds[name]])
            )

    def finish(self, database: Database, *, unique: bool) -> None:
        """Make what comes best after the first rows.

        :param unique: no row is there twice.
        """
        if self.is_new:
            database.index(self.schema, self.name, f"{self.name}_key", [KEY], unique=unique)
            if PARTICIPANT in self.columns:
                database.index(self.schema, self.name, f"{self.name}_participant", [PARTICIPANT], unique=False)
            database.analyse(quoted(self.schema, self.name))

    def see_that_it_holds(self, rows: Rows) -> None:
        """See that whole numbers stay what they are in a column of numbers with a point.

        :raises FileError: one does not.
        """
        for name, column in self.columns.items():
            if column.kind is int and self.kinds[name] is float and rows.largest(column.name) > EXACT:
                raise _conflict(self.name, name, float, int)

    def values(self, database: Database) -> list[str]:
        """Return, for a query of DuckDB, each column under its name and in the type of the database."""
        told = [f"{self._value(database, name)} AS {quoted(name)}" for name in self.columns]
        return [*told, digest_as_text(KEY), digest_as_text(ROW)]

    def _declared(self, database: Database, name: str, kind: type) -> str:
        never_null = name in self.keys and not self.columns[name].nullable
        return f"{quoted(name)} {database.types[kind]}{' NOT NULL' if never_null else ''}"

    def _value(self, database: Database, name: str) -> str:
        column, kind = self.columns[name], self.kinds[name]
        value = quoted(column.name)
        if kind is not column.kind:
            value = f"CAST({value} AS {DUCKDB_TYPES[kind]})"
        return f"CAST({value} AS {database.read_as[kind]})" if kind in database.read_as else value

    def _see_that_numbers_are_exact(self, database: Database, name: str) -> None:
        table = quoted(self.schema, self.name)
        ((large,),) = database.query(f"SELECT count(*) FROM {table} WHERE abs({quoted(name)}) > {EXACT}")
        if large:
            raise _conflict(self.name, name, int, float)


def shape_of(
    database: Database, schema: str, name: str, keys: Sequence[str], columns: Sequence[Column], mode: str
) -> Shape:
    """Compare a table of the database with a set's, and say what has to be done. Nothing is done here.

    :param keys: columns of the set.
    :param mode: as ``How`` has it.
    :raises ConfigurationError: there is a table that this package has not made, or any at all with ``create``.
    :raises FileError: a column holds something else than the set's.
    """
    names = column_names(column.name for column in columns)
    by_name = {names[column.name]: column for column in columns}
    wanted = {name: column.kind for name, column in by_name.items()}
    there = database.columns(schema, name)
    key_names = tuple(names[key] for key in keys)
    if taken := {*OWN, *HELPERS} & wanted.keys():
        raise FileError(
            f"An item is called {', '.join(sorted(taken))}, as columns of this package are",
            next_step="Leave out the wide tables, or rename the item.",
        )
    if there is None:
        return Shape(schema=schema, name=name, keys=key_names, columns=by_name, kinds=wanted, is_new=True)
    _see_that_it_is_ours(there, name, mode)
    kinds, widened = dict(wanted), []
    for column, kind in wanted.items():
        has = there.get(column)
        if has is None or has in HELD_BY[kind]:
            kinds[column] = has or kind
        elif kind in HELD_BY[has] and database.widening:
            widened.append(column)
        elif mode == "replace":  # nothing of the table stays, so it may be another one
            return Shape(
                schema=schema, name=name, keys=key_names, columns=by_name, kinds=wanted, is_new=True, is_in_the_way=True
            )
        else:
            raise _conflict(name, column, has, kind)
    added = tuple(column for column in wanted if column not in there)
    return Shape(
        schema=schema, name=name, keys=key_names, columns=by_name, kinds=kinds, added=added, widened=tuple(widened)
    )


def _see_that_it_is_ours(there: Mapping[str, object], name: str, mode: str) -> None:
    if mode == "create":
        raise ConfigurationError(
            f"There is a table {name} already, and mode is 'create'",
            next_step="Use mode='merge' or 'replace', another schema, or another table_prefix.",
        )
    if not OWN.keys() <= there.keys():
        raise ConfigurationError(
            f"There is a table {name} that was not made by this package",
            next_step="Use another schema, or another table_prefix.",
        )


def _conflict(table: str, column: str, has: type, wants: type) -> FileError:
    return FileError(
        f"The column {column} of the table {table} holds {has.__name__}, and the set has {wants.__name__}: its type "
        "cannot be changed without a loss, or not in this database",
        next_step="Load a full set once with mode='replace', or rename that column: a new one is made then.",
    )

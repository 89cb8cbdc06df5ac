"""Which row of the study a row of a table is.

    keys_of(table)                        the columns that say so
    numbered(relation, table, columns)    SQL for DuckDB: the rows, with the column ``_ordinal`` behind them
    repeats(relation, table)              SQL for DuckDB: whether any keys come twice, so that this needs a look at all

The same keys may come twice in a table, once removed and once not. So a row is identified by its keys and by its
``_ordinal`` among those of the same keys: 1 nearly everywhere; among several it counts those first that are neither
removed nor archived, then goes by the other columns. The number depends on nothing but the rows themselves.

The participant's ID and the form's version are no keys: both can be changed, and the row is the same one afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_openclinica.engine.tables import table_columns
from airflow_provider_openclinica.odm.itemcolumns import OF_GROUP
from airflow_provider_openclinica.odm.reader import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ORDINAL = "_ordinal"
WIDE_PREFIX = "item_group="

#: What tells rows apart that are about the same thing, as far as the table has such.
OWN_KEYS = {"queries": ("query_id", "note_id"), "audit": ("audit_id",), "codebook": ("choice_number",)}
NO_KEYS = frozenset({"participant_id"})
FLAGS = ("removed", "archived")


def keys_of(table: str) -> tuple[str, ...]:
    """Return the columns that say which row of the study a row of this table is; ``numbered`` adds one.

    Those of ``queries`` and ``audit`` that an export gives as identifiers may be null; compare them null-safe.
    """
    columns = OF_GROUP if table.startswith(WIDE_PREFIX) else [column.name for column in table_columns(table)]
    own = OWN_KEYS.get(table, ())
    return tuple(name for name in columns if name in own or (name in KEYS and name not in NO_KEYS))


def numbered(relation: str, table: str, columns: Sequence[str]) -> str:
    """Return a query for DuckDB: all rows of a relation, with ``_ordinal`` behind its columns.

    Only rows whose keys come more than once are sorted, so this needs little memory however long the table is.

    :param relation: a name, or a call such as ``read_parquet('…')``, as SQL.
    :param columns: those that the relation has, in their order.
    """
    keys = keys_of(table)
    key_list, all_columns = _listed(keys), _listed(columns)
    order = [name for name in FLAGS if name in columns]
    order += [name for name in columns if name not in (*keys, *FLAGS)]
    within = f"PARTITION BY {key_list} ORDER BY {', '.join(f'{_quoted(name)} NULLS FIRST' for name in order)}"
    return f"""
        WITH hashed AS (SELECT {all_columns}, hash({key_list}) AS "_hash" FROM {relation}),
        several AS (SELECT "_hash" FROM hashed GROUP BY "_hash" HAVING count(*) > 1)
        SELECT {all_columns}, 1::BIGINT AS "{ORDINAL}" FROM hashed ANTI JOIN several USING ("_hash")
        UNION ALL
        SELECT {all_columns}, row_number() OVER ({within}) FROM hashed SEMI JOIN several USING ("_hash")
    """  # noqa: S608 - names of columns, quoted


def repeats(relation: str, table: str) -> str:
    """Return a query for DuckDB that gives true where keys may come more than once, else false: then all are 1.

    :param relation: a name, or a call, as SQL.
    """
    return f"SELECT count(*) > count(DISTINCT hash({_listed(keys_of(table))})) FROM {relation}"  # noqa: S608 - quoted


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))

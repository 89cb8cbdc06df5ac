"""Rows from a database, by any connection whose hook is a ``DbApiHook``.

The provider does not need ``apache-airflow-providers-common-sql``; a DAG that uses ``sql`` does, and has it with the
provider of its database. Rows go from the cursor to the reader: never to XCom, a log or an exception.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_openclinica.errors import ConfigurationError, FileUnavailableError, OpenClinicaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

BATCH = 1000  #: rows fetched at once


@contextmanager
def open_query(sql_conn_id: str, sql: str) -> Iterator[tuple[Sequence[str], Iterable[Sequence[Any]]]]:
    """Run a query; give the names of its columns and its rows, read in batches.

    :param sql_conn_id: connection of a database.
    :param sql: one statement that returns rows.
    :raises ConfigurationError: the connection is of no database, or the statement returns no rows.
    :raises FileUnavailableError: the database refuses, or fails. What it says is not repeated: it may quote a value.
    """
    connect = _hook(sql_conn_id).get_conn
    with _named(sql_conn_id), closing(connect()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(sql)
        if cursor.description is None:
            raise ConfigurationError("sql is no query: it returns no rows", next_step="Write one SELECT.")
        yield [str(column[0]) for column in cursor.description], _rows(cursor, sql_conn_id)


def _hook(sql_conn_id: str) -> Any:
    try:
        from airflow.providers.common.sql.hooks.sql import DbApiHook
    except ModuleNotFoundError:
        raise ConfigurationError(
            "sql needs a package that is not installed: apache-airflow-providers-common-sql",
            next_step="Install the Airflow provider of the database; it brings that one.",
        ) from None
    hook = BaseHook.get_hook(sql_conn_id)
    if not isinstance(hook, DbApiHook):
        raise ConfigurationError(f"The connection {sql_conn_id} is of no database that Airflow can query")
    return hook


def _rows(cursor: Any, sql_conn_id: str) -> Iterator[Sequence[Any]]:
    while True:
        with _named(sql_conn_id):
            batch = cursor.fetchmany(BATCH)
        if not batch:
            return
        yield from batch


@contextmanager
def _named(sql_conn_id: str) -> Iterator[None]:
    """Say of an error its kind and its SQLSTATE: what drivers say quotes values."""
    try:
        yield
    except (OpenClinicaError, OSError):
        raise
    except Exception as error:  # noqa: BLE001  # drivers share no other base
        state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
        kind = f"{type(error).__name__}{f', SQLSTATE {state}' if state else ''}"
        raise FileUnavailableError(
            f"The query on {sql_conn_id} failed ({kind})",
            next_step="Run it by hand to see why; what the database says is not logged, since it may quote a value.",
        ) from None

"""Published tables into a SQL database: all of a set in one transaction, and only what has changed."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import BaseHook, BaseOperator

from airflow_provider_openclinica.engine.tablereader import read_tables
from airflow_provider_openclinica.engine.tables import check_wanted
from airflow_provider_openclinica.engine.warehouse.databases import database_of, plain_errors
from airflow_provider_openclinica.engine.warehouse.load import How, Loaded, load
from airflow_provider_openclinica.errors import ConfigurationError
from airflow_provider_openclinica.hooks.storage import ObjectStorage
from airflow_provider_openclinica.operators.arguments import file_address
from airflow_provider_openclinica.operators.assets import announce, database_asset, declare
from airflow_provider_openclinica.operators.base import Stoppable
from airflow_provider_openclinica.operators.failures import airflow_failures
from airflow_provider_openclinica.operators.scratch import scratch_folder
from airflow_provider_openclinica.operators.state import is_first_try

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    from airflow_provider_openclinica.engine.tablereader import PublishedTables


class OpenClinicaTablesToSqlOperator(Stoppable, BaseOperator):
    """Load the tables that ``OpenClinicaToTablesOperator`` has made into a database. Safe to retry.

    All tables of the set go in, in one transaction: nobody sees a part of it, and of a load that fails or is killed
    nothing stays. Rows are compared with those in the database, and only new and changed ones travel there. Tables,
    columns that a new form version brings, and indexes on keys are made as they are needed (docs/warehouse.md). The
    table ``openclinica_loads`` keeps what was loaded, so that sets are loaded in their order, each of them once.

    Tried with SQLite, DuckDB and PostgreSQL; other databases get plain SQL. Needs the extra ``warehouse``, and the
    database's own provider.

    Returns ``tables_uri``, ``load`` (its number; None where the set had been loaded already, and nothing was done),
    ``tables`` (by the name in the database: ``rows`` of the set, and how many were ``inserted``, ``changed`` and
    ``removed``), and of the set ``study_oid``, ``covers`` and the ``sha256`` of its manifest. No data. The database's
    asset gets an event if anything has changed in it. A retry, or a task that was cleared, that finds the set loaded
    tells what that load did: the try before may have been killed when all was done but the event.

    :param tables_uri: folder of the tables, in Parquet. Templated.
    :param sql_conn_id: connection of any type that has a hook for SQL. Templated.
    :param schema: where to load them; it must be there. ``None``: where the connection leads to. Templated.
    :param tables: which ones, by name; ``wide`` stands for those of the item groups. ``None``: all of the set.
    :param table_prefix: what the names of tables begin with, in lower case: several studies in a schema need one each.
    :param mode: ``merge``: what the set says takes the place of what was there. ``replace``: everything goes, and the
        set comes. ``append``: the rows of each set are put beside those of the sets before; ``_load`` tells them
        apart. ``create``: as ``merge``, and the tables must not be there yet.
    :param missing: with ``merge``, what happens to rows that the set should have and does not, since somebody has
        removed them in OpenClinica: ``delete`` or ``keep``. Which participants a set covers, it says itself.
    """

    template_fields: Sequence[str] = ("tables_uri", "sql_conn_id", "schema")
    ui_color = "#e5f0f8"

    def __init__(
        self,
        *,
        tables_uri: str,
        sql_conn_id: str,
        schema: str | None = None,
        tables: Sequence[str] | None = None,
        table_prefix: str = "",
        mode: Literal["merge", "append", "replace", "create"] = "merge",
        missing: Literal["delete", "keep"] = "delete",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tables_uri = tables_uri
        self.sql_conn_id = sql_conn_id
        self.schema = schema
        self.tables = tables
        self.table_prefix = table_prefix
        self.mode = mode
        self.missing = missing
        self._how()
        declare(self, database_asset(sql_conn_id, schema), kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the manifest, fetch the tables, load them."""
        self._killed = threading.Event()
        with airflow_failures():
            published = read_tables(ObjectStorage(), file_address(self.tables_uri, "tables_uri"))
            hook, how = self._hook(), self._how()
            with scratch_folder() as scratch, closing(_connected(hook)) as connection:
                database = database_of(connection, hook.placeholder, self._killed)
                loaded = load(ObjectStorage(), published, database, how, scratch)
        if not loaded.is_new and is_first_try(context):  # another task has loaded the set, or another run of this one
            loaded = Loaded(load=None, tables={}, is_new=False)
        self._tell(published, loaded)
        done = {
            "tables_uri": self.tables_uri,
            "study_oid": published.study_oid,
            "sha256": published.sha256,
            "covers": published.covers and published.covers.to_json(),
            "load": loaded.load,
            "tables": {name: asdict(counts) for name, counts in loaded.tables.items()},
        }
        # A try before this one may have loaded the set, and ended before Airflow heard of it; without counts where that
        # was under a version of this package that did not keep them.
        changed = loaded.has_changed or (loaded.load is not None and not loaded.tables)
        announce(self, context, database_asset(self.sql_conn_id, self.schema), done, changed=changed)
        return done

    def _how(self) -> How:
        """Return how to load, checked."""
        return How(
            schema=self.schema or "",
            prefix=self.table_prefix,
            tables=None if self.tables is None else check_wanted(self.tables),
            mode=self.mode,
            missing=self.missing,
        )

    def _hook(self) -> DbApiHook:
        """Return the hook of the connection.

        :raises ConfigurationError: it is none for SQL.
        """
        from airflow.providers.common.sql.hooks.sql import DbApiHook

        hook = BaseHook.get_hook(self.sql_conn_id)
        if not isinstance(hook, DbApiHook):
            raise ConfigurationError(
                f"The connection {self.sql_conn_id} is none to a SQL database",
                next_step="Name one of a type that has a hook for SQL: postgres, sqlite, duckdb or another.",
            )
        return hook

    def _tell(self, published: PublishedTables, loaded: Loaded) -> None:
        if published.left_out and self.tables is None:
            self.log.info("Left alone, since the pull did not ask for them: %s", ", ".join(sorted(published.left_out)))
        if loaded.load is None:
            self.log.info("This set is in the database already; nothing was done")
        elif not loaded.is_new:
            self.log.info("Load %d, of a try before this one, has brought this set. What it did:", loaded.load)
        for name, counts in loaded.tables.items():
            told = counts.rows, counts.inserted, counts.changed, counts.removed
            self.log.info("%s: %d rows; inserted %d, changed %d, removed %d", name, *told)


def _connected(hook: DbApiHook) -> Any:
    """Connect. A driver's message may show the address and the user, and so is left out.

    :raises WarehouseError: the database cannot be reached.
    """
    with plain_errors("let us in"):
        return hook.get_conn()

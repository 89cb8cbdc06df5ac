"""Read the fields of a connection, whichever of the three types it has and however it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Connection

_SWITCH = {"": False, "true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def fields_of(connection: Connection, *extras: str, switches: Sequence[str] = ()) -> dict[str, Any]:
    """Return what a connection says, by name: ``host``, ``schema``, ``port``, ``login``, ``password``, and extras.

    A connection may come as a URI; then its extras are all texts.

    :param extras: names in its extra; None for what is not there.
    :param switches: likewise, of what is true or false; false for what is not there.
    :raises ConfigurationError: a switch is a word that is neither yes nor no, and must not silently mean one of them.
    """
    extra = connection.extra_dejson
    host, schema = _host_and_schema_of(connection)
    fields = {
        "host": host,
        "schema": schema,
        "port": connection.port,
        "login": connection.login,
        "password": connection.password,
    }
    return fields | {name: extra.get(name) for name in extras} | {name: _switch(extra, name) for name in switches}


def _host_and_schema_of(connection: Connection) -> tuple[str, str]:
    """Return host, with its path, and scheme, where that stands apart."""
    host, schema = connection.host or "", connection.schema or ""
    if schema.strip().lower() not in {"", "http", "https"}:  # in a URI, Airflow calls the path schema
        host, schema = f"{host.rstrip('/')}/{schema}", ""
    return host, schema


def _switch(extra: dict[str, Any], name: str) -> bool:
    written = str(extra.get(name) or "").strip().lower()
    if written not in _SWITCH:
        raise ConfigurationError(f"{name} is neither true nor false")
    return _SWITCH[written]

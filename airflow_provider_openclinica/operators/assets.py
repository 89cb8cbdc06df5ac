"""Assets: what a task has made, as Airflow schedules by it.

    asset_of("s3://warehouse/juno/")       the asset of an address: what to schedule a DAG on
    database_asset("warehouse", "juno")    the asset of a schema that a connection leads to
    declare(operator, asset, kwargs)       at the end of a constructor: the output is an outlet of the task
    announce(operator, context, asset, extra, changed=...)    at the end of ``execute``: its event, or none

Airflow makes an event for each outlet of a task that succeeds. ``announce`` takes the outlets from the task where
nothing has changed: from this run's own copy of it, in which Airflow looks for them after ``execute``.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

from airflow.providers.common.compat.sdk import Asset, AssetAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.providers.common.compat.sdk import BaseOperator, Context

LONGEST_URI = 1500  #: that Airflow takes
#: Characters of an address that stay as they are: all of ASCII but ``?`` and ``#``, behind which Airflow drops things.
KEPT = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in "?#")


def asset_of(address: str) -> Asset:
    """Return the asset of a file or a folder, the same one however the address is written.

    A path gets the scheme ``file``; a connection in the address, and the slash at its end, are left out.

    :param address: an absolute path, or a URI such as ``s3://connection@bucket/folder/``.
    :raises ValueError: no asset can have this address: it is a relative path, too long, or a template.
    """
    if (uri := _uri(address)) is None:
        raise ValueError("There is no asset of a relative path, a template, or an address of more than 1500 characters")
    return Asset(uri)


def output_asset(address: object) -> Asset | None:
    """Return the asset of an output, or None where its address is not known before the task runs."""
    uri = _uri(address) if isinstance(address, str) else None
    return None if uri is None else Asset(uri)


def database_asset(conn_id: object, schema: object = None) -> Asset | None:
    """Return the asset of what a connection to a database leads to; None where that is not known yet.

    Its address is made of the connection's ID, since only a task may look into a connection: ``sql://warehouse/juno``.

    :param schema: None: the one that the connection itself leads to.
    """
    if not isinstance(conn_id, str) or not isinstance(schema, str | None):
        return None
    uri = f"sql://{quote(conn_id, safe='')}/{quote(schema or '', safe='')}"
    return None if _is_template(f"{conn_id}{schema}") or len(uri) > LONGEST_URI else Asset(uri)


def declare(operator: BaseOperator, asset: Asset | None, given: Mapping[str, Any]) -> None:
    """Let an asset be the outlet of a task, unless the author of the DAG said what its outlets are.

    A mapped task has none but those: Airflow builds it when it runs, too late for its graph of assets.

    :param given: the keyword arguments of the constructor that it hands to Airflow's.
    """
    is_said = given.get("outlets") is not None or operator.outlets
    if asset is not None and not is_said:
        operator.outlets = [asset]


def announce(
    operator: BaseOperator,
    context: Context,
    asset: Asset | None,
    extra: Mapping[str, Any],
    *,
    changed: bool = True,
) -> None:
    """Let the events of a task's outlets tell what it did; where nothing has changed, let there be none.

    :param asset: what was made, now that its address is known: an ``AssetAlias`` among the outlets gets its event.
    :param extra: counts and OIDs, which anybody may read. What is in a dictionary gets a name of its own,
        ``rows.items``: Airflow 2.11 takes no other ones from an alias.
    """
    if not changed:
        operator.outlets = [outlet for outlet in operator.outlets if not isinstance(outlet, Asset | AssetAlias)]
        return
    told = dict(_flat(extra))
    for outlet in operator.outlets:
        if isinstance(outlet, Asset):
            context["outlet_events"][outlet].extra.update(told)
        elif isinstance(outlet, AssetAlias) and asset is not None:
            context["outlet_events"][outlet].add(asset, extra=told)


def _uri(address: str) -> str | None:
    """Return the URI of an address, or None."""
    if _is_template(address):
        return None
    if "://" not in address:
        if not PurePosixPath(address).is_absolute():
            return None
        address = f"file://{address}"
    parts = urlsplit(address.replace("?", "%3F").replace("#", "%23"))
    place = parts.netloc.rpartition("@")[2]
    path = quote(parts.path.rstrip("/"), safe=KEPT) or "/"
    uri = urlunsplit((parts.scheme, place, path, "", ""))
    return uri if uri.isascii() and len(uri) <= LONGEST_URI else None


def _is_template(text: str) -> bool:
    return "{{" in text or "{%" in text


def _flat(told: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in told.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value

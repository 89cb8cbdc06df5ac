"""One client for each connection in a process: operators, sensors and triggers share its token and its sessions.

    client_for("openclinica_default")   reads the connection, and returns the client for what it says now

A connection that was edited gets a new client; two connections that say the same share one.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import BaseHook, conf, mask_secret

from airflow_provider_openclinica.client.addresses import ServerSettings
from airflow_provider_openclinica.client.client import OpenClinicaClient
from airflow_provider_openclinica.client.tokens import PATIENCE, TokenManager
from airflow_provider_openclinica.errors import ConfigurationError
from airflow_provider_openclinica.hooks.fields import fields_of
from airflow_provider_openclinica.hooks.kept import one_for_a_process
from airflow_provider_openclinica.hooks.token_variable import VariableTokenStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_openclinica.client.token_request import TokenSource

TOKEN_CACHES = ("memory", "file", "variable")


def client_for(
    conn_id: str, *, sleep: Callable[[float], None] = time.sleep, patience: float = PATIENCE
) -> OpenClinicaClient:
    """Return this process's client for a connection. Reads the connection; asks OpenClinica nothing.

    In a trigger call it through ``sync_to_async``: on Airflow 3.0 and 3.1 a plain thread cannot read connections.

    :param conn_id: a connection of type ``openclinica``.
    :param sleep: what waits between tries; may raise, to end the wait of a task that is killed.
    :param patience: the longest wait for a turn at the token server, in seconds.
    :raises ConfigurationError: the connection cannot work as it is written.
    """
    connection = BaseHook.get_connection(conn_id)
    settings, token_cache = settings_of(connection), token_cache_of(connection)
    return _client(settings, token_cache, token_cache_dir(), sleep, patience)


@one_for_a_process
def _client(
    settings: ServerSettings, token_cache: str, folder: Path, sleep: Callable[[float], None], patience: float
) -> OpenClinicaClient:
    tokens = token_manager(settings, token_cache, folder, sleep=sleep, patience=patience)
    return OpenClinicaClient(settings, tokens, sleep=sleep)


def token_manager(
    settings: ServerSettings | TokenSource,
    token_cache: str,
    folder: Path,
    *,
    sleep: Callable[[float], None],
    patience: float,
) -> TokenManager:
    """Return what gives out tokens, sharing them as a connection says.

    :param settings: the server and the account, or another way to ask for tokens.
    :param token_cache: from `token_cache_of`.
    :param folder: from `token_cache_dir`.
    """
    return TokenManager(
        settings,
        stores=[VariableTokenStore()] if token_cache == "variable" else [],  # noqa: S105 (a kind of cache)
        cache_dir=None if token_cache == "memory" else folder,  # noqa: S105
        sleep=sleep,
        patience=patience,
        seen=_mask,
    )


def settings_of(connection: Connection) -> ServerSettings:
    """Read a connection of type ``openclinica``, also one in URI form, whose values are all strings.

    :raises ConfigurationError: something is missing or cannot work.
    """
    extras = ("auth_url", "import_path", "request_timeout", "verify")
    return ServerSettings.from_parts(**fields_of(connection, *extras, switches=("allow_http", "keep_cookies")))


def token_cache_of(connection: Connection) -> str:
    """Return which processes may share a token: ``memory``, ``file`` (the default) or ``variable``.

    :raises ConfigurationError: it is none of these.
    """
    token_cache = str(connection.extra_dejson.get("token_cache") or "file")
    if token_cache not in TOKEN_CACHES:
        raise ConfigurationError(f"token_cache is none of {', '.join(TOKEN_CACHES)}")
    return token_cache


def token_cache_dir() -> Path:
    """Return the folder in which this host's processes share tokens; by default one for each user."""
    written = conf.get("openclinica", "token_cache_dir", fallback="")
    return Path(written) if written else Path(tempfile.gettempdir()) / f"airflow-openclinica-{os.geteuid()}"


def nap(seconds: float) -> None:
    """Wait half a second at most: between the tries of a call for which somebody sits before the *Test* button."""
    time.sleep(min(seconds, 0.5))


def _mask(token: str) -> None:
    """Let Airflow mask the token in task logs. A net only: no log line of ours holds one.

    Not outside the main thread: there it would talk to the supervisor as `VariableTokenStore` must not.
    """
    if threading.current_thread() is threading.main_thread():
        mask_secret(token)

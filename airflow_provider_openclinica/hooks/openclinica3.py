"""The hook of OpenClinica 3: an Airflow connection in, a client out."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, mask_secret

from airflow_provider_openclinica.client.openclinica3.client import OpenClinica3Client
from airflow_provider_openclinica.client.openclinica3.settings import Settings3
from airflow_provider_openclinica.errors import OpenClinicaError
from airflow_provider_openclinica.hooks import forms
from airflow_provider_openclinica.hooks.clients import nap, token_cache_dir
from airflow_provider_openclinica.hooks.fields import fields_of
from airflow_provider_openclinica.hooks.kept import one_for_a_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow.providers.common.compat.sdk import Connection

TEST_PATIENCE = 5.0  #: seconds to wait for the turn; somebody sits before the button


class OpenClinica3Hook(BaseHook):
    """Connects to OpenClinica 3.

    ``hook.get_conn()`` gives the client: ``hook.get_conn().soap.studies()``.

    :param openclinica_conn_id: a connection of type ``openclinica3``. Host is the web application, such as
        ``https://edc.example.org/OpenClinica``; login and password are those of an account that no person uses; the
        extra may hold ``ws_url``, ``password_hash``, ``api_key``, ``read_by``, ``request_timeout``, ``verify`` and
        ``allow_http``.
    """

    conn_name_attr = "openclinica_conn_id"
    default_conn_name = "openclinica3_default"
    conn_type = "openclinica3"
    hook_name = "OpenClinica 3"

    def __init__(self, openclinica_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.openclinica_conn_id = openclinica_conn_id

    def get_conn(self) -> OpenClinica3Client:
        """Return the client that this process keeps for the connection; it sends nothing before its first call.

        :raises ConfigurationError: the connection cannot work as it is written.
        """
        return client3_for(self.openclinica_conn_id)

    def test_connection(self) -> tuple[bool, str]:
        """Log in and out, or prove the API key; then ask the web services for the list of studies."""
        try:
            client = client3_for(self.openclinica_conn_id, sleep=nap)
            client.check(patience=TEST_PATIENCE)
        except OpenClinicaError as error:
            return False, str(error)
        except AirflowNotFoundException:
            return False, f"There is no connection {self.openclinica_conn_id}"
        told = f"OpenClinica 3 answers at {client.settings.web_url} and accepts the account"
        try:
            client.soap.check()
        except OpenClinicaError as error:
            return True, f"{told}. Nothing can be written: {error}"
        return True, f"{told}, and so do its web services."

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Make the form fields of the provider info for Airflow before 3.2, which asks the hook for them."""
        return forms.widgets(cls.conn_type)

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how the form treats Airflow's own fields, for Airflow before 3.2."""
        return forms.field_behaviour(cls.conn_type)


def client3_for(conn_id: str, *, sleep: Callable[[float], None] = time.sleep) -> OpenClinica3Client:
    """Return this process's client for a connection. Reads the connection; asks OpenClinica nothing.

    In a trigger call it through ``sync_to_async``: on Airflow 3.0 and 3.1 a plain thread cannot read connections.

    :param conn_id: a connection of type ``openclinica3``.
    :param sleep: what waits between tries; may raise, to end the wait of a task that is killed.
    :raises ConfigurationError: the connection cannot work as it is written.
    """
    settings = settings3_of(BaseHook.get_connection(conn_id))
    if threading.current_thread() is threading.main_thread():
        mask_secret(settings.password_hash)
    return _client(settings, token_cache_dir(), sleep)


@one_for_a_process
def _client(settings: Settings3, folder: Path, sleep: Callable[[float], None]) -> OpenClinica3Client:
    return OpenClinica3Client(settings, lock_folder=folder, sleep=sleep)


def settings3_of(connection: Connection) -> Settings3:
    """Read a connection of type ``openclinica3``, also one in URI form, whose values are all strings.

    :raises ConfigurationError: something is missing or cannot work.
    """
    extras = ("ws_url", "password_hash", "api_key", "read_by", "request_timeout", "verify")
    return Settings3.from_parts(**fields_of(connection, *extras, switches=("allow_http",)))

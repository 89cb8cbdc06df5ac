"""The hook for ClinOne: an Airflow connection in, any request out. No resource of its API is public."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_openclinica.client.clinone.client import MOST_BYTES, ClinOneClient
from airflow_provider_openclinica.client.clinone.identifiers import Identifiers
from airflow_provider_openclinica.client.clinone.settings import ClinOneSettings
from airflow_provider_openclinica.client.clinone.token import ClientCredentials
from airflow_provider_openclinica.client.tokens import PATIENCE
from airflow_provider_openclinica.errors import OpenClinicaError
from airflow_provider_openclinica.hooks import forms
from airflow_provider_openclinica.hooks.clients import nap, token_cache_dir, token_cache_of, token_manager
from airflow_provider_openclinica.hooks.fields import fields_of
from airflow_provider_openclinica.hooks.kept import one_for_a_process
from airflow_provider_openclinica.hooks.storage import ObjectStorage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_openclinica.client.clinone.client import Access
    from airflow_provider_openclinica.client.clinone.replies import Reply

TEST_PATIENCE = 10.0  #: seconds; somebody sits before the button


class ClinOneHook(BaseHook):
    """Connects to ClinOne, by OAuth2 client credentials.

    :param clinone_conn_id: a connection of type ``clinone``. Host is the base URL of the API, login and password are ID
        and secret of an External Client; the extra has ``auth_url`` and ``scope``, and may have ``token_cache``,
        ``request_timeout``, ``verify``, ``allow_http``, ``identifiers``, ``signer``, ``hmac_client_key`` and
        ``hmac_secret_key`` (docs/clinone.md, connection).
    """

    conn_name_attr = "clinone_conn_id"
    default_conn_name = "clinone_default"
    conn_type = "clinone"
    hook_name = "ClinOne"

    def __init__(self, clinone_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.clinone_conn_id = clinone_conn_id

    def get_conn(self) -> ClinOneClient:
        """Return the client that this process keeps for the connection; it sends nothing before its first call.

        :raises ConfigurationError: the connection cannot work as it is written.
        """
        return _client_of(BaseHook.get_connection(self.clinone_conn_id))

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        json: Any = None,
        function_group: str = "",
        repeatable: bool | None = None,
    ) -> Reply:
        """Send a request and return its reply: ``.json``, ``.status``, ``.headers``, ``.content``.

        Parameters and errors are those of `ClinOneClient.request`.
        """
        return self.get_conn().request(
            method, path, query=query, json=json, function_group=function_group, repeatable=repeatable
        )

    def identifiers(self) -> Identifiers:
        """Return which study and site of OpenClinica is which in ClinOne, as the connection's ``identifiers`` says.

        That is an object, JSON text of it, or the address of a file that holds it: a local path, or any URI that
        Airflow's ``ObjectStoragePath`` opens.

        :raises ConfigurationError: it is none of these, or not one to one.
        :raises FileUnavailableError: the file cannot be opened.
        """
        written = BaseHook.get_connection(self.clinone_conn_id).extra_dejson.get("identifiers") or {}
        if isinstance(written, str) and not written.lstrip().startswith(("{", "[")):
            with ObjectStorage().open(written) as file:
                written = file.read(MOST_BYTES)
        return Identifiers.read(written)

    def test_connection(self) -> tuple[bool, str]:
        """Get a token, and say in words how it went. No call of the API is known that could be tried besides."""
        try:
            connection = BaseHook.get_connection(self.clinone_conn_id)
            access = _client_of(connection, sleep=nap, patience=TEST_PATIENCE).check()
        except OpenClinicaError as error:
            return False, str(error)
        except AirflowNotFoundException:
            return False, f"There is no connection {self.clinone_conn_id}"
        return True, _in_words(access)

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Make the form fields of the provider info for Airflow before 3.2, which asks the hook for them."""
        return forms.widgets(cls.conn_type)

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how the form treats Airflow's own fields, for Airflow before 3.2."""
        return forms.field_behaviour(cls.conn_type)


def settings_of(connection: Connection) -> ClinOneSettings:
    """Read a connection of type ``clinone``, also one in URI form, whose values are all strings.

    :raises ConfigurationError: something is missing or cannot work.
    """
    extras = ("auth_url", "scope", "request_timeout", "verify", "signer", "hmac_client_key", "hmac_secret_key")
    return ClinOneSettings.from_parts(**fields_of(connection, *extras, switches=("allow_http",)))


def _client_of(
    connection: Connection, *, sleep: Callable[[float], None] = time.sleep, patience: float = PATIENCE
) -> ClinOneClient:
    settings, token_cache = settings_of(connection), token_cache_of(connection)
    return _client(settings, token_cache, token_cache_dir(), sleep, patience)


@one_for_a_process
def _client(
    settings: ClinOneSettings, token_cache: str, folder: Path, sleep: Callable[[float], None], patience: float
) -> ClinOneClient:
    tokens = token_manager(ClientCredentials(settings), token_cache, folder, sleep=sleep, patience=patience)
    return ClinOneClient(settings, tokens, sleep=sleep)


def _in_words(access: Access) -> str:
    life = "it does not say for how long" if access.ends is None else f"good for {access.ends - time.time():.0f} s more"
    scopes = ", ".join(access.scopes) or "none that it names"
    return f"ClinOne's token server accepts the client. Token: {life}. Scopes: {scopes}. The API itself was not called."

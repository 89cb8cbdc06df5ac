"""What a connection says about ClinOne: two addresses, a client, and what it may ask for (docs/clinone.md, connection).

    ClinOneSettings.from_parts(host=…, login=…, password=…, auth_url=…, scope=…)   checked and completed

No address and no scope is assumed: only those of a test environment are public. Nothing here opens a connection.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from airflow_provider_openclinica.client.addresses import DEFAULT_TIMEOUT, timeout_of, verify_of, web_address
from airflow_provider_openclinica.errors import ConfigurationError

_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinOneSettings:
    """What a connection says about one ClinOne. Make it with :meth:`from_parts`, which checks it.

    :param base_url: what all paths are below, without a slash at its end.
    :param auth_url: the token endpoint, a full URL.
    :param scope: what a token is asked for, such as ``https://{tenant}.onmicrosoft.com/{api}/.default``.
    :param client_id: the External Client's ID.
    :param client_secret: its secret; never shown.
    :param request_timeout: seconds of silence after which an answer is given up.
    :param verify: ``False`` trusts any certificate; a string is the path of a CA bundle.
    :param signer: dotted path of a function that signs each request; ``""`` for none.
    :param hmac_client_key: handed to the signer.
    :param hmac_secret_key: handed to the signer; never shown.
    """

    base_url: str
    auth_url: str
    scope: str
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    request_timeout: float = DEFAULT_TIMEOUT
    verify: bool | str = True
    signer: str = ""
    hmac_client_key: str = field(default="", repr=False)
    hmac_secret_key: str = field(default="", repr=False)

    @property
    def host_and_port(self) -> str:
        """Host and port of the API, as other libraries write them into their logs."""
        address = urlsplit(self.base_url)
        return f"{address.hostname}:{address.port or _PORTS[address.scheme]}"

    @classmethod
    def from_parts(
        cls,
        *,
        host: str | None,
        login: str | None,
        password: str | None,
        auth_url: str | None,
        scope: str | None,
        schema: str | None = None,
        port: int | None = None,
        request_timeout: float | str | None = None,
        verify: bool | str | None = None,
        allow_http: bool = False,
        signer: str | None = None,
        hmac_client_key: str | None = None,
        hmac_secret_key: str | None = None,
    ) -> ClinOneSettings:
        """Check and complete what a person wrote into a connection.

        :param host: base URL of the API, with or without scheme, port and path; without a scheme it is https.
        :param login: the client's ID.
        :param password: the client's secret.
        :param schema: ``http`` or ``https``, for connections in URI form.
        :param port: likewise.
        :param allow_http: permit plain http for hosts other than loopback.
        :raises ConfigurationError: something is missing, contradicts itself or cannot work; nothing was sent.
        """
        if not login or not password:
            raise ConfigurationError(
                "The connection has no client ID or no client secret",
                next_step="They are login and password of the connection; ClinOne shows a secret once.",
            )
        if not (auth_url or "").strip() or not (scope or "").strip():
            raise ConfigurationError(
                "The connection has no auth_url or no scope",
                next_step="Set both in the connection's extra: ask ClinOne for the token URL and the scope of your "
                "environment, for none are published but those of a test environment.",
            )
        return cls(
            base_url=web_address(host or "", "host", schema=schema or "", port=port, allow_http=allow_http),
            auth_url=web_address(auth_url or "", "auth_url", allow_http=allow_http),
            scope=(scope or "").strip(),
            client_id=login,
            client_secret=password,
            request_timeout=timeout_of(request_timeout),
            verify=verify_of(verify),
            signer=(signer or "").strip(),
            hmac_client_key=hmac_client_key or "",
            hmac_secret_key=hmac_secret_key or "",
        )

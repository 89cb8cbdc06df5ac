"""Where one OpenClinica 3 lives, and as whom to speak to it.

It is two web applications: one for people and for reading (``/OpenClinica``), one for writing by SOAP
(``/OpenClinica-ws``). Each address can be configured; the second is commonly the first with ``-ws`` behind it
(docs/protocol3.md, two applications).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Literal, get_args

from airflow_provider_openclinica.client.addresses import DEFAULT_TIMEOUT, ServerSettings
from airflow_provider_openclinica.errors import ConfigurationError

ReadBy = Literal["session", "api_key"]

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings3:
    """What a connection says about one OpenClinica 3. Make it with :meth:`from_parts`, which checks it.

    :param web_url: the web application, ``https://edc.example.org/OpenClinica``, without a slash at its end.
    :param ws_url: that of the SOAP web services, likewise.
    :param login: user name of an account that no person uses: each login ends the session before it.
    :param password: its password; never shown.
    :param password_hash: what the server has stored for the password, for SOAP.
    :param api_key: the account's API key; ``""``: fetched with login and password.
    :param read_by: by which mechanism clinical data are read.
    :param request_timeout: seconds of silence after which an answer is given up.
    :param verify: ``False`` trusts any certificate; a string is the path of a CA bundle.
    """

    web_url: str
    ws_url: str
    login: str = field(repr=False)
    password: str = field(repr=False)
    password_hash: str = field(repr=False)
    api_key: str = field(default="", repr=False)
    read_by: ReadBy = "session"
    request_timeout: float = DEFAULT_TIMEOUT
    verify: bool | str = True

    @classmethod
    def from_parts(
        cls,
        *,
        host: str | None,
        login: str | None,
        password: str | None,
        schema: str | None = None,
        port: int | None = None,
        ws_url: str | None = None,
        password_hash: str | None = None,
        api_key: str | None = None,
        read_by: str | None = None,
        request_timeout: float | str | None = None,
        verify: bool | str | None = None,
        allow_http: bool = False,
    ) -> Settings3:
        """Check and complete what a person wrote into a connection.

        :param host: the web application, with or without scheme, port and path; without a scheme it is https, without
            a path ``/OpenClinica``.
        :param login: user name.
        :param password: password.
        :param schema: ``http`` or ``https``, for connections in URI form, whose host holds no scheme.
        :param port: likewise.
        :param ws_url: the SOAP web services; ``{host}-ws`` by default.
        :param password_hash: what the server has stored for the password, in hexadecimal: SHA-1 by default, MD5 for
            accounts whose password nobody has changed for long.
        :param api_key: key of the account; fetched with login and password by default.
        :param read_by: ``session`` (the default), or ``api_key``, which reads JSON only.
        :param request_timeout: seconds, above zero; 300 by default.
        :param verify: true, false, or the path of a CA bundle.
        :param allow_http: permit plain http for hosts other than loopback: password and data then travel unencrypted.
        :raises ConfigurationError: something is missing, contradicts itself or cannot work; nothing was sent.
        """
        web = _checked(host, login, password, schema, port, request_timeout, verify, allow_http)
        written = (ws_url or "").strip().rstrip("/") or f"{web.study_url}-ws"
        ws = _checked(written, login, password, None, None, request_timeout, verify, allow_http, name="ws_url")
        digest = (password_hash or "").strip().lower()
        if digest and not _HASH.fullmatch(digest):
            raise ConfigurationError("password_hash is neither a SHA-1 nor an MD5 digest in hexadecimal")
        reading = (read_by or "session").strip()
        if reading not in get_args(ReadBy):
            raise ConfigurationError(f"read_by is none of {', '.join(get_args(ReadBy))}")
        return cls(
            web_url=web.study_url,
            ws_url=ws.study_url,
            login=web.login.strip(),
            password=web.password,
            password_hash=digest or hashlib.sha1(web.password.encode(), usedforsecurity=False).hexdigest(),
            api_key=(api_key or "").strip(),
            read_by="api_key" if reading == "api_key" else "session",
            request_timeout=web.request_timeout,
            verify=web.verify,
        )


def _checked(
    host: str | None,
    login: str | None,
    password: str | None,
    schema: str | None,
    port: int | None,
    request_timeout: float | str | None,
    verify: bool | str | None,
    allow_http: bool,
    *,
    name: str = "",
) -> ServerSettings:
    """Check an address as one of OpenClinica 4 is checked; it has no address for tokens."""
    try:
        return ServerSettings.from_parts(
            host=host,
            login=login,
            password=password,
            schema=schema,
            port=port,
            auth_url="https://not.used",
            request_timeout=request_timeout,
            verify=verify,
            allow_http=allow_http,
        )
    except ConfigurationError as error:
        if name:
            raise ConfigurationError(f"{name}: {error.args[0]}", next_step=error.next_step) from None
        raise

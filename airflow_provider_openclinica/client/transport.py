"""What every call shares below HTTP: one kind of session, and words for a connection that fails.

A session of ours follows no redirect, keeps no cookie unless told to, offers no compression and takes its proxies and
CA bundles from the environment as any other program does. The token goes through requests' ``auth``: a header of our
own would be replaced by what a ``.netrc`` holds for the host (docs/protocol.md, hosts).

    new_session(settings)             a requests session, for one thread
    Bearer(token)                     what to pass as its ``auth``
    transport_error(error, doing, host)   the error to raise for what requests raised
    never_left(error)                 whether nothing of the request can have arrived
    keep_out_of_logs(part)            drop log lines of other libraries that hold it

requests and urllib3 quote addresses in their exceptions, and an address can name a participant. So raise ours
``from None``. What urllib3 would log of such an address is dropped, at level DEBUG too.
"""

from __future__ import annotations

import logging
import socket
import ssl
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ReadTimeoutError

from airflow_provider_openclinica import __version__
from airflow_provider_openclinica.client.addresses import API_PATH
from airflow_provider_openclinica.errors import ConfigurationError, OpenClinicaError, ServerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_openclinica.client.addresses import ServerSettings

CONNECT_SECONDS = 10.0  #: how long a host may take to accept a connection
SENDING_SECONDS = 300.0  #: how long it may then leave unread what is sent to it
SENDING_BLOCK = 128 << 10  #: bytes of a file that are handed to the socket at once
USER_AGENT = f"airflow-provider-openclinica/{__version__}"  #: without one, OpenClinica cannot serve files


_OURS = {API_PATH}  #: what an address of ours has in it


class _WithoutOurs(logging.Filter):
    """Drop the lines that quote an address of the API, of whichever server; those of other libraries go on."""

    def filter(self, record: logging.LogRecord) -> bool:
        line = record.getMessage()
        return not any(part in line for part in tuple(_OURS))


for _name in ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_WithoutOurs())


def keep_out_of_logs(part: str) -> None:
    """Drop what urllib3 would log of addresses that hold this part, such as ``host:port``."""
    _OURS.add(part)


class Bearer(AuthBase):
    """Put a token on a request. requests consults no ``.netrc`` for a request that has an ``auth``."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header, as requests asks of an ``auth``."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Session(requests.Session):
    """A session for which no answer is a redirect, so that nothing can be sent to a host nobody configured."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        return None


class _Connection(HTTPConnection):
    """A connection that has its own patience while it sends.

    urllib3 applies the time-out for connecting to sending as well. A server that reads a large file with a pause would
    lose it to that, and nobody could tell what became of the file.
    """

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(SENDING_SECONDS)


class _SecureConnection(_Connection, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    """Use our connections, to the server itself and through a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, blocksize=SENDING_BLOCK)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs, blocksize=SENDING_BLOCK)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        return manager


def new_session(settings: ServerSettings | None = None) -> requests.Session:
    """Return a session for one thread; the caller closes it.

    :param settings: say whether cookies are kept; by default none are.
    """
    session = _Session()
    session.headers = CaseInsensitiveDict(
        {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Accept-Language": "en-US"}  # it names months
    )
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Adapter(pool_connections=1, pool_maxsize=1))
    if settings is None or not settings.keep_cookies:
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def transport_error(error: OSError, doing: str, host: str, *, service: str = "OpenClinica") -> OpenClinicaError:
    """Put a failed connection into words.

    :param error: what requests raised; all of it is an ``OSError``.
    :param doing: what was asked for, as a noun: ``the import``.
    :param host: name of the host that was to answer.
    :param service: whose host it is.
    :return: a ConfigurationError where only a person can help, else a ServerUnavailableError.
    """
    what = f"{service} could not be reached for {doing}"
    causes = tuple(_causes(error))

    def caused_by(kind: type[BaseException]) -> bool:
        return any(isinstance(cause, kind) for cause in causes)

    if caused_by(ssl.SSLCertVerificationError):
        return ConfigurationError(
            what,
            meaning=f"{host} shows a certificate that this machine does not trust for it",
            next_step="Name the CA bundle of whoever issued it as verify, in the connection's extra; "
            "where it has expired, ask whoever runs the server.",
        )
    if not isinstance(error, requests.RequestException):
        return ConfigurationError(what, meaning="the CA bundle that verify or the environment names cannot be read")
    if isinstance(error, ValueError):  # InvalidURL, InvalidProxyURL and their like
        return ConfigurationError(what, meaning="the address of the server, or of a proxy, is no address")
    if isinstance(error, requests.exceptions.ProxyError):
        meaning = "the proxy that the environment names does not pass the connection on"
    elif isinstance(error, requests.exceptions.SSLError):
        meaning = f"{host} does not speak TLS as expected; is the port one for https?"
    elif isinstance(error, requests.exceptions.ConnectTimeout):
        meaning = f"{host} did not accept a connection within {CONNECT_SECONDS:.0f} seconds"
    elif caused_by(socket.gaierror):
        meaning = f"the name {host} cannot be resolved"
    elif caused_by(ConnectionRefusedError):
        meaning = f"{host} refuses connections at this port"
    elif isinstance(error, requests.exceptions.ReadTimeout) or caused_by(ReadTimeoutError) or caused_by(TimeoutError):
        meaning = f"{host} was silent for longer than this call waits"
    else:
        meaning = f"the connection to {host} broke"
    return ServerUnavailableError(what, meaning=meaning)


def never_left(error: OSError) -> bool:
    """Tell whether a connection failed before anything could be sent over it; False where that is not certain.

    A ``ProxyError`` alone is not: urllib3 raises it for a request too that a proxy took, and dropped.

    :param error: what requests raised.
    """
    if not isinstance(error, requests.RequestException) or isinstance(error, ValueError):
        return True  # a CA bundle that cannot be read, an address that is none
    before = (NewConnectionError, ConnectTimeoutError, ssl.SSLCertVerificationError)
    return any(isinstance(one, before) for one in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk through everything that an exception wraps: urllib3 hides the reason in arguments and attributes."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop()
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]

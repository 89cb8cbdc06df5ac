"""Any request to ClinOne's API, with a token: no path, field or error of it is public (docs/clinone.md, requests).

    client.request("GET", "/some/path").json       a reply of moderate size
    client.stream("GET", "/some/path")             one that goes to a file
    client.check()                                 a token, and what it says; nothing else is known to be safe to call

What may be sent again:

    GET, HEAD     after a connection that failed or broke, and after 408, 429, 502, 503, 504
    all others    only where nothing can have arrived, since no connection came about; or where the caller says that the
                  request may be repeated
    all           after 401, once, with another token

Whatever else such a request ends in, a 5xx, a redirect and a web page included, leaves open what it did, and is an
AmbiguousSubmitError.
"""

from __future__ import annotations

import json as json_module
import logging
import re
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from airflow_provider_openclinica.client.clinone.failures import LOOK, failure_in
from airflow_provider_openclinica.client.clinone.replies import Reply, StreamedReply
from airflow_provider_openclinica.client.clinone.scopes import missing, scopes_in
from airflow_provider_openclinica.client.clinone.signing import Signed, load_signer
from airflow_provider_openclinica.client.retries import PATIENCE_SECONDS, Tries
from airflow_provider_openclinica.client.token_request import claims_of
from airflow_provider_openclinica.client.transport import (
    CONNECT_SECONDS,
    keep_out_of_logs,
    never_left,
    new_session,
    transport_error,
)
from airflow_provider_openclinica.errors import AmbiguousSubmitError, ConfigurationError, ServerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_openclinica.client.clinone.settings import ClinOneSettings
    from airflow_provider_openclinica.client.clinone.signing import Signer
    from airflow_provider_openclinica.client.tokens import TokenManager

log = logging.getLogger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
QUESTIONS = frozenset({"GET", "HEAD"})  #: they change nothing
MOST_BYTES = 16 << 20  #: of a reply that is kept in memory
_BUSY = frozenset({408, 429, 502, 503, 504})
_NO_PATH = re.compile(r"[\x00-\x1f\x7f\\?#]|//")


@dataclass(frozen=True, slots=True)
class Access:
    """What a token says of itself, unverified.

    :param scopes: what it allows; empty where it does not say.
    :param ends: when it ends, in seconds since 1970; None where it does not say.
    """

    scopes: tuple[str, ...]
    ends: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A request that was checked."""

    method: str
    url: str
    query: Mapping[str, Any] | None
    body: bytes | None
    repeatable: bool
    function_group: str
    signer: Signer | None

    @property
    def doing(self) -> str:
        """What is asked for, without the path: that may name a participant."""
        return f"the {self.method} request"


class ClinOneClient:
    """Calls one ClinOne. Safe in threads; each request has a connection of its own. No I/O before the first call.

    :param settings: the server and the client.
    :param tokens: gives out the token, and renews it.
    :param sleep: how to wait between tries; one that raises ends them.
    :param patience: seconds; no try of a request begins later than this after the first.
    """

    def __init__(
        self,
        settings: ClinOneSettings,
        tokens: TokenManager,
        *,
        sleep: Callable[[float], None] = time.sleep,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.settings, self.tokens = settings, tokens
        self._sleep, self._patience = sleep, patience
        self._advised: set[str] = set()
        keep_out_of_logs(settings.host_and_port)

    def check(self) -> Access:
        """Get a token, and tell what it says. No path of the API is known that could be called besides.

        :raises OpenClinicaError: as `TokenManager.token` does.
        """
        token = self.tokens.token()
        end = claims_of(token).get("exp")
        return Access(scopes_in(token), float(end) if isinstance(end, int | float) else None)

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
        """Send a request and return its reply, of a status below 300.

        :param method: ``GET``, ``HEAD``, ``POST``, ``PUT``, ``PATCH`` or ``DELETE``.
        :param path: below the base URL, what is special in its segments percent-encoded.
        :param query: query parameters; None leaves one out.
        :param json: the body: an object or a list; None for none.
        :param function_group: that of ClinOne's scopes the path belongs to; names it, and one warning says when the
            token seems to lack what the method takes.
        :param repeatable: whether the request may arrive twice. Default: GET and HEAD may, others not.
        :raises ConfigurationError: an argument or the connection cannot work; nothing was sent.
        :raises CredentialsError: a renewed token is refused as well.
        :raises RoleError: status 403.
        :raises NotFoundError: status 404 or 410.
        :raises RateLimitError: status 429, of GET and HEAD still after the last try.
        :raises ServerUnavailableError: no connection, or a busy server, after the last try.
        :raises AmbiguousSubmitError: it may have been taken, and it may not be repeated.
        :raises UnexpectedAnswerError: any other refusal; a redirect, a web page or more than 16 MiB in answer to what
            may be repeated.
        """
        call = self._call(method, path, query, json, function_group, repeatable)
        tries = Tries(self._sleep, patience=self._patience)
        while True:
            with closing(self._ask(call, tries)) as reply:
                try:
                    return Reply(reply.status, reply.headers, reply.read(MOST_BYTES))
                except ServerUnavailableError:  # of requests that may be repeated only
                    if not tries.wait():
                        raise

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        json: Any = None,
        function_group: str = "",
        repeatable: bool | None = None,
    ) -> Iterator[StreamedReply]:
        """Send a request and give its reply to be read; ``with`` holds its connection open.

        Parameters and errors are those of `request`. A body that breaks off is not asked for again here.
        """
        call = self._call(method, path, query, json, function_group, repeatable)
        with closing(self._ask(call, Tries(self._sleep, patience=self._patience))) as reply:
            yield reply

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        json: Any,
        function_group: str,
        repeatable: bool | None,
    ) -> _Call:
        """Check a request, its signer included, before a token is asked for."""
        if method not in METHODS:
            raise ConfigurationError(f"method is none of {', '.join(sorted(METHODS))}, in capitals")
        return _Call(
            method=method,
            url=self.settings.base_url + _checked_path(path),
            query=query,
            body=None if json is None else _encoded(json),
            repeatable=method in QUESTIONS if repeatable is None else repeatable,
            function_group=function_group,
            signer=load_signer(self.settings.signer) if self.settings.signer else None,
        )

    def _ask(self, call: _Call, tries: Tries) -> StreamedReply:
        """Send until there is a reply to go by."""
        token, renewed = self.tokens.token(), False
        self._advise(call, token)
        while True:
            try:
                reply = self._send(call, token)
            except ServerUnavailableError:
                if not tries.wait():
                    raise
                continue
            if reply.status == 401 and not renewed:
                reply.close()
                token, renewed = self.tokens.renew(token), True
            elif reply.status in _BUSY and call.repeatable and tries.wait(reply.headers.get("Retry-After")):
                reply.close()
            elif reply.status >= 300 or reply.is_page:
                reply.close()
                raise failure_in(reply.status, call.doing, repeatable=call.repeatable)
            else:
                return reply

    def _send(self, call: _Call, token: str) -> StreamedReply:
        """Send a request once.

        :raises ServerUnavailableError: it may be sent again, for nothing arrived or that does no harm.
        :raises AmbiguousSubmitError: it may have arrived.
        """
        headers = {"Accept": "application/json"} | ({"Content-Type": "application/json"} if call.body else {})
        session = new_session()
        try:
            response = session.request(
                call.method,
                call.url,
                params=call.query,
                data=call.body,
                headers=headers,
                auth=Signed(token, call.signer, self.settings),
                verify=self.settings.verify,
                timeout=(CONNECT_SECONDS, self.settings.request_timeout),
                allow_redirects=False,
                stream=True,
            )
        except OSError as error:
            session.close()
            broken = transport_error(
                error, call.doing, self.settings.host_and_port.rpartition(":")[0], service="ClinOne"
            )
            if call.repeatable or never_left(error):
                raise broken from None
            raise AmbiguousSubmitError(
                f"The connection was lost after {call.doing} had begun", meaning=broken.meaning, next_step=LOOK
            ) from None
        except BaseException:
            session.close()
            raise
        return StreamedReply(response, session, repeatable=call.repeatable)

    def _advise(self, call: _Call, token: str) -> None:
        """Warn, once, when the token seems to lack what a request takes. The server decides."""
        advice = missing(scopes_in(token), call.function_group, call.method)
        if advice and advice not in self._advised:
            self._advised.add(advice)
            log.warning("ClinOne may refuse this: %s. Scopes are assigned by ClinOne's staff.", advice)


def _checked_path(path: object) -> str:
    """Refuse what would lead elsewhere than below the base URL, and take the token with it."""
    if not isinstance(path, str) or not path.strip("/"):
        raise ConfigurationError("path is empty, or no text, once it is rendered")
    if _NO_PATH.search(path) or any(unquote(segment) in {".", ".."} for segment in path.split("/")):
        raise ConfigurationError(
            "path is no path below the base URL",
            next_step="Give no scheme, host, //, ? or #, and no segment of dots; what follows a ? goes into query, and "
            "special characters of an ID are percent-encoded.",
        )
    return "/" + path.lstrip("/")


def _encoded(json: object) -> bytes:
    if not isinstance(json, dict | list):
        raise ConfigurationError("json is neither an object nor a list, once it is rendered")
    try:
        return json_module.dumps(json, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise ConfigurationError("json holds something that cannot be written as JSON") from None

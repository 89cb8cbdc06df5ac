"""Calls to the two web applications: what goes out, what may be repeated, and what a failure is.

    Web(settings, sleep=…).send("GET", url, about)    a StreamedAnswer; ``with closing(…)``

What may be sent again (docs/protocol3.md, failures): a GET after a connection that failed or broke and after 502, 503
and 504; after 500 once, for that may be the server's answer to a wrong OID. Of SOAP, the questions, but not after 500,
which is how it refuses. Nothing else, ever. Redirects are never followed: they are answers here.
"""

from __future__ import annotations

import time
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from requests.auth import AuthBase

from airflow_provider_openclinica.client.http import HEAD_BYTES, About, StreamedAnswer
from airflow_provider_openclinica.client.retries import PATIENCE_SECONDS, Tries
from airflow_provider_openclinica.client.transport import CONNECT_SECONDS, never_left, new_session, transport_error
from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    NotAvailableError,
    NotFoundError,
    OpenClinicaError,
    RateLimitError,
    RoleError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from airflow_provider_openclinica.client.openclinica3.settings import Settings3

JSON = "application/json"
BUSY = frozenset({429, 502, 503, 504})


class NoAuth(AuthBase):
    """Send no Authorization header: without an ``auth``, requests would take one from a ``.netrc``."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Leave the request as it is, as requests asks of an ``auth``."""
        return request


class Web:
    """A requests session that keeps its cookies, or drops them all. Not for use in several threads.

    :param settings: the server.
    :param sleep: how to wait between tries; one that raises ends them.
    :param keep_cookies: whether the server may know us again.
    :param patience: seconds; no try of a request begins later than this after the first.
    """

    def __init__(
        self,
        settings: Settings3,
        *,
        sleep: Callable[[float], None] = time.sleep,
        keep_cookies: bool = False,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.settings, self._sleep, self._patience = settings, sleep, patience
        self._session = new_session()
        if keep_cookies:
            self._session.cookies.set_policy(DefaultCookiePolicy())

    @property
    def has_cookies(self) -> bool:
        """Tell whether the server has given us any."""
        return bool(len(self._session.cookies))

    def send(
        self,
        method: str,
        url: str,
        about: About,
        *,
        accept: str = "*/*",
        auth: AuthBase | None = None,
        harmless: bool = False,
        repeat: bool = False,
        once: bool = False,
        **request: Any,
    ) -> StreamedAnswer:
        """Send a request and return the answer, whatever its status. The caller closes it.

        :param about: what the call is about, for its errors.
        :param harmless: it is no GET, and whether it arrived does not matter.
        :param repeat: it is no GET, and may be repeated like one, but for status 500.
        :param once: it is a GET, and not worth repeating.
        :param request: ``params``, ``json``, ``data``, ``headers``, as requests takes them.
        :raises AmbiguousSubmitError: the connection broke after it was made, over a request that is not harmless.
        :raises ServerUnavailableError: no connection.
        :raises ConfigurationError: the certificate is not trusted, or the address is none.
        """
        tries, failed, is_get = Tries(self._sleep, patience=self._patience), 0, method == "GET"
        harmless, repeat = harmless or repeat or is_get, (repeat or is_get) and not once
        request["headers"] = {"Accept": accept, **request.get("headers", {})}
        while True:
            try:
                streamed = self._once(method, url, about, auth or NoAuth(), harmless, request)
            except ServerUnavailableError:
                if not repeat or not tries.wait():
                    raise
                continue
            status = streamed.answer.status
            failed += status == 500
            if not repeat or not (status in BUSY or (is_get and status == 500 and failed == 1)):
                return streamed
            if not tries.wait(streamed.answer.headers.get("Retry-After")):
                return streamed
            streamed.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _once(
        self, method: str, url: str, about: About, auth: AuthBase, harmless: bool, request: dict[str, Any]
    ) -> StreamedAnswer:
        try:
            response = self._session.request(
                method,
                url,
                auth=auth,
                verify=self.settings.verify,
                timeout=(CONNECT_SECONDS, self.settings.request_timeout),
                allow_redirects=False,
                stream=True,
                **request,
            )
            return StreamedAnswer(response, HEAD_BYTES, about)
        except OSError as error:
            broken = transport_error(error, about.doing, urlsplit(url).hostname or "")
            if harmless or not isinstance(broken, ServerUnavailableError) or never_left(error):
                raise broken from None
            raise AmbiguousSubmitError(
                f"The connection was lost after {about.doing} had begun",
                meaning=broken.meaning,
                study=about.study,
                site=about.site,
                next_step="Look in OpenClinica whether it is there, before anybody sends it again.",
            ) from None


def is_down(status: int) -> bool:
    """Tell a server that fails, or a gateway before it, from a refusal. Gateways have 520 to 530 of their own."""
    return status == 429 or status >= 500


def doubtful(about: About, status: int = 0) -> AmbiguousSubmitError:
    """Return the error for a write of which nobody knows what became."""
    return AmbiguousSubmitError(
        f"OpenClinica, or a gateway before it, failed at {about.doing}",
        status=status,
        study=about.study,
        next_step="Look in OpenClinica whether it is there, before anybody sends it again.",
    )


def failure(streamed: StreamedAnswer, about: About) -> OpenClinicaError:
    """Return the error that an answer is, for one that cannot be anything else. It is not quoted."""
    status = streamed.answer.status
    what = f"OpenClinica refused {about.doing}"
    where: dict[str, Any] = {"study": about.study, "site": about.site, "status": status}
    if status == 204:
        return NotAvailableError(
            f"OpenClinica answered with nothing to {about.doing}",
            **where,
            meaning="so it does where the account's role in the study was removed, or where it does not take these "
            "selectors together",
        )
    if status == 403:
        return RoleError(
            what,
            **where,
            meaning="the account has no role in this study",
            next_step="Ask the data manager for the role.",
        )
    if status == 404:
        return NotFoundError(what, **where, next_step="Check host and ws_url in the connection: nothing is there.")
    if status == 429:
        return RateLimitError(what, **where)
    if status == 500:
        return ServerUnavailableError(
            f"OpenClinica failed at {about.doing}",
            **where,
            meaning="which is also its answer about a study, a participant or an event that it does not have, and "
            "about a role that was removed",
            next_step="Check the OIDs and IDs, letter for letter, and the account's role. Where they are right, retry.",
        )
    if is_down(status):
        return ServerUnavailableError(f"OpenClinica is not available for {about.doing}", **where)
    return UnexpectedAnswerError(what, **where)

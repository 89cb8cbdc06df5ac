"""Ask OpenClinica's token server for a token, once, and read what it gives.

The vendor documents the call but not its answer (docs/protocol.md, tokens). In the field the whole body is the token;
a JSON string and a JSON object are read as well. The token is a JWT, and how long it lives stands in it: nothing else
may be believed. We do not verify its signature, that is the study server's business.

    PasswordSource(settings)  the way to ask that `TokenManager` is given: all of this together
    token_in(answer)          the token, or the error that the answer means
    expiry_of(token)          when it ends
    claims_of(token)          what it says
    post(url, …)              a call of any token server; an answer of any status

Other services have a `TokenSource` of their own. Neither password nor token appears in an error.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from urllib.parse import urlsplit

from airflow_provider_openclinica.client.answers import Answer
from airflow_provider_openclinica.client.transport import CONNECT_SECONDS, new_session, transport_error
from airflow_provider_openclinica.errors import (
    CredentialsError,
    OpenClinicaError,
    RateLimitError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from requests import PreparedRequest

    from airflow_provider_openclinica.client.addresses import ServerSettings

ANSWER_SECONDS = 30.0  #: how long the token server may be silent; no file is parsed here, so it may be short
MOST_BYTES = 64 * 1024  #: of an answer; a token has one or two thousand

_JWT = re.compile(r"[A-Za-z0-9_-]+\.(?P<claims>[A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*")
_NAMES = ("access_token", "accessToken", "token", "id_token")
_CHECK_AUTH_URL = "Check auth_url in the connection's extra: it must be the token endpoint itself."


class TokenSource(Protocol):
    """A way to ask for tokens: what differs between services. `TokenManager` keeps and shares what it gives."""

    service: ClassVar[str]  #: whose tokens these are, for messages and for the names of what is stored
    calls: ClassVar[int]  #: how many calls a minute its server allows; 0 where no limit is known

    @property
    def identity(self) -> tuple[str, ...]:
        """What a token is good for and whose it is. Nothing secret."""

    @property
    def server(self) -> tuple[str, ...]:
        """Who counts the calls: those who ask there take turns."""

    @property
    def secret(self) -> str:
        """What only those know who may ask; stored tokens are encrypted with it."""

    def ask(self) -> Answer:
        """Ask once, and return the answer, whatever its status.

        :raises ConfigurationError: the server's certificate is not trusted, or the address is none.
        :raises ServerUnavailableError: no answer came.
        """

    def read(self, answer: Answer, now: float) -> tuple[str, float]:
        """Return the token that an answer holds, and when it ends, in seconds since 1970.

        :param now: seconds since 1970, just after the answer came.
        :raises OpenClinicaError: the answer holds none, or does not tell when it ends.
        """


@dataclass(frozen=True, slots=True)
class PasswordSource:
    """OpenClinica 4: login and password as JSON, two calls a minute for each address (docs/protocol.md, tokens)."""

    service: ClassVar[str] = "OpenClinica"
    calls: ClassVar[int] = 2

    settings: ServerSettings

    @property
    def identity(self) -> tuple[str, ...]:
        """The study server, the token server and the account."""
        return self.settings.study_url, self.settings.auth_url, self.settings.login

    @property
    def server(self) -> tuple[str, ...]:
        """The token server: it counts by address, whichever account asks."""
        return (self.settings.auth_url,)

    @property
    def secret(self) -> str:
        """The password."""
        return self.settings.password

    def ask(self) -> Answer:
        """Send login and password."""
        settings = self.settings
        login = {"username": settings.login, "password": settings.password}
        return post(settings.auth_url, verify=settings.verify, service=self.service, json=login)

    def read(self, answer: Answer, now: float) -> tuple[str, float]:  # noqa: ARG002 - a clock is not needed here
        """Read the token, and its end in its claims."""
        token = token_in(answer)
        return token, expiry_of(token)


def post(url: str, *, verify: bool | str, service: str, **body: Any) -> Answer:
    """Send credentials to a token server and return its answer, whatever its status.

    Redirects are not followed, cookies not kept, and a ``.netrc`` is not read.

    :param url: the token endpoint.
    :param verify: as in a connection.
    :param service: whose server it is, for errors.
    :param body: ``json`` or ``data``, as requests takes them.
    :raises ConfigurationError: the server's certificate is not trusted, or the address is none.
    :raises ServerUnavailableError: no answer came.
    """
    with new_session() as session:
        try:
            response = session.post(
                url, auth=_unchanged, verify=verify, timeout=(CONNECT_SECONDS, ANSWER_SECONDS), stream=True, **body
            )
            with response:
                content = b"".join(islice(response.iter_content(1024), MOST_BYTES // 1024))
        except OSError as error:
            raise transport_error(error, "a token", urlsplit(url).hostname or "", service=service) from None
    return Answer(response.status_code, response.headers, content.decode("utf-8", "replace"))


def _unchanged(request: PreparedRequest) -> PreparedRequest:
    """Stand in for requests' own authentication, which would look into ``.netrc``."""
    return request


def token_in(answer: Answer) -> str:
    """Return the token that an answer of the token server holds.

    :raises CredentialsError: login or password is refused.
    :raises RateLimitError: status 429.
    :raises ServerUnavailableError: the token server says that it is down.
    :raises UnexpectedAnswerError: a redirect, a page, or anything else in which no token can be read.
    """
    if answer.status == 200 and (token := _read(answer.body.strip())):
        return token
    raise _error_in(answer)


def _read(text: str) -> str:
    """Find the token in the text, in whichever dress it comes."""
    found: object = text
    if text.startswith(('"', "{")):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return ""
    if isinstance(found, dict):
        found = next((found[name] for name in _NAMES if found.get(name)), "")
    return found if isinstance(found, str) and _JWT.fullmatch(found) else ""


def _error_in(answer: Answer) -> OpenClinicaError:
    status = answer.status
    if status in {400, 401, 403}:
        return CredentialsError("The token server refused login and password", status=status)
    if status == 429:
        return RateLimitError("The token server allows two calls a minute for each address", status=status)
    if status >= 500:
        return ServerUnavailableError("The token server failed, or is down", status=status)
    if 300 <= status < 400:
        what = "The token server redirects to another address, and a password is not sent after it"
    elif status == 200:
        what = "The token server answered without a token"
    else:
        what = "There is no token server at this address"
    return UnexpectedAnswerError(what, status=status, next_step=_CHECK_AUTH_URL)


def expiry_of(token: str) -> float:
    """Return the moment at which a token ends, in seconds since 1970: its claim ``exp``.

    :raises UnexpectedAnswerError: there is no such claim. OpenClinica's own filter needs one, so what we were given is
        no OpenClinica token; using it without knowing its end would cost a token call for each process and failure.
    """
    try:
        expiry = float(claims_of(token)["exp"])
    except (ValueError, KeyError, TypeError, OverflowError):
        expiry = math.nan
    if not math.isfinite(expiry):
        raise UnexpectedAnswerError("The token server gave a token that does not tell when it ends")
    return expiry


def claims_of(token: str) -> dict[str, Any]:
    """Return what a token says of itself, unverified; nothing where it is no JWT."""
    parts = _JWT.fullmatch(token)
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts["claims"] + "==")) if parts else None
    except (ValueError, RecursionError, binascii.Error):
        claims = None
    return claims if isinstance(claims, dict) else {}

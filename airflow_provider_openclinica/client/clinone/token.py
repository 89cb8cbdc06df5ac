"""How ClinOne hands out tokens: OAuth2 client credentials, sent as a form (docs/clinone.md, tokens).

    ClientCredentials(settings)   the way to ask that `TokenManager` is given

A token ends when the reply says so (``expires_in``, else ``expires_on``), or its own claim ``exp``. A refusal is told
by its OAuth error and, where there is one, the identity platform's code; the description is not repeated. Neither
secret nor token appears in an error.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_openclinica.client.token_request import claims_of, post
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    CredentialsError,
    OpenClinicaError,
    RateLimitError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.answers import Answer
    from airflow_provider_openclinica.client.clinone.settings import ClinOneSettings

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_ERROR = re.compile(r"[a-z][a-z_]{1,40}")
_PLATFORM_CODE = re.compile(r"AADB2C\d{5,7}")
WRONG_SCOPE = "AADB2C90085"  #: a scope that is not spelled as the tenant has it is a known cause

_CHECK_CLIENT = (
    "Check login and password in the Airflow connection: they are ID and secret of an External Client, and ClinOne "
    "shows a secret only once. Make a new secret if it is lost."
)
_CHECK_SCOPE = "Check scope and auth_url in the connection's extra, letter for letter, with what ClinOne gave you."
_CHECK_AUTH_URL = (
    "Check auth_url in the connection's extra: it must be the token endpoint itself, with tenant and policy."
)


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """ClinOne: ID and secret of a client, for as many calls as it answers; no limit is published."""

    service: ClassVar[str] = "ClinOne"
    calls: ClassVar[int] = 0

    settings: ClinOneSettings

    @property
    def identity(self) -> tuple[str, ...]:
        """The token server, the client and what it asks for."""
        return "clinone", self.settings.auth_url, self.settings.client_id, self.settings.scope

    @property
    def server(self) -> tuple[str, ...]:
        """Those who ask for the same token take turns, so that one asks for all."""
        return self.identity

    @property
    def secret(self) -> str:
        """The client's secret."""
        return self.settings.client_secret

    def ask(self) -> Answer:
        """Send the client's ID and secret, as a form."""
        settings = self.settings
        form = {
            "grant_type": "client_credentials",
            "client_id": settings.client_id,
            "client_secret": settings.client_secret,
            "scope": settings.scope,
        }
        return post(settings.auth_url, verify=settings.verify, service=self.service, data=form)

    def read(self, answer: Answer, now: float) -> tuple[str, float]:
        """Read the token, and its end.

        :raises CredentialsError: the client or its secret is refused.
        :raises ConfigurationError: the scope, or something else that the connection says, is refused.
        :raises RateLimitError: status 429.
        :raises ServerUnavailableError: the token server says that it is down.
        :raises UnexpectedAnswerError: a redirect, a page, or anything else in which no token can be read.
        """
        granted = answer.json
        if answer.status != 200 or not isinstance(granted, dict):
            raise _error_in(answer)
        token, kind = granted.get("access_token"), granted.get("token_type", "Bearer")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise _error_in(answer)
        if not isinstance(kind, str) or kind.casefold() != "bearer":
            raise UnexpectedAnswerError("The token server gave a token that is no bearer token")
        return token, _end_of(granted, token, now)


def _end_of(granted: dict[str, Any], token: str, now: float) -> float:
    """Return when a token ends; how long it lives is believed before a moment, for clocks differ."""
    ends = (
        now + _number(granted.get("expires_in")),
        _number(granted.get("expires_on")),
        _number(claims_of(token).get("exp")),
    )
    end = next((end for end in ends if math.isfinite(end)), None)
    if end is None:
        raise UnexpectedAnswerError("The token server gave a token, and does not tell when it ends")
    return end


def _number(written: object) -> float:
    """Read a number, also one that is written as text; NaN for anything else."""
    if isinstance(written, bool) or not isinstance(written, int | float | str):
        return math.nan
    try:
        return float(written)
    except (ValueError, OverflowError):
        return math.nan


def _error_in(answer: Answer) -> OpenClinicaError:
    status, (error, code) = answer.status, _refusal(answer)
    if code == WRONG_SCOPE or error in {"invalid_scope", "unsupported_grant_type"}:
        what = "The token server refused what the connection asks for"
        return ConfigurationError(what, status=status, code=_joined(error, code), next_step=_CHECK_SCOPE)
    if status in {400, 401, 403}:
        what = "The token server refused client ID and secret"
        return CredentialsError(what, status=status, code=_joined(error, code), next_step=_CHECK_CLIENT)
    if status == 429:
        return RateLimitError("The token server asks for fewer calls", status=status)
    if status >= 500:
        return ServerUnavailableError("The token server failed, or is down", status=status)
    if 300 <= status < 400:
        what = "The token server redirects to another address, and a secret is not sent after it"
    elif status == 200:
        what = "The token server answered without a token"
    else:
        what = "There is no token server at this address"
    return UnexpectedAnswerError(what, status=status, next_step=_CHECK_AUTH_URL)


def _refusal(answer: Answer) -> tuple[str, str]:
    """Return the OAuth error and the platform's code; ``""`` where there is none."""
    told = answer.json if isinstance(answer.json, dict) else {}
    error, description = told.get("error"), told.get("error_description")
    found = _PLATFORM_CODE.search(description) if isinstance(description, str) else None
    return error if isinstance(error, str) and _ERROR.fullmatch(error) else "", found[0] if found else ""


def _joined(error: str, code: str) -> str:
    return " ".join(filter(None, (error, code)))

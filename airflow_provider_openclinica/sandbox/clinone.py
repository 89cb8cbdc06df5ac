"""A ClinOne to develop against: what is public of it, which is a token endpoint and nothing of the API itself.

So the API echoes what it is asked, and answers what somebody planned. Its one External Client is made up.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import jwt

if TYPE_CHECKING:
    from collections.abc import Mapping

ALGORITHM = "HS256"
CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox"  # noqa: S105 - printed at the start, for invented data
SCOPE = "https://sandbox.onmicrosoft.com/clinoneapi/.default"


class Refused(Exception):  # noqa: N818 - an answer
    """No token is given.

    :param error: as OAuth2 names it.
    """

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(error)
        self.status, self.error, self.description = status, error, description


class ClinOne:
    """Its tokens, and the replies that were planned."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Go back to how it was started: no token is good any more, and no reply planned."""
        self.scopes = ["api.patient.read"]  # the vendor's example; the sign between the parts is a guess
        self.seconds = 3600.0
        self.replies: dict[str, tuple[int, Any]] = {}
        self.revoke()

    def revoke(self) -> None:
        """Let no token be good that was handed out before."""
        self._key = secrets.token_hex(32)

    def grant(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Give a token for client credentials, as the identity platform writes it.

        :raises Refused: something in the form is wrong.
        """
        if form.get("grant_type") != "client_credentials":
            raise Refused(400, "unsupported_grant_type", "The grant type is not supported.")
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            raise Refused(401, "invalid_client", "The client or its secret is not known.")
        if form.get("scope") != SCOPE:
            raise Refused(400, "invalid_request", "AADB2C90085: The service has encountered an internal error.")
        now = int(time.time())
        end = int(now + self.seconds)
        claims = {"aud": "sandbox", "azp": CLIENT_ID, "sub": CLIENT_ID, "iat": now, "nbf": now, "exp": end}
        token = jwt.encode(claims | {"scp": " ".join(self.scopes)}, self._key, algorithm=ALGORITHM)
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": end - now,
            "not_before": now,
            "expires_on": end,
            "resource": "sandbox",
        }

    def accepts(self, header: str) -> bool:
        """Tell whether an ``Authorization`` header holds a token that is good."""
        kind, _, token = header.partition(" ")
        try:
            jwt.decode(token, self._key, algorithms=[ALGORITHM], audience="sandbox", options={"require": ["exp"]})
        except jwt.InvalidTokenError:
            return False
        return kind.lower() == "bearer"

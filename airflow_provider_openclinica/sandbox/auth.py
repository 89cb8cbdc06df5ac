"""Tokens: how they are handed out, and what becomes of a request without a good one (docs/protocol.md, tokens)."""

from __future__ import annotations

import json as json_module
import secrets
import threading
import time
from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import jwt
from starlette.responses import PlainTextResponse, Response

from airflow_provider_openclinica.sandbox.answers import Answered, html, json

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider_openclinica.sandbox.accounts import Account, Accounts
    from airflow_provider_openclinica.sandbox.state import State

ALGORITHM = "HS256"
REALM = "openclinica-sandbox"
CONTEXT = "https://www.openclinica.com/userContext"
COOKIE = "JSESSIONID"
NEW_SESSION = "sandbox.session"
"""Where a request notes the session that its answer has to set a cookie for."""
LOGIN_PAGE = "/OpenClinica/sso/login"
SESSIONS_KEPT = 1000


class Reply(StrEnum):
    """How the token endpoint writes a token; which of these a server uses is not known."""

    PLAIN = "plain"
    QUOTED = "quoted"
    JSON = "json"


class Tokens:
    """Hands out tokens and recognises them.

    :param seconds: how long a token lives.
    :param rate: token calls allowed in any minute; 0 allows all.
    """

    def __init__(self, state: State, *, seconds: float, rate: int) -> None:
        self._state = state
        self._defaults = (seconds, rate)
        self._lock = threading.Lock()
        self._sessions: dict[str, str] = {}
        self._key = state.setting("token key", secrets.token_hex(32))
        self.reset()

    def reset(self) -> None:
        """Go back to how it was started; tokens handed out before stay good."""
        self.seconds, self.rate = self._defaults
        self.reply = Reply.PLAIN
        self._calls: deque[float] = deque()
        self._sessions.clear()

    def revoke(self) -> None:
        """Let no token be good that was handed out before, nor any session."""
        self._key = secrets.token_hex(32)
        self._state.set("token key", self._key)
        self._sessions.clear()

    def mint(self, account: Account, issuer: str) -> str:
        """Make a token."""
        now = time.time()
        claims = {
            "iss": issuer,
            "sub": account.uuid,
            "iat": int(now),
            "exp": int(now + self.seconds),
            "jti": secrets.token_hex(8),
            CONTEXT: {"userType": account.user_type, "userUuid": account.uuid, "username": account.login},
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM)

    def over_budget(self) -> bool:
        """Count a call of the token endpoint, and tell whether it is one too many in this minute."""
        with self._lock:
            now = time.monotonic()
            while self._calls and self._calls[0] <= now - 60:
                self._calls.popleft()
            if 0 < self.rate <= len(self._calls):
                return True
            self._calls.append(now)
            return False

    def claims(self, token: str) -> dict[str, Any]:
        """Read a token.

        :raises jwt.InvalidTokenError: it has expired, was tampered with, or is not ours.
        """
        return jwt.decode(token, self._key, algorithms=[ALGORITHM], options={"require": ["exp", "sub"]})

    def session(self, cookie: str | None) -> str | None:
        """Give the login whose session this is."""
        return self._sessions.get(cookie or "")

    def open_session(self, login: str) -> str:
        """Start a session and give its cookie."""
        with self._lock:
            while len(self._sessions) >= SESSIONS_KEPT:
                del self._sessions[next(iter(self._sessions))]
            cookie = secrets.token_hex(16).upper()
            self._sessions[cookie] = login
        return cookie


def token_answer(body: bytes, tokens: Tokens, accounts: Accounts, issuer: str) -> Response:
    """Answer a call of the token endpoint: 429 before anything is read, 400 for no such JSON, 401 for a wrong login."""
    if tokens.over_budget():
        return PlainTextResponse("Too Many Requests", 429)
    try:
        wanted = json_module.loads(body)
        login, password = wanted["username"], wanted["password"]
    except (ValueError, TypeError, KeyError):
        return json({"error": "invalid_request"}, status=400)
    account = accounts.check(login, password) if isinstance(login, str) and isinstance(password, str) else None
    if account is None:
        return json({"error": "unauthorized"}, status=401)
    token = tokens.mint(account, issuer)
    if tokens.reply is Reply.JSON:
        return json({"access_token": token, "token_type": "Bearer", "expires_in": int(tokens.seconds)})
    return PlainTextResponse(json_module.dumps(token) if tokens.reply is Reply.QUOTED else token)


def identify(request: Request, tokens: Tokens, accounts: Accounts, *, bare_status: int = 401) -> Account:
    """Tell who is asking, and note it with the request.

    :param bare_status: the status for a request without header and session: 500 where the controller needs a user to
        get anywhere, as those of jobs do.
    :raises Answered: 401, 302 or 500 for whom the server does not let in.
    """
    header = request.headers.get("authorization")
    if header is None:
        login = tokens.session(request.cookies.get(COOKIE))
        account = accounts.get(login) if login else None
        if account is None:
            raise Answered(html(bare_status, headers={"WWW-Authenticate": 'Basic realm="Protected"'}))
    else:
        account = _bearer(header, tokens, accounts)
        if tokens.session(request.cookies.get(COOKIE)) != account.login:
            request.scope[NEW_SESSION] = tokens.open_session(account.login)
    request.scope["user"] = account.login
    return account


def _bearer(header: str, tokens: Tokens, accounts: Accounts) -> Account:
    words = header.split()
    if len(words) != 2 or words[0].lower() != "bearer":
        raise Answered(Response(status_code=302, headers={"Location": LOGIN_PAGE}))
    try:
        claims = tokens.claims(words[1])
    except jwt.ExpiredSignatureError:
        raise Answered(_challenge("Token is not active")) from None
    except jwt.InvalidTokenError:
        raise Answered(_challenge("Invalid token signature")) from None
    context = claims.get(CONTEXT)
    account = accounts.by_uuid(str(context.get("userUuid"))) if isinstance(context, dict) else None
    if account is None:
        raise Answered(html(500))
    return account


def _challenge(description: str) -> Response:
    challenge = f'Bearer realm="{REALM}", error="invalid_token", error_description="{description}"'
    return html(401, headers={"WWW-Authenticate": challenge})

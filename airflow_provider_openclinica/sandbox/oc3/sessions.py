"""Sessions of the web page, of which each account has one, and API keys (docs/protocol3.md, sessions and api key)."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

from airflow_provider_openclinica.sandbox.auth import SESSIONS_KEPT, Tokens


@dataclass(slots=True)
class Session:
    """What a cookie stands for.

    :param login: whose it is; empty for nobody's.
    :param is_by_form: whether somebody has logged in; else it comes from calls with a key, and opens no pages.
    :param wanted: the address that was refused to nobody, and that a login leads to.
    :param is_displaced: another login of the same account has ended it.
    """

    id: str
    login: str = ""
    is_by_form: bool = False
    wanted: str = ""
    is_displaced: bool = False


class Sessions:
    """All sessions there are."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Session] = {}

    def find(self, cookie: str | None) -> Session | None:
        """Give the session of a cookie, an ended one too."""
        return self._open.get(cookie or "")

    def open(self, login: str = "", *, by_form: bool = False) -> Session:
        """Begin a session; whoever logs in ends the others that the account has logged in to."""
        with self._lock:
            while len(self._open) >= SESSIONS_KEPT:
                del self._open[next(iter(self._open))]
            for session in self._open.values() if by_form else ():
                session.is_displaced = session.is_displaced or (session.is_by_form and session.login == login)
            opened = Session(secrets.token_hex(16).upper(), login, by_form)
            self._open[opened.id] = opened
        return opened

    def drop(self, session: Session) -> None:
        """Forget a session."""
        with self._lock:
            self._open.pop(session.id, None)


class Credentials(Tokens):
    """Sessions and API keys. What makes tokens of version 4 void does so here too."""

    sessions: Sessions

    def reset(self) -> None:
        """Let nobody be logged in; keys stay good."""
        super().reset()
        self.sessions = Sessions()

    def revoke(self) -> None:
        """End all sessions, and give every account another key."""
        super().revoke()
        self.sessions = Sessions()

    def api_key(self, login: str) -> str:
        """Give the key of an account."""
        return uuid5(NAMESPACE_URL, f"{self._key}:{login}").hex

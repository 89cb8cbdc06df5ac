"""One token for everybody who may use it.

OpenClinica allows two token calls a minute for each address and lets a token live for hours (docs/protocol.md, tokens).
Airflow runs each task in a process of its own, so a token is looked for in layers, nearest first, and asked for only
where all are empty:

    memory      this process; a trigger's polls never leave it
    shelf       all processes of this host (client/token_shelf.py)
    stores      whatever the caller adds, for the whole deployment (hooks/token_variable.py)

How a token is asked for is a `TokenSource` (client/token_request.py), so that other services are served as well. Where
several processes find nothing, one asks and the others wait for what it gets. What leaves the process is encrypted with
a key made from the connection's password: only those who could ask for a token can read it, and a new password makes
every stored token unreadable. The ciphertext is as hard to guess as that password.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import random
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeGuard

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from airflow_provider_openclinica.client.addresses import ServerSettings
from airflow_provider_openclinica.client.retries import parse_retry_after
from airflow_provider_openclinica.client.token_request import PasswordSource
from airflow_provider_openclinica.client.token_shelf import FileShelf, MemoryShelf
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    OpenClinicaError,
    RateLimitError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from airflow_provider_openclinica.client.token_request import TokenSource
    from airflow_provider_openclinica.client.token_shelf import Shelf, Turn

log = logging.getLogger(__name__)

PATIENCE = 75.0  #: seconds to wait for a turn; a minute's budget frees itself within
HOLD = 30.0  #: seconds to wait after a 429 that does not say how long
LEAD = 120.0  #: seconds before its end at which a token is renewed; a tenth of its life where that is less
_GLANCE = 5.0  #: seconds after which a waiting process looks again whether somebody else got a token


class TokenStore(Protocol):
    """A place that more than one host can reach. It is given ciphertext only; a store that fails is an empty one."""

    def load(self, key: str) -> str | None:
        """Return what was saved under the key; None where nothing was, or it cannot be had."""

    def save(self, key: str, text: str) -> None:
        """Keep the text under the key, where possible."""


@dataclass(frozen=True, slots=True)
class _Token:
    """A token and when to part with it, in seconds since 1970."""

    text: str = field(repr=False)
    renew_at: float

    @classmethod
    def received(cls, text: str, expiry: float, now: float) -> _Token:
        """Take a token as it comes from the token server, with its end."""
        if expiry <= now:
            raise UnexpectedAnswerError(
                f"The token server gave a token that ended {now - expiry:.0f} s ago by this machine's clock",
                next_step="Set this machine's clock; if it is right, ask whoever runs the token server.",
            )
        return cls(text, expiry - min(LEAD, (expiry - now) / 10))


class TokenManager:
    """Gives out the token of one account on one server. Safe in threads; no I/O before the first call.

    :param settings: the server and the account of an OpenClinica 4, or another way to ask for tokens.
    :param stores: where tokens lie besides this host, in the order in which to look.
    :param cache_dir: folder that the processes of this host share; None: nothing leaves this process.
    :param sleep: what waits; may raise, to end the wait of a task that is killed.
    :param clock: seconds since 1970.
    :param patience: the longest wait for a turn at the token server, in seconds.
    :param seen: is told each token that comes into use, to keep it out of logs.
    """

    def __init__(
        self,
        settings: ServerSettings | TokenSource,
        *,
        stores: Sequence[TokenStore] = (),
        cache_dir: Path | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
        patience: float = PATIENCE,
        seen: Callable[[str], None] = lambda _token: None,
    ) -> None:
        source: TokenSource = PasswordSource(settings) if isinstance(settings, ServerSettings) else settings
        self._source, self._stores = source, stores
        self._sleep, self._clock, self._patience, self._seen = sleep, clock, patience, seen
        self._identity = _digest(*source.identity)
        self._shelf: Shelf = (
            FileShelf(cache_dir, _digest(*source.server), source.calls) if cache_dir else MemoryShelf(source.calls)
        )
        self._held: _Token | None = None

    def token(self) -> str:
        """Return a valid token, asking for one only where no layer has any.

        :raises CredentialsError: login or password is refused.
        :raises RateLimitError: no turn came within the patience; the message says how long to wait.
        :raises ServerUnavailableError: the token server cannot be reached or is down.
        :raises UnexpectedAnswerError: what answers is no token server, or not the right one.
        :raises ConfigurationError: TLS is refused, or the cache folder is not safe to use.
        """
        return self._obtain(refused="")

    def renew(self, refused: str) -> str:
        """Return a token other than the one a server has just refused: somebody else's newer one, or a new one.

        :param refused: the token that came with the refused request.
        :raises OpenClinicaError: as `token` does.
        """
        return self._obtain(refused)

    def recall(self, key: str) -> str:
        """Return a fact about this server that was remembered; ``""`` where none was. Nothing secret, nothing vital."""
        return self._facts().get(key, "")

    def remember(self, key: str, value: str) -> None:
        """Keep a small fact about this server beside the token, such as which import it has; never raises.

        It is called with a job's uuid at hand, which a full disk must not cost.
        """
        with suppress(ConfigurationError):
            facts = self._facts()
            if facts.get(key) != value:
                self._shelf.write(self._facts_name, json.dumps(facts | {key: value}))

    def _facts(self) -> dict[str, str]:
        try:
            facts = json.loads(self._shelf.read(self._facts_name))
        except (ValueError, RecursionError):
            return {}
        return {key: value for key, value in facts.items() if isinstance(value, str)} if isinstance(facts, dict) else {}

    @property
    def _facts_name(self) -> str:
        return f"{self._identity}.facts"

    def _obtain(self, refused: str) -> str:
        """Look, and where nothing is found take a turn and ask; while others have the turn, wait and look again."""
        give_up = self._clock() + self._patience
        while True:
            if found := self._near(refused) or self._far(refused):
                return found.text
            with self._shelf.turn(self._clock()) as turn:
                if turn and (found := self._near(refused)):  # it came while we waited for the turn
                    return found.text
                wait = turn.wait() if turn else 0.0
                minted = self._ask(turn) if turn and not wait else None
            if minted:
                self._publish(minted)  # a store may be slow: not within the turn
                return minted.text
            self._wait(wait, give_up)

    def _wait(self, seconds: float, give_up: float) -> None:
        """Sleep a while, with jitter, so that those who wait do not come back together."""
        now = self._clock()
        if now + seconds > give_up:
            raise self._out_of_patience(seconds)
        if seconds:
            log.info("Waiting for a turn at %s's token server, %.0f s more", self._source.service, seconds)
        self._sleep(min(seconds, _GLANCE) + random.uniform(0.02, 0.1))  # noqa: S311 (no secret hangs on it)

    def _out_of_patience(self, seconds: float) -> OpenClinicaError:
        if not seconds:
            return ServerUnavailableError("Another process asks for a token and gets none: the token server is slow")
        source = self._source
        what = f"No token: {source.service}'s token server asked for fewer calls"
        if source.calls:
            allowed = "two" if source.calls == 2 else str(source.calls)
            what = (
                f"No token: {source.service} allows {allowed} token calls a minute for each address, and they are spent"
            )
        return RateLimitError(
            what, next_step=f"Retry in {seconds:.0f} s. Use one connection for all tasks, so that they share its token."
        )

    def _ask(self, turn: Turn) -> _Token | None:
        """Spend one of this host's calls of the minute; None where the server answers that it was one too many."""
        turn.begin()
        try:
            answer = self._source.ask()
        except OpenClinicaError:
            turn.take_back()
            raise
        if answer.status == 429:
            turn.hold(parse_retry_after(answer.headers.get("Retry-After", "")) or HOLD)
            return None
        now = self._clock()
        minted = _Token.received(*self._source.read(answer, now), now)
        self._shelf.write(self._token_name, self._seal(minted))
        self._hold(minted)
        log.debug("A new %s token, to be renewed in %.0f s", self._source.service, minted.renew_at - now)
        return minted

    def _near(self, refused: str) -> _Token | None:
        """Look into this process, then onto this host's shelf."""
        if self._is_good(self._held, refused):
            return self._held
        shelved = self._unseal(self._shelf.read(self._token_name))
        if self._is_good(shelved, refused):
            return self._hold(shelved)
        return None

    def _far(self, refused: str) -> _Token | None:
        """Look into the stores; what is found there comes onto the shelf for the others."""
        for store in self._stores:
            sealed = store.load(self._store_key) or ""
            stored = self._unseal(sealed)
            if self._is_good(stored, refused):
                self._shelf.write(self._token_name, sealed)
                return self._hold(stored)
        return None

    def _is_good(self, token: _Token | None, refused: str) -> TypeGuard[_Token]:
        return token is not None and token.text != refused and self._clock() < token.renew_at

    def _hold(self, token: _Token) -> _Token:
        self._held = token
        self._seen(token.text)
        return token

    def _publish(self, token: _Token) -> None:
        for store in self._stores:
            store.save(self._store_key, self._seal(token))

    @property
    def _token_name(self) -> str:
        return f"{self._identity}.token"

    @property
    def _store_key(self) -> str:
        return f"{self._source.service.lower()}_token_{self._identity}"  # Airflow masks what has "token" in its name

    @cached_property
    def _cipher(self) -> Fernet:
        key = HKDF(SHA256(), length=32, salt=self._identity.encode(), info=b"airflow-provider-openclinica token 1")
        return Fernet(base64.urlsafe_b64encode(key.derive(self._source.secret.encode())))

    def _seal(self, token: _Token) -> str:
        return self._cipher.encrypt(json.dumps(asdict(token)).encode()).decode()

    def _unseal(self, sealed: str) -> _Token | None:
        """Decrypt; None for what is empty, cut, foreign or of an older password: it will be overwritten."""
        try:
            return _Token(**json.loads(self._cipher.decrypt(sealed.encode())))
        except (InvalidToken, ValueError, TypeError):
            return None


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

"""A token server on loopback that does what a test tells it to, and a clock that runs as fast as tests do."""

from __future__ import annotations

import base64
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_openclinica.client.addresses import ServerSettings
from airflow_provider_openclinica.client.tokens import TokenManager

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path


def jwt(**claims: Any) -> str:
    """Build a token with these claims and no real signature, as nobody here verifies one."""

    def part(content: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256'})}.{part(claims)}.c2lnbmF0dXJl"


class Clock:
    """Seconds since 1970 that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass(frozen=True)
class Reply:
    """What the server answers."""

    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """What the server was asked, and when by its clock."""

    at: float
    path: str
    headers: dict[str, str]
    body: str


class TokenServer:
    """Hands out a new token for each call, unless ``replies`` holds something else to say first.

    The socket listens from the start, so that processes can be forked before the thread that answers runs.
    """

    def __init__(
        self,
        *,
        seconds: float = 14400,
        clock: Callable[[], float] = time.time,
        delay: float = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.seconds, self.clock, self.delay, self.scheme = seconds, clock, delay, "https" if tls else "http"
        self.replies: list[Reply] = []
        self.calls: list[Call] = []
        self.given: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self._server.server_address[1]}/user-service/api/oauth/token"

    def settings(self, **changed: Any) -> ServerSettings:
        said = {"login": "nightly", "password": "correct horse battery", "auth_url": self.url} | changed
        return ServerSettings.from_parts(host="http://127.0.0.1:1", **said)

    def answer(self, call: Call) -> Reply:
        self.calls.append(call)
        time.sleep(self.delay)
        if self.replies:
            return self.replies.pop(0)
        self.given.append(jwt(exp=self.clock() + self.seconds, number=len(self.given)))
        return Reply(200, self.given[-1])

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                reply = server.answer(Call(server.clock(), self.path, dict(self.headers), body))
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body.encode())))
                self.end_headers()
                self.wfile.write(reply.body.encode())

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Keep the test's output quiet."""

        return Handler


def manager(server: TokenServer, clock: Clock, folder: Path | None = None, **options: object) -> TokenManager:
    """What another process of this host would have."""
    login = {name: options.pop(name) for name in ("login", "password") if name in options}
    options = {"clock": clock, "sleep": clock.sleep, **options}
    return TokenManager(server.settings(**login), cache_dir=folder, **options)  # type: ignore[arg-type]

"""The outermost layer of the sandbox: notes each request, lets planned faults strike, and ends connections for real.

A connection is cut through its transport, which :class:`CuttableProtocol` hands to each request. An answer never
starts before the request has been read to its end, so that a client always gets to see it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from airflow_provider_openclinica.sandbox.answers import html, login_page
from airflow_provider_openclinica.sandbox.auth import COOKIE, LOGIN_PAGE, NEW_SESSION
from airflow_provider_openclinica.sandbox.faults import Fault, Faults, Kind

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOGGER = logging.getLogger(__name__)
ENTRY = "sandbox.entry"
"""Where a request finds its entry, to add what it knows."""
CONTROL = "/sandbox/"
TRANSPORT = "airflow_provider_openclinica.transport"
REQUESTS_KEPT = 20_000


class CuttableProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # uvicorn takes the fastest there is
    """HTTP that lets the application cut the connection a request came on."""

    app: Any

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Wrap the application for this connection."""
        super().connection_made(transport)
        self.app = _with_transport(self.app, transport)


def _with_transport(app: Any, transport: asyncio.Transport) -> Any:
    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "extensions": {TRANSPORT: transport}}, receive, send)

    return wrapped


class Requests:
    """What was asked, in order, without any secret: for tests and for the curious."""

    def __init__(self) -> None:
        self._kept: deque[dict[str, Any]] = deque(maxlen=REQUESTS_KEPT)

    def note(self, scope: Scope) -> dict[str, Any]:
        """Note a request that begins; the rest of its entry is filled in as it goes."""
        request = Request(scope)
        headers = dict(request.headers)
        if "authorization" in headers:
            headers["authorization"] = headers["authorization"].partition(" ")[0]
        if "cookie" in headers:
            headers["cookie"] = ", ".join(request.cookies)
        target = scope.get("raw_path", b"").decode("latin-1")
        entry = {
            "at": time.time(),
            "method": scope["method"],
            "path": scope["path"],
            "target": f"{target}?{request.url.query}" if request.url.query else target,
            "status": None,
            "user": None,
            "bytes": 0,
            "headers": headers,
            "files": [],
        }
        self._kept.append(entry)
        return entry

    def all(self) -> list[dict[str, Any]]:
        """Give all that are kept, oldest first."""
        return list(self._kept)

    def clear(self) -> None:
        """Forget them."""
        self._kept.clear()


class Exchange:
    """One request and its answer, as they pass."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, entry: dict[str, Any]) -> None:
        self.scope = scope
        self.entry = entry
        self._receive = receive
        self._send = send
        self._transport: asyncio.Transport = scope["extensions"][TRANSPORT]
        self._unread = True

    async def receive(self) -> Message:
        """Pass on what comes in, and count it."""
        message = await self._receive()
        self._unread = message.get("more_body", False)
        self.entry["bytes"] += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        """Pass on what goes out; before its first byte, read the rest of what comes in.

        :raises ClientDisconnect: nobody is there any more.
        """
        if self._transport.is_closing():
            raise ClientDisconnect
        if message["type"] == "http.response.start":
            await self.drain()
            self.entry.update(status=message["status"], user=self.scope.get("user"))
            if NEW_SESSION in self.scope:
                cookie = f"{COOKIE}={self.scope[NEW_SESSION]}; Path=/OpenClinica; HttpOnly"
                message["headers"] = [*message["headers"], (b"set-cookie", cookie.encode())]
        await self._send(message)

    async def send_late(self, seconds: float, message: Message) -> None:
        """Pass on what goes out, the first byte late."""
        if message["type"] == "http.response.start":
            await asyncio.sleep(seconds)
        await self.send(message)

    async def drain(self) -> None:
        """Read the request to its end."""
        while self._unread:
            await self.receive()

    async def cut(self, *, flush: bool = False) -> None:
        """End the connection.

        :param flush: let the client have what was sent so far.
        """
        if flush:
            self._transport.close()
        else:
            self._transport.abort()
        while (await self._receive())["type"] != "http.disconnect":
            pass


class Wire:
    """An ASGI application around another.

    :param login_page: where whoever is not logged in is led to.
    """

    def __init__(self, app: ASGIApp, faults: Faults, requests: Requests, login_page: str = LOGIN_PAGE) -> None:
        self._app = app
        self._login_page = login_page
        self._faults = faults
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request pass, or not."""
        if scope["type"] != "http" or scope["path"].startswith(CONTROL):
            await self._app(scope, receive, send)
            return
        entry = self._requests.note(scope)
        exchange = Exchange(scope, receive, send, entry)
        fault = self._faults.strike(scope["method"], scope["path"])
        scope[ENTRY] = entry
        try:
            await self._pass(exchange, fault)
        except ClientDisconnect:
            LOGGER.info("%s %s: the connection has gone", scope["method"], _name(scope))
        entry["user"] = scope.get("user")
        LOGGER.info("%s %s %s%s", scope["method"], _name(scope), entry["status"], f" ({fault.kind})" if fault else "")

    async def _pass(self, exchange: Exchange, fault: Fault | None) -> None:
        process = partial(self._app, exchange.scope, exchange.receive)
        match fault:
            case None:
                await process(exchange.send)
            case Fault(kind=Kind.DELAY):
                await process(partial(exchange.send_late, fault.seconds))
            case Fault(kind=Kind.CUT_BODY):
                await process(_Shortened(exchange, fault.size).send)
            case Fault(kind=Kind.DROP_BEFORE):
                await exchange.cut()
            case Fault(kind=Kind.DROP_AFTER):
                await process(_unheard)
                await exchange.cut()
            case Fault():
                if fault.processed:
                    await process(_unheard)
                await _instead(fault, self._login_page)(exchange.scope, exchange.receive, exchange.send)


async def _unheard(message: Message) -> None:
    """Let a part of an answer vanish."""


class _Shortened:
    """Sends an answer up to so many bytes of its body."""

    def __init__(self, exchange: Exchange, size: int) -> None:
        self._exchange = exchange
        self._left = size

    async def send(self, message: Message) -> None:
        body = message.get("body", b"")
        if len(body) <= self._left:
            self._left -= len(body)
            await self._exchange.send(message)
            return
        await self._exchange.send({**message, "body": body[: self._left], "more_body": True})
        await self._exchange.cut(flush=True)
        raise ClientDisconnect


def _instead(fault: Fault, login_page_path: str) -> Response:
    """Build the answer that a fault gives instead of the server's."""
    if fault.kind is Kind.REDIRECT:
        return Response(status_code=fault.status or 302, headers={"Location": login_page_path, **fault.headers})
    if fault.kind is Kind.HTML:
        return login_page(fault.status or 200)
    if fault.kind is Kind.CODE:
        return PlainTextResponse(fault.body, fault.status or 200, headers=fault.headers)
    status = fault.status or HTTPStatus.SERVICE_UNAVAILABLE
    return PlainTextResponse(fault.body, status, fault.headers) if fault.body else html(status, headers=fault.headers)


def _name(scope: Scope) -> str:
    """Name what was asked for without any OID, uuid or ID in it: the function that answers."""
    return getattr(scope.get("endpoint"), "__name__", "nothing known")

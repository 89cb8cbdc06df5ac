"""A server on loopback that says exactly the bytes it is told to, and a client that talks to it.

The sandbox stands for a well-behaved OpenClinica; this one for everything that networks and gateways do besides.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import responses
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from requests.structures import CaseInsensitiveDict

from airflow_provider_openclinica.client.addresses import ServerSettings
from airflow_provider_openclinica.client.client import OpenClinicaClient
from airflow_provider_openclinica.client.http import Http
from airflow_provider_openclinica.client.tokens import TokenManager

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Request:
    """What a client sent."""

    method: str
    path: str
    headers: CaseInsensitiveDict[str]
    body: bytes
    connection: int


Script = Callable[["Peer"], None]  # what to do when bytes arrive on a connection: it reads, writes, closes


class Peer:
    """The server's end of one connection."""

    def __init__(self, wire: Wire, connection: socket.socket, number: int) -> None:
        self.wire, self.socket, self.number = wire, connection, number
        self.reader = connection.makefile("rb")

    def read(self) -> Request:
        """Read one request to its end and note it down."""
        method, path, _ = self.reader.readline().decode().split()
        headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        while line := self.reader.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name] = value.strip()
        body = self.reader.read(int(headers.get("Content-Length", 0)))
        request = Request(method, path, headers, body, self.number)
        self.wire.requests.append(request)
        return request

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def close(self) -> None:
        self.reader.close()
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def reset(self) -> None:
        """Hang up in the middle, without a word."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.reader.close()
        self.socket.close()

    @property
    def is_open(self) -> bool:
        return self.socket.fileno() != -1


@dataclass
class Wire:
    """A server that runs one script for each request; when none is left it hangs up."""

    requests: list[Request] = field(default_factory=list)
    scripts: deque[Script] = field(default_factory=deque)
    connections: int = 0
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def will(self, *scripts: Script) -> None:
        self.scripts.extend(scripts)

    def heard(self, number: int = 1) -> bool:
        """Wait until that many requests were read: a client may give up before a slow machine has read one."""
        deadline = time.monotonic() + 20
        while len(self.requests) < number and time.monotonic() < deadline:
            time.sleep(0.01)
        return len(self.requests) == number

    def close(self) -> None:
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        if self.tls:
            try:
                connection = self.tls.wrap_socket(connection, server_side=True)
            except OSError:  # the client does not trust us
                return
        peer = Peer(self, connection, number)
        with suppress(OSError):
            while peer.is_open and peer.reader.peek(1):
                if not self.scripts:
                    break
                self.scripts.popleft()(peer)
        if peer.is_open:
            peer.close()


def response(status: int = 200, body: bytes | str = b"", **headers: str) -> bytes:
    """Spell a response; headers are given with underscores: ``Content_Type="text/html"``."""
    body = body.encode() if isinstance(body, str) else body
    fields = {"Content-Length": str(len(body))} | {name.replace("_", "-"): value for name, value in headers.items()}
    head = [
        f"HTTP/1.1 {status} {responses.get(status, 'Odd')}",
        *(f"{name}: {value}" for name, value in fields.items()),
    ]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def answer(status: int = 200, body: bytes | str = b"", **headers: str) -> Script:
    """Read a request, answer it, keep the connection."""

    def script(peer: Peer) -> None:
        peer.read()
        peer.send(response(status, body, **headers))

    return script


def drop_before_reading(peer: Peer) -> None:
    peer.reset()


def drop_after_reading(peer: Peer) -> None:
    peer.read()
    peer.reset()


def drop_in_the_status_line(peer: Peer) -> None:
    peer.read()
    peer.send(b"HTTP/1.1 2")
    peer.close()


def drop_in_the_headers(peer: Peer) -> None:
    peer.read()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-")  # Python takes that for an answer that is empty
    peer.close()


def drop_in_the_body(peer: Peer) -> None:
    peer.read()
    peer.send(response(200, "job uuid: ", Content_Length="46"))
    peer.close()


def fall_silent(peer: Peer) -> None:
    peer.read()
    peer.reader.peek(1)  # until the client hangs up


def jwt(number: int, seconds: float = 14_400) -> str:
    claims = json.dumps({"exp": time.time() + seconds, "number": number}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"


@pytest.fixture
def wire() -> Iterator[Wire]:
    """The study server."""
    server = Wire()
    yield server
    server.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody but its owner trusts; its key lies in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(signed.public_bytes(pem) + secret)
    return path


@pytest.fixture
def secure_wire(certificate: Path) -> Iterator[Wire]:
    """A study server that speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = Wire(tls=context)
    yield server
    server.close()


@pytest.fixture
def elsewhere() -> Iterator[Wire]:
    """A server that nobody configured."""
    server = Wire()
    yield server
    server.close()


@pytest.fixture
def token_server() -> Iterator[Wire]:
    """The build server: it gives a new token each time it is asked."""
    server = Wire()
    server.will(*(answer(200, jwt(number), Content_Type="text/plain") for number in range(10)))
    yield server
    server.close()


@pytest.fixture
def settings_with(wire: Wire, token_server: Wire) -> Callable[..., ServerSettings]:
    """Make settings for the study server, with what the test wants to be different."""

    def make(**parts: Any) -> ServerSettings:
        defaults = {"host": wire.url, "auth_url": token_server.url, "login": "ann", "password": "pa55word"}
        return ServerSettings.from_parts(**(defaults | {"request_timeout": 20.0} | parts))

    return make


@pytest.fixture
def naps() -> list[float]:
    """Every wait that was asked for; none is slept."""
    return []


@pytest.fixture
def http(settings_with: Callable[..., ServerSettings], naps: list[float]) -> Iterator[Http]:
    settings = settings_with()
    caller = Http(settings, TokenManager(settings), sleep=naps.append)
    yield caller
    caller.close()


@pytest.fixture
def client_with(
    settings_with: Callable[..., ServerSettings], naps: list[float]
) -> Iterator[Callable[..., OpenClinicaClient]]:
    """Make clients of the study server, with what the test wants to be different in their settings."""
    made: list[OpenClinicaClient] = []

    def make(**parts: Any) -> OpenClinicaClient:
        settings = settings_with(**parts)
        made.append(OpenClinicaClient(settings, TokenManager(settings), sleep=naps.append))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(client_with: Callable[..., OpenClinicaClient]) -> OpenClinicaClient:
    return client_with()

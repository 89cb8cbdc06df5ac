"""The least HTTP server that both sides of a comparison can talk to: it swallows uploads and gives out downloads.

It is a process of its own, so that its work weighs alike on whoever is measured. It keeps nothing and looks at nothing
but the length of a request. It prints its port, then serves until its standard input ends.
"""

from __future__ import annotations

import base64
import io
import json
import socket
import sys
import threading
import time

BLOCK = 1 << 20
UUID = "6c325687-c3c3-41f6-9b98-154ef3352cb1"


def token() -> bytes:
    """Return something that looks like a JWT and lives for an hour."""
    claims = base64.urlsafe_b64encode(json.dumps({"exp": int(time.time()) + 3600}).encode()).rstrip(b"=")
    return b"e30." + claims + b".c2ln"


def serve(connection: socket.socket, size: int) -> None:
    """Answer the requests of one connection."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = bytearray(BLOCK)
    with connection, io.BufferedReader(socket.SocketIO(connection, "r"), BLOCK) as incoming:
        while line := incoming.readline():
            length = 0
            while (header := incoming.readline()) not in (b"\r\n", b""):
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
                if name.lower() == b"expect":
                    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            while length:
                length -= incoming.readinto(memoryview(buffer)[: min(BLOCK, length)])
            answer(connection, line, size)


def answer(connection: socket.socket, line: bytes, size: int) -> None:
    """Answer a token call, a download or an upload."""
    if b"/oauth/token" in line:
        body, kind = token(), b""
    elif line.startswith(b"GET"):
        body, kind = b"", b"Content-Disposition: attachment; filename=log.csv\r\n"
    else:
        body, kind = f"job uuid: {UUID}".encode(), b""
    length = size if kind else len(body)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain;charset=UTF-8\r\n" + kind
    connection.sendall(head + f"Content-Length: {length}\r\n\r\n".encode() + body)
    block = bytes(BLOCK)
    for start in range(0, size if kind else 0, BLOCK):
        connection.sendall(block[: min(BLOCK, size - start)])


def main() -> None:
    """Listen on a free port of loopback; each download has as many bytes as the first argument says."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, int(sys.argv[1])), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()

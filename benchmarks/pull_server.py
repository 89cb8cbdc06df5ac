"""Three servers that give out a study over plain HTTP on loopback, each in a process of its own.

    length     a bare socket; the answer says how long it is, and goes out 16 MB at once, as fast as there is
    chunked    the same document in chunks of 8 KB, each sent by itself: so does Tomcat, in which OpenClinica runs
    sandbox    the sandbox of this project, which reads its database and writes the document while it sends

python -m benchmarks.pull_server KIND MEGABYTES    prints where it is; ends with its standard input
"""

from __future__ import annotations

import html
import json
import random
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from benchmarks.generate_odm import HEAD, TAIL, VALUES, participant
from benchmarks.sink import token

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from airflow_provider_openclinica.sandbox.study import Study

BLOCK_BYTES = 16_000_000
CHUNK_BYTES = 8 << 10
SEED = 20260105
VISITS, REPEATS = 4, 12  #: of a participant in the sandbox, and of each of their item groups that can repeat
PARTICIPANT_BYTES = 61_600  #: of such a one, as the sandbox exports them


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a study is, and who may have it. All its fields are JSON values."""

    study_url: str
    auth_url: str
    study_oid: str
    login: str = "benchmark"
    password: str = "benchmark"  # noqa: S105 - of a server that asks for none


@contextmanager
def served(kind: str, megabytes: int) -> Iterator[Place]:
    """Run a server."""
    command = [sys.executable, "-m", "benchmarks.pull_server", kind, str(megabytes)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    try:
        yield Place(**json.loads(process.stdout.readline()))
    finally:
        process.stdin.close()
        process.wait(timeout=30)


def announce(place: Place) -> None:
    """Say where the server is, and wait until nobody needs it."""
    print(json.dumps(asdict(place)), flush=True)
    sys.stdin.read()


# -- a bare socket


def block() -> bytes:
    """Return some megabytes of whole participants; always the same."""
    dice = random.Random(SEED)  # noqa: S311
    text, number = bytearray(), 0
    while len(text) < BLOCK_BYTES:
        number += 1
        text += "".join(participant(number, dice)).encode()
    return bytes(text)


def in_chunks(text: bytes) -> list[bytes]:
    """Return a text in the chunks of HTTP."""
    parts = (text[start : start + CHUNK_BYTES] for start in range(0, len(text), CHUNK_BYTES))
    return [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]


def run_bare(megabytes: int, *, chunked: bool) -> None:
    """Serve the same block again and again, as one document."""
    head, body, tail = HEAD.encode(), block(), TAIL.encode()
    times = max(1, megabytes * 1_000_000 // len(body))
    length = len(head) + times * len(body) + len(tail)
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {length}"
    parts = [in_chunks(text) if chunked else [text] for text in (head, body, tail)]
    ending = b"0\r\n\r\n" if chunked else b""
    listener = socket.create_server(("127.0.0.1", 0))

    def document() -> Iterator[bytes]:
        yield from parts[0]
        for _ in range(times):
            yield from parts[1]
        yield from parts[2]
        yield ending

    def answer(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as incoming:
            while line := incoming.readline():
                size = 0
                while (header := incoming.readline()) not in (b"\r\n", b""):
                    if header.lower().startswith(b"content-length:"):
                        size = int(header.partition(b":")[2])
                incoming.read(size)
                if b"/oauth/token" in line:
                    send(connection, f"Content-Length: {len(token())}", [token()])
                else:
                    send(connection, framing, document())

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    announce(Place(study_url=f"{url}/OpenClinica", auth_url=f"{url}/oauth/token", study_oid="S_BENCH"))


def send(connection: socket.socket, framing: str, parts: Iterable[bytes]) -> None:
    """Send an answer, each part by itself."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/xml;charset=UTF-8\r\n{framing}\r\n\r\n"
    connection.sendall(head.encode())
    for part in parts:
        connection.sendall(part)


# -- the sandbox


def run_sandbox(megabytes: int) -> None:
    """Serve the demo study, with more participants than it comes with."""
    from airflow_provider_openclinica.sandbox.data import ClinicalStore
    from airflow_provider_openclinica.sandbox.server import Sandbox
    from airflow_provider_openclinica.sandbox.service import PASSWORD

    with Sandbox(token_rate=0) as sandbox:
        study = sandbox.service.study
        with sandbox.service.state.writing() as db:
            ClinicalStore(db)  # makes its tables
            fill(db, study, megabytes * 1_000_000 // PARTICIPANT_BYTES)
        account = {"login": "data_manager", "password": PASSWORD}
        announce(Place(study_url=sandbox.study_url, auth_url=sandbox.auth_url, study_oid=study.oid, **account))


def fill(db: sqlite3.Connection, study: Study, participants: int) -> None:
    """Store values for so many participants: some visits, with vital signs and laboratory results at each."""
    dice, values = random.Random(SEED), [html.unescape(value) for value in VALUES]  # noqa: S311
    site = study.sites[0].oid
    for number in range(participants):
        person = insert(
            db,
            "participants (oid, participant_id, site_oid, status, created_at, created_by)",
            (f"SS_BENCH{number}", f"B-{number:06}", site, "AVAILABLE", "2026-01-05T08:00:00", "root"),
        )
        for visit in range(1, VISITS + 1):
            event = insert(
                db,
                "events (participant, event_oid, ordinal, start_date, end_date, status, removed, archived, locked, "
                "signed)",
                (person, "SE_FOLLOWUP", visit, f"2026-01-{visit:02}", "", "COMPLETED", 0, 0, 0, 0),
            )
            for form_oid in ("F_VITALS", "F_LABS"):
                form = insert(
                    db,
                    "forms (event, form_oid, version, complete, sdv_status, removed, archived)",
                    (event, form_oid, "1", 1, "", 0, 0),
                )
                groups = [study.groups[oid] for oid in study.forms[form_oid].groups]
                db.executemany(
                    "INSERT INTO items (form, group_oid, repeat, item_oid, value) VALUES (?, ?, ?, ?, ?)",
                    [
                        (form, group.oid, repeat, item_oid, dice.choice(values))
                        for group in groups
                        for repeat in range(1, REPEATS + 1 if group.repeating else 2)
                        for item_oid in group.items
                    ],
                )


def insert(db: sqlite3.Connection, where: str, values: tuple[str | int, ...]) -> int:
    """Insert a row and return its id."""
    marks = ", ".join("?" * len(values))
    row = db.execute(f"INSERT INTO {where} VALUES ({marks})", values).lastrowid  # noqa: S608 - of constants
    assert row
    return row


if __name__ == "__main__":
    kind, size = sys.argv[1], int(sys.argv[2])
    if kind == "sandbox":
        run_sandbox(size)
    else:
        run_bare(size, chunked=kind == "chunked")

"""One piece, from a server that sends it in chunks of its own."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from airflow_provider_openclinica.client.addresses import ServerSettings
from airflow_provider_openclinica.client.client import OpenClinicaClient
from airflow_provider_openclinica.client.tokens import TokenManager
from airflow_provider_openclinica.engine.pieces import PORTION_BYTES, Request, retrieve
from airflow_provider_openclinica.errors import ServerUnavailableError, WaitInterruptedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REQUEST = Request(study_oid="S_JUNO")
HEAD = '<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3"><ClinicalData StudyOID="S_JUNO">'
ITEM = '<ItemData ItemOID="I_LABS_COMMENT" Value="3 µmol/l &#55357;&#56832;&amp; A & B"/>'
PUBLISHED = ITEM.replace("&#55357;&#56832;", "&#128512;").replace(" & ", " &amp; ")
SUBJECT = '<SubjectData SubjectKey="SS_1">{}</SubjectData>'
TAIL = "</ClinicalData></ODM>"
DOCUMENT = f"{HEAD}{SUBJECT.format(ITEM * 5)}{TAIL}"


@contextmanager
def answering(chunks: Callable[[], Iterator[bytes]]) -> Iterator[OpenClinicaClient]:
    """Run a server that sends each chunk by itself, and ends the document only after the last; give a client."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            token = b"e30.eyJleHAiOjQxMDI0NDQ4MDB9.c2ln"  # good until 2100
            self.send_response(200)
            self.send_header("Content-Length", str(len(token)))
            self.end_headers()
            self.wfile.write(token)

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/xml;charset=UTF-8")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in chunks():
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        url = f"http://127.0.0.1:{server.server_port}"
        settings = ServerSettings(study_url=f"{url}/OpenClinica", auth_url=f"{url}/token", login="a", password="b")
        client = OpenClinicaClient(settings, TokenManager(settings), sleep=lambda _: None)
        try:
            yield client
        finally:
            client.close()
            server.shutdown()


def cut(document: str, size: int) -> Iterator[bytes]:
    data = document.encode()
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 7, 64, 8192])
def test_whatever_the_chunks_of_the_server_the_file_and_the_counts_are_the_same(size: int) -> None:
    file = io.BytesIO()
    with answering(lambda: cut(DOCUMENT, size)) as client:
        fetched = retrieve(client, REQUEST, REQUEST.whole, file, threading.Event())
    published = file.getvalue()
    assert published.decode().partition("?>")[2] == DOCUMENT.replace(ITEM, PUBLISHED)
    assert (fetched.size, fetched.sha256) == (len(published), hashlib.sha256(published).hexdigest())
    assert fetched.counts == {"participants": 1, "events": 0, "forms": 0, "item_groups": 0, "items": 5}
    assert fetched.repairs == {"surrogate_pairs": 5, "bare_ampersands": 5}


def test_a_document_of_many_portions_is_stored_whole() -> None:
    items = ITEM * (3 * PORTION_BYTES // len(ITEM))
    document = f"{HEAD}{SUBJECT.format(items)}{TAIL}"
    file = io.BytesIO()
    with answering(lambda: cut(document, 8192)) as client:
        fetched = retrieve(client, REQUEST, REQUEST.whole, file, threading.Event())
    assert file.getvalue().decode().partition("?>")[2] == document.replace(ITEM, PUBLISHED)
    assert fetched.counts["items"] == document.count(ITEM)


def test_to_stop_it_needs_some_bytes_and_no_whole_portion() -> None:
    stop, over = threading.Event(), threading.Event()

    def chunks() -> Iterator[bytes]:
        yield HEAD.encode().ljust(100_000)  # more than is read before the answer is looked at
        time.sleep(0.2)
        stop.set()
        yield b" "
        over.wait(60)

    try:
        with answering(chunks) as client:
            start = time.monotonic()
            with pytest.raises(WaitInterruptedError):
                retrieve(client, REQUEST, REQUEST.whole, io.BytesIO(), stop)
            assert time.monotonic() - start < 30
            over.set()
    finally:
        over.set()


def test_what_ends_before_its_last_tag_is_refused() -> None:
    with (
        answering(lambda: cut(DOCUMENT.removesuffix(TAIL), 64)) as client,
        pytest.raises(ServerUnavailableError, match="break off"),
    ):
        retrieve(client, REQUEST, REQUEST.whole, io.BytesIO(), threading.Event())

"""Files on their way out: measured, hashed, named, streamed, and still the same when they are sent."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.client.uploads import JsonBody, MultipartBody, upload_file, upload_from
from airflow_provider_openclinica.errors import ConfigurationError, FileError


class Unseekable(io.RawIOBase):
    """A stream as object storage gives it: it can be read, a little at a time, and nothing else."""

    def __init__(self, content: bytes) -> None:
        self.content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self.content.read(min(size, 5) if size >= 0 else 5)


def read_whole(body: MultipartBody, size: int = 7) -> bytes:
    return b"".join(iter(lambda: body.read(size), b""))


def test_an_upload_knows_size_and_digest_and_opens_anew_each_time(tmp_path):
    path = tmp_path / "labs.xml"
    path.write_bytes(b"<ODM/>")
    upload = upload_file(path, name="labs-1.xml")
    assert (upload.size, upload.sha256) == (6, hashlib.sha256(b"<ODM/>").hexdigest())
    for _ in range(2):
        with upload.open() as stream:
            assert stream.read() == b"<ODM/>"


@pytest.mark.parametrize("name", ["", "a b.xml", "läbs.xml", "a/b.xml", "a\r\nX: y.xml", 'a".xml', "x" * 252 + ".xml"])
def test_a_name_that_openclinica_would_change_is_refused(name):
    with pytest.raises(ConfigurationError):
        upload_from(lambda: io.BytesIO(b""), name=name)


@given(st.binary(max_size=3000), st.integers(1, 700))
def test_the_form_holds_name_and_bytes_and_its_length_is_true(content, block):
    with MultipartBody({"file": upload_from(lambda: Unseekable(content), name="labs.xml")}) as body:
        sent = read_whole(body, block)
        boundary = body.content_type.partition("boundary=")[2].encode()
        assert len(sent) == body.len
    head = b'Content-Disposition: form-data; name="file"; filename="labs.xml"\r\nContent-Type: application/octet-stream'
    assert sent == b"--%b\r\n%b\r\n\r\n%b\r\n--%b--\r\n" % (boundary, head, content, boundary)


def test_several_parts_go_into_one_form():
    parts = {
        name: upload_from(lambda name=name: io.BytesIO(name.encode()), name=f"{name}.bin")
        for name in ("file", "attachedFilesZip")
    }
    with MultipartBody(parts) as body:
        sent = read_whole(body)
    assert sent.count(b"Content-Disposition") == 2
    assert b'name="attachedFilesZip"; filename="attachedFilesZip.bin"' in sent


def test_a_body_tells_whether_any_of_it_was_handed_out():
    with MultipartBody({"file": upload_from(lambda: io.BytesIO(b"abc"), name="a.xml")}) as body:
        assert not body.begun
        body.read(1)
        assert body.begun


@pytest.mark.parametrize("later", [b"12345", b"1234", b"123456789", b"abcdefg", b""], ids=repr)
def test_a_file_that_changed_since_is_never_sent_to_its_end(later):
    contents = [b"abcdefgh", later]
    upload = upload_from(lambda: io.BytesIO(contents.pop(0)), name="labs.xml")
    sent = bytearray()
    with MultipartBody({"file": upload}) as body, pytest.raises(FileError, match=r"labs\.xml changed"):
        sent.extend(byte for block in iter(lambda: body.read(4), b"") for byte in block)
    assert not sent.endswith(b"--\r\n")


def test_every_file_is_closed_also_where_another_cannot_be_opened():
    first = io.BytesIO(b"abc")
    whole = upload_from(lambda: io.BytesIO(b"abc"), name="a.xml")

    def refuse() -> io.BytesIO:
        raise PermissionError("no")

    parts = {"file": replace(whole, open=lambda: first), "attachedFilesZip": replace(whole, open=refuse)}
    with pytest.raises(PermissionError), MultipartBody(parts):
        pass
    assert first.closed


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "large.xml"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    with MultipartBody({"file": upload_file(path, name="large.xml")}) as body:
        while body.read(128 << 10):
            pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_an_object_knows_whether_any_of_it_was_handed_out():
    body = JsonBody({"subjectKey": "Zoë"})
    with body:
        assert body.len == len(b'{"subjectKey": "Zo\\u00eb"}')
        assert not body.begun
        assert body.read(5) == b'{"sub'
        assert body.begun
    with body:
        assert not body.begun
        assert body.read() == b'{"subjectKey": "Zo\\u00eb"}'
        assert body.read() == b""

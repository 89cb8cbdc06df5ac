"""A file on its way to OpenClinica: named, measured and hashed before it is sent, streamed while it is.

    upload_file(path, name="labs.xml")           from a disk
    upload_from(opener, name="labs.xml")         from anything that can be opened to read bytes
    MultipartBody({"file": upload})              the body of a form, in constant memory
    JsonBody({"subjectKey": …})                  a small object that may arrive once only

The name matters: OpenClinica keeps it with the job, so it is what a lost job is found by (docs/protocol.md, uploads).
The digest goes into the record of the task, so bytes that changed since are never sent to their end.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Self

from requests_toolbelt.multipart.encoder import MultipartEncoder  # type: ignore[import-untyped]

from airflow_provider_openclinica.errors import ConfigurationError, FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}")
_BLOCK = 1 << 18
_BINARY = "application/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One file to send.

    :param name: what OpenClinica shall call it: ASCII letters, digits, ``.``, ``_``, ``-``, at most 255 of them. What
        else a name may hold is decoded, cut or lost on the way.
    :param size: number of bytes.
    :param sha256: of the bytes, in hexadecimal.
    :param open: opens the bytes from their beginning; called once for each try.
    :param content_type: of the part; OpenClinica looks at the name only.
    :raises ConfigurationError: the name is another.
    """

    name: str
    size: int
    sha256: str
    open: Callable[[], BinaryIO]
    content_type: str = _BINARY

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigurationError("The name for an upload is empty, too long, or not of A-Z, a-z, 0-9, dot, _ and -")


def upload_file(path: Path, *, name: str, content_type: str = _BINARY) -> Upload:
    """Make an upload of a file on a disk. Reads it once.

    :raises ConfigurationError: the name cannot be one.
    :raises OSError: the file cannot be read.
    """
    return upload_from(lambda: path.open("rb"), name=name, content_type=content_type)


def upload_from(opener: Callable[[], BinaryIO], *, name: str, content_type: str = _BINARY) -> Upload:
    """Make an upload of whatever can be opened. Reads it once, in constant memory.

    :param opener: returns a stream at its beginning, each time anew; it need not be seekable.
    :raises ConfigurationError: the name cannot be one.
    """
    size, digest = 0, hashlib.sha256()
    with opener() as stream:
        while block := stream.read(_BLOCK):
            size += len(block)
            digest.update(block)
    return Upload(name=name, size=size, sha256=digest.hexdigest(), open=opener, content_type=content_type)


class MultipartBody:
    """The body of a multipart form, made while it is read. requests asks it for ``len`` and ``read``.

    Use it in ``with``: it opens the files, and closes them. A body is good for one request.

    ``begun`` tells whether any of it was handed out: if not, the server cannot have seen the file.
    ``failure`` is the exception that reading a file ended in: the stack below would take it for a broken connection.
    """

    def __init__(self, parts: Mapping[str, Upload]) -> None:
        self._parts, self._files = parts, ExitStack()
        self.begun = False
        self.failure: Exception | None = None

    def __enter__(self) -> Self:
        with self._files as opening:
            fields = {
                part: (upload.name, _CheckedFile(opening.enter_context(upload.open()), upload), upload.content_type)
                for part, upload in self._parts.items()
            }
            self._files = opening.pop_all()  # all are open: leave them so
        self._encoder = MultipartEncoder(fields=fields)
        self.content_type: str = self._encoder.content_type
        self.len: int = self._encoder.len
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes of the form; what is read here counts as sent."""
        try:
            block: bytes = self._encoder.read(size)
        except (OSError, FileError) as error:
            self.failure = error
            raise
        self.begun = self.begun or bool(block)
        return block


class JsonBody:
    """A JSON object as a body that tells, as `MultipartBody` does, whether any of it was handed out."""

    content_type = "application/json"
    failure: Exception | None = None  #: always: nothing has to be read from elsewhere

    def __init__(self, fields: Mapping[str, str | bool]) -> None:
        self._encoded = json.dumps(fields).encode("ascii")
        self.len = len(self._encoded)

    def __enter__(self) -> Self:
        self._stream, self.begun = io.BytesIO(self._encoded), False
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; what is read here counts as sent."""
        block = self._stream.read(size)
        self.begun = self.begun or bool(block)
        return block


class _CheckedFile:
    """A file that must still be what was measured; its last block is withheld where it is not."""

    def __init__(self, stream: BinaryIO, upload: Upload) -> None:
        self._stream, self._upload, self._digest = stream, upload, hashlib.sha256()
        self.len = upload.size  #: what is left to read; the encoder computes Content-Length from it

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(self.len if size < 0 else min(size, self.len))
        self.len -= len(block)
        self._digest.update(block)
        if self.len:
            changed = not block
        else:
            changed = self._digest.hexdigest() != self._upload.sha256 or bool(self._stream.read(1))
        if changed:
            raise FileError(
                f"{self._upload.name} changed while it was being sent, so the upload was cut short",
                next_step="Have its producer finish first, then retry.",
            )
        return block

r"""Uploads, read the way OpenClinica's server reads them (docs/protocol.md, uploads).

Files go to disk as they come, so that an upload costs no memory. A part is a file only by its ``filename`` parameter;
``filename*`` is not looked at. The name kept with a job is what follows the last ``/`` or ``\``, trimmed, with
``=?...?=`` words decoded and ``%xx`` left alone.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import IO, TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from airflow_provider_openclinica.sandbox.answers import Answered, html
from airflow_provider_openclinica.sandbox.wire import ENTRY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.requests import Request

LIMIT = 2 << 30
"""Bytes a request may have; above, the server fails."""
MEMORY = 1 << 20
"""Bytes of a file that are kept in memory; the rest goes to disk."""
ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[BbQq]\?[^?\s]*\?=")
PARAMETER = re.compile(r';\s*([^=;\s]+)\s*=\s*("(?:\\.|[^"\\])*"|[^;]*)')


@dataclass(slots=True)
class Part:
    """One file of a form.

    :param name: the form's field.
    :param filename: as the server keeps it.
    :param kept: whether its content is kept, or only measured as it passes.
    """

    name: str
    filename: str
    kept: bool
    file: IO[bytes] = field(default_factory=lambda: tempfile.SpooledTemporaryFile(MEMORY))  # noqa: SIM115 - closed by uploaded()
    size: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        if self.kept:
            self.file.write(data)
        self.digest.update(data)
        self.size += len(data)

    def summary(self) -> dict[str, str | int]:
        """Tell what arrived, without its content."""
        return {"field": self.name, "name": self.filename, "bytes": self.size, "sha256": self.digest.hexdigest()}

    def read(self) -> bytes:
        """Give the whole content."""
        self.file.seek(0)
        return self.file.read()


@dataclass(slots=True)
class Form:
    """The files of a form, in the order of the request. Fields that are no files are not kept."""

    parts: list[Part] = field(default_factory=list)

    def all(self, name: str) -> list[Part]:
        """Give all files of a field."""
        return [part for part in self.parts if part.name == name]


def parameters(header: bytes) -> dict[str, str]:
    """Read the parameters of a ``Content-Disposition`` header; names lower case, values without their quotes."""
    found = PARAMETER.findall(header.decode("utf-8", "replace"))
    return {name.lower(): value.strip().removeprefix('"').removesuffix('"') for name, value in found}


def kept_name(filename: str) -> str:
    """Reduce a ``filename`` parameter to the name that a job keeps."""
    return re.split(r"[/\\]", ENCODED_WORD.sub(_decoded, filename).strip())[-1]


def _decoded(word: re.Match[str]) -> str:
    try:
        return str(make_header(decode_header(word[0])))
    except (LookupError, UnicodeError, HeaderParseError):  # such words are left as they are
        return word[0]


class Reader:
    """Collects into a form what it finds in the bytes it is given. One part is open at a time."""

    def __init__(self, form: Form, boundary: bytes, keep: Mapping[str, str]) -> None:
        self._form = form
        self._keep = keep
        self._open: Part | None = None
        self._header_name, self._header_value = b"", b""
        self._disposition = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._name,
                "on_header_value": self._value,
                "on_header_end": self._header,
                "on_headers_finished": self._headers,
                "on_part_data": self._data,
            },
        )

    def write(self, data: bytes) -> None:
        """Take the next bytes of the request.

        :raises FormParserError: they are no part of a form.
        """
        self._parser.write(data)

    def _begin(self) -> None:
        self._open, self._disposition = None, b""

    def _name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name, self._header_value = b"", b""

    def _headers(self) -> None:
        found = parameters(self._disposition)
        if "name" in found and "filename" in found:
            name, filename = found["name"], kept_name(found["filename"])
            self._open = Part(name, filename, name in self._keep and filename.endswith(self._keep[name]))
            self._form.parts.append(self._open)

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._open is not None:
            self._open.write(data[start:end])


@asynccontextmanager
async def uploaded(request: Request, keep: Mapping[str, str]) -> AsyncIterator[Form]:
    """Read a multipart request to its end; its files live as long as the context.

    :param keep: the fields whose content is of use, and what the name of a file must end with for that. All else is
        measured and dropped.
    :raises Answered: 500 HTML for what is no multipart request, is broken, or is larger than :data:`LIMIT`.
    """
    header = request.headers.get("content-type", "")
    boundary = parameters(b";" + header.partition(";")[2].encode("latin-1")).get("boundary", "")
    announced = int(request.headers.get("content-length", "0"))
    if not header.lower().startswith("multipart/form-data") or not boundary or announced > LIMIT:
        raise Answered(html(500))
    form = Form()
    try:
        await _read(request, Reader(form, boundary.encode("latin-1"), keep))
        request.scope[ENTRY]["files"] += [part.summary() for part in form.parts]
        yield form
    finally:
        for part in form.parts:
            part.file.close()


async def _read(request: Request, reader: Reader) -> None:
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > LIMIT:
                raise Answered(html(500))
            if chunk:
                reader.write(chunk)
    except FormParserError:
        raise Answered(html(500)) from None

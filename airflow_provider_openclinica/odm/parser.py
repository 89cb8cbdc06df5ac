"""Run an XML file through expat, safely, and say in plain English why one cannot be read.

Expat and not lxml, for two reasons: it knows the true line of a tag in a file of any length, and it hands each tag
over without building a tree. A document type declaration is refused where it begins, so an entity is never declared,
let alone expanded; nothing is ever fetched; no token may grow beyond ``TOKEN_LIMIT``. Memory stays constant.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol
from xml.parsers import expat

from airflow_provider_openclinica.errors import FileError
from airflow_provider_openclinica.odm.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1 << 16
TOKEN_LIMIT = 4 << 20  #: bytes of one tag or comment; a value has at most 4,000 characters

BLANK = b" \t\r\n"
#: What expat reads by itself.
NATIVE_ENCODINGS = frozenset({"utf-8", "utf-16", "utf-16le", "utf-16be", "iso-8859-1", "us-ascii"})
#: How Python's ElementTree declares UTF-8 when it is asked for "utf8"; expat does not know that name.
PYTHONS_UTF8 = re.compile(rb"""(?:\xef\xbb\xbf)?<\?xml [^>]*\bencoding\s*=\s*["']utf8["']""", re.IGNORECASE)

TRUNCATED = "the file ends before its last tag is closed; it was cut off. Write or fetch it again"
TOO_LONG = "a single tag or text is longer than 4 MiB, a thousand times the longest value. Look at what wrote it"
NOT_XML = "the file is not XML. Send an ODM 1.3 document, neither zipped nor in another format"

#: Reasons by expat's error number. The others are rare: expat's own fixed words do for them.
REASONS = {
    3: TRUNCATED,
    5: TRUNCATED,
    6: TRUNCATED,
    20: TRUNCATED,
    4: "this is not well-formed XML: a '<' or '&' that stands for itself, a missing quote or a broken tag. "
    "Write &lt; for '<' and &amp; for '&'",
    7: "a closing tag does not match the tag that is open. Close each tag in the order in which they were opened",
    8: "an attribute stands twice on one tag. Keep one of them",
    9: "something follows after the end of the document. A file holds one ODM element and nothing after it",
    11: "an entity such as &nbsp; is used, and XML knows only lt, gt, amp, quot and apos. "
    "Write the character itself, and &amp; for '&'",
    14: "a character reference names a control character, which XML cannot hold. Remove it",
    17: "something stands before the XML declaration. '<?xml' has to be the first thing in the file",
    19: "the XML declaration names another encoding than the file is written in. Save it as UTF-8",
    27: "a prefix is used and declared nowhere. Declare it on the ODM element, as in "
    'xmlns:OpenClinica="http://www.openclinica.org/ns/odm_ext_v130/v3.1"',
}


class Handler(Protocol):
    """What is called for each tag. Names come as ``namespace local``, attributes as name, value, name, value."""

    def start(self, name: str, attributes: list[str]) -> None:
        """Begin an element."""

    def end(self, name: str) -> None:
        """End an element."""

    def text(self, text: str) -> None:
        """Take a piece of text, which may be blank."""

    def run(self, parser: expat.XMLParserType) -> None:
        """Keep the parser, for ``CurrentLineNumber``; called once, before all others."""


class Unreadable(Exception):  # noqa: N818 - it is a finding, made a Problem or a FileError before anybody sees it
    """The document ends here: what follows cannot be read, or is not worth reading."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@contextmanager
def opened(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    """Open a path, or take a stream as it stands and leave it open.

    :raises FileError: there is no such file, or it may not be read.
    """
    if not isinstance(source, Path):
        yield source
        return
    try:
        stream = source.open("rb")
    except OSError as error:
        raise FileError(
            f"The file {source} cannot be opened: {error.strerror}",
            next_step="Check the path, and that this process may read it.",
        ) from error
    with stream:
        yield stream


def parse(source: Path | BinaryIO, handler: Handler) -> None:
    """Read a document from beginning to end and hand its tags to ``handler``.

    :raises Unreadable: it is no XML, is broken, or has a document type declaration.
    :raises FileError: it cannot be opened.
    """
    with opened(source) as stream:
        head = chunk = stream.read(CHUNK)
        parser = _parser(handler, "utf-8" if PYTHONS_UTF8.match(head) else None)
        fed = 0
        try:
            while chunk:
                parser.Parse(chunk, False)
                fed += len(chunk)
                if fed - max(parser.CurrentByteIndex, 0) > TOKEN_LIMIT:
                    raise Unreadable(Problem(TOO_LONG, parser.CurrentLineNumber))
                chunk = stream.read(CHUNK)
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            at = parser.ErrorByteIndex - fed
            raise Unreadable(_explain(error, head, chunk[at : at + 1] if at >= 0 else b"")) from error


def _parser(handler: Handler, encoding: str | None) -> expat.XMLParserType:
    parser = expat.ParserCreate(encoding, namespace_separator=" ")
    parser.ordered_attributes = True
    parser.buffer_text = True
    parser.buffer_size = CHUNK
    parser.StartElementHandler = handler.start
    parser.EndElementHandler = handler.end
    parser.CharacterDataHandler = handler.text

    def refuse_doctype(*_: object) -> None:
        reason = "the file has a document type declaration (<!DOCTYPE ...>), which is never read. Remove it"
        raise Unreadable(Problem(reason, parser.CurrentLineNumber))

    def refuse_encoding(_version: str, encoding: str | None, _standalone: int) -> None:
        if encoding and not _is_readable(encoding):
            raise Unreadable(Problem("the file is in an encoding that cannot be read here. Save it as UTF-8", 1))

    parser.StartDoctypeDeclHandler = refuse_doctype
    parser.XmlDeclHandler = refuse_encoding
    handler.run(parser)
    return parser


def _is_readable(encoding: str) -> bool:
    """Tell whether expat can read it: one of its own, or one of Python's in which each byte is a character."""
    if encoding.lower() in NATIVE_ENCODINGS:
        return True
    try:
        return len(bytes(range(256)).decode(encoding, "replace")) == 256
    except LookupError:
        return False


def _explain(error: expat.ExpatError, head: bytes, culprit: bytes) -> Problem:
    """Say what expat means. ``culprit`` is the byte it stopped at, if it is at hand."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip(BLANK)
    if not start:
        return Problem("the file is empty. Look at what should have written it")
    if not start.startswith((b"<", b"\xff\xfe", b"\xfe\xff")):
        return Problem(NOT_XML)
    if error.code == 4 and culprit and culprit < b" " and culprit not in BLANK:
        return Problem("the file holds a control character, which XML cannot hold. Remove it", error.lineno)
    if error.code == 4 and culprit > b"\x7f":
        return Problem("a character is not in the encoding of the file. Save it as UTF-8", error.lineno)
    reason = REASONS.get(error.code) or f"the XML is broken: {expat.ErrorString(error.code)}"
    return Problem(reason, error.lineno)

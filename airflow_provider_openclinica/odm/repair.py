"""Make clean UTF-8 of what a server sent, chunk by chunk, and count what had to be mended.

OpenClinica writes documents that no XML parser takes: a character beyond U+FFFF as two surrogate references, control
characters, a bare ``&`` in some attributes, Latin-1 under a prolog that says UTF-8 (docs/protocol.md, clinical data).
What is mended here is what has one meaning only; all of it is counted in ``Repairs``.

    clean(chunks, charset, repairs)    bytes as sent -> UTF-8 without byte order mark and declaration
    mend(chunks, repairs)              UTF-8 -> UTF-8 that a parser takes
"""

from __future__ import annotations

import codecs
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, BinaryIO

from airflow_provider_openclinica.errors import FileError
from airflow_provider_openclinica.odm.parser import CHUNK, PYTHONS_UTF8, TOKEN_LIMIT, TOO_LONG

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
REFERENCE = rb"#(?:x0*[0-9A-Fa-f]{1,6}|0*[0-9]{1,7});"
#: References in a row, so that two surrogates are seen together; or an ampersand that begins no reference. The pattern
#: begins with a letter of its own: that is what lets Python skip to it, 60 times faster than to an alternative.
REFERENCES = re.compile(rb"&(?:%s(?:&%s)*|(?!(?:lt|gt|amp|quot|apos);))" % (REFERENCE, REFERENCE))
NUMBER = re.compile(rb"&#(?:x([0-9A-Fa-f]+)|([0-9]+));")
#: Control characters, U+FFFE and U+FFFF as they are.
ILLEGAL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
#: Bytes that begin none. What is left of a piece without them tells ten times faster than the pattern does.
HARMLESS = bytes(code for code in range(0x100) if (code >= 0x20 or code in b"\t\n\r") and code != 0xEF)
CDATA = re.compile(rb"(<!\[CDATA\[|\]\]>)")

DECLARATION = re.compile(rb"<\?xml\s[^>]*\?>")
DECLARED = re.compile(rb"""\bencoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
#: Declared by OpenClinica whatever it sends; so what the bytes themselves say counts.
NOT_TO_BE_BELIEVED = frozenset({"utf-8", "ascii"})
HEAD = 1024  #: bytes in which a declaration stands whole


@dataclass(slots=True)
class Repairs:
    """How often something was mended. Numbers and the name of an encoding only, so it may go anywhere.

    :param encoding: what the bytes were read as.
    :param surrogate_pairs: characters that were written as two surrogate references, joined.
    :param illegal_characters: characters that XML cannot hold, as references or as they are; U+FFFD stands for each.
    :param bare_ampersands: ampersands that began no reference, taken as themselves.
    :param rewritten_dates: JSON: dates of known attributes, brought back to ISO form. Dates in values stay as they are.
    :param parsed_values: JSON: texts in brackets or braces that the server parsed as JSON; written out again, where
        blanks may differ from what was typed.
    """

    encoding: str = ""
    surrogate_pairs: int = 0
    illegal_characters: int = 0
    bare_ampersands: int = 0
    rewritten_dates: int = 0
    parsed_values: int = 0

    def counts(self) -> dict[str, int]:
        """Return what was mended at least once, by name."""
        return {name: count for name, count in asdict(self).items() if isinstance(count, int) and count}

    def add(self, more: Repairs) -> None:
        """Count what was mended in another document, too."""
        for name, count in more.counts().items():
            setattr(self, name, getattr(self, name) + count)
        self.encoding = more.encoding


def chunks_of(source: BinaryIO | Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of an open file, or of anything that yields bytes; none of the chunks is empty."""
    read = getattr(source, "read", None)
    return iter(lambda: read(CHUNK), b"") if read else filter(None, source)


def clean(source: BinaryIO | Iterable[bytes], charset: str, repairs: Repairs) -> Iterator[bytes]:
    """Yield the document as UTF-8, without byte order mark and XML declaration.

    The charset that came with the bytes decides; else a byte order mark; else a declared encoding, unless it is UTF-8
    or US-ASCII, which OpenClinica declares of Latin-1 too: then the bytes are UTF-8 if all of them are, else Latin-1. A
    stream that cannot be read twice is taken for what its first character beyond ASCII says.

    :param charset: of the ``Content-Type`` header; empty when there is none.
    :param repairs: is told the encoding.
    :raises FileError: the bytes are not in the encoding that the header, a mark or the declaration says.
    """
    chunks = chunks_of(source)
    head = b""
    while len(head) < HEAD and (chunk := next(chunks, b"")):
        head += chunk
    if charset:
        encoding = _known(charset)
        mark = next((mark for mark, name in MARKS if head.startswith(mark) and name == encoding), b"")
    else:
        mark, encoding = next(((m, name) for m, name in MARKS if head.startswith(m)), (b"", ""))
    if not encoding:
        found = DECLARATION.match(head)
        declared = DECLARED.search(found[0]) if found else None
        encoding = "utf-8" if PYTHONS_UTF8.match(head) else _known(declared[1].decode()) if declared else ""
    if not charset and not mark and (not encoding or encoding in NOT_TO_BE_BELIEVED):
        encoding = ""
    head = head[len(mark) :]
    if not encoding and _is_seekable(source):
        encoding = _told_by_all(source, head)
    yield from _undeclared(_decoded(head, chunks, encoding, repairs))


def _known(charset: str) -> str:
    """Return the one name of an encoding of text.

    :raises FileError: Python knows none of that name.
    """
    try:
        bytes(4).decode(charset)  # refused if it is no encoding of text
        return codecs.lookup(charset).name
    except (LookupError, ValueError) as error:
        raise FileError(
            "The document is said to be in an encoding that is not known here",
            next_step="Ask for it in UTF-8, or save it as UTF-8.",
        ) from error


def _is_seekable(source: object) -> bool:
    seekable = getattr(source, "seekable", None)
    return bool(seekable and seekable())


def _told_by_all(source: object, head: bytes) -> str:
    """Read a file to its end and say whether it is UTF-8; leaves it where it stood."""
    stream: BinaryIO = source  # type: ignore[assignment]
    place = stream.tell()
    decoder = codecs.getincrementaldecoder("utf-8")()
    chunk = head
    try:
        while chunk:
            if not chunk.isascii() or decoder.getstate()[0]:
                decoder.decode(chunk)
            chunk = stream.read(CHUNK)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "iso8859-1"
    finally:
        stream.seek(place)
    return "utf-8"


def _told_by(chunk: bytes) -> str:
    """Say what the first characters beyond ASCII are."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(chunk)
    except UnicodeDecodeError:
        return "iso8859-1"
    return "utf-8"


def _decoded(head: bytes, chunks: Iterator[bytes], encoding: str, repairs: Repairs) -> Iterator[bytes]:
    """Yield the same text in UTF-8."""
    chunk = head
    while not encoding and chunk.isascii():
        yield chunk
        chunk = next(chunks, b"")
        if not chunk:
            repairs.encoding = "ascii"
            return
    encoding = repairs.encoding = encoding or _told_by(chunk)
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while chunk:
            if encoding != "utf-8":
                yield decoder.decode(chunk).encode()
            else:
                if not chunk.isascii() or decoder.getstate()[0]:
                    decoder.decode(chunk)  # only to see that it can be; encoding it again takes 9 times as long
                yield chunk
            chunk = next(chunks, b"")
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise FileError(
            f"The document is not in {encoding}, as its header or its first characters say",
            next_step="Fetch it again, asking for UTF-8; a file can be read with its true charset named.",
        ) from error


def _undeclared(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Drop the XML declaration, whose encoding is no longer true; the lines keep their numbers."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= HEAD:
            break
    found = DECLARATION.match(head)
    yield head[found.end() :] if found else head
    yield from chunks


def mend(chunks: Iterable[bytes], repairs: Repairs) -> Iterator[bytes]:
    """Yield UTF-8 whose characters and references an XML parser takes.

    :param repairs: is told how often something was mended.
    :raises FileError: a single tag is longer than any tag of an export.
    """
    mender, held = _Mender(repairs), b""
    for chunk in chunks:
        cut = chunk.rfind(b">") + 1  # neither a reference nor the mark of a CDATA section has one inside
        if cut:
            yield mender.mend(b"".join((held, memoryview(chunk)[:cut])))
            held = b""
        held += chunk[cut:]
        if len(held) > TOKEN_LIMIT:
            raise FileError(f"The document cannot be used: {TOO_LONG}")
    if held:
        yield mender.mend(held)


class _Mender:
    """Mends pieces that end between tags; knows whether a CDATA section, where nothing is a reference, is open."""

    def __init__(self, repairs: Repairs) -> None:
        self._repairs, self._in_cdata = repairs, False

    def mend(self, text: bytes) -> bytes:
        if text.translate(None, HARMLESS):
            text, count = ILLEGAL.subn(REPLACEMENT.encode(), text)
            self._repairs.illegal_characters += count
        if not self._in_cdata and not (b"[" in text and b"<![CDATA[" in text):  # one byte is found 20 times faster
            return REFERENCES.sub(self._one, text) if b"&" in text else text
        mended = []
        for part in CDATA.split(text):
            if part in (b"<![CDATA[", b"]]>"):
                self._in_cdata = part != b"]]>"
                mended.append(part)
            else:
                mended.append(part if self._in_cdata else REFERENCES.sub(self._one, part))
        return b"".join(mended)

    def _one(self, found: re.Match[bytes]) -> bytes:
        """Mend a run of references."""
        run = found[0]
        if run == b"&":
            self._repairs.bare_ampersands += 1
            return b"&amp;"
        points = [int(hexadecimal, 16) if hexadecimal else int(decimal) for hexadecimal, decimal in NUMBER.findall(run)]
        if all(map(_is_legal, points)):
            return run
        return b"".join(b"&#%d;" % point for point in self._joined(points))

    def _joined(self, points: list[int]) -> Iterator[int]:
        """Join surrogates that stand in pairs; a character that XML cannot hold becomes U+FFFD."""
        each = iter(range(len(points)))
        for at in each:
            point, following = points[at], points[at + 1] if at + 1 < len(points) else 0
            if 0xD800 <= point < 0xDC00 <= following < 0xE000:
                self._repairs.surrogate_pairs += 1
                next(each)
                yield 0x10000 + ((point - 0xD800) << 10) + (following - 0xDC00)
            elif _is_legal(point):
                yield point
            else:
                self._repairs.illegal_characters += 1
                yield ord(REPLACEMENT)


def _is_legal(point: int) -> bool:
    """Tell whether XML 1.0 can hold a character."""
    return 0x20 <= point < 0xD800 or point in (9, 10, 13) or 0xE000 <= point < 0xFFFE or 0x10000 <= point <= 0x10FFFF

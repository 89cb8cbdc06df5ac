"""Read an export in portions: some whole participants at a time.

    portions(chunks)    Portion: participants as elements, or in columns

Text is cut behind a participant's end tag. A portion is read by columns (``plain.py``), where Arrow is installed. If
there is more in it than can be read so, smaller ones are tried, and what they leave is parsed, each as a small tree of
its own, with the tags around it that participants stand in. That it parses then proves the cut right: behind an end tag
in a comment, or too many of them, it would not. What does not parse is read as a stream, as ``subjects.py`` does, which
also says what is wrong.
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import quoteattr

from airflow_provider_openclinica.odm.subjects import CLINICAL, PARSER, SUBJECT, subjects_in_xml

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from lxml import etree

    from airflow_provider_openclinica.odm.plain import Plain, PlainReader

PORTION = 1 << 19  #: bytes; to read fewer by columns takes longer
SMALL = 1 << 15  #: bytes of a tree; what fits the processor's nearer caches is parsed in two thirds of the time
LARGEST = 32 << 20  #: bytes that are held to find the end of a participant
END = re.compile(rb"</(?:[A-Za-z_][A-Za-z0-9_.-]*:)?SubjectData>")
LONGEST_END = 256  #: bytes; one with a longer prefix is overlooked, and costs time only


class Portion(NamedTuple):
    """Some participants.

    :param subjects: the StudyOID of the ClinicalData and the SubjectData element of each. An element is good until the
        next portion is asked for.
    :param plain: those that were read by columns instead, all of one ClinicalData.
    :param study_oid: of that.
    """

    subjects: list[tuple[str, etree._Element]]
    plain: Plain | None = None
    study_oid: str = ""


class Piece(NamedTuple):
    """A part of a document.

    :param lines: how many end before it.
    :param is_whole: it ends behind a participant.
    """

    text: bytes
    lines: int
    is_whole: bool


class _Around(NamedTuple):
    """Tags that participants stand in.

    :param namespaces: prefix -> URI; that of names without one is under None.
    """

    opening: bytes
    closing: bytes
    study_oid: str
    namespaces: dict[str | None, str]


def portions(chunks: Iterable[bytes], size: int) -> Iterator[Portion]:
    """Yield the participants of a document.

    :param chunks: well-formed UTF-8, as ``repair.mend`` leaves it.
    :param size: bytes of a portion; it is as much larger as its last participant needs.
    :raises FileError: the XML is broken; what came before the break has been yielded.
    """
    pieces = _pieces(chunks, size)
    refused: list[Piece] | None = []
    while refused is not None:
        around = yield from _streamed(itertools.chain(refused, pieces))
        refused = (yield from _in_portions(pieces, around)) if around else None


def _pieces(chunks: Iterable[bytes], size: int, lines: int = 0) -> Iterator[Piece]:
    """Cut a document behind participants: behind the first, for what it stands in, then by size; last is what is left.

    :param lines: that end before.
    """
    held, start = bytearray(), 0
    for chunk in chunks:
        held += chunk
        while (found := END.search(held, start)) or len(held) > LARGEST:
            cut = found.end() if found else len(held)
            yield (piece := Piece(bytes(held[:cut]), lines, found is not None))
            del held[:cut]
            start, lines = size, lines + piece.text.count(b"\n")
        start = max(start, len(held) - LONGEST_END)
    ends = [found.end() for found in END.finditer(held)]
    for text, is_whole in ((held[: ends[-1]], True), (held[ends[-1] :], False)) if ends else ((held, False),):
        yield (piece := Piece(bytes(text), lines, is_whole))
        lines += piece.text.count(b"\n")


def _streamed(pieces: Iterable[Piece]) -> Generator[Portion, None, _Around | None]:
    """Yield participants one by one, until one ends where its piece does; return what it stands in, None at the end."""
    at_end = False
    around: _Around | None = None

    def parts() -> Iterator[bytes]:
        """Yield the last byte of a piece by itself: an element that ends then ends with the piece."""
        nonlocal at_end
        for piece in pieces:
            at_end = False
            yield piece.text[:-1]
            at_end = piece.is_whole
            yield piece.text[-1:]
            if around:
                yield around.closing  # so that the parser tells what it did not like
                return

    for study_oid, subject in subjects_in_xml(parts()):
        yield Portion([(study_oid, subject)])
        around = _around_last(subject) if at_end else None
    return around


def _in_portions(pieces: Iterator[Piece], around: _Around) -> Generator[Portion, None, list[Piece] | None]:
    """Yield participants piece by piece; return those from the first that is no tree on, behind its tags."""
    from lxml import etree

    parser, reader = etree.XMLParser(**PARSER), _plain_reader(around)
    waiting: deque[Piece] = deque()
    while piece := waiting.popleft() if waiting else next(pieces, None):
        if reader and piece.is_whole and (plain := reader.read(piece.text)):
            yield Portion([], plain, around.study_oid)
            continue
        if piece.is_whole and len(piece.text) > 2 * SMALL and (smaller := _smaller(piece)):
            waiting.extendleft(reversed(smaller))
            continue
        try:
            root = etree.fromstring(around.opening + piece.text + (around.closing if piece.is_whole else b""), parser)
        except etree.XMLSyntaxError:
            # Lines are numbered as in the document, for the words in which that is told.
            return [Piece(b"\n" * piece.lines + around.opening, 0, False), piece, *waiting]
        yield Portion(
            [
                (clinical.get("StudyOID", ""), subject)
                for clinical in root.iterchildren(CLINICAL)
                for subject in clinical.iterchildren(SUBJECT)
            ]
        )
        if len(root) > 1:
            around = _around(root, root[-1])
            reader = _plain_reader(around)
    return None


def _plain_reader(around: _Around) -> PlainReader | None:
    """Return what reads by columns; None where the extra ``tables`` is not installed."""
    try:
        from airflow_provider_openclinica.odm.plain import PlainReader
    except ImportError:
        return None
    return PlainReader(around.namespaces)


def _smaller(piece: Piece) -> list[Piece]:
    """Cut a piece of whole participants into smaller ones; none if it is one."""
    smaller = [part for part in _pieces([piece.text], SMALL, piece.lines) if part.text]
    return smaller if len(smaller) > 1 else []


def _around_last(subject: etree._Element) -> _Around | None:
    """Return what a participant stands in, if it is the last so far, and where participants belong."""
    clinical = subject.getparent()
    root = None if clinical is None else clinical.getparent()
    if clinical is None or clinical.tag != CLINICAL or root is None or root.getparent() is not None:
        return None
    is_last = subject.getnext() is None and clinical.getnext() is None
    return _around(root, clinical) if is_last else None


def _around(root: etree._Element, clinical: etree._Element) -> _Around:
    """Write the tags of the root and of ClinicalData anew, with the prefixes they declare."""
    opening, closing = "", ""
    study_oid = clinical.get("StudyOID", "")
    for element in (root, clinical):
        local = str(element.tag).rpartition("}")[2]
        name = f"{element.prefix}:{local}" if element.prefix else local
        said = {f"xmlns:{prefix}" if prefix else "xmlns": uri for prefix, uri in element.nsmap.items()}
        said["StudyOID"] = study_oid if element is clinical else ""
        opening += f"<{name} {' '.join(f'{key}={quoteattr(value)}' for key, value in said.items())}>"
        closing = f"</{name}>{closing}"
    return _Around(opening.encode(), closing.encode(), study_oid, dict(clinical.nsmap))

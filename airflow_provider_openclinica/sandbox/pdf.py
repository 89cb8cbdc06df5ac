"""Write plain text as PDF: one font of fixed width, as many pages as it takes."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SIZE = 9
_LINE = 12
_WIDTH = 0.6
"""Of a character of Courier, as a part of the size of the font."""
_POINTS = {"in": 72.0, "cm": 72 / 2.54, "mm": 72 / 25.4}
_PAPERS = {
    "letter": (612, 792),
    "legal": (612, 1008),
    "tabloid": (792, 1224),
    "ledger": (1224, 792),
    "a0": (2384, 3370),
    "a1": (1684, 2384),
    "a2": (1191, 1684),
    "a3": (842, 1191),
    "a4": (595, 842),
    "a5": (420, 595),
    "a6": (298, 420),
}


def write_pdf(lines: Iterable[str], *, paper: str = "A4", margin: str = "0.5in", landscape: bool = False) -> bytes:
    """Write lines, wrapping what is too long. Characters beyond Latin-1 become question marks.

    :param paper: such as ``A4`` or ``Letter``; A4 where it is none.
    :param margin: with its unit, ``in``, ``cm`` or ``mm``; half an inch where it is none, or leaves no room.
    """
    width, height = _PAPERS.get(paper.lower(), _PAPERS["a4"])
    if landscape:
        width, height = height, width
    edge = _points(margin, most=min(width, height) / 3)
    columns = int((width - 2 * edge) / (_SIZE * _WIDTH))
    wrapped = [part for line in lines for part in textwrap.wrap(line, columns, subsequent_indent="    ") or [""]]
    rows = int((height - 2 * edge) / _LINE)
    pages = [wrapped[start : start + rows] for start in range(0, len(wrapped), rows)] or [[]]
    return _document([_page(page, edge, height - edge) for page in pages], width, height)


def _points(margin: str, *, most: float) -> float:
    found = re.fullmatch(r"(\d{1,4}(?:\.\d{1,4})?)(in|cm|mm)", margin)
    points = float(found[1]) * _POINTS[found[2]] if found else 36.0
    return points if points <= most else 36.0


def _page(lines: list[str], left: float, top: float) -> bytes:
    shown = b"".join(b"(%b) '\n" % _escaped(line) for line in lines)
    return f"BT /F1 {_SIZE} Tf {_LINE} TL {left:.1f} {top:.1f} Td\n".encode() + shown + b"ET"


def _escaped(line: str) -> bytes:
    plain = "".join(character if character.isprintable() else " " for character in line)
    return re.sub(rb"([()\\])", rb"\\\1", plain.encode("latin-1", "replace"))


def _document(contents: list[bytes], width: int, height: int) -> bytes:
    """Put the parts of a file together: catalogue, pages, font, then each page and what is on it."""
    first = 4
    kids = " ".join(f"{first + 2 * number} 0 R" for number in range(len(contents)))
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(contents)} /MediaBox [0 0 {width} {height}] >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
    ]
    for number, content in enumerate(contents):
        page = f"<< /Type /Page /Parent 2 0 R /Contents {first + 2 * number + 1} 0 R"
        parts.append(f"{page} /Resources << /Font << /F1 3 0 R >> >> >>".encode())
        parts.append(b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content))
    file, places = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(file))
        file += b"%d 0 obj\n%b\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(parts) + 1
    end = f"trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{len(file)}\n%%EOF\n".encode()
    return file + b"xref\n0 %d\n0000000000 65535 f \n" % count + table + end

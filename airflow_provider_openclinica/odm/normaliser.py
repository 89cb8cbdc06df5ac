"""Write an ODM document in the one form that every OpenClinica server survives.

Servers delete line breaks before they parse, decode the upload with a charset of their own, and lose attributes and
notes whose names are not exact (docs/protocol.md, import document). So the normal form is pure ASCII with numeric
references, one tag on each line, each name in its exact form and in a fixed order, and nothing that the import does
not read. The attributes of the ODM element are dropped too, since a time of creation among them would give the same
data another digest on each export.

    normalise(source, target)    the same data give the same bytes; normalising twice changes nothing
"""

from __future__ import annotations

import io
import re
from functools import lru_cache
from typing import TYPE_CHECKING, BinaryIO

from airflow_provider_openclinica.odm.names import ODM, OPENCLINICA, PREFIX, VOCABULARY
from airflow_provider_openclinica.odm.walker import walk_good

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_openclinica.odm.walker import Tag

PROLOGUE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<ODM xmlns="{ODM}" xmlns:{PREFIX}="{OPENCLINICA}" FileType="Snapshot" ODMVersion="1.3"'
)

ESCAPED = re.compile(r"[^ !#-%'-;=?-~]")  # all but the printable ASCII characters that stand for themselves
SHORT = 64  #: characters of a value worth remembering
NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}

#: For each element: its name as written, and what stands before the value of each attribute.
LAYOUT = {
    name: (
        element.written,
        tuple((attribute, f' {element.attribute_written(attribute)}="') for attribute in element.attributes),
    )
    for name, element in VOCABULARY.items()
}


def normalise(source: Path | BinaryIO, target: BinaryIO) -> None:
    """Copy a document to ``target`` in the form that servers survive, in one pass and constant memory.

    Attributes that are empty are left out, since an empty status or date counts as a wrong one; an empty ``Value``
    stays: it clears the item. Line breaks in values and notes are kept, as references.

    :param source: a path, or a binary stream from where it stands.
    :param target: a binary stream; what was written before an error is of no use.
    :raises FileError: the document cannot be opened, is broken, or holds what OpenClinica would refuse or ignore.
    """
    text = io.TextIOWrapper(target, encoding="ascii", newline="\n")
    try:
        walk_good(source, Writer(text.write))
    finally:
        text.detach()  # it flushes; a wrapper that is dropped would close the target, and so publish half a file


def escape(text: str) -> str:
    """Write a value so that it survives a deleted line break, any ASCII-like charset, and XML's own rules."""
    return _escape_short(text) if len(text) < SHORT else ESCAPED.sub(_reference, text)


@lru_cache(maxsize=8192)  # OIDs and codes come again and again
def _escape_short(text: str) -> str:
    return ESCAPED.sub(_reference, text)


def _reference(match: re.Match[str]) -> str:
    character = match[0]
    return NAMED.get(character) or f"&#{ord(character)};"


class Writer:
    """A visitor that writes each tag it is shown; ``write`` may be exchanged between tags, after ``settle``."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.write = write
        self._is_open = False  # the last start tag lacks its end: whether '>' or '/>' shows with the next

    def start(self, tag: Tag) -> None:
        """Write a start tag."""
        written = start_of(tag)
        self.write(f">\n{written}" if self._is_open else written)
        self._is_open = True

    def end(self, tag: Tag) -> None:
        """Write an end tag, or close an empty one."""
        if tag.name == "DetailedNote":  # no break inside: it would belong to the text
            self.write(f">{escape(tag.text)}</{LAYOUT[tag.name][0]}>\n")
        else:
            self.write("/>\n" if self._is_open else f"</{LAYOUT[tag.name][0]}>\n")
        self._is_open = False

    def settle(self) -> None:
        """Complete the last start tag."""
        if self._is_open:
            self.write(">\n")
            self._is_open = False


def start_of(tag: Tag) -> str:
    """Give a start tag without its closing bracket."""
    if tag.name == "ODM":
        return PROLOGUE
    written, layout = LAYOUT[tag.name]
    attributes = tag.attributes
    line = f"<{written}"
    for name, lead in layout:
        value = attributes.get(name)
        if value or (value is not None and name == "Value"):
            line += f'{lead}{escape(value)}"'
    return f'{line} xml:space="preserve"' if tag.name == "DetailedNote" else line

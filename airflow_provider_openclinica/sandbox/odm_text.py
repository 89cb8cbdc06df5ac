"""How exports write characters, faults included (docs/protocol.md, clinical data).

Most attributes and elements are :func:`text`: what is not ASCII becomes references, and beyond U+FFFF two of them.
Values of items, now and before, are :func:`value`: written as they are, but for control characters. Some names are
:func:`raw`: nobody escapes them, and an ampersand in one spoils the whole document.
"""

from __future__ import annotations

from collections.abc import Callable

_MARKUP: dict[str, str | int | None] = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}
_BLANKS = "\t\n\r"
_TEXT = str.maketrans(_MARKUP)
_VALUE = str.maketrans(_MARKUP | {chr(code): f"&#{code};" for code in range(32) if chr(code) not in _BLANKS})

Escape = Callable[[str], str]


def text(plain: str) -> str:
    """Escape as most attributes and elements are: a document with an emoji in it is not well-formed."""
    escaped = plain.translate(_TEXT)
    return escaped if escaped.isascii() else "".join(map(_reference, escaped))


def value(plain: str) -> str:
    """Escape as values are: line breaks and tabs stay, which a parser takes for blanks; control characters do not."""
    return plain.translate(_VALUE)


def raw(plain: str) -> str:
    """Leave it as it is."""
    return plain


def attribute(name: str, plain: str | None, escape: Escape = text) -> str:
    """Write an attribute with the blank before it; nothing where there is no text."""
    return f' {name}="{escape(plain)}"' if plain else ""


def _reference(character: str) -> str:
    if character.isascii():
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"&#{int.from_bytes(units[start : start + 2])};" for start in range(0, len(units), 2))

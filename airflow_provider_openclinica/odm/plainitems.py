"""Take plain items out of XML by a pattern: nine of ten tags of an export, which then no parser needs to see.

    pluck(text)    the text with marks where items stood, and those items; None where a pattern may be wrong

An item is plain if it is as OpenClinica writes most of them: OID, perhaps a name, value, and nothing in it. Such a tag
is well-formed by itself, and the mark that is left is a tag, too. So what is left is well-formed if, and only if, the
text was: a tag that stands in an attribute or in another tag is refused by the parser, whichever it is. Only in
comments, CDATA sections and processing instructions it would pass, so a text that has any is left to the parser.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from airflow_provider_openclinica.odm.names import PREFIX

MARK = "Items"  #: name of the tag that is left: At, End count the items of a text. ODM has none of this name
CUT = "\x01"  #: stands where an item was; XML cannot hold it
#: A tab or the end of a line in an attribute would be read as a space, and is left to the parser.
PLAIN = re.compile(
    r'<ItemData ItemOID="([^"<&\t\n\r]*)"'
    rf'(?: +{PREFIX}:ItemName="([^"<&\t\n\r]*)")?'
    r' +Value="([^"<\t\n\r]*)"(?:/>|>\s*</ItemData>)\s*'
)
RUN = re.compile(f"{CUT}+")
REFERENCE = re.compile(r"&(?:#x([0-9A-Fa-f]+)|#([0-9]+)|([a-z]+));")
NAMED = {"lt": "<", "gt": ">", "quot": '"', "apos": "'", "amp": "&"}  #: that of & is last, for it may begin another
#: What a pattern cannot see through: comments and CDATA, processing instructions, other namespaces, our own marks.
UNSURE = ("<!", "<?", "xmlns", f"<{MARK}", f":{MARK}")


class PlainItems(NamedTuple):
    """Items in columns, in document order.

    :param name: empty where no item has one.
    """

    item_oid: list[str]
    name: list[str | None]
    value: list[str]


def pluck(text: bytes, *, prefix_is_known: bool) -> tuple[bytes, PlainItems] | None:
    """Return a text without its plain items, and these; None if the parser has to see them.

    :param text: mended UTF-8, a part of a document in which tags without prefix are ODM's.
    :param prefix_is_known: the prefix ``OpenClinica`` is declared as theirs.
    """
    parts = PLAIN.split(text.decode())
    left, item_oid, name, value = (parts[at::4] for at in range(4))
    skeleton = CUT.join(left)
    if any(mark in skeleton for mark in UNSURE):
        return None
    if name.count(None) == len(name):
        name = []
    elif not prefix_is_known:
        return None
    at = 0

    def mark(run: re.Match[str]) -> str:
        nonlocal at
        begin, at = at, at + len(run[0])
        return f'<{MARK} At="{begin}" End="{at}"/>'

    return RUN.sub(mark, skeleton).encode(), PlainItems(item_oid, name, _read(value))


def _read(values: list[str]) -> list[str]:
    """Return what values mean that are written with references; all at once, which takes a tenth of the time."""
    text = CUT.join(values)
    if "&" not in text:
        return values
    if "&#" in text:
        text = REFERENCE.sub(_character, text)
    else:
        for name, character in NAMED.items():
            text = text.replace(f"&{name};", character)
    return text.split(CUT)


def _character(reference: re.Match[str]) -> str:
    hexadecimal, decimal, name = reference.groups()
    return NAMED[name] if name else chr(int(hexadecimal, 16) if hexadecimal else int(decimal))

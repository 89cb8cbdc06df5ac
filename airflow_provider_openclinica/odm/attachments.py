"""Check the ZIP of attachments that goes with an ODM document, before either is sent.

The server finds a file by the name that an item's value holds (docs/protocol.md, import). A file name can be that of a
person, so no message repeats one: it says ``entry 3 of the ZIP``, counted as ``unzip -l`` lists them.
"""

from __future__ import annotations

import stat
from collections import Counter
from typing import TYPE_CHECKING, BinaryIO
from zipfile import BadZipFile, ZipFile, ZipInfo

from airflow_provider_openclinica.odm.model import Problem
from airflow_provider_openclinica.odm.parser import Unreadable
from airflow_provider_openclinica.odm.walker import walk

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.odm.walker import Tag

SIZE_LIMIT = 2_000_000_000  #: bytes; the server's default, which its owner may have raised
ENCRYPTED = 0x1


def check_attachments(archive: BinaryIO, odm: Path | BinaryIO) -> list[Problem]:
    """List what is wrong with a ZIP of attachments. Whether a file is missing in it, only the server can tell.

    :param archive: the ZIP, a seekable binary stream.
    :param odm: the document it goes with; a path, or a binary stream from where it stands.
    :raises FileError: the document cannot be opened.
    """
    try:
        with ZipFile(archive) as opened:
            entries = opened.infolist()
    except (BadZipFile, NotImplementedError, UnicodeDecodeError):
        return [Problem("the attachments are no ZIP, or a damaged one. Pack the folder of files again, as ZIP")]
    numbered = [(number, entry) for number, entry in enumerate(entries, start=1) if not entry.filename.endswith("/")]
    problems = [
        Problem(f"entry {number} of the ZIP {fault}")
        for number, entry in enumerate(entries, start=1)
        if (fault := _fault_of(entry))
    ]
    names = Counter(_base_name(entry) for _, entry in numbered)
    nowhere = _unnamed(set(names), odm)
    for number, entry in numbered:
        if names[_base_name(entry)] > 1:
            problems.append(Problem(f"entry {number} of the ZIP has the name of another one. Rename one of them"))
        if _base_name(entry) in nowhere:
            reason = (
                f"entry {number} of the ZIP is named by no item's Value. Remove it, or correct the Value or its name"
            )
            problems.append(Problem(reason))
    if not numbered:
        problems.append(Problem("the ZIP holds no file. Send the document without it"))
    if archive.seek(0, 2) > SIZE_LIMIT:
        reason = "the ZIP has more than 2 GB, which OpenClinica refuses unless its owner has raised the limit"
        problems.append(Problem(reason, severity="warning"))
    return problems


def _base_name(entry: ZipInfo) -> str:
    return entry.filename.rpartition("/")[2]


def _fault_of(entry: ZipInfo) -> str:
    """Say why an entry may not be sent, whatever its name; empty when it may."""
    path = entry.orig_filename  # as packed: zipfile cuts a name at a NUL
    outside = path.startswith("/") or "\\" in path or ":" in path.split("/")[0] or ".." in path.split("/")
    if outside or "\0" in path:
        return "has a path that could leave its folder. Pack plain files in one folder"
    if entry.flag_bits & ENCRYPTED:
        return "is encrypted. Pack the files without a password"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "is a link. Pack the file itself"
    return ""


class _Names:
    """A visitor that crosses off each name that is some item's value."""

    def __init__(self, names: set[str]) -> None:
        self.names = names

    def start(self, tag: Tag) -> None:
        if tag.name == "ItemData":
            self.names.discard(tag.attributes.get("Value", ""))

    def end(self, tag: Tag) -> None:
        """Need nothing of it."""


def _unnamed(names: set[str], odm: Path | BinaryIO) -> set[str]:
    """Return the names that no item's value holds. What is wrong with the document is for ``check`` to say."""
    visitor = _Names(names)
    try:
        walk(odm, visitor, lambda _: None)
    except Unreadable:
        return set()
    return visitor.names

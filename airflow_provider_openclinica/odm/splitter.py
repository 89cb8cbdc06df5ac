"""Cut an ODM document into the parts that OpenClinica imports well, each a normalised document.

A server takes one ClinicalData for each file, holds a file in memory, and binds a file that names the study to the
site of its first participant (docs/protocol.md, import). So there is a part for each ClinicalData, in it for each
group of participants (their site), in it for each so many items. A participant is never cut.

    split(source, folder, max_items=…)    the parts, in the order in which they should be sent
    survey(source)                        what each ClinicalData holds, without writing anything
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, BinaryIO, Self

from airflow_provider_openclinica.errors import ConfigurationError
from airflow_provider_openclinica.odm.model import ClinicalDataSummary, Part
from airflow_provider_openclinica.odm.normaliser import PROLOGUE, Writer, start_of
from airflow_provider_openclinica.odm.walker import walk_good

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_openclinica.odm.walker import Tag

    SiteOf = Callable[[str, str, str], str]

IN_MEMORY = 4 << 20  #: bytes of one participant held in memory; more goes to a temporary file
PIECES = 4096  #: of text held before they are put there
TAIL = b"</ClinicalData>\n</ODM>\n"


def survey(source: Path | BinaryIO) -> list[ClinicalDataSummary]:
    """Say what each ClinicalData holds, in the order of the document.

    :raises FileError: the document cannot be opened, is broken, or holds what OpenClinica would refuse or ignore.
    """
    visitor = _Survey()
    walk_good(source, visitor)
    return visitor.found


class _Survey:
    """A visitor that counts."""

    def __init__(self) -> None:
        self.found: list[ClinicalDataSummary] = []
        self._items = 0

    def start(self, tag: Tag) -> None:
        self._items += tag.name == "ItemData"

    def end(self, tag: Tag) -> None:
        if tag.name == "ClinicalData":
            study_oid, subjects = tag.attributes.get("StudyOID", ""), tag.holds.get("SubjectData", 0)
            self.found.append(
                ClinicalDataSummary(study_oid=study_oid, line=tag.line, subjects=subjects, items=self._items)
            )
            self._items = 0


def split(source: Path | BinaryIO, folder: Path, *, max_items: int, site_of: SiteOf | None = None) -> list[Part]:
    """Write the parts of a document into ``folder`` and return them in the order in which they should be sent.

    The order is that of the document: its ClinicalData, in each the groups as they first appear, in each the
    participants. The same source gives the same names and bytes. One pass; one participant is held at a time.

    :param source: a path, or a binary stream from where it stands.
    :param folder: exists; after an error, what it holds is of no use.
    :param max_items: ItemData in a part; only a participant who alone has more makes a larger one.
    :param site_of: is given StudyOID, SubjectKey and StudySubjectID (empty where there is none) and names the group,
        as a rule the site; ``""`` is a group too: those who stay in the study. None: no groups.
    :raises FileError: the document cannot be opened, is broken, or holds what OpenClinica would refuse or ignore.
    :raises ConfigurationError: ``max_items`` is less than 1.
    """
    if max_items < 1:
        raise ConfigurationError("max_items has to be 1 or more")
    with _Splitter(folder, max_items, site_of or (lambda *_: "")) as visitor:
        walk_good(source, visitor)
    return visitor.parts()


@dataclass(slots=True)
class _Draft:
    """A part that is being written, and closed meanwhile if another one is."""

    path: Path
    study_oid: str
    group: str
    first_line: int
    participants: set[tuple[str, str]] = field(default_factory=set)
    subjects: int = 0
    items: int = 0

    def part(self) -> Part:
        return Part(
            path=self.path,
            study_oid=self.study_oid,
            group=self.group,
            participants=frozenset(self.participants),
            subjects=self.subjects,
            items=self.items,
            first_line=self.first_line,
        )


class _Splitter:
    """A visitor that writes each participant aside, then appends it where it belongs; one part is open at a time."""

    def __init__(self, folder: Path, max_items: int, site_of: SiteOf) -> None:
        self._folder, self._max_items, self._site_of = folder, max_items, site_of
        self._groups: list[dict[str, list[_Draft]]] = []  # of each ClinicalData
        self._study_oid = ""
        self._head = ""  # of each part of the current ClinicalData
        self._items = 0  # of the current participant
        self._text: list[str] = []  # of the current participant, what is not yet aside
        self._aside = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed in __exit__
        self._writer = Writer(self._text.append)
        self._open: tuple[_Draft, BinaryIO] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._aside.close()
        self._close()

    def parts(self) -> list[Part]:
        """Return what was written, in order."""
        return [draft.part() for groups in self._groups for drafts in groups.values() for draft in drafts]

    # -- the walk

    def start(self, tag: Tag) -> None:
        if tag.name == "ClinicalData":
            self._groups.append({})
            self._study_oid = tag.attributes.get("StudyOID", "")
            self._head = f"{PROLOGUE}>\n{start_of(tag)}>\n"
        elif tag.name == "UpsertOn":  # one that follows a participant is missed, which this import never uses
            self._head += f"{start_of(tag)}/>\n"
        elif tag.name != "ODM":
            self._items += tag.name == "ItemData"
            self._writer.start(tag)
            if len(self._text) > PIECES:
                self._put_aside()

    def end(self, tag: Tag) -> None:
        if tag.name == "ClinicalData":
            for drafts in self._groups[-1].values():
                self._append(drafts[-1], TAIL)
        elif tag.name not in ("ODM", "UpsertOn"):
            self._writer.end(tag)
            if tag.name == "SubjectData":
                self._place(tag)

    # -- the files

    def _put_aside(self) -> None:
        self._aside.write("".join(self._text).encode("ascii"))
        self._text.clear()

    def _place(self, subject: Tag) -> None:
        """Move the participant from aside to the part where it belongs."""
        self._put_aside()
        key, label = (subject.attributes.get(name, "") for name in ("SubjectKey", "StudySubjectID"))
        draft = self._draft_for(self._site_of(self._study_oid, key, label), subject.line)
        draft.subjects += 1
        draft.items += self._items
        if self._items:
            draft.participants.add((key.casefold(), label.casefold()))
        self._aside.seek(0)
        shutil.copyfileobj(self._aside, self._file_of(draft))
        self._aside.seek(0)
        self._aside.truncate()
        self._items = 0

    def _draft_for(self, group: str, line: int) -> _Draft:
        groups = self._groups[-1]
        drafts = groups.setdefault(group, [])
        if drafts and (not drafts[-1].items or drafts[-1].items + self._items <= self._max_items):
            return drafts[-1]
        if drafts:
            self._append(drafts[-1], TAIL)
        number = (len(self._groups), list(groups).index(group) + 1, len(drafts) + 1)
        path = self._folder / "{:04}-{:04}-{:04}.xml".format(*number)
        drafts.append(_Draft(path=path, study_oid=self._study_oid, group=group, first_line=line))
        path.unlink(missing_ok=True)
        self._append(drafts[-1], self._head.encode("ascii"))
        return drafts[-1]

    def _append(self, draft: _Draft, text: bytes) -> None:
        self._file_of(draft).write(text)

    def _file_of(self, draft: _Draft) -> BinaryIO:
        if self._open is None or self._open[0] is not draft:
            self._close()
            self._open = draft, draft.path.open("ab")
        return self._open[1]

    def _close(self) -> None:
        if self._open:
            self._open[1].close()
            self._open = None

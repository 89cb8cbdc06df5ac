"""Write rows, such as those of a query, as the ODM document that OpenClinica imports.

    build(rows, target)    in the normal form, which ``normaliser`` writes and leaves as it is

The columns are those of the table ``items`` of ``flatten``, so what one study has can be written for another.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import uuid4

from airflow_provider_openclinica.errors import FileError, FileUnavailableError
from airflow_provider_openclinica.odm.itemrows import (
    KEYS,
    LEVELS,
    Unfit,
    read_key,
    read_keys,
    read_value,
    refuse_unsendable,
)
from airflow_provider_openclinica.odm.normaliser import Writer
from airflow_provider_openclinica.odm.walker import Tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_openclinica.odm.itemrows import Row

EVENT, FORM = (list(LEVELS).index(element) for element in ("StudyEventData", "FormData"))


def build(rows: Iterable[Row], target: Path | BinaryIO) -> int:
    """Write rows as a document for the import, in one pass and constant memory; return how many items it has.

    Each row needs ``study_oid`` (of the study or the site), ``participant_id`` or ``subject_key`` (documented servers
    ask for the first), ``study_event_oid``, ``form_oid``, ``item_group_oid``, ``item_oid``, ``value``, and both repeat
    keys, 1 where nothing repeats: without them each import would add everything again (docs/protocol.md, repeat keys).
    ``form_layout_oid`` is the name of the form's version, which common events need. ``start_date`` is needed where the
    import has to create the visit, and ignored where that exists. Other columns of the table ``items`` may be there.

    A ``value`` that is ``None``, or has ``is_null``, is **left out**, and what is stored stays. An empty one clears.

    Neighbours with the same keys share their tags. A participant, event, form or group that comes back is written
    again, and the import takes it for more of the same. A study that comes back is refused: it would be one more job.
    Each form has a tag of its event to itself, since in a common event only the first form of a tag is taken.
    Occurrences and repeats that are new have to count up.

    :param rows: read once.
    :param target: a path, which has the document once it is whole; or a binary stream, where what was written before
        an error is of no use. Without any item there is no document: a file at the path is deleted, so that it is not
        imported again as if it were new, and a stream is given nothing.
    :return: number of items; 0: there is nothing to import.
    :raises FileError: says which row, counted from 1, cannot be sent, and for what column.
    :raises FileUnavailableError: no file can be made there.
    """
    if not isinstance(target, Path):
        return _write(rows, target)
    unfinished = target.with_name(f".{uuid4().hex}.part")
    try:
        stream = unfinished.open("xb")
    except OSError as error:
        raise FileUnavailableError(f"The file {target} cannot be written: {error.strerror}") from error
    try:
        with stream:
            items = _write(rows, stream)
        if items:
            unfinished.replace(target)
        else:
            target.unlink(missing_ok=True)
    finally:
        unfinished.unlink(missing_ok=True)
    return items


def _write(rows: Iterable[Row], target: BinaryIO) -> int:
    text = io.TextIOWrapper(target, encoding="ascii", newline="\n")
    builder = _Builder(text.write)
    try:
        for number, row in enumerate(rows, start=1):
            try:
                builder.add(row)
            except Unfit as fault:
                what = f"The rows cannot be written as ODM, row {number}: {fault}"
                raise FileError(what, next_step="Correct the query or the file that the rows come from.") from None
        builder.close()
    finally:
        text.detach()  # it flushes; a wrapper that is dropped would close the target, and so publish half a file
    return builder.items


class _Builder:
    """Opens and closes tags as the keys of the rows change."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.items = 0
        self._writer = Writer(write)
        self._given: list[Any] = []  # the keys of the last row, as they came
        self._keys: list[dict[str, str]] = []  # and as attributes, level by level
        self._placed: list[dict[str, str]] = []  # those of the open tags
        self._open: list[Tag] = []
        self._studies: set[str] = set()
        self._in_group: set[str] = set()  # items of the open group

    def add(self, row: Row) -> None:
        """Write a row.

        :raises Unfit: it cannot be sent.
        """
        refuse_unsendable(row)
        given = [row.get(column) for column in KEYS]
        if given != self._given:
            self._keys, self._given = read_keys(row), given
        oid, value = read_key(row, "item_oid"), read_value(row)
        if value is None:
            return
        if self._keys is not self._placed:
            self._move()
        if oid.upper() in self._in_group:
            reason = "item_oid stands twice in a repeat of its item group, so only the last value would stay"
            raise Unfit(f"{reason}. Keep one row, or give each repeat its own item_group_repeat_key")
        self._in_group.add(oid.upper())
        self._start("ItemData", {"ItemOID": oid, "Value": value})
        self._end()
        self.items += 1

    def close(self) -> None:
        """Close all tags."""
        while self._open:
            self._end()

    def _move(self) -> None:
        """Close and open tags, so that the row's item group is the innermost."""
        pairs = enumerate(zip(self._placed, self._keys, strict=False))
        first = next((level for level, (old, new) in pairs if old != new), len(self._placed))
        self._placed = self._keys
        if first == len(LEVELS):
            return
        if first == FORM:
            first = EVENT
        if not self._open:
            self._start("ODM", {})
        while len(self._open) > first + 1:
            self._end()
        for name, attributes in list(zip(LEVELS, self._keys, strict=True))[first:]:
            if name == "ClinicalData":
                self._refuse_again(attributes["StudyOID"])
            self._start(name, attributes)
        self._in_group.clear()

    def _refuse_again(self, study_oid: str) -> None:
        if study_oid.upper() in self._studies:
            reason = (
                "study_oid comes back after another one, or in other letters, and each time would be a job of its own"
            )
            raise Unfit(f"{reason}. Sort the rows by it")
        self._studies.add(study_oid.upper())

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = Tag(name, attributes, 0, None)
        self._writer.start(tag)
        self._open.append(tag)

    def _end(self) -> None:
        self._writer.end(self._open.pop())

"""Read the logs that OpenClinica writes for its jobs, row by row, in constant memory.

A log is the only witness of a job: it counts as completed however many rows failed. Logs of imports, participants and
events have different columns, and servers differ in those of imports (11 as documented, 12 in the source), so cells are
found by the names in the header (docs/protocol.md, logs).
Nothing in a log is quoted, so a comma in a value shifts the cells to its right; what can be told, is:

* a comma in the message: all that follows the last column's start is the message;
* a comma in a participant's ID: the status is looked for to the right of its place, and the rest is moved back;
* where no status can be found, or cells are missing (a line break in a value), the row's status is ``Unreadable``.
  It counts as failed, since it may be: a wrong alarm costs a look, a failure that passes unseen costs data.

    for row in read_rows(chunks): ...

A row names a participant, and its message can repeat what was typed into a form. Nothing here logs one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_openclinica.client.codes import TOKEN
from airflow_provider_openclinica.errors import JobFailedError, ServerUnavailableError, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

FAILED = "Failed"
SUCCESS = "Success"
UNREADABLE = "Unreadable"  #: our own word, for rows that no status can be read from
LOST = "Lost"  #: our own word, for what was sent and has no row; never read, only written beside a log

_STATUSES = {
    status.casefold(): status
    for status in (
        FAILED,
        "Inserted",
        "Updated",
        "Created",
        "No Change",
        "Skipped",
        "itemGroup removed",
        "Attestations Imported",
        "Event is Signed",
    )
}
_AS_SPELLED = frozenset(_STATUSES.values())
_NEW_STATUS = re.compile(r"[A-Za-z]+(?: [A-Za-z]+){0,5}")  # of a newer server; a cell that a shift put there has digits
_CODE_IN_MESSAGE = re.compile(rf"(?:^|:)\s*(?:{TOKEN.pattern})", re.IGNORECASE)

#: The fields of a row, in the order of LogRow, and the columns that hold them, in lower case.
_COLUMNS = {
    "subject_key": ("subjectkey", "participant oid"),
    "participant_id": ("participantid",),
    "study_event_oid": ("studyeventoid",),
    "study_event_repeat_key": ("studyeventrepeatkey",),
    "form_oid": ("formoid",),
    "item_group_oid": ("itemgroupoid",),
    "item_group_repeat_key": ("itemgrouprepeatkey",),
    "item_oid": ("itemoid",),
    "type": ("type",),
    "status": ("status",),
    "timestamp": ("timestamp",),
    "message": ("message",),
}
_FIELDS = {column: name for name, columns in _COLUMNS.items() for column in columns} | {"row": "row", "row #": "row"}

#: What the header of each kind of log has at least.
_IMPORT = set(_COLUMNS) - {"type"}
_PARTICIPANTS = {"row", "participant_id", "subject_key", "status", "message"}
_EVENTS = {"row", "participant_id", "study_event_oid", "study_event_repeat_key", "status", "message"}
_LONGEST_LINE = 1 << 20  # bytes; a log's lines have some 200


class LogRow(NamedTuple):
    """One row of a log: what became of a row of a CSV file, or of what stood in an ODM document.

    Cells are as the log has them, ``""`` where it leaves them empty or has no such column; the identifiers are filled
    as far as the import came. ``status`` alone is put right: spelled as the source spells it (some rows come as
    ``FAILED``), or ``Unreadable``. In logs of participants, where that column holds the participant's own status, it is
    ``Success`` or ``Failed``.
    """

    subject_key: str  #: participant OID
    participant_id: str
    study_event_oid: str
    study_event_repeat_key: str
    form_oid: str
    item_group_oid: str
    item_group_repeat_key: str
    item_oid: str
    type: str  #: ``Item Data``, ``Form``, …; ``""`` in logs of 11 columns
    status: str
    timestamp: str  #: UTC, ``2020-10-26T12:00:01.482Z``; only where something changed
    message: str
    number: int  #: its line in the log, the header being 1
    raw: str  #: the line as it stands, without its end

    @property
    def failed(self) -> bool:
        """Tell whether it failed, or may have failed for all one can read."""
        return self.status in (FAILED, UNREADABLE)

    @property
    def code(self) -> str:
        """The error code in the message, spelled as there but without prefix; ``""`` where there is none.

        Messages about queries put the note's ID before it: ``DN_1:errorCode.userNotValid``.
        """
        code = _CODE_IN_MESSAGE.search(self.message)
        return code["name"] if code else ""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a log, to be read once, and the layout its header gives them.

    :param header: the log's first line.
    """

    header: str
    _lines: Iterator[str]

    def __iter__(self) -> Iterator[LogRow]:
        """Yield the rows in the order of the log, blank lines left out.

        :raises ServerUnavailableError: the log breaks off in the middle of a line.
        """
        names = _names(self.header)
        width, status = len(names), names.index("status")
        of_participants = not set(names) >= _IMPORT and set(names) >= _PARTICIPANTS
        # A column that this server does not write is read from one more cell, which is always empty.
        cells_of = itemgetter(*[names.index(name) if name in names else width for name in _COLUMNS])
        for number, line in enumerate(self._lines, start=2):
            text = line.removesuffix(",") if of_participants else line
            cells = text.split(",", width - 1)
            if len(cells) < width or cells[status] not in _AS_SPELLED:
                if not line.strip():
                    continue
                cells = _put_right(text, names)
            if of_participants:
                cells[status] = _outcome(cells[status], cells[-1])
            cells.append("")
            yield LogRow._make((*cells_of(cells), number, line))

    def line(self, cells: Mapping[str, str]) -> str:
        """Write a row of this log's layout, to stand beside rows of it.

        :param cells: field of ``LogRow``, or ``row`` for the number of a row that was sent -> value.
        """
        return ",".join(cells.get(name, "") for name in _names(self.header))


def read_rows(chunks: Iterable[bytes]) -> Rows:
    """Read the log of an import, or of a bulk file of participants or events.

    Bytes that are no UTF-8 are kept as they are; ``raw.encode(errors="surrogateescape")`` gives them back.

    :param chunks: the file in pieces of any size, as ``JobFile.chunks()`` gives it.
    :raises JobFailedError: the log is empty: the job failed while it wrote it.
    :raises UnexpectedAnswerError: the header is that of no such log.
    :raises ServerUnavailableError: here or while rows are read: the log breaks off in the middle of a line.
    """
    lines = _lines_of(chunks)
    header = next(lines, "").removeprefix("\ufeff")
    if not header.strip() and not any(line.strip() for line in lines):
        raise JobFailedError("OpenClinica stored an empty log", meaning="the job failed while it wrote its log")
    names = _names(header)
    if names[-1] != "message" or not any(set(names) >= kind for kind in (_IMPORT, _PARTICIPANTS, _EVENTS)):
        raise UnexpectedAnswerError("The job's file is no log of rows: its header is another one")
    return Rows(header, lines)


def _names(header: str) -> list[str]:
    """Return the columns of a header under the names of LogRow's fields; a column we do not know keeps its own.

    The header of a log of participants ends with a comma, and so do its rows: that makes no column.
    """
    return [_FIELDS.get(name, name) for name in header.casefold().removesuffix(",").split(",")]


def _outcome(status: str, message: str) -> str:
    """Tell whether a participant was taken: then the status is the participant's, and the message a word of success."""
    if status == FAILED:
        return FAILED
    return SUCCESS if message.casefold() == SUCCESS.casefold() else UNREADABLE


def _lines_of(chunks: Iterable[bytes]) -> Iterator[str]:
    """Cut the pieces into lines. No character has a line feed among its bytes, so whole lines can be decoded."""
    rest = b""
    number = 0
    for chunk in chunks:
        whole, end, rest = (rest + chunk).rpartition(b"\n")
        if end:
            lines = whole.decode("utf-8", "surrogateescape").replace("\r\n", "\n").removesuffix("\r").split("\n")
            number += len(lines)
            yield from lines
        if len(rest) > _LONGEST_LINE:
            raise UnexpectedAnswerError(f"The job's file is no log: line {number + 1} has no end")
    if rest.strip():
        raise ServerUnavailableError(
            f"The log breaks off in line {number + 1}", meaning="the download was not whole, so nothing was judged"
        )


def _put_right(line: str, names: list[str]) -> list[str]:
    """Return one cell for each column of a line whose status is not where, or not as, it should be."""
    cells, width, status = line.split(","), len(names), names.index("status")
    for shift in range(len(cells) - width + 1):
        if known := _STATUSES.get(cells[status + shift].casefold()):
            who = names.index("participant_id")
            cells[who : who + shift + 1] = [",".join(cells[who : who + shift + 1])]
            return [*cells[:status], known, *cells[status + 1 : width - 1], ",".join(cells[width - 1 :])]
    if len(cells) == width and _NEW_STATUS.fullmatch(cells[status]):
        return cells
    return [UNREADABLE if name == "status" else "" for name in names]

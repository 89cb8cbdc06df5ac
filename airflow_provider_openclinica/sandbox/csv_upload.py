r"""Bulk CSV files, read as the server does: three times, by parsers that disagree (docs/protocol.md, bulk files).

    check_file(name, content)      is it CSV? Reads the first line, and by mistake a piece from the middle
    check_header(text, layout)     are the columns there, once? Compares every cell of every line with their names
    rows(text, layout)             the rows, in the background; a row that is too short ends them without a word

Only the first knows quotation marks. The third takes them for a part of the value, and the first comma for its end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.import_run import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    Cells = dict[str, str | None]

SUFFIX = ".csv"
BUFFER = 8192
"""Characters the first parser takes from the file at once; the second one begins behind them."""
SAME_HEADERS = "multipleParticipantIdHeaders"
"""The code for two equal cells in a header, whatever they say."""
BLANKS = "".join(map(chr, range(ord(" ") + 1)))
LINE_END = re.compile("\r\n|[\n\r\u0085\u2028\u2029]")
CELL = re.compile(
    r'(?:"(?P<quoted>(?:[^"]|"")*)"[ \t]*|(?P<plain>(?!")[^,\r\n]*))(?P<end>,|\r\n|\r|\n|\Z)',
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is known: the name its values get, its header, and the codes for two of it and for none.

    :param missing: empty for a column that may be left out.
    """

    field: str
    header: str
    repeated: str
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a kind of file; all others are ignored.

    :param cleans: whether characters that cannot be printed, such as a byte order mark, are dropped from the header
        and from the first cell of each row.
    """

    columns: tuple[Column, ...]
    cleans: bool


_PARTICIPANT_COLUMNS = (
    Column("subjectKey", "ParticipantID", SAME_HEADERS, "missingParticipantID"),
    Column("firstName", "FirstName", "multipleFirstNameHeaders"),
    Column("lastName", "LastName", "multipleLastNameHeaders"),
    Column("emailAddress", "EmailAddress", "multipleEmailAddressHeaders"),
)
PARTICIPANTS = {
    Dialect.SOURCE: Layout(
        (*_PARTICIPANT_COLUMNS, Column("phoneNumber", "MobileNumber", "multipleMobilePhoneHeaders")), cleans=True
    ),
    Dialect.DOCS: Layout(
        (
            *_PARTICIPANT_COLUMNS,
            Column("phoneNumber", "phoneNumber", "multipleMobilePhoneHeaders"),
            Column("identifier", "identifier", "multipleIdentifierHeaders"),  # by analogy: no document says
        ),
        cleans=True,
    ),
}
EVENTS = Layout(
    (
        Column("subjectKey", "ParticipantID", SAME_HEADERS, "missingParticipantIdData"),
        Column("studyEventOID", "StudyEventOID", "multipleStudyEventOidHeaders", "missingStudyEventOidData"),
        Column("startDate", "StartDate", "multipleStartDateHeaders", "missingStartDateData"),
        Column("studyEventRepeatKey", "StudyEventRepeatKey", "multipleStudyEventRepeatKeyHeaders"),
        Column("endDate", "EndDate", "multipleEndDateHeaders"),
        Column("eventStatus", "StudyEventStatus", "multipleStudyEventStatusHeaders"),
    ),
    cleans=False,
)


def decoded(content: bytes) -> str:
    """Read bytes as the server does, whose default is taken to be UTF-8; what is none becomes U+FFFD."""
    return content.decode("utf-8", "replace")


# The first reading


def check_file(name: str, content: bytes) -> None:
    """Check what a file is by its name, its first line, and what follows its first 8,192 characters.

    The latter is a fault of the server that whoever sends files has to live with: it takes the next record there,
    mostly a piece of a line, for a second header.

    :raises Refused: the file is empty, no CSV, or has a header with two equal cells.
    """
    if not content:
        raise Refused("blankFile")
    if not name.endswith(SUFFIX):
        raise Refused("notCSVfile")
    text = decoded(content)
    end = _check_record(text, 0)
    _check_record(text, max(1, -(-end // BUFFER)) * BUFFER)


def _check_record(text: str, start: int) -> int:
    """Check the first record that is not empty as a header, and tell where it ends."""
    cells, end = _record(text, start)
    trimmed = [cell.strip(BLANKS) for cell in cells]
    if len(set(trimmed)) < len(trimmed):
        raise Refused(SAME_HEADERS)
    return end


def _record(text: str, start: int) -> tuple[list[str], int]:
    """Read a record of CSV with quotation marks."""
    cells: list[str] = []
    at = start
    while at < len(text) and text[at] in "\r\n":
        at += 1
    while at < len(text):
        found = CELL.match(text, at)
        if found is None:  # something follows a closing quotation mark, or none closes
            raise Refused("notCSVfile")
        cells.append(found["plain"] if found["quoted"] is None else found["quoted"].replace('""', '"'))
        at = found.end()
        if found["end"] != ",":
            return cells, at
    return [*cells, ""] if cells else [], at


# The second reading


def check_header(text: str, layout: Layout, dialect: Dialect) -> None:
    """Check that the first line has the columns it must have, and that the name of none is met again anywhere.

    The documents ask for ``StartDate`` where an event is created, and the published source asks for it always.

    :raises Refused: a column is missing; or one is there twice, or its name is a value in some row.
    """
    names = {column.header.casefold(): column for column in layout.columns}
    lines = _lines(text)
    header = [_name(cell, layout) for cell in lines[0].split(",")]
    for column in layout.columns:
        is_optional = dialect is Dialect.DOCS and column.field == "startDate"
        if column.missing and not is_optional and column.header.casefold() not in header:
            raise Refused(column.missing)
    seen: set[str] = set()
    for number, line in enumerate(lines):
        for cell in header if number == 0 else line.split(","):
            name = cell.strip(BLANKS).casefold()
            if name in seen:
                raise Refused(names[name].repeated)
            seen.update({name} & names.keys())


# The third reading


def rows(text: str, layout: Layout) -> Iterator[Cells]:
    """Read the rows below a header that was checked, the values by the names of their fields; an empty one is none.

    A row with fewer cells than the right-most known column needs ends the reading, and so does a blank line where any
    known column but the first is there.
    """
    header, *lines = _lines(text)
    named = [_name(cell, layout) for cell in header.split(",")]
    places = {
        column.field: named.index(column.header.casefold())
        for column in layout.columns
        if column.header.casefold() in named
    }
    for line in lines:
        cells = line.split(",")
        if len(cells) <= max(places.values()):
            return
        if layout.cleans:
            cells[0] = _printable(cells[0])
        yield {field: cells[place].strip(BLANKS) or None for field, place in places.items()}


def _lines(text: str) -> list[str]:
    """Split into lines; what ends with a line end has no further, empty line behind it."""
    lines = LINE_END.split(text)
    return lines[:-1] if len(lines) > 1 and not lines[-1] else lines


def _name(cell: str, layout: Layout) -> str:
    return (_printable(cell) if layout.cleans else cell).strip(BLANKS).casefold()


def _printable(cell: str) -> str:
    return "".join(filter(str.isprintable, cell))

"""Bulk CSV files: read as people write them, written as OpenClinica reads them.

OpenClinica cuts a line at its commas and knows no quotes; a row with too few cells ends its reading without a word; and
a file above 8,192 characters is refused or taken by chance (docs/protocol.md, bulk files). So what people hand in, CSV
with quotes, blank lines and columns in any order, is never sent as it is:

    check(path, layout)                 everything that is wrong with it, by line and column
    rows(path, layout)                  its rows, once nothing is wrong
    split(path, layout, folder)         the same rows in files that every OpenClinica reads to their end
    write_rows(columns, rows, path)     rows that come from elsewhere, as such a file

A ``Layout`` says which columns there are and what they may hold. No problem quotes a value, nor a header that is not
in the layout: a file without a header has somebody's name there.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

SAFE_CHARACTERS = 8192  #: OpenClinica takes the line at this place of a longer file for a second header
MOST_PROBLEMS = 1000

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NOT_ASCII = (
    "holds letters beyond ASCII; whether OpenClinica reads them as UTF-8 depends on how it was installed, so look "
    "one of them up in OpenClinica afterwards"
)
_UNDECODED = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column that OpenClinica knows.

    :param name: its header, as it is sent.
    :param aliases: other headers it may have in a file; letter case is ignored in these as in the name.
    :param required: a file without it is refused.
    :param always: it is sent, with empty cells, where a file lacks it.
    :param check: says what is wrong with a value, empty ones included; ``""`` where nothing is.
    :param spell: returns a good value as OpenClinica spells it, where people spell it in other ways.
    :param ascii_only: refuse other characters, rather than doubt that the server reads them.
    :param remark: a warning for every file that has the column.
    """

    name: str
    aliases: tuple[str, ...] = ()
    required: bool = False
    always: bool = False
    check: Callable[[str], str] | None = None
    spell: Callable[[str], str] = str
    ascii_only: bool = False
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a kind of bulk file holds.

    :param name: what its rows are, for messages: ``participants``.
    :param columns: in the order in which they are sent.
    :param check_row: says what is wrong with a row as a whole, as pairs of column and reason. It gets all columns.
    :param unique: the column whose values must differ by more than letter case; ``""`` for none.
    """

    name: str
    columns: tuple[Column, ...]
    check_row: Callable[[Mapping[str, str]], Iterable[tuple[str, str]]] | None = None
    unique: str = ""

    def find(self, header: str) -> Column | None:
        """Return the column that a header names, in any letter case."""
        sought = header.strip().casefold()
        return next((column for column in self.columns if sought in _names(column)), None)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a file, in words that tell what to do; ``str`` puts the place before them. No value.

    :param reason: what is wrong, and what to write instead.
    :param line: line of the file, the header being 1; None where it concerns no line.
    :param column: the column's name.
    :param severity: an ``error`` keeps the file from being sent, with a ``warning`` it goes.
    """

    reason: str
    line: int | None = None
    column: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        line = "" if self.line is None else f"line {self.line}"
        column = f"column {self.column}" if self.column else ""
        place = ", ".join(filter(None, (line, column)))
        return f"{place}: {self.reason}" if place else self.reason


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    :param line: where it begins in the file.
    :param cells: column, as the layout calls it -> value, blanks around it cut off. All columns of the layout.
    """

    line: int
    cells: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class CsvPart:
    """A file to be sent as one job.

    :param path: where it lies.
    :param rows: how many rows it has, without the header.
    """

    path: Path
    rows: int


def check(path: Path, layout: Layout, *, max_characters: int = SAFE_CHARACTERS) -> list[Problem]:
    """Return everything that is wrong with a file, in the order of its lines; the first 1,000 and how many more.

    :param path: CSV in UTF-8, with or without BOM; values may stand in quotes.
    :param layout: what it should hold.
    :param max_characters: size of the files that it will be split into.
    """
    found = _Findings()
    with _open(path) as stream:
        table = _Table(stream, layout)
        for problem in table.problems:
            found.add(problem)
        if not found.errors:
            checker = _RowChecker(layout, table.sent, max_characters)
            for line, cells in table.records():
                if len(cells) != table.width:
                    found.add(_of_another_width(line, cells, table.width))
                    continue
                for problem in checker.check(line, table.named(cells)):
                    found.add(problem)
            if table.broken:
                found.add(table.broken)
            elif not checker.rows and not found.errors:
                found.add(Problem(f"no {layout.name} below the header: nothing is sent", severity="warning"))
    return found.listed()


def rows(path: Path, layout: Layout) -> Iterator[Row]:
    """Yield the rows of a file in which `check` has found no error. Blank lines are none."""
    with _open(path) as stream:
        table = _Table(stream, layout)
        for line, cells in table.records():
            yield Row(line, table.named(cells))


def split(path: Path, layout: Layout, folder: Path, *, max_characters: int = SAFE_CHARACTERS) -> list[CsvPart]:
    """Write the rows of a file in which `check` has found no error, in files that OpenClinica reads to their end.

    The same file gives the same parts, byte for byte: ``part-0001.csv`` and so on. One without rows gives none.

    :param max_characters: of each part, its header included; counted in bytes, which are never fewer.
    """
    with _open(path) as stream:
        sent = _Table(stream, layout).sent
    header = _line(column.name for column in sent)
    parts: list[CsvPart] = []
    lines: list[bytes] = []
    size = len(header)

    def write() -> None:
        part = folder / f"part-{len(parts) + 1:04}.csv"
        part.write_bytes(header + b"".join(lines))
        parts.append(CsvPart(part, len(lines)))

    for row in rows(path, layout):
        line = _line(column.spell(row.cells[column.name]) for column in sent)
        if lines and size + len(line) > max_characters:
            write()
            lines, size = [], len(header)
        lines.append(line)
        size += len(line)
    if lines:
        write()
    return parts


def write_rows(columns: Sequence[str], rows: Iterable[Sequence[object]], path: Path) -> None:
    """Write rows of a query or of a list as a file that `check` reads; a value that is not text becomes text.

    ``None`` becomes an empty cell, a date ``2026-05-01``, a time ``2026-05-01 09:30``, or the date alone at midnight.

    :param columns: the headers.
    :param rows: read once, one at a time.
    """
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_text(value) for value in row])


def _names(column: Column) -> set[str]:
    return {name.casefold() for name in (column.name, *column.aliases)}


def _open(path: Path) -> TextIO:
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def _line(cells: Iterable[str]) -> bytes:
    return (",".join(cells) + "\n").encode()


def _of_another_width(line: int, cells: Sequence[str], width: int) -> Problem:
    hint = "; put a value that holds a comma in quotes" if len(cells) > width else ""
    count = f"{len(cells)} cell{'' if len(cells) == 1 else 's'}"
    return Problem(f"has {count}, and the header has {width}{hint}", line)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}" if (value.hour, value.minute) == (0, 0) else f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a repeat key that some database or data frame has made a float
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return str(value)


class _Table:
    """A file, read as CSV with quotes: which columns it has, and its records.

    ``broken`` is the problem that ended the reading of records, if one did.
    """

    def __init__(self, stream: TextIO, layout: Layout) -> None:
        self._reader = csv.reader(stream, strict=True)
        self._layout = layout
        self.broken: Problem | None = None
        header = next((cells for _, cells in self.records()), [])
        self.width = len(header)
        self._columns = [layout.find(name) for name in header]
        self.problems = [self.broken] if self.broken else list(self._header_problems(header))
        present = {column.name for column in self._columns if column}
        #: The columns that are sent.
        self.sent = [column for column in layout.columns if column.always or column.name in present]

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line where a record begins, and its cells; records without any value are left out."""
        while True:
            line = self._reader.line_num + 1
            try:
                cells = next(self._reader, None)
            except csv.Error:
                self.broken = Problem("this is no CSV: a quote is not closed, or text follows a closing quote", line)
                return
            if cells is None:
                return
            if any(cell.strip() for cell in cells):
                yield line, [cell.strip() for cell in cells]

    def named(self, cells: Sequence[str]) -> dict[str, str]:
        """Return the value of each column of the layout; ``""`` for one that the file lacks."""
        values = dict.fromkeys((column.name for column in self._layout.columns), "")
        values.update({column.name: cell for column, cell in zip(self._columns, cells, strict=False) if column})
        return values

    def _header_problems(self, header: Sequence[str]) -> Iterator[Problem]:
        line = self._reader.line_num or 1
        known = ", ".join(column.name for column in self._layout.columns)
        missing = [column.name for column in self._layout.columns if column.required and column not in self._columns]
        for name in missing:
            semicolons = (
                " Cells are separated by commas, not semicolons." if any(";" in cell for cell in header) else ""
            )
            yield Problem(f"the header has no column {name}.{semicolons}", line)
        seen: set[str] = set()
        for place, column in enumerate(self._columns, 1):
            if column is None and not missing:
                yield Problem(f"the name of column {place} is none of {known}; rename it, or leave it out", line)
            elif column and column.name in seen:
                yield Problem(f"column {place} says the same as an earlier one", line, column.name)
            elif column:
                seen.add(column.name)
                if column.remark:
                    yield Problem(column.remark, line, column.name, "warning")


class _RowChecker:
    """Looks at one row after the other."""

    def __init__(self, layout: Layout, sent: Sequence[Column], max_characters: int) -> None:
        self._layout, self._sent = layout, sent
        self._headers = frozenset[str]().union(*(_names(column) for column in layout.columns))
        self._room = max_characters - len(_line(column.name for column in sent))
        self._seen: dict[str, int] = {}
        self._doubted = False
        self.rows = 0

    def check(self, line: int, cells: Mapping[str, str]) -> Iterator[Problem]:
        """Yield the first problem of each cell; where there is none, those of the row as a whole."""
        self.rows += 1
        whole = True
        for column in self._sent:
            value = cells[column.name]
            if reason := self._reason(column, value) or self._reason_against_another(column, value, line):
                yield Problem(reason, line, column.name)
                whole = False
            elif not self._doubted and not value.isascii():
                self._doubted = True  # once for a file: nearly every row of some files would say it
                yield Problem(_NOT_ASCII, line, column.name, "warning")
        if whole:
            yield from self._row_problems(line, cells)

    def _reason(self, column: Column, value: str) -> str:
        if _UNDECODED.search(value):
            return "holds bytes that are no UTF-8; save the file as UTF-8"
        if _CONTROL.search(value):
            return "holds a line break or another control character, and OpenClinica knows no quotes"
        if "," in value:
            return "holds a comma, and OpenClinica, which knows no quotes, would cut the value there"
        if '"' in value:
            return "holds a double quote, and OpenClinica may take what follows for a quoted header"
        if value.casefold() in self._headers:
            return "is the name of a column, and OpenClinica would take it for a second header"
        if column.ascii_only and not value.isascii():
            return "holds letters beyond ASCII, which OpenClinica may change or drop"
        return column.check(value) if column.check else ""

    def _reason_against_another(self, column: Column, value: str, line: int) -> str:
        if column.name != self._layout.unique:
            return ""
        first = self._seen.setdefault(value.casefold(), line)
        return "" if first == line else f"is the same as in line {first}; OpenClinica ignores letter case"

    def _row_problems(self, line: int, cells: Mapping[str, str]) -> Iterator[Problem]:
        if len(_line(cells[column.name] for column in self._sent)) > self._room:
            yield Problem("is longer than a whole file may be", line)
        if self._layout.check_row:
            for name, reason in self._layout.check_row(cells):
                yield Problem(reason, line, name)


class _Findings:
    """Collects problems, the first of them in full."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._more = 0
        self.errors = 0

    def add(self, problem: Problem) -> None:
        self.errors += problem.severity == "error"
        if len(self._problems) < MOST_PROBLEMS:
            self._problems.append(problem)
        else:
            self._more += 1

    def listed(self) -> list[Problem]:
        if not self._more:
            return self._problems
        more = Problem(f"there are {self._more} more problems", severity="error" if self.errors else "warning")
        return [*self._problems, more]

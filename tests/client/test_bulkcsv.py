"""What is refused in a bulk file, and that what is written is read to its end by a server that knows no quotes."""

from __future__ import annotations

import csv
from datetime import date, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.client.bulkcsv import Column, Layout, check, rows, split, write_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path


def both_or_none(cells: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    if cells["Size"] and not cells["Colour"]:
        yield "Colour", "goes with Size"


LAYOUT = Layout(
    "things",
    (
        Column(name="Key", required=True, ascii_only=True, check=lambda key: "" if key else "is empty"),
        Column(name="Colour", aliases=("color",)),
        Column(name="Size", remark="is often ignored"),
        Column(name="Start", always=True),
    ),
    check_row=both_or_none,
    unique="Key",
)


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "things.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize("content", ["Key\n", "Key", "Key\n\n , \n"], ids=["a-header", "its-line-cut", "blank-lines"])
def test_a_file_without_rows_is_worth_a_warning_and_makes_no_file(
    file: Callable[[str | bytes], Path], tmp_path: Path, content: str
) -> None:
    (warning,) = check(file(content), LAYOUT)
    assert (str(warning), warning.severity) == ("no things below the header: nothing is sent", "warning")
    assert split(file(content), LAYOUT, tmp_path) == []


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        pytest.param("", ["line 1: the header has no column Key."], id="an-empty-file"),
        pytest.param(
            "Key;Colour\nA;red\n",
            ["line 1: the header has no column Key. Cells are separated by commas, not semicolons."],
            id="semicolons",
        ),
        pytest.param(
            "Key,Shade\nA,red\n",
            ["line 1: the name of column 2 is none of Key, Colour, Size, Start; rename it, or leave it out"],
            id="a-column-nobody-knows",
        ),
        pytest.param(
            "Key,Colour,COLOR\nA,red,red\n",
            ["line 1, column Colour: column 3 says the same as an earlier one"],
            id="one-column-by-two-names",
        ),
        pytest.param("Key,Colour\nA\n", ["line 2: has 1 cell, and the header has 2"], id="a-short-row"),
        pytest.param(
            "Key\nA,red\n",
            ["line 2: has 2 cells, and the header has 1; put a value that holds a comma in quotes"],
            id="a-long-row",
        ),
        pytest.param(
            'Key\n"A\n',
            ["line 2: this is no CSV: a quote is not closed, or text follows a closing quote"],
            id="an-open-quote",
        ),
        pytest.param(
            'Key\n"A"B\n',
            ["line 2: this is no CSV: a quote is not closed, or text follows a closing quote"],
            id="text-after-a-quote",
        ),
        pytest.param(
            'Key,Colour\n"A",\n\n"B,C",\n',
            ["line 4, column Key: holds a comma, and OpenClinica, which knows no quotes, would cut the value there"],
            id="a-comma-in-a-value",
        ),
        pytest.param(
            'Key\n"A\nB"\nC"\n',
            [
                "line 2, column Key: holds a line break or another control character, and OpenClinica knows no quotes",
                "line 4, column Key: holds a double quote, and OpenClinica may take what follows for a quoted header",
            ],
            id="a-line-break-and-a-quote",
        ),
        pytest.param(
            "Key\nA\u2028B\n",
            ["line 2, column Key: holds a line break or another control character, and OpenClinica knows no quotes"],
            id="a-line-break-of-unicode",
        ),
        pytest.param(
            "Key\nColor\n",
            ["line 2, column Key: is the name of a column, and OpenClinica would take it for a second header"],
            id="a-value-that-is-a-header",
        ),
        pytest.param(
            b"Key\nA\xff\n", ["line 2, column Key: holds bytes that are no UTF-8; save the file as UTF-8"], id="latin-1"
        ),
        pytest.param(
            "Key\nÄ\n",
            ["line 2, column Key: holds letters beyond ASCII, which OpenClinica may change or drop"],
            id="letters-beyond-ascii-in-a-key",
        ),
        pytest.param("Key,Colour,Size\n,red,1\n", ["line 2, column Key: is empty"], id="a-check-of-a-column"),
        pytest.param("Key,Colour,Size\nA,,1\n", ["line 2, column Colour: goes with Size"], id="a-check-of-a-row"),
        pytest.param(
            "Key\nP-1\nP-2\np-1\n",
            ["line 4, column Key: is the same as in line 2; OpenClinica ignores letter case"],
            id="a-key-twice",
        ),
        pytest.param("Key\n" + 9000 * "A" + "\n", ["line 2: is longer than a whole file may be"], id="too-long-a-row"),
        pytest.param(
            "Key,Colour\nColour,\nA\n\n,\n,red\n",
            [
                "line 2, column Key: is the name of a column, and OpenClinica would take it for a second header",
                "line 3: has 1 cell, and the header has 2",
                "line 6, column Key: is empty",
            ],
            id="all-problems-at-once",
        ),
    ],
)
def test_what_openclinica_cannot_read_is_told_by_line_and_column(
    file: Callable[[str | bytes], Path], content: str | bytes, problems: Sequence[str]
) -> None:
    found = check(file(content), LAYOUT)
    assert [str(problem) for problem in found if problem.severity == "error"] == problems


def test_doubts_are_warnings_and_one_for_a_file_is_enough(file: Callable[[str | bytes], Path]) -> None:
    found = check(file("Key,Colour,Size\nA,grün,1\nB,weiß,2\n"), LAYOUT)
    assert [(problem.line, problem.column, problem.severity) for problem in found] == [
        (1, "Size", "warning"),
        (2, "Colour", "warning"),
    ]


def test_a_file_full_of_problems_is_not_listed_without_end(file: Callable[[str | bytes], Path]) -> None:
    found = check(file("Key,Colour\n" + 1500 * "A\n"), LAYOUT)
    assert len(found) == 1001
    assert str(found[-1]) == "there are 500 more problems"


def test_no_problem_quotes_what_a_file_holds(file: Callable[[str | bytes], Path]) -> None:
    secret = "Zorro"
    for content in (
        f"{secret},Key\nA,B\n",
        f"{secret}\n{secret}\n",
        f'Key\n"{secret},"\n{secret}\n{secret}\n"{secret}"{secret}\n',
        f"Key\n{secret},{secret}\nÄ{secret}\n",
    ):
        found = check(file(content), LAYOUT)
        assert found
        assert secret not in repr(found)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("Key,Colour\nA,red\nB,\n", id="plain"),
        pytest.param('\ufeffColor,key\r\n"red"," A"\r\n\r\n,B\r\n,\r\n', id="as-a-spreadsheet-writes-it"),
        pytest.param("COLOUR , KEY\rred,A\r,B", id="old-line-ends-and-none-at-the-end"),
    ],
)
def test_the_parts_have_neither_quotes_nor_bom_nor_blank_lines(
    file: Callable[[str | bytes], Path], tmp_path: Path, content: str
) -> None:
    path = file(content)
    assert check(path, LAYOUT) == []
    (part,) = split(path, LAYOUT, tmp_path)
    assert part.path.read_bytes() == b"Key,Colour,Start\nA,red,\nB,,\n"
    assert part.rows == 2
    assert [dict(row.cells) for row in rows(path, LAYOUT)] == [
        {"Key": "A", "Colour": "red", "Size": "", "Start": ""},
        {"Key": "B", "Colour": "", "Size": "", "Start": ""},
    ]


_KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=',"'), min_size=1, max_size=30)
_CELLS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters=',"'), max_size=60).map(
    str.strip
)


@given(
    keys=st.lists(_KEYS.filter(lambda key: LAYOUT.find(key) is None), min_size=1, max_size=60, unique_by=str.casefold),
    cell=_CELLS.filter(lambda cell: LAYOUT.find(cell) is None),
    most=st.integers(400, 2000),
)
def test_every_row_is_in_exactly_one_part_and_no_part_is_too_long(
    tmp_path_factory: pytest.TempPathFactory, keys: list[str], cell: str, most: int
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    source = folder / "source.csv"
    write_rows(["Colour", "Size", "Key"], ([cell, cell, key] for key in keys), source)
    assert [problem for problem in check(source, LAYOUT, max_characters=most) if problem.severity == "error"] == []

    parts = split(source, LAYOUT, folder, max_characters=most)

    read: list[str] = []
    for part in parts:
        content = part.path.read_bytes()
        assert len(content) <= most
        header, *lines, end = content.decode().split("\n")
        assert (header, end) == ("Key,Colour,Size,Start", "")
        assert len(lines) == part.rows > 0
        assert all(line.split(",")[1:] == [cell, cell, ""] for line in lines)
        read += [line.split(",")[0] for line in lines]
    assert read == keys


def test_the_same_file_gives_the_same_parts(file: Callable[[str | bytes], Path], tmp_path: Path) -> None:
    path = file("Key\n" + "".join(f"P-{number}\n" for number in range(3000)))
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        contents.append([part.path.read_bytes() for part in split(path, LAYOUT, tmp_path / name)])
    assert contents[0] == contents[1]
    assert len(contents[0]) > 1


def test_what_a_database_gives_becomes_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    values = [None, "a,b", 7, 2.0, 2.5, date(2026, 5, 1), datetime(2026, 5, 1, 9, 30, 59), datetime(2026, 5, 1), b"x"]  # noqa: DTZ001
    write_rows([str(number) for number in range(len(values))], [values], path)
    with path.open(encoding="utf-8", newline="") as stream:
        _, cells = csv.reader(stream)
    assert cells == ["", "a,b", "7", "2", "2.5", "2026-05-01", "2026-05-01 09:30", "2026-05-01", "x"]

"""Pages of contacts: counted, told apart and joined."""

from __future__ import annotations

import csv
import hashlib
import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.engine.contacts import Page, is_last, join, read_page
from airflow_provider_openclinica.errors import JobFailedError, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HEADER = "ParticipantId,First Name,Last Name,Email,Mobile,Identifier,Access Code,Participate Status"
ANN = "P-001,Ann,Lee,ann@example.org,+1 5551234567,,aB3dE9xzQ,CREATED"
BOB = "P-002,Bob,Ray,,,,,"
UUID = "6c325687-c3c3-41f6-9b98-154ef3352cb1"


def page_of(*lines: str, header: str = HEADER, end: str = "\n\n") -> bytes:
    return "\n".join([header, *lines]).encode() + end.encode()


def counted(*lines: str) -> Page:
    return read_page(UUID, [page_of(*lines)])


def joined(tmp_path: Path, *pages: bytes) -> tuple[list[list[str]], int, frozenset[str], int]:
    """Join pages and read the file as any CSV reader does."""
    paths = []
    for number, page in enumerate(pages):
        paths.append(tmp_path / f"{number}.csv")
        paths[-1].write_bytes(page)
    target = io.BytesIO()
    result = join(paths, target.write)
    rows = list(csv.reader(io.StringIO(target.getvalue().decode(), newline="")))
    return rows, result.rows, result.ids, result.shifted


# -- one page


def test_a_page_has_a_row_for_each_participant_and_a_blank_line_at_its_end() -> None:
    assert counted(ANN, BOB).rows == 2


def test_an_empty_page_has_a_header_and_nobody() -> None:
    assert counted().rows == 0


@pytest.mark.parametrize(
    "header",
    ["ParticipantId,Participate Status", "participantid", "Participate Status,Participant ID", "\ufeffParticipantID"],
)
def test_the_id_is_found_by_its_column(header: str) -> None:
    row = ",".join("P-001" if "id" in name.lower() else "" for name in header.split(","))
    page = read_page(UUID, [page_of(row, header=header)])
    assert (page.rows, page.ids_sha256) == (1, hashlib.sha256(b"P-001").hexdigest())


def test_the_digest_is_that_of_the_participants_in_any_order_and_tells_nobody() -> None:
    assert counted(ANN, BOB).ids_sha256 == counted(BOB, ANN.replace("CREATED", "ACTIVE")).ids_sha256
    assert counted(ANN).ids_sha256 != counted(BOB).ids_sha256


@pytest.mark.parametrize("content", [b"", b"\n\n"], ids=["empty", "blank"])
def test_an_empty_file_is_a_job_that_failed(content: bytes) -> None:
    with pytest.raises(JobFailedError, match=UUID):
        read_page(UUID, [content])


@pytest.mark.parametrize(
    "content",
    [b"SubjectKey|Ann Lee|Failed\n", b"Ann\rLee\n", b'"ParticipantId"\n"Ann' + b" Lee" * 40000],
    ids=["another-header", "no-header", "a-quote-without-end"],
)
def test_a_file_of_something_else_is_not_repeated_to_anyone(content: bytes) -> None:
    with pytest.raises(UnexpectedAnswerError, match=UUID) as caught:
        read_page(UUID, [content])
    assert "Ann" not in str(caught.value)


@given(st.lists(st.sampled_from([ANN, BOB, "P-003,M\u00fcller\u4e2d,,,,,,"]), max_size=5), st.integers(1, 40))
def test_it_does_not_matter_how_the_bytes_are_cut(lines: list[str], size: int) -> None:
    content = page_of(*lines)
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    assert read_page(UUID, pieces) == read_page(UUID, [content])


# -- the last page


def page(rows: int, ids: str) -> Page:
    return Page(job_uuid=UUID, rows=rows, ids_sha256=ids)


@pytest.mark.parametrize(
    ("pages", "last"),
    [
        pytest.param([page(0, "a")], True, id="nobody-at-all"),
        pytest.param([page(99, "a")], True, id="a-short-page"),
        pytest.param([page(100, "a")], False, id="a-full-page"),
        pytest.param([page(101, "a")], True, id="a-server-that-does-not-know-pages"),
        pytest.param([page(100, "a"), page(100, "b")], False, id="two-full-pages"),
        pytest.param([page(100, "a"), page(100, "a")], True, id="the-same-page-again"),
        pytest.param([page(100, "a"), page(100, "b"), page(0, "c")], True, id="an-empty-page-behind-full-ones"),
    ],
)
def test_the_last_page_is_recognised(pages: Sequence[Page], last: bool) -> None:
    assert is_last(pages, 100) is last


# -- all pages


def test_pages_are_joined_below_one_header(tmp_path: Path) -> None:
    rows, count, ids, shifted = joined(tmp_path, page_of(ANN), page_of(BOB), page_of())
    assert rows == [HEADER.split(","), ANN.split(","), BOB.split(",")]
    assert (count, ids, shifted) == (2, {"P-001", "P-002"}, 0)


def test_who_stands_on_two_pages_is_written_once(tmp_path: Path) -> None:
    rows, count, _, _ = joined(tmp_path, page_of(ANN, BOB), page_of(BOB))
    assert ([row[0] for row in rows[1:]], count) == (["P-001", "P-002"], 2)


def test_pages_of_different_columns_are_not_joined(tmp_path: Path) -> None:
    with pytest.raises(UnexpectedAnswerError, match="different columns"):
        joined(tmp_path, page_of(ANN), page_of("P-002,", header="ParticipantId,Participate Status"))


def test_what_openclinica_does_not_quote_is_quoted_here(tmp_path: Path) -> None:
    rows, _, _, shifted = joined(tmp_path, page_of('P-001,"Annie" Lee,,,,,,'))
    assert (rows[1][1], shifted) == ('"Annie" Lee', 0)


def test_a_line_break_in_a_name_makes_no_second_row(tmp_path: Path) -> None:
    rows, count, _, shifted = joined(tmp_path, page_of(ANN.replace("Ann,", "Ann\nMarie,"), BOB))
    assert (rows[1][1], rows[1][2], count, shifted) == ("Ann\nMarie", "Lee", 2, 0)
    assert counted(ANN.replace("Ann,", "Ann\nMarie,"), BOB).rows == 2


def test_a_comma_in_a_name_keeps_its_row_and_is_counted(tmp_path: Path) -> None:
    shifting = ANN.replace("Lee", "Lee, Jr.")
    rows, count, ids, shifted = joined(tmp_path, page_of(shifting, BOB), page_of(shifting))
    assert (",".join(rows[1]), count, ids, shifted) == (shifting, 2, {"P-001", "P-002"}, 1)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param('"Lee, Jr."', "Lee, Jr.", id="a-comma"),
        pytest.param('"Lee\nJr."', "Lee\nJr.", id="a-line-break"),
        pytest.param('"Lee ""Junior"", 2nd"', 'Lee "Junior", 2nd', id="quotes-and-a-comma"),
        pytest.param('"Lee"', '"Lee"', id="quotes-that-may-be-somebodys-own"),
        pytest.param('Lee "Junior"', 'Lee "Junior"', id="quotes-in-the-middle"),
    ],
)
def test_quotes_count_where_a_row_fits_its_header_only_by_them(tmp_path: Path, written: str, read: str) -> None:
    rows, count, ids, shifted = joined(tmp_path, page_of(ANN.replace("Lee", written), BOB))
    assert (rows[1][2], rows[1][3], count) == (read, "ann@example.org", 2)
    assert (ids, shifted) == ({"P-001", "P-002"}, 0)


def test_quotes_count_everywhere_in_a_file_whose_header_has_them(tmp_path: Path) -> None:
    def quoted(line: str) -> str:
        return ",".join(f'"{cell}"' for cell in line.split(","))

    page = page_of(quoted(ANN).replace("Lee", "Lee,\n\nJr."), quoted(BOB), header=quoted(HEADER))
    rows, count, ids, shifted = joined(tmp_path, page)
    assert (rows[0], rows[1][2], rows[2]) == (HEADER.split(","), "Lee,\n\nJr.", BOB.split(","))
    assert (count, ids, shifted) == (2, {"P-001", "P-002"}, 0)
    assert read_page(UUID, [page]).ids_sha256 == counted(ANN, BOB).ids_sha256


def test_a_page_that_breaks_off_is_counted_as_it_is(tmp_path: Path) -> None:
    _, count, _, shifted = joined(tmp_path, page_of(BOB, "P-003,An", end=""))
    assert (count, shifted) == (2, 1)


def test_bytes_that_are_no_utf_8_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "page.csv"
    path.write_bytes(page_of(BOB).replace(b"Ray", b"R\xe4y"))
    target = io.BytesIO()
    join([path], target.write)
    assert b"R\xe4y" in target.getvalue()


values = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters=",\n\r\x00"), max_size=8)
everybody = st.dictionaries(values, st.lists(values, min_size=7, max_size=7), max_size=12)


@given(everybody, st.integers(1, 5))
def test_everybody_is_written_once_however_the_pages_are_cut(
    tmp_path_factory: pytest.TempPathFactory, people: dict[str, list[str]], size: int
) -> None:
    lines = [",".join([key, *cells]) for key, cells in people.items()]
    pages = [page_of(*lines[start : start + size]) for start in range(0, len(lines) + 1, size)]
    rows, count, ids, shifted = joined(tmp_path_factory.mktemp("pages"), *pages)
    assert rows[1:] == [[key, *cells] for key, cells in people.items()]
    assert (count, ids, shifted) == (len(people), set(people), 0)

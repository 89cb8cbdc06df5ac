"""Plain text as PDF."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.sandbox.pdf import write_pdf


def shown(file: bytes) -> list[str]:
    """Read the lines that the pages show."""
    escaped = re.findall(rb"^\((.*)\) '$", file, re.MULTILINE)
    return [re.sub(rb"\\(.)", rb"\1", line).decode("latin-1") for line in escaped]


def objects(file: bytes) -> list[bytes]:
    """Follow the table at the end of the file to what it lists, as every reader does."""
    start = int(file.rpartition(b"startxref\n")[2].split(b"\n")[0])
    table = file[start:]
    count = int(table.split(b"\n")[1].split()[1])
    entries = [table.split(b"\n", 2)[2][20 * number : 20 * number + 20] for number in range(count)]
    assert entries[0] == b"0000000000 65535 f \n"
    assert f"/Size {count} /Root 1 0 R".encode() in table
    return [file[int(entry[:10]) :] for entry in entries[1:]]


@given(st.lists(st.text()), st.sampled_from(["A4", "a6", "Letter", "none"]), st.text(max_size=6), st.booleans())
def test_the_table_leads_to_every_object_and_every_stream_has_its_length(lines, paper, margin, landscape):
    file = write_pdf(lines, paper=paper, margin=margin, landscape=landscape)
    assert file.startswith(b"%PDF-1.4\n")
    assert file.endswith(b"%%EOF\n")
    for number, found in enumerate(objects(file), 1):
        assert found.startswith(b"%d 0 obj\n" % number)
        if length := re.match(rb"\d+ 0 obj\n<< /Length (\d+) >>\nstream\n", found):
            assert found[length.end() + int(length[1]) :].startswith(b"\nendstream\nendobj\n")


@given(st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40)))
def test_short_lines_come_back_as_they_are(lines):
    assert shown(write_pdf(lines)) == lines


def test_what_the_font_lacks_becomes_a_question_mark_and_no_control_character_is_left():
    assert shown(write_pdf(["a\tb\rc", "\N{EURO SIGN} é"])) == ["a       b c", "? é"]


def test_a_long_line_goes_on_below_and_many_lines_go_on_overleaf():
    file = write_pdf(["word " * 100] * 50)
    assert max(map(len, shown(file))) <= 96
    assert b"/Count 5 " in file


@pytest.mark.parametrize(
    ("options", "box"),
    [
        ({}, "0 0 595 842"),
        ({"landscape": True}, "0 0 842 595"),
        ({"paper": "Letter"}, "0 0 612 792"),
        ({"paper": "tabloid", "landscape": True}, "0 0 1224 792"),
        ({"paper": "a paper"}, "0 0 595 842"),
    ],
    ids=str,
)
def test_the_paper_is_what_was_asked_for_or_a4(options, box):
    assert f"/MediaBox [{box}]".encode() in write_pdf([], **options)


@pytest.mark.parametrize(
    ("margin", "corner"),
    [
        ("1in", "72.0 770.0"),
        ("2.54cm", "72.0 770.0"),
        ("10mm", "28.3 813.7"),
        ("1", "36.0 806.0"),
        ("9in", "36.0 806.0"),
    ],
)
def test_the_margin_is_what_was_asked_for_or_half_an_inch(margin, corner):
    assert f"{corner} Td".encode() in write_pdf([], margin=margin)

"""Which IDs and contact data OpenClinica takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_openclinica.client.bulkcsv import check, split, write_rows
from airflow_provider_openclinica.client.participant_data import (
    check_email,
    check_id,
    check_name,
    check_phone,
    participants_layout,
    read_contact,
)
from airflow_provider_openclinica.sandbox import csv_upload
from airflow_provider_openclinica.sandbox.dialect import Dialect

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("participant_id", ["P-001", "x" * 30, "Q 7/b", "&"])
def test_an_id_is_taken(participant_id: str) -> None:
    assert check_id(participant_id) == ""


@pytest.mark.parametrize(
    ("participant_id", "reason"),
    [("", "is empty"), ("  ", "is empty"), ("x" * 31, "longer than 30"), ("P<1", "< or >"), ("P>1", "< or >")],
)
def test_an_id_is_refused(participant_id: str, reason: str) -> None:
    assert reason in check_id(participant_id)


@pytest.mark.parametrize(
    "address",
    ["", "a@b.c", "ann.lee+x@mail.example.org", "o'hara@ex-ample.org", "a@1.2", "x" * 240 + "@example.org"],
)
def test_an_address_is_taken(address: str) -> None:
    assert check_email(address) == ""


@pytest.mark.parametrize(
    "address",
    [
        "ann",
        "ann@",
        "@example.org",
        "ann@example",
        "ann..lee@example.org",
        ".ann@example.org",
        "ann@-x.org",
        "ann lee@example.org",
        "änn@example.org",
        "ann@ex_ample.org",
        "ann@example.org.",
        "a@b.c\n",
    ],
)
def test_an_address_is_refused(address: str) -> None:
    assert "is no e-mail address" in check_email(address)


def test_an_address_is_measured_before_it_is_read() -> None:
    assert check_email("x" * 256) == "is longer than 255 characters"


@pytest.mark.parametrize("number", ["", "+1 5551234567", "+49 1", "+999 123456789012"])
def test_a_number_is_taken(number: str) -> None:
    assert check_phone(number) == ""


@pytest.mark.parametrize(
    "number", ["5551234567", "+1 555 1234", "+1  5551234", "+1", "+1 ", "+1234 1", "+1 ٣", "+1-555"]
)
def test_a_number_is_refused(number: str) -> None:
    assert "is not written as" in check_phone(number)


def test_a_number_is_measured_before_it_is_read() -> None:
    assert check_phone("+999 1234567890123") == "is longer than 17 characters"


@pytest.mark.parametrize(("length", "reason"), [(35, ""), (36, "is longer than 35 characters")])
def test_names_have_at_most_35_characters(length: int, reason: str) -> None:
    assert check_name("x" * length) == reason


@pytest.mark.parametrize(
    ("phone_column", "header"),
    [
        ("MobileNumber", b"ParticipantID,FirstName,MobileNumber\n"),
        ("phoneNumber", b"ParticipantID,FirstName,phoneNumber\n"),
        ("CellPhone", b"ParticipantID,FirstName,CellPhone\n"),
    ],
)
@pytest.mark.parametrize("named", ["MobileNumber", "mobilenumber", "phoneNumber"])
def test_the_phone_column_is_called_as_the_server_calls_it(
    tmp_path: Path, phone_column: str, header: bytes, named: str
) -> None:
    path, layout = tmp_path / "source.csv", participants_layout(phone_column)
    path.write_text(f"{named},participantid,FIRSTNAME\n+1 5551234,P-1,Ann\n")
    assert check(path, layout) == []
    (part,) = split(path, layout, tmp_path)
    assert part.path.read_bytes() == header + b"P-1,Ann,+1 5551234\n"


def test_two_phone_columns_are_one_too_many(tmp_path: Path) -> None:
    path = tmp_path / "source.csv"
    path.write_text("ParticipantID,MobileNumber,phoneNumber\nP-1,,\n")
    (problem,) = check(path, participants_layout())
    assert str(problem) == "line 1, column MobileNumber: column 3 says the same as an earlier one"


def test_contact_data_are_sent_as_they_are_given() -> None:
    text = '{"firstName": "Ånn", "lastName": "", "emailAddress": null, "phoneNumber": "+1 5551234"}'
    assert read_contact(text.encode()) == ({"firstName": "Ånn", "lastName": "", "phoneNumber": "+1 5551234"}, [])


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        pytest.param(b"{", ["this is no JSON in UTF-8"], id="no-json"),
        pytest.param(b'{"firstName": "\xff"}', ["this is no JSON in UTF-8"], id="latin-1"),
        pytest.param(b"[]", ["this is no JSON object"], id="a-list"),
        pytest.param(
            b'{"Zorro": "Zorro", "firstName": 7, "phoneNumber": "Zorro"}',
            [
                "a name is none of firstName, lastName, emailAddress, phoneNumber, identifier",
                "column firstName: is no text; write it in quotes",
                f"column phoneNumber: {check_phone('x')}",
            ],
            id="all-problems-at-once",
        ),
    ],
)
def test_contact_data_that_openclinica_would_refuse_are_told_without_a_value(text: bytes, problems: list[str]) -> None:
    assert [str(problem) for problem in read_contact(text)[1]] == problems


_IDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=31)
_NAMES = st.text(st.sampled_from('aZ Ö,"\n\u2028\u00a0'), max_size=36) | st.sampled_from(["FirstName", "lastname"])
_PHONES = st.sampled_from(["", "+1 5551234567", "+49 30123"])


@pytest.mark.parametrize(("dialect", "phone_column"), [("source", "MobileNumber"), ("docs", "phoneNumber")])
@given(people=st.lists(st.tuples(_IDS, _NAMES, _PHONES), min_size=1, max_size=40))
def test_what_passes_here_is_read_whole_by_a_server_and_unchanged(
    tmp_path_factory: pytest.TempPathFactory, dialect: str, phone_column: str, people: list[tuple[str, str, str]]
) -> None:
    folder, layout = tmp_path_factory.mktemp("people"), participants_layout(phone_column)
    source = folder / "source.csv"

    def problems_of(rows: list[tuple[str, str, str]]) -> list[int | None]:
        write_rows(["ParticipantID", "LastName", phone_column], rows, source)
        return [problem.line for problem in check(source, layout, max_characters=600) if problem.severity == "error"]

    kept: list[tuple[str, str, str]] = []
    for person in people:
        if any(cell.strip() for cell in person) and not problems_of([*kept, person]):  # else it is a blank line
            kept.append(person)
    assume(kept)
    assert problems_of(kept) == []

    read = []
    for part in split(source, layout, folder, max_characters=600):
        content = part.path.read_bytes()
        csv_upload.check_file(part.path.name, content)
        csv_upload.check_header(content.decode(), csv_upload.PARTICIPANTS[Dialect(dialect)], Dialect(dialect))
        found = list(csv_upload.rows(content.decode(), csv_upload.PARTICIPANTS[Dialect(dialect)]))
        assert len(found) == part.rows
        read += found
    expected = [{"subjectKey": a.strip(), "lastName": b.strip() or None, "phoneNumber": c or None} for a, b, c in kept]
    assert [{name: row.get(name) for name in expected[0]} for row in read] == expected

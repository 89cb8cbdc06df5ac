"""Bulk CSV files, by the three readings of the server."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.sandbox import csv_upload
from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.import_run import Refused

SOURCE = csv_upload.PARTICIPANTS[Dialect.SOURCE]
DOCS = csv_upload.PARTICIPANTS[Dialect.DOCS]
EVENTS = csv_upload.EVENTS
PARTICIPANT_HEADER = "ParticipantID,FirstName,LastName,EmailAddress,MobileNumber"
EVENT_HEADER = "ParticipantID,StudyEventOID,StartDate,StudyEventRepeatKey,EndDate,StudyEventStatus"


def refusal(check, *arguments) -> str:
    """Return the code that a check refuses with, or nothing."""
    try:
        check(*arguments)
    except Refused as refused:
        return refused.code
    return ""


# The first reading


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.csv", "", "blankFile"),
        ("a.txt", "", "blankFile"),
        ("a.txt", "ParticipantID\nP-1\n", "notCSVfile"),
        ("a.CSV", "ParticipantID\nP-1\n", "notCSVfile"),
        ("a.csv", "ParticipantID\nP-1\n", ""),
        (".csv", "ParticipantID\n", ""),
        ("a.csv", "FirstName,FirstName\n", csv_upload.SAME_HEADERS),
        ("a.csv", "FirstName, FirstName \n", csv_upload.SAME_HEADERS),
        ("a.csv", "FirstName,firstname\n", ""),
        ("a.csv", "\r\n\nFirstName,FirstName\n", csv_upload.SAME_HEADERS),
        ("a.csv", "ParticipantID,\n", ""),
        ("a.csv", "ParticipantID,,\n", csv_upload.SAME_HEADERS),
        ("a.csv", "ParticipantID,,", csv_upload.SAME_HEADERS),
        ("a.csv", 'ParticipantID,"ParticipantID"', csv_upload.SAME_HEADERS),
        ("a.csv", '"ParticipantID"x,FirstName\n', "notCSVfile"),
        ("a.csv", '"ParticipantID,FirstName\n', "notCSVfile"),
        ("a.csv", '"Participant\nID" ,"First ""x"" Name"\n', ""),
        ("a.csv", 'Participant"ID"x,FirstName\n', ""),
        ("a.csv", "ParticipantID\nsame,same\n", ""),
        ("a.csv", "\n\n\n", ""),
    ],
)
def test_a_file_is_judged_by_its_name_and_its_first_line(name, content, code):
    assert refusal(csv_upload.check_file, name, content.encode()) == code


def filled(size: int) -> str:
    """Write a header and harmless rows of exactly so many characters."""
    head = "ParticipantID,FirstName\n"
    whole, rest = divmod(size - len(head), 8)
    text = head + "P-1,Ann\n" * whole
    return text[:-1] + "x" * rest + "\n"


@pytest.mark.parametrize(
    ("size", "then", "code"),
    [
        (8192, "", ""),
        (8192, "\n", ""),
        (8192, "same,same\n", csv_upload.SAME_HEADERS),
        (8192, "\n\nsame,same\n", csv_upload.SAME_HEADERS),
        (8192, ",,", csv_upload.SAME_HEADERS),
        (8192, "a,b\nsame,same\n", ""),
        (8192, '"a"b,c\n', "notCSVfile"),
        (8191, "same,same\n", ""),  # the second record begins inside the first "same": "ame,same"
        (8188, "same,same\n", ""),  # ",same" is the fragment
        (8183, "same,same\n", ""),  # everything fits
        (8193, "same,same\n", csv_upload.SAME_HEADERS),  # an empty line is no record
        (8194, "same,same\n", ""),
        (16384, "same,same\n", ""),
    ],
)
def test_what_follows_8192_characters_is_taken_for_a_second_header(size, then, code):
    text = filled(size)
    assert len(text) == size
    assert refusal(csv_upload.check_file, "a.csv", (text + then).encode()) == code


def test_the_boundary_counts_characters_and_not_bytes():
    text = filled(8192).replace("Ann", "Zoë")
    assert refusal(csv_upload.check_file, "a.csv", (text + "same,same\n").encode()) == csv_upload.SAME_HEADERS


def test_a_header_longer_than_the_buffer_moves_the_boundary_on():
    text = "ParticipantID," + "x" * 8192 + "\n"
    text += "y" * (16383 - len(text)) + "\n"
    assert refusal(csv_upload.check_file, "a.csv", (text + "same,same\n").encode()) == csv_upload.SAME_HEADERS


@given(st.lists(st.text(st.characters(codec="ascii"), max_size=8), min_size=1, max_size=6, unique_by=str.strip))
def test_a_header_that_pythons_csv_writes_is_never_refused_unless_two_cells_are_equal(cells):
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL).writerow(cells)
    trimmed = [cell.strip(csv_upload.BLANKS) for cell in cells]
    expected = csv_upload.SAME_HEADERS if len(set(trimmed)) < len(trimmed) else ""
    assert refusal(csv_upload.check_file, "a.csv", written.getvalue().encode()) == expected


@given(st.text(max_size=60))
def test_whatever_is_sent_is_either_taken_or_refused_with_a_code(text):
    code = refusal(csv_upload.check_file, "a.csv", text.encode())
    assert code in {"", "blankFile", "notCSVfile", csv_upload.SAME_HEADERS}
    if text and refusal(csv_upload.check_header, text, EVENTS, Dialect.SOURCE) == "":
        assert len(list(csv_upload.rows(text, EVENTS))) < len(text)


# The second reading


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ParticipantID\n", ""),
        ("participantid\n", ""),
        (" PARTICIPANTID \n", ""),
        ("\ufeffParticipantID\n", ""),
        ("FirstName,ParticipantID\n", ""),
        ("ParticipantID,Shoe size\n", ""),
        ("FirstName\nParticipantID\n", "missingParticipantID"),
        ('"ParticipantID"\n', "missingParticipantID"),
        ("\nParticipantID\n", "missingParticipantID"),
        ("ParticipantID,participantid\n", "multipleParticipantIdHeaders"),
        ("ParticipantID\nparticipantID\n", "multipleParticipantIdHeaders"),
        ("ParticipantID,FirstName,FIRSTNAME\n", "multipleFirstNameHeaders"),
        ("ParticipantID,FirstName\nP-1, firstname \n", "multipleFirstNameHeaders"),
        ("ParticipantID,LastName\nP-1,LastName\n", "multipleLastNameHeaders"),
        ("ParticipantID,EmailAddress\nP-1,EmailAddress\n", "multipleEmailAddressHeaders"),
        ("ParticipantID\nP-1,LastName\n", ""),  # the first time, wherever that is
        ("ParticipantID\nP-1,LastName\nP-2,LastName\n", "multipleLastNameHeaders"),
    ],
)
@pytest.mark.parametrize("dialect", Dialect)
def test_a_file_of_participants_has_each_column_once_and_no_column_name_as_a_value(dialect, text, code):
    assert refusal(csv_upload.check_header, text, csv_upload.PARTICIPANTS[dialect], dialect) == code


@pytest.mark.parametrize(
    ("dialect", "text", "code"),
    [
        (Dialect.SOURCE, "ParticipantID,MobileNumber\nP-1,MobileNumber\n", "multipleMobilePhoneHeaders"),
        (Dialect.DOCS, "ParticipantID,phoneNumber\nP-1,PhoneNumber\n", "multipleMobilePhoneHeaders"),
        (Dialect.SOURCE, "ParticipantID,phoneNumber\nP-1,PhoneNumber\n", ""),
        (Dialect.DOCS, "ParticipantID,MobileNumber\nP-1,MobileNumber\n", ""),
    ],
)
def test_each_account_knows_the_phone_by_another_name(dialect, text, code):
    assert refusal(csv_upload.check_header, text, csv_upload.PARTICIPANTS[dialect], dialect) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (EVENT_HEADER, ""),
        ("StudyEventOID,StartDate", "missingParticipantIdData"),
        ("ParticipantID,StartDate", "missingStudyEventOidData"),
        ("StudyEventStatus", "missingParticipantIdData"),
        ("\ufeffParticipantID,StudyEventOID,StartDate", "missingParticipantIdData"),
        ("StartDate,ParticipantID,StudyEventOID", ""),
        (f"{EVENT_HEADER}\nParticipantID,,,,,", "multipleParticipantIdHeaders"),
        (f"{EVENT_HEADER}\n,StudyEventOID,,,,", "multipleStudyEventOidHeaders"),
        (f"{EVENT_HEADER}\n,,StartDate,,,", "multipleStartDateHeaders"),
        (f"{EVENT_HEADER}\n,,,StudyEventRepeatKey,,", "multipleStudyEventRepeatKeyHeaders"),
        (f"{EVENT_HEADER}\n,,,,EndDate,", "multipleEndDateHeaders"),
        (f"{EVENT_HEADER}\n,,,,,StudyEventStatus", "multipleStudyEventStatusHeaders"),
    ],
)
@pytest.mark.parametrize("dialect", Dialect)
def test_a_file_of_events_has_its_columns_and_no_byte_order_mark(dialect, text, code):
    assert refusal(csv_upload.check_header, text, EVENTS, dialect) == code


def test_the_start_date_needs_a_column_in_the_source_only():
    text = "ParticipantID,StudyEventOID,StudyEventRepeatKey\nP-1,SE_A,1\n"
    assert refusal(csv_upload.check_header, text, EVENTS, Dialect.SOURCE) == "missingStartDateData"
    assert refusal(csv_upload.check_header, text, EVENTS, Dialect.DOCS) == ""


# The third reading


def read(text: str, layout=SOURCE) -> list[list[str]]:
    """Read rows; values only, in the order of the columns, those that are absent left out."""
    return [[value for value in row.values() if value is not None] for row in csv_upload.rows(text, layout)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ParticipantID\nP-1\nP-2\n", [["P-1"], ["P-2"]]),
        ("ParticipantID\nP-1\nP-2", [["P-1"], ["P-2"]]),
        ("ParticipantID\n", []),
        ("ParticipantID", []),
        ("ParticipantID\r\nP-1\rP-2\u2028P-3\u2029P-4\u0085P-5", [["P-1"], ["P-2"], ["P-3"], ["P-4"], ["P-5"]]),
        ("ParticipantID,FirstName\n P-1 ,\tAnn \n", [["P-1", "Ann"]]),
        ("ParticipantID,FirstName\n\u200bP-1,\u200bAnn\n", [["P-1", "\u200bAnn"]]),
        ("ParticipantID,FirstName\nP-1,\n,Ann\n,\n", [["P-1"], ["Ann"], []]),
        ('ParticipantID,FirstName\n"P-1","Lee, Ann"\n', [['"P-1"', '"Lee']]),
        ("ParticipantID,FirstName\nP-1,Ann,more,and more\n", [["P-1", "Ann"]]),
        ("FirstName,ParticipantID\nAnn,P-1\n", [["P-1", "Ann"]]),
        ("ParticipantID,FirstName\nP-1,Ann\nP-2\nP-3,Eve\n", [["P-1", "Ann"]]),  # the short row ends it
        ("ParticipantID,FirstName\nP-1,Ann\n\nP-3,Eve\n", [["P-1", "Ann"]]),  # so does the blank line
        ("Shoe size,ParticipantID\n40,P-1\n\n41,P-2\n", [["P-1"]]),
        ("ParticipantID\nP-1\n\nP-3\n", [["P-1"], [], ["P-3"]]),  # here it is a row without an ID
        ("ParticipantID\nP-1\n\n", [["P-1"], []]),
        ("ParticipantID,Shoe size\nP-1\n\nP-3\n", [["P-1"], [], ["P-3"]]),
        ("ParticipantID,FirstName,Shoe size\nP-1,Ann\n", [["P-1", "Ann"]]),  # an unknown column needs no cell
    ],
)
def test_rows_are_split_at_commas_and_end_at_the_first_one_that_is_too_short(text, expected):
    assert read(text) == expected


def test_values_are_named_by_their_fields_and_unknown_columns_are_dropped():
    header, row = "ParticipantID,MobileNumber,identifier,phoneNumber", "P-1,+1 555,ID-1,+2 555"
    (sourced,) = csv_upload.rows(f"{header}\n{row}\n", SOURCE)
    (documented,) = csv_upload.rows(f"{header}\n{row}\n", DOCS)
    assert sourced == {"subjectKey": "P-1", "phoneNumber": "+1 555"}
    assert documented == {"subjectKey": "P-1", "phoneNumber": "+2 555", "identifier": "ID-1"}


def test_the_first_cells_of_events_are_not_cleaned():
    assert read("ParticipantID,StudyEventOID,StartDate\n\u200bP-1,SE_A,x\n", EVENTS) == [["\u200bP-1", "SE_A", "x"]]


CELLS = st.text(st.characters(codec="ascii", exclude_characters=',\r\n"', exclude_categories=["Cc"]), max_size=10)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS, CELLS), max_size=20))
def test_rows_as_wide_as_the_header_are_all_read_whatever_is_empty_in_them(table):
    text = "\n".join([PARTICIPANT_HEADER, *map(",".join, table)]) + "\n"
    assert [list(row.values()) for row in csv_upload.rows(text, SOURCE)] == [
        [cell.strip() or None for cell in row] for row in table
    ]

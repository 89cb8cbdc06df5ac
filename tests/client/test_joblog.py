"""Logs, as servers write them and as connections mangle them."""

from __future__ import annotations

import tracemalloc
from itertools import chain, islice, pairwise, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.client.joblog import LogRow, read_rows
from airflow_provider_openclinica.errors import JobFailedError, ServerUnavailableError, UnexpectedAnswerError

IDS = "SubjectKey,ParticipantID,StudyEventOID,StudyEventRepeatKey,FormOID,ItemGroupOID,ItemGroupRepeatKey,ItemOID"
HEADER_12 = f"{IDS},Type,Status,Timestamp,Message"
HEADER_11 = f"{IDS},Status,Timestamp,Message"
WHERE = "SE_VISIT,1,F_VITALS,IG_MAIN,1,I_HR"

INSERTED = f"SS_P001,P-001,{WHERE},Item Data,Inserted,2020-10-26T12:00:01.482Z,"
FAILED = f"SS_P001,P-001,{WHERE},Item Data,Failed,,errorCode.valueTypeMismatch"


def log_of(*lines: str, header: str = HEADER_12) -> bytes:
    """A log as a server ends it: a line feed after each line, and one blank line."""
    return "".join(f"{line}\n" for line in (header, *lines, "")).encode()


def rows_of(*lines: str, header: str = HEADER_12) -> list[LogRow]:
    return list(read_rows([log_of(*lines, header=header)]))


def only(line: str, header: str = HEADER_12) -> LogRow:
    (row,) = rows_of(line, header=header)
    return row


def test_cells_are_found_by_their_columns():
    assert only(FAILED) == LogRow(
        subject_key="SS_P001",
        participant_id="P-001",
        study_event_oid="SE_VISIT",
        study_event_repeat_key="1",
        form_oid="F_VITALS",
        item_group_oid="IG_MAIN",
        item_group_repeat_key="1",
        item_oid="I_HR",
        type="Item Data",
        status="Failed",
        timestamp="",
        message="errorCode.valueTypeMismatch",
        number=2,
        raw=FAILED,
    )


@pytest.mark.parametrize(
    ("header", "line", "row_type"),
    [
        pytest.param(
            HEADER_12, f"SS_1,P-1,{WHERE},Item Data,Failed,,errorCode.itemNotFound", "Item Data", id="of-2020"
        ),
        pytest.param(HEADER_11, f"SS_1,P-1,{WHERE},Failed,,errorCode.itemNotFound", "", id="as-documented"),
        pytest.param(
            f"Status,Type,{IDS},Timestamp,Message",
            f"Failed,Form,SS_1,P-1,{WHERE},,errorCode.itemNotFound",
            "Form",
            id="in-another-order",
        ),
        pytest.param(
            f"{IDS},Site,Status,Timestamp,Message",
            f"SS_1,P-1,{WHERE},S_NORTH,Failed,,errorCode.itemNotFound",
            "",
            id="with-a-column-of-tomorrow",
        ),
        pytest.param(
            HEADER_11.upper(), f"SS_1,P-1,{WHERE},Failed,,errorCode.itemNotFound", "", id="headed-in-upper-case"
        ),
    ],
)
def test_every_layout_is_read_by_its_header(header, line, row_type):
    row = only(line, header)
    assert (row.subject_key, row.participant_id, row.item_oid) == ("SS_1", "P-1", "I_HR")
    assert (row.status, row.type, row.code) == ("Failed", row_type, "itemNotFound")


@pytest.mark.parametrize(
    ("status", "as_read", "failed"),
    [
        ("Failed", "Failed", True),
        ("FAILED", "Failed", True),
        ("failed", "Failed", True),
        ("Inserted", "Inserted", False),
        ("Updated", "Updated", False),
        ("No Change", "No Change", False),
        ("NO CHANGE", "No Change", False),
        ("Skipped", "Skipped", False),
        ("itemGroup removed", "itemGroup removed", False),
        ("Attestations Imported", "Attestations Imported", False),
        ("Event is Signed", "Event is Signed", False),
        pytest.param("Postponed", "Postponed", False, id="a-status-of-tomorrow"),
        pytest.param("P-001", "Unreadable", True, id="no-status-at-all"),
        pytest.param("", "Unreadable", True, id="an-empty-status"),
    ],
)
def test_the_status_is_spelled_one_way_and_only_failed_is_a_failure(status, as_read, failed):
    row = only(f"SS_1,P-1,{WHERE},Item Data,{status},,")
    assert (row.status, row.failed) == (as_read, failed)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("errorCode.valueTypeMismatch", "valueTypeMismatch"),
        ("errorcode.cannotSignEventWithoutAttestation", "cannotSignEventWithoutAttestation"),
        ("error.itemNotFound", "itemNotFound"),
        ("DN_1:errorCode.userNotValid", "userNotValid"),
        ("DN,1,a:errorCode.userNotValid", "userNotValid"),
        ("errorCode.missingItemFile.scan 1.png", "missingItemFile"),
        ("errorCode.missingItemFile.a:error.b", "missingItemFile"),
        ("No item value present", ""),
        ("DN_1", ""),
        ("", ""),
    ],
)
def test_the_code_is_taken_out_of_the_message(message, code):
    row = only(f"SS_1,P-1,{WHERE},Query,Failed,,{message}")
    assert (row.message, row.code) == (message, code)


@pytest.mark.parametrize("header", [HEADER_11, HEADER_12])
@pytest.mark.parametrize("status", ["Failed", "FAILED", "Inserted"])
@pytest.mark.parametrize("participant_id", ["P,001", "P,0,1,", ",", "Failed,P"])
def test_a_comma_in_a_participants_id_does_not_hide_the_status(header, status, participant_id):
    kind = "Item Data," if header == HEADER_12 else ""
    row = only(f"SS_1,{participant_id},{WHERE},{kind}{status},,a,b", header)
    assert (row.subject_key, row.participant_id, row.item_oid) == ("SS_1", participant_id, "I_HR")
    assert (row.status, row.message) == (status.capitalize(), "a,b")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("SS_1,P", id="cells-are-missing"),
        pytest.param(f"SS_1,P,1,{WHERE},Item Data,Postponed,,", id="shifted-with-a-status-of-tomorrow"),
        pytest.param("Ann Lee", id="a-piece-of-text"),
    ],
)
def test_a_row_without_a_readable_status_counts_as_failed(line):
    first, row, last = rows_of(INSERTED, line, INSERTED)
    assert (row.status, row.failed, row.number, row.raw) == ("Unreadable", True, 3, line)
    assert row.subject_key == row.participant_id == ""
    assert not first.failed
    assert not last.failed


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(log_of(), id="header-and-blank-line"),
        pytest.param(f"{HEADER_12}\n".encode(), id="header"),
        pytest.param(f"{HEADER_12}\r\n\r\n".encode(), id="header-of-windows"),
    ],
)
def test_a_log_without_rows_has_none(body):
    assert list(read_rows([body])) == []


@pytest.mark.parametrize("body", [b"", b"\n", b"\r\n\r\n", b"\xef\xbb\xbf\n"])
def test_an_empty_log_means_that_the_job_failed(body):
    with pytest.raises(JobFailedError, match="while it wrote its log"):
        read_rows([body])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"%PDF-1.4\n", id="a-casebook"),
        pytest.param(b"ParticipantId,First Name,Last Name,Email,Mobile\nP-1,Ann,Lee,,\n", id="of-another-job"),
        pytest.param(f"{IDS},Type,Status,Message,Timestamp\n".encode(), id="message-not-last"),
        pytest.param(b"<html>Ann Lee</html>\n", id="a-page"),
        pytest.param(b"\nAnn Lee\n", id="text-after-a-blank-line"),
    ],
)
def test_a_file_that_is_no_log_of_rows_is_refused_and_not_quoted(body):
    with pytest.raises(UnexpectedAnswerError) as caught:
        read_rows([body])
    assert "Ann" not in str(caught.value)


def test_a_line_without_end_is_refused_before_it_fills_the_memory():
    chunks = chain([log_of()], repeat(b"x" * 65_536))
    with pytest.raises(UnexpectedAnswerError, match="line 3 has no end"):
        list(read_rows(chunks))


def test_windows_line_ends_and_blank_lines_are_tolerated():
    body = log_of(INSERTED, "", FAILED, "").replace(b"\n", b"\r\n")
    assert [(row.number, row.raw) for row in read_rows([body])] == [(2, INSERTED), (4, FAILED)]


def test_only_line_feeds_end_a_line():
    message = "a\x0bb\x0cc\x85d\u2028e\x1cf"
    assert only(f"SS_1,P-1,{WHERE},Item Data,Failed,,{message}").message == message


def test_a_byte_order_mark_is_no_part_of_the_header():
    rows = read_rows([b"\xef\xbb\xbf" + log_of(FAILED)])
    assert rows.header == HEADER_12
    assert [row.failed for row in rows] == [True]


def test_bytes_that_are_no_utf8_are_given_back_as_they_were():
    line = f"SS_1,P-\xe9,{WHERE},Item Data,Failed,,x".encode("latin-1")
    (row,) = read_rows([f"{HEADER_12}\n".encode() + line + b"\n"])
    assert row.raw.encode("utf-8", "surrogateescape") == line


@pytest.mark.parametrize("header", [HEADER_11, HEADER_12])
def test_a_row_of_ones_own_fits_the_layout_of_the_log(header):
    cells = {"subject_key": "SS_1", "participant_id": "P-1", "status": "Lost"}
    line = read_rows([log_of(header=header)]).line(cells)
    row = only(line, header)
    assert (row.subject_key, row.participant_id, row.status, row.message) == ("SS_1", "P-1", "Lost", "")


# Logs of bulk CSV files

PARTICIPANTS = "Row,ParticipantID,Participant OID,Participate Status,Status,Message,"
EVENTS = "Row #,ParticipantID,StudyEventOID,StudyEventRepeatKey,Status,Message"


@pytest.mark.parametrize("header", [PARTICIPANTS, PARTICIPANTS.removesuffix(",")], ids=["of-2020", "without-a-comma"])
@pytest.mark.parametrize(
    ("line", "oid", "status", "code"),
    [
        ("1,P-1,SS_P1,,AVAILABLE,Success,", "SS_P1", "Success", ""),
        ("1,P-1,SS_P1,Created,SIGNED,Success", "SS_P1", "Success", ""),
        ("1,P-1,SS_P1,,Available,success", "SS_P1", "Success", ""),
        ("1,P-1,,,Failed,errorCode.invalidEmailAddress,", "", "Failed", "invalidEmailAddress"),
        ("1,P-1,,,FAILED,errorCode.mobileNumberTooLong", "", "Failed", "mobileNumberTooLong"),
        ("1,P-1,SS_P1,,AVAILABLE,errorCode.newOne,", "SS_P1", "Unreadable", "newOne"),
        ("1,P-1", "", "Unreadable", ""),
    ],
)
def test_a_row_of_a_participant_is_a_success_or_a_failure(header, line, oid, status, code):
    row = only(line, header)
    assert (row.subject_key, row.status, row.code, row.raw) == (oid, status, code, line)
    assert row.failed == (status != "Success")


@pytest.mark.parametrize(
    ("line", "status", "code"),
    [
        ("1,P-1,SE_VISIT,2,Created,", "Created", ""),
        ("1,P-1,SE_VISIT,2,UPDATED,", "Updated", ""),
        ("1,P-1,SE_VISIT,,Failed,errorCode.participantNotFound", "Failed", "participantNotFound"),
    ],
)
def test_a_row_of_an_event_has_the_event_and_its_repeat_key(line, status, code):
    row = only(line, EVENTS)
    assert (row.participant_id, row.study_event_oid, row.status, row.code) == ("P-1", "SE_VISIT", status, code)
    assert row.study_event_repeat_key == line.split(",")[3]


@pytest.mark.parametrize(
    ("header", "line"), [(PARTICIPANTS, "7,,,,Lost,"), (EVENTS, "7,,,,Lost,")], ids=["participants", "events"]
)
def test_a_lost_row_is_written_with_its_number(header, line):
    assert read_rows([log_of(header=header)]).line({"row": "7", "status": "Lost"}) == line


# Properties

cells = st.text(st.characters(exclude_characters=",\n\r\ufeff", exclude_categories=["Cs"]), max_size=12)
statuses = st.sampled_from(["Failed", "FAILED", "Inserted", "No Change", "Skipped", "Event is Signed"])
lines = st.builds(
    lambda ids, kind, status, time, message: ",".join([*ids, kind, status, time, message]),
    st.lists(cells, min_size=8, max_size=8),
    st.sampled_from(["Item Data", "Form", "Query"]),
    statuses,
    cells,
    st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=30),
)


def cut(body: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(body), *(place % (len(body) + 1) for place in places)})
    return [body[start:end] for start, end in pairwise(edges)]


@given(st.lists(lines), st.lists(st.integers(0), max_size=20))
def test_rows_are_the_same_however_the_bytes_are_cut(written, places):
    body = log_of(*written)
    rows = list(read_rows(cut(body, places)))
    assert [row.raw for row in rows] == written
    assert rows == list(read_rows([body]))
    assert all(
        row.failed == (line.split(",")[9].casefold() == "failed") for row, line in zip(rows, written, strict=True)
    )


@given(st.lists(lines, min_size=1), st.data())
def test_a_log_that_was_cut_off_never_passes_a_piece_of_a_row(written, data):
    body = log_of(*written)
    short = body[: data.draw(st.integers(1, len(body) - 1))]
    seen = []
    try:
        seen.extend(row.raw for row in read_rows([short]))
    except (ServerUnavailableError, UnexpectedAnswerError):
        pass
    else:
        assert short.endswith(b"\n")
    assert seen == written[: len(seen)]


@given(st.lists(st.text(st.characters(exclude_characters="\r"), max_size=60)))
def test_nothing_that_a_log_may_hold_breaks_the_reading_or_is_lost(texts):
    body = f"{HEADER_12}\n".encode() + "".join(f"{text}\n" for text in texts).encode("utf-8", "surrogatepass")
    expected = [line for text in texts for line in text.split("\n") if line.strip()]
    raw = [row.raw.encode("utf-8", "surrogateescape") for row in read_rows([body])]
    assert raw == [line.encode("utf-8", "surrogatepass") for line in expected]


def test_a_long_log_is_read_in_constant_memory():
    chunk = f"{INSERTED}\n".encode() * 500
    chunks = chain([f"{HEADER_12}\n".encode()], islice(repeat(chunk), 200))
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_rows(chunks)) == 100_000
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()

"""Bulk jobs from the upload to the log: what is refused at once, what is logged, what stays of a job that fails."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

import pytest

from airflow_provider_openclinica.sandbox.bulk_logs import (
    EventRow,
    ParticipantRow,
    write_events_log,
    write_participants_log,
)
from airflow_provider_openclinica.sandbox.jobs import Forgotten, Log
from tests.sandbox.bulk import BOSTON, log_of, upload
from tests.sandbox.calls import Caller, is_html

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

PARTICIPANTS = f"{BOSTON}/participants/bulk"
EVENTS = f"{BOSTON}/events/bulk"
PARTICIPANTS_CSV = "ParticipantID\nBOS-100\nBOS-101\nBOS-102\n"
EVENTS_CSV = "ParticipantID,StudyEventOID,StartDate\n" + "BOS-001,SE_FOLLOWUP,2026-01-05\n" * 3
BULK = [
    pytest.param(PARTICIPANTS, PARTICIPANTS_CSV, id="participants"),
    pytest.param(EVENTS, EVENTS_CSV, id="events"),
]


def applied(caller: Caller) -> int:
    """Count what the rows of the files above have done."""
    added = [one for one in caller.sandbox.participants() if one["participant"].startswith("BOS-1")]
    return len(added) + len(caller.sandbox.events())


def uuid_in(answer) -> str:
    assert re.fullmatch(r"job uuid: [0-9a-f-]{36}", answer.text), answer.text
    return answer.text.removeprefix("job uuid: ")


# The bytes of a log


def test_each_line_of_a_log_of_participants_ends_with_a_comma():
    rows = [
        ParticipantRow("P-001", "SS_P001", "", "AVAILABLE", "Success"),
        ParticipantRow("P-002", "SS_P002", "Created", "SIGNED", "Success"),
        ParticipantRow("", message="errorCode.missingParticipantIdData"),
    ]
    assert write_participants_log(rows) == (
        b"Row,ParticipantID,Participant OID,Participate Status,Status,Message,\n"
        b"1,P-001,SS_P001,,AVAILABLE,Success,\n"
        b"2,P-002,SS_P002,Created,SIGNED,Success,\n"
        b"3,,,,Failed,errorCode.missingParticipantIdData,\n"
        b"\n"
    )
    assert [row.outcome for row in rows] == ["Success", "Success", "Failed"]


def test_a_log_of_events_tells_the_effective_repeat_key_of_a_good_row():
    rows = [
        EventRow("P-001", "SE_VISIT", "2", "Created"),
        EventRow("P-404", "SE_VISIT", "", "Failed", "errorCode.participantNotFound"),
    ]
    assert write_events_log(rows) == (
        b"Row #,ParticipantID,StudyEventOID,StudyEventRepeatKey,Status,Message\n"
        b"1,P-001,SE_VISIT,2,Created,\n"
        b"2,P-404,SE_VISIT,,Failed,errorCode.participantNotFound\n"
        b"\n"
    )


@pytest.mark.parametrize("write", [write_participants_log, write_events_log])
def test_a_log_of_no_rows_has_a_header_and_a_blank_line(write):
    assert write([]).count(b"\n") == 2


# From upload to log


@pytest.mark.parametrize(("path", "content"), BULK)
def test_a_bulk_job_is_listed_with_its_kind_and_file_and_its_log_has_the_name_of_both_kinds(manager, path, content):
    finished = manager.finished(uuid_in(upload(manager, path, content, name="rows of today.csv")))
    name = r"attachment; filename=juno-TEST_Schedule%20Event_\d{4}-\d\d-\d\d-\d{9}Z\.csv"
    assert re.fullmatch(name, finished.headers["Content-Disposition"])
    (job,) = manager.sandbox.jobs()
    assert job["type"] == ("BULK_ADD_PARTICIPANTS" if path == PARTICIPANTS else "SCHEDULE_EVENT")
    assert (job["sourceFileName"], job["siteOid"], job["status"]) == ("rows of today.csv", "S_BOSTON", "COMPLETED")
    assert applied(manager) == 3


def test_creations_and_updates_in_one_file_are_done_in_its_order(manager):
    file = (
        "StudyEventStatus,StartDate,ParticipantID,StudyEventRepeatKey,StudyEventOID,EndDate\n"
        ",2026-01-05,BOS-001,,se_followup,\n"
        "skipped,,BOS-001,1,SE_FOLLOWUP,\n"
        ",2026-02-05,BOS-001,,SE_FOLLOWUP,2026-02-06\n"
        "skipped,,BOS-404,1,SE_FOLLOWUP,\n"
        ",2026-01-05,,,SE_FOLLOWUP,\n"
        ",2026-01-05,BOS-001,,,\n"
    )
    assert log_of(manager, upload(manager, EVENTS, file)) == [
        "1,BOS-001,se_followup,1,Created,",
        "2,BOS-001,SE_FOLLOWUP,1,Updated,",
        "3,BOS-001,SE_FOLLOWUP,2,Created,",
        "4,BOS-404,SE_FOLLOWUP,1,Failed,errorCode.participantNotFound",
        "5,,SE_FOLLOWUP,,Failed,errorCode.missingParticipantID",
        "6,BOS-001,,,Failed,errorCode.missingStudyEventOID",
    ]
    assert [(event["repeat"], event["status"]) for event in manager.sandbox.events()] == [
        (1, "SKIPPED"),
        (2, "SCHEDULED"),
    ]


@pytest.mark.parametrize(("register", "status"), [("y", "Created"), ("n", "")])
def test_participants_of_a_file_are_registered_on_request(manager, register, status):
    file = "ParticipantID\nBOS-100\nLEI-005\nLEI-001\n"
    leiden = PARTICIPANTS.replace("S_BOSTON", "S_LEIDEN")
    assert log_of(manager, upload(manager, leiden, file, register=register)) == [
        f"1,BOS-100,SS_BOS100,{status},AVAILABLE,Success,",
        f"2,LEI-005,SS_LEI005,{status},SIGNED,Success,",
        f"3,LEI-001,SS_LEI001,{status},AVAILABLE,Success,",
    ]


def test_a_row_that_is_sent_twice_is_done_twice(manager):
    assert len(log_of(manager, upload(manager, PARTICIPANTS, "ParticipantID\nBOS-100\nBOS-100\n"))) == 2
    assert applied(manager) == 1


@pytest.mark.parametrize(
    ("path", "content", "logged"),
    [
        (PARTICIPANTS, "ParticipantID,FirstName\nBOS-100,Ann\nBOS-101\nBOS-102,Eve\n", 1),
        (PARTICIPANTS, "ParticipantID,FirstName\n\nBOS-101,Ann\n", 0),
        (PARTICIPANTS, "ParticipantID\nBOS-100\n\n", 2),
        (EVENTS, f"{EVENTS_CSV}\n{EVENTS_CSV.splitlines()[1]}\n", 3),
    ],
)
def test_rows_behind_a_short_one_are_lost_while_the_job_is_completed(manager, path, content, logged):
    assert len(log_of(manager, upload(manager, path, content))) == logged
    assert manager.sandbox.jobs()[0]["status"] == "COMPLETED"


# Refused at once


def refusal(caller: Caller, path: str, answer) -> str:
    assert answer.status_code == 400
    if caller.is_docs and path == PARTICIPANTS:
        return answer.text.removeprefix("errorCode.")
    return answer.json()["message"].removeprefix("errorCode.")


@pytest.mark.parametrize(("path", "content"), BULK)
@pytest.mark.parametrize(
    ("name", "file", "source", "docs"),
    [
        ("rows.csv", "", "blankFile", "notSupportedFileFormat"),
        ("rows.txt", "", "blankFile", "notSupportedFileFormat"),
        ("rows.txt", None, "notCSVfile", "notSupportedFileFormat"),
        ("rows.CSV", None, "notCSVfile", "notSupportedFileFormat"),
        ("rows.csv", '"a"b,c\n', "notCSVfile", "notSupportedFileFormat"),
        ("rows.csv", "a,a\n", "multipleParticipantIdHeaders", "multipleParticipantIdHeaders"),
    ],
)
def test_a_file_that_is_no_csv_is_refused_before_the_study_is_looked_at(
    manager, path, content, name, file, source, docs
):
    for site in ("S_BOSTON", "S_NOPE"):
        answer = upload(manager, path.replace("S_BOSTON", site), content if file is None else file, name=name)
        assert refusal(manager, path, answer) == (docs if manager.is_docs else source)
    assert manager.sandbox.jobs() == []


@pytest.mark.parametrize(
    ("path", "file", "code"),
    [
        (PARTICIPANTS, "FirstName\n", "missingParticipantID"),
        (EVENTS, "StudyEventOID,StartDate\n", "missingParticipantIdData"),
        (EVENTS, "ParticipantID,StartDate\n", "missingStudyEventOidData"),
        (PARTICIPANTS, "ParticipantID\nparticipantid\n", "multipleParticipantIdHeaders"),
        (EVENTS, f"{EVENTS_CSV}BOS-001,SE_FOLLOWUP,StartDate\n", "multipleStartDateHeaders"),
    ],
)
def test_a_header_is_refused_after_the_study_was_looked_at(manager, path, file, code):
    assert refusal(manager, path, upload(manager, path, file)) == code
    elsewhere = refusal(manager, path, upload(manager, path.replace("S_BOSTON", "S_NOPE"), file))
    assert elsewhere == ("invalidSiteIdentifier" if manager.is_docs and path == PARTICIPANTS else "siteNotExist")


def test_updates_alone_need_the_column_of_the_start_date_in_the_source(manager):
    answer = upload(manager, EVENTS, "ParticipantID,StudyEventOID,StudyEventRepeatKey\nBOS-001,SE_FOLLOWUP,1\n")
    if manager.is_docs:
        assert log_of(manager, answer) == ["1,BOS-001,SE_FOLLOWUP,1,Failed,errorCode.studyEventRepeatNotFound"]
    else:
        assert refusal(manager, EVENTS, answer) == "missingStartDateData"


@pytest.mark.parametrize(("path", "content"), BULK)
def test_more_than_8192_characters_are_taken_or_refused_by_chance(manager, path, content):
    header, row = content.splitlines()[:2]
    fragment = "same,same\n"
    filler = f"{row}{',' * (8192 - len(header) - len(row) - 2)}\n"
    head = f"{header}\n{filler}"
    assert len(head) == 8192
    assert refusal(manager, path, upload(manager, path, head + fragment)) == "multipleParticipantIdHeaders"
    assert uuid_in(upload(manager, path, f"{head}{row}\n{fragment}"))


@pytest.mark.parametrize(("path", "content"), BULK)
def test_what_is_no_form_gets_a_page(manager, path, content):
    answer = manager.call("POST", path, data=content, headers={"Content-Type": "text/csv"})
    assert (answer.status_code, is_html(answer)) == (415, True)


def test_a_form_without_the_file_gets_a_page_for_participants_and_a_code_for_events(manager):
    form = {"other": ("rows.csv", b"x")}
    answer = manager.call("POST", PARTICIPANTS, files=form)
    assert (answer.status_code, is_html(answer)) == (400, True)
    code = "notSupportedFileFormat" if manager.is_docs else "blankFile"
    assert refusal(manager, EVENTS, manager.call("POST", EVENTS, files=form)) == code


@pytest.mark.parametrize(("path", "content"), BULK)
def test_a_name_that_the_list_of_jobs_has_no_room_for_breaks_the_server(manager, path, content):
    assert uuid_in(upload(manager, path, content, name="x" * 251 + ".csv"))
    answer = upload(manager, path, content, name="x" * 252 + ".csv")
    assert (answer.status_code, is_html(answer)) == (500, True)


# Jobs that go wrong


@pytest.mark.parametrize(("path", "content"), BULK)
@pytest.mark.parametrize(
    ("fate", "rows", "status"),
    [("failed", 1, "FAILED"), ("empty_log", 3, "FAILED"), ("log_gone", 3, "COMPLETED"), ("lost_rows", 3, "COMPLETED")],
)
def test_each_row_is_committed_by_itself_whatever_becomes_of_the_job(manager, path, content, fate, rows, status):
    manager.sandbox.fate(fate)
    finished = manager.finished(uuid_in(upload(manager, path, content)))
    assert [job["status"] for job in manager.sandbox.jobs()] == [status]
    assert applied(manager) == rows
    if fate == "lost_rows":
        assert len(finished.text.splitlines()) == 1 + 2 + 1
    elif fate == "empty_log":
        assert (finished.content, "Content-Disposition" in finished.headers) == (b"", True)
    else:
        assert finished.text.endswith(".noLogFileFound")


def test_a_bulk_job_that_a_reset_overtakes_goes_no_further(sandbox):
    over = threading.Event()

    def work(db: sqlite3.Connection, commit: Callable[[], None]) -> Log:
        db.execute("COMMIT")
        sandbox.reset()  # gets in between two rows
        db.execute("BEGIN IMMEDIATE")
        try:
            commit()
        except Forgotten:
            over.set()
            raise
        return Log(b"", {})

    names = {"study_oid": "S_JUNO", "site_oid": "", "creator": "data_manager", "source_name": "a.csv", "log_name": "a"}
    sandbox.service.jobs.submit(work, kind="SCHEDULE_EVENT", **names)
    assert over.wait(20)
    assert sandbox.jobs() == []

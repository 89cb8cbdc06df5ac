"""What is found wrong in a file of events before it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.client import bulkcsv
from airflow_provider_openclinica.client.event_status import REQUESTABLE, may_become
from airflow_provider_openclinica.engine.eventrows import events_layout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Problems = Callable[..., list[str]]

ALL = "ParticipantID,StudyEventOID,StudyEventRepeatKey,StartDate,EndDate,StudyEventStatus"
UPDATE = "P-1,SE_FOLLOWUP,2,,,{}"


@pytest.fixture
def problems(tmp_path: Path) -> Problems:
    """Return a function that checks lines and returns what is wrong with them, as the user reads it."""

    def found(*lines: str, header: str = ALL) -> list[str]:
        path = tmp_path / "events.csv"
        path.write_text("\n".join([header, *lines, ""]))
        return [str(problem) for problem in bulkcsv.check(path, events_layout())]

    return found


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("P-1,SE_FOLLOWUP,,2026-05-01,,", id="a-visit-to-schedule"),
        pytest.param("P-1,SE_FOLLOWUP,,2026-05-01,2026-05-01,", id="that-ends-the-day-it-starts"),
        pytest.param("P-1,SE_FOLLOWUP,,2026-05-01 09:30,2026-05-01 10:00,", id="with-times"),
        pytest.param("P-1,SE_FOLLOWUP,,2026-05-01 09:30,2026-05-01,", id="a-time-on-one-side"),
        pytest.param("P-1,SE_FOLLOWUP,,2026-05-01,,Scheduled", id="a-new-visit-is-scheduled-anyway"),
        pytest.param("P-1,SE_FOLLOWUP,2,2026-05-01,,", id="a-new-start-date"),
        pytest.param("P-1,SE_FOLLOWUP,2,,2026-05-01,", id="a-new-end-date"),
        pytest.param("P-1,SE_FOLLOWUP,2,,,completed", id="a-new-status"),
        pytest.param("P-1,SE_FOLLOWUP,2,,,DATA_ENTRY_STARTED", id="as-the-server-spells-it-in-answers"),
        pytest.param("P-1,SE_FOLLOWUP,2,,,locked", id="a-status-that-only-newer-servers-take"),
        pytest.param("P-1,SE_FOLLOWUP,002,,,stopped", id="a-key-with-zeros"),
    ],
)
def test_a_row_that_can_be_carried_out_is_no_problem(problems: Problems, line: str) -> None:
    assert problems(line) == []


@pytest.mark.parametrize(
    ("line", "place", "reason"),
    [
        pytest.param(",SE_FOLLOWUP,,2026-05-01,,", "ParticipantID", "is empty", id="no-participant"),
        pytest.param("P-1,,,2026-05-01,,", "StudyEventOID", "is empty", id="no-event"),
        pytest.param("P-1,SE_FOLLOWUP,,,,", "StartDate", "is empty, and a visit", id="no-date-to-schedule"),
        pytest.param("P-1,SE_FOLLOWUP,,2026-5-1,,", "StartDate", "is not written as a date; write", id="no-zeros"),
        pytest.param("P-1,SE_FOLLOWUP,,01/05/2026,,", "StartDate", "is not written as a date", id="slashes"),
        pytest.param("P-1,SE_FOLLOWUP,,2026-02-31,,", "StartDate", "is not a day of the calendar", id="31-february"),
        pytest.param("P-1,SE_FOLLOWUP,,2026-05-01T09:30,,", "StartDate", "is not written as a date", id="iso-time"),
        pytest.param("P-1,SE_FOLLOWUP,2,,2026-13-01,", "EndDate", "is not a day of the calendar", id="month-13"),
        pytest.param("P-1,SE_FOLLOWUP,,2026-05-02,2026-05-01,", "EndDate", "lies before StartDate", id="order"),
        pytest.param("P-1,SE_FOLLOWUP,1.0,,,completed", "StudyEventRepeatKey", "no whole number", id="decimal-key"),
        pytest.param("P-1,SE_FOLLOWUP,0,,,completed", "StudyEventRepeatKey", "no whole number", id="key-zero"),
        pytest.param("P-1,SE_FOLLOWUP,2,,,signed", "StudyEventStatus", "no status", id="a-status-nobody-can-set"),
        pytest.param("P-1,SE_FOLLOWUP,2,,,", "StudyEventRepeatKey", "asks for no change", id="nothing-to-update"),
        pytest.param(
            "P-1,SE_FOLLOWUP,,2026-05-01,,completed", "StudyEventStatus", "would be ignored", id="status-of-a-new-visit"
        ),
    ],
)
def test_a_row_that_cannot_is_named_by_line_and_column(problems: Problems, line: str, place: str, reason: str) -> None:
    (problem,) = problems("P-0,SE_FOLLOWUP,,2026-05-01,,", line)
    assert problem.startswith(f"line 3, column {place}: ")
    assert reason in problem


def test_the_date_column_need_not_be_there_where_nothing_is_scheduled(problems: Problems) -> None:
    header = "participantid,STUDYEVENTOID,StudyEventRepeatKey,StudyEventStatus"
    assert problems("P-1,SE_FOLLOWUP,2,completed", header=header) == []


def test_every_row_of_a_file_without_dates_that_schedules_is_a_problem(problems: Problems) -> None:
    assert len(problems("P-1,SE_BASELINE", "P-2,SE_BASELINE", header="ParticipantID,StudyEventOID")) == 2


@given(st.sampled_from(sorted(REQUESTABLE)), st.sampled_from(sorted(REQUESTABLE)))
def test_two_rows_for_one_occurrence_must_be_steps_that_it_can_take(first: str, second: str) -> None:
    rules = events_layout().check_row
    assert rules is not None
    rows = [
        dict(zip(ALL.split(","), UPDATE.format(status).upper().split(","), strict=True)) for status in (first, second)
    ]
    assert list(rules(rows[0])) == []
    assert (list(rules(rows[1])) == []) is may_become(first, second)


def test_what_is_sent_is_spelled_as_openclinica_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(
        'studyeventstatus,STUDYEVENTOID,participantid,StudyEventRepeatKey\n" DATA_ENTRY_STARTED",SE_FOLLOWUP,P-1,2\n'
    )

    (part,) = bulkcsv.split(path, events_layout(), tmp_path)

    assert part.path.read_text() == (
        "ParticipantID,StudyEventOID,StudyEventRepeatKey,StartDate,StudyEventStatus\n"
        "P-1,SE_FOLLOWUP,2,,data entry started\n"
    )


def test_steps_of_different_occurrences_have_nothing_to_do_with_each_other(problems: Problems) -> None:
    lines = ["P-1,SE_A,1,,,completed", "P-1,SE_A,2,,,skipped", "P-2,SE_A,1,,,skipped", "P-1,SE_B,1,,,skipped"]
    assert problems(*lines) == []


def test_the_same_occurrence_is_recognised_however_it_is_written(problems: Problems) -> None:
    (problem,) = problems("P-1,SE_FOLLOWUP,2,,,completed", "P-1,se_followup,02,,,stopped")
    assert problem.startswith("line 3, column StudyEventStatus: cannot follow the one that a row above gives")


def test_a_visit_that_stands_twice_is_not_scheduled_twice(problems: Problems) -> None:
    visit, later = "P-1,SE_FOLLOWUP,,2026-05-01,,", "P-1,SE_FOLLOWUP,,2026-06-01,,"
    (problem,) = problems(visit, later, visit)
    assert problem.startswith("line 4, column StudyEventOID: the same visit stands above")


def test_a_layout_remembers_one_file_only(problems: Problems) -> None:
    visit = "P-1,SE_FOLLOWUP,,2026-05-01,,"
    assert problems(visit) == problems(visit) == []


def test_no_problem_quotes_the_file(problems: Problems) -> None:
    found = problems("P-SECRET,SE_FOLLOWUP,x-SECRET,y-SECRET,z-SECRET,w-SECRET", "P-SECRET,SE_FOLLOWUP,,,,")
    assert len(found) == 5
    assert "SECRET" not in " ".join(found)

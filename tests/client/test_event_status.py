"""The statuses of events: spellings, requests, and every cell of the table of transitions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.client.event_status import (
    MAY_BECOME,
    OF_NEWER_SERVERS,
    REQUESTABLE,
    fault_of,
    may_become,
    normalised,
)

REQUESTED = ("scheduled", "data entry started", "completed", "skipped", "stopped")
STORED = {  # one cell for each status in REQUESTED: may a request do that?
    "not scheduled": "-----",
    "scheduled": "xx-x-",
    "data entry started": "-xx-x",
    "completed": "--x--",
    "skipped": "-x-x-",
    "stopped": "----x",
}
CELLS = [
    pytest.param(before, after, mark == "x", id=f"{before}-to-{after}".replace(" ", "-"))
    for before, marks in STORED.items()
    for after, mark in zip(REQUESTED, marks, strict=True)
]


@pytest.mark.parametrize(("before", "after", "allowed"), CELLS)
def test_a_status_may_be_followed_by_those_of_the_table_and_no_other(before: str, after: str, allowed: bool) -> None:
    assert may_become(before, after) is allowed


def test_the_table_has_no_status_that_these_tests_pass_over() -> None:
    assert MAY_BECOME.keys() == STORED.keys()
    assert set(REQUESTED) == REQUESTABLE
    assert REQUESTABLE.union(*MAY_BECOME.values()) == REQUESTABLE


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("locked", "completed", id="from-a-status-we-do-not-know"),
        pytest.param("completed", "locked", id="to-one-that-only-newer-servers-take"),
    ],
)
def test_what_the_table_does_not_tell_is_left_to_the_server(before: str, after: str) -> None:
    assert may_become(before, after)


@pytest.mark.parametrize(
    ("spelled", "status"),
    [
        pytest.param("DATA_ENTRY_STARTED", "data entry started", id="as-answers-spell-it"),
        pytest.param("Data Entry Started", "data entry started", id="as-people-spell-it"),
        pytest.param(" data  entry_started ", "data entry started", id="as-spreadsheets-spell-it"),
        pytest.param("data-entry-started", "data entry started", id="as-programmers-spell-it"),
        pytest.param("SCHEDULED", "scheduled", id="one-word"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_every_spelling_becomes_the_one_that_requests_use(spelled: str, status: str) -> None:
    assert normalised(spelled) == status


@given(st.sampled_from(sorted(REQUESTABLE | OF_NEWER_SERVERS)), st.randoms(use_true_random=False))
def test_letter_case_and_underscores_make_no_difference(status: str, random) -> None:
    spelled = "".join(random.choice([letter.upper(), letter, "_" if letter == " " else letter]) for letter in status)
    assert normalised(spelled) == status
    assert fault_of(spelled) == ""


@pytest.mark.parametrize("status", ["signed", "not scheduled", "removed", "available", "invalid", "", "complete"])
def test_a_status_that_nobody_can_ask_for_is_told(status: str) -> None:
    assert "no status that an event can be given" in fault_of(status)

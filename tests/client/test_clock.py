"""What the server's clock shows: never later than it was."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.client.clock import STEP, ServerClock

SLACK = STEP + 10  #: a machine may be busy between two looks at its clock
FAR_AWAY = {"Date": "Thu, 01 Jan 2026 00:00:00 +99999999999999"}


def dated(seconds: float) -> dict[str, str]:
    return {"Date": format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)}


@given(behind=st.floats(1, 1e7))
def test_a_server_whose_clock_is_behind_is_asked_by_its_own(behind: float) -> None:
    clock, began = ServerClock(), time.time()
    clock.note(dated(time.time() - behind))
    assert -SLACK < clock.at(began).timestamp() - (began - behind) <= 0


@given(ahead=st.floats(5, 1e7))
def test_a_server_whose_clock_is_ahead_is_asked_by_ours(ahead: float) -> None:
    clock, began = ServerClock(), time.time()
    clock.note(dated(began + ahead))
    assert clock.at(began) == datetime.fromtimestamp(began, UTC)


@pytest.mark.parametrize(
    "headers", [{}, {"Date": ""}, {"Date": "yesterday"}, {"Date": "Mon, 99 Foo 2026 00:00 GMT"}, FAR_AWAY]
)
def test_an_answer_without_a_date_tells_nothing(headers: dict[str, str]) -> None:
    clock, began = ServerClock(), time.time()
    clock.note(headers)
    assert clock.at(began) == datetime.fromtimestamp(began, UTC)


def test_a_date_without_a_zone_is_gmt() -> None:
    clock, began = ServerClock(), time.time()
    clock.note({"Date": format_datetime(datetime.fromtimestamp(began - 3600, UTC)).replace("+0000", "-0000")})
    assert -SLACK < clock.at(began).timestamp() - (began - 3600) <= 0


def test_of_two_times_the_later_stays_the_later_though_dates_are_in_whole_seconds() -> None:
    clock, began = ServerClock(), time.time()
    told = []
    for fraction in (0.01, 0.99):
        clock.note(dated(int(time.time() - fraction)))
        told.append(clock.at(began + fraction))
    assert told == sorted(told)

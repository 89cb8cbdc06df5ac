"""Incremental pulls as numbers: no change falls between two of them, however long things take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.client.participants import _listed_participant
from airflow_provider_openclinica.engine.increments import RUNS_KEPT, Covers, Increment, Watermark, Window
from airflow_provider_openclinica.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
FULL_AT = datetime(2026, 2, 27, tzinfo=UTC)


@dataclass
class Kept:
    """A watermark in memory."""

    text: str | None = None

    def read(self) -> str | None:
        return self.text

    def write(self, text: str) -> None:
        self.text = text


def mark(*, full_at: datetime = FULL_AT, until: datetime = BEGIN, **began: datetime | None) -> Watermark:
    return Watermark(covers=Covers(until=until, since=BEGIN - HOUR), full_at=full_at, began=began)


@pytest.mark.parametrize(
    ("found", "window", "since"),
    [
        pytest.param(mark(), {}, BEGIN - HOUR, id="an-hour-before-the-last-one-ended"),
        pytest.param(mark(), {"overlap": timedelta(0)}, BEGIN, id="no-overlap"),
        pytest.param(mark(), {"overlap": timedelta(days=1)}, BEGIN - 24 * HOUR, id="a-day"),
        pytest.param(mark(full_at=BEGIN - timedelta(days=8)), {}, None, id="everything-after-a-week"),
        pytest.param(
            mark(full_at=BEGIN - timedelta(days=800)), {"full_every": None}, BEGIN - HOUR, id="never-everything-again"
        ),
        pytest.param(mark(), {"full_every": timedelta(0)}, None, id="everything-each-time"),
        pytest.param(mark(mine=BEGIN - 9 * HOUR), {}, BEGIN - 9 * HOUR, id="cleared-from-where-it-began"),
        pytest.param(mark(mine=BEGIN - 9 * HOUR, later=BEGIN), {}, BEGIN - 9 * HOUR, id="cleared-after-later-runs"),
        pytest.param(mark(mine=None), {}, None, id="cleared-after-everything"),
        pytest.param(mark(until=BEGIN + 3 * HOUR), {}, None, id="everything-where-a-clock-went-back"),
    ],
)
def test_a_pull_begins_where_the_last_one_ended_and_a_while_before(
    found: Watermark, window: dict[str, Any], since: datetime | None
) -> None:
    begins, why = Window(**window).begins(found, "mine", BEGIN + 2 * HOUR)
    assert begins == since
    assert bool(why) == (since is None)


@pytest.mark.parametrize(
    "window",
    [{"overlap": timedelta(seconds=-1)}, {"overlap": 60}, {"full_every": timedelta(-1)}, {"full_every": 7}],
)
def test_a_window_that_cannot_be_is_refused(window: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Window(**window)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"written_as": "openclinica-watermark-1"}', "ü{", '"x"'])
def test_a_watermark_that_cannot_be_read_costs_a_full_pull(text: str) -> None:
    increment = Increment(Kept(text), Window(), "mine", BEGIN)
    assert increment.since is None
    assert increment.why == "the watermark cannot be read"


def test_the_watermark_remembers_the_last_full_pull() -> None:
    kept = Kept()
    for run, (since, until) in enumerate([(None, 0), (-1, 10), (9, 20)]):
        increment = Increment(kept, Window(), str(run), BEGIN + 20 * HOUR)
        assert increment.since == (None if since is None else BEGIN + since * HOUR)
        increment.finish(Covers(until=BEGIN + until * HOUR, since=increment.since))

    assert kept.text is not None
    assert Watermark.from_text(kept.text) == Watermark(
        covers=Covers(until=BEGIN + 20 * HOUR, since=BEGIN + 9 * HOUR),
        full_at=BEGIN,
        began={"0": None, "1": BEGIN - HOUR, "2": BEGIN + 9 * HOUR},
    )


def test_after_a_set_of_nobody_the_next_one_asks_from_the_same_time() -> None:
    kept = Kept(mark().to_text())
    for run in ("empty", "empty too"):
        increment = Increment(kept, Window(), run, BEGIN + 24 * HOUR)
        increment.finish(Covers(until=BEGIN + 24 * HOUR, since=increment.since), is_empty=True)
    assert Increment(kept, Window(), "next", BEGIN + 48 * HOUR).since == BEGIN - HOUR


def test_a_set_of_everybody_in_which_there_is_nobody_counts() -> None:
    kept = Kept(mark().to_text())
    Increment(kept, Window(), "full", BEGIN).finish(Covers(until=BEGIN + HOUR), is_empty=True)
    assert Increment(kept, Window(), "next", BEGIN + 2 * HOUR).since == BEGIN


def test_the_watermark_remembers_the_last_hundred_runs() -> None:
    kept = Kept(mark(**{f"run{number}": BEGIN for number in range(RUNS_KEPT)}).to_text())
    Increment(kept, Window(), "mine", BEGIN).finish(Covers(until=BEGIN, since=BEGIN - HOUR))
    assert kept.text is not None
    assert list(Watermark.from_text(kept.text).began) == [f"run{number}" for number in range(1, RUNS_KEPT)] + ["mine"]


MOMENTS = st.integers(0, 4 * 10**15).map(lambda microseconds: datetime.fromtimestamp(microseconds / 1e6, UTC))


@given(until=MOMENTS, since=st.none() | MOMENTS, full_at=MOMENTS, run=st.text())
def test_a_watermark_is_read_back_as_it_was_kept(
    until: datetime, since: datetime | None, full_at: datetime, run: str
) -> None:
    covers = Covers.up_to(until, since)
    assert Covers.from_json(covers.to_json()) == covers
    assert timedelta(0) <= until - covers.until < timedelta(milliseconds=1), "never later than it was"
    kept = Watermark(covers=covers, full_at=Covers.up_to(full_at, None).until, began={run: covers.since})
    assert Watermark.from_text(kept.to_text()) == kept


@pytest.mark.parametrize(
    "kept",
    [
        {"participants": "all", "since": "2026-01-01T00:00:00+00:00", "until": "2026-01-01T00:00:00+00:00"},
        {"participants": "changed", "since": None, "until": "2026-01-01T00:00:00+00:00"},
        {"participants": "all", "since": None, "until": "2026-01-01T00:00:00"},
        {"participants": "all", "since": None, "until": "yesterday"},
    ],
)
def test_covers_that_contradict_themselves_are_refused(kept: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Covers.from_json(kept)


# Two pulls, and changes at any time

SECONDS = st.floats(0, 3 * 86400)
ZONES = st.integers(-12, 14).map(lambda hours: timezone(timedelta(hours=hours)))
FORMS: dict[str, Callable[[datetime, datetime], str]] = {
    "of the source": lambda utc, local: f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03}+0000",
    "a day": lambda utc, local: f"{local:%b} {local.day}, {local.year} 12:00:00 AM",
    "a day in ISO": lambda utc, local: f"{local:%Y-%m-%d}",
    "without a zone": lambda utc, local: f"{local:%Y-%m-%d %H:%M:%S}",
}


def dated(moment: datetime, zone: timezone, form: str) -> datetime | None:
    """Return what the client makes of a change's date as a server gives it."""
    written = FORMS[form](moment, moment.astimezone(zone))
    listed = {"subjectOid": "SS_1", "subjectKey": "1", "createdAt": written, "lastModified": written}
    return _listed_participant(listed).changed_at


@given(
    pulls=st.lists(st.tuples(SECONDS, st.floats(0, 7200), st.floats(0, 7200)), min_size=2, max_size=6),
    change=SECONDS,
    unseen=st.floats(0, 3600),
    zone=ZONES,
    form=st.sampled_from(sorted(FORMS)),
    full_every=st.none() | st.timedeltas(timedelta(0), timedelta(days=2)),
)
def test_no_change_between_two_pulls_is_ever_left_out(
    pulls: list[tuple[float, float, float]],
    change: float,
    unseen: float,
    zone: timezone,
    form: str,
    full_every: timedelta | None,
) -> None:
    """A change is dated when it is made, and can be seen once its import has ended, within the overlap."""
    kept, now, window = Kept(), BEGIN, Window(full_every=full_every)
    changed_at = BEGIN + timedelta(seconds=change)
    seen_from = changed_at + timedelta(seconds=unseen)
    was_there = was_pulled = False
    for run, (pause, before_list, after_list) in enumerate(pulls):
        began = now = now + timedelta(seconds=pause)
        increment = Increment(kept, window, str(run), now)
        listed_at = now = now + timedelta(seconds=before_list)
        date = dated(changed_at, zone, form)
        assert date is not None
        if listed_at >= seen_from:
            was_there = True
            was_pulled = was_pulled or increment.since is None or date >= increment.since
        now += timedelta(seconds=after_list)
        increment.finish(Covers.up_to(began, increment.since))
    assert was_pulled == was_there

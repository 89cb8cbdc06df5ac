"""Incremental pulls: whose data a set holds, and from when on the next one has to ask.

    Covers       what a manifest says of its set: everybody's data, or whose changed since a time, as of another
    Watermark    what is kept of the last pull that was published
    Window       how far back to ask
    Increment    one pull's share in all this: from when on it asks, and what it leaves for the next one

A change must never fall between two pulls. So each pull is *as of* a moment before its first request, by the server's
clock, and the next one asks for what changed since then, and a while before: an import of an hour stores what it
changes with the time of each change, and nobody sees it before the hour is over. What is seen twice does no harm.

Not every change of data moves the date of a participant (docs/incremental.md), hence a full pull every so often.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_openclinica.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

WRITTEN_AS = "openclinica-watermark-1"  #: what a watermark of this form calls itself
OVERLAP = timedelta(hours=1)
FULL_EVERY = timedelta(days=7)
RUNS_KEPT = 100  #: in a watermark


@dataclass(frozen=True, slots=True, kw_only=True)
class Covers:
    """Whose data a set holds, and as of when.

    :param until: what changed up to here is in it, by the server's clock.
    :param since: only participants who changed since then are in it, each of them whole; None: all are.
    :param selection: what of each participant is in it, as ``Request.selected`` says it; empty: what a pull brings
        that asks for nothing special.
    """

    until: datetime
    since: datetime | None = None
    selection: str = ""

    @classmethod
    def up_to(cls, moment: datetime, since: datetime | None, selection: str = "") -> Covers:
        """Return it as it will be read back: in milliseconds, as servers give dates."""
        return cls(until=_moment(_written(moment)), since=since and _moment(_written(since)), selection=selection)

    @property
    def participants(self) -> str:
        """Whose data it is: ``all``, or those who ``changed``."""
        return "changed" if self.since else "all"

    def to_json(self) -> dict[str, str | None]:
        """Return it as manifests and XCom have it."""
        return {
            "participants": self.participants,
            "since": _written(self.since),
            "until": _written(self.until),
            "selection": self.selection or None,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Covers:
        """Read what ``to_json`` gave.

        :raises ValueError: it is something else.
        """
        selection = kept.get("selection") or ""
        covers = cls(until=_moment(kept["until"]), since=_moment_or_none(kept["since"]), selection=selection)
        if kept["participants"] != covers.participants:
            raise ValueError("since and participants do not go together")
        return covers


def told_selection(selection: str) -> str:
    """Say what of each participant there is."""
    return f"what {selection} selects" if selection else "all but what is archived"


class Marks(Protocol):
    """Where a watermark is kept."""

    def read(self) -> str | None:
        """Return what was kept last; None where there is nothing."""
        ...

    def write(self, text: str) -> None:
        """Keep this from now on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    """What is known of the pulls of a task that were published.

    :param covers: what the set of the last one holds that had anybody in it.
    :param full_at: until when the last pull of everything goes.
    :param began: by the names of the last runs, from when on each has asked; None: for everything.
    """

    covers: Covers
    full_at: datetime
    began: Mapping[str, datetime | None]

    def to_text(self) -> str:
        """Return it as it is kept."""
        began = {run: _written(since) for run, since in self.began.items()}
        kept = {"written_as": WRITTEN_AS, **self.covers.to_json(), "full_at": _written(self.full_at), "began": began}
        return json.dumps(kept)

    @classmethod
    def from_text(cls, text: str) -> Watermark:
        """Read what ``to_text`` gave.

        :raises ValueError: it is something else.
        """
        try:
            kept = json.loads(text)
            if kept["written_as"] != WRITTEN_AS:
                raise ValueError("a watermark of another form")
            began = {run: _moment_or_none(since) for run, since in kept["began"].items()}
            return cls(covers=Covers.from_json(kept), full_at=_moment(kept["full_at"]), began=began)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("no watermark") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How far back an incremental pull asks.

    :param overlap: how long before the end of the pull before.
    :param full_every: everything is pulled when the last time is as long ago; None: only where there is no watermark.
    :raises ConfigurationError: one of them is negative, or no duration.
    """

    overlap: timedelta = OVERLAP
    full_every: timedelta | None = FULL_EVERY

    def __post_init__(self) -> None:
        if not isinstance(self.overlap, timedelta) or self.overlap < timedelta(0):
            raise ConfigurationError("overlap is no timedelta, or below 0")
        every = self.full_every
        if every is not None and (not isinstance(every, timedelta) or every < timedelta(0)):
            raise ConfigurationError("full_every is no timedelta, or below 0")

    def begins(self, mark: Watermark, run: str, now: datetime) -> tuple[datetime | None, str]:
        """Return from when on to ask for changes; or None, and why everything is to be pulled.

        :param mark: what the pulls before have left.
        :param run: names the run of the task that asks. One that the watermark knows was cleared: what it pulled before
            is pulled again, since nobody may have read it yet.
        """
        if run in mark.began:
            since = mark.began[run]
            return since, "" if since else "so did this run before it was cleared"
        if mark.covers.until > now:
            return None, "the last pull lies in the future, so one of the clocks is wrong, or was"
        if self.full_every is not None and now - mark.full_at >= self.full_every:
            return None, "full_every has passed since it was"
        return mark.covers.until - self.overlap, ""


class Increment:
    """An incremental pull: reads the watermark when it begins, and sets it when its set is published.

    ``since`` is the time from which on to ask for changes, None for everything; ``why`` then says why everything.

    :param run: names the run of the task, the same in each of its tries and when it is cleared.
    :param now: by our clock.
    :raises FileUnavailableError: the watermark is there and cannot be read just now.
    """

    def __init__(self, marks: Marks, window: Window, run: str, now: datetime) -> None:
        self._marks, self._run = marks, run
        self._mark, self.why = _read(marks)
        self.since: datetime | None = None
        if self._mark:
            self.since, self.why = window.begins(self._mark, run, now)

    def finish(self, covers: Covers, *, is_empty: bool = False) -> None:
        """Set the watermark: a set that holds this is published.

        :param is_empty: nobody is in it. The next one asks from the same time again: so it follows on what was loaded
            last, whether or not anybody loads an empty set.
        """
        mark, full_at = self._mark, covers.until
        others = [(run, since) for run, since in mark.began.items() if run != self._run] if mark else []
        began = dict([*others[1 - RUNS_KEPT :], (self._run, covers.since)])
        if mark and covers.since:
            full_at = mark.full_at
            covers = mark.covers if is_empty else covers
        self._marks.write(Watermark(covers=covers, full_at=full_at, began=began).to_text())


def _read(marks: Marks) -> tuple[Watermark | None, str]:
    """Return the watermark, or None and why there is none."""
    text = marks.read()
    if text is None:
        return None, "there is no watermark"
    try:
        return Watermark.from_text(text), ""
    except ValueError:
        return None, "the watermark cannot be read"


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _moment(written: Any) -> datetime:
    moment = datetime.fromisoformat(written)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment


def _moment_or_none(written: Any) -> datetime | None:
    return None if written is None else _moment(written)

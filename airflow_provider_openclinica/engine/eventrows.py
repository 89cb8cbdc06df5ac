"""What a bulk file of events may hold (docs/protocol.md, events and bulk files).

A row without a repeat key schedules a visit, a row with one updates that occurrence; both may stand in one file, and
OpenClinica takes them in the order of the file. What is checked here is what the server would refuse, and what it
would accept and not do: those are worse, since no log tells.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from airflow_provider_openclinica.client.bulkcsv import Column, Layout
from airflow_provider_openclinica.client.event_status import SCHEDULED, fault_of, may_become, normalised
from airflow_provider_openclinica.odm import dates

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PARTICIPANT = "ParticipantID"
EVENT = "StudyEventOID"
REPEAT_KEY = "StudyEventRepeatKey"
START = "StartDate"
END = "EndDate"
STATUS = "StudyEventStatus"

_REPEAT_KEY = re.compile("0*[1-9][0-9]{0,8}")


def events_layout() -> Layout:
    """Return the layout of one file. Not for two: it remembers what the rows so far have asked for."""
    return Layout(
        "events",
        (
            Column(name=PARTICIPANT, required=True, check=_not_empty),
            Column(name=EVENT, required=True, check=_not_empty),
            Column(name=REPEAT_KEY, check=_repeat_key),
            Column(name=START, always=True, check=_date),  # the server wants the column even where nothing is scheduled
            Column(name=END, check=_date),
            Column(name=STATUS, check=_status, spell=normalised),
        ),
        check_row=_Rules(),
    )


def _not_empty(text: str) -> str:
    return "" if text else "is empty"


def _repeat_key(text: str) -> str:
    if not text or _REPEAT_KEY.fullmatch(text):
        return ""
    return "is no whole number from 1; leave it empty to schedule a visit"


def _date(text: str) -> str:
    if not text or not (fault := dates.fault_of(text)):
        return ""
    return f"{fault}; write 2026-05-01, or 2026-05-01 09:30 where the server takes times"


def _status(text: str) -> str:
    return fault_of(text) if text else ""


class _Rules:
    """Looks at rows as a whole, one after the other; their cells are good, each for itself.

    What it remembers are hashes: a file may have a hundred thousand rows.
    """

    def __init__(self) -> None:
        self._statuses: dict[int, str] = {}  # occurrence -> the last one asked for
        self._scheduled: set[int] = set()

    def __call__(self, row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield column and reason of what is wrong with a row."""
        if dates.disorder_of(row[START], row[END]):
            yield END, "lies before StartDate"
        if not row[REPEAT_KEY]:
            yield from self._of_new_visit(row)
        elif not (row[START] or row[END] or row[STATUS]):
            yield REPEAT_KEY, "the row asks for no change, and would reset the visit's time of day; leave it out"
        elif row[STATUS]:
            yield from self._of_status(row)

    def _of_new_visit(self, row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        if not row[START]:
            yield START, "is empty, and a visit to be scheduled needs one; to update a visit, give its repeat key"
        if row[STATUS] and normalised(row[STATUS]) != SCHEDULED:
            yield STATUS, "would be ignored for a visit yet to be scheduled; leave it empty, update the visit later"
        visit = hash((row[PARTICIPANT], row[EVENT].upper(), row[START], row[END]))
        if visit in self._scheduled:
            yield EVENT, "the same visit stands above, and would be there twice; if that is meant, use another file"
        self._scheduled.add(visit)

    def _of_status(self, row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        occurrence = hash((row[PARTICIPANT], row[EVENT].upper(), int(row[REPEAT_KEY])))
        before, after = self._statuses.get(occurrence), sys.intern(normalised(row[STATUS]))
        if before is not None and not may_become(before, after):
            yield STATUS, "cannot follow the one that a row above gives this event, so one of the two would fail"
        self._statuses[occurrence] = after

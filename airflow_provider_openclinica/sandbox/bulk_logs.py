"""The logs of bulk jobs: comma-separated, nothing quoted, a blank line at the end (docs/protocol.md, logs).

Rows are numbered as the lines of the file below its header. What the file said comes back as it was read, whatever
became of it; a comma cannot be in it, since none survives the reading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

FAILED = "Failed"
SUCCESS = "Success"
PARTICIPANTS_HEADER = "Row,ParticipantID,Participant OID,Participate Status,Status,Message,"
EVENTS_HEADER = "Row #,ParticipantID,StudyEventOID,StudyEventRepeatKey,Status,Message"


class ParticipantRow(NamedTuple):
    """One row of participants: for a good one, ``status`` is the participant's and ``message`` says ``Success``."""

    participant_id: str
    oid: str = ""
    participate_status: str = ""
    status: str = FAILED
    message: str = ""

    @property
    def outcome(self) -> str:
        """What became of the row."""
        return FAILED if self.status == FAILED else SUCCESS


class EventRow(NamedTuple):
    """One row of events; ``status`` is ``Created``, ``Updated`` or ``Failed``."""

    participant_id: str
    event_oid: str
    repeat_key: str
    status: str
    message: str = ""

    @property
    def outcome(self) -> str:
        """What became of the row."""
        return self.status


def write_participants_log(rows: Iterable[ParticipantRow]) -> bytes:
    """Write the log of a bulk job of participants; each of its lines ends with a comma."""
    return _log(PARTICIPANTS_HEADER, [",".join([*row, ""]) for row in rows])


def write_events_log(rows: Iterable[EventRow]) -> bytes:
    """Write the log of a bulk job of events."""
    return _log(EVENTS_HEADER, [",".join(row) for row in rows])


def _log(header: str, rows: list[str]) -> bytes:
    lines = [header, *(f"{number},{row}" for number, row in enumerate(rows, 1))]
    return ("\n".join(lines) + "\n\n").encode()

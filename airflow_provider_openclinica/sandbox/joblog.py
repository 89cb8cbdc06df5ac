"""Write the logs of jobs as the server does: comma-separated, nothing quoted, a blank line at the end.

A comma or a line break inside a participant ID or a message therefore shifts the cells, as it does on the server
(docs/protocol.md, logs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_openclinica.sandbox.dialect import Dialect

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

_IDENTIFIERS = (
    "SubjectKey,ParticipantID,StudyEventOID,StudyEventRepeatKey,FormOID,ItemGroupOID,ItemGroupRepeatKey,ItemOID"
)
_HEADERS = {
    Dialect.SOURCE: f"{_IDENTIFIERS},Type,Status,Timestamp,Message",
    Dialect.DOCS: f"{_IDENTIFIERS},Status,Timestamp,Message",
}


class Place(NamedTuple):
    """What a row is about: its identifier columns, empty from where they stop to apply."""

    subject_key: str = ""
    participant_id: str = ""
    study_event_oid: str = ""
    study_event_repeat_key: str = ""
    form_oid: str = ""
    item_group_oid: str = ""
    item_group_repeat_key: str = ""
    item_oid: str = ""


class Row(NamedTuple):
    """One outcome of an import.

    :param type: what was looked at, such as ``Form`` or ``Item Data``; the documented servers do not write it.
    :param status: the outcome, spelled as the server spells it.
    :param message: a code, a note's ID, a fixed phrase, or nothing.
    :param timestamp: when something was changed; ``None`` where nothing was.
    """

    place: Place
    type: str
    status: str
    message: str = ""
    timestamp: datetime | None = None


def write_import_log(rows: Iterable[Row], dialect: Dialect) -> bytes:
    """Write the log of an import: 12 columns as in the source, 11 as documented (docs/protocol.md, logs)."""
    lines = [_HEADERS[dialect]]
    for row in rows:
        kind = [row.type] if dialect is Dialect.SOURCE else []
        lines.append(",".join([*row.place, *kind, row.status, _written(row.timestamp), row.message]))
    return ("\n".join(lines) + "\n\n").encode()


def _written(moment: datetime | None) -> str:
    """GMT with milliseconds, such as ``2020-10-26T12:00:01.482Z``."""
    return "" if moment is None else f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"

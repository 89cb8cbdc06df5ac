"""What texts of an export mean as dates. The text itself is always kept: a partial date has no day to be parsed to."""

from __future__ import annotations

import re
from datetime import datetime

MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)


def moment(text: str | None) -> datetime | None:
    """Parse a date, or a date with a time, as ODM and OpenClinica write them; None where it is no whole date.

    The time is the one on the wall where it was written: fractions of a second and an offset are left to the text,
    since OpenClinica writes neither with the times that count. A date alone is its midnight.
    """
    found = MOMENT.fullmatch(text) if text else None
    if not found:
        return None
    try:
        return datetime.fromisoformat(f"{found[1]}T{found[2] or '00:00'}")
    except ValueError:  # 31 February
        return None

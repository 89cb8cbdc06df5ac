"""The dates of visits. The server checks the day of a month only up to 31 and moves 31 February; we do not.

docs/protocol.md, import document.
"""

from __future__ import annotations

import re
from datetime import date

FORM = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?: ((?:[01][0-9]|2[0-3]):[0-5][0-9]))?")


def fault_of(text: str) -> str:
    """Say what is wrong with ``yyyy-MM-dd`` or ``yyyy-MM-dd hh:mm``; empty when nothing is."""
    match = FORM.fullmatch(text)
    if not match:
        return "is not written as a date"
    try:
        date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return "is not a day of the calendar"
    return ""


def disorder_of(start: str, end: str) -> bool:
    """Tell whether a visit would end before it starts; False where either is missing or wrong."""
    if not start or not end or fault_of(start) or fault_of(end):
        return False
    width = min(len(start), len(end))  # a time on one side only says nothing within the day
    return end[:width] < start[:width]

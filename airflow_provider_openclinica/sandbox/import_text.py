"""Numbers and dates as the server's Java reads them out of text (docs/protocol.md, text).

Strict where Python is lenient (no blanks, no underscores) and lenient where Python is strict: every month has 31 days.
"""

from __future__ import annotations

import re
from calendar import monthrange

from airflow_provider_openclinica.sandbox.dialect import Dialect

_INTEGER = re.compile(r"([+-]?)0*(\d{1,10})")  # Python refuses to read a number of thousands of digits
_REAL = re.compile(r"-?(\d+(\.\d+)?|\.\d+)")
_DATE = re.compile(r"(?P<year>\d{4}|\+\d{5,9})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])", re.ASCII)
_TIME = re.compile(r" ([01]\d|2[0-3]):[0-5]\d", re.ASCII)
_PARTIAL_DATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2]))?", re.ASCII)
_DATE_LENGTH = len("2020-01-01")


def read_int(text: str) -> int | None:
    """Read a number of 32 bits; a sign and leading zeros are fine, blanks are not."""
    found = _INTEGER.fullmatch(text)
    number = int(found[1] + found[2]) if found else None
    return number if number is not None and -(2**31) <= number < 2**31 else None


def is_real(text: str) -> bool:
    """Tell whether a text is a decimal number: no plus sign, no exponent, no point at its end."""
    return _REAL.fullmatch(text) is not None


def is_date(text: str) -> bool:
    """Tell whether a text is a date to the server, which takes 31 February for one."""
    return _read_date(text) is not None


def is_partial_date(text: str) -> bool:
    """Tell whether a text is a year, a year and a month, or a date."""
    return _PARTIAL_DATE.fullmatch(text) is not None or is_date(text)


def read_event_date(text: str, dialect: Dialect) -> str | None:
    """Read the date of an event, ``yyyy-MM-dd``; ``None`` if it is none.

    The documented servers take a time after it, ``yyyy-MM-dd hh:mm``. A day past the end of its month becomes the
    last day of that month. The texts that come out compare as the dates do, up to the year 9999.
    """
    day = text
    time = ""
    if dialect is Dialect.DOCS and _TIME.fullmatch(text[_DATE_LENGTH:]):
        day, time = text[:_DATE_LENGTH], text[_DATE_LENGTH:]
    date = _read_date(day)
    return f"{date}{time}" if date else None


def _read_date(text: str) -> str | None:
    found = _DATE.fullmatch(text)
    if found is None or int(found["year"]) == 0:
        return None
    month, day = int(found["month"]), int(found["day"])
    # The calendar repeats itself every 400 years, and Python's ends before the server's does.
    last_day = monthrange(2000 + int(found["year"]) % 400, month)[1]
    return f"{found['year']}-{month:02d}-{min(day, last_day):02d}"

"""Read the rows that a document is to be built of, and refuse what no import can say.

Cells come as databases, data frames and CSV files give them. What is refused is named by column, never by value.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from numbers import Integral
from typing import Any

from airflow_provider_openclinica.odm.checks import LARGEST_KEY, VALUE_LIMIT, WHOLE_NUMBER
from airflow_provider_openclinica.odm.dates import fault_of
from airflow_provider_openclinica.odm.jsonexport import ILLEGAL
from airflow_provider_openclinica.odm.records import Item, columns_of
from airflow_provider_openclinica.odm.walker import SAFE_NAME

Row = Mapping[str, Any]

#: Element -> attribute -> the column that fills it, from the outermost.
LEVELS = {
    "ClinicalData": {"StudyOID": "study_oid"},
    "SubjectData": {"SubjectKey": "subject_key", "StudySubjectID": "participant_id"},
    "StudyEventData": {
        "StudyEventOID": "study_event_oid",
        "StudyEventRepeatKey": "study_event_repeat_key",
        "StartDate": "start_date",
    },
    "FormData": {"FormOID": "form_oid", "FormLayoutOID": "form_layout_oid"},
    "ItemGroupData": {"ItemGroupOID": "item_group_oid", "ItemGroupRepeatKey": "item_group_repeat_key"},
}
KEYS = tuple(column for attributes in LEVELS.values() for column in attributes.values())
REPEAT_KEYS = ("study_event_repeat_key", "item_group_repeat_key")
MAY_BE_EMPTY = frozenset({"subject_key", "participant_id", "start_date", "form_layout_oid"})
COLUMNS = frozenset({*columns_of(Item), *KEYS})


class Unfit(Exception):  # noqa: N818 - it becomes a FileError as soon as the row's number is at hand
    """Why a row cannot be written."""


def refuse_unsendable(row: Row) -> None:
    """See that it is a row with known columns, of something that is there.

    :raises Unfit: it is not.
    """
    if not isinstance(row, Mapping):
        raise Unfit("it is no mapping of columns to values. Make a dict of it; of odm.flatten, take the items only")
    for column in sorted(map(str, row.keys() - COLUMNS)):
        shown = column if SAFE_NAME.fullmatch(column) else "(a name too strange to show)"
        meant = difflib.get_close_matches(column, COLUMNS, 1)
        raise Unfit(f"{shown} is no column that is known. {f'Write {meant[0]}' if meant else 'Leave it out'}")
    for flag in ("removed", "archived"):
        if _is_set(row.get(flag)):
            raise Unfit(f"it is {flag}, and an import would bring it back. Leave such rows out")
    if row.get("transaction_type") == "Remove":
        raise Unfit("transaction_type is Remove, and an import removes nothing. Leave such rows out")
    if row.get("form_repeat_key") not in (None, "", "1", 1):
        raise Unfit("form_repeat_key is not 1, and in OpenClinica forms do not repeat. Repeat the event instead")


def read_keys(row: Row) -> list[dict[str, str]]:
    """Return the attributes of the tags around an item, level by level; an empty one is none.

    :raises Unfit: one is missing or wrong.
    """
    texts = {column: read_key(row, column) for column in KEYS}
    if not (texts["subject_key"] or texts["participant_id"]):
        raise Unfit("participant_id and subject_key are both missing or empty. Give one of them")
    for column in REPEAT_KEYS:
        if not WHOLE_NUMBER.fullmatch(texts[column]) or int(texts[column]) > LARGEST_KEY:
            raise Unfit(f"{column} is not a whole number from 1")
    start = texts["start_date"]
    if start and (fault_of(start) or len(start) > len("yyyy-MM-dd")):
        raise Unfit("start_date is not a day of the calendar, written as yyyy-MM-dd")
    return [{name: texts[column] for name, column in level.items() if texts[column]} for level in LEVELS.values()]


def read_key(row: Row, column: str) -> str:
    """Return a key; a blank one is none.

    :raises Unfit: it is none, and has to be there.
    """
    cell = row.get(column)
    text = "" if cell is None else _text(cell, column)
    if text and not text.isspace():
        return text
    if column not in MAY_BE_EMPTY:
        raise Unfit(f"{column} is missing or empty{'. Write 1 where nothing repeats' if column in REPEAT_KEYS else ''}")
    return ""


def read_value(row: Row) -> str | None:
    """Return the value of the item; None where the row has none.

    :raises Unfit: it is too long, no item can hold it, or there is not even a column for it.
    """
    if "value" not in row:
        raise Unfit("the column value is missing")
    if row["value"] is None or _is_set(row.get("is_null")):
        return None
    text = _text(row["value"], "value")
    if len(text.encode("utf-16-le")) // 2 > VALUE_LIMIT:  # as the server counts
        raise Unfit(f"value is longer than {VALUE_LIMIT:,} characters")
    return text


def _is_set(flag: object) -> bool:
    return bool(flag) and str(flag).casefold() not in ("false", "0")


def _text(cell: object, column: str) -> str:
    """Write a cell as an item takes it: no exponents; databases make dates midnights, data frames integers floats."""
    match cell:
        case str():
            if ILLEGAL.search(cell):
                raise Unfit(f"{column} holds a character that XML cannot hold, such as a control character. Remove it")
            return cell
        case bool():
            pass
        case Integral():  # those of numpy, too
            return str(int(cell))
        case float() | Decimal() if Decimal(cell).is_finite():
            number = Decimal(str(cell))
            is_whole = isinstance(cell, float) and cell.is_integer()
            return f"{number.to_integral_value() if is_whole else number:f}"
        case datetime():
            if cell.timetz() == time():  # none with an offset: it is a moment
                return cell.date().isoformat()
        case date():
            return cell.isoformat()
    kind = type(cell).__name__
    raise Unfit(f"{column} is of type {kind}, here without one way to write it. Make it text, or None if it is missing")

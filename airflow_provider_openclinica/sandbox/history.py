"""Who did what when, for audit logs and the dates of forms and participants (docs/protocol.md, clinical data).

SQLite writes it by triggers, so it misses no change, whichever part of the sandbox makes it.

    act_as(db, user)                  who changes what is changed from now on over this connection
    entries(db, entity, record)       what happened to a participant, an event or a form, oldest first
    entries_of_items(db, form)        the same for every value in a form
    stamps(db, event)                 when, and by whom, the forms in an event were made and last changed
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3

ROOT = "root"
_NOW = "strftime('%Y-%m-%dT%H:%M:%S', 'now')"
_YES_NO = "CASE {row}.{column} WHEN 0 THEN 'No' ELSE 'Yes' END"
_PLAIN = "{row}.{column}"
_WORDS = "lower(replace({row}.{column}, '_', ' '))"
_MASKED = "CASE coalesce({row}.{column}, '') WHEN '' THEN '' ELSE 'Masked' END"
#: Verifying a form, and nothing else, leaves the participant as it is.
_MORE_THAN_SDV = """OLD.sdv_status IS NEW.sdv_status OR OLD.complete IS NOT NEW.complete
                    OR OLD.removed IS NOT NEW.removed OR OLD.archived IS NOT NEW.archived"""
_OF_FORM = "(SELECT participant FROM events WHERE id = NEW.event)"
_OF_ITEM = "(SELECT e.participant FROM events e JOIN forms f ON f.event = e.id WHERE f.id = NEW.form)"
_CONTACT = ("firstName", "lastName", "emailAddress", "phoneNumber", "identifier")


class Entry(NamedTuple):
    """One thing that happened; ``at`` without an offset, as exports have it."""

    id: int
    what: str
    old: str
    new: str
    user: str
    at: str


class Stamps(NamedTuple):
    """When a form was made and last changed, and by whom; the last two are empty until it is changed."""

    created_at: str = ""
    created_by: str = ROOT
    updated_at: str = ""
    updated_by: str = ""


def act_as(db: sqlite3.Connection, user: str) -> None:
    """Name whoever makes the changes that this connection writes from now on."""
    db.create_function("acting_user", 0, lambda: user)


def entries(db: sqlite3.Connection, entity: str, record: int) -> list[Entry]:
    """Return what happened to one record: a ``participant``, an ``event`` or a ``form``."""
    rows = db.execute(
        'SELECT id, what, old, new, "user", at FROM history WHERE entity = ? AND record = ? ORDER BY id',
        (entity, record),
    )
    return [Entry(*row) for row in rows]


def entries_of_items(db: sqlite3.Connection, form: int) -> dict[int, list[Entry]]:
    """Return what happened to the values of a form, by the id of the item."""
    rows = db.execute(  # a cross join keeps its order: SQLite would else read the whole history for each form
        """SELECT i.id, h.id, h.what, h.old, h.new, h."user", h.at
           FROM items i CROSS JOIN history h ON h.entity = 'item' AND h.record = i.id
           WHERE i.form = ? ORDER BY i.id, h.id""",
        (form,),
    )
    found: dict[int, list[Entry]] = defaultdict(list)
    for item, *entry in rows:
        found[item].append(Entry(*entry))
    return found


def stamps(db: sqlite3.Connection, event: int) -> dict[int, Stamps]:
    """Return the stamps of the forms in an event, by the id of the form."""
    rows = db.execute(
        """SELECT f.id, s.created_at, s.created_by, s.updated_at, s.updated_by
           FROM forms f JOIN form_stamps s ON s.form = f.id WHERE f.event = ?""",
        (event,),
    )
    return {form: Stamps(*stamp) for form, *stamp in rows}


def _insert(entity: str, record: str, what: str, old: str, new: str) -> str:
    return f"""INSERT INTO history (entity, record, what, old, new, "user", at)
               VALUES ('{entity}', {record}, '{what}', {old}, {new}, acting_user(), {_NOW});"""  # noqa: S608 - constants


def _made(table: str, what: str, new: str) -> str:
    """Write a trigger for a new row."""
    entry = _insert(table.removesuffix("s"), "NEW.id", what, "''", new)
    return f"CREATE TRIGGER IF NOT EXISTS {table}_made AFTER INSERT ON {table} BEGIN {entry} END"


def _changed(table: str, column: str, what: str, text: str, *, of: tuple[str, str] | None = None) -> str:
    """Write a trigger for a column that gets another value.

    :param of: what has changed by it and the column that holds its id, where that is not the row itself.
    """
    entity, record = of or (table.removesuffix("s"), "id")
    old, new = (text.format(row=row, column=column) for row in ("OLD", "NEW"))
    entry = _insert(entity, f"NEW.{record}", what, old, new)
    return f"""CREATE TRIGGER IF NOT EXISTS {table}_{column}_changed AFTER UPDATE OF {column} ON {table}
               WHEN OLD.{column} IS NOT NEW.{column} BEGIN {entry} END"""


def _touches_form(table: str, moment: str, form: str) -> str:
    """Write a trigger for what changes a form's date."""
    return f"""CREATE TRIGGER IF NOT EXISTS {table}_{moment[:6].lower()}_touches AFTER {moment} ON {table}
               BEGIN UPDATE form_stamps SET updated_at = {_NOW}, updated_by = acting_user() WHERE form = {form}; END"""  # noqa: S608 - constants


def _touches_participant(table: str, moment: str, participant: str, condition: str = "TRUE") -> str:
    """Write a trigger for what changes a participant's date (docs/protocol.md, participants).

    :param moment: ``INSERT``, or ``UPDATE`` with ``OF`` some columns where that is all that counts.
    :param participant: SQL for the participant's id.
    """
    return f"""CREATE TRIGGER IF NOT EXISTS {table}_{moment[:6].lower()}_touches_participant AFTER {moment} ON {table}
               WHEN {condition}
               BEGIN UPDATE participants SET updated_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
                                             updated_by = acting_user() WHERE id = {participant}; END"""  # noqa: S608


def _stamped() -> str:
    """Write the trigger for a form's first date."""
    return f"""CREATE TRIGGER IF NOT EXISTS forms_stamped AFTER INSERT ON forms
               BEGIN INSERT OR REPLACE INTO form_stamps VALUES (NEW.id, {_NOW}, acting_user(), '', ''); END"""  # noqa: S608 - constants


#: Run after the tables of :mod:`~airflow_provider_openclinica.sandbox.data` are there.
STATEMENTS = (
    """CREATE TABLE IF NOT EXISTS history (
        id INTEGER PRIMARY KEY, entity TEXT NOT NULL, record INTEGER NOT NULL, what TEXT NOT NULL, old TEXT NOT NULL,
        new TEXT NOT NULL, "user" TEXT NOT NULL, at TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS history_by_record ON history (entity, record)",
    """CREATE TABLE IF NOT EXISTS form_stamps (
        form INTEGER PRIMARY KEY, created_at TEXT NOT NULL, created_by TEXT NOT NULL, updated_at TEXT NOT NULL,
        updated_by TEXT NOT NULL)""",
    _made("participants", "Participant created", "NEW.participant_id"),
    _changed("participants", "status", "Participant status changed", _WORDS),
    *(
        _changed("contacts", name, "Participant contact data changed", _MASKED, of=("participant", "participant"))
        for name in _CONTACT
    ),
    _made("events", "Study event created", _WORDS.format(row="NEW", column="status")),
    _changed("events", "status", "Study event status changed", _WORDS),
    _changed("events", "start_date", "Study event start date changed", _PLAIN),
    _changed("events", "end_date", "Study event end date changed", _PLAIN),
    *(_changed("events", flag, f"Study event {flag}", _YES_NO) for flag in ("removed", "archived", "locked", "signed")),
    _stamped(),
    _made("forms", "Form created", "NEW.version"),
    _changed("forms", "complete", "Form completed", _YES_NO),
    _changed("forms", "sdv_status", "Form SDV status changed", _WORDS),
    *(_changed("forms", flag, f"Form {flag}", _YES_NO) for flag in ("removed", "archived")),
    _touches_form("forms", "UPDATE", "NEW.id"),
    _made("items", "Item data value updated", "NEW.value"),
    _changed("items", "value", "Item data value updated", _PLAIN),
    _changed("items", "removed", "Item data removed", _YES_NO),
    _touches_form("items", "INSERT", "NEW.form"),
    _touches_form("items", "UPDATE", "NEW.form"),
    _touches_participant("participants", "UPDATE OF status", "NEW.id"),
    _touches_participant("events", "INSERT", "NEW.participant"),
    _touches_participant("events", "UPDATE", "NEW.participant"),
    _touches_participant("forms", "INSERT", _OF_FORM),
    _touches_participant("forms", "UPDATE", _OF_FORM, _MORE_THAN_SDV),
    _touches_participant("items", "INSERT", _OF_ITEM),
    _touches_participant("items", "UPDATE", _OF_ITEM),
)

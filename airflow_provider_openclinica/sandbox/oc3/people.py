"""What version 3 knows of participants and events beyond version 4, in tables of its own."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A participant's own data; empty where nothing is known.

    :param person_id: unique in the study and its sites.
    :param gender: ``m`` or ``f``.
    """

    secondary_label: str = ""
    enrollment_date: str = ""
    person_id: str = ""
    gender: str = ""
    date_of_birth: str = ""


def create_tables(db: sqlite3.Connection) -> None:
    """Create the tables where they are missing."""
    db.execute(
        """CREATE TABLE IF NOT EXISTS subjects (
            participant INTEGER PRIMARY KEY REFERENCES participants, secondary_label TEXT NOT NULL,
            enrollment_date TEXT NOT NULL, person_id TEXT NOT NULL, gender TEXT NOT NULL,
            date_of_birth TEXT NOT NULL)"""
    )
    db.execute(
        """CREATE TABLE IF NOT EXISTS locations (
            event INTEGER PRIMARY KEY REFERENCES events, location TEXT NOT NULL)"""
    )


def subject_of(db: sqlite3.Connection, participant: int) -> Subject:
    """Read what is known of a participant."""
    row = db.execute(
        """SELECT secondary_label, enrollment_date, person_id, gender, date_of_birth
           FROM subjects WHERE participant = ?""",
        (participant,),
    ).fetchone()
    if row is None:
        return Subject()
    secondary, enrolled, person, gender, born = row
    return Subject(
        secondary_label=secondary, enrollment_date=enrolled, person_id=person, gender=gender, date_of_birth=born
    )


def save_subject(db: sqlite3.Connection, participant: int, subject: Subject) -> None:
    """Store what is known of a participant."""
    db.execute("INSERT OR REPLACE INTO subjects VALUES (?, ?, ?, ?, ?, ?)", (participant, *astuple(subject)))


def has_person(db: sqlite3.Connection, person_id: str, scope: frozenset[str]) -> bool:
    """Tell whether somebody in the study has this person ID."""
    rows = db.execute(
        """SELECT p.site_oid FROM subjects s JOIN participants p ON p.id = s.participant WHERE s.person_id = ?""",
        (person_id,),
    )
    return any(site in scope for (site,) in rows)


def next_label(db: sqlite3.Connection) -> str:
    """Give the number that follows the highest label that is a number."""
    labels = (label for (label,) in db.execute("SELECT participant_id FROM participants"))
    return str(max((int(label) for label in labels if label.isascii() and label.isdigit()), default=0) + 1)


def location_of(db: sqlite3.Connection, event: int) -> str:
    """Read where an event takes place."""
    row = db.execute("SELECT location FROM locations WHERE event = ?", (event,)).fetchone()
    return str(row[0]) if row else ""


def save_location(db: sqlite3.Connection, event: int, location: str) -> None:
    """Store where an event takes place."""
    db.execute("INSERT OR REPLACE INTO locations VALUES (?, ?)", (event, location))

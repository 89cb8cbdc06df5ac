"""Any state a study can be in: participants, visits, forms, values, their history and notes, as Hypothesis makes them.

What a text is after it went through XML or JSON is said here too, in words of the format: nothing in this file knows
the code that writes exports, or the code that reads them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from airflow_provider_openclinica.sandbox import history
from airflow_provider_openclinica.sandbox.data import (
    ClinicalStore,
    FormRecord,
    ItemPlace,
    Note,
    Occurrence,
)
from airflow_provider_openclinica.sandbox.demo import demo_study
from airflow_provider_openclinica.sandbox.statuses import EVENT, PARTICIPANT, SDV

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

STUDY = demo_study()
LOGINS = ("data_manager", "second_manager", "monitor")
NOTE_TYPES = ("Query", "Reason for Change", "Annotation", "Failed Validation Check")
NOTE_STATUSES = ("New", "Updated", "Resolution Proposed", "Closed", "Closed-Modified")


@dataclass(frozen=True)
class Entry:
    """An entry of a thread."""

    author: str
    assigned: str
    status: str
    text: str


@dataclass(frozen=True)
class Thread:
    type: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Value:
    """All that was ever stored in a place, each with who did it; the last counts."""

    group: str
    repeat: int
    item: str
    writes: tuple[tuple[str, str], ...]
    removed: bool
    threads: tuple[Thread, ...]


@dataclass(frozen=True)
class Form:
    oid: str
    version: str
    complete: bool
    sdv: str
    removed: bool
    archived: bool
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Visit:
    oid: str
    repeat: int
    status: str
    start: str
    end: str
    removed: bool
    archived: bool
    locked: bool
    signed: bool
    forms: tuple[Form, ...]


@dataclass(frozen=True)
class Person:
    oid: str
    id: str
    site: str
    status: str
    visits: tuple[Visit, ...]


# What texts there are

#: What XML, JSON, CSV or somebody's regular expression may trip over.
HOT = (
    *("", " ", "&", "<", ">", '"', "'", "&amp;", "&#233;", "]]>", "<!--", "-->", "<?xml", "{", "}", "[1, 2]", "null"),
    *(
        "None",
        "NULL",
        "é",
        "ß",
        "€",
        "日本",
        "\u202e",
        "\u2028",
        "\x7f",
        "\x85",
        "\xa0",
        "\u0301",
        "\ufeff",
        "😀",
        "\U0001d518",
    ),
    *("\t", "\n", "\r", "\r\n", "\x00", "\x01", "\x1f", "0", "007", "1e5", "1,5", ",", ";", "\\", "\\n", "%41", "${a}"),
    *("2026-01-05", "2026-13-45", "2026-01", "2026-01-05T08:30:00", "05-Jan-2026", "function(a){}", "=1+1", "Yes"),
)
#: Surrogates are no characters, and U+FFFE and U+FFFF none that XML or a reference in it can hold.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff")
VALUES = st.lists(st.sampled_from(HOT) | st.text(CHARACTERS, max_size=8), max_size=3).map("".join)
#: Names and the texts of notes: written without regard to control characters, which break the document for good.
TEXTS = VALUES.map(lambda text: re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "", text))
#: An ID stands in one line.
IDS = TEXTS.map(lambda text: re.sub(r"[\t\r\n]", "", text))


def in_attribute(text: str) -> str:
    """Say what a value is after it stood in an attribute of XML: each line break or tab is a blank.

    A control character, which XML cannot hold, is replaced: the only thing that the reader cannot give back.
    """
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "\ufffd", re.sub(r"\r\n|[\t\r\n]", " ", text))


def in_element(text: str) -> str:
    """Say what a text is after it stood in an element of XML: all line breaks are the same."""
    return re.sub(r"\r\n?", "\n", text)


def survives_json(text: str) -> bool:
    """Tell whether a value comes through the server's JSON unharmed; what does not is one of these."""
    is_rewritten_date = re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d| \d\d:\d\d:\d\d\.\d+)?", text, re.ASCII)
    is_parsed_as_json = re.fullmatch(r"\[.*\]|\{.*\}", text, re.DOTALL)
    is_written_unquoted = re.fullmatch(r"function ?\(.*\{.*\}", text, re.DOTALL)
    breaks_the_server = re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", text)
    return not (is_rewritten_date or is_parsed_as_json or is_written_unquoted or breaks_the_server)


def name_survives_json(text: str) -> bool:
    """Tell the same of all other texts, in which a character beyond U+FFFF makes the server fail."""
    return survives_json(text) and all(ord(character) < 0x10000 for character in text)


# Any state

DATES = st.dates().map(str) | st.sampled_from(["", "2026-02-28 23:59", "2026-01-05 00:00"])


@st.composite
def states(draw: st.DrawFn, values: st.SearchStrategy[str], texts: st.SearchStrategy[str]) -> list[Person]:
    """Make a study's participants with all that is stored of them.

    :param values: values of items, those of before as well.
    :param texts: IDs and texts of notes.
    """
    ids = draw(st.lists(texts.map(in_attribute).filter(bool), max_size=3, unique=True))
    sites = st.sampled_from([STUDY.oid, *(site.oid for site in STUDY.sites)])
    return [
        Person(
            oid=f"SS_{number}",
            id=participant_id,
            site=draw(sites),
            status=draw(st.sampled_from(sorted(PARTICIPANT))),
            visits=draw(_visits(values, texts)),
        )
        for number, participant_id in enumerate(ids, start=1)
    ]


@st.composite
def _visits(draw: st.DrawFn, values: st.SearchStrategy[str], texts: st.SearchStrategy[str]) -> tuple[Visit, ...]:
    places = [
        (event.oid, repeat) for event in STUDY.events.values() for repeat in ((1, 2, 17) if event.repeating else (1,))
    ]
    return tuple(
        Visit(
            oid=oid,
            repeat=repeat,
            status=draw(st.sampled_from(sorted(EVENT))),
            start=draw(DATES),
            end=draw(DATES),
            **{flag: draw(_RARELY) for flag in ("removed", "archived", "locked", "signed")},
            forms=draw(_forms(oid, values, texts)),
        )
        for oid, repeat in draw(st.lists(st.sampled_from(places), max_size=3, unique=True))
    )


@st.composite
def _forms(
    draw: st.DrawFn, event: str, values: st.SearchStrategy[str], texts: st.SearchStrategy[str]
) -> tuple[Form, ...]:
    wanted = draw(st.lists(st.sampled_from(sorted(STUDY.events[event].forms)), max_size=2, unique=True))
    return tuple(
        Form(
            oid=oid,
            version=draw(st.sampled_from(STUDY.forms[oid].versions)),
            complete=draw(st.booleans()),
            sdv=draw(st.sampled_from(["", *sorted(SDV)])),
            removed=draw(_RARELY),
            archived=draw(_RARELY),
            values=draw(_values(oid, values, texts)),
        )
        for oid in wanted
    )


@st.composite
def _values(
    draw: st.DrawFn, form: str, values: st.SearchStrategy[str], texts: st.SearchStrategy[str]
) -> tuple[Value, ...]:
    places = [
        (group.oid, repeat, item)
        for group in (STUDY.groups[oid] for oid in STUDY.forms[form].groups)
        for repeat in ((1, 2, 10) if group.repeating else (1,))
        for item in group.items
    ]
    entries = st.builds(
        Entry, st.sampled_from(LOGINS), st.sampled_from(["", *LOGINS]), st.sampled_from(NOTE_STATUSES), texts
    )
    threads = st.builds(Thread, st.sampled_from(NOTE_TYPES), st.lists(entries, max_size=2).map(tuple))
    writes = st.lists(st.tuples(st.sampled_from(LOGINS), values), min_size=1, max_size=3)
    return tuple(
        Value(
            *place,
            writes=tuple(draw(writes)),
            removed=draw(_RARELY),
            threads=tuple(draw(st.lists(threads, max_size=2))),
        )
        for place in draw(st.lists(st.sampled_from(places), max_size=5, unique=True))
    )


_RARELY = st.sampled_from([False, False, False, True])


# Into the sandbox


def store(db: sqlite3.Connection, people: Iterable[Person]) -> None:
    """Make this the state of the study, and drop what was there."""
    clinic = ClinicalStore(db)
    for table in ("notes", "items", "forms", "events", "participants", "history", "form_stamps"):
        db.execute(f"DELETE FROM {table}")  # noqa: S608 - one of the above
    for person in people:
        history.act_as(db, LOGINS[0])  # the last one who wrote a value acts until told otherwise
        db.execute(
            """INSERT INTO participants (oid, participant_id, site_oid, status, created_at, created_by)
               VALUES (?, ?, ?, ?, '2026-01-05T08:00:00.000+00:00', ?)""",
            (person.oid, person.id, person.site, person.status, LOGINS[0]),
        )
        participant = clinic.participant_by_oid(person.oid)
        assert participant
        for visit in person.visits:
            occurrence = Occurrence(
                *(0, participant.id, visit.oid, visit.repeat, visit.status, visit.start, visit.end),
                *(visit.removed, visit.archived, visit.locked, visit.signed),
            )
            history.act_as(db, LOGINS[0])
            clinic.save_occurrence(occurrence)
            for form in visit.forms:
                _store_form(db, clinic, occurrence.id, form)


def _store_form(db: sqlite3.Connection, clinic: ClinicalStore, event: int, form: Form) -> None:
    history.act_as(db, LOGINS[0])
    record = FormRecord(0, event, form.oid, form.version, form.complete, form.sdv, form.removed, form.archived)
    clinic.save_form(record)
    for value in form.values:
        place = ItemPlace(record.id, value.repeat, value.item)
        for number, (writer, text) in enumerate(value.writes):
            history.act_as(db, writer)
            if number == 0:
                clinic.insert_value(place, value.group, text)
            else:
                clinic.update_value(place, text)
        if value.removed:
            history.act_as(db, LOGINS[0])
            db.execute("UPDATE items SET removed = 1 WHERE form = ? AND repeat = ? AND item_oid = ?", place)
        for thread in value.threads:
            head = clinic.add_note(Note(note_id="", place=place, type=thread.type))
            for entry in thread.entries:
                clinic.add_note(
                    Note(
                        thread=head.id,
                        note_id="",
                        place=place,
                        type=thread.type,
                        status=entry.status,
                        text=entry.text,
                        author=entry.author,
                        assigned=entry.assigned,
                    )
                )

"""Find in an ODM document what OpenClinica would refuse, ignore or insert twice, before anything is sent.

The server checks little at once and tells the rest row by row, when the data that were right are already in; a few
faults it never tells (docs/protocol.md, import document). What needs the study's metadata is left to the server.

    check(source)    every problem this side can find, by line; never a value, never a participant
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

from airflow_provider_openclinica.odm.dates import disorder_of, fault_of
from airflow_provider_openclinica.odm.model import Problem, Severity
from airflow_provider_openclinica.odm.names import VOCABULARY
from airflow_provider_openclinica.odm.parser import Unreadable
from airflow_provider_openclinica.odm.walker import walk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_openclinica.odm.walker import Tag

LISTED = 100  #: problems of each severity that are listed; the rest is counted

VALUE_LIMIT = 4000  #: characters of a value as the vendor documents it; servers of 2020 refuse the last one
NOTE_TEXT_LIMIT = ATTESTATION_LIMIT = 1000
NOTE_ID_LIMIT = 32

FORM_STATUSES = ("initial data entry", "complete", "data entry complete")
SDV_STATUSES = ("verified", "not verified", "ready to verify", "changed since verified")
NOTE_TYPES = ("query", "annotation")

#: The attribute that names the element. Without it the server fails all that stands inside.
OID_OF = {
    "StudyEventData": "StudyEventOID",
    "FormData": "FormOID",
    "ItemGroupData": "ItemGroupOID",
    "ItemData": "ItemOID",
}
#: The repeat key of each element that has one, and what every import without it adds again.
REPEAT_KEY_OF = {
    "StudyEventData": ("StudyEventRepeatKey", "event"),
    "ItemGroupData": ("ItemGroupRepeatKey", "row"),
}
ONLY_ONE = frozenset({"UpsertOn", "DiscrepancyNotes", "DetailedNote"})
#: What an element has to hold, and what becomes of it otherwise.
MUST_HOLD = {
    "ODM": ("ClinicalData", "there is nothing to import. Send the clinical data, not only the study's metadata"),
    "ClinicalData": ("SubjectData", "there is nothing to import. Add its participants, or remove it"),
    "SubjectData": ("StudyEventData", "OpenClinica fails the participant. Add the visits, or remove it"),
    "StudyEventData": ("FormData", "OpenClinica fails the event. Add its forms, or remove it"),
    "DiscrepancyNote": ("ChildNote", "OpenClinica fails the note. Add one, with the text in a DetailedNote"),
    "ChildNote": ("DetailedNote", "OpenClinica fails the note. Add the text of the note"),
}
#: Empty ones of these are reported as missing, not as empty.
NEEDED = frozenset({*OID_OF.values(), *(key for key, _ in REPEAT_KEY_OF.values()), "StudyOID", "ID", "NoteType"})

SAFE_OID = re.compile(r"[A-Za-z0-9_.()-]{1,64}")
WHOLE_NUMBER = re.compile(r"\+?0*[1-9][0-9]{0,9}")
LARGEST_KEY = 2**31 - 1


def check(source: Path | BinaryIO, *, require_repeat_keys: bool = True) -> list[Problem]:
    """List what is wrong in a document, sorted by line. No error among the problems: it may be sent.

    A broken document is reported as far as it can be read. After ``LISTED`` errors, or warnings, a last one says how
    many more there are. One pass, constant memory.

    :param source: a path, or a binary stream from where it stands.
    :param require_repeat_keys: a StudyEventData or ItemGroupData without its repeat key is an error, since OpenClinica
        adds a new event or row each time such a document is imported.
    :raises FileError: the file cannot be opened. Its content never raises.
    """
    findings = _Findings()
    try:
        walk(source, _Checks(findings, require_repeat_keys=require_repeat_keys), findings.add)
    except Unreadable as end:
        findings.add(end.problem)
    return findings.problems()


class _Findings:
    """Problems, the first ones kept and the others counted, so that a bad file of any size is reported in little."""

    def __init__(self) -> None:
        self._kept: list[Problem] = []
        self._count: dict[Severity, int] = {"error": 0, "warning": 0}

    def add(self, problem: Problem) -> None:
        self._count[problem.severity] += 1
        if self._count[problem.severity] <= LISTED:
            self._kept.append(problem)

    def problems(self) -> list[Problem]:
        kept = sorted(self._kept, key=lambda problem: problem.line or 0)
        rest = {severity: count - LISTED for severity, count in self._count.items() if count > LISTED}
        return kept + [
            Problem(f"and {count} more {severity}{'s' if count > 1 else ''}", severity=severity)
            for severity, count in rest.items()
        ]


class _Checks:
    """A visitor that looks at each tag when it begins, at what it holds when it ends."""

    def __init__(self, findings: _Findings, *, require_repeat_keys: bool) -> None:
        self._findings = findings
        self._require_repeat_keys = require_repeat_keys
        self._items: set[str] = set()  # of the current group
        self._told: set[str] = set()  # warnings that one line is enough for
        self._rules: dict[str, Callable[[Tag], None]] = {
            "ClinicalData": self._clinical_data,
            "UpsertOn": self._upsert_on,
            "SubjectData": self._subject,
            "StudyEventData": self._event,
            "Signature": self._signature,
            "FormData": self._form,
            "ItemGroupData": self._group,
            "ItemData": self._item,
            "DiscrepancyNote": self._note,
            "ChildNote": self._note_id,
        }

    def start(self, tag: Tag) -> None:
        rule = self._rules.get(tag.name)
        if rule:
            rule(tag)
        if tag.name in ONLY_ONE and tag.parent is not None and tag.parent.holds[tag.name] == 2:
            self._error(
                tag, f"a second {tag.name} in one {tag.parent.name}; OpenClinica refuses the whole file. Keep one"
            )
        if "" in tag.attributes.values():
            self._empty_attributes(tag)

    def end(self, tag: Tag) -> None:
        child, fate = MUST_HOLD.get(tag.name, ("", ""))
        if child and child not in tag.holds:
            self._error(tag, f"{_called(tag)} has no {child}; {fate}")
        if tag.name == "DetailedNote":
            self._note_text(tag)

    # -- what every element shares

    def _error(self, tag: Tag, reason: str) -> None:
        self._findings.add(Problem(reason, tag.line))

    def _warn(self, tag: Tag, reason: str) -> None:
        self._findings.add(Problem(reason, tag.line, "warning"))

    def _warn_once(self, tag: Tag, reason: str) -> None:
        if reason not in self._told:
            self._told.add(reason)
            self._warn(tag, reason)

    def _empty_attributes(self, tag: Tag) -> None:
        for name, value in tag.attributes.items():
            if not value and name not in NEEDED and name != "Value":
                written = VOCABULARY[tag.name].attribute_written(name)
                self._warn_once(
                    tag, f'{written}="" of {tag.name} is left out wherever it is empty, since it would fail'
                )

    def _oid(self, tag: Tag) -> None:
        name = OID_OF[tag.name]
        if not tag.attributes.get(name, "").strip():
            self._error(tag, f"{tag.name} has no {name}, so OpenClinica cannot place it. Write the OID")

    def _repeat_key(self, tag: Tag) -> None:
        name, what = REPEAT_KEY_OF[tag.name]
        key = tag.attributes.get(name, "").strip()
        if not key:
            if self._require_repeat_keys:
                self._error(
                    tag,
                    f"{_called(tag)} has no {name}; each import would add a new {what}. "
                    "Write the key, and 1 where nothing repeats",
                )
        elif not (WHOLE_NUMBER.fullmatch(tag.attributes[name]) and int(key) <= LARGEST_KEY):
            self._error(tag, f"{name} of {_called(tag)} is not a whole number from 1. Write its number")

    def _one_of(self, tag: Tag, name: str, texts: tuple[str, ...], *, any_case: bool = True) -> None:
        value = tag.attributes.get(name, "")
        if value and (value.casefold() if any_case else value) not in texts:
            written = VOCABULARY[tag.name].attribute_written(name)
            allowed = ", ".join(f"'{text}'" for text in texts)
            self._error(tag, f"{written} of {_called(tag)} is none that the import accepts. Write one of {allowed}")

    def _yes_or_no(self, tag: Tag, name: str) -> None:
        self._one_of(tag, name, ("Yes", "No"), any_case=False)

    # -- element by element

    def _clinical_data(self, tag: Tag) -> None:
        if not tag.attributes.get("StudyOID", "").strip():
            self._error(tag, "ClinicalData has no StudyOID. Write the OID of the study or of the site")

    def _upsert_on(self, tag: Tag) -> None:
        for name in VOCABULARY["UpsertOn"].plain:
            self._one_of(tag, name, ("true", "false"), any_case=False)

    def _subject(self, tag: Tag) -> None:
        if not any(tag.attributes.get(name, "").strip() for name in ("SubjectKey", "StudySubjectID")):
            reason = "SubjectData has neither SubjectKey nor OpenClinica:StudySubjectID. Write one of them, or both"
            self._error(tag, reason)
        elif not tag.attributes.get("StudySubjectID", "").strip():
            self._warn_once(tag, "SubjectData has no OpenClinica:StudySubjectID, which documented servers ask for")

    def _event(self, tag: Tag) -> None:
        self._oid(tag)
        self._repeat_key(tag)
        self._yes_or_no(tag, "Signed")
        start, end = (tag.attributes.get(name, "") for name in ("StartDate", "EndDate"))
        for name, date in (("StartDate", start), ("EndDate", end)):
            fault = fault_of(date) if date else ""
            if fault:
                self._error(tag, f"{name} of {_called(tag)} {fault}. Write it as yyyy-MM-dd")
            elif len(date) > len("yyyy-MM-dd"):
                self._warn_once(tag, f"{name} has a time of day, which older OpenClinica servers refuse")
        if disorder_of(start, end):
            self._error(tag, f"EndDate of {_called(tag)} is before its StartDate. Correct one of them")

    def _signature(self, tag: Tag) -> None:
        text = tag.attributes.get("Attestation", "")
        if not text:
            self._error(
                tag,
                "Signature has no OpenClinica:Attestation, so the event is not signed. Write its text, or remove it",
            )
        elif _length(text) > ATTESTATION_LIMIT:
            self._error(tag, f"the attestation is longer than {ATTESTATION_LIMIT:,} characters. Shorten it")

    def _form(self, tag: Tag) -> None:
        self._oid(tag)
        wins = "WorkflowStatus" if tag.attributes.get("WorkflowStatus") else "Status"
        self._one_of(tag, wins, FORM_STATUSES)
        self._one_of(tag, "SdvStatus", SDV_STATUSES)

    def _group(self, tag: Tag) -> None:
        self._items.clear()
        self._oid(tag)
        self._repeat_key(tag)
        self._yes_or_no(tag, "Removed")

    def _item(self, tag: Tag) -> None:
        oid = tag.attributes.get("ItemOID", "").upper()
        value = tag.attributes.get("Value")
        if not oid.strip():
            self._oid(tag)
        elif oid in self._items:
            self._warn(tag, f"{_called(tag)} stands twice in its group; the last value stays. Keep one")
        else:
            self._items.add(oid)
        if value is None:
            reason = 'ItemData without Value is skipped by OpenClinica, here and elsewhere. Value="" clears an item'
            self._warn_once(tag, reason)
        elif _length(value) > VALUE_LIMIT:
            self._error(tag, f"the value of {_called(tag)} is longer than {VALUE_LIMIT:,} characters. Shorten it")
        elif _length(value) == VALUE_LIMIT:
            reason = (
                f"the value of {_called(tag)} has {VALUE_LIMIT:,} characters; older servers take {VALUE_LIMIT - 1:,}"
            )
            self._warn(tag, reason)

    def _note(self, tag: Tag) -> None:
        self._note_id(tag)
        if not tag.attributes.get("NoteType"):
            self._error(tag, "DiscrepancyNote has no NoteType. Write Query or Annotation")
        self._one_of(tag, "NoteType", NOTE_TYPES)

    def _note_id(self, tag: Tag) -> None:
        note_id = tag.attributes.get("ID", "")
        if not note_id:
            self._warn(tag, f"{tag.name} has no ID, so each import adds it again. Give it an ID that stays the same")
        elif _length(note_id) > NOTE_ID_LIMIT:
            self._error(tag, f"the ID of {tag.name} is longer than {NOTE_ID_LIMIT} characters. Shorten it")

    def _note_text(self, tag: Tag) -> None:
        if not tag.text:
            self._error(tag, "DetailedNote is empty; OpenClinica fails the note. Write its text, or remove the note")
        elif _length(tag.text) > NOTE_TEXT_LIMIT:
            self._error(tag, f"the text of a note is longer than {NOTE_TEXT_LIMIT:,} characters. Shorten it")


def _length(text: str) -> int:
    """Count characters as the server does: one beyond U+FFFF counts twice."""
    return len(text) if text.isascii() else len(text) + sum(character > "\uffff" for character in text)


def _called(tag: Tag) -> str:
    """Name an element by its OID, if it has one that reads like one."""
    oid = tag.attributes.get(OID_OF.get(tag.name, "StudyOID" if tag.name == "ClinicalData" else ""), "")
    return f"{tag.name} {oid}" if SAFE_OID.fullmatch(oid) else tag.name

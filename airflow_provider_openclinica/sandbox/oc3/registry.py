"""SOAP about studies, participants and events (docs/protocol3.md, web services).

One participant or event in a request counts, the first. Success does not prove that anything was stored.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.data import ClinicalStore, Occurrence, Participant
from airflow_provider_openclinica.sandbox.metadata import END
from airflow_provider_openclinica.sandbox.oc3.design import opening, versions_in
from airflow_provider_openclinica.sandbox.oc3.people import (
    Subject,
    has_person,
    location_of,
    next_label,
    save_location,
    save_subject,
    subject_of,
)
from airflow_provider_openclinica.sandbox.oc3.soap import (
    AVAILABLE,
    AVAILABLE_OR_DESIGN,
    BEANS,
    FAIL,
    SUCCESS,
    Failed,
    Fault,
    child,
    optional,
    said,
)
from airflow_provider_openclinica.sandbox.participants import Registry
from airflow_provider_openclinica.sandbox.people import People
from airflow_provider_openclinica.sandbox.retrieve import version_oid

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from lxml import etree

    from airflow_provider_openclinica.sandbox.oc3.soap import Call, Tree
    from airflow_provider_openclinica.sandbox.service import Place
    from airflow_provider_openclinica.sandbox.study import EventDefinition, Study

LONGEST_LABEL, LONGEST_PERSON_ID = 30, 255
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
_YEAR = re.compile(r"\d{4}", re.ASCII)


def list_studies(call: Call) -> list[Tree]:
    """List the studies in which the account has a role, with the sites that it may see."""
    mine = call.account.roles.keys() - call.account.removed_roles
    studies: list[Tree] = []
    for study in call.service.studies():
        sites = [site for site in study.sites if {site.oid, study.oid} & mine]
        if study.oid not in mine and not sites:
            continue
        listed: list[Tree] = [("site", _names(site.unique_id, site.oid, site.name)) for site in sites]
        studies.append(("study", [*_names(study.unique_id, study.oid, study.name), ("sites", listed)]))
    return [("result", SUCCESS), ("studies", studies)]


def _names(unique_id: str, oid: str, name: str) -> list[Tree]:
    return [("identifier", unique_id), ("oid", oid), ("name", name)]


def study_metadata(call: Call) -> list[Tree]:
    """Give the design of a study, as text."""
    wanted = call.own_child("studyMetadata").findtext("{*}identifier", "").strip()
    place = next((one for one in call.service.places() if (one.site or one.study).unique_id == wanted), None)
    if place is None:
        raise Failed(f'Study identifier you specified "{wanted}" does not correspond to a valid study.', FAIL)
    call.require_role(place)
    people = People(call.service.accounts.logins())
    return [("result", SUCCESS), ("odm", opening(place.study, place.oid, "", people) + END)]


def list_event_definitions(call: Call) -> list[Tree]:
    """List the events of a study with the versions of forms in them."""
    place = call.place(child(call.own_child("studyEventDefinitionListAll"), "studyRef"))
    call.require_role(place)
    events: list[Tree] = [
        (
            "studyEventDefinition",
            [
                ("oid", event.oid),
                ("name", event.name),
                ("eventDefinitionCrfs", list(_forms_of(place.study, event))),
            ],
        )
        for event in place.study.events.values()
    ]
    return [("result", SUCCESS), ("studyEventDefinitions", events)]


def _forms_of(study: Study, event: EventDefinition) -> Iterator[Tree]:
    for assignment, form, _ in versions_in(study, event):
        default = assignment.default_version
        yield (
            "eventDefinitionCrf",
            [
                ("required", "false"),
                ("doubleDataEntry", "false"),
                ("passwordRequired", "false"),
                ("hideCrf", "false"),
                ("participantForm", "false"),
                ("sourceDataVerificaiton", "Not Required"),
                ("crf", [("oid", form.oid), ("name", form.name)]),
                ("defaultCrfVersion", [("oid", version_oid(form, default)), ("name", default)]),
            ],
        )


def list_participants(call: Call) -> list[Tree]:
    """List the participants of a study and its sites, or of a site, with their events; no statuses, no ordinals."""
    reference = call.payload.find(f"{{{BEANS}}}studyRef")
    if reference is None or any(not str(node.tag).startswith(f"{{{BEANS}}}") for node in reference.iter()):
        raise Fault("the studyRef is not in the namespace of the beans")
    place = call.place(reference)
    call.require_role(place, exactly=True)
    with call.service.state.reading() as db:
        participants = ClinicalStore(db).participants(place.study.scope(place.oid))
        listed: list[Tree] = [("studySubject", list(_listed(db, one))) for one in participants]
    return [("result", SUCCESS), ("studySubjects", listed)]


def _listed(db: sqlite3.Connection, participant: Participant) -> Iterator[Tree]:
    known = subject_of(db, participant.id)
    yield "label", participant.participant_id
    yield from optional(("secondaryLabel", known.secondary_label))
    yield "oid", participant.oid
    yield from optional(("enrollmentDate", known.enrollment_date))
    yield (
        "subject",
        optional(("uniqueIdentifier", known.person_id), ("gender", known.gender), ("dateOfBirth", known.date_of_birth)),
    )
    rows = db.execute(
        "SELECT id, event_oid, start_date, end_date FROM events WHERE participant = ? ORDER BY id", (participant.id,)
    )
    events: list[Tree] = [
        (
            "event",
            optional(
                ("eventDefinitionOID", oid),
                ("location", location_of(db, event)),
                ("startDate", start.partition(" ")[0]),
                ("startTime", start.partition(" ")[2]),
                ("endDate", end.partition(" ")[0]),
                ("endTime", end.partition(" ")[2]),
            ),
        )
        for event, oid, start, end in rows.fetchall()
    ]
    yield "events", events


def find_participant(call: Call) -> list[Tree]:
    """Tell whether there is a participant. That there is none is a refusal with a text of its own."""
    sent = call.own_child("studySubject")
    place = call.place(child(sent, "studyRef"))
    call.require_role(place)
    with call.service.state.reading() as db:
        participant = _participant(db, place, said(sent, "label"))
    return [("result", SUCCESS), ("subjectOID", participant.oid)]


def _participant(db: sqlite3.Connection, place: Place, label: str) -> Participant:
    found = ClinicalStore(db).participants_by_id(label, place.study.scope(place.oid))
    if not found:
        name = (place.site or place.study).name
        raise Failed(f'StudySubject label you specified "{label}" does not correspond to the study "{name}".', FAIL)
    return found[0]


def create_participant(call: Call) -> list[Tree]:
    """Enrol somebody; a study that makes the labels itself takes the next number, whatever label is sent."""
    sent = call.own_child("studySubject")
    place = call.place(child(sent, "studyRef"))
    call.require_role(place, writes=True)
    call.require_status(place, AVAILABLE)
    person = child(sent, "subject")
    subject = Subject(
        secondary_label=said(sent, "secondaryLabel"),
        enrollment_date=said(sent, "enrollmentDate"),
        person_id=said(person, "uniqueIdentifier"),
        gender=said(person, "gender"),
        date_of_birth=said(person, "dateOfBirth") or said(person, "yearOfBirth"),
    )
    with call.service.state.writing() as db:
        is_numbered = place.study.generates_ids
        label = next_label(db) if is_numbered else said(sent, "label")
        errors = [*_wrong_dates(subject), *_wrong_person(db, place, subject)]
        if not is_numbered:
            errors += _wrong_label(db, place, label)
        if errors:
            raise Failed(*errors)
        if not call.service.is_lost():
            added = Registry(db, call.account.login).add(label, place, call.account.login)
            save_subject(db, added.id, subject)
    return [("result", SUCCESS), ("label", label)]


def _wrong_dates(subject: Subject) -> Iterator[str]:
    if not _is_date(subject.enrollment_date):
        yield "The enrollment date is not a date in the format yyyy-MM-dd."
    born = subject.date_of_birth
    if born and not (_YEAR.fullmatch(born) or _is_date(born)):
        yield "The date of birth is not a date in the format yyyy-MM-dd."


def _wrong_person(db: sqlite3.Connection, place: Place, subject: Subject) -> Iterator[str]:
    if subject.gender not in {"", "m", "f"}:
        yield "The gender is neither m nor f."
    if len(subject.person_id) > LONGEST_PERSON_ID:
        yield "The person ID is too long."
    elif subject.person_id and has_person(db, subject.person_id, place.study.scope(place.study.oid)):
        yield "The person ID is in use in this study already."
    if len(subject.secondary_label) > LONGEST_LABEL:
        yield "The secondary label is too long."


def _wrong_label(db: sqlite3.Connection, place: Place, label: str) -> list[str]:
    if not label:
        return ["The label is missing."]
    if len(label) > LONGEST_LABEL or set("<>") & set(label):
        return ["The label is too long, or holds a character that it must not."]
    if ClinicalStore(db).participants_by_id(label, place.study.scope(place.study.oid)):
        return [f"Subject with label {label} exists."]
    return []


def schedule_event(call: Call) -> list[Tree]:
    """Schedule an event; one that repeats gets the next ordinal, each time it is asked for."""
    sent = call.own_child("event")
    start, end = said(sent, "startDate"), said(sent, "endDate")
    if not _is_date(start) or (end and not _is_date(end)):
        raise Fault("a date is missing, or is not yyyy-MM-dd")
    if any(time and not _TIME.fullmatch(time) for time in (said(sent, "startTime"), said(sent, "endTime"))):
        raise Fault("a time is not HH:mm")
    place = call.place(child(sent, "studyRef"))
    call.require_role(place, writes=True)
    call.require_status(place, AVAILABLE_OR_DESIGN)
    oid = said(sent, "eventDefinitionOID")
    with call.service.state.writing() as db:
        participant = _participant(db, place, said(sent, "studySubjectRef", "label"))
        definition = place.study.events.get(oid)
        if definition is None:
            raise Failed(f'EventDefinitionOID you specified "{oid}" does not correspond to the study.', FAIL)
        store = ClinicalStore(db, call.account.login)
        existing = store.occurrences(participant.id, oid)
        if existing and not definition.repeating:
            raise Failed("Cannot schedule an event for this Subject.")
        ordinal = max(existing, default=0) + 1
        if not call.service.is_lost():
            _add_event(db, store, Occurrence(0, participant.id, oid, ordinal, start_date=start, end_date=end), sent)
    return [
        ("result", SUCCESS),
        ("eventDefinitionOID", oid),
        ("studySubjectOID", participant.oid),
        ("studyEventOrdinal", str(ordinal)),
    ]


def _add_event(db: sqlite3.Connection, store: ClinicalStore, event: Occurrence, sent: etree._Element) -> None:
    """Store an event. Its times are lost: the server never notes that there were any."""
    store.save_occurrence(event)
    if location := said(sent, "location"):
        save_location(db, event.id, location)


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True

"""Visits one by one: scheduled once and not twice, changed without losing what the server would forget.

OpenClinica adds a visit with each call that asks for one, where the event repeats, and the call carries nothing that
could tell a repetition. So the highest repeat key is written down before the call; when its answer is lost, exactly one
new key that begins on our day is ours, and anything else is ambiguous (docs/protocol.md, events).

    schedule(client, visit, VisitRecord(store, generation=0))
    change(client, visit_change)

What is kept between tries are keys, dates and digests: no participant.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, astuple, dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_openclinica.client.codes import look_up
from airflow_provider_openclinica.client.event_status import OF_NEWER_SERVERS, may_become, normalised
from airflow_provider_openclinica.engine.occurrences import Occurrence, ParticipantEvent, day_and_time, occurrences
from airflow_provider_openclinica.engine.record import Phase
from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    ConfigurationError,
    NotAvailableError,
    NotFoundError,
    OpenClinicaError,
    SubmissionChangedError,
)

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.client.events import WrittenEvent
    from airflow_provider_openclinica.engine.record import StateStore

_log = logging.getLogger(__name__)

IfExists = Literal["fail", "succeed"]

_KEY = "openclinica_visit"
_LOOK = "Look at the participant's events in OpenClinica. If the visit is not there, clear the task: that schedules it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit(ParticipantEvent):
    """A visit to be scheduled; its texts are checked already.

    :param start_date: ``2026-05-01``, or ``2026-05-01 09:30``.
    :param end_date: likewise, or ``""``.
    """

    start_date: str
    end_date: str = ""

    @property
    def sha256(self) -> str:
        """A digest that only the same visit has."""
        return hashlib.sha256(json.dumps(astuple(self)).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitChange(ParticipantEvent):
    """A change of an occurrence; its texts are checked already, and what is ``""`` stays as it is."""

    repeat_key: str
    start_date: str = ""
    end_date: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one occurrence: what a task returns of it.

    :param created: whether this task scheduled it; False for a visit that was there, and for a change.
    """

    study_event_oid: str
    study_event_repeat_key: str
    start_date: str
    end_date: str
    event_status: str
    created: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What was written down before the call, and after it."""

    phase: str
    generation: int
    payload_sha256: str
    highest: int
    outcome: dict[str, Any] | None = None


class VisitRecord:
    """What a task remembers of the visit that it schedules.

    :param store: None where Airflow keeps nothing for a task (before 3.3).
    :param generation: grows when a person clears the task, which schedules another visit on purpose.
    :param is_first_try: no try of this generation came before.
    """

    def __init__(self, store: StateStore | None, *, generation: int = 0, is_first_try: bool = True) -> None:
        self._store, self.generation = store, generation
        #: An earlier try may have sent the visit, and nothing was written down.
        self.is_in_doubt = store is None and not is_first_try

    @property
    def lasts(self) -> bool:
        """Tell whether a retry finds what is written here."""
        return self._store is not None

    def read(self) -> _Kept | None:
        """Return what this generation has written.

        :raises ConfigurationError: something else is kept under our key.
        """
        kept = self._store.get(_KEY) if self._store else None
        try:
            record = _Kept(**kept) if kept is not None else None
        except TypeError:
            raise ConfigurationError(
                f"The task's state holds a {_KEY} that this package did not write",
                next_step="Look at the participant's events in OpenClinica, delete that key, then clear the task.",
            ) from None
        return record if record and record.generation == self.generation else None

    def write(self, phase: Phase, visit: Visit, highest: int, outcome: Outcome | None = None) -> None:
        """Keep how far the visit has come."""
        if self._store is None:
            return
        kept = _Kept(
            phase=phase.value,
            generation=self.generation,
            payload_sha256=visit.sha256,
            highest=highest,
            outcome=asdict(outcome) if outcome else None,
        )
        self._store.set(_KEY, asdict(kept))

    def forget(self) -> None:
        """Drop it: nothing was sent, or it was refused."""
        if self._store:
            self._store.delete(_KEY)


def schedule(client: OpenClinicaClient, visit: Visit, record: VisitRecord, *, if_exists: IfExists = "fail") -> Outcome:
    """Schedule a visit, or find the one that an earlier try has scheduled.

    :param if_exists: ``succeed`` takes a visit that is there, of an event that does not repeat, for a success.
    :raises AmbiguousSubmitError: the visit may be there or not, and nothing here can tell.
    :raises SubmissionChangedError: an earlier try has sent another visit.
    :raises OpenClinicaError: as ``client.events.create`` does; nothing was scheduled.
    """
    kept = record.read()
    if kept:
        return _go_on(client, visit, record, kept)
    there = occurrences(client, visit)
    if record.is_in_doubt and any(each.begins(visit.start_date) for each in there):
        raise _ambiguous(visit, "A visit on that day is there, and this Airflow keeps no record of who made it")
    highest = max((each.repeat_key for each in there), default=0)
    record.write(Phase.SUBMITTING, visit, highest)
    try:
        written = client.events.create(
            visit.participant_id,
            visit.study_event_oid,
            start_date=visit.start_date,
            end_date=visit.end_date,
            study_oid=visit.study_oid,
            site_oid=visit.site_oid,
        )
    except AmbiguousSubmitError as lost:
        return _settle(client, visit, record, highest, lost)
    except OpenClinicaError as error:
        record.forget()
        if if_exists == "succeed" and _means(error, "eventAlreadyExists"):
            return _the_one_there(client, visit)
        raise
    return _keep(record, visit, highest, _outcome_of(written, created=True))


def _go_on(client: OpenClinicaClient, visit: Visit, record: VisitRecord, kept: _Kept) -> Outcome:
    """Take up what an earlier try of this generation has begun."""
    if kept.payload_sha256 != visit.sha256:
        raise SubmissionChangedError(
            "The visit to schedule is not the one that an earlier try of this task has sent",
            study=visit.study_oid,
            site=visit.site_oid,
            next_step="Look at the participant's events in OpenClinica, then clear the task: that schedules this one.",
        )
    if kept.outcome:
        return Outcome(**kept.outcome)
    return _settle(client, visit, record, kept.highest, None)


def _settle(
    client: OpenClinicaClient, visit: Visit, record: VisitRecord, highest: int, lost: OpenClinicaError | None
) -> Outcome:
    """Find out what a call without an answer has done.

    :param highest: the highest repeat key before it.
    :param lost: what became of the answer, where this process has seen it.
    """
    try:
        there = occurrences(client, visit)
    except OpenClinicaError as error:
        if lost and not (error.retry and record.lasts):
            raise lost from None
        raise  # the retry asks again
    new = [each for each in there if each.repeat_key > highest]
    if len(new) == 1 and new[0].begins(visit.start_date):
        _log.info("No answer came, and the visit is there: occurrence %d", new[0].repeat_key)
        return _keep(record, visit, highest, _outcome_from(visit.study_event_oid, new[0], created=True))
    raise lost or _ambiguous(visit, "An earlier try has sent the visit, and nothing tells what became of it")


def _ambiguous(visit: Visit, what: str) -> AmbiguousSubmitError:
    return AmbiguousSubmitError(what, study=visit.study_oid, site=visit.site_oid, next_step=_LOOK)


def _keep(record: VisitRecord, visit: Visit, highest: int, outcome: Outcome) -> Outcome:
    record.write(Phase.SUBMITTED, visit, highest, outcome)
    return outcome


def _the_one_there(client: OpenClinicaClient, visit: Visit) -> Outcome:
    """Tell of the only occurrence of an event that does not repeat."""
    there = occurrences(client, visit)
    only = there[0] if there else Occurrence(repeat_key=1)  # an account may schedule what it may not read
    if only.closed:
        _log.warning("The visit is there already, and it is %s", only.closed)
    else:
        _log.info("The visit is there already")
    return _outcome_from(visit.study_event_oid, only, created=False)


def change(client: OpenClinicaClient, wanted: VisitChange) -> Outcome:
    """Change an occurrence of an event; sends nothing where it is as it shall be.

    Servers of 2020 keep only the day of a visit's dates with every change, so the times that are stored are sent along.
    Those servers refuse them: then the change is made without, and a warning tells of it.

    :raises NotFoundError: no such study, site, participant, event or occurrence.
    :raises NotAvailableError: the event is locked, removed or archived, cannot go from its status to this one, or is a
        common one whose dates were to be changed.
    :raises OpenClinicaError: as ``client.events.update`` does.
    """
    there = occurrences(client, wanted)
    found = next((each for each in there if each.repeat_key == int(wanted.repeat_key)), None)
    if found is None:
        if there:  # where an event does not repeat, the server would change its only occurrence, whatever the key
            raise NotFoundError(
                f"The participant has no occurrence {wanted.repeat_key} of event {wanted.study_event_oid}",
                study=wanted.study_oid,
                site=wanted.site_oid,
                next_step="Compare the repeat key with the participant's events in OpenClinica.",
            )
        return _send(client, wanted)  # nothing is known: the server decides
    _refuse_what_cannot_be(wanted, found)
    if found.has(wanted.start_date, wanted.end_date, wanted.status):
        _log.info("The event is as it shall be: nothing is sent")
        return _outcome_from(wanted.study_event_oid, found, created=False)
    start = "" if wanted.start_date else found.start_time
    end = "" if wanted.end_date else found.end_time
    try:
        return _send(client, wanted, start, end)
    except OpenClinicaError as error:
        if not ((start or end) and _means(error, "invalidStartDate", "invalidEndDate")):
            raise
    outcome = _send(client, wanted)
    _log.warning("This server takes no times of day: those that were stored with the event are midnight from now on")
    return outcome


def _refuse_what_cannot_be(wanted: VisitChange, found: Occurrence) -> None:
    """Refuse what the server refuses, and the changes that it makes although nobody can have meant them."""
    event = f"Occurrence {wanted.repeat_key} of event {wanted.study_event_oid}"
    if found.closed and normalised(wanted.status) not in OF_NEWER_SERVERS:
        raise NotAvailableError(
            f"{event} is {found.closed}, and OpenClinica would change it all the same",
            study=wanted.study_oid,
            site=wanted.site_oid,
            next_step="Restore or unlock it in OpenClinica first, if it is to be changed.",
        )
    if wanted.status and not may_become(found.status, wanted.status):
        raise NotAvailableError(
            f"{event} is {found.status}, and cannot become {normalised(wanted.status)}",
            study=wanted.study_oid,
            site=wanted.site_oid,
            next_step="docs/protocol.md, events, tells what may follow what.",
        )


def _send(client: OpenClinicaClient, wanted: VisitChange, start: str = "", end: str = "") -> Outcome:
    """Ask for the change.

    :param start: the stored start to send along, where none is wanted; ``""`` for none.
    :param end: likewise.
    :raises NotAvailableError: the server has passed over a date without a word: it does so with common events.
    """
    written = client.events.update(
        wanted.participant_id,
        wanted.study_event_oid,
        wanted.repeat_key,
        start_date=wanted.start_date or start,
        end_date=wanted.end_date or end,
        status=wanted.status,
        study_oid=wanted.study_oid,
        site_oid=wanted.site_oid,
    )
    if (wanted.start_date and not written.start_date) or (wanted.end_date and not written.end_date):
        raise NotAvailableError(
            f"OpenClinica left the dates of event {wanted.study_event_oid} as they are: a common event has none",
            study=wanted.study_oid,
            site=wanted.site_oid,
            next_step="Leave start_date and end_date out, and clear the task. A status that was asked for is set.",
        )
    return _outcome_of(written, created=False)


def _means(error: OpenClinicaError, *names: str) -> bool:
    known = look_up(error.code)
    return known is not None and known.name in names


def _outcome_of(written: WrittenEvent, *, created: bool) -> Outcome:
    return Outcome(
        study_event_oid=written.study_event_oid,
        study_event_repeat_key=written.repeat_key,
        start_date=day_and_time(written.start_date),
        end_date=day_and_time(written.end_date),
        event_status=written.status,
        created=created,
    )


def _outcome_from(study_event_oid: str, found: Occurrence, *, created: bool) -> Outcome:
    return Outcome(
        study_event_oid=study_event_oid.upper(),
        study_event_repeat_key=str(found.repeat_key),
        start_date=found.start_date,
        end_date=found.end_date,
        event_status=found.status,
        created=created,
    )

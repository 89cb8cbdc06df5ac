"""Visits one by one: schedule one, change one. ``operators/events.py`` offers both beside the bulk operator."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.client import event_status
from airflow_provider_openclinica.engine.visits import Visit, VisitChange, VisitRecord, change, schedule
from airflow_provider_openclinica.errors import ConfigurationError
from airflow_provider_openclinica.odm import dates
from airflow_provider_openclinica.operators import state
from airflow_provider_openclinica.operators.arguments import event_oid_of, oid, participant_id_of, repeat_key_of
from airflow_provider_openclinica.operators.base import OpenClinicaStudyOperator
from airflow_provider_openclinica.operators.failures import airflow_failures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_openclinica.engine.visits import IfExists, Outcome

    Day = str | date | None

_FORM = "write 2026-05-01, or 2026-05-01 09:30 where the server takes times"


class _EventOperator(OpenClinicaStudyOperator):
    """What both operators say: whose event, and when.

    A visit's ``start_date`` and ``end_date`` have the names of two dates of Airflow's own, which say when a task may
    run and which ``default_args`` hand to every task. Those are moments, so a ``datetime`` is Airflow's, and a text or
    a day is the visit's. ``event_start_date`` and ``event_end_date`` are the visit's whatever they are, and the names
    to use with ``partial`` and ``expand``, which know Airflow's only.
    """

    template_fields: Sequence[str] = (
        "participant_id",
        "study_event_oid",
        "event_start_date",
        "event_end_date",
        *OpenClinicaStudyOperator.template_fields,
    )

    def __init__(
        self,
        *,
        site_oid: str,
        participant_id: str,
        study_event_oid: str,
        event_start_date: Day = None,
        event_end_date: Day = None,
        **kwargs: Any,
    ) -> None:
        event_start_date = _ours(kwargs, "start_date") or event_start_date
        event_end_date = _ours(kwargs, "end_date") or event_end_date
        super().__init__(site_oid=site_oid, **kwargs)
        self.participant_id, self.study_event_oid = participant_id, study_event_oid
        self.event_start_date, self.event_end_date = event_start_date, event_end_date

    def _names(self) -> dict[str, str]:
        """Return study, site, participant and event, once they are rendered."""
        return {
            "study_oid": oid(self.study_oid, "study_oid"),
            "site_oid": oid(self.site_oid, "site_oid"),
            "participant_id": participant_id_of(self.participant_id),
            "study_event_oid": event_oid_of(self.study_event_oid),
        }

    def _days(self) -> dict[str, str]:
        """Return both dates as requests spell them; ``""`` for none."""
        start, end = _day(self.event_start_date, "start_date"), _day(self.event_end_date, "end_date")
        if dates.disorder_of(start, end):
            raise ConfigurationError("end_date lies before start_date")
        return {"start_date": start, "end_date": end}


class OpenClinicaCreateEventOperator(_EventOperator):
    """Schedule a visit of one participant. A retry never schedules a second one.

    Where an event repeats, OpenClinica adds an occurrence with each call. So the task notes the highest repeat key
    before it asks (Airflow 3.3 and later keep that for its retries), and where the answer is lost, it looks: exactly
    one new occurrence that begins at ``event_start_date`` is its own. Anything else is ambiguous, and the task stops: a
    person looks at the participant's events. Before Airflow 3.3 a retry is ambiguous wherever a visit begins then.
    Clearing the task schedules another visit, on purpose.

    Returns ``participant_id``, ``study_event_oid``, ``study_event_repeat_key``, ``start_date``, ``end_date``,
    ``event_status`` (in lower case and with blanks) and ``created``. For the visits of many participants,
    ``OpenClinicaBulkEventsOperator`` asks less of the server.

    :param study_oid: OID of the study. Templated.
    :param site_oid: OID of the site whose participant this is. Templated.
    :param participant_id: the participant's ID, letter for letter. Templated.
    :param study_event_oid: OID of a visit-based event; common events come into being with their data. Templated.
    :param start_date: ``2026-05-01``, or ``2026-05-01 09:30`` where the server takes times; or a ``date``. Required,
        here or as ``event_start_date``. Templated.
    :param end_date: likewise; None for none. Templated.
    :param event_start_date: the same as ``start_date``, for ``partial`` and ``expand``; may also be a ``datetime``, as
        it stands in the participant's calendar.
    :param event_end_date: likewise.
    :param if_exists: ``succeed`` takes a visit that is there, of an event that does not repeat, for a success,
        whenever it is; ``fail`` does not.
    :param openclinica_conn_id: connection of type ``openclinica``. Templated.
    """

    def __init__(
        self,
        *,
        if_exists: IfExists = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if self.event_start_date is None:
            raise ConfigurationError(f"start_date, the day of the visit, is missing; {_FORM}")
        if if_exists not in ("fail", "succeed"):
            raise ConfigurationError("if_exists is neither 'fail' nor 'succeed'")
        self.if_exists = if_exists

    def execute(self, context: Context) -> dict[str, Any]:
        """Check everything here, look what is there, and ask for the visit once."""
        with airflow_failures():
            visit = Visit(**self._names(), **self._days())
            if not visit.start_date:
                raise ConfigurationError(f"start_date is empty, once it is rendered; {_FORM}")
            record = VisitRecord(
                state.store(context),
                generation=state.generation(context),
                is_first_try=state.is_first_try_of_generation(context, self),
            )
            outcome = schedule(self.client, visit, record, if_exists=self.if_exists)
            self.log.info("Event %s is scheduled: occurrence %s", visit.study_event_oid, outcome.study_event_repeat_key)
            return _result(visit.participant_id, outcome)


class OpenClinicaUpdateEventOperator(_EventOperator):
    """Change the dates or the status of one occurrence of an event. Safe to retry.

    What is not given stays as it is. **Servers of 2020 know no times of day: each change of a visit sets the stored
    ones to midnight, one of the status alone too.** So the times that OpenClinica has are sent along; where the server
    refuses them, the change is made without, and a warning says so.

    OpenClinica is asked first what is there: an occurrence that is not there, a status that cannot follow the present
    one, and a change of what is locked, removed or archived are refused, and nothing is sent. Nothing is sent either
    where the occurrence is as it shall be. Of common events only the status can be changed: where a date was to be
    changed as well, the task fails. A change of the status takes away the event's signature.

    Returns what ``OpenClinicaCreateEventOperator`` does.

    :param study_oid: OID of the study. Templated.
    :param site_oid: OID of the site whose participant this is. Templated.
    :param participant_id: the participant's ID, letter for letter. Templated.
    :param study_event_oid: OID of the event. Templated.
    :param study_event_repeat_key: which occurrence: ``1`` where the event does not repeat. Templated.
    :param start_date: as in ``OpenClinicaCreateEventOperator``; None leaves it as it is. Templated.
    :param end_date: likewise. Once set, it can be changed and not removed. Templated.
    :param event_start_date: the same as ``start_date``, for ``partial`` and ``expand``.
    :param event_end_date: likewise.
    :param event_status: ``data entry started``, ``completed``, ``skipped``, ``stopped`` or ``scheduled``, in any letter
        case; ``DATA_ENTRY_STARTED`` is understood. Templated.
    :param openclinica_conn_id: connection of type ``openclinica``. Templated.
    """

    template_fields: Sequence[str] = ("study_event_repeat_key", "event_status", *_EventOperator.template_fields)

    def __init__(
        self,
        *,
        study_event_repeat_key: str | int,
        event_status: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.study_event_repeat_key = study_event_repeat_key
        self.event_status = event_status

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Check everything here, look what is there, and change it."""
        with airflow_failures():
            wanted = VisitChange(
                **self._names(),
                **self._days(),
                repeat_key=repeat_key_of(self.study_event_repeat_key),
                status=_status(self.event_status),
            )
            if not (wanted.start_date or wanted.end_date or wanted.status):
                raise ConfigurationError("There is nothing to change: start_date, end_date and event_status are empty")
            outcome = change(self.client, wanted)
            self.log.info("Event %s, occurrence %s, is as it shall be", wanted.study_event_oid, wanted.repeat_key)
            return _result(wanted.participant_id, outcome)


def _ours(arguments: dict[str, Any], name: str) -> Day:
    """Take a date of the visit out of a task's arguments; None where there is none, or it is Airflow's."""
    return None if isinstance(arguments.get(name), datetime) else arguments.pop(name, None)


def _result(participant_id: str, outcome: Outcome) -> dict[str, Any]:
    return {"participant_id": participant_id} | asdict(outcome)


def _day(given: Day, argument: str) -> str:
    if isinstance(given, datetime):
        return f"{given:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
    if isinstance(given, date):
        return given.isoformat()
    if not isinstance(given, str | None):
        raise ConfigurationError(f"{argument} is neither text nor a date, once it is rendered; {_FORM}")
    text = (given or "").strip()
    if text and (fault := dates.fault_of(text)):
        raise ConfigurationError(f"{argument} {fault}; {_FORM}")
    return text


def _status(given: str | None) -> str:
    status = (given or "").strip()
    if status and (fault := event_status.fault_of(status)):
        raise ConfigurationError(f"event_status {fault}")
    return event_status.normalised(status)

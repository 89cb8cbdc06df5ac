"""What is written to OpenClinica 3, by its SOAP web services: imports, participants, visits.

A success that its server reports proves nothing, so all of these read back what they wrote. All of them take turns at a
server: within a host by a lock; give them, and what else uses the account, an Airflow pool of one slot as well.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_openclinica.client.openclinica3.soap import NewParticipant, NewVisit
from airflow_provider_openclinica.engine.openclinica3.enrolment import enrol
from airflow_provider_openclinica.engine.openclinica3.imports import Importing
from airflow_provider_openclinica.engine.openclinica3.once import Once
from airflow_provider_openclinica.engine.openclinica3.visits import schedule
from airflow_provider_openclinica.errors import ConfigurationError, FileError, WaitInterruptedError
from airflow_provider_openclinica.hooks.openclinica3 import OpenClinica3Hook, client3_for
from airflow_provider_openclinica.hooks.storage import ObjectStorage
from airflow_provider_openclinica.odm import dates
from airflow_provider_openclinica.odm.import3 import UpsertOn, requests_of
from airflow_provider_openclinica.operators import state
from airflow_provider_openclinica.operators.arguments import event_oid_of, file_address, oid, participant_id_of
from airflow_provider_openclinica.operators.base import Stoppable
from airflow_provider_openclinica.operators.failures import airflow_failures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_openclinica.client.openclinica3.client import OpenClinica3Client
    from airflow_provider_openclinica.engine.openclinica3.visits import IfExists

#: What a person file may hold -> the name in a request.
PERSON = {
    "secondaryLabel": "secondary_label",
    "uniqueIdentifier": "unique_identifier",
    "gender": "gender",
    "dateOfBirth": "date_of_birth",
    "yearOfBirth": "year_of_birth",
}
UPSERT_ON = ("not_started", "data_entry_started", "data_entry_complete")


class _Operator3(Stoppable, BaseOperator):
    """An operator with a connection of type ``openclinica3``."""

    template_fields: Sequence[str] = ("openclinica_conn_id",)
    ui_color = "#e5f0f8"

    on_stop = "The next try goes on."

    def __init__(self, *, openclinica_conn_id: str = OpenClinica3Hook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.openclinica_conn_id = openclinica_conn_id

    def new_client(self) -> OpenClinica3Client:
        """Return a client whose waits end when the task is killed. No call is made here."""
        self._killed = threading.Event()
        return client3_for(self.openclinica_conn_id, sleep=self.sleep)


class OpenClinica3ImportOperator(_Operator3):
    """Import an ODM file and read back what was imported. Safe to retry.

    The file is cut into one request for each participant; or, where ``upsert_on`` keeps some forms out, for each form.
    Before the first is sent, every event that the file names is looked up, with its occurrence: OpenClinica 3 calls an
    import of an event that does not exist a success, and stores nothing. What is stored already is not sent, so a retry
    sends what is missing.

    In the file, SubjectKey is the participant's OID, FormOID that of a form *version*. A form is marked complete,
    unless its FormData has ``OpenClinica:Status="initial data entry"``. The server overwrites values.

    Returns counts: ``requests``, ``sent``, ``unchanged`` (stored already), ``filtered`` (kept out by ``upsert_on``),
    ``failed``, ``lost``, ``forms``, ``values``, ``values_lost``, ``warnings``; and ``log_uri``.

    :param odm_uri: ODM 1.3 XML; a path or any URI that Airflow opens. Templated.
    :param log_uri: a file for what the server says of each request, a line of JSON each. It may quote values, so a
        local one can be read by its owner only. None: nowhere. Templated.
    :param upsert_on: which forms may be changed: any of ``not_started``, ``data_entry_started`` and
        ``data_entry_complete``.
    :param verify: read values back. ``False`` believes the server.
    :param allow_migration: data for another version of a form that is stored move it to that version; ``False`` fails.
    :param openclinica_conn_id: connection of type ``openclinica3``. Templated.
    """

    template_fields: Sequence[str] = ("odm_uri", "log_uri", *_Operator3.template_fields)

    def __init__(
        self,
        *,
        odm_uri: str,
        log_uri: str | None = None,
        upsert_on: Sequence[str] = UPSERT_ON,
        verify: bool = True,
        allow_migration: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.odm_uri = odm_uri
        self.log_uri = log_uri
        self.upsert_on = upsert_on
        self.verify = verify
        self.allow_migration = allow_migration

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Check the file, look everything up, send, read back, and judge."""
        with airflow_failures():
            upsert_on, odm_uri = self._upsert_on(), file_address(self.odm_uri, "odm_uri")
            log_uri = file_address(self.log_uri, "log_uri") if self.log_uri else None
            files = ObjectStorage()
            with files.open(odm_uri) as odm:
                if not any(True for _ in requests_of(odm, upsert_on)):  # all of it: nothing is sent of a bad file
                    raise FileError("The ODM document holds no form of any participant")
            if log_uri:
                files.check_target(log_uri)
            importing = self._import(files, odm_uri, log_uri, upsert_on)
            self.log.info("Import: %s", ", ".join(f"{name} {count}" for name, count in asdict(importing.tally).items()))
            importing.judge(log_uri)
            return asdict(importing.tally) | {"log_uri": log_uri}

    def _import(self, files: ObjectStorage, odm_uri: str, log_uri: str | None, upsert_on: UpsertOn) -> Importing:
        client = self.new_client()
        with client.session() as session:
            importing = Importing(client, session, upsert_on, self.verify, self.allow_migration)
            with files.open(odm_uri) as odm:
                for part in requests_of(odm, upsert_on):
                    importing.check(part)
            if log_uri is None:
                self._send(files, odm_uri, importing)
            else:
                with files.create(log_uri, private=True) as importing.log_file:
                    self._send(files, odm_uri, importing)
        return importing

    def _send(self, files: ObjectStorage, odm_uri: str, importing: Importing) -> None:
        with files.open(odm_uri) as odm:
            for part in requests_of(odm, importing.upsert_on):
                if self._killed.is_set():
                    raise WaitInterruptedError("Stopped between two requests", next_step=self.on_stop)
                importing.send(part)

    def _upsert_on(self) -> UpsertOn:
        given = self.upsert_on
        if isinstance(given, str) or not given or not set(given) <= set(UPSERT_ON):
            raise ConfigurationError(f"upsert_on is not one or more of {', '.join(UPSERT_ON)}")
        return UpsertOn(**{name: name in given for name in UPSERT_ON})


class OpenClinica3CreateParticipantOperator(_Operator3):
    """Enrol a participant and look the new one up. A retry never enrols a second one.

    Where people give the IDs, an ID cannot be taken twice, so a lost answer is looked up by it. Where the study numbers
    its participants itself, each call enrols another person, and what became of a lost answer cannot be told: then the
    task stops for good, and a person looks. The study's metadata say which of the two it is.

    Returns ``participant_id``, ``participant_oid`` and ``created``.

    :param study_oid: OID of the study. Templated.
    :param enrollment_date: ``2026-05-01``, or a ``date``. Templated.
    :param site_oid: OID of the participant's site. Templated.
    :param participant_id: the ID; None where the study numbers its participants. Templated.
    :param person_uri: a JSON object with what the study requires: ``gender`` (``m`` or ``f``), ``dateOfBirth``
        (``1970-12-31``) or ``yearOfBirth``, ``uniqueIdentifier``, ``secondaryLabel``. A file, so that no template and
        no XCom holds it. Templated.
    :param if_exists: ``succeed`` takes a participant who is there for a success; ``fail`` does not.
    :param openclinica_conn_id: connection of type ``openclinica3``. Templated.
    """

    template_fields: Sequence[str] = (
        "study_oid",
        "site_oid",
        "participant_id",
        "enrollment_date",
        "person_uri",
        *_Operator3.template_fields,
    )

    def __init__(
        self,
        *,
        study_oid: str,
        enrollment_date: str | date,
        site_oid: str | None = None,
        participant_id: str | None = None,
        person_uri: str | None = None,
        if_exists: IfExists = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.study_oid = study_oid
        self.site_oid = site_oid
        self.participant_id = participant_id
        self.enrollment_date = enrollment_date
        self.person_uri = person_uri
        self.if_exists = if_exists

    def execute(self, context: Context) -> dict[str, Any]:
        """Check everything here, see that nobody is there, enrol, and look up who was."""
        with airflow_failures():
            new = NewParticipant(
                label=self._label(),
                enrollment_date=self._enrollment_date(),
                person=self._person(),
            )
            study_oid, site_oid = oid(self.study_oid, "study_oid"), self.site_oid or None
            if_exists = _if_exists(self.if_exists)
            enrolled = enrol(self.new_client(), study_oid, site_oid, new, _record(context, self), if_exists=if_exists)
            return asdict(enrolled)

    def _enrollment_date(self) -> str:
        day = _day(self.enrollment_date, "enrollment_date", required=True)
        if len(day) > len("2026-05-01"):
            raise ConfigurationError("enrollment_date has a time, and OpenClinica takes a day only")
        return day

    def _label(self) -> str:
        if self.participant_id is None:
            return ""
        label = participant_id_of(self.participant_id)
        if len(label) > 30 or set("<>") & set(label):
            raise ConfigurationError("participant_id is longer than 30 characters, or holds < or >")
        return label

    def _person(self) -> Mapping[str, str]:
        if not self.person_uri:
            return {}
        uri = file_address(self.person_uri, "person_uri")
        with ObjectStorage().open(uri) as file:
            try:
                said = json.load(file)
            except ValueError:
                said = None
        if not isinstance(said, dict) or not all(isinstance(value, str | int) for value in said.values()):
            raise FileError(f"{uri} is no JSON object of texts")
        if unknown := set(said) - set(PERSON):
            raise FileError(f"{uri} has {len(unknown)} names that are none of {', '.join(PERSON)}")
        return {PERSON[name]: str(value) for name, value in said.items()}


class OpenClinica3ScheduleEventOperator(_Operator3):
    """Schedule a visit of one participant and read it back. A retry never schedules a second one.

    Where an event repeats, OpenClinica adds an occurrence with each call. So the task notes the highest repeat key
    before it asks (Airflow 3.3 and later keep that for its retries), and where the answer is lost, it looks: the only
    new occurrence, if it begins on that day, is its own. Anything else is ambiguous, and the task stops. Before Airflow
    3.3 a retry is ambiguous wherever a visit begins that day. Clearing the task schedules another visit, on purpose.

    Returns ``participant_id``, ``study_event_oid``, ``study_event_repeat_key``, ``start_date``, ``event_status`` and
    ``created``.

    :param study_oid: OID of the study. Templated.
    :param participant_id: the participant's ID, letter for letter. Templated.
    :param study_event_oid: OID of the event. Templated.
    :param event_start_date: ``2026-05-01``, ``2026-05-01 09:30``, or a ``date``. The server never tells a time back.
        Templated.
    :param site_oid: OID of the participant's site. Templated.
    :param event_end_date: likewise; None for none. Templated.
    :param location: of the visit; None for none. Templated.
    :param if_exists: ``succeed`` takes a visit that is there, of an event that does not repeat, for a success.
    :param openclinica_conn_id: connection of type ``openclinica3``. Templated.
    """

    template_fields: Sequence[str] = (
        "study_oid",
        "site_oid",
        "participant_id",
        "study_event_oid",
        "event_start_date",
        "event_end_date",
        "location",
        *_Operator3.template_fields,
    )

    def __init__(
        self,
        *,
        study_oid: str,
        participant_id: str,
        study_event_oid: str,
        event_start_date: str | date,
        site_oid: str | None = None,
        event_end_date: str | date | None = None,
        location: str | None = None,
        if_exists: IfExists = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.study_oid = study_oid
        self.site_oid = site_oid
        self.participant_id = participant_id
        self.study_event_oid = study_event_oid
        self.event_start_date = event_start_date
        self.event_end_date = event_end_date
        self.location = location
        self.if_exists = if_exists

    def execute(self, context: Context) -> dict[str, Any]:
        """Check everything here, look what is there, schedule, and read back."""
        with airflow_failures():
            start = _day(self.event_start_date, "event_start_date", required=True)
            end = _day(self.event_end_date, "event_end_date")
            if dates.disorder_of(start, end):
                raise ConfigurationError("event_end_date lies before event_start_date")
            visit = NewVisit(
                label=participant_id_of(self.participant_id),
                study_event_oid=event_oid_of(self.study_event_oid),
                start_date=start[:10],
                start_time=start[11:],
                end_date=end[:10],
                end_time=end[11:],
                location=self.location or "",
            )
            study_oid, site_oid = oid(self.study_oid, "study_oid"), self.site_oid or None
            if_exists = _if_exists(self.if_exists)
            record = _record(context, self)
            scheduled = schedule(self.new_client(), study_oid, site_oid, visit, record, if_exists=if_exists)
            return {"participant_id": visit.label} | asdict(scheduled)


def _record(context: Context, task: BaseOperator) -> Once:
    return Once(
        state.store(context),
        generation=state.generation(context),
        is_first_try=state.is_first_try_of_generation(context, task),
    )


def _if_exists(given: object) -> IfExists:
    if given not in ("fail", "succeed"):
        raise ConfigurationError("if_exists is neither 'fail' nor 'succeed'")
    return "succeed" if given == "succeed" else "fail"


def _day(given: object, argument: str, *, required: bool = False) -> str:
    """Return a date, with a time where one is given."""
    text = f"{given:%Y-%m-%d %H:%M}".removesuffix(" 00:00") if isinstance(given, date) else given
    if not isinstance(text, str | None):
        raise ConfigurationError(f"{argument} is neither text nor a date, once it is rendered")
    text = (text or "").strip()
    if required and not text:
        raise ConfigurationError(f"{argument} is empty, once it is rendered")
    if text and (fault := dates.fault_of(text)):
        raise ConfigurationError(f"{argument} {fault}; write 2026-05-01, or 2026-05-01 09:30")
    return text

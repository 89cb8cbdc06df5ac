"""Scheduling events: one at once, many by a job (docs/protocol.md, events)."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from airflow_provider_openclinica.sandbox import csv_upload
from airflow_provider_openclinica.sandbox.access import json_texts, writable_place
from airflow_provider_openclinica.sandbox.answers import json, json_error
from airflow_provider_openclinica.sandbox.bulk_logs import write_events_log
from airflow_provider_openclinica.sandbox.bulk_uploads import documented, job_answer, uploaded_csv
from airflow_provider_openclinica.sandbox.data import ClinicalStore
from airflow_provider_openclinica.sandbox.events import FIELDS, Schedule, at_once, schedule_all, shown
from airflow_provider_openclinica.sandbox.import_run import Refused
from airflow_provider_openclinica.sandbox.jobs import Log

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from airflow_provider_openclinica.sandbox.accounts import Account
    from airflow_provider_openclinica.sandbox.csv_upload import Cells
    from airflow_provider_openclinica.sandbox.dialect import Dialect
    from airflow_provider_openclinica.sandbox.events import Fields, Written
    from airflow_provider_openclinica.sandbox.multipart import Part
    from airflow_provider_openclinica.sandbox.service import Place, Service


async def create_event(request: Request) -> Response:
    """Give a participant of a site an occurrence of an event."""
    return await _answer(request, Schedule.create)


async def update_event(request: Request) -> Response:
    """Change the dates or the status of an occurrence."""
    return await _answer(request, Schedule.update)


async def _answer(request: Request, write: Callable[[Schedule, Fields], Written]) -> Response:
    service: Service = request.app.state.service
    account = service.identify(request)
    fields = await json_texts(request, FIELDS)
    return await run_in_threadpool(_write, request, service, account, fields, write)


def _write(
    request: Request,
    service: Service,
    account: Account,
    fields: Fields,
    write: Callable[[Schedule, Fields], Written],
) -> Response:
    study_oid, site_oid = request.path_params["study"], request.path_params["site"]
    try:
        place = writable_place(service, account, study_oid, site_oid)
        with service.state.writing() as db:
            occurrence, dates = write(
                Schedule(place.study, ClinicalStore(db, account.login), place.oid, service.dialect), fields
            )
    except Refused as refusal:
        return json_error(at_once(refusal.code, service.dialect), study=study_oid, site=site_oid)
    return json(
        {
            "subjectKey": fields["subjectKey"],
            "studyEventOID": occurrence.event_oid,
            "studyEventRepeatKey": str(occurrence.ordinal),
            "startDate": dates.start,
            "endDate": dates.end,
            "eventStatus": shown(occurrence.status, service.dialect),
        }
    )


async def schedule_events(request: Request) -> Response:
    """Take a CSV file of events and answer with the uuid of the job that creates and changes them."""
    service: Service = request.app.state.service
    account = service.identify(request)
    async with uploaded_csv(request) as part:
        return await run_in_threadpool(_schedule_all, request, service, account, part)


def _schedule_all(request: Request, service: Service, account: Account, part: Part | None) -> Response:
    if part is None:
        return _refused_file(request, service.dialect, "blankFile")
    content = part.read()
    try:
        csv_upload.check_file(part.filename, content)
        place = writable_place(service, account, request.path_params["study"], request.path_params["site"])
        csv_upload.check_header(csv_upload.decoded(content), csv_upload.EVENTS, service.dialect)
    except Refused as refusal:
        return _refused_file(request, service.dialect, refusal.code)
    rows = list(csv_upload.rows(csv_upload.decoded(content), csv_upload.EVENTS))
    work = partial(_work, rows, place, account.login, service.dialect)
    return job_answer(request, account, place, part, work, kind="SCHEDULE_EVENT")


def _refused_file(request: Request, dialect: Dialect, code: str) -> Response:
    study_oid, site_oid = request.path_params["study"], request.path_params["site"]
    return json_error(documented(code, dialect), study=study_oid, site=site_oid)


def _work(
    rows: list[Cells], place: Place, user: str, dialect: Dialect, db: sqlite3.Connection, commit: Callable[[], None]
) -> Log:
    log = schedule_all(Schedule(place.study, ClinicalStore(db, user), place.oid, dialect, in_bulk=True), rows, commit)
    return Log(write_events_log(log), Counter(row.outcome for row in log))

"""Adding participants: one at once, many by a job (docs/protocol.md, participants)."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from airflow_provider_openclinica.sandbox import csv_upload
from airflow_provider_openclinica.sandbox.access import json_texts, wants, writable_place
from airflow_provider_openclinica.sandbox.answers import html, json, json_error, text
from airflow_provider_openclinica.sandbox.bulk_logs import write_participants_log
from airflow_provider_openclinica.sandbox.bulk_uploads import documented, job_answer, uploaded_csv
from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.import_run import JobFailed, Refused
from airflow_provider_openclinica.sandbox.jobs import Log
from airflow_provider_openclinica.sandbox.participants import (
    CONTACT_FIELDS,
    Enrolment,
    Registry,
    at_once,
    check_study,
    enrol_all,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from airflow_provider_openclinica.sandbox.accounts import Account
    from airflow_provider_openclinica.sandbox.csv_upload import Cells
    from airflow_provider_openclinica.sandbox.multipart import Part
    from airflow_provider_openclinica.sandbox.service import Place, Service


async def add_participant(request: Request) -> Response:
    """Add a participant to a site, or to the study where the address names no site; or change who has the ID."""
    service: Service = request.app.state.service
    account = service.identify(request)
    fields = await json_texts(request, ("subjectKey", *CONTACT_FIELDS))
    return await run_in_threadpool(_add, request, service, account, fields)


def _add(request: Request, service: Service, account: Account, fields: Cells) -> Response:
    study_oid, site_oid = request.path_params["study"], request.path_params.get("site")
    register = wants(request, "register")
    try:
        place = writable_place(service, account, study_oid, site_oid)
        check_study(place.study, service.dialect, register=register)
        with service.state.writing() as db:
            enrolment = Enrolment(Registry(db, account.login), place, account.login, service.dialect, register=register)
            try:
                row = enrolment.enrol(fields)
            except JobFailed:  # what was stored before stays
                row = None
    except Refused as refusal:
        return json_error(at_once(refusal.code, service.dialect), study=study_oid, site=site_oid)
    if row is None:
        return html(500)
    return json(
        {
            "subjectKey": row.participant_id,
            "subjectOid": row.oid,
            "status": row.status,
            "participateStatus": row.participate_status,
        }
    )


async def add_participants(request: Request) -> Response:
    """Take a CSV file of participants and answer with the uuid of the job that adds them to a site."""
    service: Service = request.app.state.service
    account = service.identify(request)
    async with uploaded_csv(request) as part:
        if part is None:
            return html(400)
        return await run_in_threadpool(_add_all, request, service, account, part)


def _add_all(request: Request, service: Service, account: Account, part: Part) -> Response:
    study_oid, site_oid = request.path_params["study"], request.path_params["site"]
    register = wants(request, "register")
    content = part.read()
    layout = csv_upload.PARTICIPANTS[service.dialect]
    try:
        csv_upload.check_file(part.filename, content)
        place = writable_place(service, account, study_oid, site_oid)
        check_study(place.study, service.dialect, register=register)
        csv_upload.check_header(csv_upload.decoded(content), layout, service.dialect)
    except Refused as refusal:
        return _refused_file(request, service.dialect, refusal.code)
    if (study_oid, site_oid) != (place.study.oid, place.oid):
        return html(500)  # the checks take OIDs in any case, and the job does not
    rows = list(csv_upload.rows(csv_upload.decoded(content), layout))
    work = partial(_work, rows, place, account.login, service.dialect, register)
    return job_answer(request, account, place, part, work, kind="BULK_ADD_PARTICIPANTS")


def _refused_file(request: Request, dialect: Dialect, code: str) -> Response:
    """Refuse a file: with an object; or in the documented servers with the bare code, one of them another."""
    if dialect is Dialect.SOURCE:
        return json_error(code, study=request.path_params["study"], site=request.path_params["site"])
    spelled = "invalidSiteIdentifier" if code == "siteNotExist" else documented(code, dialect)
    return text(request, f"errorCode.{spelled}", status=400)


def _work(
    rows: list[Cells],
    place: Place,
    user: str,
    dialect: Dialect,
    register: bool,
    db: sqlite3.Connection,
    commit: Callable[[], None],
) -> Log:
    log = enrol_all(Enrolment(Registry(db, user), place, user, dialect, register=register), rows, commit)
    return Log(write_participants_log(log), Counter(row.outcome for row in log))

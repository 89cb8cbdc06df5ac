"""Having everything of a participant written into a PDF, by a job (docs/protocol.md, casebooks)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.access import readable_place
from airflow_provider_openclinica.sandbox.accounts import SITE_WRITERS, STUDY_WRITERS, Role
from airflow_provider_openclinica.sandbox.answers import html, json_error, text
from airflow_provider_openclinica.sandbox.casebook import casebook_failure, casebook_lines, casebook_name
from airflow_provider_openclinica.sandbox.data import ClinicalStore
from airflow_provider_openclinica.sandbox.import_run import Refused
from airflow_provider_openclinica.sandbox.jobs import FailedWithFile, Log, PlannedFailure
from airflow_provider_openclinica.sandbox.pdf import write_pdf

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from airflow_provider_openclinica.sandbox.accounts import Account
    from airflow_provider_openclinica.sandbox.data import Participant
    from airflow_provider_openclinica.sandbox.service import Place, Service


def print_casebook(request: Request) -> Response:
    """Answer with the uuid of the job that writes the casebook of a participant.

    On servers that need a session of the web page for it, the job is made, nobody works on it, and this fails.
    """
    service: Service = request.app.state.service
    account = service.identify(request)
    study_oid, site_oid = request.path_params["study"], request.path_params.get("site")
    try:
        place = _place(service, account, study_oid, site_oid)
        participant = _participant(service, place, request.path_params["participant"])
    except Refused as refusal:
        return json_error(refusal.code, study=study_oid, site=site_oid)
    name = casebook_name(participant)
    work = partial(_work, dict(request.query_params), place, participant, name)
    job_uuid = service.jobs.submit(
        work if service.prints_casebooks else None,
        kind="PARTICIPANT_PDF_CASEBOOK",
        study_oid=place.study.oid,
        site_oid=place.site.oid if place.site else "",
        creator=account.login,
        source_name=name,
        log_name=name,
    )
    return text(request, f"job uuid: {job_uuid}") if service.prints_casebooks else html(500)


def _place(service: Service, account: Account, study_oid: str, site_oid: str | None) -> Place:
    """Find where the participant is to be: at the study itself, any role will do."""
    if site_oid is None:
        return readable_place(service, account, study_oid, None, study_roles=frozenset(Role))
    study_roles, site_roles = STUDY_WRITERS | {Role.MONITOR}, SITE_WRITERS | {Role.MONITOR}
    return readable_place(service, account, study_oid, site_oid, study_roles=study_roles, site_roles=site_roles)


def _participant(service: Service, place: Place, participant_id: str) -> Participant:
    with service.state.reading() as db:
        found = ClinicalStore(db).participants_by_id(participant_id, {place.oid})
    if not found:
        raise Refused("participantNotFound")
    return found[0]


def _work(
    wanted: dict[str, str],
    place: Place,
    participant: Participant,
    name: str,
    db: sqlite3.Connection,
    commit: Callable[[], None],
) -> Log:
    try:
        commit()
    except PlannedFailure as failure:
        raise FailedWithFile(casebook_failure(participant)) from failure
    content = write_pdf(
        casebook_lines(place.study, participant, db),
        paper=wanted.get("format", "A4"),
        margin=wanted.get("margin", "0.5in"),
        landscape=wanted.get("landscape") == "true",
    )
    return Log(content, {"Printed": 1}, name)

"""Asking for a job's log, for lists of jobs, and deleting jobs (docs/protocol.md, jobs and job list)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

from starlette.responses import Response

from airflow_provider_openclinica.sandbox.accounts import SITE_WRITERS, STUDY_WRITERS, Account, Role
from airflow_provider_openclinica.sandbox.answers import header_error, html, json, text
from airflow_provider_openclinica.sandbox.dialect import Dialect

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from airflow_provider_openclinica.sandbox.jobs import Job
    from airflow_provider_openclinica.sandbox.service import Service

BUFFER = 8 << 10
"""A container knows the length of an answer that fits its buffer; longer ones are sent in chunks."""
CHUNK = 256 << 10
BARE_STATUS = 500
"""These controllers need a user to get anywhere, so a request without any fails in them."""


class LogAnswer(Response):
    """A file, read as it is sent. Its length is told where ``headers`` have it, or it is small."""

    def __init__(self, file: BinaryIO, size: int, headers: dict[str, str]) -> None:
        super().__init__(headers=headers)
        if "Content-Length" not in headers:
            del self.headers["content-length"]
        if size <= BUFFER:
            self.headers["content-length"] = str(size)
        self._file = file

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        with self._file:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            while chunk := self._file.read(CHUNK):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await asyncio.sleep(0)  # lets the loop learn that the client has gone
            await send({"type": "http.response.body", "body": b""})


def download_log(request: Request) -> Response:
    """Give the log of a job, or the code that says why not. The order of the checks is the server's."""
    service: Service = request.app.state.service
    account = service.identify(request, bare_status=BARE_STATUS)
    prefix = "errorCode" if service.dialect is Dialect.DOCS else "error"
    if account.active_study is None:
        return html(500)
    job = _visible_job(service, account, request.path_params["uuid"])
    if job is None:
        return text(request, f"{prefix}.invalidUuid", status=404)
    if job.creator != account.login:
        return text(request, "errorCode.noSufficientPrivileges")
    if job.status == "DELETED":
        return text(request, f"{prefix}.invalidUuid", status=404)
    if job.status == "IN_PROGRESS":
        return text(request, f"{prefix}.jobInProgress")
    log = service.jobs.log_of(job.uuid)
    if not log.exists() or "user-agent" not in request.headers:
        return text(request, f"{prefix}.noLogFileFound")
    return LogAnswer(log.open("rb"), log.stat().st_size, _file_headers(request, job.log_name or job.uuid))


def _file_headers(request: Request, name: str) -> dict[str, str]:
    if request.query_params.get("open") == "true":
        return {}
    encoded = quote(name, safe="")
    browser = any(word in request.headers["user-agent"] for word in ("Firefox", "Safari"))
    filename = f"filename*=UTF-8''{encoded}" if browser else f"filename={encoded}"
    return {
        "Content-Type": "application/force-download;charset=UTF-8",
        "Content-Disposition": f"attachment; {filename}",
    }


def _visible_job(service: Service, account: Account, job_uuid: str) -> Job | None:
    """Find a job in the study that is open on the account's web page; those of any other look unknown."""
    job = service.jobs.find(job_uuid)
    active = service.study_oid_of(account.active_study or "")
    return job if job and job.study_oid == active else None


def delete_job(request: Request) -> Response:
    """Mark a job as deleted and remove its log."""
    service: Service = request.app.state.service
    account = service.identify(request, bare_status=BARE_STATUS)
    job = _visible_job(service, account, request.path_params["uuid"])
    if job is None:
        return html(500)
    if job.creator != account.login:
        return header_error("Incorrect User. The user is not the owner of this log file")
    service.jobs.delete(job.uuid)
    alert = f"A JobController is deleted with identifier {job.uuid}"
    return Response(headers={"X-studyServiceApp-alert": alert, "X-studyServiceApp-params": job.uuid})


def list_jobs_of_study(request: Request) -> Response:
    """List the caller's jobs in a study and all its sites."""
    service: Service = request.app.state.service
    account = service.identify(request, bare_status=BARE_STATUS)
    study_oid = request.path_params["study"]
    if reason := _study_problem(service, study_oid):
        return header_error(reason)
    if not account.holds(study_oid, STUDY_WRITERS | {Role.MONITOR}):
        return html(500)
    return json([_listed(job) for job in service.jobs.of(account.login, study_oid)])


def list_jobs_of_site(request: Request) -> Response:
    """List the caller's jobs in one site."""
    service: Service = request.app.state.service
    account = service.identify(request, bare_status=BARE_STATUS)
    study_oid, site_oid = request.path_params["study"], request.path_params["site"]
    if reason := _study_problem(service, study_oid) or _site_problem(service, site_oid):
        return header_error(reason)
    at_study = account.holds(study_oid, STUDY_WRITERS | {Role.MONITOR})
    if not at_study and not account.holds(site_oid, SITE_WRITERS | {Role.MONITOR}):
        return html(500)
    return json([_listed(job) for job in service.jobs.of(account.login, study_oid, site_oid)])


def _study_problem(service: Service, study_oid: str) -> str:
    place = service.place(study_oid)
    if place is None:
        return "InValid StudyOID. The StudyOID is invalid or does not exist"
    return "InValid StudyOID. The StudyOID should have a Study Level Oid" if place.site else ""


def _site_problem(service: Service, site_oid: str) -> str:
    place = service.place(site_oid)
    if place is None:
        return "InValid SiteOID. The SiteOID is invalid or does not exist"
    return "" if place.site else "InValid SiteOID. The SiteOID should have a Site Level Oid"


def _listed(job: Job) -> dict[str, str | None]:
    return {
        "uuid": job.uuid,
        "status": job.status,
        "type": job.type,
        "createdByUsername": job.creator,
        "updatedByUsername": None,
        "siteOid": job.site_oid,
        "studyOid": job.study_oid,
        "dateCreated": job.created,
        "dateUpdated": job.updated,
        "dateCompleted": job.completed,
        "sourceFileName": job.source_name,
    }

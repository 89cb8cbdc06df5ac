"""Listing the executions of a scheduled extract, and having the file of one (docs/protocol.md, extracts)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.accounts import ADMINISTRATORS
from airflow_provider_openclinica.sandbox.answers import accepted, header_error, html, json, text
from airflow_provider_openclinica.sandbox.extracts import ExtractState
from airflow_provider_openclinica.sandbox.routes_jobs import LogAnswer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from airflow_provider_openclinica.sandbox.accounts import Account
    from airflow_provider_openclinica.sandbox.service import Service

REFUSED = "Insufficient privileges."


def list_executions(request: Request) -> Response:
    """List what an extract made that can still be had."""
    service: Service = request.app.state.service
    account = service.identify(request)
    study_oid, job_uuid = request.path_params["study"], request.path_params["uuid"]
    if service.place(study_oid) is None:
        return _header_error(f"No study found for StudyOId:{study_oid}.")
    if not _may_extract(service, account):
        return _header_error(REFUSED)
    executions = service.extracts.of(job_uuid)
    if not executions:
        return _header_error(f"No content found for job Uuid: {job_uuid}.")
    listed = {ExtractState.COMPLETED, ExtractState.LOST}
    return json(
        [{"dateCreated": each.created, "jobExecutionUuid": each.uuid} for each in executions if each.state in listed]
    )


def _header_error(reason: str) -> Response:
    return header_error(reason, entity="ScheduledExtractController")


def send_dataset(request: Request) -> Response:
    """Give the file of an execution. Who may not have it is answered 401, with a token that is good."""
    service: Service = request.app.state.service
    account = service.identify(request)
    study_oid, execution_uuid = request.path_params["study"], request.path_params["uuid"]
    if service.place(study_oid) is None:
        return text(request, f"No study found for StudyOId:{study_oid}.", status=404)
    if not _may_extract(service, account):
        return text(request, REFUSED, status=401)
    execution = service.extracts.find(execution_uuid)
    if execution is None:
        return text(request, f"Job execution id {execution_uuid} is invalid.", status=404)
    if execution.state in {ExtractState.RUNNING, ExtractState.DELETED}:
        reason = f"The file reference for job_execution_uuid {execution_uuid} has been deleted."
        return text(request, reason, status=404)
    file = service.extracts.file_of(execution)
    if not file.exists():
        return html(500)
    size = file.stat().st_size
    headers = _headers(request, execution.file_name) | {"Content-Length": str(size)}
    return LogAnswer(file.open("rb"), size, headers)


def _headers(request: Request, file_name: str) -> dict[str, str]:
    media_type, _ = accepted(request)
    if "*" in media_type or not media_type:
        media_type = "application/octet-stream"
    return {"Content-Type": media_type, "Content-Disposition": f'attachment; filename="{file_name}"'}


def _may_extract(service: Service, account: Account) -> bool:
    """Tell whether somebody is an administrator, and has any role in the study or at a site of it."""
    everywhere = (service.study.oid, *(site.oid for site in service.study.sites))
    return account.user_type in ADMINISTRATORS and account.role_in(*everywhere) is not None

"""Pages for people: what this is, and the list of jobs that the link in Airflow opens."""

from __future__ import annotations

import json
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response

from airflow_provider_openclinica.sandbox.answers import page
from airflow_provider_openclinica.sandbox.auth import token_answer
from airflow_provider_openclinica.sandbox.service import PASSWORD

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider_openclinica.sandbox.jobs import Job
    from airflow_provider_openclinica.sandbox.service import Service

STUDY_PATH = "/OpenClinica"
TOKEN_PATH = "/user-service/api/oauth/token"  # noqa: S105 - an address
COLUMNS = ("File", "Status", "Rows", "Type", "Submitted by", "Submitted (UTC)", "Ended (UTC)")


def about(request: Request) -> Response:
    """Say what this is, and how to get in."""
    service: Service = request.app.state.service
    base = str(request.base_url).rstrip("/")
    rows = {
        "Study URL": base + STUDY_PATH,
        "Token URL": base + TOKEN_PATH,
        "Dialect": service.dialect,
        "Study": service.study.oid,
        "Sites": ", ".join(site.oid for site in service.study.sites),
        "Logins": f"{', '.join(service.accounts.logins())} (password {PASSWORD}, where none was given)",
    }
    table = "".join(f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in rows.items())
    note = "An OpenClinica 4 that runs on this machine only, for developing and testing. All its data are invented."
    body = f"<p>{note}</p><table>{table}</table><p><a href='{STUDY_PATH}/Jobs'>Jobs</a></p>"
    return HTMLResponse(page("OpenClinica sandbox", body))


def show_jobs(request: Request) -> Response:
    """List all jobs, newest first, or the one with this uuid, as the Bulk Actions Log does."""
    service: Service = request.app.state.service
    wanted = request.query_params.get("uuid")
    jobs = [job for job in reversed(service.jobs.all()) if wanted in (None, job.uuid) and job.status != "DELETED"]
    header = "".join(f"<th>{name}</th>" for name in COLUMNS)
    none = "<p>There is no such job.</p>" if wanted else "<p>There are no jobs yet.</p>"
    table = f"<table><tr>{header}</tr>{''.join(map(_row, jobs))}</table>" if jobs else none
    others = f"<p><a href='{STUDY_PATH}/Jobs'>All jobs</a></p>" if wanted else ""
    return HTMLResponse(page("Bulk Actions Log", table + others))


def _row(job: Job) -> str:
    outcomes = json.loads(job.outcomes or "{}")
    cells = (
        f"{escape(job.source_name or '')}<br><small>{job.uuid}</small>",
        f"<b class='{job.status}'>{job.status}</b>",
        "<br>".join(f"{count}&nbsp;{escape(outcome)}" for outcome, count in outcomes.items()),
        job.type,
        escape(job.creator),
        _moment(job.created),
        _moment(job.completed),
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _moment(iso: str | None) -> str:
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S}" if iso else ""


async def hand_out_token(request: Request) -> Response:
    """Hand out a token: the user service's one endpoint."""
    service: Service = request.app.state.service
    issuer = f"{str(request.base_url).rstrip('/')}/auth/realms/sandbox"
    return token_answer(await request.body(), service.tokens, service.accounts, issuer)

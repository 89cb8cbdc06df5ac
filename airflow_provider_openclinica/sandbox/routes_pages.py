"""Pages for people: what this is, and the list of jobs that the link in Airflow opens."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response

from airflow_provider_openclinica.sandbox.auth import token_answer

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider_openclinica.sandbox.service import Service

STUDY_PATH = "/OpenClinica"
TOKEN_PATH = "/user-service/api/oauth/token"  # noqa: S105 - an address


def page(title: str, body: str) -> Response:
    """Make a page."""
    return HTMLResponse(
        f"<!DOCTYPE html><html><head><title>{escape(title)}</title><style>body{{font:16px sans-serif;margin:2em}}"
        f"td,th{{padding:.2em 1em;text-align:left}}</style></head><body><h1>{escape(title)}</h1>{body}</body></html>"
    )


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
        "Logins": ", ".join(service.accounts.logins()),
    }
    table = "".join(f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in rows.items())
    note = "An OpenClinica 4 that runs on this machine only, for developing and testing. All its data are invented."
    return page(
        "OpenClinica sandbox", f"<p>{note}</p><table>{table}</table><p><a href='{STUDY_PATH}/Jobs'>Jobs</a></p>"
    )


def show_jobs(request: Request) -> Response:
    """List all jobs, or the one with this uuid, as the Bulk Actions Log does."""
    service: Service = request.app.state.service
    wanted = request.query_params.get("uuid")
    jobs = [job for job in reversed(service.jobs.all()) if wanted in (None, job.uuid) and job.status != "DELETED"]
    cells = ((job.uuid, job.type, job.status, job.source_name or "", job.creator, job.created) for job in jobs)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in cells)
    header = "".join(f"<th>{name}</th>" for name in ("Job", "Type", "Status", "File", "Submitted by", "Submitted"))
    return page("Bulk Actions Log", f"<table><tr>{header}</tr>{rows}</table>")


async def hand_out_token(request: Request) -> Response:
    """Hand out a token: the user service's one endpoint."""
    service: Service = request.app.state.service
    issuer = f"{str(request.base_url).rstrip('/')}/auth/realms/sandbox"
    return token_answer(await request.body(), service.tokens, service.accounts, issuer)

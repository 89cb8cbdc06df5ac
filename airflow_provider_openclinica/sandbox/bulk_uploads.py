"""What the uploads of bulk files have in common: a form with one CSV file, and the job made of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.answers import Answered, html, text
from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.jobs import LONGEST_NAME
from airflow_provider_openclinica.sandbox.multipart import uploaded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from airflow_provider_openclinica.sandbox.accounts import Account
    from airflow_provider_openclinica.sandbox.jobs import Work
    from airflow_provider_openclinica.sandbox.multipart import Part
    from airflow_provider_openclinica.sandbox.service import Place, Service

NOT_SUPPORTED = "notSupportedFileFormat"
DOCUMENTED = {"blankFile": NOT_SUPPORTED, "notCSVfile": NOT_SUPPORTED}


@asynccontextmanager
async def uploaded_csv(request: Request) -> AsyncIterator[Part | None]:
    """Read the file of a form to its end; ``None`` where the form has none.

    :raises Answered: 415 HTML for what is no form.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise Answered(html(415))
    async with uploaded(request, {"file": ""}) as form:
        yield next(iter(form.all("file")), None)


def job_answer(request: Request, account: Account, place: Place, part: Part, work: Work, *, kind: str) -> Response:
    """Make the job, and answer with its uuid. The logs of both kinds of job have one name."""
    service: Service = request.app.state.service
    if len(part.filename) > LONGEST_NAME:
        return html(500)
    job_uuid = service.jobs.submit(
        work,
        kind=kind,
        study_oid=place.study.oid,
        site_oid=place.site.oid if place.site else "",
        creator=account.login,
        source_name=part.filename,
        log_name=f"{place.study.unique_id}-{place.study.env}_Schedule Event",
    )
    return text(request, f"job uuid: {job_uuid}")


def documented(code: str, dialect: Dialect) -> str:
    """Spell the code that refuses a file."""
    return DOCUMENTED.get(code, code) if dialect is Dialect.DOCS else code

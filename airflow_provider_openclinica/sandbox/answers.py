"""The bodies OpenClinica answers with, byte by byte (docs/protocol.md, answers).

    plain_code(request, status, code)   a bare code or text, in the type and charset that ``Accept`` names
    json_error(code, study, site)       ``{"message": ..., "params": ...}``
    validation_error(code, message)     the list shape of the deprecated import
    header_error(reason)                an empty 400 whose reason stands in a header
    html(status)                        the page for everything that nobody caught

An answer that ends the handling of a request early is raised: ``raise Answered(html(500))``.
"""

from __future__ import annotations

from email.message import Message
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, JSONResponse, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

LATIN_1 = "ISO-8859-1"


class Answered(Exception):  # noqa: N818 - not a failure of the sandbox, but the end of a request
    """The request has its answer; nothing after this is evaluated."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def accepted(request: Request) -> tuple[str, str]:
    """Tell which media type and charset the first entry of ``Accept`` names; Latin-1 where it names none."""
    first = request.headers.get("accept", "*/*").split(",")[0].strip()
    header = Message()
    header["Content-Type"] = first
    charset = str(header.get_param("charset", LATIN_1))
    try:
        "".encode(charset)
    except LookupError:
        charset = LATIN_1
    return first.split(";")[0].strip().lower(), charset


def text(request: Request, body: str, *, status: int = 200) -> Response:
    """Answer a string as the server's string converter does: never quoted, whatever was accepted.

    Characters that the charset lacks become ``?``, as in Java.
    """
    media_type, charset = accepted(request)
    if "*" in media_type or not media_type:
        media_type = "text/plain"
    content_type = f"{media_type};charset={charset}"
    return Response(body.encode(charset, "replace"), status, headers={"Content-Type": content_type})


class _Json(JSONResponse):
    media_type = "application/json;charset=UTF-8"


def json(body: Any, *, status: int = 200) -> Response:
    """Answer an object."""
    return _Json(body, status)


def json_error(code: str, *, study: str | None, site: str | None) -> Response:
    """Refuse with a code and the OIDs it speaks of."""
    return json({"message": f"errorCode.{code}", "params": {"studyOid": study, "siteOid": site}}, status=400)


def validation_error(code: str, message: str) -> Response:
    """Refuse as the deprecated importer does."""
    errors = [{"code": f"errorCode.{code}", "message": message}]
    return json({"message": "VALIDATION FAILED", "errors": errors}, status=400)


def header_error(reason: str, entity: str = "JobController") -> Response:
    """Refuse with an empty body; the reason stands in a header."""
    return Response(status_code=400, headers={"X-runtimeApp-error": reason, "X-runtimeApp-params": entity})


def html(status: int, *, headers: Mapping[str, str] | None = None, note: str = "") -> Response:
    """Answer with the page of an error that no controller caught."""
    phrase = HTTPStatus(status).phrase
    return HTMLResponse(_page(f"{status} {phrase}", f"<h1>{phrase}</h1>{note}"), status, headers=headers)


def login_page(status: int = 200) -> Response:
    """Answer as a proxy or the web application does whose session has gone."""
    return HTMLResponse(_page("Log in to OpenClinica", "<form>Log in</form>"), status)


def _page(title: str, body: str) -> str:
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{body}</body></html>"

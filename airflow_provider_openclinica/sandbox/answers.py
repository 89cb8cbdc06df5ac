"""The bodies OpenClinica answers with, byte by byte (docs/protocol.md, answers).

    text(request, body)                 a bare code or text, in the type and charset that ``Accept`` names
    json(body)                          an object or a list
    json_error(code, study, site)       ``{"message": ..., "params": ...}``
    validation_error(code, message)     the list shape of the deprecated import
    header_error(reason)                an empty 400 whose reason stands in a header
    html(status)                        the page for everything that nobody caught

An answer that ends the handling of a request early is raised: ``raise Answered(html(500))``.
"""

from __future__ import annotations

from email.message import Message
from http.client import responses
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, JSONResponse, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

LATIN_1 = "ISO-8859-1"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 75em; margin: 2em auto; padding: 0 1.5em }
h1 { font-size: 1.5em }
table { border-collapse: collapse }
td, th { padding: .45em 1.2em .45em 0; text-align: left; vertical-align: top; border-bottom: 1px solid #ddd }
small, code { font-size: 13px; color: #666 }
.COMPLETED { color: #1a7f37 } .FAILED { color: #c1121f } .IN_PROGRESS { color: #9a6700 }
"""


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
    return HTMLResponse(page(f"{status} {responses.get(status, '')}", note), status, headers=headers)


def login_page(status: int = 200) -> Response:
    """Answer as a proxy or the web application does whose session has gone."""
    return HTMLResponse(page("Log in to OpenClinica", "<form action='j_spring_security_check'>Log in</form>"), status)


def page(title: str, body: str) -> str:
    """Write a page.

    :param body: HTML, everything in it escaped.
    """
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    return f"<!DOCTYPE html><html><head>{head}</head><body><h1>{title}</h1>{body}</body></html>"

"""ClinOne's token endpoint, an API that echoes, and what may be planned for them."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_openclinica.sandbox.clinone import Refused

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider_openclinica.sandbox.clinone import ClinOne
    from airflow_provider_openclinica.sandbox.service import Service

API_PATH = "/clinone/api"
TOKEN_PATH = "/clinone/oauth2/v2.0/token"  # noqa: S105 - an address
FORM = "application/x-www-form-urlencoded"


async def hand_out_clinone_token(request: Request) -> Response:
    """Give a token for a form with client credentials; JSON is no form."""
    clinone: ClinOne = request.app.state.service.clinone
    is_form = request.headers.get("content-type", "").partition(";")[0].strip() == FORM
    try:
        return JSONResponse(clinone.grant(dict(parse_qsl((await request.body()).decode("latin-1"))) if is_form else {}))
    except Refused as refused:
        return JSONResponse({"error": refused.error, "error_description": refused.description}, refused.status)


async def answer_clinone(request: Request) -> Response:
    """Answer what was planned for this path, else tell what was asked."""
    clinone: ClinOne = request.app.state.service.clinone
    if not clinone.accepts(request.headers.get("authorization", "")):
        return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
    path, body = "/" + request.path_params["path"], await request.body()
    if path in clinone.replies:
        status, content = clinone.replies[path]
        return JSONResponse(content, status)
    try:
        sent = json_module.loads(body) if body else None
    except ValueError:
        return JSONResponse({"error": "the body is no JSON"}, 400)
    asked = {"method": request.method, "path": path, "query": dict(request.query_params), "json": sent}
    return JSONResponse(asked)


def change_clinone(service: Service, wanted: dict[str, Any]) -> Any:
    """Plan a reply (``path``, ``json``, ``status``); change ``scopes`` or ``seconds`` of new tokens; ``revoke`` all."""
    clinone = service.clinone
    clinone.scopes = [str(scope) for scope in wanted.get("scopes", clinone.scopes)]
    clinone.seconds = float(wanted.get("seconds", clinone.seconds))
    if "path" in wanted:
        clinone.replies["/" + wanted["path"].strip("/")] = (int(wanted.get("status", 200)), wanted.get("json"))
    if wanted.get("revoke"):
        clinone.revoke()
    return {"scopes": clinone.scopes, "seconds": clinone.seconds, "paths": sorted(clinone.replies)}


ROUTES = [
    Route(TOKEN_PATH, hand_out_clinone_token, methods=["POST"]),
    Route(API_PATH + "/{path:path}", answer_clinone, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
]

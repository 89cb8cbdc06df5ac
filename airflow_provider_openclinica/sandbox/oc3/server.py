"""The web applications of version 3: the page with its REST, and SOAP."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route

from airflow_provider_openclinica.sandbox.oc3 import definitions, envelopes, keyed, pages, reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

_REST = f"{pages.ROOT}/rest"
_KEYED = f"{pages.ROOT}/pages/auth/api/v1"
_SESSION = re.compile(r";jsessionid=\w+", re.IGNORECASE)


def routes() -> list[Route]:
    """Give all routes of version 3; a slash at the end matters."""
    selectors = "{study}/{participant}/{event}/{form}"
    return [
        Route(pages.LOGIN_PAGE, pages.login_page),
        Route(pages.LOGIN, pages.check_login, methods=["GET", "POST"]),
        Route(pages.LOGOUT, pages.log_out),
        Route(pages.MAIN_MENU, pages.main_menu),
        Route(f"{pages.ROOT}/pages/healthcheck/runtime", pages.runtime, methods=["POST"]),
        Route(f"{_REST}/clinicaldata/html/print/{selectors}", reading.print_page),
        Route(f"{_REST}/metadata/html/print/{{study}}/{{event}}/{{form}}", reading.print_page),
        Route(f"{_REST}/metadata/{{kind}}/view/{{study}}", reading.metadata),
        Route(f"{_REST}/metadata/{{kind}}/view/{{study}}/{{event}}/{{form}}", reading.metadata),
        Route(f"{_REST}/clinicaldata/{{kind}}/view/{selectors}", reading.clinical_data),
        Route(f"{_REST}/{{rest:path}}", reading.too_short),
        Route(f"{pages.ROOT}/pages/accounts/login", keyed.show_account, methods=["POST"]),
        Route(f"{_KEYED}/clinicaldata/json/view/{selectors}", keyed.keyed(reading.keyed_clinical_data)),
        Route(f"{_KEYED}/system/config", keyed.system_config),
        Route(f"{_KEYED}/system/modules", keyed.system_modules),
        _posted("/studies/", definitions.create_study),
        _posted("/studies/{unique_id}/sites", definitions.create_site),
        _posted("/studies/{unique_id}/eventdefinitions", definitions.create_event_definition),
        _posted("/createuseraccount", definitions.create_account),
        Route(pages.WS_ROOT + "/ws/{service}/v1", envelopes.answer_soap, methods=["POST"]),
        Route(pages.WS_ROOT + "/ws/{service}/v1/{name}.wsdl", envelopes.show_wsdl),
        Route("/sandbox/losses", pages.plan_losses, methods=["POST"]),
        Route("/", pages.about),
        Route(pages.ROOT, pages.about),
    ]


def _posted(path: str, operation: Callable[..., Any]) -> Route:
    return Route(_KEYED + path, keyed.keyed_json(operation), methods=["POST"])


class Container:
    """An ASGI application around another: what stands before the web application, whatever it answers.

    It takes the session out of an address, and compresses for whoever can take that. SOAP is an application apart.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compressed = GZipMiddleware(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        is_web = scope["type"] == "http" and scope["path"].startswith(f"{pages.ROOT}/")
        if is_web and ";" in scope["path"]:
            scope = {**scope, "path": _SESSION.sub("", scope["path"])}
        await (self._compressed if is_web else self._app)(scope, receive, send)

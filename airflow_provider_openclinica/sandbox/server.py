"""Run the sandbox: in a process of its own (``python -m airflow_provider_openclinica.sandbox``) or in threads.

    with Sandbox(dialect="source", job_seconds=0) as sandbox:
        sandbox.study_url, sandbox.auth_url    # what a connection needs
        sandbox.fault("drop_after", path="clinicaldata/import*")
        sandbox.fate("stuck")

It listens on loopback and nowhere else: its control routes ask nobody who they are.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import traceback
from typing import TYPE_CHECKING, Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route

from airflow_provider_openclinica.sandbox import (
    routes_casebook,
    routes_clinone,
    routes_contacts,
    routes_control,
    routes_events,
    routes_extracts,
    routes_import,
    routes_jobs,
    routes_pages,
    routes_participants,
    routes_participate,
    routes_retrieve,
    routes_sdv,
    routes_studies,
)
from airflow_provider_openclinica.sandbox.answers import Answered, html
from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.faults import API, Fault, Kind
from airflow_provider_openclinica.sandbox.jobs import Fate, Plan
from airflow_provider_openclinica.sandbox.oc3.pages import LOGIN_PAGE as LOGIN_PAGE_3
from airflow_provider_openclinica.sandbox.oc3.pages import WS_ROOT
from airflow_provider_openclinica.sandbox.oc3.server import Container
from airflow_provider_openclinica.sandbox.oc3.server import routes as routes_of_version_3
from airflow_provider_openclinica.sandbox.oc3.service import Service3
from airflow_provider_openclinica.sandbox.routes_pages import STUDY_PATH, TOKEN_PATH
from airflow_provider_openclinica.sandbox.service import Options, Service
from airflow_provider_openclinica.sandbox.wire import CuttableProtocol, Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp

LOGGER = logging.getLogger(__name__)
LOOPBACK = "127.0.0.1"
SDV_PATH = (
    "sdv/studies/{study}/events/{event}/occurrences/{occurrence}/forms/{form}/participants/{participant}/sdvItems"
)


def application(service: Service) -> ASGIApp:
    """Build the web application of a sandbox."""
    is_version_3 = isinstance(service, Service3)
    app = Starlette(
        routes=[
            *(routes_of_version_3() if is_version_3 else _routes(service)),
            *routes_clinone.ROUTES,
            *routes_control.ROUTES,
        ],
        exception_handlers={Answered: _answer, HTTPException: _answer, Exception: _answer},
    )
    app.router.redirect_slashes = False
    app.state.service = service
    if is_version_3:
        return Wire(Container(app), service.faults, service.requests, LOGIN_PAGE_3)
    return Wire(app, service.faults, service.requests)


def _routes(service: Service) -> list[Route]:
    """Give the API and the pages of version 4."""
    return [
        *api(service),
        Route(STUDY_PATH + "/Jobs", routes_pages.show_jobs),
        Route(TOKEN_PATH, routes_pages.hand_out_token, methods=["POST"]),
        Route("/", routes_pages.about),
        Route(STUDY_PATH, routes_pages.about),
    ]


def api(service: Service) -> list[Route]:
    """Give the API of a dialect. An address that a dialect lacks is a 404 in HTML; a slash at the end matters."""
    site = "clinicaldata/studies/{study}/sites/{site}"
    routes = [
        *_contact_routes(service.dialect),
        *_participate_routes(),
        _route(f"{site}/participants", routes_studies.list_participants_of_site),
        _route(f"{site}/participants", routes_participants.add_participant, "POST"),
        _route(f"{site}/participants/bulk", routes_participants.add_participants, "POST"),
        _route(f"{site}/events", routes_events.create_event, "POST"),
        _route(f"{site}/events", routes_events.update_event, "PUT"),
        _route(f"{site}/events/bulk", routes_events.schedule_events, "POST"),
        _route("clinicaldata/studies/{study}/participants", routes_studies.list_participants),
        _route("clinicaldata/{study}/{participant}/{event}/{form}", routes_retrieve.retrieve),
        _route(SDV_PATH, routes_sdv.list_items),
        _route("studies/{study}/extractJobs/{uuid}/jobExecutions", routes_extracts.list_executions),
        _route("studies/{study}/extractJobs/jobExecutions/{uuid}/dataset", routes_extracts.send_dataset),
        _route("jobs/{uuid}/downloadFile", routes_jobs.download_log),
        _route("jobs/{uuid}", routes_jobs.delete_job, "DELETE"),
    ]
    if service.dialect is Dialect.DOCS:
        routes.append(_route("clinicaldata/import/xml", routes_import.import_odm, "POST"))
        routes.append(_route("clinicaldata/studies/{study}/participants", routes_participants.add_participant, "POST"))
    else:
        routes.append(_route("clinicaldata/import", routes_import.import_odm, "POST"))
        routes.append(_route("clinicaldata/", routes_import.import_deprecated, "POST"))
    if service.options.has_job_list:
        routes.append(_route("studies/{study}/jobs", routes_jobs.list_jobs_of_study))
        routes.append(_route("studies/{study}/sites/{site}/jobs", routes_jobs.list_jobs_of_site))
    return routes


def _contact_routes(dialect: Dialect) -> list[Route]:
    """Give contact data and casebooks. The documents spell one path in two ways, and have two methods for it."""
    study = "clinicaldata/studies/{study}"
    site = f"{study}/sites/{{site}}"
    routes = [
        _route(f"{site}/participant", routes_contacts.show_contact),
        _route(f"{site}/participants/extractParticipantsInfo", routes_contacts.extract_contacts, "POST"),
        _route(f"{site}/participants/{{participant}}/casebook", routes_casebook.print_casebook, "POST"),
        _route(f"{study}/participants/{{participant}}/casebook", routes_casebook.print_casebook, "POST"),
    ]
    if dialect is Dialect.DOCS:
        misspelt = f"{site}/participants/extractPartcipantsInfo"
        routes += [_route(misspelt, routes_contacts.extract_contacts, method) for method in ("POST", "GET")]
    return routes


def _participate_routes() -> list[Route]:
    """Give what concerns one participant at a time. The path of clinical data would match some of these as well."""
    study = "clinicaldata/studies/{study}"
    one = f"{study}/participants/{{participant}}"
    return [
        _route(f"{study}/participantUsers", routes_participate.list_users),
        _route(f"{study}/participants/searchByFields", routes_participate.search),
        _route(one, routes_participate.show_account),
        _route(f"{one}/accessLink", routes_participate.show_access_link),
        _route(f"{one}/connect", routes_participate.connect, "POST"),
    ]


def _route(path: str, endpoint: Callable[[Request], Any], method: str = "GET") -> Route:
    return Route(API + path, endpoint, methods=[method])


def _answer(request: Request, error: Exception) -> Response:
    """Answer for what was raised. Of a mistake of the sandbox, the log says where it is and quotes nothing."""
    if isinstance(error, Answered):
        return error.response
    if isinstance(error, HTTPException):
        return html(error.status_code, headers=error.headers)
    if isinstance(error, ClientDisconnect):
        return html(400)  # nobody gets to see it
    frame = traceback.extract_tb(error.__traceback__)[-1]
    LOGGER.error("%s: %s in %s, line %s", request.method, type(error).__name__, frame.filename, frame.lineno)
    return html(500)


class Sandbox:
    """A sandbox that serves from a thread, between :meth:`start` and :meth:`close` or as a context manager.

    :param port: the port to listen on; 0 for any free one.
    :param options: the fields of :class:`~airflow_provider_openclinica.sandbox.service.Options`; ``dialect`` may be a
        plain string.
    """

    def __init__(self, *, port: int = 0, **options: Any) -> None:
        self._wanted_port = port
        self._options = Options(**{**options, "dialect": Dialect(options.get("dialect", Dialect.DOCS))})

    def start(self) -> Self:
        """Begin to listen.

        :raises OSError: the port is taken, or a file cannot be read.
        :raises ValueError: the study cannot be read, or the state is none, or that of another study.
        """
        self.service = Service3(self._options) if self._options.version == 3 else Service(self._options)
        try:
            listener = socket.create_server((LOOPBACK, self._wanted_port), backlog=512)
        except OSError as error:
            self.service.close()
            raise OSError(f"port {self._wanted_port}: {os.strerror(error.errno or 0)}") from error
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited; else each answer takes 40 ms
        self.port: int = listener.getsockname()[1]
        config = uvicorn.Config(
            application(self.service),
            http=CuttableProtocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="sandbox", daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop listening, let running work end, and forget what was temporary."""
        self._server.should_exit = True
        self._thread.join()
        self.service.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where the sandbox itself is, without a path."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def study_url(self) -> str:
        """What a connection calls host."""
        return self.url + STUDY_PATH

    @property
    def ws_url(self) -> str:
        """Where SOAP is, in version 3."""
        return self.url + WS_ROOT

    @property
    def api_url(self) -> str:
        """What all addresses of the API begin with."""
        return self.url + API.rstrip("/")

    @property
    def auth_url(self) -> str:
        """Where tokens come from."""
        return self.url + TOKEN_PATH

    @property
    def clinone_url(self) -> str:
        """What a connection to ClinOne calls host."""
        return self.url + routes_clinone.API_PATH

    @property
    def clinone_auth_url(self) -> str:
        """Where tokens for ClinOne come from."""
        return self.url + routes_clinone.TOKEN_PATH

    def fault(self, kind: str, **details: Any) -> int:
        """Plan a fault; the details are the fields of :class:`~airflow_provider_openclinica.sandbox.faults.Fault`."""
        return self.service.faults.plan(Fault(kind=Kind(kind), **details))

    def fate(self, fate: str, *, times: int = 1, seconds: float = 5.0, size: int = 0) -> None:
        """Decide what becomes of the next jobs (:class:`~airflow_provider_openclinica.sandbox.jobs.Fate`)."""
        self.service.jobs.plan(Plan(fate=Fate(fate), seconds=seconds, size=size), times)

    def release(self, job_uuid: str | None = None) -> int:
        """Let a stuck job go on, or all of them; tell how many did."""
        return self.service.jobs.release(job_uuid)

    def lose(self, times: int = 1) -> None:
        """Version 3: let the next writes by SOAP store nothing, though they are answered with success.

        :raises TypeError: this is another version.
        """
        if not isinstance(self.service, Service3):
            raise TypeError("only version 3 loses writes")
        self.service.lose(times)

    def configure(self, **settings: Any) -> None:
        """Change settings of the study: ``participate``, ``generates_ids``, ``expected_participants``; or ``casebook``.

        :raises ValueError: there is no such setting.
        """
        routes_control.change_settings(self.service, settings)

    def extract(self, **details: Any) -> dict[str, str]:
        """Let a scheduled extract run once; give its ``job_uuid``, and ``execution_uuid`` and ``created`` of the run.

        The details are the arguments of :meth:`~airflow_provider_openclinica.sandbox.extracts.Extracts.add`.
        """
        return dict(routes_control.run_extract(self.service, details))

    def set_status(self, kind: str, **wanted: Any) -> None:
        """Give a ``participant``, an ``event`` or a ``form`` another status, or flags, at once.

        What it takes: :class:`~airflow_provider_openclinica.sandbox.statuses.Statuses`, as in ``set_status("event",
        participant="BOS-001", event="SE_BASELINE", status="completed")``.
        """
        routes_control.change_data_status(self.service, {"kind": kind, **wanted})

    def clinone(self, **wanted: Any) -> None:
        """Plan what ClinOne answers at a ``path`` (``json``, ``status``); change its ``scopes``; ``revoke`` tokens."""
        routes_clinone.change_clinone(self.service, wanted)

    def requests(self) -> list[dict[str, Any]]:
        """Tell what was asked so far, oldest first; no secrets among it."""
        return self.service.requests.all()

    def jobs(self) -> list[dict[str, Any]]:
        """Tell of every job of everybody, oldest first."""
        return list(routes_control.show_jobs(self.service, {}))

    def data(self) -> list[dict[str, Any]]:
        """Tell every value that is stored."""
        return list(routes_control.show_data(self.service, {}))

    def participants(self) -> list[dict[str, Any]]:
        """Tell of everybody: ``participant`` (the ID), ``oid``, ``site``, ``status`` and the contact data."""
        return list(routes_control.show_participants(self.service, {}))

    def events(self) -> list[dict[str, Any]]:
        """Tell of every occurrence: ``participant`` (the ID), ``event``, ``repeat``, ``status``, dates and flags."""
        return list(routes_control.show_events(self.service, {}))

    def reset(self) -> None:
        """Go back to the fresh study."""
        self.service.reset()

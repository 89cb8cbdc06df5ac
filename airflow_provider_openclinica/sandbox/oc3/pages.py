"""The log-in by form, and the few other pages there are (docs/protocol3.md, sessions)."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from airflow_provider_openclinica.sandbox.answers import Answered, json, page
from airflow_provider_openclinica.sandbox.auth import COOKIE, NEW_SESSION
from airflow_provider_openclinica.sandbox.oc3.service import service_of
from airflow_provider_openclinica.sandbox.service import PASSWORD

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider_openclinica.sandbox.accounts import Account
    from airflow_provider_openclinica.sandbox.oc3.sessions import Session

ROOT = "/OpenClinica"
WS_ROOT = "/OpenClinica-ws"
LOGIN_PAGE = f"{ROOT}/pages/login/login"
LOGIN = f"{ROOT}/j_spring_security_check"
LOGOUT = f"{ROOT}/j_spring_security_logout"
MAIN_MENU = f"{ROOT}/MainMenu"
_FORM = (
    "<form action='/OpenClinica/j_spring_security_check' method='post'>"
    "<input name='j_username'><input name='j_password' type='password'><input type='submit' name='submit'></form>"
)


def login_page(request: Request) -> Response:
    """Show the form; who is logged in already is led to the main menu."""
    session = _session(request)
    if session and session.is_by_form and not session.is_displaced and "action" not in request.query_params:
        return _redirect(request, MAIN_MENU, session)
    if session is None:
        _begin(request)
    return HTMLResponse(page("Log in to OpenClinica", _FORM))


async def check_login(request: Request) -> Response:
    """Log in. The answer is a redirect in every case."""
    body = await request.body() if request.method == "POST" else b""
    return await run_in_threadpool(_check_login, request, body)


def _check_login(request: Request, body: bytes) -> Response:
    service, session = service_of(request), _session(request)
    sent = parse_qs(body.decode("utf-8", "replace"))
    login, password = (sent.get(name, [""])[0] for name in ("j_username", "j_password"))
    login = login.strip()
    account = service.accounts.check(login, password)
    action = ""
    if account is None:
        action = "errorLogin"
    elif account.locked:
        action = "errorLocked"
    elif session and session.login not in {"", login}:
        action = "errorSessionLocked"
    if action:
        return _redirect(request, f"{LOGIN_PAGE}?action={action}", session or _begin(request))
    opened = service.tokens.sessions.open(login, by_form=True)
    if session:
        service.tokens.sessions.drop(session)
    request.scope.update({NEW_SESSION: opened.id, "user": login})
    return _redirect(request, session.wanted if session and session.wanted else MAIN_MENU, opened)


def log_out(request: Request) -> Response:
    """End the session, if there is one."""
    session = _session(request)
    if session:
        service_of(request).tokens.sessions.drop(session)
    return RedirectResponse(_absolute(request, MAIN_MENU), 302)


def main_menu(request: Request) -> Response:
    """Show the first page after a log-in."""
    account = logged_in(request)
    return HTMLResponse(page("OpenClinica", f"<p>{escape(account.login)}</p>"))


def logged_in(request: Request) -> Account:
    """Tell who is asking.

    :raises Answered: nobody is logged in, or is any more; it leads to the log-in or to the main menu, never 401.
    """
    service, session = service_of(request), _session(request)
    if session and session.is_displaced:
        service.tokens.sessions.drop(session)
        raise Answered(_redirect(request, MAIN_MENU, session))
    account = service.accounts.get(session.login) if session and session.is_by_form else None
    if account is None:
        session = session or _begin(request)
        session.wanted = str(request.url)
        raise Answered(_redirect(request, LOGIN_PAGE, session))
    request.scope["user"] = account.login
    return account


def _session(request: Request) -> Session | None:
    return service_of(request).tokens.sessions.find(request.cookies.get(COOKIE))


def _begin(request: Request) -> Session:
    session = service_of(request).tokens.sessions.open()
    request.scope[NEW_SESSION] = session.id
    return session


def _redirect(request: Request, target: str, session: Session) -> Response:
    """Lead elsewhere; a container adds the session to the address where it got no cookie and cannot expect one."""
    address = _absolute(request, target)
    if not request.cookies:
        path, mark, query = address.partition("?")
        address = f"{path};jsessionid={session.id}{mark}{query}"
    return Response(status_code=302, headers={"Location": address})


def _absolute(request: Request, target: str) -> str:
    return target if target.startswith("http") else str(request.base_url).rstrip("/") + target


def runtime(_request: Request) -> Response:
    """Answer the probe of the web application, to anybody."""
    return json({"result": 20})


async def plan_losses(request: Request) -> Response:
    """Let the next ``times`` writes by SOAP vanish. A control route: nothing like it exists in OpenClinica."""
    service_of(request).lose(int((await request.json())["times"]))
    return json({})


def about(request: Request) -> Response:
    """Say what this is, and how to get in."""
    service = service_of(request)
    base = str(request.base_url).rstrip("/")
    rows = {
        "Web URL": base + ROOT,
        "SOAP URL": base + WS_ROOT,
        "Study": f"{service.study.oid} (protocol ID {service.study.unique_id})",
        "Sites": ", ".join(f"{site.oid} ({site.unique_id})" for site in service.study.sites),
        "Logins": f"{', '.join(service.accounts.logins())} (password {PASSWORD}, where none was given)",
    }
    table = "".join(f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in rows.items())
    note = "An OpenClinica 3 that runs on this machine only, for developing and testing. All its data are invented."
    return HTMLResponse(page("OpenClinica sandbox", f"<p>{note}</p><table>{table}</table>"))

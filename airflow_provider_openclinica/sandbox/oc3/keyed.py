"""The API key: how it is got, what it opens, and the routes that only read (docs/protocol3.md, api key)."""

from __future__ import annotations

import base64
import binascii
import hmac
import json as json_module
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from airflow_provider_openclinica.sandbox.answers import Answered, html, json
from airflow_provider_openclinica.sandbox.auth import COOKIE, NEW_SESSION
from airflow_provider_openclinica.sandbox.oc3.service import ROLE_NAMES, Service3, service_of, stored_password

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider_openclinica.sandbox.accounts import Account, Role

VERSION = "3.17.1"
JSON = "application/json"

Operation = Callable[[Service3, "Account", "Request", Any], Response]


def key_holder(request: Request) -> Account:
    """Tell whose key a request has.

    :raises Answered: 401 for no key, or a wrong one; 500 for another scheme, which nobody stops on its way.
    """
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    service = service_of(request)
    if scheme and scheme.lower() != "basic":
        raise Answered(html(500))
    try:
        key = base64.b64decode(credentials.strip(), validate=True).decode("utf-8").partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        key = ""
    for login in service.accounts.logins() if key else ():
        account = service.accounts.get(login)
        if account and hmac.compare_digest(service.tokens.api_key(login).encode(), key.encode()):
            request.scope["user"] = login
            _hold_session(request, login)
            return account
    raise Answered(html(401, headers={"WWW-Authenticate": 'Basic realm="Protected"'}, note="Bad credentials"))


def _hold_session(request: Request, login: str) -> None:
    """Give the account a session, as every call with a key does to whoever comes without one."""
    sessions = service_of(request).tokens.sessions
    if sessions.find(request.cookies.get(COOKIE)) is None:
        request.scope[NEW_SESSION] = sessions.open(login).id


def keyed(read: Callable[[Request, Account], Response]) -> Callable[[Request], Response]:
    """Make a route of a function that has to know whose key it is."""

    def route(request: Request) -> Response:
        return read(request, key_holder(request))

    route.__name__ = read.__name__
    return route


def keyed_json(operation: Operation) -> Any:
    """Make a route of a function that has to know whose key it is, and what JSON was sent."""

    async def route(request: Request) -> Response:
        account = key_holder(request)
        return await run_in_threadpool(operation, service_of(request), account, request, await sent_json(request))

    route.__name__ = operation.__name__
    return route


async def sent_json(request: Request) -> Any:
    """Read what was sent.

    :raises Answered: 415 for what is called something else, 400 for what is none.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise Answered(html(415))
    try:
        return json_module.loads(await request.body())
    except ValueError:
        raise Answered(html(400)) from None


async def show_account(request: Request) -> Response:
    """Answer a login: the account with its key, and with its password's hash."""
    service, sent = service_of(request), await sent_json(request)
    if not isinstance(sent, dict) or sent.get("username") is None or sent.get("password") is None:
        return html(500)
    login, password = (str(sent[name]).strip() for name in ("username", "password"))
    account = service.accounts.check(login, password)
    if account is None or account.locked:
        return json({}, status=401)
    request.scope["user"] = login
    first, _, last = login.replace("_", " ").title().partition(" ")
    return json(
        {
            "username": login,
            "password": stored_password(account),
            "firstName": first,
            "lastName": last,
            "apiKey": service.tokens.api_key(login),
            "roles": [{"roleName": name, "studyOID": oid} for oid, name in _role_names(account)],
        }
    )


def _role_names(account: Account) -> list[tuple[str, str]]:
    roles: dict[str, Role] = {oid: role for oid, role in account.roles.items() if oid not in account.removed_roles}
    return [(oid, ROLE_NAMES[role]) for oid, role in roles.items()]


def _open_to_other_schemes(request: Request) -> None:
    """Let a request pass that has any scheme but Basic: here nobody asks whose it is."""
    scheme = request.headers.get("authorization", "").partition(" ")[0].lower()
    if scheme in {"", "basic"}:
        key_holder(request)


def system_config(request: Request) -> Response:
    """Tell the version, and much that should stay where it is."""
    _open_to_other_schemes(request)
    return json(
        {
            "OC.Version": {"OC Version number": VERSION},
            "Database.Settings": {"Database User": "clinica"},
            "Webapps": {"webapps": "OpenClinica,OpenClinica-ws"},
        }
    )


def system_modules(request: Request) -> Response:
    """List all studies, those of others too."""
    _open_to_other_schemes(request)
    studies = service_of(request).studies()
    return json([{"Study Oid": study.oid, "Modules": {"Participate": "DISABLED"}} for study in studies])

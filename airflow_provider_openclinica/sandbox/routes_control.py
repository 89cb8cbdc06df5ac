"""Control routes: what a test or a developer plans, changes and looks at. JSON; none of this exists in OpenClinica."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.routing import Route

from airflow_provider_openclinica.sandbox.accounts import Account, Role
from airflow_provider_openclinica.sandbox.auth import Reply
from airflow_provider_openclinica.sandbox.data import ClinicalStore
from airflow_provider_openclinica.sandbox.faults import Fault, Kind
from airflow_provider_openclinica.sandbox.jobs import Fate, Plan
from airflow_provider_openclinica.sandbox.participants import Registry
from airflow_provider_openclinica.sandbox.routes_clinone import change_clinone
from airflow_provider_openclinica.sandbox.statuses import Statuses

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from airflow_provider_openclinica.sandbox.service import Service


def _controlled(change: Callable[[Service, dict[str, Any]], Any], name: str) -> Any:
    """Make a route of a function that takes a JSON object and returns one; what it cannot use is 422."""

    async def route(request: Request) -> Response:
        try:
            wanted = await request.json() if await request.body() else {}
            return JSONResponse(await run_in_threadpool(change, request.app.state.service, wanted))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 422)

    route.__name__ = name
    return route


def plan_fault(service: Service, wanted: dict[str, Any]) -> Any:
    """Plan a fault: ``match`` (method, path), ``kind``, ``times`` and what that kind takes."""
    match = wanted.pop("match", {})
    fault = Fault(kind=Kind(wanted.pop("kind")), **match, **wanted)
    return {"id": service.faults.plan(fault)}


def clear_faults(service: Service, wanted: dict[str, Any]) -> Any:
    """Drop the fault with this ``id``, or all."""
    if "id" in wanted:
        service.faults.cancel(wanted["id"])
    else:
        service.faults.clear()
    return {}


def plan_fate(service: Service, wanted: dict[str, Any]) -> Any:
    """Decide what becomes of the next ``times`` jobs."""
    times = wanted.pop("times", 1)
    service.jobs.plan(Plan(fate=Fate(wanted.pop("fate")), **wanted), times)
    return {}


def clear_fates(service: Service, _wanted: dict[str, Any]) -> Any:
    """Let the next jobs go their usual way."""
    service.jobs.forget_plans()
    return {}


def release_jobs(service: Service, wanted: dict[str, Any]) -> Any:
    """Let the stuck job with this ``uuid`` go on, or all of them."""
    return {"released": service.jobs.release(wanted.get("uuid"))}


def change_tokens(service: Service, wanted: dict[str, Any]) -> Any:
    """Change how tokens are written (``reply``), how long new ones live, how many calls a minute are let in; revoke."""
    tokens = service.tokens
    tokens.reply = Reply(wanted.get("reply", tokens.reply))
    tokens.seconds = float(wanted.get("seconds", tokens.seconds))
    tokens.rate = int(wanted.get("rate", tokens.rate))
    if wanted.get("revoke"):
        tokens.revoke()
    return {"reply": tokens.reply, "seconds": tokens.seconds, "rate": tokens.rate}


def change_account(service: Service, wanted: dict[str, Any]) -> Any:
    """Change the account with this ``login``, or add it.

    ``password``, ``roles`` (by OID), ``active_study`` and ``user_type`` are set where they are given.
    """
    login = wanted["login"]
    account = service.accounts.get(login) or Account(login=login, password="")
    known = {field.name for field in fields(Account)} - {"login"}
    for name, value in wanted.items():
        if name in known:
            setattr(account, name, {oid: Role(role) for oid, role in value.items()} if name == "roles" else value)
    service.accounts.add(account)
    return {"login": login, "roles": account.roles, "active_study": account.active_study}


def change_status(service: Service, wanted: dict[str, Any]) -> Any:
    """Give the study or the site with this ``oid`` a ``status`` such as ``LOCKED``."""
    if not service.set_status(wanted["oid"], wanted["status"]):
        raise ValueError("no study or site has this OID")
    return wanted


def change_data_status(service: Service, wanted: dict[str, Any]) -> Any:
    """Give what ``kind`` says, a ``participant``, an ``event`` or a ``form``, another status or flags at once."""
    names = {"participant", "event", "form"}
    kind = wanted.pop("kind")
    if kind not in names:
        raise ValueError(f"no such kind: {kind}")
    with service.state.writing() as db:
        getattr(Statuses(service.study, ClinicalStore(db)), f"set_{kind}")(**wanted)
    return {}


def change_settings(service: Service, wanted: dict[str, Any]) -> Any:
    """Change ``participate``, ``generates_ids`` or ``expected_participants`` of the study, or ``casebook``."""
    service.prints_casebooks = bool(wanted.pop("casebook", service.prints_casebooks))
    if unknown := wanted.keys() - {"participate", "generates_ids", "expected_participants"}:
        raise ValueError(f"no such setting: {', '.join(sorted(unknown))}")
    service.study = replace(service.study, **wanted)
    return wanted


def run_extract(service: Service, wanted: dict[str, Any]) -> Any:
    """Let a scheduled extract run once: that of ``job_uuid``, else a new one."""
    made = service.extracts.add(**wanted)
    return {"job_uuid": made.job_uuid, "execution_uuid": made.uuid, "created": made.created}


def show_requests(service: Service, _wanted: dict[str, Any]) -> Any:
    """Show what was asked so far."""
    return service.requests.all()


def clear_requests(service: Service, _wanted: dict[str, Any]) -> Any:
    """Forget what was asked so far."""
    service.requests.clear()
    return {}


def show_jobs(service: Service, _wanted: dict[str, Any]) -> Any:
    """Show every job of everybody."""
    return [
        {
            "uuid": job.uuid,
            "status": job.status,
            "type": job.type,
            "sourceFileName": job.source_name,
            "creator": job.creator,
            "studyOid": job.study_oid,
            "siteOid": job.site_oid,
        }
        for job in service.jobs.all()
    ]


def show_data(service: Service, _wanted: dict[str, Any]) -> Any:
    """Show every value that is stored."""
    with service.state.reading() as db:
        return ClinicalStore(db).stored_items()


def show_participants(service: Service, _wanted: dict[str, Any]) -> Any:
    """Show every participant, with the contact data."""
    with service.state.reading() as db:
        return Registry(db).everybody()


def show_events(service: Service, _wanted: dict[str, Any]) -> Any:
    """Show every occurrence of an event."""
    with service.state.reading() as db:
        return ClinicalStore(db).stored_events()


def reset(service: Service, _wanted: dict[str, Any]) -> Any:
    """Go back to the fresh study."""
    service.reset()
    return {}


ROUTES = [
    Route(f"/sandbox/{path}", _controlled(change, change.__name__), methods=[method])
    for method, path, change in (
        ("POST", "faults", plan_fault),
        ("DELETE", "faults", clear_faults),
        ("POST", "job-fates", plan_fate),
        ("DELETE", "job-fates", clear_fates),
        ("POST", "release", release_jobs),
        ("POST", "tokens", change_tokens),
        ("POST", "users", change_account),
        ("POST", "studies", change_status),
        ("POST", "statuses", change_data_status),
        ("POST", "settings", change_settings),
        ("POST", "extracts", run_extract),
        ("POST", "clinone", change_clinone),
        ("GET", "requests", show_requests),
        ("DELETE", "requests", clear_requests),
        ("GET", "jobs", show_jobs),
        ("GET", "data", show_data),
        ("GET", "participants", show_participants),
        ("GET", "events", show_events),
        ("POST", "reset", reset),
    )
]

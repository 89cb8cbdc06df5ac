"""Letting one participant take part online, and asking who does (docs/protocol.md, participate).

Nobody is asked for a role here: a token is enough. A participant is named by ID, in exactly its case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from airflow_provider_openclinica.sandbox.access import json_texts
from airflow_provider_openclinica.sandbox.answers import html, json
from airflow_provider_openclinica.sandbox.contacts import Contact, Contacts
from airflow_provider_openclinica.sandbox.participants import Registry

if TYPE_CHECKING:
    import sqlite3

    from starlette.requests import Request

    from airflow_provider_openclinica.sandbox.service import Service

#: The API's name of a property of a participant -> its name among what :class:`Registry` stores.
STORED = {
    "firstName": "firstName",
    "lastName": "lastName",
    "email": "emailAddress",
    "phoneNumber": "phoneNumber",
    "identifier": "identifier",
}
SEARCHED = {
    "participantId": "participant_id",
    "firstName": "first_name",
    "lastName": "last_name",
    "identifier": "identifier",
}


async def connect(request: Request) -> Response:
    """Store how a participant is reached, and let them take part."""
    service: Service = request.app.state.service
    account = service.identify(request)
    wanted = await json_texts(request, (*STORED, "inviteParticipant", "inviteViaSms", "resetAccessCode"))
    return await run_in_threadpool(_connect, request, service, account.login, wanted)


def _connect(request: Request, service: Service, user: str, wanted: dict[str, str | None]) -> Response:
    with service.state.writing() as db:
        contact = _named(service, db, request)
        if contact is None:
            return html(500)
        registry = Registry(db, user)
        registry.touch(contact.participant, user)
        registry.save_contact(contact.participant, {stored: wanted[name] for name, stored in STORED.items()})
        registry.register(contact.participant, again=wanted["resetAccessCode"] == "true")
        if "true" in (wanted["inviteParticipant"], wanted["inviteViaSms"]):
            registry.invite(contact.participant)
        connected = _named(service, db, request)
    return json(_user(connected or contact, with_access=True))


def show_account(request: Request) -> Response:
    """Show the account of a participant. At the end of a path, a dot and what follows it are lost on the way."""
    service: Service = request.app.state.service
    service.identify(request)
    name = request.path_params["participant"]
    request.path_params["participant"] = name.rpartition(".")[0] or name
    with service.state.reading() as db:
        contact = _named(service, db, request)
    return json(_user(contact)) if contact and contact.status else Response(status_code=404)


def show_access_link(request: Request) -> Response:
    """Give the link a participant logs in with; it leads nowhere unless the access code was asked for."""
    service: Service = request.app.state.service
    service.identify(request)
    with service.state.reading() as db:
        contact = _named(service, db, request)
    if contact is None or not contact.status:
        return Response(status_code=404)
    wanted = request.query_params.get("includeAccessCode", "n").lower() == "y"
    code = contact.access_code if wanted else None
    host = f"{str(request.base_url).rstrip('/')}/participate"
    return json({"accessCode": code, "host": host, "accessLink": f"{host}/?accessCode={code or 'null'}"})


def search(request: Request) -> Response:
    """Search the participants of a study; nothing at all comes back where the study does not take contact data."""
    service: Service = request.app.state.service
    service.identify(request)
    if not service.study.participate:
        return Response()
    asked = {name: request.query_params[name] for name in SEARCHED if request.query_params.get(name)}
    found = [
        contact
        for contact in _everybody(service)
        if all(getattr(contact, SEARCHED[name]) == value for name, value in asked.items())
    ]
    return json([_user(contact) for contact in found])


def list_users(request: Request) -> Response:
    """List the participants who may take part online."""
    service: Service = request.app.state.service
    service.identify(request)
    return json([_user(contact) for contact in _everybody(service) if contact.status])


def _named(service: Service, db: sqlite3.Connection, request: Request) -> Contact | None:
    """Find the participant whom the path names."""
    is_here = request.path_params["study"] == service.study.oid
    return Contacts(db).named(request.path_params["participant"]) if is_here else None


def _everybody(service: Service) -> list[Contact]:
    with service.state.reading() as db:
        return Contacts(db).everybody()


def _user(contact: Contact, *, with_access: bool = False) -> dict[str, Any]:
    """Write a participant as a user."""
    return {
        "uuid": None,
        "viewStudySubjectId": contact.participant.id,
        "firstName": contact.first_name,
        "lastName": contact.last_name,
        "email": contact.email,
        "phoneNumber": contact.phone,
        "inviteParticipant": contact.status == "Invited",
        "username": contact.participant.oid.lower() if contact.status else None,
        "userType": "PARTICIPATE",
        "externalUserId": None,
        "organization": None,
        "status": contact.status.upper() or None,
        "lastSuccessfulLogin": None,
        "identifier": contact.identifier,
        "participantId": contact.participant_id,
        "accessCode": contact.access_code or None if with_access else None,
        "errorMessage": None,
    }

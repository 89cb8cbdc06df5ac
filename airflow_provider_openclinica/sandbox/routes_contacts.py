"""Asking how participants can be reached: those of a site by a job, one at once (docs/protocol.md, contacts)."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.access import readable_place
from airflow_provider_openclinica.sandbox.accounts import STUDY_WRITERS
from airflow_provider_openclinica.sandbox.answers import html, json, json_error, text
from airflow_provider_openclinica.sandbox.contacts import Contact, Contacts, columns, write_contacts
from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.import_run import Refused
from airflow_provider_openclinica.sandbox.import_text import read_int
from airflow_provider_openclinica.sandbox.jobs import Log
from airflow_provider_openclinica.sandbox.participants import USABLE

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from airflow_provider_openclinica.sandbox.accounts import Account, Role
    from airflow_provider_openclinica.sandbox.service import Place, Service

LARGEST_OFFSET = 2**31 - 1
EVERYBODY = 2**31 - 1

#: Whoever has one of these roles at the study may ask; the documents let in those of the site only.
STUDY_ROLES: dict[Dialect, Collection[Role]] = {Dialect.SOURCE: STUDY_WRITERS, Dialect.DOCS: ()}


def extract_contacts(request: Request) -> Response:
    """Answer with the uuid of the job that writes down how the participants of a site can be reached."""
    service: Service = request.app.state.service
    account = service.identify(request)
    try:
        number, size = _paging(request, service.dialect)
        place = _place(request, service, account)
    except Refused as refusal:
        return _refused(request, refusal)
    names = columns(
        service.dialect,
        of_site=account.role_in(place.oid) is not None,
        with_access=_says_y(request, "register" if service.dialect is Dialect.DOCS else "includeParticipateInfo"),
    )
    overflows = (number - 1) * size > LARGEST_OFFSET
    job_uuid = service.jobs.submit(
        None if overflows else partial(_work, place.oid, number, size, names),
        kind="ACCESS_CODE",
        study_oid=place.study.oid,
        site_oid=place.oid,
        creator=account.login,
        source_name=None,
        log_name=f"{place.study.unique_id}-{place.study.env}_Participant Access Code",
    )
    return text(request, f"job uuid: {job_uuid}")


def _paging(request: Request, dialect: Dialect) -> tuple[int, int]:
    """Read which page is asked for, and how large it is to be. The documents know no pages: all are on one."""
    if dialect is Dialect.DOCS:
        return 1, EVERYBODY
    number = _counted(request, "page_number", "1", "invalidPageNumberParameter")
    return number, _counted(request, "page_size", "100", "invalidPageSizeParameter")


def _counted(request: Request, name: str, default: str, code: str) -> int:
    number = read_int(request.query_params.get(name, default))
    if number is None or number < 1:
        raise Refused(code)
    return number


def _place(request: Request, service: Service, account: Account) -> Place:
    study_oid, site_oid = request.path_params["study"], request.path_params["site"]
    place = readable_place(service, account, study_oid, site_oid, study_roles=STUDY_ROLES[service.dialect])
    if not place.study.participate:
        raise Refused("participateInActive")
    return place


def _refused(request: Request, refusal: Refused) -> Response:
    return json_error(refusal.code, study=request.path_params["study"], site=request.path_params["site"])


def _says_y(request: Request, flag: str) -> bool:
    """Tell whether a flag says ``y``; here ``yes`` does not count."""
    return request.query_params.get(flag, "n").lower() == "y"


def _work(
    site_oid: str, number: int, size: int, names: Sequence[str], db: sqlite3.Connection, _commit: Callable[[], None]
) -> Log:
    found = Contacts(db).page(site_oid, number, size)
    return Log(write_contacts(found, names), {"Extracted": len(found)})


def show_contact(request: Request) -> Response:
    """Tell how one participant can be reached; looked for in the whole study, whatever site is named."""
    service: Service = request.app.state.service
    account = service.identify(request)
    participant_id = request.query_params.get("participantID")
    if participant_id is None:
        return html(400)
    try:
        place = _place(request, service, account)
        contact = _contact(service, participant_id)
    except Refused as refusal:
        return _refused(request, refusal)
    of_site = account.role_in(place.oid) is not None
    return json(_shown(contact, of_site=of_site, with_access=_says_y(request, "includeParticipateInfo")))


def _contact(service: Service, participant_id: str) -> Contact:
    with service.state.reading() as db:
        contact = Contacts(db).named(participant_id)
    if contact is None:
        raise Refused("participantNotFound")
    if contact.participant.status not in USABLE:
        raise Refused("participantIDNotAvailable")
    return contact


def _shown(contact: Contact, *, of_site: bool, with_access: bool) -> dict[str, str | None]:
    """Write it as the server does, which breaks off early and unnoticed at whoever was never changed."""
    one = contact.participant
    known: dict[str, str | None] = {
        "subjectKey": one.participant_id,
        "subjectOid": one.oid,
        "secondaryID": "",
        "createdBy": one.created_by,
    }
    rest = ("status", "createdAt", "lastModified", "lastModifiedBy", "firstName", "lastName", "email", "mobileNumber")
    shown = known | dict.fromkeys((*rest, "accessCode"))
    if one.updated_at is None:
        return shown
    shown |= {
        "status": contact.status,
        "createdAt": _moment(one.created_at),
        "lastModified": _moment(one.updated_at),
        "lastModifiedBy": one.updated_by,
        "accessCode": contact.access_code or None if with_access else None,
    }
    if of_site:
        shown |= {
            "firstName": contact.first_name,
            "lastName": contact.last_name,
            "email": contact.email,
            "mobileNumber": contact.phone,
        }
    return shown


def _moment(iso: str) -> str:
    """Write a moment as Java does in American English."""
    moment = datetime.fromisoformat(iso)
    return f"{moment:%b} {moment.day}, {moment.year} {moment:%I:%M:%S %p}".replace(" 0", " ")

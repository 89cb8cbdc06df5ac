"""Lists of participants (docs/protocol.md, participants)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.accounts import Role
from airflow_provider_openclinica.sandbox.answers import html, json, json_error
from airflow_provider_openclinica.sandbox.data import ClinicalStore
from airflow_provider_openclinica.sandbox.dialect import Dialect

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from airflow_provider_openclinica.sandbox.data import Participant
    from airflow_provider_openclinica.sandbox.service import Place, Service


def list_participants(request: Request) -> Response:
    """List the participants of a study and all its sites; a site's OID in the study's place lists that site."""
    service: Service = request.app.state.service
    account = service.identify(request)
    oid = request.path_params["study"].upper()
    place = service.place(oid)
    if place is None:
        return json_error("studyNotExist", study=oid, site=None)
    role = account.role_in(place.study.oid, place.oid)
    if role is None or role is Role.MONITOR:
        return json_error("noSufficientPrivileges" if role else "noRoleSetUp", study=oid, site=None)
    return json(_listing(service, place) | {"siteID": None, "siteOID": None, "siteName": None})


def list_participants_of_site(request: Request) -> Response:
    """List the participants of one site."""
    service: Service = request.app.state.service
    account = service.identify(request)
    study_oid, site_oid = request.path_params["study"].upper(), request.path_params["site"].upper()
    study, place = service.place(study_oid), service.place(site_oid)
    if study is None:
        return json_error("studyNotExist", study=study_oid, site=site_oid)
    if place is None or study.site:
        return json_error("invalidSiteIdentifier", study=study_oid, site=site_oid)
    if place.site is None:
        return html(500)
    role = account.role_in(study_oid, site_oid)
    if role is None or role is Role.MONITOR:
        return json_error("noSufficientPrivileges" if role else "noRoleSetUp", study=study_oid, site=site_oid)
    site = {"siteID": place.site.unique_id, "siteOID": place.site.oid, "siteName": place.site.name}
    return json(_listing(service, place) | site)


def _listing(service: Service, place: Place) -> dict[str, object]:
    scope = service.study.scope(place.oid)
    with service.state.reading() as db:
        found = ClinicalStore(db).participants(scope)
    return {"studyParticipants": [_listed(service.dialect, participant) for participant in found]}


def _listed(dialect: Dialect, one: Participant) -> dict[str, str | None]:
    shown = one.status.replace("REMOVED", "DELETED")  # the web page's word and the server's
    return {
        "subjectKey": one.participant_id,
        "subjectOid": one.oid,
        "status": one.status.replace("_", "-").capitalize() if dialect is Dialect.DOCS else shown,
        "createdBy": one.created_by,
        "createdAt": _moment(dialect, one.created_at),
        "lastModified": _moment(dialect, one.updated_at) if one.updated_at else None,
        "lastModifiedBy": one.updated_by,
    }


def _moment(dialect: Dialect, iso: str) -> str:
    """Write a moment: to the day in the documents' samples, to the millisecond in the source."""
    moment = datetime.fromisoformat(iso)
    if dialect is Dialect.DOCS:
        return f"{moment:%b} {moment.day}, {moment.year} 12:00:00 AM"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"

"""Listing the items of a form for source data verification (docs/protocol.md, sdv)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.accounts import SITE_WRITERS, STUDY_WRITERS, Role
from airflow_provider_openclinica.sandbox.answers import json, json_error
from airflow_provider_openclinica.sandbox.import_run import Refused
from airflow_provider_openclinica.sandbox.sdv import checked_ordinal, described, find_form

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from airflow_provider_openclinica.sandbox.accounts import Account
    from airflow_provider_openclinica.sandbox.service import Place, Service


def list_items(request: Request) -> Response:
    """List the items of a complete form: those that changed since it was verified, or all."""
    service: Service = request.app.state.service
    account = service.identify(request)
    wanted = request.path_params
    try:
        ordinal = checked_ordinal(wanted["occurrence"])
        place = _place(service, account, wanted["study"])
        with service.state.reading() as db:
            form = find_form(db, place, wanted["participant"], wanted["event"], ordinal, wanted["form"])
            changed_only = request.query_params.get("changedAfterSdvOnlyFilter", "y") != "n"
            return json(described(db, place.study, form, changed_only=changed_only))
    except Refused as refusal:
        return json_error(refusal.code, study=wanted["study"], site="")


def _place(service: Service, account: Account, oid: str) -> Place:
    """Find the study or the site, and check that the account may verify there."""
    place = service.place(oid)
    if place is None:
        raise Refused("studyNotValidOid")
    of_study = {Role.DATA_MANAGER, Role.MONITOR}
    if place.site is None:
        may_verify = account.holds(oid, of_study)
    else:
        at_study = account.holds(place.study.oid, STUDY_WRITERS | of_study)
        may_verify = at_study or account.holds(oid, SITE_WRITERS | {Role.MONITOR})
    if not may_verify:
        raise Refused("noSufficientPrivileges")
    return place

"""What all calls that write participants and events begin with: where, by whom and what (docs/protocol.md, roles)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.sandbox.accounts import SITE_WRITERS, STUDY_WRITERS, SYSTEM, Account
from airflow_provider_openclinica.sandbox.answers import Answered, html
from airflow_provider_openclinica.sandbox.import_run import Refused
from airflow_provider_openclinica.sandbox.service import Place, Service, is_open

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from starlette.requests import Request

    from airflow_provider_openclinica.sandbox.accounts import Role


def writable_place(service: Service, account: Account, study_oid: str, site_oid: str | None) -> Place:
    """Find the site, or the study where no site is named, and check that the account may write there.

    OIDs are taken in any case.

    :raises Refused: with the code of the first check that does not pass, in the server's order.
    """
    place = _named_place(service, study_oid.upper(), site_oid.upper() if site_oid is not None else None)
    _check_open(place)
    _check_role(account, place, STUDY_WRITERS, SITE_WRITERS)
    return place


def readable_place(
    service: Service,
    account: Account,
    study_oid: str,
    site_oid: str | None,
    *,
    study_roles: Collection[Role] = STUDY_WRITERS,
    site_roles: Collection[Role] = SITE_WRITERS,
) -> Place:
    """Find the site, or the study where no site is named, and check that the account may read there.

    What is closed may be read. OIDs are taken in their exact case only.

    :param study_roles: who may, with one of these roles at the study.
    :param site_roles: who may, with one of these roles at the site.
    :raises Refused: with the code of the first check that does not pass, in the server's order.
    """
    place = _named_place(service, study_oid, site_oid)
    _check_role(account, place, study_roles, site_roles)
    return place


def _named_place(service: Service, study_oid: str, site_oid: str | None) -> Place:
    """Find the site, or the study. There is one study, so no site can be that of another."""
    study, site = service.place(study_oid), None
    if study is None:
        raise Refused("studyNotExist")
    if study.site:
        raise Refused("studyNotValidOid")
    if site_oid is not None:
        site = service.place(site_oid)
        if site is None:
            raise Refused("siteNotExist")
        if site.site is None:
            raise Refused("siteNotValidOid")
    return site or study


def _check_open(place: Place) -> None:
    if not is_open(place.study.status):
        raise Refused("studyNotAvailable")
    if place.site and not is_open(place.site.status):
        raise Refused("siteNotAvailable")


def _check_role(account: Account, place: Place, study_roles: Collection[Role], site_roles: Collection[Role]) -> None:
    if account.user_type == SYSTEM:
        return
    if account.role_in(place.study.oid, place.oid) is None:
        raise Refused("noRoleSetUp")
    if not account.holds(place.study.oid, study_roles) and not account.holds(place.oid, site_roles):
        raise Refused("noSufficientPrivileges")


def wants(request: Request, flag: str, default: str = "n") -> bool:
    """Tell whether a flag of the query says yes; everything but ``y`` and ``yes`` says no."""
    return request.query_params.get(flag, default).lower() in {"y", "yes"}


async def json_texts(request: Request, names: Iterable[str]) -> dict[str, str | None]:
    """Read the texts of these names from a body that is a JSON object. Numbers and truth values are taken for texts.

    :raises Answered: 415 HTML for another type of body, 400 HTML for what is no such object.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Answered(html(415))
    try:
        body = await request.json()
    except ValueError:
        raise Answered(html(400)) from None
    if not isinstance(body, dict):
        raise Answered(html(400))
    return {name: _text(body.get(name)) for name in names}


def _text(value: Any) -> str | None:
    if isinstance(value, dict | list):
        raise Answered(html(400))
    return value if value is None or isinstance(value, str) else json.dumps(value)

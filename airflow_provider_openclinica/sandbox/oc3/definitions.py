"""Studies, sites, events and accounts that a call with an API key creates (docs/protocol3.md, definitions)."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from airflow_provider_openclinica.sandbox.accounts import ADMINISTRATORS, Account, Role
from airflow_provider_openclinica.sandbox.answers import html, json
from airflow_provider_openclinica.sandbox.study import EventDefinition, Site, Study

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from airflow_provider_openclinica.sandbox.oc3.service import Service3

_REFUSED = "VALIDATION FAILED"
_DATE = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", re.ASCII)
_STUDY_FIELDS = (
    *("uniqueProtocolID", "briefTitle", "principalInvestigator", "briefSummary", "sponsor", "protocolType"),
    *("startDate", "expectedTotalEnrollment"),
)
_SITE_FIELDS = (
    *("uniqueProtocolID", "briefTitle", "principalInvestigator", "expectedTotalEnrollment", "startDate"),
    "protocolDateVerification",
)
_EVENT_FIELDS = ("name", "description", "category", "repeating", "type")
_USER_FIELDS = ("username", "fName", "lName", "institution", "email", "study_name", "role_name", "user_type")
_STUDY_ROLES = {
    "Data Manager": Role.DATA_MANAGER,
    "Study Director": Role.DATA_MANAGER,
    "Data Specialist": Role.DATA_SPECIALIST,
    "Data Entry Person": Role.DATA_ENTRY_PERSON,
    "Monitor": Role.MONITOR,
}
_SITE_ROLES = {
    "Investigator": Role.INVESTIGATOR,
    "Clinical Research Coordinator": Role.COORDINATOR,
    "Monitor": Role.MONITOR,
    "Data Entry Person": Role.DATA_ENTRY_PERSON,
}
LONGEST_ID, LONGEST_SUMMARY = 30, 255  # what the columns hold; for a study, nobody asks before
_SITE_LENGTHS = {"uniqueProtocolID": LONGEST_ID, "briefTitle": 100, "principalInvestigator": 255}


class _Errors:
    """What is wrong with a request, in the order in which it was found."""

    def __init__(self, resource: str) -> None:
        self._resource = resource
        self.found: list[dict[str, str]] = []

    def add(self, field: str, reason: str) -> None:
        self.found.append({"field": field, "resource": self._resource, "code": reason})

    def missing(self, sent: dict[str, Any], names: Iterable[str]) -> None:
        for name in names:
            if not sent.get(name):
                self.add(_field(name), f"The {name} is missing.")

    def too_long(self, sent: dict[str, Any], lengths: dict[str, int]) -> None:
        for name, longest in lengths.items():
            if len(sent.get(name) or "") > longest:
                self.add(_field(name), f"The {name} is too long.")

    def refusal(self, sent: dict[str, Any]) -> Response:
        return json({**sent, "message": _REFUSED, "errors": self.found}, status=400)


def _field(name: str) -> str:
    """Give what a refusal calls a field: ``UniqueProtocolId`` for ``uniqueProtocolID``."""
    return (name[0].upper() + name[1:]).replace("ProtocolID", "ProtocolId")


def _is_broken(sent: Any) -> bool:
    """Tell whether the server breaks down on it: it takes all for texts, but the roles for a list of objects."""
    if not isinstance(sent, dict):
        return True
    texts = [value for name, value in sent.items() if name != "assignUserRoles"]
    roles = sent.get("assignUserRoles") or []
    is_list = isinstance(roles, list) and all(isinstance(role, dict) for role in roles)
    return not is_list or not all(isinstance(text, str | None) for text in texts)


def _roles(errors: _Errors, sent: dict[str, Any], known: dict[str, Role], service: Service3) -> dict[str, Role]:
    """Read who gets which role."""
    granted: dict[str, Role] = {}
    if not isinstance(sent.get("assignUserRoles"), list):
        errors.add("AssignUserRoles", "The list of roles is missing.")
        return granted
    for entry in sent["assignUserRoles"]:
        login, role = str(entry.get("username")), known.get(str(entry.get("role")))
        if service.accounts.get(login) is None or role is None:
            errors.add("AssignUserRoles", "There is no such user or role.")
        else:
            granted[login] = role
    return granted


def create_study(service: Service3, account: Account, _request: Request, sent: Any) -> Response:
    """Create a study. Where the database refuses one, that is a success without an OID."""
    if _is_broken(sent):
        return html(500)
    errors = _Errors("Study Object")
    granted = _roles(errors, sent, _STUDY_ROLES, service)
    _check_study(errors, service, account, sent)
    if errors.found:
        return errors.refusal(sent)
    if not sent["expectedTotalEnrollment"].isdigit():
        return html(500)
    unique_id, oid = sent["uniqueProtocolID"], None
    if len(unique_id) <= LONGEST_ID and len(sent["briefSummary"]) <= LONGEST_SUMMARY:
        oid = service.free_oid("S", unique_id)
        made = Study(
            oid=oid,
            name=sent["briefTitle"],
            unique_id=unique_id,
            description=sent["briefSummary"],
            status="AVAILABLE" if sent.get("status") == "available" else "DESIGN",
        )
        service.further_studies.append(made)
        for login, role in {**granted, account.login: Role.DATA_MANAGER}.items():
            service.grant(login, oid, role)
    return json({"message": "SUCCESS", "uniqueProtocolID": unique_id, "studyOid": oid})


def _check_study(errors: _Errors, service: Service3, account: Account, sent: dict[str, Any]) -> None:
    errors.missing(sent, _STUDY_FIELDS)
    if account.user_type not in ADMINISTRATORS:
        errors.add("Account", "You do not have sufficient privileges to create a study.")
    if sent.get("protocolType") not in {None, "", "Interventional", "Observational"}:
        errors.add("ProtocolType", "The protocol type is neither Interventional nor Observational.")
    if sent.get("startDate") and not _DATE.fullmatch(sent["startDate"]):
        errors.add("StartDate", "The start date is not yyyy-MM-dd.")
    if sent.get("status") not in {None, "", "available", "design"}:
        errors.add("Status", "The status is neither available nor design.")
    if any(study.unique_id == sent.get("uniqueProtocolID") for study in service.studies()):
        errors.add("UniqueProtocolId", "Unique Protocol Id exist in the System")


def create_site(service: Service3, account: Account, request: Request, sent: Any) -> Response:
    """Create a site of a study."""
    if _is_broken(sent) or not str(sent.get("expectedTotalEnrollment", "")).lstrip("-").isdigit():
        return html(500)
    errors = _Errors("Site Object")
    granted = _roles(errors, sent, _SITE_ROLES, service)
    study = _study(service, request)
    if study is None:
        errors.add("UniqueProtocolId", "There is no such study.")
    elif account.roles.get(study.oid) != Role.DATA_MANAGER or study.oid in account.removed_roles:
        errors.add("Account", "You do not have sufficient privileges to create a site.")
    _check_site(errors, service, sent)
    if errors.found or study is None:
        echoed = {"secondaryProId" if name == "secondaryProtocolID" else name: sent[name] for name in sent}
        return errors.refusal(echoed)
    unique_id = sent["uniqueProtocolID"]
    site = Site(oid=service.free_oid("S", unique_id), name=sent["briefTitle"], unique_id=unique_id)
    service.change_study(replace(study, sites=(*study.sites, site)))
    for login, role in granted.items():
        service.grant(login, site.oid, role)
    return json({"message": "SUCCESS", "siteOid": site.oid, "uniqueSiteProtocolID": unique_id})


def _check_site(errors: _Errors, service: Service3, sent: dict[str, Any]) -> None:
    errors.missing(sent, _SITE_FIELDS)
    if sent.get("startDate") and not _DATE.fullmatch(sent["startDate"]):
        errors.add("StartDate", "The start date is not yyyy-MM-dd.")
    if int(sent["expectedTotalEnrollment"]) <= 0:
        errors.add("ExpectedTotalEnrollment", "The expected enrollment is not above 0.")
    unique_id = sent.get("uniqueProtocolID") or ""
    errors.too_long(sent, _SITE_LENGTHS)
    if any((place.site or place.study).unique_id == unique_id for place in service.places()):
        errors.add("UniqueProtocolId", "Unique Protocol Id exist in the System")


def create_event_definition(service: Service3, account: Account, request: Request, sent: Any) -> Response:
    """Create an event. A refusal is a 200 too, and gives no reasons."""
    if _is_broken(sent):
        return html(500)
    study = _study(service, request)
    is_good = (
        study is not None
        and account.user_type in ADMINISTRATORS
        and all(sent.get(name) for name in _EVENT_FIELDS)
        and sent["repeating"] in {"true", "false"}
        and sent["type"] in {"Scheduled", "UnScheduled", "Common"}
    )
    if study is None or not is_good:
        return json({"message": _REFUSED, "name": sent.get("name"), "eventDefOid": None})
    oid = service.free_oid("SE", sent["name"])
    event = EventDefinition(
        oid=oid,
        name=sent["name"],
        common=sent["type"] == "Common",
        repeating=sent["repeating"] == "true",
        forms={},
    )
    service.change_study(replace(study, events={**study.events, oid: event}))
    return json({"message": "SUCCESS", "name": sent["name"], "eventDefOid": oid})


def create_account(service: Service3, _account: Account, _request: Request, sent: Any) -> Response:
    """Create an account, whoever asks for it. A login that exists is a 200 with nothing in it."""
    if not isinstance(sent, dict) or any(sent.get(name) is None for name in ("username", "role_name", "user_type")):
        return html(500)
    fields = {name: str(value).strip() for name, value in sent.items()}
    place = next(
        (place for place in service.places() if (place.site or place.study).name == fields.get("study_name")), None
    )
    roles = _SITE_ROLES if place and place.site else _STUDY_ROLES
    role = roles.get(fields["role_name"])
    if not all(fields.get(name) for name in _USER_FIELDS) or place is None or role is None:
        return json({}, status=400)
    login = fields["username"]
    if service.accounts.get(login):
        return Response(status_code=200)
    made = Account(
        login=login,
        password=secrets.token_urlsafe(9),
        roles={place.oid: role},
        active_study=place.oid,
        user_type=fields["user_type"],
        locked=True,
        soap=fields.get("authorize_soap") == "true",
    )
    service.accounts.add(made)
    return json(
        {
            "username": login,
            "password": made.password,
            "firstName": fields["fName"],
            "lastName": fields["lName"],
            "apiKey": service.tokens.api_key(login),
        }
    )


def _study(service: Service3, request: Request) -> Study | None:
    unique_id = request.path_params["unique_id"]
    return next((study for study in service.studies() if study.unique_id == unique_id), None)

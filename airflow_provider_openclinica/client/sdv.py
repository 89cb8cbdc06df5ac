"""Source data verification: the items of one form as a monitor sees them, with what has been verified and what not.

    form = client.sdv.form("S_JUNO", "SE_BASELINE", "F_VITALS", "BOS-001")
    [item.label for item in form.items if item.sdv_status != "VERIFIED"]

No call sets anything here: an import does, with ``OpenClinica:SdvStatus``. The vendor does not document the call, so a
server may lack it (docs/protocol.md, sdv). What comes holds clinical values, a participant's ID and names of users;
the representation of these classes shows none of that, so it may be logged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.client.addresses import api_path
from airflow_provider_openclinica.client.answers import raise_for
from airflow_provider_openclinica.client.jobs import moment_of
from airflow_provider_openclinica.errors import ConfigurationError, NotAvailableError, UnexpectedAnswerError

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_openclinica.client.answers import Answer
    from airflow_provider_openclinica.client.http import Http

FORM_BYTES = 64 << 20  #: of an answer: a form with long repeating groups and long texts


@dataclass(frozen=True, slots=True, kw_only=True)
class SdvItem:
    """A value of a form and where its verification stands.

    :param item_data_id: number of the stored value in the server's database.
    :param item_id: number of the item there.
    :param name: of the item, as the form calls it; with the item group's name it says which item it is.
    :param ordinal: which repeat of its group it stands in.
    :param value: as a person sees it: the labels of chosen codes.
    :param sdv_status: ``NOT_VERIFIED``, ``VERIFIED``, ``CHANGED_SINCE_VERIFIED``.
    :param last_modified: in UTC; None where the server does not say.
    :param last_modified_by: login of the account that changed it last, with its names beside.
    """

    item_data_id: int | None
    item_id: int | None
    name: str
    label: str
    description: str
    brief_description: str
    item_group_name: str
    ordinal: int | None
    repeating_group: bool
    value: str = field(repr=False)
    sdv_status: str
    open_queries: int
    calculated: bool
    last_modified: datetime | None
    last_modified_by: str = field(repr=False)
    last_modified_by_first_name: str = field(repr=False)
    last_modified_by_last_name: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SdvForm:
    """A form of one participant, and its items.

    :param event_start_date: as the server writes it, ``05-Jan-2026`` or ``05-Jan-2026 14:30``, in its own time zone.
    :param sdv_requirement: what the study wants verified of this form, in the server's words.
    :param sdv_status: ``NOT_VERIFIED``, ``VERIFIED``, ``CHANGED_SINCE_VERIFIED``.
    :param last_verified: in UTC; None where it never was.
    :param items: those asked for, in the server's order.
    """

    participant_id: str = field(repr=False)
    site_id: str
    event_name: str
    event_start_date: str = field(repr=False)
    event_ordinal: int | None
    repeating_event: bool
    form_name: str
    form_status: str
    sdv_requirement: str
    sdv_status: str
    last_verified: datetime | None
    items: tuple[SdvItem, ...] = field(repr=False)


class Sdv:
    """Source data verification in one OpenClinica."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def form(
        self,
        study_oid: str,
        study_event_oid: str,
        form_oid: str,
        participant_id: str,
        *,
        occurrence: int = 1,
        changed_only: bool = False,
    ) -> SdvForm:
        """Read what of one completed form is verified.

        :param study_oid: OID of the study, or of a site for an account that has its role there; letter case matters.
        :param participant_id: the participant's ID, as in the study.
        :param occurrence: which visit of a repeating event, from 1.
        :param changed_only: only items that were changed since they were verified.
        :raises ConfigurationError: ``occurrence`` is not above 0; nothing was sent.
        :raises NotFoundError: no such study, participant, event or form; or the participant has no such visit.
        :raises RoleError: at a study only data managers and monitors may ask, at a site all its roles; or the form is
            hidden from this role.
        :raises NotAvailableError: the form is not complete, the participant is removed, this server has no such call,
            or it failed: which is also its answer where the form was never begun in that visit, and where it cannot
            serve accounts that come with a token.
        """
        doing = "the verification of a form"
        if occurrence < 1:
            raise ConfigurationError("occurrence is not a whole number from 1", study=study_oid)
        path = api_path(
            *("sdv", "studies", study_oid, "events", study_event_oid, "occurrences", str(occurrence)),
            *("forms", form_oid, "participants", participant_id, "sdvItems"),
        )
        params = {"changedAfterSdvOnlyFilter": "y" if changed_only else "n"}
        answer = self._http.get(path, doing=doing, params=params, most=FORM_BYTES, study=study_oid)
        _raise_for(answer, doing, study_oid)
        try:
            return _form(answer.json)
        except (TypeError, KeyError, AttributeError, ValueError):
            raise UnexpectedAnswerError(f"OpenClinica answered {doing} with something else", study=study_oid) from None


def _raise_for(answer: Answer, doing: str, study: str) -> None:
    if answer.is_absent:
        raise NotAvailableError(
            "This OpenClinica does not tell what is verified",
            study=study,
            status=answer.status,
            next_step="Look at it on the web page; oc:SdvStatus in retrieved ODM tells it for whole forms.",
        )
    if answer.is_breakdown:
        raise NotAvailableError(
            f"OpenClinica failed at {doing}",
            study=study,
            status=answer.status,
            meaning="it does so where the form was never begun in that visit, and perhaps for every account that comes "
            "with a token",
            next_step="Look on the web page whether the form was begun; if it was, ask support.",
        )
    raise_for(answer, doing, study=study)


def _form(told: dict[str, Any]) -> SdvForm:
    return SdvForm(
        participant_id=_text(told, "participantId"),
        site_id=_text(told, "siteId"),
        event_name=_text(told, "eventName"),
        event_start_date=_text(told, "eventStartDate"),
        event_ordinal=told.get("eventOrdinal"),
        repeating_event=_flag(told, "repeatingEvent"),
        form_name=_text(told, "formName"),
        form_status=_text(told, "formStatus"),
        sdv_requirement=_text(told, "sdvRequirement"),
        sdv_status=_text(told, "sdvStatus"),
        last_verified=moment_of(told.get("lastVerifiedDate")),
        items=tuple(_item(item) for item in told["sdvItems"]),
    )


def _item(told: dict[str, Any]) -> SdvItem:
    return SdvItem(
        item_data_id=told.get("itemDataId"),
        item_id=told.get("itemId"),
        name=_text(told, "name"),
        label=_text(told, "label"),
        description=_text(told, "description"),
        brief_description=_text(told, "briefDescription"),
        item_group_name=_text(told, "itemGroupName"),
        ordinal=told.get("ordinal"),
        repeating_group=_flag(told, "repeatingGroup"),
        value=_text(told, "value"),
        sdv_status=_text(told, "sdvStatus"),
        open_queries=int(told.get("openQueriesCount") or 0),
        calculated=_flag(told, "calculateItem"),
        last_modified=moment_of(told.get("lastModifiedDate")),
        last_modified_by=_text(told, "lastModifiedUserName"),
        last_modified_by_first_name=_text(told, "lastModifiedUserFirstName"),
        last_modified_by_last_name=_text(told, "lastModifiedUserLastName"),
    )


def _text(told: dict[str, Any], name: str) -> str:
    """Return a text; ``""`` for null. A flag or number that a server puts in its place is spelled out."""
    return "" if told.get(name) is None else str(told[name])


def _flag(told: dict[str, Any], name: str) -> bool:
    """Return a switch, which may come as a boolean or in words."""
    return str(told.get(name)).casefold() in {"true", "yes", "y", "1"}

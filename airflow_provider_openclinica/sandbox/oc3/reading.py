"""What a study is made of, and what is stored in it: XML or JSON (docs/protocol3.md, clinical data)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, Response, StreamingResponse

from airflow_provider_openclinica.sandbox.answers import Answered, html, page
from airflow_provider_openclinica.sandbox.data import ClinicalStore
from airflow_provider_openclinica.sandbox.metadata import END
from airflow_provider_openclinica.sandbox.oc3.design import opening
from airflow_provider_openclinica.sandbox.oc3.export import Exporter3
from airflow_provider_openclinica.sandbox.oc3.pages import logged_in
from airflow_provider_openclinica.sandbox.oc3.service import has_active_role, service_of
from airflow_provider_openclinica.sandbox.odm_extras import INDENT
from airflow_provider_openclinica.sandbox.odm_json import Converter, Unreadable, json_document
from airflow_provider_openclinica.sandbox.odm_text import text
from airflow_provider_openclinica.sandbox.people import People
from airflow_provider_openclinica.sandbox.retrieve import ALL, Breakdown, Section
from airflow_provider_openclinica.sandbox.routes_retrieve import encoded

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from starlette.requests import Request

    from airflow_provider_openclinica.sandbox.accounts import Account
    from airflow_provider_openclinica.sandbox.oc3.service import Service3
    from airflow_provider_openclinica.sandbox.service import Place

KINDS = {"xml", "json"}
_EVENT = re.compile(r"(?P<oid>[^\[\]]*)(?:\[(?P<ordinal>\d+)\])?", re.ASCII)


class Unsupported(Exception):  # noqa: N818 - not a failure of the sandbox, but of the server it plays
    """The server makes nothing of this combination: 204 or 500."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is to be written, found before the first byte of the answer.

    :param sections: one for the only participant, or one for each place that has any.
    """

    service: Service3
    place: Place
    base: str
    sections: Sequence[Section] = ()
    form: str = ALL
    audits: bool = False
    notes: bool = False

    @property
    def people(self) -> People:
        """Give those who are named."""
        return People(self.service.accounts.logins())

    def opening(self) -> str:
        """Write the design, up to where clinical data stand."""
        return opening(self.place.study, self.place.oid, self.base, self.people)

    def exporter(self, db: sqlite3.Connection) -> Exporter3:
        """Give what writes participants; one found by OID may be of another study."""
        owner = self.service.place(self.sections[0].study_oid) if self.sections else None
        return Exporter3(
            db=db,
            store=ClinicalStore(db),
            study=(owner or self.place).study,
            people=self.people,
            form=self.form,
            audits=self.audits,
            notes=self.notes,
        )


def metadata(request: Request) -> Response:
    """Give the design of a study; event and form are asked for and do not count."""
    service, account = service_of(request), logged_in(request)
    wanted = request.path_params
    if wanted["kind"] not in KINDS:
        return html(404)
    if wanted["study"] == ALL:
        if wanted.get("event") != ALL or wanted.get("form", ALL) == ALL:
            return html(500)
        wanted = {**wanted, "study": service.study.oid}
    place = _allowed(service, account, wanted["study"])
    reading = Reading(service=service, place=place, base=str(request.base_url))
    if wanted["kind"] == "json":
        return _json_answer(reading, "en")
    return _xml_answer(reading)


def clinical_data(request: Request) -> Response:
    """Give clinical data, behind the design that always comes with them."""
    service, account = service_of(request), logged_in(request)
    is_json = request.path_params["kind"] == "json"
    if request.path_params["kind"] not in KINDS:
        return html(404)
    if request.path_params["study"] == ALL:
        return html(500)
    place = _allowed(service, account, request.path_params["study"])
    try:
        reading = _find(request, service, account, place)
        if is_json:
            return _json_answer(reading, request.headers.get("accept-language", ""))
        return _xml_answer(reading)
    except Unsupported:
        return Response(status_code=204) if is_json else html(500)
    except (Breakdown, Unreadable):
        return html(500)


def print_page(request: Request) -> Response:
    """Give a page that a browser would fill."""
    _allowed(service_of(request), logged_in(request), request.path_params["study"])
    return HTMLResponse(page("Print", "<div id='print'></div>"))


def too_short(request: Request) -> Response:
    """Break down, as the filter does where a path ends too early."""
    logged_in(request)
    return html(500)


def keyed_clinical_data(request: Request, account: Account) -> Response:
    """Give clinical data as JSON to whoever has a key; whatever is wrong is a 500."""
    service = service_of(request)
    place = service.place(request.path_params["study"])
    if place is None:
        return html(500)
    try:
        reading = _find(request, service, account, place)
        return _json_answer(reading, request.headers.get("accept-language", ""))
    except (Unsupported, Breakdown, Unreadable):
        return html(500)


def _allowed(service: Service3, account: Account, oid: str) -> Place:
    """Find a study or site in which the account has a role, be it one that was taken away.

    :raises Answered: there is none, or no role in it.
    """
    place = service.place(oid)
    if place is None:
        raise Answered(html(500))
    if not account.role_in(place.oid, place.study.oid):
        raise Answered(html(403))
    return place


def _find(request: Request, service: Service3, account: Account, place: Place) -> Reading:
    wanted, event, form = (request.path_params[name] for name in ("participant", "event", "form"))
    if not has_active_role(account, place):
        raise Unsupported
    if (wanted == ALL and (event, form) != (ALL, ALL)) or (event == ALL and form != ALL):
        raise Unsupported
    with service.state.reading() as db:
        sections = _sections(db, place, wanted)
    selector = _EVENT.fullmatch(event)
    if event != ALL and (selector is None or selector["oid"] not in place.study.events):
        raise Breakdown
    return Reading(
        service=service,
        place=place,
        base=str(request.base_url),
        sections=sections,
        form=form,
        audits=_wants(request, "includeAudits"),
        notes=_wants(request, "includeDNs"),
    )


def _sections(db: sqlite3.Connection, place: Place, wanted: str) -> list[Section]:
    """Find everybody, or a participant by OID wherever that is, or by label in the place that was asked for."""
    if wanted == ALL:
        scope = [place.oid] if place.site else [place.oid, *(site.oid for site in place.study.sites)]
        return [Section(oid) for oid in scope if next(Section(oid).participants(db), None)]
    store = ClinicalStore(db)
    named = store.participants_by_id(wanted, place.study.scope(place.oid))
    participant = store.participant_by_oid(wanted) or next(iter(named), None)
    if participant is None:
        raise Breakdown
    return [Section(participant.site_oid, participant)]


def _wants(request: Request, flag: str) -> bool:
    return request.query_params.get(flag, "").lower() in {"y", "yes"}


def _xml_answer(reading: Reading) -> Response:
    """Send XML: in UTF-8 by name, in fact ASCII, with a reference for each other character."""
    pieces = encoded(_xml(reading), "ascii", "xmlcharrefreplace")
    return StreamingResponse(pieces, headers={"Content-Type": "text/xml;charset=UTF-8"})


def _xml(reading: Reading) -> Iterator[str]:
    yield reading.opening()
    with reading.service.state.reading() as db:
        exporter = reading.exporter(db)
        for section in reading.sections:
            yield f'{INDENT}<ClinicalData StudyOID="{text(section.study_oid)}" MetaDataVersionOID="null">\n'
            for participant in section.participants(db):
                yield from exporter.subject(participant)
            yield f"{INDENT}</ClinicalData>\n"
    yield END


def _json_answer(reading: Reading, language: str) -> Response:
    """Send JSON; the document is made as a whole before its first byte goes out."""
    document = "".join(_json(reading, language))
    return Response(document.encode(), headers={"Content-Type": "application/json;charset=UTF-8"})


def _json(reading: Reading, language: str) -> Iterator[str]:
    converter = Converter(reading.opening(), language)
    with reading.service.state.reading() as db:
        exporter = reading.exporter(db)

        def subjects(section: Section) -> Iterator[Any]:
            for participant in section.participants(db):
                yield converter.subject("".join(exporter.subject(participant)))

        sections = ((section.study_oid, subjects(section)) for section in reading.sections)
        yield from json_document(converter.head, sections, several=len(reading.sections) > 1)

"""What a study is made of, and what is stored in it: XML or JSON (docs/protocol.md, studies and clinical data)."""

from __future__ import annotations

import codecs
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from starlette.responses import StreamingResponse

from airflow_provider_openclinica.sandbox.access import wants
from airflow_provider_openclinica.sandbox.answers import accepted, html
from airflow_provider_openclinica.sandbox.data import ClinicalStore
from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.metadata import END, odm_opening
from airflow_provider_openclinica.sandbox.odm_export import Exporter
from airflow_provider_openclinica.sandbox.odm_extras import INDENT
from airflow_provider_openclinica.sandbox.odm_json import Converter, Unreadable, json_document
from airflow_provider_openclinica.sandbox.odm_text import text
from airflow_provider_openclinica.sandbox.people import People
from airflow_provider_openclinica.sandbox.retrieve import Breakdown, EventSelection, FormSelection, Section, Selectors

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator, Iterable, Iterator

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from airflow_provider_openclinica.sandbox.accounts import Account
    from airflow_provider_openclinica.sandbox.service import Place, Service

XML, JSON = "application/xml", "application/json"
CHUNK = 1 << 16
KEPT_IN_MEMORY = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """What is to be written, found before the first byte of the answer."""

    service: Service
    opening: str
    people: People
    sections: list[Section]
    events: EventSelection
    forms: FormSelection
    audits: bool
    notes: bool

    def exporter(self, db: sqlite3.Connection) -> Exporter:
        """Give what writes it."""
        return Exporter(
            db=db,
            store=ClinicalStore(db),
            study=self.service.study,
            people=self.people,
            events=self.events,
            forms=self.forms,
            audits=self.audits,
            notes=self.notes,
        )


def retrieve(request: Request) -> Response:
    """Give metadata, clinical data or both."""
    service: Service = request.app.state.service
    account = service.identify(request)
    media_type, _ = accepted(request)
    if media_type not in {XML, JSON, "*/*", ""}:
        return html(406)
    place = service.place(request.path_params["study"])
    if place is None:
        return html(500)
    try:
        retrieval = _find(request, service, account, place)
        if media_type == XML:
            return _answer(request, XML, _xml(retrieval))
        return _answer(request, JSON, _spooled(_json(retrieval, request.headers.get("accept-language", ""))))
    except (Breakdown, Unreadable):
        return html(500)


def _find(request: Request, service: Service, account: Account, place: Place) -> Retrieval:
    is_docs = service.dialect is Dialect.DOCS
    selectors = Selectors(*(request.path_params[name] for name in ("participant", "event", "form")))
    has_role = account.role_in(place.oid, place.study.oid) is not None
    wants_data = _wants_either(request, service.dialect, "clinicaldata", "clinicalData", default="y")
    sections: list[Section] = []
    events = EventSelection()
    if has_role and selectors.is_answerable and wants_data:
        events = selectors.events()
        with service.state.reading() as db:
            sections = selectors.sections(db, place)
        if sections and account.active_study is None:
            raise Breakdown
    metadata = wants(request, "includeMetadata", "n" if is_docs else "y")
    people = People(service.accounts.logins())
    base = str(request.base_url)
    return Retrieval(
        service=service,
        opening=odm_opening(service.study, place.oid, base, metadata=metadata, people=people.all()),
        people=people,
        sections=sections,
        events=events,
        forms=FormSelection(selectors.form, service.dialect, archived=wants(request, "showArchived")),
        audits=wants(request, "includeAudits"),
        notes=_wants_either(request, service.dialect, "includeDNs", "includeDN", default="n"),
    )


def _wants_either(request: Request, dialect: Dialect, name: str, documented: str, *, default: str) -> bool:
    """Read a flag that the documents spell in two ways and the source in one."""
    if dialect is Dialect.DOCS and name not in request.query_params:
        return wants(request, documented, default)
    return wants(request, name, default)


def _xml(retrieval: Retrieval) -> Generator[str]:
    yield retrieval.opening
    with retrieval.service.state.reading() as db:
        exporter = retrieval.exporter(db)
        for section in retrieval.sections:
            yield f'{INDENT}<ClinicalData StudyOID="{text(section.study_oid)}" MetaDataVersionOID="null">\n'
            for participant in section.participants(db):
                yield from exporter.subject(participant, found=not section.is_empty)
            yield f"{INDENT}</ClinicalData>\n"
    yield END


def _json(retrieval: Retrieval, language: str) -> Iterator[str]:
    converter = Converter(retrieval.opening, language)
    with retrieval.service.state.reading() as db:
        exporter = retrieval.exporter(db)
        sections = ((section.study_oid, _subjects(section, exporter, converter)) for section in retrieval.sections)
        yield from json_document(converter.head, sections, several=len(retrieval.sections) > 1)


def _subjects(section: Section, exporter: Exporter, converter: Converter) -> Iterator[Any]:
    for participant in section.participants(exporter.db):
        yield converter.subject("".join(exporter.subject(participant, found=not section.is_empty)))


def _spooled(pieces: Iterable[str]) -> Generator[str]:
    """Keep a document until it is whole, as the server does: a part that cannot be written spoils all of it."""
    with ExitStack() as stack:
        kept = stack.enter_context(
            tempfile.SpooledTemporaryFile(KEPT_IN_MEMORY, "w+", encoding="utf-8", errors="surrogatepass")
        )
        for piece in pieces:
            kept.write(piece)
        kept.seek(0)
        return _read(kept, stack.pop_all())


def _read(kept: IO[str], until_read: ExitStack) -> Generator[str]:
    with until_read:
        while piece := kept.read(CHUNK):
            yield piece


def _answer(request: Request, media_type: str, pieces: Generator[str]) -> Response:
    """Send a document in the charset that ``Accept`` names.

    Where it names none, the source writes Latin-1 with a question mark for all else, and says so; the documented
    servers write UTF-8 and do not name it.
    """
    service: Service = request.app.state.service
    _, charset = accepted(request)
    content_type = f"{media_type};charset={charset}"
    if service.dialect is Dialect.DOCS and "charset" not in request.headers.get("accept", "").lower():
        charset, content_type = "utf-8", media_type
    return Streamed(pieces, charset, content_type)


class Streamed(StreamingResponse):
    """Sends a document, and ends what writes it as soon as nobody reads on.

    Left to the garbage collector, that would happen later, and in two threads at once.
    """

    def __init__(self, pieces: Generator[str], charset: str, content_type: str) -> None:
        super().__init__(encoded(pieces, charset), headers={"Content-Type": content_type})
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, or as much of it as somebody takes."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._pieces.close()


def encoded(pieces: Iterable[str], charset: str, errors: str = "replace") -> Iterator[bytes]:
    """Encode a document, and give it in portions that are worth sending.

    :param errors: what becomes of characters that the charset lacks, as Python's codecs call it.
    """
    encoder = codecs.getincrementalencoder(charset)(errors)
    waiting: list[str] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield encoder.encode("".join(waiting))
            waiting, size = [], 0
    yield encoder.encode("".join(waiting), final=True)

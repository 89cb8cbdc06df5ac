"""Clinical data and metadata as ODM.

    clinicaldata.retrieve(study_oid, participant="SS_A1")    one participant; ``with`` holds the connection open
    clinicaldata.metadata(study_oid)                         events, forms, items, and the sites

By a session it is XML, by an API key JSON, in which dates are rewritten (docs/protocol3.md, clinical data). Metadata
stand before the data in either, wanted or not, and so does what was removed. An event that is asked for does not keep
others out: whoever asks has to select.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from airflow_provider_openclinica.client.addresses import api_path
from airflow_provider_openclinica.client.http import About
from airflow_provider_openclinica.client.transport import keep_out_of_logs
from airflow_provider_openclinica.errors import ConfigurationError, NotFoundError, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from airflow_provider_openclinica.client.answers import Answer
    from airflow_provider_openclinica.client.http import StreamedAnswer
    from airflow_provider_openclinica.client.openclinica3.apikey import Api
    from airflow_provider_openclinica.client.openclinica3.session import Session
    from airflow_provider_openclinica.client.openclinica3.settings import Settings3

EVERYTHING = "*"
keep_out_of_logs("/rest/clinicaldata/")  # such an address can name a participant
_ONE_EVENT = re.compile(r"[^\s,\[\]*]+(?:\[[1-9][0-9]*\])?")
_TAGS = re.compile(rb"""<(Study|ClinicalData)\s(?:[^<>]*?\s)?(?:Study)?OID\s*=\s*["']([^"'<>]*)["']""")
_KEYS = re.compile(rb'"@(OID|StudyOID)"\s*:\s*"([^"]*)"')
_OVERLAP = 2048  #: bytes of a chunk that are looked at again with the next one


class Document:
    """An ODM document that is being received, as `http.StreamedAnswer` gives one.

    At its end it is an error if it holds data of a study that nobody asked for: OpenClinica 3 answers about a
    participant of any study (docs/protocol3.md, clinical data).
    """

    def __init__(self, streamed: StreamedAnswer, study_oid: str, pattern: re.Pattern[bytes]) -> None:
        self._streamed, self._study_oid, self._pattern = streamed, study_oid, pattern

    @property
    def answer(self) -> Answer:
        """Status and headers."""
        return self._streamed.answer

    @property
    def charset(self) -> str:
        """How the body is encoded, as the server says it; ``""`` where it says nothing."""
        return self._streamed.charset

    def chunks(self) -> Iterator[bytes]:
        """Yield the whole document.

        :raises NotFoundError: it holds data of another study. What came has been yielded by then.
        :raises ServerUnavailableError: the connection broke.
        """
        known, found, tail = {self._study_oid}, set[str](), b""
        for chunk in self._streamed.chunks():
            for kind, oid in self._pattern.findall(tail + chunk):
                holds_data = kind in {b"ClinicalData", b"StudyOID"}
                (found if holds_data else known).add(oid.decode("utf-8", "replace"))
            tail = (tail + chunk)[-_OVERLAP:]
            yield chunk
        if found - known:
            raise NotFoundError(
                "OpenClinica answered with data of another study",
                study=self._study_oid,
                meaning="the participant is in none of its sites",
                next_step="Name the study, or the site, that the participant is in.",
            )


class ClinicalData3:
    """What is read as ODM.

    :param session: takes the turn at the server and logs in, for the length of a ``with``.
    """

    def __init__(self, settings: Settings3, session: Callable[[], AbstractContextManager[Session]], api: Api) -> None:
        self._settings, self._new_session, self._api = settings, session, api

    @contextmanager
    def retrieve(
        self,
        study_oid: str,
        *,
        participant: str = EVERYTHING,
        event: str = EVERYTHING,
        form: str = EVERYTHING,
        format: Literal["xml", "json"] = "xml",  # noqa: A002 - the word that everybody has for it
        include_metadata: bool = True,  # noqa: ARG002 - as in OpenClinica 4; here they always come
        include_clinical_data: bool = True,
        include_audits: bool = False,
        include_queries: bool = False,
        show_archived: bool = True,  # noqa: ARG002 - as in OpenClinica 4; here it always comes
        session: Session | None = None,
    ) -> Iterator[Document]:
        """Ask for clinical data. It takes what OpenClinica 4's takes, so that the same code pulls from both.

        :param study_oid: OID of the study, or of a site; never ``*``.
        :param participant: OID, better than the ID; ``*`` for all of the study and its sites.
        :param event: OID of one event, ``SE_VISIT[2]`` for one occurrence; several, divided by commas, are asked for
            as ``*``. All events of the participant come in any case.
        :param form: OID of a form version, of one event.
        :param format: ``xml`` by session, ``json`` by API key.
        :param include_clinical_data: ``False``: metadata only.
        :param include_audits: who changed it when, too.
        :param include_queries: notes, too.
        :param session: one that has begun; without it one is begun and ended.
        :raises ConfigurationError: OpenClinica does not take these selectors together, or not in this format.
        :raises OpenClinicaError: as ``Session.stream`` and ``Api.stream`` do; NotFoundError at the end of the document
            where it is about another study.

        docs/protocol3.md, clinical data.
        """
        if format not in ("xml", "json"):
            raise ConfigurationError("format is neither 'xml' nor 'json'")
        if not include_clinical_data:
            with self.metadata(study_oid, session=session) as document:
                yield document
            return
        event = EVERYTHING if "," in event and form == EVERYTHING else event
        check_selectors(study_oid, participant, event, form)
        self._check_format(format)
        where = "/".join(quote(part.strip(), safe="*") for part in (study_oid, participant, event, form))
        params = {"includeDNs": "ny"[include_queries], "includeAudits": "ny"[include_audits]}
        about = About(doing="clinical data", study=study_oid)
        if format == "json":
            with self._api.stream(f"/v1/clinicaldata/json/view/{where}", about, params) as streamed:
                yield Document(streamed, study_oid, _KEYS)
            return
        path = f"/rest/clinicaldata/xml/view/{where}"
        with self._in(session) as own, own.stream(path, about, params) as streamed:
            yield Document(streamed, study_oid, _TAGS)

    @contextmanager
    def metadata(self, study_oid: str, *, session: Session | None = None) -> Iterator[Document]:
        """Ask for a study's metadata, XML; ``with`` holds the connection open.

        :param study_oid: OID of the study, whose sites it then tells too, or of a site.
        :param session: one that has begun; without it one is begun and ended.
        :raises OpenClinicaError: as ``Session.stream`` does.
        """
        if study_oid.strip() in {"", EVERYTHING}:
            raise ConfigurationError("The selector study_oid is empty or *, and OpenClinica 3 wants one study")
        about = About(doing="the metadata of a study", study=study_oid)
        with self._in(session) as open_session:
            path = f"/rest/metadata/xml/view{api_path(study_oid)}"
            with open_session.stream(path, about) as streamed:
                if "xml" not in streamed.answer.headers.get("Content-Type", "").lower():
                    raise UnexpectedAnswerError("The metadata of a study are no XML", study=study_oid)
                yield Document(streamed, study_oid, _TAGS)

    def _check_format(self, format: str) -> None:  # noqa: A002
        by_key = self._settings.read_by == "api_key"
        if by_key and format == "xml":
            raise ConfigurationError(
                "By API key, OpenClinica 3 gives JSON only",
                next_step="Set format='json', or read_by to session in the connection's extra.",
            )
        if not by_key and format == "json":
            raise ConfigurationError(
                "By session, this package reads XML only: OpenClinica 3 rewrites what looks like a date in JSON",
                next_step="Set format='xml', or read_by to api_key in the connection's extra.",
            )

    @contextmanager
    def _in(self, session: Session | None) -> Iterator[Session]:
        if session is not None:
            yield session
            return
        with self._new_session() as own:
            yield own


def check_selectors(study_oid: str, participant: str, event: str, form: str) -> None:
    """Refuse what OpenClinica 3 answers with status 204 or 500.

    :raises ConfigurationError: a selector is empty, or they do not go together.
    """
    for name, selector in (("study_oid", study_oid), ("participant", participant), ("event", event), ("form", form)):
        if selector.strip() in {"", ".", ".."}:
            raise ConfigurationError(f"The selector {name} is empty, or only dots", next_step="Write * to select all.")
    if study_oid.strip() == EVERYTHING:
        raise ConfigurationError("study_oid is *, and OpenClinica 3 gives the data of one study at a time")
    if "/" in participant:
        raise ConfigurationError(
            "The participant's ID holds a slash, by which nobody can be addressed", next_step="Give the OID instead."
        )
    if participant == EVERYTHING and (event, form) != (EVERYTHING, EVERYTHING):
        raise ConfigurationError(
            "OpenClinica 3 gives events or forms of one participant only",
            next_step="Name a participant; or retrieve everything, and filter what comes.",
        )
    if event == EVERYTHING and form != EVERYTHING:
        raise ConfigurationError(
            "OpenClinica 3 gives a form of one event only",
            next_step="Name the event; or leave form at *, and filter what comes.",
        )
    if event != EVERYTHING and not _ONE_EVENT.fullmatch(event.strip()):
        raise ConfigurationError("The selector event is neither * nor the OID of one event")
    if form.strip() != EVERYTHING and not _ONE_EVENT.fullmatch(form.strip()):
        raise ConfigurationError("The selector form is neither * nor the OID of one form version")


def study_oids(document: Document) -> list[str]:
    """Return the OIDs of the studies that a document defines, in its order: the study, then its sites."""
    found, tail = dict[str, None](), b""
    for chunk in document.chunks():
        text = tail + chunk
        found.update((oid.decode(), None) for kind, oid in _TAGS.findall(text) if kind == b"Study")
        tail = text[-_OVERLAP:]
    return list(found)

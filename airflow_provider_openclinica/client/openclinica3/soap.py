"""What is written by SOAP, and a few lists.

    soap.studies()                            studies and sites that the account may see
    soap.participants(study)                  everybody in a study
    soap.participant_oid(study, label)        "SS_…"; "" for nobody
    soap.create_participant(study, person)    label of the new participant
    soap.schedule(study, visit)               ordinal of the new visit
    soap.import_odm(document)                 what the server says of an import

Envelopes and replies are made and read here: the published WSDL and the wire differ. A business failure comes with
status 200, and a reported success does not prove that anything was stored: the caller reads back
(docs/protocol3.md, web services). Nothing that writes is ever sent twice here.
"""

from __future__ import annotations

import logging
import re
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_openclinica.client.http import About
from airflow_provider_openclinica.client.openclinica3.envelopes import (
    Element,
    envelope,
    local_name,
    parsed,
    text_of,
    texts_of,
)
from airflow_provider_openclinica.client.openclinica3.web import Web, doubtful, failure, is_down
from airflow_provider_openclinica.errors import (
    CredentialsError,
    FileError,
    NotAvailableError,
    NotFoundError,
    OpenClinicaError,
    RoleError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lxml import etree

    from airflow_provider_openclinica.client.openclinica3.settings import Settings3

log = logging.getLogger(__name__)

_NOT_FOUND = re.compile(r'^StudySubject label you specified ".*" does not correspond to the study ".*"\.$', re.DOTALL)
_COUNTS = re.compile(r"(\d+) of (\d+) forms imported")
_TAKEN = re.compile(r"(label|subject).*\b(exists|already)\b", re.IGNORECASE | re.DOTALL)
_NO_SECOND = re.compile(r"cannot schedule an event for this subject", re.IGNORECASE)
_FILTERED = re.compile(r"do(es)? not (pass the upsert rules|have the correct status)", re.IGNORECASE)
_NO_SERVICES = "authorization is required to execute soap web services"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place3:
    """A study, or one of its sites.

    :param identifier: the study's unique protocol ID, by which all calls but the import name it.
    :param site_identifier: the site's; ``""``: the study itself.
    :param oid: OID of the site, or else of the study.
    """

    identifier: str
    oid: str
    name: str = ""
    site_identifier: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedParticipant3:
    """Somebody in the list of a study. Names of the fields as in OpenClinica 4, so that the same code reads both."""

    oid: str = field(repr=False)
    participant_id: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewParticipant:
    """Somebody to be enrolled. What is ``""`` is not sent.

    :param label: the participant's ID; ``""`` where the study numbers its participants.
    :param enrollment_date: ``2026-05-01``.
    :param person: ``secondary_label``, ``unique_identifier``, ``gender`` (``m`` or ``f``), ``date_of_birth``
        (``1970-12-31``) or ``year_of_birth``; the study says which of them are required.
    """

    label: str = field(default="", repr=False)
    enrollment_date: str
    person: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVisit:
    """A visit to be scheduled.

    :param label: the participant's ID.
    :param start_date: ``2026-05-01``.
    :param start_time: ``09:30``, without seconds; ``""`` for none.
    """

    label: str = field(repr=False)
    study_event_oid: str
    start_date: str
    start_time: str = ""
    end_date: str = ""
    end_time: str = ""
    location: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What the server says of an import; none of it proves anything.

    :param succeeded: the result is no failure.
    :param forms: how many forms it counts as imported, of how many; None where it does not say.
    :param filtered: it refused all there was by ``UpsertOn``, or by the state of the event.
    :param texts: its errors and warnings. They may quote values: to a file only, never to a log.
    """

    succeeded: bool
    forms: tuple[int, int] | None = None
    filtered: bool = False
    warnings: int = 0
    texts: tuple[str, ...] = field(default=(), repr=False)


class Soap:
    """The web services of one OpenClinica 3. No I/O before the first call."""

    def __init__(self, settings: Settings3, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._settings, self._sleep = settings, sleep
        self._places: dict[str, Place3] = {}

    def studies(self) -> list[Place3]:
        """List the studies and sites that the account may see, each study before its sites.

        :raises CredentialsError: login or password is refused.
        :raises RoleError: the account may not use web services.
        """
        reply = self._ask("study", Element("listAllRequest"), About(doing="the list of studies"))
        found = []
        for study in _all(reply, "study"):
            identifier = text_of(study, "identifier")
            found.append(Place3(identifier=identifier, oid=text_of(study, "oid"), name=text_of(study, "name")))
            found += [
                Place3(
                    identifier=identifier,
                    oid=text_of(site, "oid"),
                    name=text_of(site, "name"),
                    site_identifier=text_of(site, "identifier"),
                )
                for site in _all(study, "site")
            ]
        self._places = {place.oid: place for place in found}
        return found

    def place(self, study_oid: str, site_oid: str | None = None) -> Place3:
        """Find a study or site by its OID: these calls name them by identifiers. Asked for once by a process.

        :raises NotFoundError: the account sees no such study or site.
        """
        oid = site_oid or study_oid
        if oid not in self._places or study_oid not in self._places:
            self.studies()
        place, study = self._places.get(oid), self._places.get(study_oid)
        if place is None or study is None or place.identifier != study.identifier:
            raise NotFoundError(
                "OpenClinica lists no such study or site for this account", study=study_oid, site=site_oid or ""
            )
        return place

    def participants(self, place: Place3) -> list[ListedParticipant3]:
        """List everybody in a study and its sites, or in a site. The account needs a role in just that one.

        :raises NotAvailableError: refused; the answer does not say why.
        """
        about = About(doing="the list of participants", study=place.oid)
        request = Element("listAllByStudyRequest", _study_ref(place), deep=True)
        reply = self._ask("studySubject", request, about)
        return [
            ListedParticipant3(oid=text_of(one, "oid"), participant_id=text_of(one, "label"))
            for one in _all(reply, "studySubject")
        ]

    def participant_oid(self, place: Place3, label: str) -> str:
        """Look a participant up; return the OID, ``""`` for nobody of that ID.

        :raises NotAvailableError: the study, the role or the state of the study does not allow the question.
        """
        about = About(doing="a question about a participant", study=place.oid)
        request = Element("isStudySubjectRequest", Element("studySubject", Element("label", label), _study_ref(place)))
        reply = self._call("studySubject", request, about, repeat=True)
        if not _succeeded(reply):
            if any(_NOT_FOUND.match(error) for error in texts_of(reply, "error")):
                return ""
            raise _refusal(about)
        oid = text_of(reply, "subjectOID")
        if not oid:
            raise UnexpectedAnswerError("OpenClinica knows the participant, and gives no OID", study=place.oid)
        return oid

    def create_participant(self, place: Place3, new: NewParticipant) -> str:
        """Enrol a participant; return the ID that the server gave.

        :raises NotAvailableError: refused; with code ``exists`` where the ID is taken.
        :raises AmbiguousSubmitError: no answer came.
        """
        about = About(doing="the creation of a participant", study=place.oid)
        person = new.person
        subject = Element(
            "studySubject",
            *_given("label", new.label),
            *_given("secondaryLabel", person.get("secondary_label", "")),
            Element("enrollmentDate", new.enrollment_date),
            Element(
                "subject",
                *_given("uniqueIdentifier", person.get("unique_identifier", "")),
                *_given("gender", person.get("gender", "")),
                *_given("dateOfBirth", person.get("date_of_birth", "")),
                *_given("yearOfBirth", person.get("year_of_birth", "")),
            ),
            _study_ref(place),
        )
        reply = self._call("studySubject", Element("createRequest", subject), about)
        if not _succeeded(reply):
            raise _refusal(about, "exists" if _any_text(_TAKEN, reply) else "")
        return text_of(reply, "label") or new.label

    def schedule(self, place: Place3, visit: NewVisit) -> int:
        """Schedule a visit; return its ordinal. Each call makes another one, where the event repeats.

        :raises NotAvailableError: refused; with code ``exists`` where the event does not repeat and is there.
        :raises AmbiguousSubmitError: no answer came.
        """
        about = About(doing="the scheduling of an event", study=place.oid)
        event = Element(
            "event",
            Element("studySubjectRef", Element("label", visit.label)),
            _study_ref(place),
            Element("eventDefinitionOID", visit.study_event_oid),
            *_given("location", visit.location),
            Element("startDate", visit.start_date),
            *_given("startTime", visit.start_time),
            *_given("endDate", visit.end_date),
            *_given("endTime", visit.end_time),
        )
        reply = self._call("event", Element("scheduleRequest", event), about)
        if not _succeeded(reply):
            raise _refusal(about, "exists" if _any_text(_NO_SECOND, reply) else "")
        ordinal = text_of(reply, "studyEventOrdinal")
        if not ordinal.isdigit():
            raise UnexpectedAnswerError("OpenClinica scheduled an event, and does not say which", study=place.oid)
        return int(ordinal)

    def import_odm(self, odm: bytes, *, study_oid: str = "") -> Imported:
        """Send an import, as ``odm.import3`` writes it: an ODM element without a namespace.

        :raises FileError: its structure is not what the server reads.
        :raises AmbiguousSubmitError: no answer came.
        """
        about = About(doing="the import", study=study_oid)
        try:
            reply = self._call("data", Element("importRequest", raw=odm), about)
        except UnexpectedAnswerError as error:
            if error.status != 500:  # a fault is about the document; what is no SOAP is not
                raise
            raise FileError(
                "OpenClinica fails at the import", study=study_oid, status=error.status, code=error.code
            ) from None
        texts = (*texts_of(reply, "error"), *texts_of(reply, "warning"), *texts_of(reply, "rule_action_warning"))
        counts = _COUNTS.search(text_of(reply, "result"))
        return Imported(
            succeeded=_succeeded(reply),
            forms=(int(counts[1]), int(counts[2])) if counts else None,
            filtered=not _succeeded(reply) and _any_text(_FILTERED, reply),
            warnings=len(texts_of(reply, "warning")),
            texts=texts,
        )

    def _ask(self, service: str, request: Element, about: About) -> etree._Element:
        reply = self._call(service, request, about, repeat=True)
        if not _succeeded(reply):
            raise _refusal(about)
        return reply

    def _call(self, service: str, request: Element, about: About, *, repeat: bool = False) -> etree._Element:
        """Send a request and return the child of the body that answers it.

        :param repeat: it changes nothing, so a lost connection is no doubt.
        """
        settings = self._settings
        body = envelope(service, request, settings.login, settings.password_hash)
        url = f"{settings.ws_url}/ws/{service}/v1"
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}
        with (
            closing(Web(settings, sleep=self._sleep)) as web,
            closing(
                web.send("POST", url, about, accept="text/xml", repeat=repeat, data=body, headers=headers)
            ) as streamed,
        ):
            try:
                received = b"".join(streamed.chunks())
            except ServerUnavailableError as broken:
                raise (broken if repeat else doubtful(about)) from None
        status = streamed.answer.status
        is_gateway = is_down(status) and status != 500  # some write faults of their own; OpenClinica's come with 500
        reply = None if is_gateway else parsed(received)
        if reply is None:
            raise doubtful(about, status) if not repeat and is_down(status) else failure(streamed, about)
        if local_name(reply) == "Fault":
            raise _fault(reply, about, status)
        return reply

    def check(self) -> None:
        """Make one call that changes nothing.

        :raises OpenClinicaError: as ``studies``.
        """
        self.studies()


def _fault(fault: etree._Element, about: About, status: int) -> OpenClinicaError:
    """Read a SOAP fault; what it says may quote what was sent, so it is compared and not repeated."""
    code = text_of(fault, "faultcode").rpartition(":")[2]
    said = text_of(fault, "faultstring").lower()
    if said.startswith(_NO_SERVICES):
        return RoleError(
            f"OpenClinica refused {about.doing}",
            study=about.study,
            meaning="the account may not use web services",
            next_step="Have an administrator tick 'Authorize SOAP web services' for the account.",
        )
    if code in {"FailedAuthentication", "InvalidSecurity", "InvalidSecurityToken", "FailedCheck"} or re.search(
        r"authenticat|credential|username ?token|password", said
    ):
        return CredentialsError(
            f"OpenClinica refused {about.doing}",
            meaning="its web services do not accept login and password",
            next_step="Check both. An account whose password is kept in a directory cannot use web services; one with "
            "an old password needs password_hash in the connection's extra.",
        )
    return UnexpectedAnswerError(
        f"OpenClinica fails at {about.doing}",
        study=about.study,
        status=status,
        code=code if re.fullmatch(r"[A-Za-z.]{1,40}", code) else "",
        next_step="Look into the log of the server: so it answers where a date or time has another form than it wants, "
        "and where it breaks.",
    )


def _refusal(about: About, code: str = "") -> OpenClinicaError:
    """Return the error for a failure in an answer with status 200; its text may quote what was sent."""
    return NotAvailableError(
        f"OpenClinica refused {about.doing}",
        study=about.study,
        code=code,
        meaning="it is there already" if code else "its reason is not repeated here, since it may quote data",
        next_step="Compare what was sent with the study: its state, the account's role there, the OIDs, and which "
        "fields the study requires.",
    )


def _study_ref(place: Place3) -> Element:
    site = [Element("siteRef", Element("identifier", place.site_identifier))] if place.site_identifier else []
    return Element("studyRef", Element("identifier", place.identifier), *site)


def _given(name: str, text: str) -> list[Element]:
    return [Element(name, text)] if text else []


def _succeeded(reply: etree._Element) -> bool:
    return text_of(reply, "result").strip().lower().startswith("success")


def _any_text(pattern: re.Pattern[str], reply: etree._Element) -> bool:
    return any(pattern.search(text) for text in texts_of(reply, "error"))


def _all(element: etree._Element, name: str) -> list[etree._Element]:
    return [each for each in element.iter() if local_name(each) == name]

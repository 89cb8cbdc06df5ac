"""Reduce what OpenClinica answers to status, headers and code, and tell which error a failure is.

Any endpoint may fail in any of these shapes (docs/protocol.md, answers):

    P  a bare code, with any status, 200 included; a parser's message may follow on the next lines
    J  ``{"message": "errorCode.x", "params": {"studyOid": "S_JUNO", "siteOid": null}}``
    V  ``{"message": "VALIDATION FAILED", "errors": [{"code": "errorCode.x", "message": "…"}]}``
    H  status 400, no body, an English sentence in the header ``X-runtimeApp-error``; extracts have it as their body

and besides as a page of HTML (a log-in page even comes with 200), as a redirect, or as a status alone.

    answer.code                 the code, fit for comparing; None where there is none
    error_in(answer, "the import")   the error, or None if the answer is no failure
    raise_for(answer, "the import")  raises it

An answer is never quoted: around the code it may hold a value, a name or a participant's ID.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from requests.structures import CaseInsensitiveDict

from airflow_provider_openclinica import errors
from airflow_provider_openclinica.client.codes import TOKEN, look_up, reduced

if TYPE_CHECKING:
    from collections.abc import Mapping

_OID = re.compile(r"[A-Za-z0-9_.()-]{1,80}")

#: The sentences of shape H -> the code that the server's source gives each. Others are not repeated to anyone.
_SENTENCES = {
    "InValid StudyOID. The StudyOID is invalid or does not exist": "incorrectStudyOid",
    "InValid StudyOID. The StudyOID should have a Study Level Oid": "invalidStudyOidAsStudy",
    "InValid SiteOID. The SiteOID is invalid or does not exist": "incorrectSiteOid",
    "InValid SiteOID. The SiteOID should have a Site Level Oid": "invalidSiteOidAsSite",
    "Mismatch StudyOID and SiteOID. The StudyOID and SiteOID relation is invalid": "mismatchStudyOidAndSiteOid",
    "Incorrect User. The user is not the owner of this log file": "incorrectUser",
    "Insufficient privileges.": "noSufficientPrivileges",
}
_CODE_OF_SENTENCE = {sentence.casefold().rstrip("."): code for sentence, code in _SENTENCES.items()}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP, small enough to keep.

    :param status: HTTP status.
    :param headers: found in any letter case.
    :param body: decoded text, cut after some 64 KiB; empty where a file is streamed.
    """

    status: int
    headers: Mapping[str, str]
    body: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", CaseInsensitiveDict(self.headers))

    @property
    def raw_code(self) -> str:
        """The server's code as it spells it, ``errorCode.`` included; ``""`` where there is none."""
        return self._bare_code or self._json_code or self._sentence_code

    @property
    def code(self) -> str | None:
        """The server's code without prefix and in lower case, such as ``jobinprogress``; None where there is none."""
        return reduced(self.raw_code) or None

    @property
    def is_html(self) -> bool:
        """Is it a page for people? Those come from a log-in form, a proxy or a server that gave up."""
        if "text/html" in self.headers.get("Content-Type", "").casefold():
            return True
        return self.body[:256].lstrip("\ufeff \t\r\n").casefold().startswith(("<!doctype html", "<html"))

    @property
    def is_absent(self) -> bool:
        """Does nothing listen there? OpenClinica's own refusals with 404 carry a code."""
        return self.status in {404, 405} and self.code is None

    @property
    def is_breakdown(self) -> bool:
        """Did the server fail inside? It is also how it refuses some questions, so what it means depends on those."""
        return self.status == 500 and self.code is None

    @property
    def json(self) -> Any:
        """The body read as JSON; None where it is none. A bare code is none, whatever its content type says."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def _bare_code(self) -> str:
        lines = self.body.strip().splitlines()
        return _code_in(lines[0]) if lines else ""

    @property
    def _json_code(self) -> str:
        match self.json:
            case {"errors": [{"code": str(text)}, *_]} | {"message": str(text)}:
                return _code_in(text)
        return ""

    @property
    def _sentence_code(self) -> str:
        sentence = self.headers.get("X-runtimeApp-error", "").strip()
        return _code_in(sentence) or _code_of(sentence) or _code_of(self.body.strip())


def _code_in(text: str) -> str:
    """Return the code if the text is one, without what may follow it: a user's file name, for one."""
    token = TOKEN.fullmatch(text.strip().strip('"'))
    return token["prefix"] + token["name"] if token else ""


def _code_of(sentence: str) -> str:
    return _CODE_OF_SENTENCE.get(sentence.casefold().rstrip("."), "")


#: What a status means where no code says more: error class, meaning, next step ("" leaves the class's own).
_BY_STATUS: dict[int, tuple[type[errors.OpenClinicaError], str, str]] = {
    400: (errors.UnexpectedAnswerError, "the server could not read the request, and gave no code", ""),
    401: (errors.CredentialsError, "the server did not accept the token", ""),
    403: (errors.RoleError, "the server, or a gateway before it, does not let this account in", ""),
    404: (
        errors.NotFoundError,
        "the server has nothing at this address",
        "Compare the OIDs letter for letter, and the connection's host: https://acme.openclinica.io/OpenClinica or so.",
    ),
    405: (errors.NotAvailableError, "this server does not offer the call", "Ask which version the server is."),
    408: (errors.ServerUnavailableError, "the server waited too long for the request", ""),
    413: (
        errors.FileError,
        "the server, or a gateway before it, takes no file of this size",
        "Send it in smaller parts: lower max_items_per_job.",
    ),
    415: (errors.FileError, "the server does not take this kind of file", ""),
    429: (errors.RateLimitError, "too many calls in a short time", ""),
    500: (
        errors.ServerUnavailableError,
        "the server failed inside, which is also how it refuses some accounts without a role",
        "Retry later; if it lasts, check the account's role in the study, then ask support with the time of the call.",
    ),
    501: (errors.NotAvailableError, "this server does not offer the call", "Ask which version the server is."),
}


def error_in(
    answer: Answer, doing: str, *, study: str = "", site: str = "", job: str = ""
) -> errors.OpenClinicaError | None:
    """Tell which error an answer is; None for one that is no failure, such as a file.

    A code is a failure with any status. Where jobs are asked for, ``jobs.job_state`` reads the codes that are none.

    :param doing: what was asked for, as a noun that can follow "OpenClinica refused": ``the import``.
    :param study: OID of the study asked about; where not given, the one that the answer names.
    :param site: OID of the site, likewise.
    :param job: uuid of the job asked about.
    """
    if answer.status < 300 and "Content-Disposition" in answer.headers:
        return None
    named = _oids_in(answer)
    study, site = study or named.get("studyOid", ""), site or named.get("siteOid", "")
    error, meaning, next_step = _judge(answer)
    if error is None:
        return None
    return error(
        f"OpenClinica refused {doing}" if answer.status < 500 else f"OpenClinica failed at {doing}",
        study=study,
        site=site,
        job=job,
        code=answer.raw_code,
        status=answer.status,
        meaning=meaning,
        next_step=next_step,
    )


def raise_for(answer: Answer, doing: str, *, study: str = "", site: str = "", job: str = "") -> None:
    """Raise what `error_in` finds; return where the answer is no failure."""
    if error := error_in(answer, doing, study=study, site=site, job=job):
        raise error


def _judge(answer: Answer) -> tuple[type[errors.OpenClinicaError] | None, str, str]:
    """Return error class, meaning and next step. A code tells more than a status, a status more than a page."""
    if known := look_up(answer.raw_code):
        return known.error, known.meaning, known.next_step
    error, meaning, next_step = _judge_status(answer)
    if not answer.raw_code:
        return error, meaning, next_step
    return error or errors.UnexpectedAnswerError, "a code that this version of the package does not know", next_step


def _judge_status(answer: Answer) -> tuple[type[errors.OpenClinicaError] | None, str, str]:
    if answer.status in _BY_STATUS:
        return _BY_STATUS[answer.status]
    if answer.status >= 500:
        return errors.ServerUnavailableError, "the server, or a gateway before it, is down or overloaded", ""
    if answer.status >= 400:
        return errors.UnexpectedAnswerError, "", ""
    if answer.status >= 300:
        return errors.CredentialsError, "it sent us elsewhere, most likely to log in; nothing was followed", _LOG_IN
    if answer.is_html:
        return errors.CredentialsError, "it answered with a web page, most likely to log in", _LOG_IN
    return None, "", ""


_LOG_IN = "Check that the connection's host is the study server and uses https, then login and password."


def _oids_in(answer: Answer) -> dict[str, str]:
    """Return the OIDs that an answer of shape J names; anything that is not spelled like one is left out."""
    match answer.json:
        case {"params": {**params}}:
            return {str(name): oid for name, oid in params.items() if isinstance(oid, str) and _OID.fullmatch(oid)}
    return {}

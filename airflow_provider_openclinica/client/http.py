"""Calls to the study server: what goes out, what may be repeated, and where a response becomes an Answer.

    http.get(path, doing="the job list")          the answer to a question; asked again where that may help
    http.stream(path, doing="the log of a job")   the same, for an answer that may be a file
    http.submit(path, parts, doing="the import")  a form, or an object, taken by the server at most once
    http.send_json("POST", path, body, doing=…)   a small object, where sending it twice does no harm
    http.delete(path, doing="the deletion")       repeated as a question is: what is gone stays gone

What may be sent again (docs/protocol.md, retries):

    GET     after a connection that failed or broke, and after 429, 502, 503, 504
    DELETE  as GET; so is a small object, of which the caller knows that it may arrive twice
    POST    only where the server cannot have taken it: no byte of the form was handed out (no such name, refused, no
            connection in time); 429, which a gateway answers before OpenClinica reads a form; 503 with ``Retry-After``,
            by which a server says that it did not begin. A 503 without one promises nothing: some gateways send it for
            a server that fell silent halfway.
    all     after 401, once, with another token: the filter that checks it stands before everything else. Not where
            OpenClinica itself says 401 for a role that does not suffice, in its own words (docs/protocol.md, extracts)

Whatever else a submit ends in, a 5xx without OpenClinica's code included, leaves open whether a job exists, and is an
AmbiguousSubmitError. Redirects, and statuses that these rules speak of, are raised as errors; any other answer is the
caller's to judge.
"""

from __future__ import annotations

import threading
import time
import weakref
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.message import Message
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.utils import get_encoding_from_headers

from airflow_provider_openclinica.client.answers import Answer, error_in
from airflow_provider_openclinica.client.clock import ServerClock
from airflow_provider_openclinica.client.retries import PATIENCE_SECONDS, Tries
from airflow_provider_openclinica.client.transport import CONNECT_SECONDS, Bearer, new_session, transport_error
from airflow_provider_openclinica.client.uploads import JsonBody, MultipartBody
from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    CredentialsError,
    OpenClinicaError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_openclinica.client.addresses import ServerSettings
    from airflow_provider_openclinica.client.tokens import TokenManager
    from airflow_provider_openclinica.client.uploads import Upload

#: Without a charset in ``Accept``, OpenClinica answers in Latin-1 and turns the rest into ``?``.
JSON_UTF8 = "application/json;charset=UTF-8"
XML_UTF8 = "application/xml;charset=UTF-8"

HEAD_BYTES = 64 << 10  #: how much of an answer is read at once where the caller does not say
_CHUNK = 256 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a call is about, for its errors."""

    doing: str
    study: str = ""
    site: str = ""
    job: str = ""

    def failure(self, answer: Answer) -> OpenClinicaError:
        """Return the error that an answer is, for one that cannot be anything else."""
        if answer.status == 401:
            return CredentialsError(
                f"OpenClinica refused {self.doing}",
                status=401,
                meaning="it does not accept the token, nor the one that replaced it",
                next_step="Check that host and auth_url in the connection belong to the same customer.",
            )
        error = error_in(answer, self.doing, study=self.study, site=self.site, job=self.job)
        return error or UnexpectedAnswerError(f"OpenClinica refused {self.doing}", status=answer.status)


class StreamedAnswer:
    """An answer whose body may be long: status, headers and the beginning at once, the rest on demand.

    ``answer.body`` is the beginning of what came. It is empty where the server sends a file, which it then names in
    ``Content-Disposition``: of that, nothing has been read yet.
    """

    def __init__(self, response: requests.Response, most: int, about: About) -> None:
        self._response, self._about = response, about
        self._rest: Iterator[bytes] = response.iter_content(_CHUNK)
        self._head = b"" if "Content-Disposition" in response.headers else self._read_head(most)
        self.answer = Answer(response.status_code, response.headers, _decode(self._head[:most], response))

    @property
    def charset(self) -> str:
        """How the body is encoded, as the server says it, in lower case; ``""`` where it says nothing."""
        content_type = Message()
        content_type["Content-Type"] = self.answer.headers.get("Content-Type", "")
        return content_type.get_content_charset("")

    def _read_head(self, most: int) -> bytes:
        head = bytearray()
        while len(head) < most and (chunk := next(self._rest, b"")):
            head += chunk
        return bytes(head)

    def chunks(self) -> Iterator[bytes]:
        """Yield the whole body, decompressed where a server compressed it unasked. Good for one use.

        :raises ServerUnavailableError: the connection broke, or the server sent less than it announced.
        """
        try:
            if self._head:
                yield self._head
            yield from self._rest
        except requests.RequestException:
            raise ServerUnavailableError(
                f"The connection broke in the middle of {self._about.doing}",
                study=self._about.study,
                site=self._about.site,
                job=self._about.job,
                next_step="Retry: it is fetched again from its beginning.",
            ) from None

    def close(self) -> None:
        """Give the connection back; or up, where the body was not read to its end."""
        self._response.close()


class Http:
    """The one way to a study server. Safe in threads: each has a session of its own. No I/O before the first call.

    :param settings: the server.
    :param tokens: gives out the token, and renews it.
    :param sleep: how to wait between tries; one that raises ends them.
    :param patience: seconds; no try of a request begins later than this after the first.
    """

    def __init__(
        self,
        settings: ServerSettings,
        tokens: TokenManager,
        *,
        sleep: Callable[[float], None] = time.sleep,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._settings, self._tokens, self._sleep, self._patience = settings, tokens, sleep, patience
        self._host = urlsplit(settings.study_url).hostname or ""
        self._own = threading.local()
        self.clock = ServerClock()
        self._sessions: weakref.WeakSet[requests.Session] = weakref.WeakSet()  # those of ended threads drop out
        self._adding = threading.Lock()

    def get(
        self,
        path: str,
        *,
        doing: str,
        params: Mapping[str, str] | None = None,
        accept: str = JSON_UTF8,
        most: int = HEAD_BYTES,
        study: str = "",
        site: str = "",
        job: str = "",
    ) -> Answer:
        """Ask a question and return the answer; its status may be any that is not named below.

        :param path: below the API address, from `addresses.api_path`.
        :param doing: what is asked for, as a noun that can follow "OpenClinica refused".
        :param params: query parameters.
        :param accept: media type, with its charset.
        :param most: bytes of the body to read; what is more is dropped.
        :param study: OID of the study concerned, for errors.
        :param site: OID of the site concerned, for errors.
        :param job: uuid of the job concerned, for errors.
        :raises CredentialsError: a renewed token is refused as well, or we were sent elsewhere to log in.
        :raises RateLimitError: still 429 after the last try.
        :raises ServerUnavailableError: no connection, or 502, 503, 504, after the last try.
        :raises ConfigurationError: the server's certificate is not trusted, or the address is none.
        """
        about = About(doing=doing, study=study, site=site, job=job)
        with closing(self._ask(path, params, accept, most, about)) as streamed:
            return streamed.answer

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        doing: str,
        params: Mapping[str, str] | None = None,
        accept: str = JSON_UTF8,
        study: str = "",
        site: str = "",
        job: str = "",
    ) -> Iterator[StreamedAnswer]:
        """Ask for what may be a file; ``with`` holds its connection open. Parameters and errors are those of `get`.

        What breaks after the beginning of the body is not asked for again here: the caller has used it already.
        """
        about = About(doing=doing, study=study, site=site, job=job)
        with closing(self._ask(path, params, accept, HEAD_BYTES, about)) as streamed:
            yield streamed

    def submit(
        self,
        path: str,
        parts: Mapping[str, Upload] | JsonBody,
        *,
        doing: str,
        params: Mapping[str, str] | None = None,
        study: str = "",
        site: str = "",
    ) -> Answer:
        """Send a form and return the answer: of a status below 500, or with a code of OpenClinica.

        Each try has a connection of its own. One that was kept open may be closed by the server just when it is used
        again, and nobody could tell whether the form had arrived.

        :param path: below the API address, from `addresses.api_path`.
        :param parts: name in the form -> file, streamed in constant memory; or a small object that is no form.
        :param doing: what is submitted, as a noun that can follow "OpenClinica refused".
        :param params: query parameters.
        :param study: OID of the study concerned, for errors.
        :param site: OID of the site concerned, for errors.
        :raises AmbiguousSubmitError: some of the form may have arrived, and no answer tells what became of it.
        :raises FileError: a file is not what was measured; the form was not sent to its end.
        :raises OSError: a file could not be read; the form was not sent to its end.
        :raises OpenClinicaError: as `get` does; nothing was taken.
        """
        about = About(doing=doing, study=study, site=site)

        def send(token: str) -> StreamedAnswer:
            unsent = parts if isinstance(parts, JsonBody) else MultipartBody(parts)
            with unsent as body, new_session(self._settings) as session:
                session.cookies = self._session().cookies
                try:
                    headers = {"Accept": JSON_UTF8, "Content-Type": body.content_type}
                    response = self._send(session, "POST", path, token, headers=headers, params=params, data=body)
                    return StreamedAnswer(response, HEAD_BYTES, about)
                except OSError as error:
                    raise self._submit_error(error, body, about) from None

        with closing(self._converse(send, _is_refused_unprocessed, about)) as streamed:
            answer = streamed.answer
        if answer.status >= 500 and not answer.code:
            raise AmbiguousSubmitError(
                f"OpenClinica, or a gateway before it, failed at {doing}", status=answer.status, study=study, site=site
            )
        return answer

    def send_json(
        self,
        method: str,
        path: str,
        body: Mapping[str, str] | None,
        *,
        doing: str,
        params: Mapping[str, str] | None = None,
        study: str = "",
        site: str = "",
    ) -> Answer:
        """Send a small object that may arrive twice, and return the answer. Parameters and errors are those of `get`.

        :param method: ``POST`` or ``PUT``, or ``GET`` of a call that servers have by different methods.
        :param body: a JSON object; None for calls that take none.
        """
        about = About(doing=doing, study=study, site=site)
        with closing(self._ask(path, params, JSON_UTF8, HEAD_BYTES, about, method=method, body=body)) as streamed:
            return streamed.answer

    def delete(self, path: str, *, doing: str, job: str = "") -> Answer:
        """Delete something and return the answer. Parameters and errors are those of `get`; so is what is repeated."""
        about = About(doing=doing, job=job)
        with closing(self._ask(path, None, JSON_UTF8, HEAD_BYTES, about, method="DELETE")) as streamed:
            return streamed.answer

    def close(self) -> None:
        """Close every connection. A later call opens new ones."""
        with self._adding:
            for session in self._sessions:
                session.close()

    def _ask(
        self,
        path: str,
        params: Mapping[str, str] | None,
        accept: str,
        most: int,
        about: About,
        *,
        method: str = "GET",
        body: Mapping[str, str] | None = None,
    ) -> StreamedAnswer:
        def send(token: str) -> StreamedAnswer:
            try:
                headers = {"Accept": accept}
                response = self._send(self._session(), method, path, token, headers=headers, params=params, json=body)
                return StreamedAnswer(response, most, about)
            except OSError as error:
                raise transport_error(error, about.doing, self._host) from None

        return self._converse(send, _is_busy, about)

    def _converse(
        self, send: Callable[[str], StreamedAnswer], may_repeat: Callable[[Answer], bool], about: About
    ) -> StreamedAnswer:
        """Send until there is an answer to go by. Of a `send` that raises ServerUnavailableError, nothing arrived."""
        tries, token, renewed = Tries(self._sleep, patience=self._patience), self._tokens.token(), False
        while True:
            try:
                streamed = send(token)
            except ServerUnavailableError:
                if not tries.wait():
                    raise
                continue
            answer = streamed.answer
            self.clock.note(answer.headers)
            if _is_refused_token(answer) and not renewed:
                streamed.close()
                token, renewed = self._tokens.renew(token), True
            elif may_repeat(answer):
                streamed.close()
                if not tries.wait(answer.headers.get("Retry-After")):
                    raise about.failure(answer)
            elif _is_refused_token(answer) or 300 <= answer.status < 400:
                streamed.close()
                raise about.failure(answer)
            else:
                return streamed

    def _send(self, session: requests.Session, method: str, path: str, token: str, **request: Any) -> requests.Response:
        return session.request(
            method,
            self._settings.api_url + path,
            auth=Bearer(token),
            verify=self._settings.verify,
            timeout=(CONNECT_SECONDS, self._settings.request_timeout),
            allow_redirects=False,
            stream=True,
            **request,
        )

    def _submit_error(self, error: OSError, body: MultipartBody | JsonBody, about: About) -> Exception:
        """Tell a file that could not be read, a form that never left, and one of which nobody knows, apart."""
        if body.failure:
            return body.failure
        broken = transport_error(error, about.doing, self._host)
        if not body.begun:
            return broken
        return AmbiguousSubmitError(
            f"The connection was lost after {about.doing} had begun",
            meaning=broken.meaning,
            study=about.study,
            site=about.site,
        )

    def _session(self) -> requests.Session:
        """Return this thread's session."""
        session: requests.Session | None = getattr(self._own, "session", None)
        if session is None:
            session = self._own.session = new_session(self._settings)
            with self._adding:
                self._sessions.add(session)
        return session


def _is_refused_token(answer: Answer) -> bool:
    """Tell a token that is refused from an account that is: of that, no new token makes another."""
    return answer.status == 401 and answer.code != "nosufficientprivileges"


def _is_busy(answer: Answer) -> bool:
    """Tell whether a question may be asked again."""
    return answer.status in {429, 502, 503, 504}


def _is_refused_unprocessed(answer: Answer) -> bool:
    """Tell whether a form may be sent again: the answer itself says that nobody began to read it."""
    return answer.status == 429 or (answer.status == 503 and "Retry-After" in answer.headers)


def _decode(body: bytes, response: requests.Response) -> str:
    """Decode by what the answer says of itself; Latin-1 for text that says nothing, as HTTP has it."""
    try:
        return body.decode(get_encoding_from_headers(response.headers) or "utf-8", "replace")
    except LookupError:
        return body.decode("utf-8", "replace")

"""What is done by API key: JSON reads, and the definition of studies, sites, events and users.

    api.version()                     of the server; proves the key
    api.stream(path, about)           a JSON document
    api.create_study({...})           OID of the new study
    api.create_site("JUNO", {...})    OID of the new site
    api.create_event_definition("JUNO", name=…)
    api.create_user({...})

The key is fetched with login and password, and fetched once more where it is refused: an administrator who edits the
account changes it. The answer that holds the key holds the account's password hash too, so nothing else of it is kept.
All fields go out as strings, since OpenClinica 3 fails at numbers (docs/protocol3.md, definitions).
"""

from __future__ import annotations

import base64
import json
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from requests.auth import AuthBase

from airflow_provider_openclinica.client.http import About
from airflow_provider_openclinica.client.openclinica3.locks import PATIENCE
from airflow_provider_openclinica.client.openclinica3.web import JSON, Web, doubtful, failure
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    CredentialsError,
    NotAvailableError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import requests

    from airflow_provider_openclinica.client.http import StreamedAnswer
    from airflow_provider_openclinica.client.openclinica3.locks import Turns
    from airflow_provider_openclinica.client.openclinica3.settings import Settings3

API = "/pages/auth/api"
KEY_CALL = "/pages/accounts/login"
SUCCESS = "SUCCESS"
EVENT_TYPES = ("Scheduled", "UnScheduled", "Common")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """An account that was just made. Everything in it is a secret, so none of it is printed.

    :param password: generated; refused as locked until an administrator unlocks the account.
    :param api_key: works at once.
    """

    username: str = field(repr=False)
    password: str = field(repr=False)
    api_key: str = field(repr=False)


class _KeyAuth(AuthBase):
    """HTTP Basic with the key for a user name and no password."""

    def __init__(self, key: str) -> None:
        self._header = "Basic " + base64.b64encode(f"{key}:".encode()).decode()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


class Api:
    """The calls that take an API key. Safe in threads: they take turns. No I/O before the first call."""

    def __init__(self, settings: Settings3, turns: Turns, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._settings, self._turns, self._sleep = settings, turns, sleep
        self._key = settings.api_key
        self._web = Web(settings, sleep=sleep, keep_cookies=True)  # each call without a cookie would cost a session

    @contextmanager
    def stream(self, path: str, about: About, params: Mapping[str, str] | None = None) -> Iterator[StreamedAnswer]:
        """Ask for a JSON document; ``with`` holds its connection open, and the turn: one read at a time.

        :raises CredentialsError: the key is refused, and so is the one that replaced it.
        :raises OpenClinicaError: as ``web.failure`` names it.
        """
        with self._sent("GET", path, about, params=params) as streamed:
            if streamed.answer.status != 200:
                raise failure(streamed, about)
            yield streamed

    def version(self, *, patience: float = PATIENCE) -> str:
        """Return the version of the server. All else of that answer is its configuration, and dropped.

        :param patience: seconds to wait for the turn.
        :raises CredentialsError: the key is refused.
        """
        about = About(doing="a question about its version")
        with self._sent("GET", "/v1/system/config", about, patience=patience) as streamed:
            if streamed.answer.status != 200:
                raise failure(streamed, about)
            told = _parsed(b"".join(streamed.chunks()), about)
        return _version_in(told)

    def create_study(self, study: Mapping[str, Any]) -> str:
        """Create a study; return its OID. It can be repeated: the protocol ID is taken once only.

        :param study: ``uniqueProtocolID`` (at most 30 characters), ``briefTitle``, ``principalInvestigator``,
            ``briefSummary`` (at most 255), ``sponsor``, ``protocolType`` (``Interventional`` or ``Observational``),
            ``startDate``, ``expectedTotalEnrollment``, ``status``, ``assignUserRoles`` (a list, may be empty).
        :raises ConfigurationError: it is refused, or a field cannot work; the reasons are named by field.
        :raises UnexpectedAnswerError: it says success and gives no OID: nothing was stored.
        :raises AmbiguousSubmitError: no answer came, or none that tells what became of it.

        docs/protocol3.md, definitions.
        """
        _check_length(study, "uniqueProtocolID", 30)
        _check_length(study, "briefSummary", 255)
        _check_number(study, "expectedTotalEnrollment")
        return self._created("/v1/studies/", study, About(doing="the creation of a study"), "studyOid")

    def create_site(self, protocol_id: str, site: Mapping[str, Any]) -> str:
        """Create a site of a study; return its OID.

        :param protocol_id: the study's unique protocol ID, not its OID.
        :param site: ``uniqueProtocolID`` (at most 30 characters), ``briefTitle`` (100), ``principalInvestigator``
            (255), ``expectedTotalEnrollment``, ``startDate``, ``protocolDateVerification``, ``assignUserRoles``, and
            ``secondaryProtocolID`` where there is one.
        :raises ConfigurationError, UnexpectedAnswerError, AmbiguousSubmitError: as ``create_study``.
        """
        _check_length(site, "uniqueProtocolID", 30)
        _check_number(site, "expectedTotalEnrollment")
        path = f"/v1/studies/{_segment(protocol_id, 'protocol_id')}/sites"
        return self._created(path, site, About(doing="the creation of a site"), "siteOid")

    def create_event_definition(
        self, protocol_id: str, *, name: str, description: str, category: str, repeating: bool, kind: str = "Scheduled"
    ) -> str:
        """Define an event of a study; return its OID. **Not to be repeated**: names are taken twice.

        :param protocol_id: the study's unique protocol ID, not its OID.
        :param kind: ``Scheduled``, ``UnScheduled`` or ``Common``.
        :raises ConfigurationError: it is refused. OpenClinica keeps the reasons to itself, and says status 200.
        :raises AmbiguousSubmitError: no answer came.
        """
        if kind not in EVENT_TYPES:
            raise ConfigurationError(f"kind is none of {', '.join(EVENT_TYPES)}")
        definition = {
            "name": name,
            "description": description,
            "category": category,
            "repeating": str(repeating).lower(),
            "type": kind,
        }
        path = f"/v1/studies/{_segment(protocol_id, 'protocol_id')}/eventdefinitions"
        return self._created(path, definition, About(doing="the definition of an event"), "eventDefOid")

    def create_user(self, user: Mapping[str, str]) -> NewUser:
        """Create an account. What is returned is secret: put it nowhere that others read.

        :param user: ``username``, ``fName``, ``lName``, ``institution``, ``email``, ``study_name``, ``role_name``,
            ``user_type``, ``authorize_soap`` (``true`` or ``false``).
        :raises ConfigurationError: a field that it cannot do without is empty, or one is refused: which, it does not
            say.
        :raises NotAvailableError: the name is taken, by all we can tell.
        """
        for name in ("username", "role_name", "user_type"):
            if not user.get(name):
                raise ConfigurationError(f"{name} is empty, and no account can be created without")
        about = About(doing="the creation of a user account")
        status, body = self._written("/v1/createuseraccount", user, about)
        if status == 400:
            raise _refused(about, body)
        if not body.strip():
            raise NotAvailableError(
                "OpenClinica created no user account",
                meaning="it answered with nothing, as it does where the name is taken",
                next_step="Look the name up among the users; choose another.",
            )
        told = _parsed(body, about)
        return NewUser(
            username=str(told.get("username") or ""),
            password=str(told.get("password") or ""),
            api_key=str(told.get("apiKey") or ""),
        )

    def _created(self, path: str, fields: Mapping[str, Any], about: About, name: str) -> str:
        """Send a definition and return the OID in its answer, which alone proves that it was stored."""
        status, body = self._written(path, fields, about)
        told = _parsed(body, about)
        if status == 400 or told.get("message") != SUCCESS:
            raise _refused(about, body)
        oid = told.get(name)
        if not oid:
            raise UnexpectedAnswerError(
                f"OpenClinica calls {about.doing} a success, and gives no OID: nothing was stored",
                next_step="Shorten the texts, which have to fit into its columns, and see whether the ID is taken.",
            )
        return str(oid)

    def _written(self, path: str, fields: Mapping[str, Any], about: About) -> tuple[int, bytes]:
        """Send what must not be sent twice; return status, 200 or 400, and body.

        :raises AmbiguousSubmitError: the answer broke, or is that of a server that failed.
        """
        with self._sent("POST", path, about, json=_strings(fields)) as streamed:
            try:
                status, body = streamed.answer.status, b"".join(streamed.chunks())
                if status not in {200, 400}:
                    raise failure(streamed, about)
            except ServerUnavailableError as broken:
                raise doubtful(about, broken.status) from None
            return status, body

    @contextmanager
    def _sent(
        self, method: str, path: str, about: About, *, patience: float = PATIENCE, **request: Any
    ) -> Iterator[StreamedAnswer]:
        """Take the turn and send a request with the key; with a new one, where it is refused."""
        url = f"{self._settings.web_url}{API}{path}"
        with self._turns.turn(patience):
            key = self._current_key("")
            streamed = self._web.send(method, url, about, accept=JSON, auth=_KeyAuth(key), **request)
            if streamed.answer.status == 401:
                streamed.close()
                key = self._current_key(key)
                streamed = self._web.send(method, url, about, accept=JSON, auth=_KeyAuth(key), **request)
            with closing(streamed):
                if streamed.answer.status == 401:
                    raise CredentialsError(
                        f"OpenClinica refused {about.doing}",
                        status=401,
                        meaning="it accepts neither the API key nor the one that replaced it",
                    )
                yield streamed

    def _current_key(self, refused: str) -> str:
        """Return the key, another than the one that was refused."""
        if not self._key or self._key == refused:
            self._key = self._fetched_key()
        return self._key

    def _fetched_key(self) -> str:
        about = About(doing="the API key")
        account = {"username": self._settings.login, "password": self._settings.password}
        web = Web(self._settings, sleep=self._sleep)
        url = self._settings.web_url + KEY_CALL
        with closing(web), closing(web.send("POST", url, about, accept=JSON, json=account, repeat=True)) as streamed:
            if streamed.answer.status == 401:
                raise CredentialsError("OpenClinica refused login and password")
            if streamed.answer.status != 200:
                raise failure(streamed, about)
            told = _parsed(b"".join(streamed.chunks()), about)
        key = told.get("apiKey")
        if not key:
            raise CredentialsError(
                "The account has no API key",
                next_step="Have an administrator edit and save the account: that makes one.",
            )
        return str(key)


def _parsed(body: bytes, about: About) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise UnexpectedAnswerError(f"OpenClinica answered {about.doing} with something that is no JSON object")
    return told


def _version_in(told: object) -> str:
    """Find the version in a configuration, wherever its levels put it."""
    if isinstance(told, dict):
        for name, value in told.items():
            if str(name).lower() == "oc version number" or str(name) == "OC.Version":
                if isinstance(value, str | int | float):
                    return str(value)
                if found := _version_in(value):
                    return found
        for value in told.values():
            if found := _version_in(value):
                return found
    if isinstance(told, list):
        return next((found for value in told if (found := _version_in(value))), "")
    return ""


def _strings(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields as OpenClinica 3 wants them: strings, and lists of such."""
    return {name: _string(value) for name, value in fields.items()}


def _string(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return [_strings(each) for each in value]
    return str(value)


def _refused(about: About, body: bytes) -> ConfigurationError:
    """Name the fields that were refused; what is said of them may quote what was sent."""
    try:
        errors = json.loads(body).get("errors")
        fields = sorted({str(error["field"]) for error in errors if str(error["field"]).isidentifier()})
    except (ValueError, TypeError, KeyError, AttributeError):
        fields = []
    return ConfigurationError(
        f"OpenClinica refused {about.doing}",
        meaning=f"it does not accept {', '.join(fields)}"
        if fields
        else "it does not say which field it does not accept",
        next_step="Compare the fields with docs/protocol3.md, definitions.",
    )


def _check_length(fields: Mapping[str, Any], name: str, most: int) -> None:
    """Refuse what OpenClinica 3 would cut or drop; it calls that a success."""
    if len(str(fields.get(name, ""))) > most:
        raise ConfigurationError(f"{name} is longer than the {most} characters that OpenClinica stores")


def _check_number(fields: Mapping[str, Any], name: str) -> None:
    if not str(fields.get(name, "")).isdigit():
        raise ConfigurationError(f"{name} is no whole number, at which OpenClinica fails")


def _segment(text: str, name: str) -> str:
    if text.strip() in {"", ".", ".."}:
        raise ConfigurationError(f"{name} is empty or only dots")
    return quote(text.strip(), safe="")

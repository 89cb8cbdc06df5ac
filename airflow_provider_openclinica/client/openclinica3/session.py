"""A session of an account: log in by the form, read, log out.

    with session_of(settings, turns, sleep=…) as session:
        with session.stream("/rest/clinicaldata/xml/view/S_DEMO/*/*/*", about) as streamed: …

OpenClinica 3 has no status for "log in first": it redirects, and only the path of the redirect tells what it means
(docs/protocol3.md, sessions). An account has one session, so whoever logs in with it elsewhere ends ours: then we log
in once more, and no second time.
"""

from __future__ import annotations

import logging
import re
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from airflow_provider_openclinica.client.http import About
from airflow_provider_openclinica.client.openclinica3.locks import PATIENCE
from airflow_provider_openclinica.client.openclinica3.web import Web, failure
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    CredentialsError,
    OpenClinicaError,
    RoleError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_openclinica.client.answers import Answer
    from airflow_provider_openclinica.client.http import StreamedAnswer
    from airflow_provider_openclinica.client.openclinica3.locks import Turns
    from airflow_provider_openclinica.client.openclinica3.settings import Settings3

log = logging.getLogger(__name__)

LOGIN_PAGE = "/pages/login/login"
LOGIN = "/j_spring_security_check"
LOGOUT = "/j_spring_security_logout"
HOME = "/MainMenu"
LOGIN_FORM = "j_spring_security_check"  #: what a page of HTML holds that asks for login and password

_SESSION_ID = re.compile(r";[^/?#]*")


class Session:
    """A session that has begun. Made by `session_of`.

    :param web: keeps cookies.
    """

    def __init__(self, web: Web) -> None:
        self._web = web
        self._base = web.settings.web_url
        self._was_bounced = False

    def log_in(self) -> None:
        """Log in by the form.

        :raises CredentialsError: login and password are refused, or the account is locked. Never tried again: servers
            may lock an account that fails three times.
        """
        about = About(doing="the login")
        with closing(self._web.send("GET", self._base + LOGIN_PAGE, about)) as page:
            if self._place(page.answer) == HOME:
                return  # the cookie is still good
            if page.answer.status != 200 and self._place(page.answer) != LOGIN_PAGE:
                raise failure(page, about)
        form = {"j_username": self._web.settings.login, "j_password": self._web.settings.password}
        with closing(self._web.send("POST", self._base + LOGIN, about, data=form, harmless=True)) as streamed:
            self._raise_unless_logged_in(streamed, about)

    def log_out(self) -> None:
        """End the session, so that the account is free. Tried once: the next login ends it as well."""
        with closing(self._web.send("GET", self._base + LOGOUT, About(doing="the logout"), once=True)):
            pass

    @contextmanager
    def stream(self, path: str, about: About, params: Mapping[str, str] | None = None) -> Iterator[StreamedAnswer]:
        """Ask for a document; ``with`` holds its connection open.

        :param path: below the web application, from `addresses.api_path`.
        :raises CredentialsError: we were sent to the login page although we had just logged in.
        :raises RoleError: the account has no role in the study.
        :raises NotAvailableError: status 204.
        :raises ServerUnavailableError: status 500, which may mean a wrong OID as well; no connection.
        """
        streamed = self._web.send("GET", self._base + path, about, params=params)
        if self._is_bounced(streamed.answer) and not self._was_bounced:
            streamed.close()
            self._was_bounced = True
            log.warning("The session ended before its time: somebody has logged in with the same account")
            self.log_in()
            streamed = self._web.send("GET", self._base + path, about, params=params)
        with closing(streamed):
            if self._is_bounced(streamed.answer):
                raise CredentialsError(
                    f"OpenClinica refused {about.doing}",
                    study=about.study,
                    meaning="it sends us to its login page for the second time: another program uses the account",
                    next_step="Give Airflow an account of its own, and its tasks a pool of one slot.",
                )
            if streamed.answer.status != 200:
                raise self._refusal(streamed, about)
            yield streamed

    def _refusal(self, streamed: StreamedAnswer, about: About) -> OpenClinicaError:
        if 300 <= streamed.answer.status < 400:
            return RoleError(
                f"OpenClinica refused {about.doing}",
                study=about.study,
                status=streamed.answer.status,
                meaning="the account may not do this",
                next_step="Ask the data manager for the role.",
            )
        return failure(streamed, about)

    def _is_bounced(self, answer: Answer) -> bool:
        """Tell whether an answer means that nobody is logged in."""
        if 300 <= answer.status < 400:
            place = self._place(answer)
            return place == LOGIN_PAGE or (place == HOME and not _says(answer, "message"))
        return answer.status == 200 and answer.is_html and LOGIN_FORM in answer.body

    def _raise_unless_logged_in(self, streamed: StreamedAnswer, about: About) -> None:
        answer = streamed.answer
        if not 300 <= answer.status < 400:
            if answer.status >= 400:
                raise failure(streamed, about)
            raise UnexpectedAnswerError("The login was answered, and not by OpenClinica 3", status=answer.status)
        if (place := self._place(answer)) == LOGIN:
            raise ConfigurationError(
                "The login is redirected to the same path at another address",
                next_step="Write the address that the server prefers, https for one, as host of the connection.",
            )
        if place != LOGIN_PAGE:
            return
        if (action := _says(answer, "action")) == "errorLocked":
            raise CredentialsError("OpenClinica has locked the account", next_step="Ask an administrator to unlock it.")
        if action == "errorSessionLocked":
            raise CredentialsError("OpenClinica takes our session for that of somebody else", next_step="Retry.")
        raise CredentialsError(
            "OpenClinica refused the login",
            meaning="login or password is wrong; where it asks a directory for passwords, that may be down",
        )

    def _place(self, answer: Answer) -> str:
        """Return the path of a redirect below the web application; the container may have put a session id into it."""
        path = _SESSION_ID.sub("", urlsplit(answer.headers.get("Location", "")).path)
        return path.removeprefix(urlsplit(self._base).path)


def _says(answer: Answer, name: str) -> str:
    """Return a query parameter of a redirect."""
    return parse_qs(urlsplit(answer.headers.get("Location", "")).query).get(name, [""])[0]


@contextmanager
def session_of(
    settings: Settings3, turns: Turns, *, sleep: Callable[[float], None] = time.sleep, patience: float = PATIENCE
) -> Iterator[Session]:
    """Take the turn at the server, log in, and log out in every case.

    :param patience: seconds to wait for the turn.
    :raises CredentialsError, ServerUnavailableError, ConfigurationError: there is no session.
    """
    with turns.turn(patience):
        web = Web(settings, sleep=sleep, keep_cookies=True)
        session = Session(web)
        try:
            session.log_in()
            yield session
        finally:
            with suppress(OpenClinicaError):  # what ended the session is the thing to tell; it ends by itself, too
                if web.has_cookies:
                    session.log_out()
            web.close()

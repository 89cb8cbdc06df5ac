"""The client of one OpenClinica 4: it only joins the resources, one module each.

    settings = ServerSettings.from_parts(host="acme.openclinica.io", login=…, password=…)
    client = OpenClinicaClient(settings, TokenManager(settings))
    uuid = client.clinicaldata.import_odm(upload_file(path, name="labs.xml"))
    client.jobs.state(uuid)

It knows nothing of Airflow; ``hooks/openclinica.py`` makes one from a connection.
"""

from __future__ import annotations

import time
import uuid
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_openclinica.client.addresses import api_path
from airflow_provider_openclinica.client.answers import raise_for
from airflow_provider_openclinica.client.casebooks import Casebooks
from airflow_provider_openclinica.client.clinicaldata import ClinicalData
from airflow_provider_openclinica.client.contacts import Contacts
from airflow_provider_openclinica.client.events import Events
from airflow_provider_openclinica.client.extracts import Extracts
from airflow_provider_openclinica.client.http import Http
from airflow_provider_openclinica.client.jobs import Jobs
from airflow_provider_openclinica.client.participants import Participants
from airflow_provider_openclinica.client.participate import Participate
from airflow_provider_openclinica.client.sdv import Sdv
from airflow_provider_openclinica.client.studies import Studies
from airflow_provider_openclinica.errors import ConfigurationError, RoleError, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow_provider_openclinica.client.addresses import ServerSettings
    from airflow_provider_openclinica.client.tokens import TokenManager

CHECK_SECONDS = 10.0  #: of silence, and for all tries: a check is made by a person who waits for it


class OpenClinicaClient:
    """Everything this package asks of one OpenClinica. Safe in threads; no I/O before the first call.

    :param settings: the server and the account.
    :param tokens: gives out the account's token.
    :param sleep: how to wait between tries; one that raises ends them.
    """

    def __init__(
        self, settings: ServerSettings, tokens: TokenManager, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.settings, self.tokens = settings, tokens
        self.sleep = sleep
        self._http = Http(settings, tokens, sleep=sleep)
        self.clinicaldata = ClinicalData(self._http, settings, tokens)
        self.jobs = Jobs(self._http, settings.study_url)
        self.studies = Studies(self._http)
        self.participants = Participants(self._http)
        self.contacts = Contacts(self._http, tokens)
        self.casebooks = Casebooks(self._http)
        self.participate = Participate(self._http)
        self.events = Events(self._http)
        self.extracts = Extracts(self._http)
        self.sdv = Sdv(self._http)

    def check(self) -> None:
        """Make one authenticated call that needs no study: ask for the log of a job that nobody has.

        That OpenClinica does not know it, in its own words, proves address, token and account (docs/protocol.md, jobs).

        :raises ConfigurationError: whatever answers there, it is no OpenClinica; or TLS cannot be trusted.
        :raises CredentialsError: login and password, or the token made from them, are refused.
        :raises RateLimitError: too many token calls.
        :raises ServerUnavailableError: nothing answers.
        :raises RoleError: the account has no study to work in.
        """
        doing = "a question about a job that does not exist"
        settings = replace(self.settings, request_timeout=min(self.settings.request_timeout, CHECK_SECONDS))
        with closing(Http(settings, self.tokens, sleep=self.sleep, patience=CHECK_SECONDS)) as http:
            answer = http.get(api_path("jobs", str(uuid.uuid4()), "downloadFile"), doing=doing)
        if answer.status == 404 and answer.code:
            return
        if answer.status in {404, 405}:
            raise ConfigurationError(
                "Something answers at this address, and it is no OpenClinica",
                status=answer.status,
                next_step="Give the study server with its path as host: https://acme.openclinica.io/OpenClinica or so.",
            )
        if answer.status == 500:
            raise RoleError(
                "OpenClinica knows the account and fails to serve it",
                status=answer.status,
                meaning="which it does for an account that never opened a study on the web page",
                next_step="Log in to the web page once with this account, open its study, and test again.",
            )
        raise_for(answer, doing)
        raise UnexpectedAnswerError("What answers at this address does not answer as OpenClinica", status=answer.status)

    def server_time(self, moment: float) -> datetime:
        """Return what the server's clock showed at a moment, at the most; before any answer, that is our own.

        :param moment: seconds since 1970 by this machine's clock.
        """
        return self._http.clock.at(moment)

    def close(self) -> None:
        """Close every connection. A later call opens new ones."""
        self._http.close()

"""The client of one OpenClinica 3: it only joins the parts.

    settings = Settings3.from_parts(host="edc.example.org", login=…, password=…)
    client = OpenClinica3Client(settings)
    with client.clinicaldata.retrieve("S_DEMO") as document: …
    client.soap.studies()

``clinicaldata``, ``studies``, ``participants`` and ``tokens`` answer to the calls by which data are pulled from
OpenClinica 4, so that the same code pulls from both. It knows nothing of Airflow; ``hooks/openclinica3.py`` makes one
of a connection.
"""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_openclinica.client.http import About
from airflow_provider_openclinica.client.openclinica3.apikey import Api
from airflow_provider_openclinica.client.openclinica3.locks import PATIENCE, Turns
from airflow_provider_openclinica.client.openclinica3.reader import ClinicalData3, study_oids
from airflow_provider_openclinica.client.openclinica3.session import session_of
from airflow_provider_openclinica.client.openclinica3.soap import Soap
from airflow_provider_openclinica.client.openclinica3.web import Web
from airflow_provider_openclinica.errors import NotFoundError, ServerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_openclinica.client.openclinica3.session import Session
    from airflow_provider_openclinica.client.openclinica3.settings import Settings3
    from airflow_provider_openclinica.client.openclinica3.soap import ListedParticipant3

PROBE = "/pages/healthcheck/runtime"


class OpenClinica3Client:
    """Everything this package asks of one OpenClinica 3. No I/O before the first call.

    :param settings: the server and the account.
    :param lock_folder: where all processes of this host take turns; None: the threads of this process do.
    :param sleep: how to wait; one that raises ends the wait.
    """

    def __init__(
        self, settings: Settings3, *, lock_folder: Path | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.settings, self.sleep = settings, sleep
        self._turns = Turns(settings, lock_folder, sleep=sleep)
        self.api = Api(settings, self._turns, sleep=sleep)
        self.soap = Soap(settings, sleep=sleep)
        self.clinicaldata = ClinicalData3(settings, self.session, self.api)
        self.studies = Studies3(self.clinicaldata)
        self.participants = Participants3(self.soap)
        self.tokens = NoTokens()

    @contextmanager
    def session(self, *, patience: float = PATIENCE) -> Iterator[Session]:
        """Take the turn, log in, and log out at the end. Whatever is read in it costs no further login.

        :param patience: seconds to wait for the turn.
        """
        with session_of(self.settings, self._turns, sleep=self.sleep, patience=patience) as session:
            yield session

    def server_time(self, moment: float) -> datetime:
        """Return a moment, in seconds since 1970, by this machine's clock: nobody asks for changes by it here."""
        return datetime.fromtimestamp(moment, UTC)

    def is_alive(self) -> bool:
        """Tell whether the web application answers. It says nothing of the database, and asks for no account."""
        about = About(doing="a sign of life")
        with closing(Web(self.settings, sleep=self.sleep)) as web:
            try:
                with closing(web.send("POST", self.settings.web_url + PROBE, about, harmless=True)) as streamed:
                    return streamed.answer.status == 200 and '"result"' in streamed.answer.body
            except ServerUnavailableError:
                return False

    def check(self, *, patience: float = PATIENCE) -> None:
        """Prove address and account: by a login, or by the API key where that is what data are read by.

        :raises OpenClinicaError: what is wrong.
        """
        if self.settings.read_by == "api_key":
            self.api.version(patience=patience)
        else:
            with self.session(patience=patience):
                pass


class NoTokens:
    """What stands where OpenClinica 4 has its tokens: who pulls asks for one first."""

    def token(self) -> str:
        """Return none; a session is begun with the first read."""
        return ""


class Studies3:
    """What a study consists of."""

    def __init__(self, clinicaldata: ClinicalData3) -> None:
        self.metadata = clinicaldata.metadata

    def sites(self, study_oid: str) -> list[str]:
        """List the OIDs of a study's sites; empty for a site.

        :raises NotFoundError: the answer does not speak of that study.
        """
        with self.metadata(study_oid) as document:
            oids = study_oids(document)
        if study_oid not in oids:
            raise NotFoundError("OpenClinica answered with metadata, and not of this study", study=study_oid)
        return [oid for oid in oids if oid != study_oid]


class Participants3:
    """Who is in a study."""

    def __init__(self, soap: Soap) -> None:
        self._soap = soap

    def list(self, study_oid: str, site_oid: str | None = None) -> list[ListedParticipant3]:
        """List everybody in a study and its sites, or in a site.

        :raises NotFoundError: the account sees no such study or site.
        :raises NotAvailableError: refused; the account needs a role in just that study or site.
        """
        return self._soap.participants(self._soap.place(study_oid, site_oid))

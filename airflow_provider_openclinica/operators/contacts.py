"""The contact data of a site's participants, fetched into a file."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.client.contacts import PAGE_SIZE
from airflow_provider_openclinica.engine.contacts import Page, is_last, join, read_page
from airflow_provider_openclinica.engine.lists import is_unreadable
from airflow_provider_openclinica.errors import ConfigurationError, OpenClinicaError
from airflow_provider_openclinica.hooks.storage import Measured
from airflow_provider_openclinica.operators.arguments import oid
from airflow_provider_openclinica.operators.fetched import FetchingOperator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from airflow_provider_openclinica.engine.contacts import Joined

_IN_CONTACTS = frozenset({"available", "signed"})  #: statuses of those whom OpenClinica writes


class OpenClinicaExtractContactsOperator(FetchingOperator):
    """Extract the contact data of a site's participants into one CSV file. Safe to retry.

    OpenClinica writes them in pages, one job each; they are asked for until one is not full, and joined below one
    header. The columns are the server's: ``ParticipantId`` and ``Participate Status``; for accounts with a role at the
    site itself also ``First Name``, ``Last Name``, ``Email``, ``Mobile`` and ``Identifier``; and with ``register``
    ``Access Code``. Participants who were removed are left out. The module Participate must be active.

    **The file holds names, addresses and, if asked for, what opens the participants' accounts.** It is the only place
    they come to: no XCom, no log line and no error has them.

    Then the site's list of participants is asked who should be in the file. Those who stand on no page are counted in
    the task log and in the result: participants who were created at the same moment can fall between two pages. Run the
    task again then, or with a ``page_size`` above their number.

    Returns ``job_type``, ``status``, ``rows``, ``pages``, ``jobs`` (``job_uuid`` and ``rows`` of each page),
    ``missing`` (how many participants stand on no page; None where the list cannot be read), ``output_uri``, ``size``
    in bytes and ``sha256``.

    :param study_oid: the study. Templated.
    :param site_oid: the site. Templated.
    :param output_uri: see ``FetchingOperator``; a folder gets ``<uuid of the first job>.csv``. Templated.
    :param register: extract the access codes of OpenClinica Participate, too.
    :param page_size: participants in a page. One above the number of participants saves jobs.
    :param kwargs: ``delete_job_files``, ``openclinica_conn_id``, ``deferrable``, ``poll_interval``, ``timeout``; see
        ``FetchingOperator`` and ``WaitingOperator``.
    """

    job_type = "ACCESS_CODE"
    suffix = ".csv"

    def __init__(
        self,
        *,
        study_oid: str,
        site_oid: str,
        output_uri: str,
        register: bool = False,
        page_size: int = PAGE_SIZE,
        **kwargs: Any,
    ) -> None:
        super().__init__(study_oid=study_oid, site_oid=site_oid, output_uri=output_uri, **kwargs)
        if isinstance(page_size, bool) or not isinstance(page_size, int) or page_size < 1:
            raise ConfigurationError("page_size is not a whole number from 1")
        self.register = register
        self.page_size = page_size

    def request(self, number: int) -> str:
        """Ask for a page."""
        return self.client.contacts.extract(
            oid(self.study_oid, "study_oid"),
            oid(self.site_oid, "site_oid"),
            register=self.register,
            page=number,
            page_size=self.page_size,
        )

    def fetch(self, job_uuid: str, number: int, folder: Path) -> dict[str, Any]:
        """Put a page into the folder, and count it."""
        path = _path(folder, number)

        def keep(chunks: Iterator[bytes]) -> Page:
            with path.open("wb") as file:
                return read_page(job_uuid, _copied(chunks, file.write))

        page = self._download(job_uuid, keep)
        self.log.info("Page %d has %d participants", number, page.rows)
        return asdict(page)

    def is_complete(self, fetched: Sequence[dict[str, Any]]) -> bool:
        """Tell whether the last page has come."""
        return bool(fetched) and is_last([Page(**page) for page in fetched], self.page_size)

    def deliver(self, fetched: Sequence[dict[str, Any]], folder: Path) -> dict[str, Any]:
        """Join the pages, those first that another worker had fetched before the task was deferred."""
        paths = [_path(folder, number) for number in range(1, len(fetched) + 1)]
        for number, path in enumerate(paths, start=1):
            if not path.exists():
                self.fetch(fetched[number - 1]["job_uuid"], number, folder)
        target = self._target(fetched[0]["job_uuid"])
        with self.files.create(target, private=True) as file:
            measured = Measured(file)
            joined = join(paths, measured.write)
        if joined.shifted:
            self.log.warning(
                "Rows with more or fewer cells than the header: %d. OpenClinica quotes nothing, so a comma in a name "
                "moves what follows",
                joined.shifted,
            )
        self.log.info("Participants in the file: %d, pages: %d", joined.rows, len(fetched))
        return {
            "job_type": self.job_type,
            "status": "finished",
            "rows": joined.rows,
            "pages": len(fetched),
            "jobs": [{"job_uuid": page["job_uuid"], "rows": page["rows"]} for page in fetched],
            "missing": self._missing(joined),
            "output_uri": target,
            "size": measured.size,
            "sha256": measured.sha256,
        }

    def _missing(self, joined: Joined) -> int | None:
        """Count those of the site whom the file should have and has not; None where nobody can tell."""
        try:
            listed = self.client.participants.list(oid(self.study_oid, "study_oid"), self._site)
        except OpenClinicaError as error:
            if not is_unreadable(error):
                raise
            self.log.info("The site's participants cannot be listed, so nobody can tell whether all are in the file")
            return None
        expected = {
            participant.participant_id for participant in listed if participant.status.casefold() in _IN_CONTACTS
        }
        missing = len(expected - joined.ids)
        if missing:
            self.log.warning("%d of the site's %d participants stand on no page", missing, len(expected))
        return missing


def _path(folder: Path, number: int) -> Path:
    return folder / f"page-{number}.csv"


def _copied(chunks: Iterator[bytes], write: Any) -> Iterator[bytes]:
    for chunk in chunks:
        write(chunk)
        yield chunk

"""The casebook of a participant, fetched as a PDF."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.client.casebooks import check_layout
from airflow_provider_openclinica.errors import JobFailedError
from airflow_provider_openclinica.hooks.storage import Measured
from airflow_provider_openclinica.operators.arguments import oid, participant_id_of
from airflow_provider_openclinica.operators.fetched import FetchingOperator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_PDF = b"%PDF"


class OpenClinicaCasebookOperator(FetchingOperator):
    """Have the casebook of a participant made, and fetch the PDF. Safe to retry.

    Map it over the IDs that ``OpenClinicaListParticipantsOperator`` returns for the casebooks of a site.

    Servers of 2020 make casebooks for people only: then the task fails for good, saying so, and may leave a job on
    OpenClinica that never ends.

    Returns ``job_type``, ``status``, ``job_uuid``, ``participant_id``, ``output_uri``, ``size`` in bytes and
    ``sha256``.

    :param study_oid: the study. Templated.
    :param site_oid: the participant's site; ``None`` for a participant of the study itself. Templated.
    :param participant_id: the ID; letter case matters. Templated.
    :param output_uri: see ``FetchingOperator``; a folder gets ``<uuid of the job>.pdf``. Write no ID into it,
        since errors name it. Templated.
    :param format: the paper: ``Letter``, ``Legal``, ``Tabloid``, ``Ledger``, ``A0`` … ``A6``.
    :param margin: on all sides: a number with ``in``, ``cm`` or ``mm``.
    :param landscape: the longer side of the paper at the bottom.
    :param kwargs: ``delete_job_files``, ``openclinica_conn_id``, ``deferrable``, ``poll_interval``, ``timeout``; see
        ``FetchingOperator`` and ``WaitingOperator``.
    """

    template_fields: Sequence[str] = ("participant_id", *FetchingOperator.template_fields)

    job_type = "PARTICIPANT_PDF_CASEBOOK"
    suffix = ".pdf"

    def __init__(
        self,
        *,
        study_oid: str,
        site_oid: str | None,
        participant_id: str,
        output_uri: str,
        format: str = "A4",  # noqa: A002 - as OpenClinica calls it
        margin: str = "0.5in",
        landscape: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(study_oid=study_oid, site_oid=site_oid, output_uri=output_uri, **kwargs)
        check_layout(format, margin)
        self.participant_id = participant_id
        self.format, self.margin, self.landscape = format, margin, landscape

    def request(self, number: int) -> str:  # noqa: ARG002 - there is one
        """Ask for the casebook."""
        return self.client.casebooks.request(
            oid(self.study_oid, "study_oid"),
            self._site,
            participant_id_of(self.participant_id),
            format=self.format,
            margin=self.margin,
            landscape=self.landscape,
        )

    def fetch(self, job_uuid: str, number: int, folder: Path) -> dict[str, Any]:  # noqa: ARG002 - straight to its place
        """Store the PDF. A casebook that failed is text under the name of a PDF, and is stored nowhere."""
        target = self._target(job_uuid)

        def store(chunks: Iterator[bytes]) -> Measured:
            with self.files.create(target, private=True) as file:
                measured = Measured(file)
                for chunk in _pdf(chunks, job_uuid):
                    measured.write(chunk)
                return measured

        stored = self._download(job_uuid, store)
        self.log.info("The casebook of job %s has %d bytes", job_uuid, stored.size)
        return {"job_uuid": job_uuid, "output_uri": target, "size": stored.size, "sha256": stored.sha256}

    def deliver(self, fetched: Sequence[dict[str, Any]], folder: Path) -> dict[str, Any]:  # noqa: ARG002 - it is there
        """Tell what was stored."""
        (casebook,) = fetched
        return {
            "job_type": self.job_type,
            "status": "finished",
            "participant_id": participant_id_of(self.participant_id),
            **casebook,
        }


def _pdf(chunks: Iterator[bytes], job_uuid: str) -> Iterator[bytes]:
    """Yield what comes, if it begins as a PDF does.

    :raises JobFailedError: it is something else. It is not quoted: it may hold data.
    """
    head = b""
    while len(head) < len(_PDF) and (chunk := next(chunks, b"")):
        head += chunk
    if not head.startswith(_PDF):
        raise JobFailedError("OpenClinica made no PDF of the casebook", job=job_uuid)
    yield head
    yield from chunks

"""Has a scheduled extract made a new file? The one question that worker and triggerer ask."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.client import OpenClinicaClient


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExtract:
    """Has an extract job a file that is new? A question, see ``engine/questions.py``.

    :param study_oid: the study.
    :param extract_job_uuid: the extract job.
    :param newer_than: ISO 8601 with its zone: runs of this moment and before are old. None: none is.
    """

    study_oid: str
    extract_job_uuid: str
    newer_than: str | None = None

    @property
    def goal(self) -> str:
        """Say what is waited for."""
        newer = f" newer than {self.newer_than}" if self.newer_than else ""
        return f"extract job {self.extract_job_uuid} of {self.study_oid} has a file{newer}"

    def ask(self, client: OpenClinicaClient) -> dict[str, str | None] | None:
        """Read the list once, and return the newest run if it is new.

        :raises OpenClinicaError: it cannot be read.
        """
        for newest in client.extracts.executions(self.study_oid, self.extract_job_uuid)[:1]:
            created = newest.date_created
            if self.newer_than is None or (created and created > datetime.fromisoformat(self.newer_than)):
                return {"execution_uuid": newest.uuid, "date_created": created.isoformat() if created else None}
        return None

"""Is OpenClinica at rest? Two jobs at once can get in each other's way."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.client import OpenClinicaClient

log = logging.getLogger(__name__)

ENDED = frozenset({"COMPLETED", "FAILED", "DELETED"})  #: a status nobody has seen costs a wait, not a wrong verdict
SHOWN = 5  #: uuids in a line of the log


@dataclass(frozen=True, slots=True, kw_only=True)
class NoRunningJobs:
    """Has a study no running job? A question, see ``engine/questions.py``.

    It sees what the job list shows, which are the jobs of the account itself (docs/protocol.md, job list).

    :param study_oid: the study; jobs of its sites count.
    :param site_oid: one of its sites, where only that one matters.
    """

    study_oid: str
    site_oid: str | None = None

    @property
    def goal(self) -> str:
        """Say what is waited for."""
        return f"no job of {self.site_oid or self.study_oid} is running"

    def ask(self, client: OpenClinicaClient) -> Literal[True] | None:
        """Read the job list once.

        :raises OpenClinicaError: it cannot be read.
        """
        jobs = client.jobs.list(self.study_oid, self.site_oid)
        running = [job.uuid for job in jobs if job.status not in ENDED]
        if not running:
            return True
        more = f" and {len(running) - SHOWN} more" if len(running) > SHOWN else ""
        log.info("Still running: %s%s", ", ".join(running[:SHOWN]), more)
        return None

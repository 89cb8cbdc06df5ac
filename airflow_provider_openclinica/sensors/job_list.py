"""Wait until OpenClinica has nothing left to do for a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseSensorOperator

from airflow_provider_openclinica.errors import RateLimitError, ServerUnavailableError
from airflow_provider_openclinica.hooks.openclinica import OpenClinicaHook
from airflow_provider_openclinica.operators.arguments import oid
from airflow_provider_openclinica.operators.failures import airflow_failures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

ENDED = frozenset({"COMPLETED", "FAILED", "DELETED"})  #: a status nobody has seen costs a wait, not a wrong verdict
SHOWN = 5  #: uuids in a line of the log


class OpenClinicaNoRunningJobsSensor(BaseSensorOperator):
    """Wait until no job of a study is running, or of one site: two jobs at once can get in each other's way.

    It sees what the job list shows, which are the jobs of the connection's own account; a server may lack the list
    (docs/protocol.md, job list). A restart of OpenClinica leaves jobs in progress for ever: the task's log names those
    that are waited for, and ``OpenClinicaDeleteJobOperator`` takes one out of the list.

    :param study_oid: OID of the study, not of a site; jobs of its sites count. Templated.
    :param site_oid: OID of one of its sites, to wait for jobs of that site only. Templated.
    :param openclinica_conn_id: connection of type ``openclinica``. Templated.
    :param kwargs: what all sensors take: ``poke_interval``, ``timeout``, ``soft_fail``, … With ``mode="reschedule"`` it
        takes no worker slot between two looks.
    """

    template_fields: Sequence[str] = ("study_oid", "site_oid", "openclinica_conn_id")
    ui_color = "#e5f0f8"

    def __init__(
        self,
        *,
        study_oid: str,
        site_oid: str | None = None,
        openclinica_conn_id: str = OpenClinicaHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.study_oid = study_oid
        self.site_oid = site_oid
        self.openclinica_conn_id = openclinica_conn_id

    def poke(self, context: Context) -> bool:  # noqa: ARG002 - Airflow's signature
        """Read the list once. A server that is busy or out of reach is asked again at the next poke."""
        with airflow_failures():
            study_oid, client = oid(self.study_oid, "study_oid"), OpenClinicaHook(self.openclinica_conn_id).get_conn()
            try:
                jobs = client.jobs.list(study_oid, self.site_oid)
            except (ServerUnavailableError, RateLimitError) as trouble:
                self.log.warning("The job list cannot be read now, will ask again: %s", trouble.args[0])
                return False
        running = [job.uuid for job in jobs if job.status not in ENDED]
        if running:
            more = f" and {len(running) - SHOWN} more" if len(running) > SHOWN else ""
            self.log.info("Still running: %s%s", ", ".join(running[:SHOWN]), more)
        return not running

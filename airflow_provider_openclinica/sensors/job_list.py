"""Wait until OpenClinica has nothing left to do for a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.engine.quiet import NoRunningJobs
from airflow_provider_openclinica.operators.arguments import oid
from airflow_provider_openclinica.sensors.polling import PollingSensor
from airflow_provider_openclinica.triggers.jobs import OpenClinicaNoRunningJobsTrigger

if TYPE_CHECKING:
    from collections.abc import Sequence


class OpenClinicaNoRunningJobsSensor(PollingSensor):
    """Wait until no job of a study is running, or of one site: two jobs at once can get in each other's way.

    It sees what the job list shows, which are the jobs of the connection's own account; a server may lack the list
    (docs/protocol.md, job list). A restart of OpenClinica leaves jobs in progress for ever: the task's log names those
    that are waited for, and ``OpenClinicaDeleteJobOperator`` takes one out of the list.

    :param study_oid: OID of the study, not of a site; jobs of its sites count. Templated.
    :param site_oid: OID of one of its sites, to wait for jobs of that site only. Templated.
    :param openclinica_conn_id: connection of type ``openclinica``. Templated.
    :param deferrable: wait in the triggerer. Default: Airflow's ``[operators] default_deferrable``.
    :param kwargs: what all sensors take: ``poke_interval``, ``timeout``, ``soft_fail``, … With ``mode="reschedule"`` it
        takes no worker slot between two looks.
    """

    template_fields: Sequence[str] = ("study_oid", "site_oid", "openclinica_conn_id")
    trigger_class = OpenClinicaNoRunningJobsTrigger

    def __init__(self, *, study_oid: str, site_oid: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.study_oid = study_oid
        self.site_oid = site_oid

    def question(self) -> NoRunningJobs:
        """Ask whether the study is at rest."""
        return NoRunningJobs(study_oid=oid(self.study_oid, "study_oid"), site_oid=self.site_oid or None)

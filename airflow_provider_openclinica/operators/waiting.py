"""What all operators share that wait for a job: in the worker or in the triggerer, killed or out of time.

Two facts about Airflow shape it. A deferred task resumes in a new process and may get nothing back but the event, so
whatever it needs is in there. And ``execution_timeout`` starts anew on each resume, so deadlines are absolute.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.providers.common.compat.sdk import conf

from airflow_provider_openclinica.engine.watch import JobWatch, wait
from airflow_provider_openclinica.errors import JobTimeoutError, WaitInterruptedError
from airflow_provider_openclinica.hooks.storage import ObjectStorage
from airflow_provider_openclinica.links.jobs import JOB_PAGE_KEY, OpenClinicaJobLink
from airflow_provider_openclinica.operators.arguments import seconds_of
from airflow_provider_openclinica.operators.base import StoppableOperator
from airflow_provider_openclinica.triggers.jobs import OpenClinicaJobTrigger

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_openclinica.engine.events import Progress
    from airflow_provider_openclinica.engine.ticket import JobTicket

JOB_UUID_KEY = "job_uuid"  #: XCom under which the uuid of the latest job lies, from its submission on
SIX_HOURS = 6 * 3600.0


class WaitingOperator(StoppableOperator):
    """Base of the operators that wait for jobs. Its ``resume`` is called with the trigger's event.

    :param deferrable: wait in the triggerer, so that the task takes no worker slot. Default: Airflow's
        ``[operators] default_deferrable``.
    :param poll_interval: first interval between two looks at a job, in seconds or as a ``timedelta``; later ones grow
        to ten times that.
    :param timeout: how long to wait for each job in each try, in seconds or as a ``timedelta``. The job itself goes on.
    :param kwargs: ``openclinica_conn_id``: connection of type ``openclinica``, templated; and what all operators take.
    """

    operator_extra_links = (OpenClinicaJobLink(),)

    on_retry: ClassVar[str] = "A retry finds the job again."  #: what to tell those whose task ran out of time

    def __init__(
        self,
        *,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta = 5.0,
        timeout: float | timedelta = SIX_HOURS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable
        self.poll_interval = seconds_of(poll_interval, "poll_interval")
        self.timeout = seconds_of(timeout, "timeout")

    @abstractmethod
    def resume(self, context: Context, event: Any) -> Any:
        """Go on where the trigger ended. Each operator says how."""

    @cached_property
    def files(self) -> ObjectStorage:
        """Local files and object storage."""
        return ObjectStorage()

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Say in our own words that the triggerer never answered; all else is Airflow's."""
        if next_method == "__fail__" and "timeout" in str((next_kwargs or {}).get("error", "")).lower():
            raise JobTimeoutError(
                "No triggerer said that the job had ended, nor that our own deadline had passed",
                next_step=f"See that a triggerer is running. {self.on_retry}",
            )
        return super().resume_execution(next_method, next_kwargs, context)

    def _refuse_to_begin(self, started: float, jobs: int) -> None:
        """See that this task is not to end before it makes another job."""
        if self._killed.is_set():
            raise WaitInterruptedError("Stopped between two parts")
        if self._end_of_task(started) <= time.time():
            raise JobTimeoutError(
                f"execution_timeout has passed after {jobs} jobs",
                next_step=f"Give the task more time. {self.on_retry}",
            )

    def _publish(self, context: Context, ticket: JobTicket) -> None:
        """Tell the job's uuid and page before anything else: whatever dies next, a person can find the job."""
        page = self.client.jobs.page(ticket.job_uuid)
        self.log.info("Its job is %s: %s", ticket.job_uuid, page)
        context["ti"].xcom_push(key=JOB_UUID_KEY, value=ticket.job_uuid)
        context["ti"].xcom_push(key=JOB_PAGE_KEY, value=page)

    def _wait(self, ticket: JobTicket, progress: Progress) -> None:
        """Wait for the job here, or hand it to a triggerer, which ends this process.

        :param progress: what ``resume`` needs to go on.
        :raises OpenClinicaError: whatever ended the wait, if not the job's file.
        """
        watch = self._watch(ticket, progress.started)
        if self.deferrable:
            self._defer(watch, ticket, progress)
        wait(watch, self.client, self._killed)

    def _watch(self, ticket: JobTicket, started: float) -> JobWatch:
        now = time.time()
        return JobWatch(
            job_uuid=ticket.job_uuid,
            study_oid=ticket.study_oid,
            site_oid=ticket.site_oid,
            deadline=min(now + self.timeout, self._end_of_task(started)),
            poll_interval=self.poll_interval,
            since=now,
        )

    def _end_of_task(self, started: float) -> float:
        """Return when ``execution_timeout`` ends: Airflow counts it anew after each deferral, we do not."""
        limit = self.execution_timeout
        return started + limit.total_seconds() if limit else float("inf")

    def _defer(self, watch: JobWatch, ticket: JobTicket, progress: Progress) -> NoReturn:
        self.log.info("Waiting in the triggerer")
        trigger = OpenClinicaJobTrigger(
            openclinica_conn_id=self.openclinica_conn_id,
            watch=asdict(watch),
            ticket=asdict(ticket),
            progress=progress.to_json(),
        )
        self.defer(trigger=trigger, method_name="resume", timeout=trigger.timeout)

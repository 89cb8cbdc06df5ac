"""Wait for a job that something else has submitted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn, cast

from airflow.providers.common.compat.sdk import AirflowSensorTimeout, BaseSensorOperator, PokeReturnValue, conf

from airflow_provider_openclinica.client.jobs import JobState
from airflow_provider_openclinica.engine.collect import NothingSent, RowsSent, collect, log_uri_for
from airflow_provider_openclinica.engine.events import Progress, read_event
from airflow_provider_openclinica.engine.judge import judge, parse_fail_on, result_of
from airflow_provider_openclinica.engine.ticket import JobTicket
from airflow_provider_openclinica.engine.watch import JobWatch
from airflow_provider_openclinica.errors import ConfigurationError, JobFailedError, JobTimeoutError
from airflow_provider_openclinica.hooks.openclinica import OpenClinicaHook
from airflow_provider_openclinica.hooks.storage import ObjectStorage
from airflow_provider_openclinica.operators.arguments import JOB_UUID, log_address
from airflow_provider_openclinica.operators.failures import airflow_failures
from airflow_provider_openclinica.sensors.job_list import OpenClinicaNoRunningJobsSensor
from airflow_provider_openclinica.triggers.jobs import OpenClinicaJobTrigger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context, XComArg

__all__ = ["OpenClinicaJobSensor", "OpenClinicaNoRunningJobsSensor"]


class OpenClinicaJobSensor(BaseSensorOperator):
    """Wait until a job has ended; given a bulk operator's result, also fetch its logs and judge them.

    A bare uuid is only waited for: that the job ended says nothing of its rows, and its log is not read. The result of
    an operator that ran with ``wait_for_completion=False`` (``job_uuid=labs.output``) is judged as that operator would
    have, save for one thing: the file that was sent is not at hand, so participants whom an import's log passes over
    go unnoticed.

    The account has to be the one that submitted the job: OpenClinica gives a log to nobody else.

    :param job_uuid: the uuid of a job, or what a bulk operator returned. Templated.
    :param study_oid: OID of the job's study. Its job list, where the server has one, tells a failed job from one whose
        log is gone. Templated.
    :param openclinica_conn_id: connection of type ``openclinica``. Templated.
    :param log_uri: where to store the log, as for the bulk operators; with a result only. Templated.
    :param fail_on: which failed rows are too many, as for the bulk operators; with a result only.
    :param deferrable: wait in the triggerer, with growing pauses that begin at ``poke_interval``. Default: Airflow's
        ``[operators] default_deferrable``.
    :param kwargs: what all sensors take: ``poke_interval``, ``timeout``, ``mode``, ``soft_fail``, …
    """

    template_fields: Sequence[str] = ("job_uuid", "study_oid", "openclinica_conn_id", "log_uri")
    ui_color = "#e5f0f8"

    def __init__(
        self,
        *,
        job_uuid: str | Mapping[str, Any] | XComArg,
        study_oid: str | None = None,
        openclinica_conn_id: str = OpenClinicaHook.default_conn_name,
        log_uri: str | None = None,
        fail_on: str | float = "any",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job_uuid = cast("str | Mapping[str, Any]", job_uuid)  # an XComArg is one of them once it is rendered
        self.study_oid = study_oid
        self.openclinica_conn_id = openclinica_conn_id
        self.log_uri = log_uri
        self.fail_on = parse_fail_on(fail_on)
        self.deferrable = deferrable
        self._since = 0.0  # when the first poke of this process was

    def execute(self, context: Context) -> Any:
        """Poke until it is over, or hand the first job to the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        with airflow_failures(JobFailedError):
            for ticket in self._tickets():
                self._defer(ticket, Progress(started=time.time()))
            return self._verdict([])

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Look at each job once."""
        with airflow_failures(JobFailedError):
            client, tickets, since = (
                OpenClinicaHook(self.openclinica_conn_id).get_conn(),
                self._tickets(),
                self._first_poke(context),
            )
            for ticket in tickets:
                watch = self._watch(ticket, since, deadline=float("inf"))  # how long to poke is Airflow's to say
                if watch.look(client) is not JobState.FINISHED:
                    return False
            return PokeReturnValue(is_done=True, xcom_value=self._verdict(tickets))

    def resume(self, context: Context, event: Any) -> dict[str, Any] | None:  # noqa: ARG002 - Airflow's signature
        """Go on with the next job, or with the verdict."""
        with airflow_failures(JobFailedError):
            ended = read_event(event)
            if isinstance(ended.error, JobTimeoutError):
                raise AirflowSensorTimeout(str(ended.error)) from ended.error
            if ended.error:
                raise ended.error
            tickets = self._tickets()
            for ticket in tickets[ended.ticket.part :]:
                self._defer(ticket, ended.progress)
            return self._verdict(tickets)

    def _defer(self, ticket: JobTicket, progress: Progress) -> NoReturn:
        watch = self._watch(ticket, time.time(), deadline=progress.started + self.timeout)
        trigger = OpenClinicaJobTrigger(self.openclinica_conn_id, asdict(watch), asdict(ticket), progress.to_json())
        self.defer(trigger=trigger, method_name="resume", timeout=trigger.timeout)

    def _watch(self, ticket: JobTicket, since: float, deadline: float) -> JobWatch:
        return JobWatch(
            job_uuid=ticket.job_uuid,
            study_oid=ticket.study_oid,
            deadline=deadline,
            poll_interval=self.poke_interval,
            since=since,
        )

    def _first_poke(self, context: Context) -> float:
        """Return when this wait began, as far as it matters: a job may be unknown for a moment after its submission.

        Rescheduled, each poke is a process of its own; there only the first is forgiven.
        """
        if self.reschedule and context.get("task_reschedule_count", 1) > 0:
            return 0.0
        self._since = self._since or time.time()
        return self._since

    def _verdict(self, tickets: Sequence[JobTicket]) -> dict[str, Any] | None:
        """Fetch and judge the logs, if the jobs came with a result."""
        if isinstance(self.job_uuid, str):
            return None
        client, files = OpenClinicaHook(self.openclinica_conn_id).get_conn(), ObjectStorage()
        log_uri = log_address(self.log_uri)
        reports = [
            collect(
                client,
                ticket,
                files=files,
                log_uri=log_uri_for(log_uri, ticket.job_uuid, ticket.part),
                sent=NothingSent() if ticket.rows_sent is None else RowsSent(ticket.rows_sent),
            )
            for ticket in tickets
        ]
        judge(reports, self.fail_on)
        return result_of(reports, self.job_uuid.get("job_type", ""))

    def _tickets(self) -> list[JobTicket]:
        """Return the jobs to wait for.

        :raises ConfigurationError: ``job_uuid`` is neither a uuid nor a result.
        """
        try:
            if isinstance(self.job_uuid, str):
                return [self._ticket({"job_uuid": self.job_uuid}, 1)]
            tickets = [self._ticket(job, number) for number, job in enumerate(self.job_uuid["jobs"], start=1)]
        except (TypeError, KeyError, ValueError):
            tickets = []
        if not tickets and not self._nothing_was_sent():
            raise ConfigurationError(
                "job_uuid is neither the uuid of a job nor the result of a bulk operator",
                next_step="Give it task.output, or a template that renders to one uuid.",
            )
        return tickets

    def _nothing_was_sent(self) -> bool:
        """Tell whether this is the result of an operator that found nothing to send."""
        given = self.job_uuid
        return isinstance(given, Mapping) and given.get("status") == "finished" and given.get("jobs") == []

    def _ticket(self, job: Mapping[str, Any], part: int) -> JobTicket:
        if not JOB_UUID.fullmatch(job["job_uuid"]):
            raise ValueError("no uuid")
        return JobTicket(
            job_uuid=job["job_uuid"],
            job_type=job.get("job_type", ""),
            study_oid=self.study_oid or "",
            site_oid=None,
            part=part,
            generation=0,
            payload_sha256=job.get("payload_sha256", ""),
            rows_sent=job.get("rows_sent"),
        )

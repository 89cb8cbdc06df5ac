"""What all bulk operators share: the life of a job, from a file to its verdict, in the worker or deferred.

The life itself is ``engine/run.py``. This module gives it what Airflow has: a task's identity and state store, XCom and
the link, a triggerer, signals. Three facts about Airflow shape it. A killed task's ``execute`` goes on after
``on_kill``, so ``on_kill`` only sets a flag and the wait raises. A deferred task resumes in a new process and may get
nothing back but the event, so whatever it needs is in there. And ``execution_timeout`` starts anew on each resume, so
deadlines are absolute.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, cast

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_openclinica.engine.events import Progress, read_event
from airflow_provider_openclinica.engine.judge import parse_fail_on, result_of, running
from airflow_provider_openclinica.engine.record import Record
from airflow_provider_openclinica.engine.run import Policy, Prepared, Run
from airflow_provider_openclinica.engine.watch import JobWatch, wait
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    JobFailedError,
    JobTimeoutError,
    PartlyAppliedError,
    WaitInterruptedError,
)
from airflow_provider_openclinica.hooks.clients import client_for
from airflow_provider_openclinica.hooks.openclinica import OpenClinicaHook
from airflow_provider_openclinica.hooks.storage import ObjectStorage
from airflow_provider_openclinica.links.jobs import JOB_PAGE_KEY, OpenClinicaJobLink
from airflow_provider_openclinica.operators import state
from airflow_provider_openclinica.operators.arguments import log_address, seconds_of
from airflow_provider_openclinica.operators.failures import airflow_failures
from airflow_provider_openclinica.operators.scratch import scratch_folder
from airflow_provider_openclinica.triggers.jobs import OpenClinicaJobTrigger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.engine.run import OnAmbiguousSubmit
    from airflow_provider_openclinica.engine.ticket import JobTicket

JOB_UUID_KEY = "job_uuid"  #: XCom under which the uuid of the latest job lies, from its submission on
SIX_HOURS = 6 * 3600.0


class OpenClinicaBulkOperator(BaseOperator):
    """Base of the operators that send a file as one job or several, wait, and judge the logs.

    A retry goes on where the try before it ended: it finds the job again, and submits nothing twice. Clearing the task
    submits anew, on purpose. What the task returns are ids, counts and where the logs lie; never data.

    :param openclinica_conn_id: connection of type ``openclinica``. Templated.
    :param wait_for_completion: ``False`` submits and returns, with status ``running``; a file that needs several jobs
        is then refused before anything is sent.
    :param deferrable: wait in the triggerer, so that the task takes no worker slot. Default: Airflow's
        ``[operators] default_deferrable``.
    :param poll_interval: first interval between two looks at a job, in seconds or as a ``timedelta``; later ones grow
        to ten times that.
    :param timeout: how long to wait for each job in each try, in seconds or as a ``timedelta``. The job itself goes on.
    :param log_uri: where to store the log: a file, or a folder if it ends in ``/``, which then holds
        ``<job uuid>.csv``. Further parts of a file insert ``.2``, ``.3`` before the suffix; failed rows go to the same
        name with ``.failed.csv``. ``None`` keeps no log. No path object, which would lose the ``/``. Templated.
    :param fail_on: ``"any"`` failed row fails the task; a fraction such as ``0.05`` does if more of the rows failed;
        ``"job"`` tolerates failed rows. None of them tolerates rows that the log passes over.
    :param durable: ``False`` keeps no record of what was sent and looks for none: each try submits.
    :param on_ambiguous_submit: what to do when the connection broke while sending, and nothing can tell whether a job
        exists: ``"fail"``, or ``"resubmit"`` if sending twice does no harm.
    """

    template_fields: Sequence[str] = ("openclinica_conn_id", "log_uri")
    operator_extra_links = (OpenClinicaJobLink(),)
    ui_color = "#e5f0f8"

    repeatable: ClassVar[bool] = True  #: sending a file again after its job has ended or failed does no harm
    _killed: threading.Event  # made by execute and resume: an operator is copied, a lock cannot be

    def __init__(
        self,
        *,
        openclinica_conn_id: str = OpenClinicaHook.default_conn_name,
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta = 5.0,
        timeout: float | timedelta = SIX_HOURS,
        log_uri: str | None = None,
        fail_on: str | float = "any",
        durable: bool = True,
        on_ambiguous_submit: str = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if on_ambiguous_submit not in ("fail", "resubmit"):
            raise ConfigurationError("on_ambiguous_submit is neither 'fail' nor 'resubmit'")
        self.openclinica_conn_id = openclinica_conn_id
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = seconds_of(poll_interval, "poll_interval")
        self.timeout = seconds_of(timeout, "timeout")
        self.log_uri = log_uri
        self.fail_on = parse_fail_on(fail_on)
        self.durable = durable
        self.on_ambiguous_submit = cast("OnAmbiguousSubmit", on_ambiguous_submit)

    def prepare(self, folder: Path, plan: Mapping[str, Any] | None) -> Prepared:
        """Check what is to be sent, on this side, and cut it into parts. Each bulk operator says how.

        :param folder: an empty folder, thrown away afterwards.
        :param plan: how the same file was cut before, by an earlier try or before the task was deferred.
        """
        raise NotImplementedError

    @cached_property
    def client(self) -> OpenClinicaClient:
        """The client of the connection, whose waits end when the task is killed. No call is made here."""

        def sleep(seconds: float) -> None:
            if self._killed.wait(seconds):
                raise WaitInterruptedError("Stopped while waiting to ask OpenClinica again")

        return client_for(self.openclinica_conn_id, sleep=sleep)

    @cached_property
    def files(self) -> ObjectStorage:
        """Local files and object storage."""
        return ObjectStorage()

    def execute(self, context: Context) -> dict[str, Any]:
        """Send what is to be sent, or find the jobs of an earlier try; wait; store the logs; judge them."""
        with self._failures():
            plan = self._record(context).plan(state.generation(context))
            progress = Progress(started=time.time(), plan=plan or {})
            with self._run(context, progress) as run:
                return self._carry_on(context, run, progress.started)

    def resume(self, context: Context, event: Any) -> dict[str, Any]:
        """Go on where the trigger ended: fetch the log of the job that it watched, then take the next part."""
        with self._failures():
            ended = read_event(event)
            if ended.error:
                if isinstance(ended.error, JobFailedError):
                    self._record(context).write_failure(ended.ticket)
                raise ended.error
            with self._run(context, ended.progress) as run:
                run.finish(ended.ticket)
                return self._carry_on(context, run, ended.progress.started)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Say in our own words that the triggerer never answered; all else is Airflow's."""
        if next_method == "__fail__" and "timeout" in str((next_kwargs or {}).get("error", "")).lower():
            raise JobTimeoutError(
                "No triggerer said that the job had ended, nor that our own deadline had passed",
                next_step="See that a triggerer is running; a retry finds the job again.",
            )
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """End the wait. The job goes on, and the next try finds it.

        This runs in a signal handler, in the middle of anything and with five seconds left: it asks nobody.
        """
        if killed := getattr(self, "_killed", None):
            killed.set()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Tell Airflow which failures are final; a failed job of which some rows may be in is one of them."""
        with airflow_failures():
            try:
                yield
            except JobFailedError as error:
                if self.repeatable:
                    raise
                raise PartlyAppliedError(
                    f"{error.args[0]}, and may have applied some of its rows", study=error.study, job=error.job
                ) from error

    @contextmanager
    def _run(self, context: Context, progress: Progress) -> Iterator[Run]:
        """Prepare the parts, in a folder that does not outlive what this process does with them."""
        self._killed = threading.Event()
        if log_uri := log_address(self.log_uri):
            self.files.check_target(log_uri)  # before the data are in
        with scratch_folder() as folder:
            prepared = self.prepare(folder, progress.plan or None)
            if len(prepared.parts) > 1 and not self.wait_for_completion:
                raise ConfigurationError(
                    f"{len(prepared.parts)} jobs are needed, one after the other, and wait_for_completion is False",
                    next_step="Leave wait_for_completion at True; deferrable=True takes no worker slot.",
                )
            policy, record = self._policy(context), self._record(context)
            yield Run(self.client, prepared, policy, record, self.files, progress.reports)

    def _carry_on(self, context: Context, run: Run, started: float) -> dict[str, Any]:
        """Take the parts that have no outcome yet, one by one."""
        while ticket := self._next_job(run, started):
            self._publish(context, ticket)
            if not self.wait_for_completion:
                return result_of([running(ticket)])
            watch = self._watch(ticket, started)
            if self.deferrable:
                progress = Progress(started=started, reports=tuple(run.reports), plan=run.plan)
                self._defer(watch, ticket, progress)
            try:
                wait(watch, self.client, self._killed)
            except JobFailedError:
                self._record(context).write_failure(ticket)
                raise
            run.finish(ticket)
        return run.verdict()

    def _next_job(self, run: Run, started: float) -> JobTicket | None:
        """Submit or find the next job, unless this task is to end."""
        if self._killed.is_set():
            raise WaitInterruptedError("Stopped between two parts")
        if self._end_of_task(started) <= time.time():
            raise JobTimeoutError(
                f"execution_timeout has passed after {len(run.reports)} jobs",
                next_step="Give the task more time; a retry goes on with the next part.",
            )
        return run.next_job()

    def _publish(self, context: Context, ticket: JobTicket) -> None:
        """Tell the job's uuid and page before anything else: whatever dies next, a person can find the job."""
        page = self.client.jobs.page(ticket.job_uuid)
        self.log.info("Its job is %s: %s", ticket.job_uuid, page)
        context["ti"].xcom_push(key=JOB_UUID_KEY, value=ticket.job_uuid)
        context["ti"].xcom_push(key=JOB_PAGE_KEY, value=page)

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

    def _record(self, context: Context) -> Record:
        return state.record(context, self) if self.durable else Record(None)

    def _policy(self, context: Context) -> Policy:
        return Policy(
            task=state.task_key(context),
            generation=state.generation(context),
            first_try=state.is_first_try(context),
            repeatable=self.repeatable,
            durable=self.durable,
            on_ambiguous_submit=self.on_ambiguous_submit,
            fail_on=self.fail_on,
            log_uri=log_address(self.log_uri),
        )

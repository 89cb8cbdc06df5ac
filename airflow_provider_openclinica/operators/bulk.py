"""What all bulk operators share: the life of a job, from a file to its verdict, in the worker or deferred.

The life itself is ``engine/run.py``. This module gives it what Airflow has: a task's identity and its state store;
``waiting.py`` has XCom and the link, a triggerer, signals.
"""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, cast

from airflow_provider_openclinica.engine.events import Progress, read_event
from airflow_provider_openclinica.engine.judge import parse_fail_on, result_of, running
from airflow_provider_openclinica.engine.record import Record
from airflow_provider_openclinica.engine.run import Policy, Prepared, Run
from airflow_provider_openclinica.errors import ConfigurationError, JobFailedError, PartlyAppliedError
from airflow_provider_openclinica.operators import state
from airflow_provider_openclinica.operators.arguments import log_address
from airflow_provider_openclinica.operators.failures import airflow_failures
from airflow_provider_openclinica.operators.scratch import scratch_folder
from airflow_provider_openclinica.operators.waiting import WaitingOperator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_openclinica.engine.run import OnAmbiguousSubmit
    from airflow_provider_openclinica.engine.ticket import JobTicket


class OpenClinicaBulkOperator(WaitingOperator):
    """Base of the operators that send a file as one job or several, wait, and judge the logs.

    A retry goes on where the try before it ended: it finds the job again, and submits nothing twice. Clearing the task
    submits anew, on purpose. What the task returns are ids, counts and where the logs lie; never data.

    :param wait_for_completion: ``False`` submits and returns, with status ``running``; a file that needs several jobs
        is then refused before anything is sent.
    :param log_uri: where to store the log: a file, or a folder if it ends in ``/``, which then holds
        ``<job uuid>.csv``. Further parts of a file insert ``.2``, ``.3`` before the suffix; failed rows go to the same
        name with ``.failed.csv``. ``None`` keeps no log. No path object, which would lose the ``/``. Templated.
    :param fail_on: ``"any"`` failed row fails the task; a fraction such as ``0.05`` does if more of the rows failed;
        ``"job"`` tolerates failed rows. None of them tolerates rows that the log passes over.
    :param durable: ``False`` keeps no record of what was sent and looks for none: each try submits.
    :param on_ambiguous_submit: what to do when the connection broke while sending, and nothing can tell whether a job
        exists: ``"fail"``, or ``"resubmit"`` if sending twice does no harm.
    :param kwargs: what all operators take that wait for jobs: ``openclinica_conn_id``, ``deferrable``,
        ``poll_interval`` and ``timeout``; see ``WaitingOperator``.
    """

    template_fields: Sequence[str] = (*WaitingOperator.template_fields, "log_uri")

    on_retry = "A retry finds its jobs again, and goes on with the next part."
    repeatable: ClassVar[bool] = True  #: sending a file again after its job has ended or failed does no harm

    def __init__(
        self,
        *,
        wait_for_completion: bool = True,
        log_uri: str | None = None,
        fail_on: str | float = "any",
        durable: bool = True,
        on_ambiguous_submit: str = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if on_ambiguous_submit not in ("fail", "resubmit"):
            raise ConfigurationError("on_ambiguous_submit is neither 'fail' nor 'resubmit'")
        self.wait_for_completion = wait_for_completion
        self.log_uri = log_uri
        self.fail_on = parse_fail_on(fail_on)
        self.durable = durable
        self.on_ambiguous_submit = cast("OnAmbiguousSubmit", on_ambiguous_submit)

    @abstractmethod
    def prepare(self, folder: Path, plan: Mapping[str, Any] | None) -> Prepared:
        """Check what is to be sent, on this side, and cut it into parts. Each bulk operator says how.

        :param folder: an empty folder, thrown away afterwards.
        :param plan: how the same file was cut before, by an earlier try or before the task was deferred.
        """

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
            try:
                self._wait(ticket, Progress(started=started, reports=tuple(run.reports), plan=run.plan))
            except JobFailedError:
                self._record(context).write_failure(ticket)
                raise
            run.finish(ticket)
        return run.verdict()

    def _next_job(self, run: Run, started: float) -> JobTicket | None:
        """Submit or find the next job, unless this task is to end."""
        self._refuse_to_begin(started, len(run.reports))
        return run.next_job()

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

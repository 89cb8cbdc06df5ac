"""What the operators share that have OpenClinica make a file and fetch it: contacts, casebooks.

They change nothing in the study. So there is no record of what was asked for, a lost answer is no doubt, and each try
begins anew. One file may take several jobs; they run one after the other, and between two of them a deferred task may
come to another worker: what they wrote is then fetched again, and only uuids and counts travel.
"""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow_provider_openclinica.engine.collect import PAUSES
from airflow_provider_openclinica.engine.events import Progress, read_event
from airflow_provider_openclinica.engine.ticket import JobTicket
from airflow_provider_openclinica.errors import (
    JobFailedError,
    JobTimeoutError,
    LogGoneError,
    OpenClinicaError,
    ServerUnavailableError,
    WaitInterruptedError,
)
from airflow_provider_openclinica.operators.arguments import file_address, oid
from airflow_provider_openclinica.operators.failures import airflow_failures
from airflow_provider_openclinica.operators.scratch import scratch_folder
from airflow_provider_openclinica.operators.waiting import WaitingOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from airflow.providers.common.compat.sdk import Context

T = TypeVar("T")


class FetchingOperator(WaitingOperator):
    """Base of the operators that have OpenClinica make a file and fetch it. A retry begins anew, and does no harm.

    :param study_oid: the study. Templated.
    :param site_oid: one of its sites. Templated.
    :param output_uri: where to store the file: a local path, or any URI that Airflow's ``ObjectStoragePath`` opens. One
        that ends in ``/`` is a folder, in which the file is named by the uuid of its job. A local file can be read by
        its owner only; elsewhere the place has to see to that. Templated.
    :param delete_job_files: delete the job's file on OpenClinica once it is stored here, or once the try has failed.
        Where that cannot be done the task log says so, and the task does not fail.
    :param kwargs: what all operators take that wait for jobs: ``openclinica_conn_id``, ``deferrable``,
        ``poll_interval`` and ``timeout``; see ``WaitingOperator``.
    """

    template_fields: Sequence[str] = ("study_oid", "site_oid", "output_uri", *WaitingOperator.template_fields)

    on_retry = "Nothing in the study has changed; a retry asks for it anew, in a new job."
    job_type: ClassVar[str]  #: as the job list names it
    suffix: ClassVar[str]  #: of the file

    def __init__(
        self,
        *,
        study_oid: str,
        site_oid: str | None,
        output_uri: str,
        delete_job_files: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.study_oid, self.site_oid = study_oid, site_oid
        self.output_uri = output_uri
        self.delete_job_files = delete_job_files

    @abstractmethod
    def request(self, number: int) -> str:
        """Check the arguments, ask OpenClinica for a job, and return its uuid. Each operator says how.

        :param number: which job of this task it is, from 1.
        """

    @abstractmethod
    def fetch(self, job_uuid: str, number: int, folder: Path) -> dict[str, Any]:
        """Fetch what a job has written, and return what is to be known of it later: JSON values, nobody's data.

        :param folder: thrown away when this process is done with the task.
        """

    def is_complete(self, fetched: Sequence[dict[str, Any]]) -> bool:
        """Tell whether no further job is needed; one is enough where the operator says nothing else."""
        return bool(fetched)

    @abstractmethod
    def deliver(self, fetched: Sequence[dict[str, Any]], folder: Path) -> dict[str, Any]:
        """Store the file, if `fetch` has not done so, and return the task's result."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask, wait, fetch, until all is there; then store it."""
        with self._failures(), self._folder() as folder, self._deleting() as used:
            self.files.check_target(file_address(self.output_uri, "output_uri"))
            return self._carry_on(context, [], used, folder, started=time.time())

    def resume(self, context: Context, event: Any) -> dict[str, Any]:
        """Fetch what the job has written that the trigger watched; then go on."""
        with self._failures(), self._folder() as folder, self._deleting() as used:
            ended = read_event(event)
            fetched: list[dict[str, Any]] = ended.progress.plan["fetched"]
            used += [job["job_uuid"] for job in fetched]
            if ended.error:
                raise ended.error
            used.append(ended.ticket.job_uuid)
            fetched.append(self.fetch(ended.ticket.job_uuid, ended.ticket.part, folder))
            return self._carry_on(context, fetched, used, folder, started=ended.progress.started)

    def _carry_on(
        self, context: Context, fetched: list[dict[str, Any]], used: list[str], folder: Path, *, started: float
    ) -> dict[str, Any]:
        while not self.is_complete(fetched):
            self._refuse_to_begin(started, len(fetched))
            ticket = self._ticket(self.request(len(fetched) + 1), len(fetched) + 1)
            self._publish(context, ticket)
            self._wait(ticket, Progress(started=started, plan={"fetched": fetched}))
            used.append(ticket.job_uuid)
            fetched.append(self.fetch(ticket.job_uuid, ticket.part, folder))
        return self.deliver(fetched, folder)

    def _download(self, job_uuid: str, receive: Callable[[Iterator[bytes]], T]) -> T:
        """Hand the bytes of a job's file to a function, and return what that returns.

        Where the connection breaks, the function is called again, and from the beginning.
        """
        pauses = iter(PAUSES)
        while True:
            try:
                with self.client.jobs.open_log(job_uuid) as file:
                    return receive(file.chunks())
            except ServerUnavailableError as error:
                pause = next(pauses, None)
                if pause is None:
                    raise
                self.log.warning("The file of job %s could not be fetched, will try again: %s", job_uuid, error.args[0])
            self.client.sleep(pause)

    @property
    def _site(self) -> str | None:
        """The site's OID once it is rendered, None for the study itself."""
        return oid(self.site_oid, "site_oid") if self.site_oid else None

    def _target(self, job_uuid: str) -> str:
        """Return the address of the file that is stored."""
        uri = file_address(self.output_uri, "output_uri")
        return f"{uri}{job_uuid}{self.suffix}" if uri.endswith("/") else uri

    @contextmanager
    def _deleting(self) -> Iterator[list[str]]:
        """Give a list for jobs that have written their files, and delete these at the end, if that is wanted.

        A try that failed has no use for them: the next one asks anew. What is deferred goes on with them, and who is
        killed has no time.
        """
        used: list[str] = []
        try:
            yield used
        except WaitInterruptedError:
            raise
        except Exception:
            self._delete(used)
            raise
        self._delete(used)

    def _delete(self, used: list[str]) -> None:
        left = list(used) if self.delete_job_files else []
        while left:
            kept = [left.pop(0)]
            try:
                self.client.jobs.delete(kept[0])
            except WaitInterruptedError:
                raise
            except OpenClinicaError as error:
                if isinstance(error, ServerUnavailableError):  # each of the others would take as long
                    kept, left = kept + left, []
                told = "Files are still on OpenClinica and could not be deleted, of the jobs %s: %s"
                self.log.warning(told, ", ".join(kept), error)

    def _ticket(self, job_uuid: str, number: int) -> JobTicket:
        return JobTicket(
            job_uuid=job_uuid,
            job_type=self.job_type,
            study_oid=oid(self.study_oid, "study_oid"),
            site_oid=self._site,
            part=number,
            generation=0,
            payload_sha256="",
            rows_sent=None,
        )

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """Give a folder for what this process fetches."""
        self._killed = threading.Event()
        with scratch_folder() as folder:
            yield folder

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Tell Airflow which failures are final, and people what a retry does. That there is no file is no doubt."""
        with airflow_failures():
            try:
                yield
            except LogGoneError as error:
                raise JobFailedError(
                    "OpenClinica ended the job, and there is no file of it",
                    study=error.study,
                    job=error.job,
                    next_step=self.on_retry,
                ) from error
            except (JobFailedError, JobTimeoutError, WaitInterruptedError) as error:
                if self.on_retry not in error.next_step:
                    error.next_step = self.on_retry
                raise

"""Wait for one job, in steps that never sleep, so that a task and a trigger wait in the same way.

``look`` asks the server once and either returns a state or raises the error that ends the watch; ``pause`` says how
long to do something else. The task's own loop is ``wait`` below; the trigger's is the same two calls around
``asyncio.sleep``. What the answers mean: docs/protocol.md, jobs.

A job list, where the server has one, settles what a download cannot: whether a job without a log failed, and whether
an unknown one exists.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_openclinica.client.jobs import JobState
from airflow_provider_openclinica.engine.lists import read_job_list
from airflow_provider_openclinica.errors import (
    JobFailedError,
    JobTimeoutError,
    JobUnknownError,
    LogGoneError,
    OpenClinicaError,
    RateLimitError,
    RoleError,
    ServerUnavailableError,
    WaitInterruptedError,
)

if TYPE_CHECKING:
    import threading

    from airflow_provider_openclinica.client.client import OpenClinicaClient

log = logging.getLogger(__name__)

GROWTH = 1.5  #: each pause is that much longer than the one before
LONGEST = 10  #: the longest pause, as a multiple of the first
JITTER = 0.1  #: pauses vary by that share, so that many tasks do not ask in step
GRACE_SECONDS = 60.0  #: how long a new job may be unknown: some servers need a moment to show it


@dataclass(slots=True, kw_only=True)
class JobWatch:
    """The watch over one job. All its fields are JSON values, so that it can move to a triggerer.

    :param job_uuid: the job.
    :param study_oid: study whose job list shows it; empty where that is not known.
    :param site_oid: site whose list to read instead, for accounts that may not read the study's.
    :param deadline: when to give up, in seconds since the epoch. Absolute, so that it survives a change of process.
    :param poll_interval: first pause in seconds; later ones grow to ten times that.
    :param since: when the watch began, in seconds since the epoch.
    """

    job_uuid: str
    study_oid: str = ""
    site_oid: str | None = None
    deadline: float
    poll_interval: float
    since: float
    looks: int = 0

    def look(self, client: OpenClinicaClient) -> JobState:
        """Ask once.

        :returns: ``FINISHED``: its log can be had. ``RUNNING`` or ``UNKNOWN``: look again after a pause.
        :raises JobFailedError, LogGoneError, JobUnknownError, RoleError: it ended without a log for this account.
        :raises JobTimeoutError: the deadline has passed.
        """
        self.looks += 1
        try:
            state = self._settle(client, client.jobs.state(self.job_uuid))
        except (ServerUnavailableError, RateLimitError) as trouble:
            return self._out_of_reach(trouble)
        if self.looks == 1 and state is not JobState.FINISHED:
            log.info("Job %s is %s", self.job_uuid, "running" if state is JobState.RUNNING else "not visible yet")
        if state is not JobState.FINISHED and self.seconds_left <= 0:
            raise JobTimeoutError(
                f"Still running after {_duration(self.deadline - self.since)}",
                study=self.study_oid,
                job=self.job_uuid,
            )
        return state

    def pause(self) -> float:
        """Return how many seconds to wait before the next look: growing, jittered, never past the deadline."""
        steps = min(self.looks, 50)  # beyond that only the cap counts, and the power would overflow
        pause = self.poll_interval * min(GROWTH ** max(0, steps - 1), LONGEST)
        jittered = pause * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
        return max(0.0, min(jittered, self.seconds_left))

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline; negative once it has passed."""
        return self.deadline - time.time()

    def _settle(self, client: OpenClinicaClient, state: JobState) -> JobState:
        """Turn a state that cannot stand into one that can, or into the error it means."""
        if state is JobState.NOT_YOURS:
            raise RoleError(
                "The job was submitted by another account, and OpenClinica gives a log to its submitter only",
                study=self.study_oid,
                job=self.job_uuid,
                next_step="Use the connection with whose account the job was submitted.",
            )
        if state is JobState.NO_LOG:
            return self._without_log(client)
        if state is JobState.UNKNOWN and time.time() - self.since >= GRACE_SECONDS:
            return self._unknown(client)
        if state is JobState.RUNNING and self.seconds_left <= 0:
            return self._at_the_deadline(client)
        return state

    def _without_log(self, client: OpenClinicaClient) -> JobState:
        status = self._listed_status(client)
        if status == "FAILED":
            raise self._failed()
        if status == "IN_PROGRESS":
            return JobState.RUNNING
        # The log may have been written between the two answers.
        if status == "COMPLETED" and client.jobs.state(self.job_uuid) is JobState.FINISHED:
            return JobState.FINISHED
        what = {
            "COMPLETED": "OpenClinica has completed the job, and its log is gone",
            None: "The job has ended without a log; whether it completed or failed is unknown, since the job list "
            "cannot be read or does not show it",
        }.get(status, "The job has ended without a log, in a state unknown to us")
        raise LogGoneError(what, study=self.study_oid, job=self.job_uuid)

    def _unknown(self, client: OpenClinicaClient) -> JobState:
        status = self._listed_status(client)
        if status is None:
            raise JobUnknownError("OpenClinica says that it knows no such job", study=self.study_oid, job=self.job_uuid)
        if status == "FAILED":
            raise self._failed()
        raise JobUnknownError(
            "The study's job list shows the job, and its log is refused as unknown: the account's active study is "
            "another one, and OpenClinica looks for logs there",
            study=self.study_oid,
            job=self.job_uuid,
            next_step="Log in to OpenClinica's web page with the account, open the study of the job, and retry.",
        )

    def _at_the_deadline(self, client: OpenClinicaClient) -> JobState:
        """Ask the list once more: it may know an end that the download does not tell."""
        status = self._listed_status(client)
        if status == "FAILED":
            raise self._failed()
        return client.jobs.state(self.job_uuid) if status == "COMPLETED" else JobState.RUNNING

    def _out_of_reach(self, trouble: OpenClinicaError) -> JobState:
        """Take a busy or unreachable server for a running job, up to the deadline."""
        if self.seconds_left <= 0:
            raise JobTimeoutError(
                f"Not known to have ended after {_duration(self.deadline - self.since)}, and OpenClinica cannot be "
                f"asked: {trouble.args[0]}",
                study=self.study_oid,
                job=self.job_uuid,
                next_step="Retry when the server answers: that finds the job again.",
            ) from trouble
        log.warning("Could not ask for the state of job %s, will ask again: %s", self.job_uuid, trouble.args[0])
        return JobState.RUNNING

    def _failed(self) -> JobFailedError:
        return JobFailedError("OpenClinica gave the job up", study=self.study_oid, job=self.job_uuid)

    def _listed_status(self, client: OpenClinicaClient) -> str | None:
        """Return the job's status in the job list, ``None`` where the list cannot be read or does not have it."""
        jobs = read_job_list(client, self.study_oid, self.site_oid) or []
        return next((job.status.upper() for job in jobs if job.uuid.casefold() == self.job_uuid.casefold()), None)


def wait(watch: JobWatch, client: OpenClinicaClient, killed: threading.Event) -> None:
    """Look until the job's log can be had.

    :param killed: set it, and the wait ends at once.
    :raises WaitInterruptedError: it was set.
    :raises OpenClinicaError: whatever ``look`` says ended the watch.
    """
    while watch.look(client) is not JobState.FINISHED:
        if killed.wait(watch.pause()):
            raise WaitInterruptedError("Stopped while the job was running", job=watch.job_uuid)


def _duration(seconds: float) -> str:
    """Write a duration as people say it: ``45 s``, ``12 min``, ``6 h``."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"

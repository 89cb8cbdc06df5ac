"""One submission from its first part to its verdict: decide, submit, fetch, judge, next.

OpenClinica's jobs are small, so one submission may be many of them; they run strictly in order (docs/protocol.md,
jobs). A ``Run`` walks through the parts and hands out one job at a time. Whoever drives it does the waiting, in the
same process or in another one:

    while ticket := run.next_job():
        ...wait for it...
        run.finish(ticket)
    run.verdict()

Failed rows do not stop a run; they are judged together at the end. A failed job or a lost row stops it at once.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_openclinica.engine.collect import collect, log_uri_for
from airflow_provider_openclinica.engine.judge import judge, result_of
from airflow_provider_openclinica.engine.lists import read_job_list
from airflow_provider_openclinica.engine.record import PartRecord, Phase
from airflow_provider_openclinica.engine.submit import (
    Act,
    Decision,
    Seen,
    Sighting,
    Situation,
    decide,
    sight,
    tag_of,
    upload_name,
)
from airflow_provider_openclinica.engine.ticket import JobTicket
from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    JobFailedError,
    LogGoneError,
    OpenClinicaError,
    PartlyAppliedError,
    ServerUnavailableError,
    SubmissionChangedError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.client.jobs import ListedJob
    from airflow_provider_openclinica.engine.collect import Sent
    from airflow_provider_openclinica.engine.files import Files
    from airflow_provider_openclinica.engine.judge import FailOn, JobReport
    from airflow_provider_openclinica.engine.record import Record
    from airflow_provider_openclinica.engine.submit import TaskKey

log = logging.getLogger(__name__)

OnAmbiguousSubmit = Literal["fail", "resubmit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One part, ready to be sent: one file, one job.

    :param number: counted from 1.
    :param job_type: as OpenClinica's job list names it, such as ``XML_IMPORT``.
    :param study_oid: the study whose job list shows the job; empty where it is not known.
    :param site_oid: the site whose job list shows it, ``None`` for a job of the study.
    :param stem: the readable beginning of the name it is uploaded under.
    :param suffix: the end of that name.
    :param payload_sha256: digest of all that is sent.
    :param rows_sent: ``None`` where the log does not account for single rows.
    :param sent: what the log must account for.
    :param unsplit_study: see ``JobTicket``.
    :param send: sends it under a name and returns the uuid of its job.
    :param about: a few words for the task log: size and contents in numbers.
    """

    number: int
    job_type: str
    study_oid: str
    site_oid: str | None
    stem: str
    suffix: str
    payload_sha256: str
    rows_sent: int | None
    sent: Sent
    unsplit_study: bool = False
    send: Callable[[OpenClinicaClient, str], str]
    about: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file made ready to be sent.

    :param parts: one for each job; none where there is nothing to send.
    :param plan: JSON that lets another process cut the same file in the same way; what is in it, is between the two.
    :param job_type: of its jobs, for the result where there are none.
    """

    parts: Sequence[Outgoing]
    plan: dict[str, Any] = field(default_factory=dict)
    job_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Who sends, and what they want where there is a choice.

    :param task: the task that sends.
    :param generation: grows when a person clears the task, and only then.
    :param first_try: nothing of this generation or an earlier one has run before.
    :param repeatable: see ``engine/submit.py``.
    :param durable: ``False``: nothing is looked for, each try submits; the record is then ``Record(None)``.
    :param on_ambiguous_submit: ``"fail"``, or ``"resubmit"`` where a repeated submit does no harm.
    :param fail_on: which failed rows are too many.
    :param log_uri: where the logs go; a folder if it ends in ``/``.
    """

    task: TaskKey
    generation: int
    first_try: bool
    repeatable: bool = True
    durable: bool = True
    on_ambiguous_submit: OnAmbiguousSubmit = "fail"
    fail_on: FailOn = "any"
    log_uri: str | None = None


class Run:
    """The way of one submission through its parts.

    :param reports: outcomes of the first parts, where another process has begun.
    """

    def __init__(
        self,
        client: OpenClinicaClient,
        prepared: Prepared,
        policy: Policy,
        record: Record,
        files: Files,
        reports: Sequence[JobReport] = (),
    ) -> None:
        self._client, self._parts, self._policy = client, prepared.parts, policy
        self.plan, self._job_type = prepared.plan, prepared.job_type
        self._record, self._files = record, files
        self.reports = list(reports)
        self._lists: dict[tuple[str, str | None], list[ListedJob] | None] = {}

    def next_job(self) -> JobTicket | None:
        """Submit the next part, or find the job that an earlier try made of it; ``None`` when all have an outcome.

        :raises AmbiguousSubmitError: a job may exist, and neither record nor job list can tell.
        :raises SubmissionChangedError: an earlier try of this generation sent something else.
        :raises PartlyAppliedError: an earlier job failed, and may have applied some rows.
        :raises RowsLostError: judged before, with this verdict.
        :raises OpenClinicaError: OpenClinica refused the part or cannot be reached; nothing was sent.
        """
        while len(self.reports) < len(self._parts):
            part = self._parts[len(self.reports)]
            record = self._record.part(part.number)
            decision = self._decide(part, record)
            if decision.act is Act.VERDICT and record and record.report:
                log.info("%s was judged by an earlier try; nothing is sent", self._called(part))
                self._account(record.report)
            elif decision.act is Act.ATTACH:
                log.info("%s has a job from an earlier try: going back to it", self._called(part))
                return self._submitted(part, decision.job_uuid)
            elif decision.act is Act.SUBMIT:
                return self._submitted(part, self._submit(part, record))
            else:
                raise self._stop(part, decision)
        further = self._record.part(len(self._parts) + 1)
        if further and further.generation == self._policy.generation:
            raise SubmissionChangedError(
                "An earlier try of this task sent more than there is now", job=further.job_uuid
            )
        return None

    def finish(self, ticket: JobTicket) -> JobReport:
        """Fetch the log of a job that has ended, and take it into account.

        :raises SubmissionChangedError: the part is no longer what was sent, so that the log cannot be compared with it.
        :raises JobFailedError: the job broke off while it wrote its log.
        :raises RowsLostError: the log passes over something that was sent.
        """
        part = self._part_of(ticket)
        log_uri = log_uri_for(self._policy.log_uri, ticket.job_uuid, ticket.part)
        try:
            report = collect(
                self._client, ticket, files=self._files, log_uri=log_uri, sent=part.sent, sleep=self._client.sleep
            )
        except JobFailedError:
            self._record.write_failure(ticket)
            raise
        self._write(part, Phase.JUDGED, ticket.job_uuid, report)
        self._account(report)
        return report

    def verdict(self) -> dict[str, Any]:
        """Judge all parts together, and return what the task returns.

        :raises RowsFailedError: more rows failed than ``fail_on`` allows.
        """
        judge(self.reports, self._policy.fail_on)
        return result_of(self.reports, self._job_type)

    def _decide(self, part: Outgoing, record: PartRecord | None) -> Decision:
        if not self._policy.durable:
            return Decision(Act.SUBMIT)
        now = Situation(
            record=record,
            generation=self._policy.generation,
            payload_sha256=part.payload_sha256,
            repeatable=self._policy.repeatable,
            resubmit=self._policy.on_ambiguous_submit == "resubmit",
            nothing_was_sent=self._policy.first_try or self._record.is_whole,
        )
        return decide(now, self._sight(part) if now.needs_the_list else Sighting(Seen.UNREADABLE))

    def _sight(self, part: Outgoing) -> Sighting:
        """Look for the part in the job list, which is read once for all parts."""
        where = (part.study_oid, part.site_oid)
        if where not in self._lists:
            self._lists[where] = read_job_list(self._client, *where)
        return sight(self._lists[where], self._tag(part))

    def _submit(self, part: Outgoing, before: PartRecord | None) -> str:
        """Send a part and return the uuid of its job."""
        name = upload_name(part.stem, self._tag(part), self._policy.generation, part.suffix)
        log.info("Sending %s as %s: %s", self._called(part).lower(), name, part.about)
        self._record.keep_plan(self._policy.generation, self.plan)
        self._write(part, Phase.SUBMITTING)
        try:
            return part.send(self._client, name)
        except AmbiguousSubmitError as error:
            return self._after_broken_send(part, name, error)
        except (UnexpectedAnswerError, LogGoneError):
            raise  # no refusal: it may be in
        except (OpenClinicaError, OSError):
            self._record.write(part.number, before)  # refused, or not sent to its end: nothing has begun
            raise

    def _after_broken_send(self, part: Outgoing, name: str, error: AmbiguousSubmitError) -> str:
        """Find the job of a file whose answer never came, or say how the next try will."""
        self._lists.clear()
        sighting = self._sight(part) if self._policy.durable else Sighting(Seen.UNREADABLE)
        if sighting.job_uuid and sighting.generation == self._policy.generation:
            log.info("The connection broke, and the job list shows the job all the same")
            return sighting.job_uuid
        if sighting.seen is Seen.UNREADABLE and self._policy.on_ambiguous_submit == "fail":
            raise self._ambiguous(part, str(error.args[0]), name) from error
        raise ServerUnavailableError(
            f"{error.args[0]}; no job shows so far",
            study=part.study_oid,
            next_step="Retry: it looks for the job again, and sends only if there is still none.",
        ) from error

    def _submitted(self, part: Outgoing, job_uuid: str) -> JobTicket:
        """Write the uuid down before anything else can go wrong."""
        self._write(part, Phase.SUBMITTED, job_uuid)
        return JobTicket(
            job_uuid=job_uuid,
            job_type=part.job_type,
            study_oid=part.study_oid,
            site_oid=part.site_oid,
            part=part.number,
            generation=self._policy.generation,
            payload_sha256=part.payload_sha256,
            rows_sent=part.rows_sent,
            unsplit_study=part.unsplit_study,
        )

    def _account(self, report: JobReport) -> None:
        self.reports.append(report)
        outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in (report.outcomes or {}).items())
        log.info("Job %s has ended: %s", report.job_uuid, outcomes or "its log has no rows")
        if report.log_uri:
            log.info("Its log lies at %s", report.log_uri)
        judge([report], "job")  # a lost row stops the run here

    def _stop(self, part: Outgoing, decision: Decision) -> OpenClinicaError:
        if decision.act is Act.CHANGED:
            return SubmissionChangedError(
                f"{self._called(part)} is not what an earlier try of this task sent", study=part.study_oid
            )
        if decision.act is Act.STOP:
            return PartlyAppliedError(
                "OpenClinica gave the job of an earlier try up, and may have applied some of its rows",
                study=part.study_oid,
                job=decision.job_uuid,
            )
        return self._ambiguous(part, "An earlier try may have sent this file, and the job list cannot tell", "")

    def _ambiguous(self, part: Outgoing, what: str, name: str) -> AmbiguousSubmitError:
        looked_for = name or f"a file named ….{self._tag(part)}…"
        return AmbiguousSubmitError(
            what,
            study=part.study_oid,
            next_step=f"Look for {looked_for} in OpenClinica's Bulk Actions Log. If it is there, wait for that job "
            "with OpenClinicaJobSensor. If not, start a new run, or set on_ambiguous_submit to 'resubmit' and clear "
            "the task.",
        )

    def _write(self, part: Outgoing, phase: Phase, job_uuid: str = "", report: JobReport | None = None) -> None:
        record = PartRecord(
            phase=phase,
            generation=self._policy.generation,
            payload_sha256=part.payload_sha256,
            job_uuid=job_uuid,
            report=report,
        )
        self._record.write(part.number, record)

    def _part_of(self, ticket: JobTicket) -> Outgoing:
        """Return the part that a ticket was written for."""
        if ticket.part <= len(self._parts):
            part = self._parts[ticket.part - 1]
            if part.payload_sha256 == ticket.payload_sha256:
                return part
        raise SubmissionChangedError(
            f"Part {ticket.part} is no longer what was sent, so that its log cannot be compared with it",
            study=ticket.study_oid,
            job=ticket.job_uuid,
        )

    def _tag(self, part: Outgoing) -> str:
        return tag_of(self._policy.task, part.number, part.payload_sha256)

    def _called(self, part: Outgoing) -> str:
        return f"Part {part.number} of {len(self._parts)}" if len(self._parts) > 1 else "The file"

"""What became of the jobs of one task: the report on each, the verdict on all, and the task's result.

    report = running(ticket) | failed(ticket) | collect(…)     one for each part
    judge(reports, fail_on)                                     raises, or the task has succeeded
    result_of(reports)                                          what the task returns

A report holds ids, counts and digests, and nothing of a row but its error code, so it may go anywhere.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_openclinica.client.codes import meaning, reduced
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    JobFailedError,
    RowsFailedError,
    RowsLostError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_openclinica.engine.ticket import JobTicket

FailOn = Literal["any", "job"] | float
Status = Literal["running", "failed", "finished"]

_MOST_NAMED = 6  # codes, jobs or files in one message


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """What became of one job.

    JSON values only: it goes through an event or a state store as ``asdict(report)``, and back as
    ``JobReport(**values)``. ``None`` stands where nothing is known: before the log was read, or without one.

    :param outcomes: how many rows had which status, spelled as the log's source spells it; ``Unreadable`` counts the
        rows that no status can be read from.
    :param rows_sent: None where rows cannot be counted beforehand, as in an import.
    :param rows_failed: how many rows failed, unreadable ones included.
    :param failed_codes: how many of them had which error code, without prefix; ``""`` for rows without one.
    :param lost: how many of what was sent no row names.
    :param log_uri: where the log lies; None where it was not kept.
    :param failed_uri: where the rows that failed or were lost lie; None where there are none, or no log was kept.
    :param unsplit_study: see ``JobTicket``.
    """

    job_uuid: str
    job_type: str
    status: Status
    outcomes: dict[str, int] | None = None
    rows_sent: int | None = None
    rows_logged: int | None = None
    rows_failed: int | None = None
    failed_codes: dict[str, int] | None = None
    lost: int = 0
    log_uri: str | None = None
    log_sha256: str | None = None
    failed_uri: str | None = None
    payload_sha256: str
    unsplit_study: bool = False


def running(ticket: JobTicket) -> JobReport:
    """Report on a job that was submitted and not waited for."""
    return _unread(ticket, "running")


def failed(ticket: JobTicket) -> JobReport:
    """Report on a job that OpenClinica gave up, for which there is no log."""
    return _unread(ticket, "failed")


def _unread(ticket: JobTicket, status: Status) -> JobReport:
    return JobReport(
        job_uuid=ticket.job_uuid,
        job_type=ticket.job_type,
        status=status,
        rows_sent=ticket.rows_sent,
        payload_sha256=ticket.payload_sha256,
        unsplit_study=ticket.unsplit_study,
    )


def parse_fail_on(value: object) -> FailOn:
    """Check the argument ``fail_on``.

    :param value: ``"any"``, ``"job"``, or a fraction between 0 and 1, both excluded.
    :raises ConfigurationError: it is something else.
    """
    if value in ("any", "job"):
        return "any" if value == "any" else "job"
    if isinstance(value, float) and 0 < value < 1:
        return value
    raise ConfigurationError(
        "fail_on is neither 'any', nor 'job', nor a fraction between 0 and 1",
        next_step="Write 'any' to tolerate no failed row, 0.05 to tolerate 5 % of them, 'job' to tolerate all.",
    )


def judge(reports: Sequence[JobReport], fail_on: FailOn) -> None:
    """Return if the jobs did what was asked, raise if not.

    Lost rows and failed jobs are never tolerated; failed rows are counted over all jobs.

    :param fail_on: what ``parse_fail_on`` returned. A fraction fails when ``rows_failed / rows_logged`` is greater.
    :raises JobFailedError: OpenClinica gave a job up.
    :raises RowsLostError: something that was sent has no row.
    :raises RowsFailedError: more rows failed than ``fail_on`` allows.
    """
    for report in reports:
        if report.status == "running":
            raise ValueError(f"job {report.job_uuid} has not ended, so it cannot be judged")
        if report.status == "failed":
            raise JobFailedError("OpenClinica gave the job up", job=report.job_uuid)
    if lossy := [report for report in reports if report.lost]:
        raise _rows_lost(lossy)
    rows_failed = sum(report.rows_failed or 0 for report in reports)
    rows_logged = sum(report.rows_logged or 0 for report in reports)
    if rows_failed and rows_failed / rows_logged > _tolerated(fail_on):
        raise _rows_failed(rows_failed, rows_logged, [report for report in reports if report.rows_failed])


def _tolerated(fail_on: FailOn) -> float:
    """Return the share of failed rows that is still a success."""
    return {"any": 0.0, "job": 1.0}[fail_on] if isinstance(fail_on, str) else fail_on


def result_of(reports: Sequence[JobReport], job_type: str = "") -> dict[str, Any]:
    """Return what a task returns: totals, and the same for each job. Its keys are a promise to users.

    :param reports: one for each part, in order.
    :param job_type: what to say where there are none.
    """
    statuses = {report.status for report in reports}
    return {
        "job_type": reports[0].job_type if reports else job_type,
        "status": next((status for status in ("failed", "running") if status in statuses), "finished"),
        "outcomes": _total_outcomes(reports),
        "rows_sent": _total(report.rows_sent for report in reports),
        "rows_logged": _total(report.rows_logged for report in reports),
        "rows_failed": _total(report.rows_failed for report in reports),
        "jobs": [
            {
                "job_uuid": report.job_uuid,
                "job_type": report.job_type,
                "status": report.status,
                "outcomes": report.outcomes,
                "rows_sent": report.rows_sent,
                "rows_logged": report.rows_logged,
                "rows_failed": report.rows_failed,
                "log_uri": report.log_uri,
                "log_sha256": report.log_sha256,
                "payload_sha256": report.payload_sha256,
            }
            for report in reports
        ],
    }


def _total(numbers: Iterable[int | None]) -> int | None:
    """Add up; a total of which a part is not known is not known."""
    total = 0
    for number in numbers:
        if number is None:
            return None
        total += number
    return total


def _total_outcomes(reports: Sequence[JobReport]) -> dict[str, int] | None:
    total: Counter[str] = Counter()
    for report in reports:
        if report.outcomes is None:
            return None
        total.update(report.outcomes)
    return dict(total)


def _rows_lost(reports: Sequence[JobReport]) -> RowsLostError:
    lost = sum(report.lost for report in reports)
    if reports[0].rows_sent is not None:
        return RowsLostError(
            f"{lost} of {sum(report.rows_sent or 0 for report in reports)} rows sent have no row in the log",
            job=_listed(report.job_uuid for report in reports),
            meaning="OpenClinica stopped reading before them and calls the job complete all the same",
            next_step=f"{_look_in(reports, 'They are the rows of Status Lost, by number, in')} Send them in a file of "
            "their own.",
        )
    return RowsLostError(
        f"{lost} {'participant' if lost == 1 else 'participants'} sent with data, of whom no row of the log speaks",
        job=_listed(report.job_uuid for report in reports),
        meaning="OpenClinica calls the job complete, and whether their data are in, nobody can tell from here",
        next_step=f"{_look_in(reports, 'They are the rows of Status Lost in')} Look them up in OpenClinica, and send "
        "what is missing in a file of its own.",
    )


def _rows_failed(rows_failed: int, rows_logged: int, reports: Sequence[JobReport]) -> RowsFailedError:
    codes: Counter[str] = Counter()
    for report in reports:
        codes.update(report.failed_codes or {})
    other_site = any(reduced(code) == _NOT_FOUND for r in reports if r.unsplit_study for code in r.failed_codes or {})
    return RowsFailedError(
        f"{rows_failed} of {rows_logged} rows failed",
        meaning=_listed(_explained(code, number) for code, number in codes.most_common()),
        job=_listed(report.job_uuid for report in reports),
        next_step=f"{_look_in(reports, 'Correct them in')} {_ONE_SITE if other_site else ''}Clearing the task submits "
        "the corrected file; without a state store, use a new run.",
    )


_NOT_FOUND = "participantnotfound"
_ONE_SITE = (
    "The file names a study and could not be split by site: OpenClinica binds a file to the site of its first "
    "participant and finds none of another site. Send one file for each site, or use an account that may list the "
    "participants. "
)


def _explained(code: str, number: int) -> str:
    if not code:
        return f"{number} without a code"
    return f"{number} {code} ({text})" if (text := meaning(code)) else f"{number} {code}"


def _look_in(reports: Sequence[JobReport], what: str) -> str:
    """Say where the rows lie, as a sentence, or how they could have been kept."""
    if places := [report.failed_uri for report in reports if report.failed_uri]:
        return f"{what} {_listed(places)}."
    return "No log was kept; set log_uri to find them beside it."


def _listed(texts: Iterable[str]) -> str:
    """Join what a message can bear."""
    first, rest = list(texts), 0
    if len(first) > _MOST_NAMED:
        first, rest = first[:_MOST_NAMED], len(first) - _MOST_NAMED
    return ", ".join(first) + (f" and {rest} more" if rest else "")

"""The one message that a trigger sends to its task: both ends of the wire.

An event says which job it is about, what was done before it, and how the watch ended: the log can be had, or an error.
Airflow writes events into its database and into the triggerer's log, whole; so there are ids, counts and digests in
them, and error messages, which in this package hold no data. Whatever the resumed task needs stands here, since not
every way of running a DAG keeps what else was given to ``defer``.

Reading fails closed: an event that is not exactly one of ours is never taken for a job that ended well.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica import errors
from airflow_provider_openclinica.engine.judge import JobReport
from airflow_provider_openclinica.engine.ticket import JobTicket
from airflow_provider_openclinica.errors import OpenClinicaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VERSION = 1  #: of the layout; a triggerer may still run the one before


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a task had come when it handed its job to a triggerer.

    :param started: when this try began, in seconds since the epoch; its ``execution_timeout`` counts from there.
    :param reports: outcomes of the parts before this one.
    :param plan: how the parts were cut; see ``engine/imports.py``.
    """

    started: float
    reports: tuple[JobReport, ...] = ()
    plan: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the progress as trigger arguments and events carry it."""
        return {"started": self.started, "reports": [asdict(report) for report in self.reports], "plan": self.plan}

    @classmethod
    def from_json(cls, carried: Mapping[str, Any]) -> Progress:
        """Read what ``to_json`` wrote.

        :raises TypeError, ValueError, KeyError: it is something else.
        """
        reports = tuple(JobReport(**report) for report in carried["reports"])
        return cls(started=float(carried["started"]), reports=reports, plan=dict(carried["plan"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEnded:
    """What an event says.

    :param ticket: the job that was watched.
    :param progress: what had been done before.
    :param error: why there is no log to fetch; ``None`` where there is one.
    """

    ticket: JobTicket
    progress: Progress
    error: OpenClinicaError | None


def write_event(
    ticket: Mapping[str, Any], progress: Mapping[str, Any], error: OpenClinicaError | None = None
) -> dict[str, Any]:
    """Say how the watch over a job has ended.

    :param ticket: ``asdict`` of the ticket.
    :param progress: ``to_json`` of the progress.
    :param error: what ended it, if not the job's log.
    """
    return {
        "version": VERSION,
        "ticket": dict(ticket),
        "progress": dict(progress),
        "error": error_to_json(error),
    }


def read_event(event: Any) -> WatchEnded:
    """Read what ``write_event`` wrote.

    :raises OpenClinicaError: it is something else; what, is not quoted.
    """
    with reading(event):
        ticket = JobTicket(**event["ticket"])
        if not (isinstance(ticket.job_uuid, str) and ticket.job_uuid and isinstance(ticket.part, int)):
            raise ValueError("no ticket")  # a dataclass takes any value
        return WatchEnded(
            ticket=ticket, progress=Progress.from_json(event["progress"]), error=error_from_json(event["error"])
        )


@contextmanager
def reading(event: Any) -> Iterator[None]:
    """Read an event inside of this, whatever it says.

    :raises OpenClinicaError: it is not one of ours, or of another version.
    """
    try:
        _check_version(event)
        yield
    except (TypeError, ValueError, KeyError) as problem:
        raise OpenClinicaError(
            "The triggerer sent an event that is not one of ours",
            next_step="Run the same version of this package on triggerer and workers, then clear the task. A job that "
            "was submitted is found again.",
        ) from problem


def _check_version(event: Mapping[str, Any]) -> None:
    if event["version"] != VERSION:
        raise ValueError("another version")


_FIELDS = ("study", "site", "job", "code", "status", "meaning", "next_step")


def error_to_json(error: OpenClinicaError | None) -> dict[str, Any] | None:
    """Return an error as events carry it; None for none."""
    if error is None:
        return None
    kept = {name: getattr(error, name) for name in _FIELDS}
    return {"class": type(error).__name__, "what": str(error.args[0])} | kept


def error_from_json(written: Mapping[str, Any] | None) -> OpenClinicaError | None:
    """Make the error again, as the class it was: what to do about it depends on that. None for none.

    :raises TypeError, ValueError, KeyError: it is something else.
    """
    if written is None:
        return None
    error_class = getattr(errors, str(written["class"]), None)
    if not (isinstance(error_class, type) and issubclass(error_class, OpenClinicaError)):
        raise ValueError("no error class of ours")  # noqa: TRY004 - it is a name that is wrong, not a type
    return error_class(str(written["what"]), **{name: written[name] for name in _FIELDS})

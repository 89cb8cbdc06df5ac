"""Jobs: what OpenClinica makes of every bulk request. Their state, their files, their list.

    client.jobs.state(uuid)       running, finished, …
    client.jobs.open_log(uuid)    the file of a finished job, streamed
    client.jobs.list(study_oid)   every job of a study, with the name of the file it came from
    client.jobs.delete(uuid)      a job and its file, gone for good

There is no call that tells a state: one asks for the file and sees what comes (docs/protocol.md, jobs). `job_state` is
the only reader of these answers, and `job_uuid_in` the only reader of those that a submit gets.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from airflow_provider_openclinica.client.addresses import api_path, job_page
from airflow_provider_openclinica.client.answers import Answer, raise_for
from airflow_provider_openclinica.client.codes import look_up
from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    JobUnknownError,
    LogGoneError,
    NotAvailableError,
    RoleError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterator

    from airflow_provider_openclinica.client.http import Http, StreamedAnswer

log = logging.getLogger(__name__)

LIST_BYTES = 256 << 20  #: of a list; the server has no paging

#: The vendor's own sample has letters beyond f.
_UUID = re.compile(r"job uuid\s*:\s*(?P<uuid>[0-9a-z-]{36}|null)", re.IGNORECASE)
_FILE_NAME = re.compile(r"filename(?P<extended>\*)?\s*=\s*(?(extended)[\w-]*'[\w-]*')\"?(?P<name>[^\";]+)")
_codes_reported: set[str] = set()


class JobState(StrEnum):
    """What the answer to a download tells. Only the first two can still change."""

    RUNNING = "running"  # or waiting for its turn, which looks the same
    UNKNOWN = "unknown"  # no such uuid, deleted, not visible yet, or the account's active study is another one
    FINISHED = "finished"  # its file is ready; rows may have failed all the same
    NO_LOG = "no_log"  # ended, no file to be had: the job list tells whether it completed or failed
    NOT_YOURS = "not_yours"  # submitted by another account


def job_state(answer: Answer) -> JobState:
    """Tell a job's state from the answer to ``GET /jobs/{uuid}/downloadFile``. Nothing else knows it.

    Status 200 says nothing (docs/protocol.md, jobs). A code that this package has never seen counts as running, so
    that a newer server costs a wait and not a wrong verdict.

    :raises OpenClinicaError: a code that is known and no state, or neither a file nor a code.
    """
    if answer.status < 300 and "Content-Disposition" in answer.headers:
        return JobState.FINISHED
    if answer.status == 404 or answer.code == "invaliduuid":
        return JobState.UNKNOWN
    if answer.code == "nologfilefound":
        return JobState.NO_LOG
    if answer.code == "nosufficientprivileges":
        return JobState.NOT_YOURS
    if answer.code == "jobinprogress":
        return JobState.RUNNING
    if answer.code is None or look_up(answer.code):
        raise_for(answer, "a question about a job")
        raise UnexpectedAnswerError(
            "OpenClinica answered a question about a job with neither a file nor a code", status=answer.status
        )
    if answer.code not in _codes_reported:
        _codes_reported.add(answer.code)
        log.warning("OpenClinica answers for a job with %s, which is new to us: we go on waiting", answer.raw_code)
    return JobState.RUNNING


def job_uuid_in(answer: Answer, doing: str, *, study: str = "", site: str = "") -> str:
    """Return the uuid of the job that a submit has made.

    :param doing: what was submitted, as a noun that can follow "OpenClinica refused".
    :param study: OID of the study concerned, for errors.
    :param site: OID of the site concerned, for errors.
    :raises LogGoneError: it was taken, and no job will ever tell what became of it: the account is a System user.
    :raises AmbiguousSubmitError: neither a uuid nor a code came.
    :raises OpenClinicaError: it was refused; which error says why.

    docs/protocol.md, import. The answer is plain text whatever its content type claims; JSON comes from an importer
    that this package never calls.
    """
    match answer.json:
        case {"detailMessages": _} | {"errors": _}:
            raise UnexpectedAnswerError(
                f"OpenClinica answered {doing} as its old importer does, which imports at once and makes no job",
                study=study,
                site=site,
                status=answer.status,
                next_step="Look in OpenClinica whether the data are in; then have whoever runs the gateway to this "
                "server leave the path of a request as it is.",
            )
    raise_for(answer, doing, study=study, site=site)
    found = _UUID.fullmatch(answer.body.strip().strip('"').strip())
    if found is None:
        raise AmbiguousSubmitError(
            f"OpenClinica answered {doing} with neither a job nor a code", study=study, site=site, status=answer.status
        )
    if found["uuid"].lower() == "null":
        raise LogGoneError(
            f"OpenClinica carried out {doing} at once, without a job and without a log, as it does for System users",
            study=study,
            site=site,
            next_step="Compare the data in OpenClinica with the file, and give the connection an ordinary account.",
        )
    return found["uuid"]


def requested_job_in(answer: Answer, doing: str, *, study: str = "", site: str = "") -> str:
    """Return the uuid of a job that only writes a file, so that an answer without one leaves no doubt behind.

    Parameters are those of `job_uuid_in`.

    :raises UnexpectedAnswerError: neither a uuid nor a code came.
    :raises OpenClinicaError: it was refused; which error says why.
    """
    try:
        return job_uuid_in(answer, doing, study=study, site=site)
    except (AmbiguousSubmitError, LogGoneError):
        raise UnexpectedAnswerError(
            f"OpenClinica answered {doing} without the uuid of a job", study=study, site=site, status=answer.status
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedJob:
    """A job as the job list shows it.

    :param status: ``IN_PROGRESS``, ``COMPLETED``, ``FAILED``, or what a newer server knows.
    :param type: ``XML_IMPORT``, ``BULK_ADD_PARTICIPANTS``, ``SCHEDULE_EVENT``, …
    :param source_file_name: of the file it came from, as uploaded; ``""`` where there was none. Not unique.
    :param date_created: with its zone; None where the list does not tell it readably.
    :param date_completed: the same; None also while the job runs.
    :param site_oid: ``""`` for a job of the whole study.
    """

    uuid: str
    status: str
    type: str
    source_file_name: str
    date_created: datetime | None
    site_oid: str
    study_oid: str
    date_completed: datetime | None = None


@dataclass(frozen=True, slots=True)
class JobFile:
    """The file of a job, while its connection is open.

    :param name: what OpenClinica calls it, made safe for any file system: it can hold a participant ID.
    """

    name: str
    _streamed: StreamedAnswer

    def chunks(self) -> Iterator[bytes]:
        """Yield the file's bytes, once. An empty file means that the job failed while it wrote its log.

        :raises ServerUnavailableError: the download broke off; open it again.
        """
        return self._streamed.chunks()


class Jobs:
    """The jobs of one OpenClinica."""

    def __init__(self, http: Http, study_url: str) -> None:
        self._http, self._study_url = http, study_url

    def state(self, uuid: str) -> JobState:
        """Ask once for a job's state. Of a log that is ready, not a byte is read.

        Only the account that submitted a job can ask for it, and only while its active study is the job's.

        :raises OpenClinicaError: no state could be had; its ``retry`` tells whether to ask again.
        """
        with self._http.stream(_download(uuid), doing="a question about a job", job=uuid) as streamed:
            return job_state(streamed.answer)

    @contextmanager
    def open_log(self, uuid: str) -> Iterator[JobFile]:
        """Open the file of a finished job: a log, a casebook, contacts.

        :raises NotAvailableError: it is still running.
        :raises LogGoneError: it has ended, and there is no file; the job list tells whether it failed.
        :raises JobUnknownError: no such job, or not while the account's active study is another one.
        :raises RoleError: another account submitted it.
        """
        with self._http.stream(_download(uuid), doing="the log of a job", job=uuid) as streamed:
            answer = streamed.answer
            if job_state(answer) is not JobState.FINISHED:
                raise_for(answer, "the log of a job", job=uuid)  # every other state is a failure here
            yield JobFile(file_name_in(answer.headers["Content-Disposition"]) or f"{uuid}.csv", streamed)

    def list(self, study_oid: str, site_oid: str | None = None) -> builtins.list[ListedJob]:
        """List the jobs of a study with those of its sites, or of one site; in no particular order.

        It needs no active study, and is the only witness of a job that failed. Jobs that somebody deleted, and those of
        other accounts, are missing. The vendor does not document this list, so a server may lack it.

        Whether to ask again is in the error's ``retry``. False: this server or this account has no such list, now and
        later. True: the network or the server is down, and nothing is known.

        :param study_oid: OID of the study, not of a site; letter case matters.
        :param site_oid: OID of one of its sites, to list that site only.
        :raises NotAvailableError: this server has no job list.
        :raises RoleError: the account has no role that may read it: OpenClinica answers that with status 500.
        :raises NotFoundError: no such study or site.
        """
        doing, site = "the job list", site_oid or ""
        path = api_path("studies", study_oid, *(("sites", site) if site else ()), "jobs")
        answer = self._http.get(path, doing=doing, most=LIST_BYTES, study=study_oid, site=site)
        if answer.is_absent:
            raise NotAvailableError(
                "This OpenClinica has no job list",
                study=study_oid,
                site=site,
                next_step="Look at its Bulk Actions Log on the web page instead.",
            )
        if answer.is_breakdown:
            raise RoleError(
                f"OpenClinica failed at {doing}",
                study=study_oid,
                site=site,
                status=answer.status,
                meaning="that is how it refuses an account whose role does not suffice",
            )
        raise_for(answer, doing, study=study_oid, site=site)
        try:
            match answer.json:
                case [*listed]:
                    return [_listed_job(job) for job in listed]
        except (TypeError, KeyError, AttributeError):
            pass
        raise UnexpectedAnswerError(f"OpenClinica answered {doing} with something else", study=study_oid, site=site)

    def delete(self, uuid: str) -> None:
        """Delete a job and its file, for good. A second time does no harm.

        Only the account that submitted a job can delete it, and only while its active study is the job's. A job that
        still runs goes on, and comes back into the list when it ends.

        :raises JobUnknownError: no such job, or not while the account's active study is another one.
        :raises RoleError: another account submitted it.
        :raises NotAvailableError: this server deletes no jobs.

        docs/protocol.md, job list.
        """
        doing = "the deletion of a job"
        answer = self._http.delete(api_path("jobs", uuid), doing=doing, job=uuid)
        if answer.is_absent:
            raise NotAvailableError(
                "This OpenClinica deletes no jobs",
                job=uuid,
                status=answer.status,
                next_step="Delete it in the Bulk Actions Log on the web page.",
            )
        if answer.is_breakdown and self.state(uuid) is JobState.UNKNOWN:
            raise JobUnknownError("OpenClinica failed to delete a job that it does not know", job=uuid)
        raise_for(answer, doing, job=uuid)

    def page(self, uuid: str) -> str:
        """Return the address of the page that shows a job to a person whose active study is the job's."""
        return job_page(self._study_url, uuid)


def _download(uuid: str) -> str:
    return api_path("jobs", uuid, "downloadFile")


def _listed_job(job: dict[str, Any]) -> ListedJob:
    return ListedJob(
        uuid=str(job["uuid"]),
        status=str(job["status"]).upper(),
        type=str(job.get("type") or ""),
        source_file_name=str(job.get("sourceFileName") or ""),
        date_created=moment_of(job.get("dateCreated")),
        site_oid=str(job.get("siteOid") or ""),
        study_oid=str(job.get("studyOid") or ""),
        date_completed=moment_of(job.get("dateCompleted")),
    )


def moment_of(written: object) -> datetime | None:
    """Read a date as Jackson writes it: ISO with ``Z`` or ``+0000``, or milliseconds since 1970."""
    try:
        if isinstance(written, str):
            moment = datetime.fromisoformat(written)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if isinstance(written, int | float):
            return datetime.fromtimestamp(written / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def file_name_in(disposition: str) -> str:
    """Read the name out of ``Content-Disposition``, where it stands percent-encoded, and keep what is safe on disks."""
    found = _FILE_NAME.search(disposition)
    name = re.split(r"[/\\]", unquote(found["name"]))[-1] if found else ""
    safe = re.sub(r"[^A-Za-z0-9._() -]", "_", name).strip(" .")
    return safe if len(safe) <= 200 else safe[:100] + safe[-100:]

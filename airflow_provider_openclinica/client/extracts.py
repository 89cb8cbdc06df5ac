"""Scheduled extracts: the files that a study's extract jobs have made, listed and fetched.

    client.extracts.executions(study_oid, extract_job_uuid)    the runs that have a file, newest first
    client.extracts.open_dataset(study_oid, execution_uuid)    the file of one, streamed

People set an extract up on the web page; no call makes one or starts it. The calls are not documented by the vendor,
so a server may lack them (docs/protocol.md, extracts).
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.client.addresses import api_path
from airflow_provider_openclinica.client.answers import raise_for
from airflow_provider_openclinica.client.jobs import JobFile, file_name_in, moment_of
from airflow_provider_openclinica.errors import (
    FileUnavailableError,
    NotAvailableError,
    NotFoundError,
    OpenClinicaError,
    RoleError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_openclinica.client.answers import Answer
    from airflow_provider_openclinica.client.http import Http

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

#: What the server says in English, in a header or as text, since extracts have no codes -> error, meaning, next step.
_SAID: tuple[tuple[re.Pattern[str], type[OpenClinicaError], str, str], ...] = (
    (
        re.compile(r"\s*Insufficient privileges", re.IGNORECASE),
        RoleError,
        "extracts are for user types sysadmin and techadmin that have a role in the study",
        "Ask for an account of that type, with a role in this study, for the connection.",
    ),
    (re.compile(r"\s*No study found", re.IGNORECASE), NotFoundError, "no study has this OID", ""),
    (
        re.compile(r"\s*(No content found|Job execution id\b.*\binvalid)", re.IGNORECASE),
        NotFoundError,
        "there is no such extract job or run, or the job has never run",
        "Compare the uuid with the address that View Job opens on the web page.",
    ),
    (
        re.compile(r"\s*The file reference\b.*\bdeleted", re.IGNORECASE),
        FileUnavailableError,
        "this run has no file, not yet or no longer: some ten runs are kept",
        "Take the newest run that the list shows; a retry helps where the file is only late.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractExecution:
    """One run of an extract job that has made a file.

    :param date_created: when it ran, with its zone; None where the list does not tell it readably.
    """

    uuid: str
    date_created: datetime | None


class Extracts:
    """The scheduled extracts of one OpenClinica."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def executions(self, study_oid: str, extract_job_uuid: str) -> list[ExtractExecution]:
        """List the runs of an extract job whose file can be had, newest first; often none, at most some ten.

        Runs that go on, that failed, whose file is deleted, or whose permission tags the account lacks are left out.

        :param study_oid: OID of the study; letter case matters.
        :param extract_job_uuid: from the address of the page that *View Job* opens on the web page.
        :raises RoleError: the account's user type is neither sysadmin nor techadmin, or it has no role in the study.
        :raises NotFoundError: no such study, or no such extract job.
        :raises NotAvailableError: this server has no such call.
        """
        doing = "the list of an extract job's files"
        path = api_path("studies", study_oid, "extractJobs", extract_job_uuid, "jobExecutions")
        answer = self._http.get(path, doing=doing, study=study_oid, job=extract_job_uuid)
        _raise_for(answer, doing, study_oid, extract_job_uuid)
        match answer.json:
            case [*listed] if all(isinstance(run, dict) and "jobExecutionUuid" in run for run in listed):
                found = [_execution(run) for run in listed]
            case _:
                raise UnexpectedAnswerError(
                    f"OpenClinica answered {doing} with something else", study=study_oid, job=extract_job_uuid
                )
        return sorted(found, key=lambda execution: execution.date_created or _LONG_AGO, reverse=True)

    @contextmanager
    def open_dataset(self, study_oid: str, execution_uuid: str) -> Iterator[JobFile]:
        """Open the file that one run of an extract has made, as it was made: often a zip.

        :param study_oid: OID of the study; letter case matters.
        :param execution_uuid: the run, as `executions` lists it.
        :raises RoleError: as for `executions`. OpenClinica says so with 401; no token is renewed for that.
        :raises NotFoundError: no such study, or no such run.
        :raises FileUnavailableError: the run has no file, not yet or no longer.
        :raises NotAvailableError: this server has no such call.
        :raises ServerUnavailableError: also where the file has gone from the server's disk.
        """
        doing = "the file of an extract"
        path = api_path("studies", study_oid, "extractJobs", "jobExecutions", execution_uuid, "dataset")
        with self._http.stream(path, doing=doing, study=study_oid, job=execution_uuid) as streamed:
            answer = streamed.answer
            _raise_for(answer, doing, study_oid, execution_uuid)
            if "Content-Disposition" not in answer.headers:
                raise UnexpectedAnswerError(
                    f"OpenClinica answered {doing} with something else", study=study_oid, job=execution_uuid
                )
            yield JobFile(file_name_in(answer.headers["Content-Disposition"]) or execution_uuid, streamed)


def _execution(listed: dict[str, Any]) -> ExtractExecution:
    return ExtractExecution(uuid=str(listed["jobExecutionUuid"]), date_created=moment_of(listed.get("dateCreated")))


def _raise_for(answer: Answer, doing: str, study: str, job: str) -> None:
    """Raise what stands in the way; return where nothing does. An unknown address and an unknown run are both 404."""
    about: dict[str, Any] = {"study": study, "job": job, "status": answer.status}
    said = answer.headers.get("X-runtimeApp-error", "") or answer.body
    for sentence, error, meaning, next_step in _SAID if answer.status >= 400 else ():
        if sentence.match(said):
            raise error(f"OpenClinica refused {doing}", meaning=meaning, next_step=next_step, **about)
    if answer.is_absent:
        raise NotAvailableError(
            "This OpenClinica gives out no extracts",
            next_step="Fetch the file on the web page, or retrieve clinical data as ODM instead.",
            **about,
        )
    if answer.is_breakdown:
        raise ServerUnavailableError(
            f"OpenClinica failed at {doing}",
            meaning="the server failed inside, or the file has gone from its disk",
            next_step="Retry later; if it lasts, let the extract run again.",
            **about,
        )
    raise_for(answer, doing, study=study, job=job)

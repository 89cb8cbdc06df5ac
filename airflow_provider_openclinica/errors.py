"""Every error of this package, named by what a user can do about it.

A subclass is one decision: fix the credentials, ask for a role, mend the file, wait, look at OpenClinica, report a
bug. ``retry`` says whether the same task can succeed later with nothing changed; the operators read it and tell
Airflow. A message names studies, sites, events, forms and items by OID, jobs by uuid and places in a file by line. It
never holds a value, a name, a participant's ID or what a server answered, so it may travel in a log or an event.
"""

from __future__ import annotations

from typing import ClassVar


class OpenClinicaError(Exception):
    """Base of all.

    :param what: what happened, as a sentence without its full stop.
    :param study: OID of the study concerned, where known.
    :param site: OID of the site concerned, where known.
    :param job: uuid of the job concerned, where known.
    :param code: the server's code, spelled as it came.
    :param status: HTTP status of the answer that said so; 0 where there was none.
    :param meaning: the code in plain English, without a full stop.
    :param next_step: replaces the class's own advice where more is known.
    """

    next_step: str = "Please report it: this package does not know the case."
    retry: ClassVar[bool] = False  #: can the same task succeed later, with nothing changed?

    def __init__(
        self,
        what: str,
        *,
        study: str = "",
        site: str = "",
        job: str = "",
        code: str = "",
        status: int = 0,
        meaning: str = "",
        next_step: str = "",
    ) -> None:
        super().__init__(what)  # all else is keyword-only, so that the error survives pickling
        self.study, self.site, self.job = study, site, job
        self.code, self.status, self.meaning = code, status, meaning
        if next_step:
            self.next_step = next_step

    def __str__(self) -> str:
        known = {
            "study": self.study,
            "site": self.site,
            "job": self.job,
            "code": self.code,
            "HTTP status": str(self.status or ""),
        }
        where = ", ".join(f"{name} {value}" for name, value in known.items() if value)
        what = f"{self.args[0]}: {self.meaning}" if self.meaning else str(self.args[0])
        return f"{what}{f' ({where})' if where else ''}. {self.next_step}"


class ConfigurationError(OpenClinicaError):
    """The connection or an argument cannot work as it is written; nothing was sent."""

    next_step = "Correct the Airflow connection or the argument named here."


class CredentialsError(OpenClinicaError):
    """OpenClinica does not accept the login, the password or the token."""

    next_step = "Check login and password in the Airflow connection; nothing else helps."


class RoleError(OpenClinicaError):
    """The account may not do this in this study or site."""

    next_step = "Ask the data manager for the role, then log in to the web page once: that copies roles."


class NotFoundError(OpenClinicaError):
    """A study, site, participant, event, form or item by that OID is not there, or not for this account."""

    next_step = "Compare the OID, letter for letter, with the study in OpenClinica."


class NotAvailableError(OpenClinicaError):
    """What was asked for exists, but is closed, switched off, or not offered by this server."""

    next_step = "Ask the data manager whether the study, the site or the module should be open."


class FileError(OpenClinicaError):
    """A file cannot be sent as it is; where we found it ourselves, nothing was sent."""

    next_step = "Correct the file and clear the task."


class FileUnavailableError(OpenClinicaError):
    """A file cannot be opened: it is not there, not yet, or not for this worker."""

    next_step = "Check the address, and that this worker may read it; a retry helps where the file is only late."
    retry = True


class RateLimitError(OpenClinicaError):
    """OpenClinica asks for fewer calls: two token calls a minute for each address, for one."""

    next_step = "Wait a minute and retry; share one connection, so that tasks share its token."
    retry = True


class ServerUnavailableError(OpenClinicaError):
    """OpenClinica cannot be reached, or answers that it is down."""

    next_step = "Retry later; if it lasts, ask whoever runs the network or the server."
    retry = True


class UnexpectedAnswerError(OpenClinicaError):
    """An answer that OpenClinica's API, as far as we know it, does not give. It is not quoted: it may hold data."""

    next_step = "Check that the connection names the study server; if it does, report it with the status and the code."


class AmbiguousSubmitError(OpenClinicaError):
    """The connection broke while a file was being sent: a job may exist or not, and nothing here can tell."""

    next_step = (
        "Look for the file name in OpenClinica's Bulk Actions Log. If it is there, wait for that job with "
        "OpenClinicaJobSensor; if not, send the file in a new run."
    )


class SubmissionChangedError(OpenClinicaError):
    """What would be sent now is not what an earlier try of this task sent."""

    next_step = "Let the earlier job end, look at its log, then clear the task: that submits the new content."


class JobFailedError(OpenClinicaError):
    """OpenClinica began the job and gave it up; no log says why. What a retry does depends on what such jobs leave."""

    next_step = (
        "A failed import has left nothing behind: a retry of the task sends it anew. Other jobs may have applied some "
        "rows: compare before sending them again. If it keeps failing, ask support."
    )
    retry = True


class PartlyAppliedError(OpenClinicaError):
    """A failed job may have applied some of its rows, and sending those again would repeat them."""

    next_step = (
        "Compare the study with the file. Clearing the task sends the whole file again; else send what is missing."
    )


class JobUnknownError(OpenClinicaError):
    """OpenClinica says that it knows no such job."""

    next_step = (
        "Either the uuid is wrong or deleted, or the account's active study is another one: log in to the web page "
        "with the account, open the study, and retry."
    )
    retry = True


class JobTimeoutError(OpenClinicaError):
    """The job had not ended when the deadline passed. It goes on; a retry finds it again."""

    next_step = (
        "A retry, or clearing the task, goes on waiting. A restart of the server leaves jobs so for ever: ask support "
        "to delete it, then clear the task."
    )
    retry = True


class WaitInterruptedError(OpenClinicaError):
    """The task was told to stop while its job was running."""

    next_step = "The job goes on; the next try finds it again."
    retry = True


class LogGoneError(OpenClinicaError):
    """The job has ended and its log cannot be had, so nobody can judge its rows."""

    next_step = "Compare the data in OpenClinica with the file. Do not resend blindly: the data may be in."


class RowsFailedError(OpenClinicaError):
    """More rows failed than ``fail_on`` allows. Final: no retry can mend rows."""

    next_step = "Correct the rows and clear the task, which submits anew; without a state store, use a new run."


class RowsLostError(OpenClinicaError):
    """OpenClinica calls the job complete, and its log passes over something that was sent."""

    next_step = "Compare the file with the log, and send what is missing in a file of its own."


class WarehouseError(OpenClinicaError):
    """A database could not be reached, or refused something. Its own message is not shown: it may quote a row."""

    next_step = (
        "Nothing of this load was kept. A retry helps where the database was away or busy; else its own log says more."
    )
    retry = True

"""Import into OpenClinica 3: look, send, and read back.

The server answers an import of a visit that does not exist with ``Success. 1 of 1 forms imported.``, and its numbers
are counted before anything is stored (docs/protocol3.md, import). So every visit is looked up before the first byte
leaves, and every value is read back after. What is stored already is not sent: a retry sends what is missing.

    importing = Importing(client, session, upsert_on)
    for part in parts: importing.check(part)
    for part in parts: importing.send(part)
    importing.judge()
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_openclinica.engine.openclinica3.reading import stored
from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    FileError,
    NotAvailableError,
    NotFoundError,
    RowsFailedError,
    RowsLostError,
    ServerUnavailableError,
)

if TYPE_CHECKING:
    from typing import Any, BinaryIO

    from airflow_provider_openclinica.client.openclinica3.client import OpenClinica3Client
    from airflow_provider_openclinica.client.openclinica3.session import Session
    from airflow_provider_openclinica.client.openclinica3.soap import Imported
    from airflow_provider_openclinica.engine.openclinica3.reading import Stored
    from airflow_provider_openclinica.odm.import3 import ImportRequest, UpsertOn

log = logging.getLogger(__name__)

OPEN = frozenset({"scheduled", "data entry started", "completed"})  #: events that take data
COMPLETE = "data entry complete"


@dataclass(slots=True, kw_only=True)
class Tally:
    """How many requests had which outcome, and how many values are where. Counts only.

    :param sent: requests that went out.
    :param unchanged: requests that did not: all they say is stored already.
    :param filtered: requests whose form ``upsert_on`` keeps out.
    :param failed: requests that were refused.
    :param lost: requests that were called a success, and of which something is not stored.
    """

    requests: int = 0
    sent: int = 0
    unchanged: int = 0
    filtered: int = 0
    failed: int = 0
    lost: int = 0
    forms: int = 0
    values: int = 0
    values_lost: int = 0
    warnings: int = 0


@dataclass(slots=True)
class Importing:
    """An import in parts, within one session.

    :param verify: read back what was sent. Without it, what the server says is believed, which proves nothing.
    :param allow_migration: let a form be moved to another version, which is what the server does when it gets data of
        another one.
    :param log_file: is told, a line of JSON for each request, what the server said; it may quote values.
    """

    client: OpenClinica3Client
    session: Session
    upsert_on: UpsertOn
    verify: bool = True
    allow_migration: bool = False
    log_file: BinaryIO | None = None
    tally: Tally = field(default_factory=Tally)

    def check(self, part: ImportRequest) -> None:
        """Look whether there is what a part writes to; sends nothing.

        :raises NotFoundError: an event is not scheduled, at least not in that occurrence.
        :raises NotAvailableError: an event is closed, or the participant removed.
        :raises FileError: a form is stored in another version.
        """
        try:
            there = self._stored(part)
        except ServerUnavailableError as error:
            if error.status == 500:  # which may mean that there is nobody
                error.args = (f"OpenClinica fails at the data of the participant in line {part.line}",)
            raise
        if there.status == "removed":
            raise NotAvailableError(f"The participant in line {part.line} is removed", study=part.study_oid)
        for form in part.forms:
            visit = there.visits.get((form.event_oid, form.event_repeat))
            where = f"event {form.event_oid}, occurrence {form.event_repeat}, of the participant in line {part.line}"
            if visit is None:
                raise NotFoundError(
                    f"There is no {where}",
                    study=part.study_oid,
                    meaning="OpenClinica 3 would call its import a success, and store nothing",
                    next_step="Schedule it first, with OpenClinica3ScheduleEventOperator; nothing was sent.",
                )
            if visit.status not in OPEN:
                raise NotAvailableError(
                    f"The {where} is {visit.status}, and takes no data",
                    study=part.study_oid,
                    next_step="Open it in OpenClinica, or leave it out of the file; nothing was sent.",
                )
        self._check_versions(part, there)

    def _check_versions(self, part: ImportRequest, there: Stored) -> None:
        if self.allow_migration:
            return
        for key in part.values:
            if other := there.form_holding(key):
                raise FileError(
                    f"Form {key.form_oid} of event {key.event_oid}, for the participant in line {part.line}, is stored "
                    f"as {other}",
                    study=part.study_oid,
                    meaning="OpenClinica 3 would move the stored form to that version without a word",
                    next_step="Name the stored version in the file, or set allow_migration=True; nothing was sent.",
                )

    def send(self, part: ImportRequest) -> None:
        """Send a part, unless all that it says is stored; read it back.

        :raises ServerUnavailableError: the answer was lost, and the data are not there; a retry sends what is missing.
        """
        self.tally.requests += 1
        self.tally.forms += len(part.forms)
        self.tally.values += len(part.values)
        if self._is_stored(part, self._stored(part)):
            self.tally.unchanged += 1
            return
        self.tally.sent += 1
        try:
            said = self.client.soap.import_odm(part.odm, study_oid=part.study_oid)
        except AmbiguousSubmitError as lost:
            if not self._is_stored(part, self._stored(part)):
                raise ServerUnavailableError(
                    "The answer to an import was lost, and not all of its data are there",
                    study=part.study_oid,
                    meaning=lost.meaning,
                    next_step="Retry: it looks again, and sends what is missing.",
                ) from None
            log.info("No answer came to an import, and its data are there")
            return
        except FileError as error:
            error.args = (f"OpenClinica fails at the import of the participant in line {part.line}",)
            raise
        self._note(part, said)
        self.tally.warnings += said.warnings
        if said.filtered and self.upsert_on.is_restrictive:
            self.tally.filtered += 1
        elif not said.succeeded:
            self.tally.failed += 1
        elif self.verify:
            missing = self._missing(part, self._stored(part))
            self.tally.values_lost += missing
            self.tally.lost += bool(missing)

    def judge(self, log_uri: str | None = None) -> None:
        """Return if all is well.

        :raises RowsLostError: something was called a success, and is not stored.
        :raises RowsFailedError: something was refused.
        """
        tally = self.tally
        where = f"What the server said of each lies in {log_uri}." if log_uri else "Set log_uri to keep what is said."
        if tally.lost:
            raise RowsLostError(
                f"{tally.values_lost} of {tally.values} values were called a success, and are not stored as they were "
                f"sent, in {tally.lost} of {tally.requests} requests",
                next_step=f"Compare the file with the study in OpenClinica. {where}",
            )
        if tally.failed:
            raise RowsFailedError(
                f"{tally.failed} of {tally.requests} requests were refused",
                next_step=f"{where} Correct the file and clear the task: what is stored is not sent again.",
            )

    def _stored(self, part: ImportRequest) -> Stored:
        return stored(self.client, self.session, part.study_oid, part.subject_key)

    def _is_stored(self, part: ImportRequest, there: Stored) -> bool:
        """Tell whether nothing is left to do: all values are there, and each form is as far as it shall be."""
        if self._missing(part, there):
            return False
        return all(there.forms.get(form) == COMPLETE for form, complete in part.forms.items() if complete) and all(
            form in there.forms for form in part.forms
        )

    def _missing(self, part: ImportRequest, there: Stored) -> int:
        """Count the values that are not stored as they were sent.

        An empty one may as well not be there. Of white space, only where it is counts: an export has blanks where lines
        break, since XML reads a line break in an attribute so.
        """
        return sum(there.values.get(key, "").split() != value.split() for key, value in part.values.items())

    def _note(self, part: ImportRequest, said: Imported) -> None:
        if self.log_file is None:
            return
        line: dict[str, Any] = {
            "line": part.line,
            "study_oid": part.study_oid,
            "subject_key": part.subject_key,
            "forms": [list(form) for form in part.forms],
            "succeeded": said.succeeded,
            "forms_counted": list(said.forms) if said.forms else None,
            "texts": list(said.texts),
        }
        self.log_file.write(json.dumps(line).encode() + b"\n")

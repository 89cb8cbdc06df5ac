"""What all steps of an import share: the study, the stored data, the rules of the dialect, and the log so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.joblog import Place, Row

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_openclinica.sandbox.data import ClinicalStore
    from airflow_provider_openclinica.sandbox.dialect import Dialect
    from airflow_provider_openclinica.sandbox.study import Study

PARTICIPANT = "Participant"
STUDY_EVENT = "Study Event"
SIGNATURE = "Signature"
FORM = "Form"
SDV = "SDV Status"
ITEM_GROUP = "Item Group"
ITEM = "Item Data"
QUERY = "Query"
ANNOTATION = "Annotation"

INSERTED = "Inserted"
UPDATED = "Updated"
NO_CHANGE = "No Change"
SKIPPED = "Skipped"


class JobFailed(Exception):  # noqa: N818
    """Something no row can tell: nothing of the file may stay, and the job ends without a log."""


class Refused(Exception):  # noqa: N818
    """One thing of the file is refused.

    :param code: the error code, without its prefix.
    :param type: the type of the log row, where it is not that of the step.
    """

    def __init__(self, code: str, *, type: str = "") -> None:  # noqa: A002
        super().__init__(code)
        self.code = code
        self.type = type


@dataclass(slots=True, kw_only=True)
class ImportRun:
    """One import under way.

    :param user: login of whoever submitted the file.
    :param users: logins that notes may name; ``None``: the user service does not answer.
    :param scope: OIDs of the study and sites among whose participants a subject is looked for.
    """

    study: Study
    store: ClinicalStore
    dialect: Dialect
    user: str
    users: Collection[str] | None
    scope: frozenset[str]
    rows: list[Row] = field(default_factory=list)

    def failed(self, place: Place, kind: str, code: str, *, prefix: str = "errorCode.", status: str = "Failed") -> None:
        """Log a failure."""
        self.rows.append(Row(place, kind, status, prefix + code))

    def changed(self, place: Place, kind: str, status: str, message: str = "") -> None:
        """Log a change, with the time."""
        self.rows.append(Row(place, kind, status, message, datetime.now(UTC)))

    def unchanged(self, place: Place, kind: str, status: str = NO_CHANGE, message: str = "") -> None:
        """Log that something was looked at and left as it was."""
        self.rows.append(Row(place, kind, status, message))

"""What a task remembers of its submissions, from one try to the next.

The record is one small JSON value for each part, kept in whatever the caller hands in: Airflow's task state store (3.3
and later), a dict in a notebook or a test, or nothing. It is written in an order that survives a crash at any point:
``submitting`` before the first byte leaves, ``submitted`` with the uuid right after the answer, ``judged`` with the
counts once the log has been read. Ids, counts and digests only: anybody who may see the task may see its record.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_openclinica.engine.judge import JobReport
from airflow_provider_openclinica.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_openclinica.engine.ticket import JobTicket


class StateStore(Protocol):
    """Where a record survives the try that wrote it. Airflow's ``context["task_state_store"]`` is one as it stands."""

    def get(self, key: str) -> Any:
        """Return the value kept under a key, ``None`` where there is none."""

    def set(self, key: str, value: Any) -> None:
        """Keep a JSON value that is not ``None``."""

    def delete(self, key: str) -> None:
        """Forget a key; one that is not there is no error."""


class Phase(StrEnum):
    """How far a part had come when its record was written."""

    SUBMITTING = "submitting"  # bytes may have left; whether a job exists is not known
    SUBMITTED = "submitted"  # OpenClinica gave a uuid
    FAILED = "failed"  # OpenClinica gave the job up
    JUDGED = "judged"  # its log was read; the report is part of the record


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRecord:
    """The record of one part.

    :param phase: how far it had come.
    :param generation: the generation of the task that wrote this; a larger one means that a person cleared the task.
    :param payload_sha256: digest of what was sent.
    :param job_uuid: the job, from ``submitted`` on.
    :param report: the outcome, once judged.
    """

    phase: Phase
    generation: int
    payload_sha256: str
    job_uuid: str = ""
    report: JobReport | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the record as a state store keeps it."""
        return asdict(self) | {"phase": self.phase.value}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> PartRecord:
        """Read what ``to_json`` wrote.

        :raises TypeError, ValueError, KeyError: it is something else.
        """
        report = JobReport(**kept["report"]) if kept["report"] is not None else None
        record = cls(
            phase=Phase(kept["phase"]),
            generation=int(kept["generation"]),
            payload_sha256=str(kept["payload_sha256"]),
            job_uuid=str(kept["job_uuid"]),
            report=report,
        )
        if (record.phase is Phase.JUDGED) != (report is not None):
            raise ValueError("only a judged part has a report")
        if record.phase is Phase.SUBMITTED and not record.job_uuid:
            raise ValueError("a submitted part has a uuid")
        return record


class Record:
    """The records of all parts of one task, and the plan that cut them.

    :param store: ``None`` where the task has none: everything is forgotten, and the job list must answer instead.
    :param is_whole: no clearing of the task can have emptied the store, so that silence in it means something.
    """

    def __init__(self, store: StateStore | None, *, is_whole: bool = True) -> None:
        self._store = store
        self.is_whole = store is not None and is_whole

    def part(self, number: int) -> PartRecord | None:
        """Return the record of a part, ``None`` where nothing is known of it.

        :raises ConfigurationError: there is a value, and it is not one of ours.
        """
        kept = self._store.get(_key(number)) if self._store else None
        if kept is None:
            return None
        try:
            return PartRecord.from_json(kept)
        except (TypeError, ValueError, KeyError) as error:
            raise ConfigurationError(
                f"The task's state holds a {_key(number)} that this package did not write",
                next_step="Look the job up in OpenClinica's Bulk Actions Log, delete that key, then clear the task.",
            ) from error

    def write_failure(self, ticket: JobTicket) -> None:
        """Keep that OpenClinica gave a job up."""
        record = PartRecord(
            phase=Phase.FAILED,
            generation=ticket.generation,
            payload_sha256=ticket.payload_sha256,
            job_uuid=ticket.job_uuid,
        )
        self.write(ticket.part, record)

    def write(self, number: int, record: PartRecord | None) -> None:
        """Keep the record of a part; ``None`` forgets it."""
        if self._store is None:
            return
        if record is None:
            self._store.delete(_key(number))
        else:
            self._store.set(_key(number), record.to_json())

    def plan(self, generation: int) -> dict[str, Any] | None:
        """Return how this generation cut its parts, ``None`` before the first try; see ``engine/imports.py``."""
        kept = self._store.get(_PLAN) if self._store else None
        return kept["plan"] if isinstance(kept, dict) and kept.get("generation") == generation else None

    def keep_plan(self, generation: int, plan: dict[str, Any]) -> None:
        """Keep how the parts are cut, before the first of them is sent."""
        if self._store is not None:
            self._store.set(_PLAN, {"generation": generation, "plan": plan})


_PLAN = "openclinica_plan"


def _key(number: int) -> str:
    return f"openclinica_part_{number}"

"""What the odm functions return. Nothing here holds a value, and a Problem names no participant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a file, in words that tell what to do; ``str`` puts the line before them.

    :param reason: what is wrong, what it would do, what to write instead. No value, no participant.
    :param line: line in the file, from 1; None where it concerns no line.
    :param severity: an ``error`` stops the import, with a ``warning`` it may go on.
    """

    reason: str
    line: int | None = None
    severity: Severity = "error"

    def __str__(self) -> str:
        return self.reason if self.line is None else f"line {self.line}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A normalised document with exactly one ClinicalData, to be sent as one job.

    :param path: where it lies.
    :param study_oid: its StudyOID, as written.
    :param group: what ``site_of`` said of its participants; empty without one.
    :param participants: (SubjectKey, StudySubjectID), casefolded, of those with an ItemData: the log has to name each.
    :param subjects: number of SubjectData.
    :param items: number of ItemData.
    :param first_line: line of its first participant in the source.
    """

    path: Path
    study_oid: str
    group: str
    participants: frozenset[tuple[str, str]]
    subjects: int
    items: int
    first_line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicalDataSummary:
    """What one ClinicalData of a document holds.

    :param study_oid: its StudyOID, as written; empty where there is none.
    :param line: line of its start tag.
    :param subjects: number of SubjectData.
    :param items: number of ItemData.
    """

    study_oid: str
    line: int
    subjects: int
    items: int

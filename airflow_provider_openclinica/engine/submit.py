"""Decide what to do with one part of a submission: send it, go back to its job, or stop.

OpenClinica has no idempotency key, but it keeps the name of an uploaded file with the job and shows it in its job list
(docs/protocol.md, job list). So the name carries one: ``<stem>.af-<digest>-g<generation>.xml``. The digest stands for
dag, run, task, map index, part and the bytes sent; the generation for how often a person has cleared the task. Together
with the task's own record (``record.py``) that settles what an earlier try has left behind:

    tag_of(...), upload_name(...)   the name to send a part under
    sight(...)                      what the job list knows of it
    decide(...)                     the decision, a pure function
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import TYPE_CHECKING

from airflow_provider_openclinica.engine.record import Phase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_openclinica.client.jobs import ListedJob
    from airflow_provider_openclinica.engine.record import PartRecord

STEM_LENGTH = 80  #: characters of the user's own file name that stay readable in the Bulk Actions Log


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskKey:
    """Which task is sending. The same in each of its tries, another one in each run.

    ``logical_date`` has no place here: runs that a person or the API started may have none.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1


def tag_of(task: TaskKey, number: int, payload_sha256: str) -> str:
    """Return the tag that finds this part's job again, however the try ended.

    :param number: the part, counted from 1.
    :param payload_sha256: digest of everything that is sent.
    """
    parts = [task.dag_id, task.run_id, task.task_id, task.map_index, number, payload_sha256]
    return f"af-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]}"


def upload_name(stem: str, tag: str, generation: int, suffix: str) -> str:
    """Return the name to upload a part under, at most 255 characters of ``[A-Za-z0-9._-]``.

    :param stem: the name of the user's file without its suffix; whatever cannot stay becomes ``-``.
    :param suffix: ``.xml`` or ``.csv``; the server wants it in lower case.
    """
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.")[:STEM_LENGTH] or "file"
    return f"{readable}.{tag}-g{generation}{suffix}"


class Seen(Enum):
    """What the job list says about a tag."""

    UNREADABLE = auto()  # this server has no list, or the account may not read it
    NOT_THERE = auto()
    RUNNING = auto()  # or in a state that we have never heard of
    ENDED = auto()  # completed, whatever became of its rows
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Sighting:
    """A look into the job list.

    :param generation: of the job that was found, read from its name.
    """

    seen: Seen
    job_uuid: str = ""
    generation: int = -1


def sight(jobs: Iterable[ListedJob] | None, tag: str) -> Sighting:
    """Look for a tag in a job list, and take the newest job that has it.

    :param jobs: the list, ``None`` where it could not be read.
    """
    if jobs is None:
        return Sighting(Seen.UNREADABLE)
    name = re.compile(rf"{re.escape(tag)}-g(\d+)")
    found = [(job, match) for job in jobs if (match := name.search(job.source_file_name or ""))]
    if not found:
        return Sighting(Seen.NOT_THERE)
    job, match = max(found, key=lambda pair: pair[0].date_created or datetime.min.replace(tzinfo=UTC))
    seen = {"COMPLETED": Seen.ENDED, "FAILED": Seen.FAILED}.get(job.status.upper(), Seen.RUNNING)
    return Sighting(seen, job.uuid, int(match[1]))


class Act(Enum):
    """What to do with a part."""

    SUBMIT = auto()
    ATTACH = auto()  # wait for the job that is there
    VERDICT = auto()  # judged before: the same verdict again
    CHANGED = auto()  # stop: an earlier try sent something else
    AMBIGUOUS = auto()  # stop: a job may exist, and nothing here can tell
    STOP = auto()  # stop for good: a failed job may have applied some of its rows


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a part, and with which job."""

    act: Act
    job_uuid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that a decision depends on, apart from the job list.

    :param record: what an earlier try wrote down about this part.
    :param generation: the generation of this try.
    :param payload_sha256: digest of what this try would send.
    :param repeatable: sending the same again does no harm once its job has ended (imports, participants; not events).
    :param resubmit: the user has chosen ``on_ambiguous_submit="resubmit"``.
    :param nothing_was_sent: silence proves it: the first try, or a store that no clearing can have emptied.
    """

    record: PartRecord | None
    generation: int
    payload_sha256: str
    repeatable: bool
    resubmit: bool
    nothing_was_sent: bool

    @property
    def cleared_since(self) -> bool:
        """A person has cleared the task since the record was written."""
        return self.record is not None and self.record.generation != self.generation

    @property
    def needs_the_list(self) -> bool:
        """The record alone does not settle it."""
        if self.record is None or self.record.phase is Phase.SUBMITTING:
            return True
        return self.record.phase is Phase.SUBMITTED and self.cleared_since


def decide(now: Situation, sighting: Sighting) -> Decision:
    """Decide what to do with a part. Where each line comes from: docs/protocol.md, job list.

    :param sighting: what the job list says of the part's tag; looked at only if ``now.needs_the_list``.
    """
    record = now.record
    if record is None:
        return _without_record(now, sighting)
    if record.payload_sha256 != now.payload_sha256:
        # Clearing the task is how a person says: now send the new content.
        return Decision(Act.SUBMIT if now.cleared_since else Act.CHANGED)
    if record.phase is Phase.JUDGED:
        return Decision(Act.SUBMIT if now.cleared_since else Act.VERDICT, record.job_uuid)
    if record.phase is Phase.SUBMITTED:
        # A job that hung for ever ends by being deleted; then clearing the task is how to send the file again.
        deleted = now.cleared_since and sighting.seen is Seen.NOT_THERE
        return Decision(Act.SUBMIT if deleted and now.repeatable else Act.ATTACH, record.job_uuid)
    if record.phase is Phase.FAILED:
        return _after_failure(now, record.job_uuid)
    return _while_submitting(now, record, sighting)


def _without_record(now: Situation, sighting: Sighting) -> Decision:
    if sighting.seen is Seen.UNREADABLE:
        return Decision(Act.SUBMIT if now.nothing_was_sent or now.resubmit else Act.AMBIGUOUS)
    if sighting.seen is Seen.NOT_THERE:
        return Decision(Act.SUBMIT)
    if sighting.seen is Seen.FAILED:
        return _after_failure(now, sighting.job_uuid)
    ended_earlier = sighting.seen is Seen.ENDED and sighting.generation != now.generation
    if ended_earlier and now.repeatable:
        return Decision(Act.SUBMIT)  # a person cleared the task: they want it sent anew
    return Decision(Act.ATTACH, sighting.job_uuid)  # for events too: a second submit would repeat visits


def _while_submitting(now: Situation, record: PartRecord, sighting: Sighting) -> Decision:
    if sighting.seen is Seen.UNREADABLE:
        return Decision(Act.SUBMIT if now.resubmit else Act.AMBIGUOUS)
    if sighting.seen is Seen.NOT_THERE or sighting.generation != record.generation:
        # A job of another generation is an older submission: this record was written to replace it.
        return Decision(Act.SUBMIT)
    if sighting.seen is Seen.FAILED:
        return _after_failure(now, sighting.job_uuid)
    return Decision(Act.ATTACH, sighting.job_uuid)


def _after_failure(now: Situation, job_uuid: str) -> Decision:
    """Resend what a failed job cannot have applied; rows of an events job may be in."""
    return Decision(Act.SUBMIT if now.repeatable or now.cleared_since else Act.STOP, job_uuid)

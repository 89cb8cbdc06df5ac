"""Step 1 of an import: whose data these are (docs/protocol.md, import)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.import_run import ImportRun, JobFailed, Refused

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.data import Participant
    from airflow_provider_openclinica.sandbox.import_document import SubjectData

_USABLE = {"AVAILABLE", "SIGNED"}


def find_participant(run: ImportRun, subject: SubjectData) -> Participant:
    """Find the participant a subject names by OID, by participant ID, or by both.

    :raises Refused: nobody, several, or two different ones are named, or one who is closed to data.
    :raises JobFailed: both are given and two sites of the study use the participant ID.
    """
    if not subject.events:
        raise Refused("subjectDoesNotContainStudyEventData")
    # One of the two is enough for the source; the documents ask for the participant ID.
    if subject.participant_id is None and (subject.key is None or run.dialect is Dialect.DOCS):
        raise Refused("missingParticipantID")
    participant = _by_oid(run, subject.key) if subject.key is not None else _by_id(run, subject.participant_id or "")
    if subject.key is not None and subject.participant_id is not None:
        _compare(run, participant, subject.participant_id)
    if participant.status not in _USABLE:
        raise Refused("participantNotFound")
    return participant


def _by_oid(run: ImportRun, oid: str) -> Participant:
    participant = run.store.participant_by_oid(oid)
    if participant is None or participant.site_oid not in run.scope:
        raise Refused("participantNotFound")
    return participant


def _by_id(run: ImportRun, participant_id: str) -> Participant:
    found = run.store.participants_by_id(participant_id, run.scope)
    if not found:
        raise Refused("participantNotFound")
    if len(found) > 1:
        raise Refused("multipleParticipantsFound")
    return found[0]


def _compare(run: ImportRun, participant: Participant, participant_id: str) -> None:
    found = run.store.participants_by_id(participant_id, run.scope)
    if not found:
        raise Refused("participantNotFound")
    if len(found) > 1:
        raise JobFailed("a participant named twice over has an ID that two sites use")
    if found[0].id != participant.id:
        raise Refused("participantIdentiersMismatch")  # the server's spelling

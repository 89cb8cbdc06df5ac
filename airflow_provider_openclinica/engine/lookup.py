"""Look up one participant, or an event of theirs.

A retrieve tells nobody what is wrong with a question: it answers one about a participant whom it does not know with
status 500, or with a document without data (docs/protocol.md, clinical data). The participant list does tell, so it is
read where a retrieve ends like that, and only there.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_provider_openclinica.engine.lists import INTERNAL_ERROR
from airflow_provider_openclinica.errors import (
    FileError,
    NotFoundError,
    RoleError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)
from airflow_provider_openclinica.odm.reader import Event, Form, Participant, read

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.client.participants import ListedParticipant


def listed(client: OpenClinicaClient, study_oid: str, site_oid: str | None, participant_id: str) -> ListedParticipant:
    """Find a participant in the list of the site, or of the study where no site is given.

    :raises NotFoundError: nobody there has exactly this ID; or there is no such study or site.
    :raises RoleError: no role there, or that of a Monitor.
    """
    there = client.participants.list(study_oid, site_oid)
    for participant in there:
        if participant.participant_id == participant_id:
            return participant
    known = participant_id.casefold()
    twin = any(participant.participant_id.casefold() == known for participant in there)
    raise NotFoundError(
        f"Nobody {'at this site' if site_oid else 'in this study'} has exactly this participant ID"
        + (", but somebody has one that differs in letter case" if twin else ""),
        study=study_oid,
        site=site_oid or "",
        next_step="Compare the ID, letter for letter, with the participant list of study or site.",
    )


def event_of(
    client: OpenClinicaClient, study_oid: str, site_oid: str | None, participant_id: str, event: str
) -> list[Event | Form]:
    """Retrieve an event of a participant and its forms, in their order, removed and archived ones included.

    :param event: OID of an event, or ``SE_VISIT[2]`` for one occurrence.
    :returns: nothing where the event is not scheduled, or the study does not have it.
    :raises NotFoundError: no such study, site or participant.
    :raises RoleError: no role there.
    :raises UnexpectedAnswerError: what came cannot be read.
    :raises OpenClinicaError: as ``client.clinicaldata.retrieve`` does.
    """
    try:
        found = _retrieved(client, study_oid, site_oid, participant_id, event)
    except ServerUnavailableError as trouble:
        if trouble.status == INTERNAL_ERROR:
            with suppress(RoleError):  # a Monitor may retrieve and not list
                listed(client, study_oid, site_oid, participant_id)
        raise
    if not found:
        listed(client, study_oid, site_oid, participant_id)
    return [record for record in found if not isinstance(record, Participant)]


def _retrieved(
    client: OpenClinicaClient, study_oid: str, site_oid: str | None, participant_id: str, event: str
) -> list[Participant | Event | Form]:
    """Return what there is of this participant: an ID may be another one's OID, by which the server looks first."""
    with client.clinicaldata.retrieve(
        site_oid or study_oid,
        participant=participant_id,
        event=event,
        show_archived=True,  # else a form on an archived version would stay unseen for ever
    ) as streamed:
        try:
            return [
                record
                for record in read(streamed.chunks(), charset=streamed.charset)
                if isinstance(record, Participant | Event | Form) and record.participant_id == participant_id
            ]
        except FileError:  # not chained: it may say where in the document, and nobody has sent a file
            raise UnexpectedAnswerError(
                "OpenClinica answered with clinical data that cannot be read", study=study_oid, site=site_oid or ""
            ) from None

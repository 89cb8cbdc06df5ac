"""What is known of a job once it has been submitted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTicket:
    """One submitted part: what it takes to find, watch and judge its job.

    JSON values only, so it goes through a trigger or a state store as ``asdict(ticket)``, and back as
    ``JobTicket(**values)``. It names no participant.

    :param job_uuid: the job, as OpenClinica named it.
    :param job_type: such as ``XML_IMPORT`` (docs/protocol.md, jobs).
    :param study_oid: the study whose job list has the job.
    :param site_oid: the site, where the file named one.
    :param part: which part of the task's file this is, from 1.
    :param generation: how often a person had cleared the task when it was submitted.
    :param payload_sha256: digest of the bytes sent.
    :param rows_sent: how many rows were sent; None where they cannot be counted beforehand, as in an import.
    :param unsplit_study: participants of several sites may have gone in one file, which the server binds to the site
        of the first (docs/protocol.md, import).
    """

    job_uuid: str
    job_type: str
    study_oid: str
    site_oid: str | None
    part: int
    generation: int
    payload_sha256: str
    rows_sent: int | None
    unsplit_study: bool = False

"""Step 9 of an import: attestations, and the signature of an event (docs/protocol.md, import)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.import_run import SIGNATURE, SKIPPED, ImportRun

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.data import Occurrence
    from airflow_provider_openclinica.sandbox.import_document import StudyEventData
    from airflow_provider_openclinica.sandbox.joblog import Place

_LONGEST_ATTESTATION = 1000


def import_signatures(run: ImportRun, occurrence: Occurrence, place: Place, data: StudyEventData) -> None:
    """Store the attestations of an event, sign it where ``Signed`` says Yes, and log the outcomes.

    An event that is signed already is signed once more, with a row of its own.
    """
    if data.signed not in {None, "Yes", "No"}:
        run.failed(place, SIGNATURE, "signedStatusIsInvalid", status="FAILED")
        return
    if not data.signatures and data.signed != "Yes":
        return
    if not data.signatures and not occurrence.signed:
        # The server misspells the prefix here.
        run.failed(place, SIGNATURE, "cannotSignEventWithoutAttestation", prefix="errorcode.")
        return
    problems = [code for code in map(_problem, (sent.attestation for sent in data.signatures)) if code]
    if not problems and not _is_eligible(occurrence):
        problems = ["eventIsNotEligibleToBeSigned"]
    for code in problems:
        run.failed(place, SIGNATURE, code)
    if problems:
        return
    _store_attestations(run, occurrence, place, [sent.attestation or "" for sent in data.signatures])
    if data.signed == "Yes":
        occurrence.signed = True
        run.store.save_occurrence(occurrence)
        run.changed(place, SIGNATURE, "Event is Signed")


def _problem(attestation: str | None) -> str:
    if not attestation:
        return "attestationIsMissing"
    return "attestationTextTooLong" if len(attestation) > _LONGEST_ATTESTATION else ""


def _is_eligible(occurrence: Occurrence) -> bool:
    return occurrence.id != 0 and occurrence.status == "COMPLETED"


def _store_attestations(run: ImportRun, occurrence: Occurrence, place: Place, attestations: list[str]) -> None:
    stored = run.store.attestations(occurrence.id)
    for attestation in attestations:
        if attestation in stored:
            run.unchanged(place, SIGNATURE, SKIPPED, "Attestation already exists in event")
            continue
        run.store.add_attestation(occurrence.id, attestation, run.user)
        stored.add(attestation)
        run.changed(place, SIGNATURE, "Attestations Imported")

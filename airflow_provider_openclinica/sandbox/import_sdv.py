"""Step 8 of an import, second half: the state of source data verification (docs/protocol.md, import)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.import_run import NO_CHANGE, SDV, SKIPPED, UPDATED, ImportRun, Refused

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.import_forms import FormEntry
    from airflow_provider_openclinica.sandbox.joblog import Place

_STATUSES = {
    "verified": "VERIFIED",
    "not verified": "NOT_VERIFIED",
    "ready to verify": "NOT_VERIFIED",
    "changed since verified": "CHANGED_SINCE_VERIFIED",
}


def import_sdv(run: ImportRun, entry: FormEntry, place: Place, text: str) -> None:
    """Set a form's verification to what the file asks for, as far as that may be set, and log the outcome."""
    requested = _STATUSES.get(text.casefold())
    if requested is None:
        run.failed(place, SDV, "sdvStatusNotValid", status="FAILED")
        return
    try:
        status = _check_verified(entry) if requested == "VERIFIED" else _check_other(entry, requested)
    except Refused as refusal:
        run.failed(place, SDV, refusal.code)
        return
    if status != UPDATED or entry.record is None:
        message = "SDV Status set automatically" if status == SKIPPED else ""
        run.unchanged(place, SDV, status, message)
        return
    entry.record.sdv_status = requested
    run.store.save_form(entry.record)
    run.changed(place, SDV, UPDATED)


def _check_verified(entry: FormEntry) -> str:
    if entry.has_failures:
        raise Refused("sdvStatusCannotBeUpdatedBecauseOfItemImportFailure")
    record = entry.record
    if record and record.sdv_status == "VERIFIED":
        return NO_CHANGE
    if record is None or not record.complete:
        raise Refused("formStatusShouldBeCompleteForSettingSdvVerifiedStatus")
    if record.removed or record.archived:
        raise Refused("formWithRemovedOrArchivedAttributeCannotBeSdvVerified")
    return UPDATED


def _check_other(entry: FormEntry, requested: str) -> str:
    stored = entry.record.sdv_status if entry.record else ""
    if stored and stored == requested:
        return SKIPPED if entry.fell_from_verified else NO_CHANGE
    if requested == "NOT_VERIFIED" and stored == "VERIFIED":
        return UPDATED
    raise Refused("sdvStatusNotApplicable")

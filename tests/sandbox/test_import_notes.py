"""Queries, annotations, verification and signatures of an import, each outcome (docs/protocol.md, import)."""

from __future__ import annotations

import pytest

from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.importer import JobFailed
from tests.sandbox.imports import Clinic, element, entry, event, form, group, item, labs, note, outcomes, subject

PLACE = "SS_BOS001,BOS-001,SE_FOLLOWUP,1,F_LABS,IG_LABS_MAIN,1,I_LABS_SAMPLE"
LONG_ID = "N" * 33


@pytest.fixture
def clinic(dialect: str) -> Clinic:
    return Clinic(Dialect(dialect))


def noted(*notes: str, value: str | None = "A-1", oid: str = "I_LABS_SAMPLE") -> str:
    """Write a visit whose one item has notes."""
    return labs(group(item(oid, value, *notes)))


def note_rows(rows: list[str]) -> list[str]:
    """Leave the row of the item away."""
    return outcomes(rows)[1:]


def test_a_query_is_stored_once(clinic):
    sent = noted(note(entry(), entry(id="CDN_A2", status="Updated")))
    assert clinic.send(sent)[1] == f"Query|Inserted|DN_A|*|{PLACE}"
    assert clinic.send(sent)[1] == f"Query|No Change|||{PLACE}"
    assert clinic.states("notes", "note_id || ' ' || status") == ["DN_A Updated", "CDN_A1 New", "CDN_A2 Updated"]


def test_an_entry_is_added_to_its_thread(clinic):
    clinic.send(noted(note(entry())))
    more = entry("Corrected", id="CDN_A2", status="closed", assigned="data_manager")
    assert clinic.send(noted(note(entry(), more)))[1] == f"Query|Updated|DN_A|*|{PLACE}"
    assert clinic.states("notes", "status || ' ' || text || ' ' || assigned")[1:] == [
        "New Please check ",
        "Closed Corrected data_manager",
    ]


def test_notes_without_an_id_are_added_every_time(clinic):
    sent = noted(note(entry(id=None), id=None))
    first, second = note_rows(clinic.send(sent) + clinic.send(sent))[::2]
    assert first.startswith("Query|Inserted|DN_")
    assert second.startswith("Query|Inserted|DN_")
    assert first != second


def test_an_annotation_needs_no_status(clinic):
    assert note_rows(clinic.send(noted(note(entry(status=None), type="annotation")))) == ["Annotation|Inserted|DN_A"]


@pytest.mark.parametrize(
    ("sent", "rows"),
    [
        pytest.param(note(entry(), type=None), ["Query DN_A:missingDiscrepancyNoteType"], id="no-type"),
        pytest.param(note(entry(), type="Remark"), ["Query DN_A:discrepancyNoteTypeNotValid"], id="another-type"),
        pytest.param(note(entry(), type="Remark", id=None), ["Query discrepancyNoteTypeNotValid"], id="without-an-id"),
        pytest.param(note(), ["Query DN_A:missingChildNote"], id="no-entry"),
        pytest.param(
            note(entry(), entry(id=None), type="Annotation"),
            ["Annotation DN_A:annotationMustHaveOneChildNote"],
            id="annotation-with-two-entries",
        ),
        pytest.param(note(entry(), id=LONG_ID), [f"Query {LONG_ID}:discrepancyNoteIdTooLong"], id="long-id"),
        pytest.param(note(entry(id=LONG_ID)), [f"Query {LONG_ID}:discrepancyNoteIdTooLong"], id="long-id-of-an-entry"),
        pytest.param(note(entry(id="DN_A")), ["Query DN_A:discrepancyNoteIdIsRedundant"], id="one-id-twice"),
        pytest.param(note(entry(status=None)), ["Query CDN_A1:missingDiscrepancyNoteStatus"], id="no-status"),
        pytest.param(note(entry(status="Open")), ["Query CDN_A1:discrepancyNoteStatusNotValid"], id="another-status"),
        pytest.param(note(entry(status="Closed")), ["Query CDN_A1:queryStatusNotApplicable"], id="not-new-first"),
        pytest.param(
            note(entry(), entry(id="C2", status="Closed-Modified")),
            ["Query C2:queryStatusNotApplicable"],
            id="a-status-that-may-not-follow",
        ),
        pytest.param(note(entry(user=None)), ["Query CDN_A1:missingUserName"], id="no-user"),
        pytest.param(note(entry(user="nobody")), ["Query CDN_A1:userNotValid"], id="unknown-user"),
        pytest.param(note(entry(assigned="nobody")), ["Query CDN_A1:assignedUserNotValid"], id="unknown-assigned"),
        pytest.param(note(entry(None)), ["Query CDN_A1:detailedNoteMissing"], id="no-text"),
        pytest.param(note(entry(" ")), ["Query CDN_A1:detailedNoteMissing"], id="blank-text"),
        pytest.param(note(entry("x" * 1001)), ["Query CDN_A1:detailedNoteTextTooLong"], id="long-text"),
        pytest.param(
            note(entry("x" * 1001, user=None)),
            ["Query CDN_A1:missingUserName", "Query CDN_A1:detailedNoteTextTooLong"],
            id="a-row-for-each-problem",
        ),
    ],
)
def test_each_problem_of_a_note_has_a_row_and_nothing_of_it_is_stored(clinic, sent, rows):
    expected = []
    for row in rows:
        kind, message = row.split()
        note_id, _, code = message.rpartition(":")
        expected.append(f"{kind}|Failed|{note_id + ':' if note_id else ''}errorCode.{code}")
    assert note_rows(clinic.send(noted(sent))) == expected
    assert clinic.states("notes", "note_id") == []


@pytest.mark.parametrize("status", ["Updated", "Closed"])
@pytest.mark.parametrize("before", ["New", "Updated", "Closed-Modified"])
def test_these_may_follow_an_open_query(clinic, before, status):
    clinic.send(noted(note(entry())))
    clinic.db.execute("UPDATE notes SET status = ?", (before,))
    rows = clinic.send(noted(note(entry(), entry(id="C2", status=status))))
    assert note_rows(rows) == ["Query|Updated|DN_A"]


def test_ids_that_are_taken_are_refused(clinic):
    clinic.send(noted(note(entry())), noted(note(entry(id="CDN_B1"), id="DN_B"), oid="I_LABS_COMMENT"))
    assert note_rows(clinic.send(noted(note(entry(), id="DN_B")))) == [
        "Query|Failed|DN_B:errorCode.existingNoteIdOnOtherItem",
        "Query|Failed|CDN_A1:errorCode.noteIdAlreadyInUse",
    ]
    assert note_rows(clinic.send(noted(note(entry(id="DN_A"), id="CDN_A1")))) == [
        "Query|Failed|CDN_A1:errorCode.noteIdAlreadyInUse",
        "Query|Failed|DN_A:errorCode.noteIdAlreadyInUse",
    ]


def test_a_new_entry_may_not_stand_before_a_stored_one(clinic):
    clinic.send(noted(note(entry())))
    sent = noted(note(entry(id="CDN_A0"), entry()))
    assert note_rows(clinic.send(sent)) == ["Query|Failed|CDN_A0:errorCode.newQueryInBetweenOldQueries"]


@pytest.mark.parametrize(
    ("value", "outcome", "count"),
    [
        ("A-1", "Inserted", 2),
        (None, "Skipped|No item value present", 2),
        ("x" * 5000, "Failed|errorCode.valueTooLong", 1),
    ],
)
def test_notes_are_reached_unless_their_item_fails(clinic, value, outcome, count):
    rows = outcomes(clinic.send(noted(note(entry()), value=value)))
    assert rows[0] == f"Item Data|{outcome}"
    assert len(rows) == count


def test_a_note_that_names_a_user_fails_the_job_while_the_user_service_is_silent(clinic):
    with pytest.raises(JobFailed):
        clinic.send(noted(note(entry())), users=None)
    assert note_rows(clinic.send(noted(note(entry(user=None))), users=None)) == [
        "Query|Failed|CDN_A1:errorCode.missingUserName"
    ]


def test_a_closed_query_on_a_changed_value_opens_again(clinic):
    clinic.send(noted(note(entry(), entry(id="C2", status="Closed"))))
    clinic.send(noted(value="A-2"))
    assert clinic.store.note("DN_A").status == "Closed-Modified"
    assert clinic.states("notes", "status")[-1] == "Closed-Modified"


# Step 8: verification


@pytest.fixture
def verified(clinic):
    clinic.send(labs(Status="complete", SdvStatus="verified"))
    return clinic


FORM = "SS_BOS001,BOS-001,SE_FOLLOWUP,1,F_LABS"
INCOMPLETE = "Failed|errorCode.formStatusShouldBeCompleteForSettingSdvVerifiedStatus"


def sdv_row(rows: list[str]) -> str:
    assert rows[-1].startswith("SDV Status|")
    return outcomes(rows)[-1].removeprefix("SDV Status|")


def test_a_complete_form_can_be_verified_in_the_same_file(clinic):
    rows = clinic.send(labs(Status="complete", SdvStatus="Verified"))
    assert rows[-1] == f"SDV Status|Updated||*|{FORM}"
    assert clinic.states("forms", "sdv_status") == ["VERIFIED"]


@pytest.mark.parametrize(
    ("sent", "row"),
    [
        pytest.param(labs(SdvStatus="done"), "FAILED|errorCode.sdvStatusNotValid", id="unknown-text-in-upper-case"),
        pytest.param(labs(SdvStatus="verified"), INCOMPLETE, id="not-complete"),
        pytest.param(subject(event(form(SdvStatus="verified"))), INCOMPLETE, id="nothing-stored"),
        pytest.param(
            labs(group(item(), item("I_NONE")), SdvStatus="verified"),
            "Failed|errorCode.sdvStatusCannotBeUpdatedBecauseOfItemImportFailure",
            id="an-item-failed",
        ),
        pytest.param(
            labs(group(oid="IG_NONE"), SdvStatus="verified"),
            "Failed|errorCode.sdvStatusCannotBeUpdatedBecauseOfItemImportFailure",
            id="a-group-failed",
        ),
        pytest.param(labs(SdvStatus="not verified"), "Failed|errorCode.sdvStatusNotApplicable", id="never-verified"),
        pytest.param(
            labs(SdvStatus="changed since verified"), "Failed|errorCode.sdvStatusNotApplicable", id="never-set-by-hand"
        ),
    ],
)
def test_verification_that_may_not_be_set_has_a_row(clinic, sent, row):
    assert sdv_row(clinic.send(sent)) == row


@pytest.mark.parametrize(
    ("sent", "row"),
    [
        pytest.param(labs(SdvStatus="verified"), "No Change", id="again"),
        pytest.param(labs(SdvStatus="not verified"), "Updated", id="taken-back"),
        pytest.param(labs(SdvStatus="ready to verify"), "Updated", id="taken-back-in-other-words"),
        pytest.param(
            labs(SdvStatus="changed since verified"), "Failed|errorCode.sdvStatusNotApplicable", id="not-changed"
        ),
        pytest.param(
            labs(group(item(value="A-2")), SdvStatus="changed since verified"),
            "Skipped|SDV Status set automatically",
            id="changed-by-this-file",
        ),
        pytest.param(labs(group(item(value="A-2")), SdvStatus="verified"), "Updated", id="changed-and-verified"),
    ],
)
def test_a_verified_form_can_change_so(verified, sent, row):
    assert sdv_row(verified.send(sent)) == row


def test_what_was_changed_before_stays_so(verified):
    verified.send(labs(group(item(value="A-2"))))
    assert verified.states("forms", "sdv_status") == ["CHANGED_SINCE_VERIFIED"]
    sent = labs(group(item(value="A-2")), SdvStatus="changed since verified")
    assert sdv_row(verified.send(sent)) == "No Change"


def test_a_form_that_was_taken_away_cannot_be_verified(clinic):
    vitals = {"oid": "F_VITALS", "SdvStatus": "verified"}
    pulse = group(item("I_VITALS_PULSE", "70"), oid="IG_VITALS_MAIN")
    clinic.send(subject(event(form(pulse, oid="F_VITALS", Status="complete"), oid="SE_BASELINE")))
    clinic.db.execute("UPDATE forms SET archived = 1")
    assert sdv_row(clinic.send(subject(event(form(pulse, layout="1", **vitals), oid="SE_BASELINE")))) == (
        "Failed|errorCode.formWithRemovedOrArchivedAttributeCannotBeSdvVerified"
    )


# Step 9: signatures

EVENT = "SS_BOS001,BOS-001,SE_FOLLOWUP"


def signed(*attestations: str | None, answer: str | None = "Yes") -> str:
    """Write a visit with an empty form, attestations and an answer to whether it is signed."""
    signatures = [element("Signature", Attestation=text) for text in attestations]
    more = {"Signed": answer} if answer is not None else {}
    return subject(event(*signatures, form(), **more))


@pytest.fixture
def completed(clinic):
    clinic.send(labs())
    clinic.db.execute("UPDATE events SET status = 'COMPLETED'")
    return clinic


def test_an_event_is_signed_and_each_time_again(completed):
    assert completed.send(signed("I agree")) == [
        f"Signature|Attestations Imported||*|{EVENT}",
        f"Signature|Event is Signed||*|{EVENT}",
    ]
    assert completed.states("events", "signed") == [1]
    assert outcomes(completed.send(signed("I agree"))) == [
        "Signature|Skipped|Attestation already exists in event",
        "Signature|Event is Signed",
    ]
    assert outcomes(completed.send(signed())) == ["Signature|Event is Signed"]


def test_an_attestation_alone_does_not_sign(completed):
    assert outcomes(completed.send(signed("I agree", answer=None))) == ["Signature|Attestations Imported"]
    assert completed.states("events", "signed") == [0]


@pytest.mark.parametrize(
    ("sent", "row"),
    [
        pytest.param(signed(), "Failed|errorcode.cannotSignEventWithoutAttestation", id="no-signature"),
        pytest.param(signed(None), "Failed|errorCode.attestationIsMissing", id="no-attestation"),
        pytest.param(signed("x" * 1001), "Failed|errorCode.attestationTextTooLong", id="long-attestation"),
        pytest.param(signed("ok", answer="maybe"), "FAILED|errorCode.signedStatusIsInvalid", id="no-answer"),
        pytest.param(signed("ok", answer=""), "FAILED|errorCode.signedStatusIsInvalid", id="empty-answer"),
    ],
)
def test_a_signature_that_is_not_taken_has_a_row(completed, sent, row):
    assert completed.send(sent) == [f"Signature|{row}||{EVENT}"]
    assert completed.states("events", "signed") == [0]


def test_an_event_that_is_not_completed_cannot_be_signed(clinic):
    clinic.send(labs())
    assert outcomes(clinic.send(signed("ok"))) == ["Signature|Failed|errorCode.eventIsNotEligibleToBeSigned"]


def test_signed_no_says_nothing(completed):
    assert completed.send(signed(answer="No")) == []

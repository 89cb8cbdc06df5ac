"""The pipeline of an import, each outcome of it (docs/protocol.md, import): participants, events and forms."""

from __future__ import annotations

import time

import pytest

from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.importer import JobFailed
from tests.sandbox.imports import (
    Clinic,
    adverse_event,
    common,
    event,
    form,
    group,
    item,
    labs,
    outcomes,
    results,
    subject,
    termination,
)

BOSTON = "SS_BOS001,BOS-001"
VISIT = f"{BOSTON},SE_FOLLOWUP"


@pytest.fixture
def clinic(dialect: str) -> Clinic:
    return Clinic(Dialect(dialect))


@pytest.fixture
def source() -> Clinic:
    return Clinic(Dialect.SOURCE)


@pytest.fixture
def docs() -> Clinic:
    return Clinic(Dialect.DOCS)


def test_a_value_is_stored_and_its_row_names_all_it_belongs_to(clinic):
    assert clinic.send(labs()) == [f"Item Data|Inserted||*|{VISIT},1,F_LABS,IG_LABS_MAIN,1,I_LABS_SAMPLE"]
    assert clinic.values() == [("SE_FOLLOWUP", 1, "I_LABS_SAMPLE", 1, "A-1")]


def test_sent_again_nothing_changes(clinic):
    clinic.send(labs())
    assert clinic.send(labs()) == [f"Item Data|No Change|||{VISIT},1,F_LABS,IG_LABS_MAIN,1,I_LABS_SAMPLE"]


def test_rows_come_in_the_order_of_the_document(clinic):
    sent = labs(group(item("I_LABS_SAMPLE"), item("I_NONE"), item("I_LABS_COMMENT")), group(item(), oid="IG_NONE"))
    assert [row.split("|")[0] + "," + row.split(",")[-1] for row in clinic.send(sent)] == [
        "Item Data,I_LABS_SAMPLE",
        "Item Data,I_NONE",
        "Item Data,I_LABS_COMMENT",
        "Item Group,1",
    ]


def test_a_document_without_subjects_has_one_row_of_an_odd_type(clinic):
    assert clinic.send() == ["Signature|Failed|errorCode.subjectDataMissing||"]


# Step 1: participants


@pytest.mark.parametrize(
    ("key", "participant_id", "row"),
    [
        pytest.param("SS_NONE", "BOS-001", "participantNotFound||SS_NONE,BOS-001", id="unknown-oid"),
        pytest.param("SS_BOS001", "BOS-9", "participantNotFound||SS_BOS001,BOS-9", id="unknown-id"),
        pytest.param("ss_bos001", "BOS-9", "participantNotFound||SS_BOS001,BOS-9", id="oids-are-in-upper-case"),
        pytest.param(None, "BOS-9", "participantNotFound||,BOS-9", id="only-an-unknown-id"),
        pytest.param(None, "bos-001", "participantNotFound||,bos-001", id="the-case-of-an-id-counts"),
        pytest.param(None, "LEI-001", "participantNotFound||,LEI-001", id="at-another-site"),
        pytest.param(None, "BOS-007", "participantNotFound||,BOS-007", id="removed"),
        pytest.param(None, None, "missingParticipantID||", id="nobody-named"),
        pytest.param("SS_BOS001", "BOS-002", "participantIdentiersMismatch||SS_BOS001,BOS-002", id="two-people"),
        pytest.param("", "BOS-001", "participantNotFound||,BOS-001", id="an-empty-oid-counts-as-one"),
    ],
)
def test_a_participant_who_cannot_be_told_fails_in_one_row(clinic, key, participant_id, row):
    sent = subject(event(form(group(item(), item()))), key=key, id=participant_id)
    assert clinic.send(sent) == [f"Participant|Failed|errorCode.{row}"]
    assert clinic.values() == []


def test_a_participant_without_events_fails(clinic):
    sent = subject(id="BOS-999")
    assert clinic.send(sent) == ["Participant|Failed|errorCode.subjectDoesNotContainStudyEventData||,BOS-999"]


@pytest.mark.parametrize(("key", "participant_id"), [("ss_bos001", "BOS-001"), (None, "BOS-001")])
def test_once_found_both_columns_show_what_is_stored(clinic, key, participant_id):
    sent = subject(event(form(), oid="SE_NONE"), key=key, id=participant_id)
    assert clinic.send(sent) == [f"Study Event|Failed|errorCode.invalidStudyEventOID||{BOSTON},SE_NONE"]


def test_the_oid_alone_is_enough_for_the_source(source):
    sent = subject(event(form(group(item()))), key="SS_BOS001", id=None)
    assert outcomes(source.send(sent)) == ["Item Data|Inserted"]
    assert outcomes(source.send(subject(event(form()), key="SS_LEI001", id=None))) == [
        "Participant|Failed|errorCode.participantNotFound"
    ]


def test_the_documents_ask_for_the_participant_id(docs):
    sent = subject(event(form(group(item()))), key="SS_BOS001", id=None)
    assert docs.send(sent) == ["Participant|Failed|errorCode.missingParticipantID||SS_BOS001"]


def test_a_study_level_file_sees_only_the_site_of_its_first_participant(clinic):
    rows = clinic.send(
        subject(event(form(group(item()))), id="BOS-999"),
        labs(),
        subject(event(form(group(item()))), id="LEI-001"),
        subject(event(form(group(item()))), id="BOS-002"),
        study="S_JUNO",
    )
    assert outcomes(rows) == [
        "Participant|Failed|errorCode.participantNotFound",
        "Item Data|Inserted",
        "Participant|Failed|errorCode.participantNotFound",
        "Item Data|Inserted",
    ]


@pytest.fixture
def twin(clinic) -> Clinic:
    """BOS-001 lives in Leiden too."""
    clinic.db.execute(
        """INSERT INTO participants (oid, participant_id, site_oid, status, created_at, created_by)
           VALUES ('SS_TWIN', 'BOS-001', 'S_LEIDEN', 'AVAILABLE', '', '')"""
    )
    return clinic


def test_an_id_that_two_sites_use_is_refused_in_a_study_level_file(twin):
    assert twin.send(labs(), study="S_JUNO") == ["Participant|Failed|errorCode.multipleParticipantsFound||,BOS-001"]
    assert outcomes(twin.send(labs())) == ["Item Data|Inserted"]


def test_with_the_oid_beside_it_an_id_that_two_sites_use_fails_the_job(twin):
    with pytest.raises(JobFailed):
        twin.send(subject(event(form(group(item()))), key="SS_BOS001"), study="S_JUNO")


# Step 2: events


@pytest.mark.parametrize(
    ("sent", "row"),
    [
        pytest.param(event(), "Study Event|eventDoesNotContainFormData|,SE_FOLLOWUP", id="no-form"),
        pytest.param(event(form(), oid=None), "Study Event|missingStudyEventOID|", id="no-oid"),
        pytest.param(event(form(), oid="SE_NONE"), "Study Event|invalidStudyEventOID|,SE_NONE", id="unknown"),
        pytest.param(event(form(), key="x"), "Study Event|invalidStudyEventRepeatKey|,SE_FOLLOWUP", id="no-number"),
        pytest.param(event(form(), key="1.0"), "Study Event|invalidStudyEventRepeatKey|,SE_FOLLOWUP", id="no-integer"),
        pytest.param(event(form(), key="3"), "Study Event|eventRepeatKeyTooLarge|,SE_FOLLOWUP", id="a-gap"),
        pytest.param(event(form(), key="0"), "Study Event|eventRepeatKeyTooLarge|,SE_FOLLOWUP", id="zero"),
        pytest.param(event(form(), start=None), "Study Event|missingStartDate|,SE_FOLLOWUP", id="no-start"),
        pytest.param(event(form(), start=""), "Study Event|invalidStartDate|,SE_FOLLOWUP", id="empty-start"),
        pytest.param(event(form(), start="2025-3-1"), "Study Event|invalidStartDate|,SE_FOLLOWUP", id="short-start"),
        pytest.param(event(form(), EndDate="soon"), "Study Event|invalidEndDate|,SE_FOLLOWUP", id="bad-end"),
        pytest.param(
            event(form(), EndDate="2025-02-28"), "Study Event|endDateBeforeStartDate|,SE_FOLLOWUP", id="end-first"
        ),
        pytest.param(common(form(), key="x"), "Study Event|invalidStudyEventRepeatKey|,SE_AE", id="common-no-number"),
        pytest.param(common(form(), key="2"), "Study Event|eventRepeatKeyTooLarge|,SE_AE", id="common-gap"),
        pytest.param(
            common(form(oid="F_NONE"), oid="SE_TERMINATION"),
            "Study Event|formOIDNotFound|,SE_TERMINATION",
            id="common-unknown-form",
        ),
        pytest.param(
            common(form(oid="F_TERMINATION", layout="9"), oid="SE_TERMINATION"),
            "Form|formLayoutOIDNotFound|,SE_TERMINATION,1,F_TERMINATION",
            id="common-unknown-version-has-the-type-form",
        ),
    ],
)
def test_an_event_that_cannot_be_used_fails_in_one_row(clinic, sent, row):
    kind, code, where = row.split("|")
    assert clinic.send(subject(sent)) == [f"{kind}|Failed|errorCode.{code}||{BOSTON}{where}"]
    assert clinic.states("events", "event_oid") == []


@pytest.mark.parametrize(
    ("state", "value"),
    [("locked", 1), ("removed", 1), ("archived", 1), ("status", "SKIPPED"), ("status", "STOPPED")],
)
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(labs(), id="visit"),
        pytest.param(subject(common(adverse_event())), id="common"),
        pytest.param(subject(common(termination(), oid="SE_TERMINATION")), id="common-non-repeating"),
    ],
)
def test_an_occurrence_that_is_closed_takes_nothing(clinic, sent, state, value):
    clinic.send(sent)
    clinic.set("events", state, value)
    assert outcomes(clinic.send(sent)) == ["Study Event|Failed|errorCode.eventNotAvailable"]


def test_without_a_repeat_key_a_visit_is_created_every_time(clinic):
    sent = subject(event(form(group(item())), key=None))
    assert clinic.send(sent)[0].endswith(f"{VISIT},1,F_LABS,IG_LABS_MAIN,1,I_LABS_SAMPLE")
    assert clinic.send(sent)[0].endswith(f"{VISIT},2,F_LABS,IG_LABS_MAIN,1,I_LABS_SAMPLE")
    assert [value[1] for value in clinic.values()] == [1, 2]


def test_an_empty_repeat_key_counts_as_none(clinic):
    sent = subject(event(form(group(item())), key=""))
    assert outcomes(clinic.send(sent) + clinic.send(sent)) == ["Item Data|Inserted"] * 2


def test_without_a_repeat_key_a_common_event_is_created_every_time(clinic):
    sent = subject(common(adverse_event(), key=None))
    clinic.send(sent)
    assert outcomes(clinic.send(sent)) == ["Item Data|Inserted"]
    assert clinic.states("events", "ordinal") == [1, 2]


@pytest.mark.parametrize("key", [None, "1", "7", "x"])
def test_a_visit_that_does_not_repeat_ignores_its_key(clinic, key):
    sent = subject(event(form(group(item())), oid="SE_BASELINE", key=key))
    assert clinic.send(sent)[0].endswith(",SE_BASELINE,1,F_LABS,IG_LABS_MAIN,1,I_LABS_SAMPLE")
    assert outcomes(clinic.send(sent)) == ["Item Data|No Change"]


def test_a_visit_is_stored_even_if_its_form_fails(clinic):
    assert outcomes(clinic.send(subject(event(form(oid="F_NONE"))))) == ["Form|Failed|errorCode.formOIDNotFound"]
    assert clinic.states("events", "status") == ["SCHEDULED"]


def test_dates_of_an_existing_visit_are_not_looked_at(clinic):
    clinic.send(labs())
    assert outcomes(clinic.send(subject(event(form(group(item())), start="soon")))) == ["Item Data|No Change"]
    assert clinic.states("events", "start_date") == ["2025-03-01"]


def test_a_day_past_the_end_of_its_month_becomes_the_last(clinic):
    clinic.send(subject(event(form(), start="2024-02-31", EndDate="2024-04-31")))
    assert clinic.states("events", "start_date || ' ' || end_date") == ["2024-02-29 2024-04-30"]


def test_the_documents_take_a_time_with_the_date(docs, source):
    sent = subject(event(form(group(item())), start="2025-03-01 09:30", EndDate="2025-03-01 11:00"))
    assert outcomes(docs.send(sent)) == ["Item Data|Inserted"]
    assert docs.states("events", "start_date") == ["2025-03-01 09:30"]
    assert outcomes(source.send(sent)) == ["Study Event|Failed|errorCode.invalidStartDate"]


def test_a_bad_date_on_a_common_event_fails_the_job(clinic):
    with pytest.raises(JobFailed):
        clinic.send(labs(), subject(common(adverse_event(), start="soon")))
    assert clinic.values() == []


def test_a_common_event_that_does_not_repeat_keeps_its_form_in_one_occurrence(clinic):
    sent = subject(common(termination(), oid="SE_TERMINATION", key="5"))
    assert clinic.send(sent)[0].startswith(f"Item Data|Inserted||*|{BOSTON},SE_TERMINATION,1,")
    assert outcomes(clinic.send(sent)) == ["Item Data|No Change"]


def test_a_common_event_that_does_not_repeat_is_stored_with_its_first_value(clinic):
    clinic.send(subject(common(form(oid="F_TERMINATION", layout="1"), oid="SE_TERMINATION")))
    assert clinic.states("events", "event_oid") == []
    clinic.send(subject(common(form(oid="F_AE", layout="1"))))
    assert clinic.states("events", "event_oid") == ["SE_AE"]  # those that repeat are stored at once


def test_the_source_wants_the_version_of_a_common_form(source, docs):
    sent = subject(
        common(
            form(group(item("I_TERMINATION_COMMENT"), oid="IG_TERMINATION_MAIN"), oid="F_TERMINATION"),
            oid="SE_TERMINATION",
        )
    )
    assert source.send(sent) == [
        f"Form|Failed|errorCode.formLayoutOIDNotFound||{BOSTON},SE_TERMINATION,1,F_TERMINATION"
    ]
    assert outcomes(docs.send(sent)) == ["Item Data|Inserted"]


def test_an_existing_common_event_that_repeats_wants_its_own_form(clinic):
    clinic.send(subject(common(adverse_event())))
    sent = subject(common(form(oid="F_CONMED", layout="1")))
    assert outcomes(clinic.send(sent)) == ["Study Event|Failed|errorCode.repeatKeyAndFormMismatch"]
    clinic.db.execute("UPDATE events SET status = 'SCHEDULED'")
    assert outcomes(clinic.send(sent)) == ["Form|Failed|errorCode.formOIDNotFound"]


def test_the_first_value_of_a_form_starts_data_entry_on_a_completed_event_again(clinic):
    clinic.send(labs(Status="complete"))
    clinic.db.execute("UPDATE events SET status = 'COMPLETED', signed = 1")
    clinic.send(subject(event(form(group(item("I_VITALS_PULSE", "70"), oid="IG_VITALS_MAIN"), oid="F_VITALS"))))
    assert clinic.states("events", "status || signed") == ["DATA_ENTRY_STARTED0"]


# Step 3: forms


@pytest.mark.parametrize(
    ("sent", "row"),
    [
        pytest.param(form(oid=None), "missingFormOid|", id="no-oid"),
        pytest.param(form(oid="F_NONE"), "formOIDNotFound|,F_NONE", id="unknown"),
        pytest.param(form(oid="F_ECG"), "formOIDNotFound|,F_ECG", id="of-another-event"),
        pytest.param(form(layout="9"), "formLayoutOIDNotFound|,F_LABS", id="unknown-version"),
        pytest.param(form(layout=""), "formLayoutOIDNotFound|,F_LABS", id="an-empty-version-counts-as-one"),
        pytest.param(form(oid="F_VITALS", layout="1"), "formLayoutOIDNotAvailable|,F_VITALS", id="version-not-here"),
        pytest.param(form(Status="done"), "formStatusNotValid|,F_LABS", id="no-status"),
        pytest.param(form(Status="locked"), "formStatusNotValid|,F_LABS", id="a-status-that-may-not-be-set"),
        pytest.param(form(Status=""), "formStatusNotValid|,F_LABS", id="an-empty-status-counts-as-one"),
        pytest.param(
            form(Status="complete", WorkflowStatus="x"), "formStatusNotValid|,F_LABS", id="workflow-status-wins"
        ),
    ],
)
def test_a_form_that_cannot_be_written_to_fails_in_one_row(clinic, sent, row):
    code, where = row.split("|")
    assert clinic.send(subject(event(sent))) == [f"Form|Failed|errorCode.{code}||{VISIT},1{where}"]


@pytest.mark.parametrize("state", ["archived", "removed"])
def test_a_form_that_was_taken_away_fails_unless_another_version_is_asked_for(clinic, state):
    sent = event(form(group(item("I_VITALS_PULSE", "70"), oid="IG_VITALS_MAIN"), oid="F_VITALS"), oid="SE_BASELINE")
    clinic.send(subject(sent))
    clinic.set("forms", state, 1)
    assert outcomes(clinic.send(subject(sent))) == ["Form|Failed|errorCode.formNotAvailable"]
    other = sent.replace('FormOID="F_VITALS"', 'FormOID="F_VITALS" OpenClinica:FormLayoutOID="1"')
    assert outcomes(clinic.send(subject(other))) == ["Item Data|No Change"]
    assert clinic.states("forms", "version") == ["2"]


def test_a_common_event_takes_one_form(clinic):
    assert clinic.send(subject(common(adverse_event(), form(oid="F_CONMED"), form(oid=None)))) == [
        f"Item Data|Inserted||*|{BOSTON},SE_AE,1,F_AE,IG_AE_MAIN,1,I_AE_TERM",
        f"Form|Failed|errorCode.formMissingStudyEventConstruct||{BOSTON},SE_AE,1,F_CONMED",
        f"Form|Failed|errorCode.formMissingStudyEventConstruct||{BOSTON},SE_AE,1",
    ]


# Step 8: completion


@pytest.mark.parametrize("text", ["complete", "COMPLETE", "Data Entry Complete"])
def test_a_form_all_of_whose_items_were_taken_is_completed(clinic, text):
    clinic.send(labs(Status=text))
    assert clinic.states("forms", "complete") == [1]
    assert clinic.states("events", "status") == ["DATA_ENTRY_STARTED"]  # the visit has another form


def test_the_last_form_completes_its_event(clinic):
    vitals = form(group(item("I_VITALS_PULSE", "70"), oid="IG_VITALS_MAIN"), oid="F_VITALS", Status="complete")
    clinic.send(subject(event(form(group(item()), Status="complete"), vitals)))
    assert clinic.states("events", "status") == ["COMPLETED"]


def test_a_complete_form_completes_a_common_event(clinic):
    clinic.send(subject(common(adverse_event().replace("F_AE", 'F_AE" OpenClinica:Status="complete', 1))))
    assert clinic.states("events", "status") == ["COMPLETED"]


@pytest.mark.parametrize("spoiler", [item("I_LABS_COLLECTED", None), item("I_LABS_FASTING", "7"), item("I_NONE")])
def test_an_item_that_is_skipped_or_fails_keeps_a_form_open_without_a_word(clinic, spoiler):
    clinic.send(labs(group(item(), spoiler), Status="complete"))
    assert clinic.states("forms", "complete") == [0]


def test_an_item_of_a_group_that_fails_keeps_a_form_open(clinic):
    clinic.send(labs(group(item()), group(item(), oid="IG_NONE"), Status="complete"))
    assert clinic.states("forms", "complete") == [0]


def test_an_item_that_cannot_be_imported_at_all_does_not_keep_a_form_open(source):
    ecg = form(
        group(item("I_ECG_RATE", "70"), item("I_ECG_TRACE", "t.png"), oid="IG_ECG_MAIN"), oid="F_ECG", Status="complete"
    )
    rows = source.send(subject(event(ecg, oid="SE_BASELINE")))
    assert outcomes(rows) == ["Item Data|Inserted", "Item Data|Failed|errorCode.itemTypeNotSupportedInImport"]
    assert source.states("forms", "complete") == [1]


def test_an_empty_form_is_completed_and_leaves_no_row(clinic):
    assert clinic.send(subject(event(form(Status="complete")))) == []
    assert clinic.states("forms", "complete") == [1]


def test_an_empty_form_of_a_common_event_that_is_not_stored_fails_the_job(clinic):
    with pytest.raises(JobFailed):
        clinic.send(subject(common(form(oid="F_TERMINATION", layout="1", Status="complete"), oid="SE_TERMINATION")))


def test_a_complete_form_stays_so_when_initial_data_entry_is_asked_for(clinic):
    clinic.send(labs(Status="complete"))
    clinic.send(labs(group(item(value="A-2")), Status="initial data entry"))
    assert clinic.states("forms", "complete") == [1]


# The whole


def test_a_failing_job_leaves_nothing_behind(clinic):
    with pytest.raises(JobFailed):
        clinic.send(labs(), subject(common(adverse_event(), start="2025-13-01")))
    assert clinic.values() == []
    assert clinic.states("events", "id") == []


def test_ten_thousand_items_are_a_matter_of_a_second(source):
    repeats = [results(item("I_LABS_TEST", "K"), item("I_LABS_VALUE", "4.1"), key=str(n)) for n in range(1, 5001)]
    begin = time.perf_counter()
    assert len(source.send(labs(*repeats))) == 10_000
    assert time.perf_counter() - begin < 30  # a fifth of a second on an idle machine

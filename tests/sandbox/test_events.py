"""Creating and changing events, one at once and many by a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_openclinica.sandbox.data import ClinicalStore
from tests.sandbox.bulk import BOSTON, code, log_of, upload
from tests.sandbox.calls import Caller, is_html, odm

if TYPE_CHECKING:
    import requests

EVENTS = f"{BOSTON}/events"
BULK = f"{BOSTON}/events/bulk"
HEADER = "ParticipantID,StudyEventOID,StartDate,StudyEventRepeatKey,EndDate,StudyEventStatus"
STATUSES = ["SCHEDULED", "DATA_ENTRY_STARTED", "COMPLETED", "SKIPPED", "STOPPED"]


def create(caller: Caller, **fields: str | None) -> requests.Response:
    """Schedule the follow-up visit of BOS-001 for 5 January, unless told otherwise; what is ``None`` is left out."""
    return send(caller, "POST", {"startDate": "2026-01-05", **fields})


def update(caller: Caller, **fields: str | None) -> requests.Response:
    """Change the first follow-up visit of BOS-001, unless told otherwise; what is ``None`` is left out."""
    return send(caller, "PUT", {"studyEventRepeatKey": "1", **fields})


def send(caller: Caller, method: str, fields: dict[str, str | None]) -> requests.Response:
    fields = {"subjectKey": "BOS-001", "studyEventOID": "SE_FOLLOWUP", **fields}
    return caller.call(method, EVENTS, json={name: value for name, value in fields.items() if value is not None})


def store(caller: Caller, event_oid: str = "SE_FOLLOWUP", **values: object) -> None:
    """Store an occurrence for BOS-001 as no call could."""
    with caller.sandbox.service.state.writing() as db:
        clinic = ClinicalStore(db)
        (one,) = clinic.participants_by_id("BOS-001", {"S_BOSTON"})
        ordinal = max(clinic.occurrences(one.id, event_oid), default=0) + 1
        row = {"participant": one.id, "event_oid": event_oid, "ordinal": ordinal, "status": "SCHEDULED"}
        row |= {"start_date": "2026-01-05", "end_date": "", "removed": 0, "archived": 0, "locked": 0, "signed": 0}
        row |= values
        names = ", ".join(row)
        db.execute(f"INSERT INTO events ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))  # noqa: S608


def occurrences(caller: Caller) -> list[tuple[object, ...]]:
    """Return what is stored: event, repeat key, status, start, end."""
    names = ("event", "repeat", "status", "start", "end")
    return [tuple(one[name] for name in names) for one in caller.sandbox.events()]


def spelled(caller: Caller, status: str) -> str:
    """Write a status as the answers of a dialect do."""
    return status.lower().replace("_", " ") if caller.is_docs else status


# Creating one


def test_a_new_occurrence_comes_back_scheduled_with_its_dates_as_sent(manager):
    answer = create(manager, studyEventOID="se_followup", endDate="2026-01-06")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json;charset=UTF-8")
    assert answer.json() == {
        "subjectKey": "BOS-001",
        "studyEventOID": "SE_FOLLOWUP",
        "studyEventRepeatKey": "1",
        "startDate": "2026-01-05",
        "endDate": "2026-01-06",
        "eventStatus": "scheduled" if manager.is_docs else "SCHEDULED",
    }
    assert occurrences(manager) == [("SE_FOLLOWUP", 1, "SCHEDULED", "2026-01-05", "2026-01-06")]


def test_a_repeating_visit_takes_a_new_occurrence_every_time(manager):
    assert [create(manager).json()["studyEventRepeatKey"] for _ in range(3)] == ["1", "2", "3"]
    store(manager, ordinal=7, removed=1)
    assert create(manager).json()["studyEventRepeatKey"] == "8"


CREATE_CHECKS = [
    # fields; the source's code, the documents'
    pytest.param({"subjectKey": None}, "missingParticipantID", "missingParticipantID", id="no-id"),
    pytest.param({"subjectKey": ""}, "participantNotFound", "participantNotFound", id="empty-id"),
    pytest.param({"subjectKey": "BOS-999"}, "participantNotFound", "participantNotFound", id="unknown-id"),
    pytest.param({"subjectKey": "bos-001"}, "participantNotFound", "participantNotFound", id="id-in-another-case"),
    pytest.param({"subjectKey": "LEI-001"}, "participantNotFound", "participantNotFound", id="of-another-site"),
    pytest.param({"subjectKey": "BOS-007"}, "participantNotFound", "participantNotFound", id="removed"),
    pytest.param({"studyEventOID": None}, "missingStudyEventOID", "missingStudyEventOID", id="no-event"),
    pytest.param({"studyEventOID": "SE_NOPE"}, "invalidStudyEventOID", "invalidStudyEventOID", id="unknown-event"),
    pytest.param({"studyEventOID": ""}, "invalidStudyEventOID", "invalidStudyEventOID", id="empty-event"),
    pytest.param(
        {"studyEventOID": "SE_AE", "startDate": None},
        "commonEventsCannotBeScheduled",
        "commonEventCannotBeScheduled",
        id="common-event",
    ),
    pytest.param({"startDate": None, "endDate": "x"}, "missingStartDate", "missingStartDate", id="no-start"),
    pytest.param({"startDate": ""}, "invalidStartDate", "invalidStartDate", id="empty-start"),
    pytest.param({"endDate": ""}, "invalidEndDate", "invalidEndDate", id="empty-end"),
    pytest.param({"startDate": "x", "endDate": "x"}, "invalidStartDate", "invalidStartDate", id="start-first"),
    pytest.param({"endDate": "2026-01-04"}, "endDateBeforeStartDate", "endDateBeforeStartDate", id="order"),
    pytest.param({"endDate": "2026-01-05"}, "", "", id="same-day"),
    pytest.param({"startDate": "2026-01-05 09:30"}, "invalidStartDate", "", id="time"),
    pytest.param({"startDate": "2026-1-5"}, "invalidStartDate", "invalidStartDate", id="not-padded"),
    pytest.param({"startDate": "2026/01/05"}, "invalidStartDate", "invalidStartDate", id="slashes"),
    pytest.param({"startDate": "0000-01-05"}, "invalidStartDate", "invalidStartDate", id="year-0"),
    pytest.param({"startDate": "2026-02-31"}, "", "", id="31-february"),
    pytest.param({"startDate": "+12026-01-05"}, "", "", id="long-year"),
]


@pytest.mark.parametrize(("fields", "source", "docs"), CREATE_CHECKS)
def test_a_creation_is_checked_in_the_order_of_the_server(manager, fields, source, docs):
    answer = create(manager, **fields)
    assert code(answer) == (docs if manager.is_docs else source)
    if not answer.ok:
        assert answer.json()["params"] == {"studyOid": "S_JUNO", "siteOid": "S_BOSTON"}
        assert occurrences(manager) == []


IN_BULK = {"commonEventCannotBeScheduled": "CommonEventCannotBeScheduled"}


@pytest.mark.parametrize(
    ("fields", "source", "docs"), [check for check in CREATE_CHECKS if "" not in check.values[0].values()]
)
def test_a_row_without_a_repeat_key_is_checked_as_a_creation(manager, fields, source, docs):
    fields = {"subjectKey": "BOS-001", "studyEventOID": "SE_FOLLOWUP", "startDate": "2026-01-05"} | fields
    names = ("subjectKey", "studyEventOID", "startDate", "studyEventRepeatKey", "endDate")
    cells = [fields.get(name) or "" for name in names]
    first, second = log_of(
        manager, upload(manager, BULK, f"{HEADER}\n{','.join(cells)},nonsense\nBOS-002,SE_BASELINE,2026-01-05,,,\n")
    )
    wanted = IN_BULK.get(docs, docs) if manager.is_docs else source
    outcome = f",Failed,errorCode.{wanted}" if wanted else "1,Created,"
    assert first == f"1,{cells[0]},{cells[1]},{outcome}"
    assert second == "2,BOS-002,SE_BASELINE,1,Created,"


def test_a_visit_that_does_not_repeat_is_created_once_even_if_it_was_removed(manager):
    store(manager, "SE_BASELINE", removed=1)
    assert code(create(manager, studyEventOID="SE_BASELINE", startDate="x")) == "eventAlreadyExists"


def test_an_id_that_a_site_has_twice_is_refused(manager):
    with manager.sandbox.service.state.writing() as db:
        db.execute("UPDATE participants SET participant_id = 'BOS-001' WHERE participant_id = 'BOS-002'")
    assert code(create(manager)) == code(update(manager)) == "multipleParticipantsFound"


def test_impossible_days_become_the_last_of_their_month(manager):
    assert create(manager, startDate="2026-02-31", endDate="2026-04-31").json()["startDate"] == "2026-02-31"
    assert occurrences(manager) == [("SE_FOLLOWUP", 1, "SCHEDULED", "2026-02-28", "2026-04-30")]


# Changing one


UPDATE_CHECKS = [
    # fields; the source's code, the documents'
    pytest.param({"subjectKey": None}, "missingParticipantID", "missingParticipantID", id="no-id"),
    pytest.param({"subjectKey": "BOS-007"}, "participantNotFound", "participantNotFound", id="removed"),
    pytest.param({"studyEventOID": None}, "missingStudyEventOID", "missingStudyEventOID", id="no-event"),
    pytest.param({"studyEventOID": "SE_NOPE"}, "invalidStudyEventOID", "invalidStudyEventOID", id="unknown-event"),
    pytest.param(
        {"studyEventRepeatKey": None, "startDate": "x"},
        "missingStudyEventRepeatKey",
        "missingStudyEventRepeatKey",
        id="no-key",
    ),
    pytest.param(
        {"studyEventRepeatKey": "1.0", "startDate": "x"},
        "invalidStudyEventRepeatKey",
        "invalidStudyEventRepeatKey",
        id="key-no-integer",
    ),
    pytest.param(
        {"studyEventRepeatKey": "2", "startDate": "x"},
        "studyEventRepeatNotFound",
        "studyEventRepeatNotFound",
        id="key-unknown",
    ),
    pytest.param(
        {"studyEventOID": "SE_AE", "studyEventRepeatKey": None},
        "missingStudyEventRepeatKey",
        "missingStudyEventRepeatKey",
        id="common-no-key",
    ),
    pytest.param(
        {"studyEventOID": "SE_TERMINATION", "studyEventRepeatKey": None},
        "missingStudyEventRepeatKey",
        "missingStudyEventRepeatKey",
        id="common-that-does-not-repeat-no-key",
    ),
    pytest.param(
        {"studyEventOID": "SE_BASELINE"}, "studyEventRepeatNotFound", "studyEventRepeatNotFound", id="none-yet"
    ),
    pytest.param({"startDate": "x", "endDate": "x"}, "invalidStartDate", "invalidStartDate", id="start"),
    pytest.param({"startDate": ""}, "invalidStartDate", "invalidStartDate", id="empty-start"),
    pytest.param({"endDate": "x", "eventStatus": "x"}, "invalidEndDate", "invalidEndDate", id="end"),
    pytest.param({"endDate": ""}, "invalidEndDate", "invalidEndDate", id="empty-end"),
    pytest.param({"endDate": "2026-01-04"}, "endDateBeforeStartDate", "endDateBeforeStartDate", id="before-stored"),
    pytest.param({"startDate": "2026-01-08"}, "endDateBeforeStartDate", "endDateBeforeStartDate", id="after-stored"),
    pytest.param({"eventStatus": ""}, "invalidEventStatus", "invalidStatus", id="empty-status"),
    pytest.param({"eventStatus": "DATA_ENTRY_STARTED"}, "invalidEventStatus", "invalidStatus", id="as-answered"),
    pytest.param({"eventStatus": "locked"}, "invalidEventStatus", "invalidStatus", id="locked"),
    pytest.param({"eventStatus": "signed"}, "invalidEventStatus", "invalidStatus", id="signed"),
    pytest.param({"eventStatus": "not scheduled"}, "invalidEventStatus", "invalidStatus", id="not-scheduled"),
    pytest.param({"eventStatus": "removed"}, "invalidEventStatus", "invalidStatus", id="removed-status"),
    pytest.param(
        {"eventStatus": "stopped"},
        "invalidEventTransitionStatus",
        "eventStatusTransitionNotAllowed",
        id="transition",
    ),
    pytest.param({"eventStatus": "Data Entry STARTED"}, "", "", id="any-case"),
    pytest.param({}, "", "", id="nothing"),
]


@pytest.mark.parametrize(("fields", "source", "docs"), UPDATE_CHECKS)
def test_an_update_is_checked_in_the_order_of_the_server_and_changes_all_or_nothing(manager, fields, source, docs):
    store(manager, end_date="2026-01-07")
    before = occurrences(manager)
    answer = update(manager, **fields)
    assert code(answer) == (docs if manager.is_docs else source)
    if not answer.ok:
        assert answer.json()["params"] == {"studyOid": "S_JUNO", "siteOid": "S_BOSTON"}
        assert occurrences(manager) == before


UPDATES_IN_BULK = [
    check
    for check in UPDATE_CHECKS
    if "" not in check.values[0].values()
    and check.values[0].get("studyEventRepeatKey", "1") is not None
    and "locked" not in check.values[0].values()
]
STATUS_CODES = {"invalidStatus": "invalidEventStatus"}
STATUS_CODES |= {"eventStatusTransitionNotAllowed": "invalidEventTransitionStatus"}


@pytest.mark.parametrize(("fields", "source", "docs"), UPDATES_IN_BULK)
def test_a_row_with_a_repeat_key_is_checked_as_an_update(manager, fields, source, docs):
    store(manager, end_date="2026-01-07")
    fields = {"subjectKey": "BOS-001", "studyEventOID": "SE_FOLLOWUP", "studyEventRepeatKey": "1"} | fields
    names = ("subjectKey", "studyEventOID", "startDate", "studyEventRepeatKey", "endDate", "eventStatus")
    cells = [fields.get(name) or "" for name in names]
    (row,) = log_of(manager, upload(manager, BULK, f"{HEADER}\n{','.join(cells)}\n"))
    wanted = STATUS_CODES.get(docs, docs) if manager.is_docs else source
    assert row == f"1,{cells[0]},{cells[1]},{cells[3]},{f'Failed,errorCode.{wanted}' if wanted else 'Updated,'}"


def test_what_is_left_out_of_an_update_stays_and_is_told_of(manager):
    store(manager, end_date="2026-01-07")
    assert update(manager, startDate="2026-01-06").json() == {
        "subjectKey": "BOS-001",
        "studyEventOID": "SE_FOLLOWUP",
        "studyEventRepeatKey": "1",
        "startDate": "2026-01-06",
        "endDate": "2026-01-07",
        "eventStatus": spelled(manager, "SCHEDULED"),
    }
    assert occurrences(manager) == [("SE_FOLLOWUP", 1, "SCHEDULED", "2026-01-06", "2026-01-07")]


def test_a_visit_that_does_not_repeat_is_found_by_any_key(manager):
    store(manager, "SE_BASELINE")
    assert update(manager, studyEventOID="SE_BASELINE", studyEventRepeatKey="x").json()["studyEventRepeatKey"] == "1"
    assert update(manager, studyEventOID="SE_BASELINE", studyEventRepeatKey=None).ok


@pytest.mark.parametrize("event", ["SE_AE", "SE_TERMINATION"])
def test_dates_of_common_events_are_neither_read_nor_told_of(manager, event):
    store(manager, event, start_date="", status="SCHEDULED")
    answer = update(manager, studyEventOID=event, startDate="x", endDate="y", eventStatus="skipped").json()
    assert (answer["startDate"], answer["endDate"]) == (None, None)
    assert occurrences(manager) == [(event, 1, "SKIPPED", "", "")]


def test_a_visit_without_any_start_date_needs_one(manager):
    store(manager, start_date="")
    assert code(update(manager, eventStatus="skipped")) == "missingStartDate"


def test_any_update_resets_the_times_of_a_visit_in_the_source_and_none_in_the_documented_servers(manager):
    store(manager, start_date="2026-01-05 09:30", end_date="2026-01-05 10:15")
    assert update(manager, eventStatus="skipped").ok
    start, end = ("2026-01-05 09:30", "2026-01-05 10:15") if manager.is_docs else ("2026-01-05",) * 2
    assert occurrences(manager) == [("SE_FOLLOWUP", 1, "SKIPPED", start, end)]


ALLOWED = {
    "SCHEDULED": ["SCHEDULED", "DATA_ENTRY_STARTED", "SKIPPED"],
    "DATA_ENTRY_STARTED": ["DATA_ENTRY_STARTED", "COMPLETED", "STOPPED"],
    "COMPLETED": ["COMPLETED"],
    "SKIPPED": ["DATA_ENTRY_STARTED", "SKIPPED"],
    "STOPPED": ["STOPPED"],
}


@pytest.mark.parametrize("wanted", STATUSES)
@pytest.mark.parametrize("stored", ["NOT_SCHEDULED", *STATUSES])
def test_a_status_becomes_only_what_the_table_allows(manager, stored, wanted):
    store(manager, status=stored)
    answer = update(manager, eventStatus=wanted.lower().replace("_", " "))
    if wanted in ALLOWED.get(stored, []):
        assert answer.json()["eventStatus"] == spelled(manager, wanted)
        assert occurrences(manager)[0][2] == wanted
    else:
        refused = "eventStatusTransitionNotAllowed" if manager.is_docs else "invalidEventTransitionStatus"
        assert code(answer) == refused
        assert occurrences(manager)[0][2] == stored


@pytest.mark.parametrize(("wanted", "signed"), [("data entry started", False), ("scheduled", True), (None, True)])
def test_a_change_of_status_takes_the_signature_away(manager, wanted, signed):
    store(manager, signed=1)
    assert update(manager, eventStatus=wanted).ok
    assert [one["signed"] for one in manager.sandbox.events()] == [signed]


@pytest.mark.parametrize("flag", ["locked", "removed", "archived"])
def test_nothing_keeps_what_is_locked_removed_or_archived_from_being_changed(manager, flag):
    store(manager, **{flag: 1})
    assert update(manager, eventStatus="skipped").ok


def test_only_documented_servers_look_for_open_forms_before_an_event_is_completed(manager):
    manager.finished(manager.submitted(odm()))  # begins a form of the baseline visit
    with manager.sandbox.service.state.writing() as db:
        db.execute("UPDATE forms SET complete = 0")
        db.execute("UPDATE events SET status = 'DATA_ENTRY_STARTED'")
    answer = update(manager, studyEventOID="SE_BASELINE", eventStatus="completed")
    assert code(answer) == ("eventStatusTransitionNotAvailable" if manager.is_docs else "")
    row = "BOS-001,SE_BASELINE,,1,,completed"
    outcome = "Failed,errorCode.invalidEventTransitionStatus" if manager.is_docs else "Updated,"
    assert log_of(manager, upload(manager, BULK, f"{HEADER}\n{row}\n")) == [f"1,BOS-001,SE_BASELINE,1,{outcome}"]
    with manager.sandbox.service.state.writing() as db:
        db.execute("UPDATE forms SET complete = 1")
    assert update(manager, studyEventOID="SE_BASELINE", eventStatus="completed").ok


def test_only_documented_servers_lock_events_in_bulk(manager):
    store(manager, signed=1)
    (row,) = log_of(manager, upload(manager, BULK, f"{HEADER}\nBOS-001,SE_FOLLOWUP,,1,,Locked\n"))
    outcome = "Updated," if manager.is_docs else "Failed,errorCode.invalidEventStatus"
    assert row == f"1,BOS-001,SE_FOLLOWUP,1,{outcome}"
    assert [one["locked"] for one in manager.sandbox.events()] == [manager.is_docs]


def test_other_methods_get_a_page(manager):
    answer = manager.call("DELETE", EVENTS)
    assert (answer.status_code, is_html(answer)) == (405, True)

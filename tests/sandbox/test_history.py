"""Audit logs and notes of exports, and who is named in them (docs/protocol.md, clinical data)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_openclinica.sandbox.data import ClinicalStore
from airflow_provider_openclinica.sandbox.server import Sandbox
from tests.sandbox import imports
from tests.sandbox.calls import Caller
from tests.sandbox.retrievals import OC, document, only

if TYPE_CHECKING:
    from lxml import etree

PERSON = "S_JUNO/BOS-001/*/*"


def send(caller: Caller, *groups: str, **form: str) -> None:
    caller.finished(caller.submitted(imports.odm(imports.labs(*groups, **form)).encode()))


def audits(root: etree._Element, owner: str) -> list[tuple[str | None, ...]]:
    """Give what the audit log directly below the only element of that name tells."""
    logs = only(root, owner).find(f"{OC}AuditLogs")
    assert logs is not None
    names = ("AuditType", "OldValue", "NewValue", "UserName")
    return [tuple(entry.get(name) for name in names) for entry in logs]


def test_a_value_tells_what_it_was(manager):
    send(manager, imports.group(imports.item("I_LABS_SAMPLE", "A-1")))
    send(Caller(manager.sandbox, "second_manager"), imports.group(imports.item("I_LABS_SAMPLE", "A-2")))
    assert audits(document(manager, PERSON, includeAudits="y"), "ItemData") == [
        ("Item data value updated", None, "A-1", "data_manager"),
        ("Item data value updated", "A-1", "A-2", "second_manager"),
    ]


def test_what_was_empty_and_is_empty_is_not_told(manager):
    send(manager, imports.group(imports.item("I_LABS_SAMPLE", "")))
    item = only(document(manager, PERSON, includeAudits="y"), "ItemData")
    assert (item.get("Value"), len(item)) == ("", 0)


def test_events_forms_and_participants_have_logs_of_their_own(manager):
    send(manager)
    manager.sandbox.set_status("event", participant="BOS-001", event="SE_FOLLOWUP", status="completed")
    manager.sandbox.set_status("event", participant="BOS-001", event="SE_FOLLOWUP", signed=True)
    manager.sandbox.set_status(
        "form", participant="BOS-001", event="SE_FOLLOWUP", form="F_LABS", status="data entry complete"
    )
    manager.sandbox.set_status("participant", participant="BOS-001", status="signed")
    root = document(manager, PERSON, includeAudits="y")
    assert audits(root, "StudyEventData") == [
        ("Study event created", None, "scheduled", "data_manager"),
        ("Study event status changed", "scheduled", "data entry started", "data_manager"),
        ("Study event status changed", "data entry started", "completed", "root"),
        ("Study event signed", "No", "Yes", "root"),
    ]
    assert audits(root, "FormData") == [
        ("Form created", None, "1", "data_manager"),
        ("Form completed", "No", "Yes", "root"),
    ]
    assert audits(root, "SubjectData") == [
        ("Participant created", None, "BOS-001", "root"),
        ("Participant status changed", "available", "signed", "root"),
    ]


def test_logs_name_what_they_are_about_and_stand_in_it(manager):
    send(manager)
    root = document(manager, PERSON, includeAudits="y")
    owners = {log.get("EntityID"): log.getparent().tag.rpartition("}")[2] for log in root.iter(f"{OC}AuditLogs")}
    assert owners == {
        "SS_BOS001": "SubjectData",
        "SE_FOLLOWUP": "StudyEventData",
        "F_LABS": "FormData",
        "I_LABS_SAMPLE": "ItemData",
    }
    ids = [entry.get("ID") for entry in root.iter(f"{OC}AuditLog")]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("flags", [{}, {"includeAudits": "n"}])
def test_nobody_gets_logs_unasked(manager, flags):
    send(manager)
    assert list(document(manager, PERSON, **flags).iter(f"{OC}AuditLogs")) == []


def test_contact_data_are_masked(manager):
    path = "clinicaldata/studies/S_JUNO/sites/S_BOSTON/participants"
    for name in ("Ann", "Eve"):
        assert manager.call("POST", path, json={"subjectKey": "BOS-001", "firstName": name}).status_code == 200
    root = document(manager, PERSON, includeAudits="y")
    assert audits(root, "SubjectData")[1:] == [
        ("Participant contact data changed", None, "Masked", "data_manager"),
        ("Participant contact data changed", "Masked", "Masked", "data_manager"),
    ]


def test_a_scheduled_event_names_who_scheduled_it(manager):
    visit = {"subjectKey": "BOS-001", "studyEventOID": "SE_BASELINE", "startDate": "2026-01-05"}
    assert manager.call("POST", "clinicaldata/studies/S_JUNO/sites/S_BOSTON/events", json=visit).status_code == 200
    root = document(manager, PERSON, includeAudits="y")
    assert audits(root, "StudyEventData") == [("Study event created", None, "scheduled", "data_manager")]


def test_a_form_names_who_made_it_and_who_changed_it_last(manager):
    send(manager, imports.group(imports.item("I_LABS_SAMPLE", "A-1")))
    send(Caller(manager.sandbox, "second_manager"), imports.group(imports.item("I_LABS_SAMPLE", "A-2")))
    form = only(document(manager, PERSON), "FormData")
    assert [form.get(f"{OC}{name}") for name in ("CreatedBy", "UpdatedBy")] == ["data_manager", "second_manager"]


def test_a_form_that_nobody_changed_has_no_date_of_change(manager):
    manager.sandbox.set_status("form", participant="BOS-001", event="SE_BASELINE", form="F_VITALS")
    form = only(document(manager, PERSON), "FormData")
    assert [form.get(f"{OC}{name}") for name in ("CreatedBy", "UpdatedBy", "UpdatedDate")] == ["root", "root", None]


def test_a_query_is_a_thread_with_its_entries(manager):
    entries = [
        imports.entry("Please check", id="CDN_A1", user="monitor", assigned="data_manager"),
        imports.entry("Checked", id="CDN_A2", user="data_manager", status="Closed"),
    ]
    send(manager, imports.group(imports.item("I_LABS_SAMPLE", "A-1", imports.note(*entries))))
    root = document(manager, PERSON, includeDNs="y")
    notes = only(root, "DiscrepancyNotes")
    assert (notes.get("EntityID"), notes.getparent().get("ItemOID")) == ("I_LABS_SAMPLE", "I_LABS_SAMPLE")
    thread = dict(only(root, "DiscrepancyNote").attrib)
    assert thread.pop("DateUpdated")
    assert thread.pop("QueryID")
    assert thread == {
        "ID": "DN_A",
        "Status": "Closed",
        "NoteType": "Query",
        "EntityName": "sample",
        "NumberOfChildNotes": "2",
    }
    told = [(entry.get("ID"), entry.get("Status"), entry.get("UserName"), entry.get("Name")) for entry in notes[0]]
    assert told == [("CDN_A1", "New", "monitor", "Monitor"), ("CDN_A2", "Closed", "data_manager", "Data Manager")]
    assert [node.text for node in root.iter(f"{OC}DetailedNote")] == ["Please check", "Checked"]
    assigned = only(root, "UserRef")
    assert dict(assigned.attrib) == {
        "UserOID": "USR_2 ",
        f"{OC}UserName": "data_manager",
        f"{OC}FullName": "Data Manager",
    }


def test_a_reason_for_a_change_is_a_note_with_one_entry(manager):
    manager.sandbox.set_status(
        "form", participant="BOS-001", event="SE_FOLLOWUP", form="F_LABS", status="data entry complete"
    )
    send(manager, ReasonForChangeForCompleteForms="Typing error")
    note = only(document(manager, PERSON, includeDNs="y"), "DiscrepancyNote")
    assert (note.get("NoteType"), note.get("NumberOfChildNotes"), note.get("QueryID")) == (
        "Reason for Change",
        "1",
        None,
    )
    assert [node.text for node in note.iter(f"{OC}DetailedNote")] == ["Typing error"]


def test_a_reset_forgets_what_happened(manager):
    send(manager)
    manager.sandbox.reset()
    with manager.sandbox.service.state.reading() as db:
        assert db.execute("SELECT count(*) FROM form_stamps").fetchone() == (0,)
        assert db.execute("""SELECT DISTINCT entity, "user" FROM history""").fetchall() == [("participant", "root")]


def test_a_state_that_knows_no_history_gets_one_from_now_on(tmp_path):
    options = {"dialect": "source", "state": tmp_path / "kept.sqlite", "job_seconds": 0.0, "token_rate": 0}
    with Sandbox(**options) as older:
        send(Caller(older), imports.group(imports.item("I_LABS_SAMPLE", "A-1")))
        with older.service.state.writing() as db:
            for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                db.execute(f"DROP TRIGGER {trigger}")
            db.execute("DROP TABLE history")
            db.execute("DROP TABLE form_stamps")
    with Sandbox(**options) as newer:
        manager = Caller(newer)
        send(manager, imports.group(imports.item("I_LABS_SAMPLE", "A-2")))
        root = document(manager, PERSON, includeAudits="y")
    assert only(root, "FormData").get(f"{OC}CreatedDate") is None
    assert audits(root, "ItemData") == [("Item data value updated", "A-1", "A-2", "data_manager")]


LONG_AGO = "2026-01-05T08:00:00.000+00:00"


@pytest.mark.parametrize(
    ("statement", "moves"),
    [
        pytest.param("UPDATE items SET value = 'B-2'", True, id="a-value"),
        pytest.param("UPDATE forms SET complete = 1", True, id="a-form-completed"),
        pytest.param("UPDATE forms SET removed = 1", True, id="a-form-removed"),
        pytest.param("UPDATE forms SET sdv_status = 'VERIFIED'", False, id="a-form-verified"),
        pytest.param("UPDATE events SET status = 'COMPLETED'", True, id="an-event"),
        pytest.param("UPDATE participants SET status = 'REMOVED' WHERE participant_id = 'BOS-001'", True, id="removed"),
        pytest.param(
            """INSERT INTO notes (note_id, form, repeat, item_oid, type, status, text, author, assigned, created_at)
               SELECT 'DN_1', id, 1, 'I_LABS_SAMPLE', 'Query', 'New', '', '', '', '' FROM forms""",
            False,
            id="a-query",
        ),
    ],
)
def test_what_moves_the_date_of_a_participant_and_nobody_elses(manager, statement, moves):
    send(manager, imports.group(imports.item("I_LABS_SAMPLE", "A-1")))
    with manager.sandbox.service.state.writing() as db:
        db.execute("UPDATE participants SET updated_at = ?", (LONG_AGO,))

    with manager.sandbox.service.state.writing() as db:
        ClinicalStore(db)
        db.execute(statement)

    with manager.sandbox.service.state.reading() as db:
        moved = [row[0] for row in db.execute("SELECT oid FROM participants WHERE updated_at > ?", (LONG_AGO,))]
    assert moved == (["SS_BOS001"] if moves else [])

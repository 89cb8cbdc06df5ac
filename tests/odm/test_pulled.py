"""What a server was given, pulled from it and read: the sandbox writes exports by rules of its own."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica import odm
from airflow_provider_openclinica.client import JobState, OpenClinicaClient, ServerSettings, TokenManager, upload_from
from airflow_provider_openclinica.odm.reader import AuditEntry, Form, Item, Participant, Query
from airflow_provider_openclinica.odm.repair import Repairs
from tests.documents import FIRST, document, items

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_openclinica.sandbox.server import Sandbox

COMMENT = 'é 日 😀 & <"> µmol/l'
NOTE = "é 😀 & <why>"
THREAD = (
    '<OpenClinica:DiscrepancyNotes><OpenClinica:DiscrepancyNote ID="DN_q1" NoteType="Query">'
    '<OpenClinica:ChildNote ID="CDN_q1" Status="New" UserName="data_manager"><OpenClinica:DetailedNote>'
    "é 😀 &amp; &lt;why&gt;</OpenClinica:DetailedNote></OpenClinica:ChildNote></OpenClinica:DiscrepancyNote>"
    "</OpenClinica:DiscrepancyNotes>"
)


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[OpenClinicaClient]:
    settings = ServerSettings.from_parts(
        host=sandbox.study_url, login="data_manager", password="sandbox", auth_url=sandbox.auth_url
    )
    client = OpenClinicaClient(settings, TokenManager(settings))
    yield client
    client.close()


def put(client: OpenClinicaClient, *, note: str = "") -> None:
    """Import two values, the second with a note, and wait until they are in."""
    values = items(I_LABS_COLLECTED="2026-01-05", I_LABS_COMMENT=COMMENT).removesuffix("/>") + f">{note}</ItemData>"
    data = document(
        f'<ClinicalData StudyOID="S_BOSTON"><SubjectData OpenClinica:StudySubjectID="{FIRST}">'
        '<StudyEventData StudyEventOID="SE_BASELINE" StudyEventRepeatKey="1" OpenClinica:StartDate="2026-01-05">'
        '<FormData FormOID="F_LABS" OpenClinica:FormLayoutOID="1">'
        f'<ItemGroupData ItemGroupOID="IG_LABS_MAIN" ItemGroupRepeatKey="1">{values}</ItemGroupData>'
        "</FormData></StudyEventData></SubjectData></ClinicalData>"
    ).encode()
    job = client.clinicaldata.import_odm(upload_from(lambda: io.BytesIO(data), name="labs.xml"))
    while client.jobs.state(job) is not JobState.FINISHED:
        time.sleep(0.05)


def pulled(client: OpenClinicaClient, repairs: Repairs, **flags: Any) -> list[Any]:
    with client.clinicaldata.retrieve("S_JUNO", **flags) as answer:
        return list(odm.read(answer.chunks(), charset=answer.charset, repairs=repairs))


@pytest.mark.parametrize("format", ["xml", "json"])
def test_every_stored_value_comes_back_with_its_keys(sandbox: Sandbox, client: OpenClinicaClient, format: str) -> None:  # noqa: A002
    put(client)
    records = pulled(client, Repairs(), format=format)
    found = [
        {
            "participant": item.participant_id,
            "site": item.study_oid,
            "event": item.study_event_oid,
            "event_repeat": int(item.study_event_repeat_key),
            "form": item.form_oid,
            "version": item.form_layout_oid,
            "group": item.item_group_oid,
            "group_repeat": int(item.item_group_repeat_key),
            "item": item.item_oid,
            "value": "2026-01-05" if item.value == "05-Jan-2026" else item.value,  # what JSON makes of a value
        }
        for item in records
        if isinstance(item, Item)
    ]
    assert found == sandbox.data()
    assert [item.value for item in records if isinstance(item, Item)][1] == COMMENT
    participants = [record for record in records if isinstance(record, Participant)]
    assert sorted(record.participant_id for record in participants) == sorted(
        record["participant"] for record in sandbox.participants()
    )
    assert {record.participant_id for record in participants if record.removed} == {"BOS-007"}


def test_queries_and_history_come_back_mended_and_counted(client: OpenClinicaClient) -> None:
    put(client, note=THREAD)
    repairs = Repairs()
    records = pulled(client, repairs, include_queries=True, include_audits=True)
    (query,) = (record for record in records if isinstance(record, Query))
    assert (query.item_oid, query.detailed_note, query.note_user_name) == ("I_LABS_COMMENT", NOTE, "data_manager")
    changes = [record.new_value for record in records if isinstance(record, AuditEntry) and record.level == "item"]
    assert changes == ["2026-01-05", COMMENT]
    (form,) = (record for record in records if isinstance(record, Form))
    assert (form.form_oid, form.removed, form.archived) == ("F_LABS", False, False)
    assert repairs.encoding == "utf-8"
    assert repairs.counts() == {"surrogate_pairs": 1}


def test_a_control_character_in_a_note_does_not_cost_the_document(sandbox: Sandbox, client: OpenClinicaClient) -> None:
    put(client, note=THREAD)
    with sandbox.service.state.writing() as db:
        db.execute("UPDATE notes SET text = ?", ("pasted\x0bfrom Word",))
    repairs = Repairs()
    (query,) = (record for record in pulled(client, repairs, include_queries=True) if isinstance(record, Query))
    assert query.detailed_note == "pasted\ufffdfrom Word"
    assert repairs.counts() == {"illegal_characters": 1}

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings

from airflow_provider_openclinica.odm.reader import Event, Item, Query
from airflow_provider_openclinica.odm.repair import Repairs
from tests.odm.exports import EXPORTS, as_json, clinical, items_in
from tests.odm.records import items, only


@settings(max_examples=50)
@given(EXPORTS)
def test_every_value_comes_back_from_json_with_its_keys(clinical_data: list[Any]) -> None:
    assert items(as_json(*clinical_data)) == items_in(clinical_data)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        pytest.param(None, "null", id="the-word-null"),
        pytest.param({"a": [1, "b"]}, '{"a": [1, "b"]}', id="what-looked-like-json"),
        pytest.param("01-Jan-2020", "01-Jan-2020", id="a-date-in-a-value-is-left"),
        pytest.param("a\x01", "a\ufffd", id="what-xml-cannot-hold"),
    ],
)
def test_a_value_in_json_is_read_as_far_as_it_can_be_known(value: Any, read: str) -> None:
    group = ("ItemGroupData", {"ItemGroupOID": "IG"}, [("ItemData", {"ItemOID": "I", "Value": value}, [])])
    event = ("StudyEventData", {"StudyEventOID": "SE"}, [("FormData", {"FormOID": "F"}, [group])])
    document = as_json(clinical(("SubjectData", {"SubjectKey": "SS"}, [event])))
    assert only(io.BytesIO(document), Item).value == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("05-Jan-2026", "2026-01-05"),
        ("05-Dec-2026 08:30:00", "2026-12-05T08:30:00"),
        ("05-Mai-2026", "05-Mai-2026"),
        ("2026-01-05", "2026-01-05"),
    ],
)
def test_dates_of_known_attributes_get_their_form_back_from_json(written: str, read: str) -> None:
    event = ("StudyEventData", {"StudyEventOID": "SE", "oc:StartDate": written}, [])
    repairs = Repairs()
    document = as_json(clinical(("SubjectData", {"SubjectKey": "SS"}, [event])))
    assert only(io.BytesIO(document), Event, repairs=repairs).start_date == read
    assert repairs.rewritten_dates == (written != read)


def test_texts_of_notes_come_back_from_json() -> None:
    note = ("oc:ChildNote", {"ID": "CDN_1"}, [("oc:DetailedNote", {}, ["Please confirm"])])
    thread = ("oc:DiscrepancyNote", {"ID": "DN_1"}, [note])
    subject = ("SubjectData", {"SubjectKey": "SS"}, [("oc:DiscrepancyNotes", {"EntityID": "SS"}, [thread])])
    query = only(io.BytesIO(as_json(clinical(subject))), Query)
    assert (query.query_id, query.detailed_note, query.level) == ("DN_1", "Please confirm", "participant")


def test_a_text_beside_attributes_comes_back_from_json_and_names_of_somebody_else_do_not() -> None:
    note = {
        "@ID": "CDN_1",
        "x:DetailedNote": "no",
        "OpenClinica:DetailedNote": {"@xml:space": "preserve", "#text": "a"},
    }
    thread = {"@ID": "DN_1", "OpenClinica:ChildNote": note}
    subject = {"@SubjectKey": "SS", "OpenClinica:DiscrepancyNotes": {"OpenClinica:DiscrepancyNote": thread}}
    document = {"@ODMVersion": "1.3", "ClinicalData": {"@StudyOID": "S", "SubjectData": subject}}
    assert only([json.dumps(document).encode()], Query).detailed_note == "a"

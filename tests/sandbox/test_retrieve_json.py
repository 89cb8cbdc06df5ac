"""Clinical data as JSON: lists, nulls, rewritten dates (docs/protocol.md, clinical data)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.sandbox.odm_json import Converter, json_document
from tests.sandbox import imports
from tests.sandbox.calls import Caller, is_html
from tests.sandbox.retrievals import JSON, json_data, retrieve
from tests.sandbox.test_retrieve_text import EMOJI, annotate, store

OPENING = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3"'
    ' xmlns:OpenClinica="http://www.openclinica.org/ns/odm_ext_v130/v3.1" FileOID="F">\n'
)


def converted(value: str, language: str = "en-US") -> object:
    return Converter(OPENING, language).subject(f'<SubjectData Value="{value}"/>')["@Value"]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("72", "72"),
        ("true", "true"),
        ("", ""),
        ("null", None),
        ("NULL", "NULL"),
        ("[1, 2]", [1, 2]),
        ("{&quot;a&quot;: null}", {"a": None}),
        ("[unknown]", "[unknown]"),
        ("{5 mg}", "{5 mg}"),
        ("[&quot;2020-01-01&quot;]", ["01-Jan-2020"]),
        ("2020-01-01", "01-Jan-2020"),
        ("2020-02-31", "02-Mar-2020"),
        ("2020-13-01", "01-Jan-2021"),
        ("2020-01-00", "31-Dec-2019"),
        ("0000-00-00", "0000-00-00"),
        ("2020-01-01T08:15:00", "01-Jan-2020 08:15:00"),
        ("2020-01-01 08:15:00.0", "01-Jan-2020 08:15:00"),
        ("2020-01-01 08:15", "2020-01-01 08:15"),
        ("on 2020-01-01", "on 2020-01-01"),
        ("2020-01", "2020-01"),
    ],
)
def test_values_stay_texts_but_for_nulls_lists_objects_and_dates(stored, expected):
    assert converted(stored) == expected


@pytest.mark.parametrize(
    ("language", "expected"),
    [("en-US", "01-May-2020"), ("de-DE,de;q=0.9", "01-Mai-2020"), ("nl", "01-mei-2020"), ("", "01-May-2020")],
)
def test_months_are_named_in_the_language_of_the_request(language, expected):
    assert converted("2020-05-01", language) == expected


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20))
def test_what_has_no_meaning_of_its_own_survives(plain):
    word = f"x{plain}"
    escaped = word.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    assert converted(escaped) == word


def test_one_child_is_an_object_and_several_are_a_list(manager):
    store(manager, "A-1")
    data = json_data(manager)
    assert [section["@StudyOID"] for section in data] == ["S_BOSTON", "S_LEIDEN"]
    assert [len(section["SubjectData"]) for section in data] == [7, 5]
    alone = json_data(manager, "S_JUNO/BOS-001/*/*")
    assert (alone["@StudyOID"], alone["@MetaDataVersionOID"]) == ("S_JUNO", None)
    event = alone["SubjectData"]["StudyEventData"]
    item = event["FormData"]["ItemGroupData"]["ItemData"]
    assert item == {"@ItemOID": "I_LABS_SAMPLE", "@OpenClinica:ItemName": "sample", "@Value": "A-1"}
    assert event["@OpenClinica:StartDate"] == "01-Mar-2025"


@pytest.mark.parametrize("accept", ["application/json", "*/*", None])
def test_json_is_what_comes_to_those_who_do_not_ask_for_xml(manager, accept):
    answer = retrieve(manager, accept=accept)
    charset = "" if manager.is_docs else ";charset=ISO-8859-1"
    assert answer.headers["Content-Type"] == f"application/json{charset}"
    assert answer.json()["@ODMVersion"] == "1.3"


def test_there_is_no_key_for_data_that_are_not_there(manager):
    document = retrieve(manager, accept=JSON, clinicaldata="n").json()
    assert "ClinicalData" not in document
    assert document["@xmlns:OpenClinica"].startswith("http")


def test_metadata_are_in_the_same_shape(manager):
    document = retrieve(manager, accept=JSON, includeMetadata="y").json()
    assert [study["@OID"] for study in document["Study"]] == ["S_JUNO", "S_BOSTON", "S_LEIDEN"]
    assert document["Study"][0]["GlobalVariables"]["StudyName"] == "Juno"


def test_names_of_namespaces_are_strewn_about(manager):
    annotate(manager, "Why?")
    with manager.sandbox.service.state.writing() as db:
        db.execute("UPDATE notes SET assigned = 'monitor'")
    subject = json_data(manager, "S_JUNO/BOS-001/*/*", includeDNs="y")["SubjectData"]
    item = subject["StudyEventData"]["FormData"]["ItemGroupData"]["ItemData"]
    entry = item["OpenClinica:DiscrepancyNotes"]["OpenClinica:DiscrepancyNote"]["OpenClinica:ChildNote"]
    assert entry["OpenClinica:DetailedNote"] == "Why?"
    assert (entry["UserRef"]["@UserOID"], "@xmlns" in entry["UserRef"]) == ("USR_5 ", True)
    assert "@xmlns:OpenClinica" in subject


def test_an_emoji_in_a_note_breaks_the_server(manager):
    annotate(manager, f"Why {EMOJI}?")
    assert json_data(manager)
    answer = retrieve(manager, accept=JSON, includeDNs="y")
    assert (answer.status_code, is_html(answer)) == (500, True)


def test_what_looks_like_a_function_makes_the_document_invalid(sourced):
    manager = Caller(sourced)
    store(manager, 'function(a){ return "x" }')
    answer = retrieve(manager, accept=JSON)
    assert '"@Value": function(a){ return "x" }' in answer.text
    with pytest.raises(ValueError, match="Expecting value"):
        answer.json()


def test_line_breaks_are_blanks(manager):
    store(manager, "one\ntwo")
    text = retrieve(manager, "S_JUNO/BOS-001/*/*", accept=JSON).text
    assert '"@Value": "one two"' in text


def test_the_document_is_indented_by_two():
    head = {"@FileOID": "F"}
    sections = [("S_A", [{"@SubjectKey": "1"}, {"@SubjectKey": "2"}]), ("S_B", [{"@SubjectKey": "3"}]), ("S_C", [])]
    for count in range(4):
        wanted = [
            {"@StudyOID": oid, "@MetaDataVersionOID": None}
            | ({"SubjectData": people[0] if len(people) == 1 else people} if people else {})
            for oid, people in sections[:count]
        ]
        shape = {"ClinicalData": wanted[0] if count == 1 else wanted} if wanted else {}
        pieces = json_document(head, [(oid, iter(people)) for oid, people in sections[:count]], several=count > 1)
        assert "".join(pieces) == json.dumps(head | shape, indent=2)


def test_several_values_of_a_form_are_lists_on_each_level(manager):
    manager.finished(manager.submitted(imports.odm(imports.labs(*(imports.results(key=key) for key in "12"))).encode()))
    form = json_data(manager, "S_JUNO/BOS-001/*/*")["SubjectData"]["StudyEventData"]["FormData"]
    assert [group["@ItemGroupRepeatKey"] for group in form["ItemGroupData"]] == ["1", "2"]

"""What OpenClinica 3 is sent of an ODM document, and what of it is refused."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from airflow_provider_openclinica.errors import FileError
from airflow_provider_openclinica.odm.import3 import FormKey, UpsertOn, ValueKey, requests_of
from tests.documents import document
from tests.openclinica3 import FIRST_OID, SECOND_OID, labs3

ALL = UpsertOn()
NOT_COMPLETE = UpsertOn(data_entry_complete=False)
FORM = FormKey("SE_BASELINE", "1", "F_LABS_1")


def parts(text: str, upsert_on: UpsertOn = ALL) -> list:  # type: ignore[type-arg]
    return list(requests_of(io.BytesIO(text.encode()), upsert_on))


def subject(inside: str, attributes: str = 'SubjectKey="SS_1"') -> str:
    return document(f'<ClinicalData StudyOID="S_X"><SubjectData {attributes}>{inside}</SubjectData></ClinicalData>')


def form(inside: str = "", attributes: str = 'FormOID="F_Y_1"') -> str:
    return f'<StudyEventData StudyEventOID="SE_V"><FormData {attributes}>{inside}</FormData></StudyEventData>'


def test_there_is_a_request_for_each_participant() -> None:
    found = parts(labs3(FIRST_OID, SECOND_OID))
    assert [part.subject_key for part in found] == [FIRST_OID, SECOND_OID]
    assert [part.forms for part in found] == [{FORM: True}] * 2
    assert all(len(part.values) == 6 for part in found)
    assert FIRST_OID not in repr(found)


def test_its_root_has_neither_namespace_nor_attributes() -> None:
    (part,) = parts(labs3(status="initial data entry"))
    assert part.odm.startswith(b'<ODM><ClinicalData StudyOID="S_JUNO"><UpsertOn ')
    prefix = b'<x xmlns:OpenClinica="http://www.openclinica.org/ns/odm_ext_v130/v3.1">'
    root = etree.fromstring(prefix + part.odm + b"</x>")
    assert {element.tag for element in root[0].iter()} == {
        *("ODM", "ClinicalData", "UpsertOn", "SubjectData", "StudyEventData", "FormData", "ItemGroupData", "ItemData"),
    }
    assert part.forms == {FORM: False}


def test_there_is_a_request_for_each_form_where_some_are_kept_out() -> None:
    text = subject(form() + form(attributes='FormOID="F_Z_1"'))
    assert len(parts(text)) == 1
    found = parts(text, NOT_COMPLETE)
    assert [[key.form_oid for key in part.forms] for part in found] == [["F_Y_1"], ["F_Z_1"]]
    assert all(b'DataEntryComplete="false"' in part.odm for part in found)


def test_an_export_is_reduced_to_what_is_read() -> None:
    inside = (
        '<OpenClinica:AuditLogs EntityID="e"><OpenClinica:AuditLog ID="AL_1"/></OpenClinica:AuditLogs>'
        '<ItemGroupData ItemGroupOID="IG_A" TransactionType="Insert">'
        '<ItemData ItemOID="I_A" Value="1"/></ItemGroupData>'
    )
    (part,) = parts(subject(form(inside)))
    assert part.values == {ValueKey("SE_V", "1", "F_Y_1", "IG_A", "1", "I_A"): "1"}
    assert b"Audit" not in part.odm
    assert b"TransactionType" not in part.odm


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(subject(form(), ""), "no SubjectKey", id="no-subject-key"),
        pytest.param(subject(form(attributes="")), "no FormOID", id="no-form"),
        pytest.param(
            subject("<StudyEventData><FormData FormOID='F'/></StudyEventData>"), "no StudyEventOID", id="no-event"
        ),
        pytest.param(subject(form("<ItemGroupData/>")), "no ItemGroupOID", id="no-group"),
        pytest.param(subject(form("<ItemDataString ItemOID='I'>x</ItemDataString>")), "no ItemDataString", id="typed"),
        pytest.param(
            subject(form('<ItemGroupData ItemGroupOID="G" ItemGroupRepeatKey="0"/>')), "whole number", id="repeat-key"
        ),
        pytest.param(
            subject(
                form(
                    '<ItemGroupData ItemGroupOID="G"><ItemData ItemOID="I" Value="1"/><ItemData ItemOID="I" Value="2"/>'
                    "</ItemGroupData>"
                )
            ),
            "stands twice",
            id="an-item-twice",
        ),
        pytest.param(
            subject(form(attributes='FormOID="F_Y_1" OpenClinica:Status="invalid"')), "bring it back", id="removed"
        ),
        pytest.param(
            subject(form('<ItemGroupData ItemGroupOID="G"><ItemData ItemOID="I"/></ItemGroupData>')),
            "no Value",
            id="no-value",
        ),
        pytest.param(
            subject(
                form('<ItemGroupData ItemGroupOID="G"><ItemData ItemOID="I" Value="" IsNull="Yes"/></ItemGroupData>')
            ),
            "no Value",
            id="null",
        ),
        pytest.param(
            subject(form('<ItemGroupData ItemGroupOID="G" TransactionType="Remove"/>')), "removes nothing", id="remove"
        ),
        pytest.param(document("<ClinicalData/>"), "no StudyOID", id="no-study"),
        pytest.param(
            document('<ClinicalData StudyOID="S"><UpsertOn DataEntryComplete="false"/></ClinicalData>'),
            "upsert_on",
            id="another-upsert-on",
        ),
        pytest.param('<!DOCTYPE ODM [<!ENTITY a "b">]><ODM/>', "DOCTYPE", id="dtd"),
        pytest.param('<ODM xmlns="http://www.cdisc.org/ns/odm/v2.0"/>', "no ODM 1.3", id="odm-2"),
        pytest.param("<html/>", "no ODM 1.3", id="html"),
        pytest.param("<ODM><ClinicalData StudyOID='S'>", "well-formed", id="cut-off"),
        pytest.param("", "well-formed", id="empty"),
    ],
)
def test_a_document_that_cannot_be_imported_is_refused(text: str, said: str) -> None:
    with pytest.raises(FileError, match=said):
        parts(text)


def test_the_same_upsert_on_in_the_file_is_no_contradiction() -> None:
    text = document(
        '<ClinicalData StudyOID="S"><UpsertOn NotStarted="true" DataEntryComplete="false"/>'
        f'<SubjectData SubjectKey="SS_1">{form()}</SubjectData></ClinicalData>'
    )
    assert len(parts(text, NOT_COMPLETE)) == 1


def test_problems_have_lines_and_no_values() -> None:
    text = subject("\n" + form('<ItemGroupData ItemGroupOID="G"><ItemData Value="Quite-8820"/></ItemGroupData>'))
    with pytest.raises(FileError, match="line 4") as caught:
        parts(text)
    assert "Quite-8820" not in str(caught.value)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")))
def test_any_value_arrives_as_it_was(value: str) -> None:
    root = etree.fromstring(
        subject(form('<ItemGroupData ItemGroupOID="G"><ItemData ItemOID="I" Value=""/></ItemGroupData>')).encode()
    )
    root.find(".//{*}ItemData").set("Value", value)  # type: ignore[union-attr]
    (part,) = requests_of(io.BytesIO(etree.tostring(root)), ALL)
    assert list(part.values.values()) == [value]
    item = etree.fromstring(part.odm).find(".//ItemData")
    assert item is not None
    assert item.get("Value") == value

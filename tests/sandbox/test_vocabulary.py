"""How an upload is read, and what gets lost on the way (docs/protocol.md, import document)."""

from __future__ import annotations

import contextlib
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.sandbox.vocabulary import XmlRefused, read_upload
from tests.sandbox.imports import NAMESPACES

OC = 'xmlns:oc="http://www.openclinica.org/ns/odm_ext_v130/v3.1"'


def read(inside: str = "", *, root: str = NAMESPACES, study: str = 'StudyOID="S_JUNO"'):
    return read_upload(f"<ODM {root}><ClinicalData {study}>{inside}</ClinicalData></ODM>".encode())


def read_form(attributes: str, *, root: str = NAMESPACES):
    inside = f"<SubjectData><StudyEventData><FormData {attributes}/></StudyEventData></SubjectData>"
    return read(inside, root=root).subjects[0].events[0].forms[0]


def read_group(attributes: str, inside: str = "", *, root: str = NAMESPACES):
    group = f"<ItemGroupData {attributes}>{inside}</ItemGroupData>"
    data = f"<SubjectData><StudyEventData><FormData>{group}</FormData></StudyEventData></SubjectData>"
    return read(data, root=root).subjects[0].events[0].forms[0].groups[0]


def read_item(inside: str, *, root: str = NAMESPACES):
    return read_group("", f'<ItemData ItemOID="I_A" Value="1">{inside}</ItemData>', root=root).items[0]


def test_a_document_is_read_whole():
    document = read(
        """<UpsertOn NotStarted="true" DataEntryStarted="false"/>
        <SubjectData SubjectKey="ss_a" OpenClinica:StudySubjectID="a-1">
          <StudyEventData StudyEventOID="se_a" StudyEventRepeatKey="2" OpenClinica:StartDate="2025-01-01"
              OpenClinica:Signed="Yes">
            <Signature OpenClinica:Attestation="I agree"/>
            <FormData FormOID="f_a" OpenClinica:FormLayoutOID="v1" OpenClinica:SdvStatus="verified">
              <ItemGroupData ItemGroupOID="ig_a" ItemGroupRepeatKey="3" Removed="No" TransactionType="Insert">
                <ItemData ItemOID="i_a" Value="x&#10;y" IsNull="No"/>
              </ItemGroupData>
            </FormData>
          </StudyEventData>
        </SubjectData>""",
        study='StudyOID="s_juno"',
    )
    subject = document.subjects[0]
    event = subject.events[0]
    form = event.forms[0]
    group = form.groups[0]
    assert (document.study_oid, subject.key, subject.participant_id) == ("S_JUNO", "SS_A", "a-1")
    assert (event.oid, event.repeat_key, event.start_date, event.end_date) == ("SE_A", "2", "2025-01-01", None)
    assert (event.signed, event.signatures[0].attestation) == ("Yes", "I agree")
    assert (form.oid, form.layout, form.sdv_status) == ("F_A", "v1", "verified")
    assert (group.oid, group.repeat_key, group.removed) == ("IG_A", "3", "No")
    assert (group.items[0].oid, group.items[0].value) == ("I_A", "x\ny")


# Text handling


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x85", "\u2028", "\u2029"])
def test_line_ends_are_deleted(end):
    assert read(f'<SubjectData{end} SubjectKey="A{end}B"/>').subjects[0].key == "AB"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\u2028"])
def test_attributes_on_lines_of_their_own_run_into_each_other(end):
    with pytest.raises(XmlRefused):
        read(f'<SubjectData{end}SubjectKey="A"{end}OpenClinica:StudySubjectID="B"/>')


def test_a_byte_order_mark_and_a_wrong_declaration_do_not_matter():
    raw = '\ufeff<?xml version="1.0" encoding="ISO-8859-1"?><ODM><ClinicalData StudyOID="É"/></ODM>'.encode()
    assert read_upload(raw).study_oid == "É"


# What is refused


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"SubjectKey,Value", id="no-xml"),
        pytest.param(b"<ODM><ClinicalData></ODM>", id="not-well-formed"),
        pytest.param(b"<ODM><ClinicalData/>", id="truncated"),
        pytest.param(b"<Study><ClinicalData/></Study>", id="another-root"),
        pytest.param(b"<ODM/>", id="no-clinical-data"),
        pytest.param(b"<ODM><ClinicalData/><ClinicalData/></ODM>", id="two-clinical-data"),
        pytest.param(b"<ODM><ClinicalData><UpsertOn/><UpsertOn/></ClinicalData></ODM>", id="two-upserts"),
        pytest.param(b'<ODM><ClinicalData><UpsertOn NotStarted="x"/></ClinicalData></ODM>', id="no-boolean"),
        pytest.param(b"<ODM><ClinicalData>x</ClinicalData></ODM>", id="text-in-a-container"),
        pytest.param(b"<ODM><ClinicalData><SubjectData>x</SubjectData></ClinicalData></ODM>", id="text-in-a-subject"),
        pytest.param(b"<!DOCTYPE ODM><ODM><ClinicalData/></ODM>", id="doctype"),
        pytest.param(
            b'<!DOCTYPE ODM [<!ENTITY a "aaaaaaaaaa">]><ODM><ClinicalData StudyOID="&a;"/></ODM>', id="entities"
        ),
        pytest.param("<ODM><ClinicalData/></ODM>".encode("utf-16"), id="utf-16"),
    ],
)
def test_what_cannot_be_read_is_refused_on_line_1(raw):
    with pytest.raises(XmlRefused) as caught:
        read_upload(raw)
    assert str(caught.value).splitlines()[1] == "Line : 1"


@pytest.mark.parametrize(
    "inside",
    [
        pytest.param("x", id="text-in-an-item"),
        pytest.param("<DiscrepancyNotes/><DiscrepancyNotes/>", id="two-discrepancy-notes"),
        pytest.param(
            "<DiscrepancyNotes><DiscrepancyNote><ChildNote><DetailedNote/><DetailedNote/></ChildNote>"
            "</DiscrepancyNote></DiscrepancyNotes>",
            id="two-detailed-notes",
        ),
    ],
)
def test_an_item_that_cannot_be_read_is_refused(inside):
    with pytest.raises(XmlRefused):
        read_item(inside, root="")


@pytest.mark.parametrize("study", ["", 'StudyOID=""'])
def test_an_absent_attribute_is_none_and_an_empty_one_is_empty(study):
    assert read(study=study).study_oid == (None if not study else "")


# Elements


@pytest.mark.parametrize(
    "root", ["", NAMESPACES, 'xmlns="http://www.cdisc.org/ns/odm/v2.0"', 'xmlns="urn:x" xmlns:odm="urn:y"']
)
@pytest.mark.parametrize("prefix", ["", "odm:", "nobody:"])
def test_elements_are_known_by_their_local_name(root, prefix):
    raw = f'<{prefix}ODM {root}><{prefix}ClinicalData StudyOID="S"/></{prefix}ODM>'.encode()
    assert read_upload(raw).study_oid == "S"


def test_unknown_elements_are_passed_over_with_all_they_hold():
    document = read("<Query>text<SubjectData><SubjectData/></SubjectData></Query><SubjectData/><ItemData/>")
    assert len(document.subjects) == 1


@pytest.mark.parametrize(
    ("root", "prefix", "known"),
    [
        pytest.param(NAMESPACES, "OpenClinica:", True, id="in-openclinicas-namespace"),
        pytest.param(OC, "oc:", True, id="under-another-prefix"),
        pytest.param("", "", True, id="in-none"),
        pytest.param(NAMESPACES, "", False, id="in-that-of-odm-by-default"),
        pytest.param('xmlns:n="urn:n"', "n:", False, id="in-another"),
        pytest.param("", "nobody:", True, id="under-an-undeclared-prefix"),
    ],
)
def test_notes_have_to_be_in_the_right_namespace_or_in_none(root, prefix, known):
    inside = f'<{prefix}DiscrepancyNotes><{prefix}DiscrepancyNote ID="DN"/></{prefix}DiscrepancyNotes>'
    notes = read_item(inside, root=root).notes
    assert (notes is not None) is known
    assert notes is None or notes.notes[0].id == "DN"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        pytest.param("<DetailedNote>  a  b </DetailedNote>", "a  b", id="ends-are-trimmed"),
        pytest.param("<DetailedNote>a&#10;b</DetailedNote>", "a b", id="a-break-becomes-a-blank"),
        pytest.param("<DetailedNote>a\nb</DetailedNote>", "ab", id="a-raw-break-is-gone"),
        pytest.param('<DetailedNote xml:space="preserve"> a&#10;b </DetailedNote>', " a\nb ", id="preserved"),
        pytest.param("<DetailedNote>a<b>c</b>d</DetailedNote>", "ad", id="elements-in-it-are-unknown"),
        pytest.param("", None, id="absent"),
    ],
)
def test_blanks_of_a_note(text, read):
    inside = f"<DiscrepancyNotes><DiscrepancyNote><ChildNote>{text}</ChildNote></DiscrepancyNote></DiscrepancyNotes>"
    notes = read_item(inside, root="").notes
    assert notes is not None
    assert notes.notes[0].children[0].detailed_note == read


def test_a_note_names_its_author_without_and_the_assigned_user_with_a_prefix():
    entry = (
        '<oc:ChildNote ID="C" Status="New" UserName="nurse"><UserRef UserOID="U" oc:UserName="doctor"/></oc:ChildNote>'
    )
    inside = f"<oc:DiscrepancyNotes><oc:DiscrepancyNote>{entry}</oc:DiscrepancyNote></oc:DiscrepancyNotes>"
    notes = read_item(inside, root=OC).notes
    assert notes is not None
    child = notes.notes[0].children[0]
    assert (child.user_name, child.user_ref and child.user_ref.user_name) == ("nurse", "doctor")


# Attributes: two passes


@pytest.mark.parametrize(
    ("attributes", "root", "layout"),
    [
        pytest.param('OpenClinica:FormLayoutOID="2"', NAMESPACES, "2", id="exact"),
        pytest.param('oc:FormLayoutOID="2"', OC, "2", id="exact-under-another-prefix"),
        pytest.param('FormLayoutOID="2"', NAMESPACES, "2", id="without-its-prefix"),
        pytest.param('n:FormLayoutOID="2"', 'xmlns:n="urn:n"', "2", id="under-a-wrong-one"),
        pytest.param('nobody:FormLayoutOID="2"', "", "2", id="under-an-undeclared-one"),
        pytest.param('Unknown="x" OpenClinica:FormLayoutOID="2"', NAMESPACES, "2", id="exact-behind-an-unknown-one"),
        pytest.param('Unknown="x" FormLayoutOID="2"', NAMESPACES, None, id="lost-behind-an-unknown-one"),
        pytest.param('FormLayoutOID="2" Unknown="x"', NAMESPACES, "2", id="found-before-an-unknown-one"),
        pytest.param('n:FormLayoutOID="2" Unknown="x"', 'xmlns:n="urn:n"', None, id="unprefixed-ones-come-first"),
        pytest.param('n:Unknown="x" n:FormLayoutOID="2"', 'xmlns:n="urn:n"', None, id="lost-behind-a-prefixed-one"),
        pytest.param(
            'xsi:type="x" n:FormLayoutOID="2"',
            'xmlns:n="urn:n" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"',
            "2",
            id="xsi-does-not-end-the-pass",
        ),
        pytest.param('xmlns:n="urn:n" FormLayoutOID="2"', "", "2", id="declarations-are-no-attributes"),
        pytest.param('OpenClinica:FormLayoutOID=""', NAMESPACES, "", id="empty"),
    ],
)
def test_attributes_are_looked_for_in_two_passes(attributes, root, layout):
    assert read_form(attributes, root=root).layout == layout


@pytest.mark.parametrize(
    ("attributes", "removed"),
    [
        pytest.param('Removed="Yes"', "Yes", id="exact"),
        pytest.param('OpenClinica:Removed="Yes"', "Yes", id="a-superfluous-prefix-alone"),
        pytest.param('OpenClinica:Removed="Yes" TransactionType="Insert"', None, id="lost-as-exports-write-it"),
        pytest.param('TransactionType="Insert" Removed="Yes"', "Yes", id="exact-beside-it"),
    ],
)
def test_removed_is_lost_beside_a_transaction_type_unless_it_is_exact(attributes, removed):
    assert read_group(attributes).removed == removed


@given(st.binary(max_size=200))
def test_whatever_is_uploaded_is_read_or_refused(raw):
    with contextlib.suppress(XmlRefused):
        read_upload(raw)


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\ufffe\uffff"), max_size=50)
)
def test_every_value_without_control_characters_arrives(value):
    assert read_group("", f"<ItemData Value={quoteattr(value)}/>", root="").items[0].value == value

"""Loading a study: what OpenClinica's exports say, and what is assumed where plain ODM says nothing."""

from __future__ import annotations

from io import BytesIO

import pytest

from airflow_provider_openclinica.sandbox.study import Assignment, SeedParticipant, Study, load

PLAIN = """<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3">
<Study OID="Trial.1"><GlobalVariables><StudyName>Trial</StudyName><StudyDescription>
    Two
    lines</StudyDescription></GlobalVariables>
<MetaDataVersion OID="1" Name="1">
<StudyEventDef OID="E.1" Name="Visit" Repeating="Yes" Type="Unscheduled">
  <FormRef FormOID="F.1" Mandatory="Yes"/></StudyEventDef>
<FormDef OID="F.1" Name="Form" Repeating="No"><ItemGroupRef ItemGroupOID="G.1" Mandatory="Yes"/></FormDef>
<ItemGroupDef OID="G.1" Name="Group" Repeating="No">
  <ItemRef ItemOID="I.Sex" Mandatory="Yes"/><ItemRef ItemOID="I.Height" Mandatory="Yes"/></ItemGroupDef>
<ItemDef OID="I.Sex" Name="Sex" DataType="integer"><CodeListRef CodeListOID="CL.1"/></ItemDef>
<ItemDef OID="I.Height" Name="Height" DataType="float"/>
<CodeList OID="CL.1" Name="Sex" DataType="integer">
  <CodeListItem CodedValue="1"><Decode><TranslatedText xml:lang="en">Female</TranslatedText></Decode></CodeListItem>
  <EnumeratedItem CodedValue="2"/></CodeList>
</MetaDataVersion></Study></ODM>"""


def load_text(text: str) -> Study:
    return load(BytesIO(text.encode()))


def test_plain_odm_is_enough():
    study = load_text(PLAIN)
    assert (study.oid, study.name, study.unique_id, study.description) == ("TRIAL.1", "Trial", "TRIAL.1", "Two lines")
    event = study.events["E.1"]
    assert (event.common, event.repeating, event.available) == (False, True, True)
    assert event.forms == {"F.1": Assignment(form_oid="F.1", default_version="1")}
    assert study.forms["F.1"].versions == ("1",)
    assert study.groups["G.1"].items == ("I.SEX", "I.HEIGHT")
    assert study.items["I.HEIGHT"].type == "REAL"
    sex = study.items["I.SEX"]
    assert sex.type == "ST"  # as every item with choices
    assert sex.code_list is not None
    assert sex.code_list.choices == (("1", "Female"), ("2", ""))
    assert (study.sites, study.participants, study.status) == ((), (), "AVAILABLE")


def test_a_study_is_loaded_from_a_file(tmp_path):
    (tmp_path / "study.xml").write_text(PLAIN)
    assert load(tmp_path / "study.xml").oid == "TRIAL.1"


@pytest.mark.parametrize(
    ("data_type", "item_type"),
    [
        ("text", "ST"),
        ("string", "ST"),
        ("integer", "INT"),
        ("float", "REAL"),
        ("double", "REAL"),
        ("date", "DATE"),
        ("partialDate", "PDATE"),
        ("boolean", "BL"),
        ("time", "ST"),
    ],
)
def test_data_types_of_odm_become_types_of_items(data_type, item_type):
    study = load_text(PLAIN.replace('DataType="float"', f'DataType="{data_type}"'))
    assert study.items["I.HEIGHT"].type == item_type


OC = 'xmlns:OpenClinica="http://www.openclinica.org/ns/odm_ext_v130/v3.1"'
SITES = f"""<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" {OC}>
<Study OID="S_A(PROD)"><MetaDataVersion OID="1" Name="1">
<StudyEventDef OID="SE_A" Name="Log" Repeating="No" Type="Scheduled"
 OpenClinica:EventType="Common" OpenClinica:Status="removed">
<FormRef FormOID="F_A" Mandatory="Yes" OpenClinica:Status="auto-removed">
<OpenClinica:FormLayoutRef OID="2" IsDefaultVersion="Yes"/><OpenClinica:FormLayoutRef OID="3" IsDefaultVersion="No"/>
</FormRef></StudyEventDef>
<FormDef OID="F_A" Name="A" Repeating="No"><OpenClinica:FormLayoutDef OID="1"/><OpenClinica:FormLayoutDef OID="2"/>
<OpenClinica:FormLayoutDef OID="3"/></FormDef>
<OpenClinica:StudyDetails><OpenClinica:StudySytemStatus>frozen</OpenClinica:StudySytemStatus></OpenClinica:StudyDetails>
</MetaDataVersion></Study>
<Study OID="S_B"><GlobalVariables>
<StudyName>Bern</StudyName><ProtocolName>a-bern</ProtocolName></GlobalVariables></Study>
<ClinicalData StudyOID="S_B">
<SubjectData SubjectKey="SS_1" OpenClinica:StudySubjectID="b-1" OpenClinica:Status="signed"/>
<SubjectData SubjectKey="SS_2" OpenClinica:Status="auto-removed"/></ClinicalData></ODM>"""


def test_what_openclinica_adds_is_read():
    study = load_text(SITES)
    assert (study.env, study.status) == ("PROD", "FROZEN")
    event = study.events["SE_A"]
    assert (event.common, event.available) == (True, False)
    assert event.forms["F_A"] == Assignment(form_oid="F_A", default_version="2", versions=("2", "3"), available=False)
    assert [(site.oid, site.name, site.unique_id) for site in study.sites] == [("S_B", "Bern", "a-bern")]
    assert study.participants == (
        SeedParticipant(oid="SS_1", participant_id="b-1", site_oid="S_B", status="SIGNED"),
        SeedParticipant(oid="SS_2", participant_id="SS_2", site_oid="S_B", status="REMOVED"),
    )


def test_a_scope_is_the_study_with_its_sites_or_one_site():
    study = load_text(SITES)
    assert study.scope("S_A(PROD)") == {"S_A(PROD)", "S_B"}
    assert study.scope("S_B") == {"S_B"}


@pytest.mark.parametrize("text", ["", "<ODM/>", "<ODM", "no xml"])
def test_what_holds_no_study_is_refused(text):
    with pytest.raises(ValueError, match="the study metadata"):
        load_text(text)


def test_an_entity_is_not_expanded():
    text = PLAIN.replace("<ODM", '<!DOCTYPE ODM [<!ENTITY secret "hidden">]><ODM', 1).replace(">Trial<", ">&secret;<")
    assert "hidden" not in load_text(text).name

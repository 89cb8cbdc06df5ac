from __future__ import annotations

import io
from pathlib import Path

import pytest

import airflow_provider_openclinica
from airflow_provider_openclinica import odm
from airflow_provider_openclinica.errors import FileError
from airflow_provider_openclinica.odm.metadata import (
    Choice,
    CodeList,
    FormInEvent,
    ItemDefinition,
    SiteDefinition,
    StudyMetadata,
    codebook,
)
from airflow_provider_openclinica.sandbox.metadata import odm_metadata
from airflow_provider_openclinica.sandbox.study import load
from tests.odm.exports import PROLOG, ROOT, export

DEMO = Path(airflow_provider_openclinica.__file__).parent / "sandbox" / "demo_study.xml"
PAGE = Path(__file__).parents[2] / "docs" / "tables.md"


@pytest.fixture(scope="module")
def juno() -> StudyMetadata:
    return odm.read_metadata(DEMO)


def read(body: str, *, rest: str = "") -> StudyMetadata:
    text = f'{PROLOG}{ROOT}<Study OID="S_A"><MetaDataVersion OID="v1">{body}</MetaDataVersion></Study>{rest}</ODM>'
    return odm.read_metadata(io.BytesIO(text.encode()))


def test_a_study_and_its_sites_are_read(juno: StudyMetadata) -> None:
    assert (juno.study_oid, juno.name, juno.protocol_name) == ("S_JUNO", "Juno", "juno")
    assert juno.has_design
    assert juno.version_oid == "v1.0.0"
    boston = SiteDefinition(oid="S_BOSTON", name="Harbor Street Clinic, Boston", protocol_name="juno-boston")
    assert list(juno.sites) == ["S_BOSTON", "S_LEIDEN"]
    assert juno.sites["S_BOSTON"] == boston


def test_events_know_their_forms_and_versions(juno: StudyMetadata) -> None:
    assert {oid: (event.repeating, event.type) for oid, event in juno.events.items()} == {
        "SE_SCREENING": (False, "Scheduled"),
        "SE_BASELINE": (False, "Scheduled"),
        "SE_FOLLOWUP": (True, "Scheduled"),
        "SE_AE": (True, "Common"),
        "SE_CONMED": (True, "Common"),
        "SE_TERMINATION": (False, "Common"),
    }
    assert juno.events["SE_SCREENING"].forms[1] == FormInEvent(
        form_oid="F_VITALS", mandatory=False, versions=("1", "2"), default_version="2", removed=False
    )
    assert juno.forms["F_VITALS"].versions == ("1", "2")


def test_groups_and_items_come_in_the_order_of_the_form(juno: StudyMetadata) -> None:
    groups = juno.groups_of(juno.forms["F_VITALS"])
    assert [(group.oid, group.repeating) for group in groups] == [
        ("IG_VITALS_MAIN", False),
        ("IG_VITALS_PRESSURE", True),
    ]
    assert [item.name for item in juno.items_of(groups[1])] == ["systolic", "diastolic", "arm"]


def test_an_item_knows_its_choices(juno: StudyMetadata) -> None:
    sex, risks = juno.items["I_DEMOG_SEX"], juno.items["I_DEMOG_RISKS"]
    assert juno.choices_of(sex)[0] == Choice("F", "Female")
    assert (sex.multiple, risks.multiple) == (False, True)
    assert juno.code_lists[risks.code_list_oid].multiple
    assert juno.choices_of(juno.items["I_DEMOG_ONSET"]) == ()
    assert juno.items["I_DEMOG_ONSET"].data_type == "partialDate"


def test_what_the_sandbox_writes_is_what_it_was_given(juno: StudyMetadata) -> None:
    study = load(DEMO)
    assert odm.read_metadata([odm_metadata(study, "S_JUNO", "http://127.0.0.1").encode()]) == juno


def test_a_site_alone_is_read_as_a_study_without_sites(juno: StudyMetadata) -> None:
    site = odm.read_metadata([odm_metadata(load(DEMO), "S_BOSTON", "http://127.0.0.1").encode()])
    assert (site.study_oid, site.sites, site.items) == ("S_BOSTON", {}, juno.items)


def test_an_item_is_read_with_all_it_says() -> None:
    text = f"""{PROLOG}{ROOT}<Study OID="S_A"><BasicDefinitions>
      <MeasurementUnit OID="MU_CM" Name="cm">
        <Symbol><TranslatedText>cm &amp; mm</TranslatedText></Symbol>
      </MeasurementUnit>
      <MeasurementUnit OID="MU_M" Name="metre"/></BasicDefinitions>
      <MetaDataVersion OID="v1">
        <ItemDef OID="I_H" Name="height" DataType="float" Length="6" SignificantDigits="2" Comment="standing">
          <Question><TranslatedText xml:lang="en"> Height </TranslatedText></Question>
          <MeasurementUnitRef MeasurementUnitOID="MU_CM"/><MeasurementUnitRef MeasurementUnitOID="MU_M"/>
          <CodeListRef CodeListOID="CL_H"/>
        </ItemDef>
        <CodeList OID="CL_H" Name="heights" DataType="text"><EnumeratedItem CodedValue="1"/></CodeList>
      </MetaDataVersion></Study></ODM>"""
    metadata = odm.read_metadata([text.encode()])
    assert metadata.items["I_H"] == ItemDefinition(
        oid="I_H",
        name="height",
        label="Height",
        description="standing",
        data_type="float",
        length=6,
        significant_digits=2,
        units=("cm & mm", "metre"),
        code_list_oid="CL_H",
        multiple=False,
    )
    assert metadata.code_lists["CL_H"] == CodeList(
        oid="CL_H", name="heights", data_type="text", multiple=False, choices=(Choice("1", ""),)
    )


def test_removed_events_and_forms_are_said_to_be_removed() -> None:
    form = '<FormRef FormOID="F" Mandatory="Yes" OpenClinica:Status="removed"/>'
    event = read(
        f'<StudyEventDef OID="SE" Repeating="Yes" OpenClinica:Status="auto-removed">{form}</StudyEventDef>'
    ).events["SE"]
    assert (event.removed, event.forms[0].removed, event.forms[0].mandatory) == (True, True, True)


def test_names_that_are_defined_nowhere_break_nothing() -> None:
    body = (
        '<FormDef OID="F"><ItemGroupRef ItemGroupOID="IG"/><ItemGroupRef ItemGroupOID="NO"/></FormDef>'
        '<ItemGroupDef OID="IG"><ItemRef ItemOID="I"/><ItemRef ItemOID="NO"/></ItemGroupDef>'
        '<ItemDef OID="I" Length="many"><CodeListRef CodeListOID="NO"/></ItemDef>'
    )
    (row,) = codebook(read(body))
    assert (row["item_oid"], row["length"], row["choice_number"], row["code"]) == ("I", None, 0, None)


def test_clinical_data_and_people_are_passed_over() -> None:
    rest = '<AdminData><User OID="USR_1"/></AdminData><ClinicalData StudyOID="S_B"><SubjectData/></ClinicalData>'
    metadata = read('<ItemDef OID="I"/>', rest=rest)
    assert (metadata.study_oid, list(metadata.items), metadata.sites) == ("S_A", ["I"], {})


def test_an_account_without_a_role_gets_no_design() -> None:
    assert not odm.read_metadata([f'{PROLOG}{ROOT}<Study OID="S_A"/></ODM>'.encode()]).has_design


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        pytest.param(b'{"@ODMVersion": "1.3"}', "this is JSON", id="json"),
        pytest.param(export().encode(), "holds no Study", id="no-study"),
        pytest.param(export().encode()[:-8], "cut off", id="cut-off"),
        pytest.param(b'<ODM xmlns="http://www.cdisc.org/ns/odm/v2.0"/>', "ODM 2.0", id="odm-2.0"),
        pytest.param(b"", "is empty", id="empty"),
    ],
)
def test_what_holds_no_design_is_refused(document: bytes, complaint: str) -> None:
    with pytest.raises(FileError, match=complaint):
        odm.read_metadata(io.BytesIO(document))


def test_the_codebook_has_a_row_for_each_choice_and_one_for_an_item_without(juno: StudyMetadata) -> None:
    rows = [row for row in codebook(juno) if row["item_group_oid"] == "IG_VITALS_PRESSURE"]
    assert [(row["item_number"], row["item_name"], row["choice_number"], row["code"]) for row in rows] == [
        (1, "systolic", 0, None),
        (2, "diastolic", 0, None),
        (3, "arm", 1, "L"),
        (3, "arm", 2, "R"),
    ]
    assert rows[0]["label"] == "Systolic pressure (mmHg)"
    assert (rows[0]["form_oid"], rows[0]["item_group_repeating"]) == ("F_VITALS", True)
    assert rows[2]["code_list_oid"] == "CL_ARM"


def test_the_page_lists_the_columns_of_the_codebook(juno: StudyMetadata) -> None:
    """Of ``docs/tables.md``."""
    section = PAGE.read_text().partition("\n## codebook\n")[2].partition("\n## ")[0]
    listed = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
    for row in codebook(juno):
        assert list(row) == listed

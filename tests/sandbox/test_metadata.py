"""The metadata the sandbox sends is what it loads (docs/protocol.md, studies)."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pytest
from lxml import etree

from airflow_provider_openclinica.sandbox.demo import demo_study
from airflow_provider_openclinica.sandbox.metadata import odm_metadata
from airflow_provider_openclinica.sandbox.study import ODM, Study, load

BASE = "http://127.0.0.1:8090/OpenClinica"


@pytest.fixture(scope="module")
def juno() -> Study:
    """The demo study, one site of which is locked, with an event and a form that are not available."""
    study = demo_study()
    boston, leiden = study.sites
    visit = study.events["SE_BASELINE"]
    forms = visit.forms | {"F_ECG": replace(visit.forms["F_ECG"], available=False)}
    return replace(
        study,
        sites=(boston, replace(leiden, status="LOCKED")),
        events=study.events | {"SE_BASELINE": replace(visit, forms=forms, available=False)},
        participants=(),
    )


def test_a_study_survives_the_round_trip(juno):
    assert load(BytesIO(odm_metadata(juno, "S_JUNO", BASE).encode())) == juno


def studies_in(text: str) -> list[str]:
    return [node.get("OID", "") for node in etree.fromstring(text.encode()).iter(f"{{{ODM}}}Study")]


def test_a_studys_metadata_name_its_sites(juno):
    assert studies_in(odm_metadata(juno, "S_JUNO", BASE)) == ["S_JUNO", "S_BOSTON", "S_LEIDEN"]


def test_a_sites_metadata_hold_the_whole_design_under_its_own_oid(juno):
    text = odm_metadata(juno, "S_LEIDEN", BASE)
    assert studies_in(text) == ["S_LEIDEN"]
    site = load(BytesIO(text.encode()))
    assert (site.oid, site.status) == ("S_LEIDEN", "LOCKED")
    assert (site.events, site.items) == (juno.events, juno.items)


def test_the_file_looks_like_an_export(juno):
    root = etree.fromstring(odm_metadata(juno, "S_JUNO", BASE).encode())
    assert root.get("FileType") == "Snapshot"
    assert root.find("{*}ClinicalData") is None
    event = root.find(".//{*}StudyEventDef[@OID='SE_AE']")
    assert event is not None
    assert (event.get("Type"), event.get("Repeating")) == ("Common", "Yes")
    order = [etree.QName(node).localname for node in root[0][1]]
    assert list(dict.fromkeys(order)) == [
        "Protocol",
        "StudyEventDef",
        "FormDef",
        "ItemGroupDef",
        "ItemDef",
        "CodeList",
        "MultiSelectList",
        "StudyDetails",
    ]

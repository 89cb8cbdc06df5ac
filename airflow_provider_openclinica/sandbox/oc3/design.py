"""A study's design as version 3 has it: each version of a form is a form with an OID of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lxml import etree

from airflow_provider_openclinica.sandbox.metadata import END, odm_opening
from airflow_provider_openclinica.sandbox.retrieve import version_oid
from airflow_provider_openclinica.sandbox.study import OPENCLINICA, Assignment, EventDefinition, FormDefinition, Study

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_openclinica.sandbox.people import People

_OC = f"{{{OPENCLINICA}}}"
PROLOG = '<?xml version="1.0" encoding="UTF-8"?>\n'


def form_versions(study: Study) -> dict[str, tuple[FormDefinition, str]]:
    """Give all forms and the names of their versions by what version 3 calls the OID of a form: ``F_VITALS_1``."""
    return {version_oid(form, name): (form, name) for form in study.forms.values() for name in form.versions}


def versions_in(study: Study, event: EventDefinition) -> Iterator[tuple[Assignment, FormDefinition, tuple[str, ...]]]:
    """Give the forms of an event with the names of the versions that it allows."""
    for assignment in event.forms.values():
        form = study.forms[assignment.form_oid]
        yield assignment, form, assignment.versions or form.versions


def opening(study: Study, scope_oid: str, base: str, people: People) -> str:
    """Return the beginning of a document: the design, up to where clinical data stand. It is pure ASCII."""
    written = odm_opening(_flattened(study), scope_oid, base, people=people.all()) + END
    root = etree.fromstring(written.encode())
    details = root.find(".//{*}StudyDetails")
    if details is not None and study.events and study.forms:
        parameters = etree.SubElement(details, f"{_OC}StudyParameterConfiguration")
        for name, value in _parameters(study).items():
            ref = {"StudyParameterListID": f"SPL_{name}", "Value": value}
            etree.SubElement(parameters, f"{_OC}StudyParameterListRef", ref)
    document = etree.tostring(root, encoding="US-ASCII").decode("ascii").removesuffix("</ODM>")
    return PROLOG + document[document.index("<ODM") :]


def _parameters(study: Study) -> dict[str, str]:
    return {
        "collectDob": "3",
        "discrepancyManagement": "true",
        "genderRequired": "false",
        "subjectPersonIdRequired": "optional",
        "subjectIdGeneration": "auto non-editable" if study.generates_ids else "manual",
        "secondaryLabelViewable": "true",
    }


def _flattened(study: Study) -> Study:
    forms = {
        oid: FormDefinition(oid=oid, name=f"{form.name} - {name}", versions=(), groups=form.groups)
        for oid, (form, name) in form_versions(study).items()
    }
    events = {event.oid: replace(event, forms=dict(_assignments(study, event))) for event in study.events.values()}
    return replace(study, forms=forms, events=events)


def _assignments(study: Study, event: EventDefinition) -> Iterator[tuple[str, Assignment]]:
    for assignment, form, names in versions_in(study, event):
        for oid in (version_oid(form, name) for name in names):
            yield oid, Assignment(form_oid=oid, default_version="", available=assignment.available)

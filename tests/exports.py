"""What OpenClinica answers to a retrieval, written for a test: one participant with one event and one form."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from tests.documents import FIRST, document


def attributes(**said: str) -> str:
    """Write attributes; those that are empty are left out, as OpenClinica does. ``oc_Status`` is ``OpenClinica:…``."""
    names = {name: name.replace("oc_", "OpenClinica:") for name in said}
    return "".join(f" {names[name]}={quoteattr(value)}" for name, value in said.items() if value)


def form(oid: str = "F_VITALS", **said: str) -> str:
    """Write a form."""
    return f"<FormData{attributes(FormOID=oid, **said)}/>"


def event(*forms: str, oid: str = "SE_FOLLOWUP", repeat: str = "", **said: str) -> str:
    """Write an event."""
    keys = attributes(StudyEventOID=oid, StudyEventRepeatKey=repeat, **said)
    return f"<StudyEventData{keys}>{''.join(forms)}</StudyEventData>"


def export(*events: str, participant: str = FIRST, study: str = "S_JUNO", status: str = "Available") -> str:
    """Write the whole answer."""
    who = attributes(SubjectKey=f"SS_{participant.replace('-', '')}", oc_StudySubjectID=participant, oc_Status=status)
    subject = f"<SubjectData{who}>{''.join(events)}</SubjectData>"
    return document(f'<ClinicalData StudyOID="{study}" MetaDataVersionOID="null">{subject}</ClinicalData>')

"""ODM files for the sandbox's demo study, and the things in them that must never leave the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

if TYPE_CHECKING:
    from collections.abc import Iterable

COMMENT = "haemolysed, Q-7391"  #: a value that stands in no other place
BAD_UNIT = "furlong-8820"  #: a value that is no choice of its code list
#: Participants of the demo study. Tests name them by these: a logged traceback shows the lines of a test.
FIRST, SECOND, OF_LEIDEN = "BOS-001", "BOS-002", "LEI-001"
SECRETS = (COMMENT, BAD_UNIT, FIRST, SECOND, OF_LEIDEN, "SS_BOS001", "SS_BOS002", "SS_LEI001")

NAMESPACES = (
    'xmlns="http://www.cdisc.org/ns/odm/v1.3" xmlns:OpenClinica="http://www.openclinica.org/ns/odm_ext_v130/v3.1"'
)


def labs(*participants: str, study: str = "S_BOSTON", unit: str = "mmol/mol", results: int = 2) -> str:
    """Write a laboratory file: for each participant one sample of the baseline visit.

    :param participants: participant IDs, such as ``BOS-001``; without any, one.
    :param study: the StudyOID, of a site or of the study.
    :param unit: the unit of the first result; the others are right.
    :param results: results of each sample; a sample has 3 items, a result 3.
    """
    subjects = "\n".join(sample(participant, unit, results) for participant in participants or (FIRST,))
    return document(f'<ClinicalData StudyOID="{study}" MetaDataVersionOID="null">\n{subjects}\n</ClinicalData>')


def document(*clinical_data: str) -> str:
    """Wrap the parts of a file."""
    head = f'<ODM {NAMESPACES} ODMVersion="1.3" FileOID="LABS" FileType="Snapshot"'
    body = "\n".join(clinical_data)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head} CreationDateTime="2026-01-05T08:00:00">\n{body}\n</ODM>\n'


def sample(participant: str, unit: str, results: int) -> str:
    """Write what one participant's sample gave."""
    main = items(I_LABS_COLLECTED="2026-01-05", I_LABS_FASTING="1", I_LABS_COMMENT=COMMENT)
    rows = "\n".join(
        f'<ItemGroupData ItemGroupOID="IG_LABS_RESULTS" ItemGroupRepeatKey="{number}">'
        f"{items(I_LABS_TEST='HBA1C', I_LABS_VALUE='41.5', I_LABS_UNIT=unit if number == 1 else 'mmol/mol')}"
        "</ItemGroupData>"
        for number in range(1, results + 1)
    )
    return f"""<SubjectData OpenClinica:StudySubjectID={quoteattr(participant)}>
<StudyEventData StudyEventOID="SE_BASELINE" StudyEventRepeatKey="1" OpenClinica:StartDate="2026-01-05">
<FormData FormOID="F_LABS" OpenClinica:FormLayoutOID="1">
<ItemGroupData ItemGroupOID="IG_LABS_MAIN" ItemGroupRepeatKey="1">{main}</ItemGroupData>
{rows}
</FormData></StudyEventData></SubjectData>"""


def items(**values: str) -> str:
    """Write items, by OID."""
    return "".join(f"<ItemData ItemOID={quoteattr(oid)} Value={quoteattr(value)}/>" for oid, value in values.items())


def found_in(text: str, secrets: Iterable[str] = SECRETS) -> list[str]:
    """Return what of the things that must not be said is in a text."""
    return [secret for secret in secrets if secret in text]

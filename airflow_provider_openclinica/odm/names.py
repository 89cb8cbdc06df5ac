"""The names that OpenClinica's import reads, each in the one form that it reads reliably.

The importer matches most names loosely and loses some of the loose ones without a word (docs/protocol.md, import
document). So this table is the vocabulary: an element, where it stands, its attributes, and whether each is written
with the prefix ``OpenClinica``. What is not in the table is not sent; a server that reads more needs a row here.
"""

from __future__ import annotations

from dataclasses import dataclass

ODM = "http://www.cdisc.org/ns/odm/v1.3"
OPENCLINICA = "http://www.openclinica.org/ns/odm_ext_v130/v3.1"
OPENCLINICA_FAMILY = "http://www.openclinica.org/"  #: namespaces of other versions begin with it
XML = "http://www.w3.org/XML/1998/namespace"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
PREFIX = "OpenClinica"


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One element of the import vocabulary.

    :param name: its local name.
    :param children: local names of the elements that may stand in it.
    :param plain: attributes written without prefix.
    :param prefixed: attributes written with the prefix ``OpenClinica``.
    :param is_note: an element of queries, which is ignored in any namespace but OpenClinica's.
    """

    name: str
    children: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    prefixed: tuple[str, ...] = ()
    is_note: bool = False

    @property
    def attributes(self) -> tuple[str, ...]:
        """All attributes, in the order in which they are written."""
        return self.plain + self.prefixed

    @property
    def written(self) -> str:
        """Its name as it stands in a normalised document."""
        return f"{PREFIX}:{self.name}" if self.is_note else self.name

    def attribute_written(self, name: str) -> str:
        """One of its attributes as it stands in a normalised document."""
        return f"{PREFIX}:{name}" if name in self.prefixed else name


VOCABULARY = {
    element.name: element
    for element in (
        Element(name="ODM", children=("ClinicalData",)),
        Element(name="ClinicalData", plain=("StudyOID", "MetaDataVersionOID"), children=("UpsertOn", "SubjectData")),
        Element(name="UpsertOn", plain=("NotStarted", "DataEntryStarted", "DataEntryComplete")),
        Element(name="SubjectData", plain=("SubjectKey",), prefixed=("StudySubjectID",), children=("StudyEventData",)),
        Element(
            name="StudyEventData",
            plain=("StudyEventOID", "StudyEventRepeatKey"),
            prefixed=("StartDate", "EndDate", "Status", "WorkflowStatus", "Signed"),
            children=("Signature", "FormData"),
        ),
        Element(name="Signature", prefixed=("Attestation",)),
        Element(
            name="FormData",
            plain=("FormOID",),
            prefixed=("FormLayoutOID", "Status", "WorkflowStatus", "SdvStatus", "ReasonForChangeForCompleteForms"),
            children=("ItemGroupData",),
        ),
        Element(name="ItemGroupData", plain=("ItemGroupOID", "ItemGroupRepeatKey", "Removed"), children=("ItemData",)),
        Element(
            name="ItemData", plain=("ItemOID", "Value", "TransactionType", "IsNull"), children=("DiscrepancyNotes",)
        ),
        Element(name="DiscrepancyNotes", children=("DiscrepancyNote",), is_note=True),
        Element(name="DiscrepancyNote", plain=("ID", "NoteType"), children=("ChildNote",), is_note=True),
        Element(
            name="ChildNote", plain=("ID", "Status", "UserName"), children=("DetailedNote", "UserRef"), is_note=True
        ),
        Element(name="DetailedNote", is_note=True),  # the only one with text, and with xml:space
        Element(name="UserRef", prefixed=("UserName",)),
    )
}

#: Elements that ODM 1.3 allows in clinical data and the import passes over.
PASSED_OVER = frozenset(
    {
        *("Annotation", "Annotations", "ArchiveLayoutRef", "Association", "AuditRecord", "AuditRecords", "Comment"),
        *("DateTimeStamp", "Flag", "FlagType", "FlagValue", "InvestigatorRef", "KeySet", "LocationRef"),
        *("MeasurementUnitRef", "SignatureRef", "Signatures", "SiteRef"),
    }
)
#: Elements that the import reads in one place and passes over in these, where ODM 1.3 or exports hold them as well.
PASSED_OVER_IN = {
    "DiscrepancyNotes": ("SubjectData", "StudyEventData", "FormData"),
    "Signature": ("SubjectData", "FormData", "ItemGroupData", "ItemData"),
    "UserRef": ("Signature",),
}


def split_name(name: str) -> tuple[str, str]:
    """Take the parser's ``namespace local`` apart; the namespace of an unprefixed attribute is empty."""
    namespace, _, local = name.rpartition(" ")
    return namespace, local


def is_ours(namespace: str) -> bool:
    """Tell whether a name in this namespace is surely meant for OpenClinica: none, ODM's, any version of theirs."""
    return namespace in ("", ODM) or namespace.startswith(OPENCLINICA_FAMILY)

"""Write import documents from small pieces and import them into the demo study, without a server."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from airflow_provider_openclinica.sandbox.data import ClinicalStore
from airflow_provider_openclinica.sandbox.demo import demo_study
from airflow_provider_openclinica.sandbox.importer import JobFailed, read_upload, run_import

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_openclinica.sandbox.dialect import Dialect
    from airflow_provider_openclinica.sandbox.joblog import Row

NAMESPACES = (
    'xmlns="http://www.cdisc.org/ns/odm/v1.3" xmlns:OpenClinica="http://www.openclinica.org/ns/odm_ext_v130/v3.1"'
)
PREFIXED = {
    "StudySubjectID",
    "StartDate",
    "EndDate",
    "Status",
    "WorkflowStatus",
    "Signed",
    "FormLayoutOID",
    "SdvStatus",
    "ReasonForChangeForCompleteForms",
    "Attestation",
}


class Clinic:
    """The demo study with data of its own, and an account that imports into it."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.study = demo_study()
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.store = ClinicalStore(self.db)
        self.store.seed(self.study)

    def send(
        self,
        *subjects: str,
        study: str = "S_BOSTON",
        users: Collection[str] | None = ("nurse",),
    ) -> list[str]:
        """Import subjects as one job, in one transaction, and return its rows as :func:`line` writes them."""
        document = read_upload(odm(*subjects, study=study).encode())
        self.db.execute("BEGIN")
        try:
            rows = run_import(document, self.study, self.store, study, "data_manager", self.dialect, users)
        except JobFailed:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")
        return [line(row) for row in rows]

    def values(self) -> list[tuple[str | int, ...]]:
        """Return what is stored: event, repeat, item, repeat of the group, value."""
        names = ("event", "event_repeat", "item", "group_repeat", "value")
        return [tuple(row[name] for name in names) for row in self.store.stored_items()]

    def states(self, table: str, column: str) -> list[object]:
        """Return one column of a table, in the order its rows were stored."""
        return [row[0] for row in self.db.execute(f"SELECT {column} FROM {table} ORDER BY id")]  # noqa: S608

    def set(self, table: str, column: str, value: object) -> None:
        """Give a column of all rows a value."""
        self.db.execute(f"UPDATE {table} SET {column} = ?", (value,))  # noqa: S608


def line(row: Row) -> str:
    """Write a row as its type, status and message, a star where it has a time, and the columns that place it."""
    places = ",".join(row.place).rstrip(",")
    return f"{row.type}|{row.status}|{row.message}|{'*' if row.timestamp else ''}|{places}"


def outcomes(rows: list[str]) -> list[str]:
    """Leave the columns that place rows away."""
    return [row.rsplit("|", 2)[0].rstrip("|") for row in rows]


def odm(*subjects: str, study: str = "S_BOSTON") -> str:
    """Write a document."""
    return f'<ODM {NAMESPACES}><ClinicalData StudyOID="{study}">{"".join(subjects)}</ClinicalData></ODM>'


def element(name: str, *children: str, **attributes: str | None) -> str:
    """Write an element; attributes that are ``None`` are left out, those of OpenClinica get their prefix."""
    written = " ".join(
        f"{'OpenClinica:' if key in PREFIXED else ''}{key}={quoteattr(value)}"
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name} {written}>{''.join(children)}</{name}>"


def subject(*events: str, key: str | None = None, id: str | None = "BOS-001") -> str:  # noqa: A002
    """Write a participant, named by participant ID unless told otherwise."""
    return element("SubjectData", *events, SubjectKey=key, StudySubjectID=id)


def event(
    *children: str,
    oid: str | None = "SE_FOLLOWUP",
    key: str | None = "1",
    start: str | None = "2025-03-01",
    **more: str,
) -> str:
    """Write an event: the first follow-up visit, unless told otherwise."""
    return element("StudyEventData", *children, StudyEventOID=oid, StudyEventRepeatKey=key, StartDate=start, **more)


def common(*children: str, oid: str = "SE_AE", key: str | None = "1", start: str | None = None, **more: str) -> str:
    """Write a common event: the first adverse event, unless told otherwise."""
    return event(*children, oid=oid, key=key, start=start, **more)


def form(*groups: str, oid: str | None = "F_LABS", layout: str | None = None, **more: str) -> str:
    """Write a form: the laboratory's in its default version, unless told otherwise."""
    return element("FormData", *groups, FormOID=oid, FormLayoutOID=layout, **more)


def group(*items: str, oid: str | None = "IG_LABS_MAIN", key: str | None = "1", removed: str | None = None) -> str:
    """Write a group of items."""
    return element("ItemGroupData", *items, ItemGroupOID=oid, ItemGroupRepeatKey=key, Removed=removed)


def item(oid: str | None = "I_LABS_SAMPLE", value: str | None = "A-1", *notes: str) -> str:
    """Write an item."""
    held = element("OpenClinica:DiscrepancyNotes", *notes) if notes else ""
    return element("ItemData", held, ItemOID=oid, Value=value)


def results(*items: str, key: str | None = "1", removed: str | None = None) -> str:
    """Write a repeat of the laboratory's results."""
    return group(*items or (item("I_LABS_TEST", "GLUC"),), oid="IG_LABS_RESULTS", key=key, removed=removed)


def note(*children: str, id: str | None = "DN_A", type: str | None = "Query") -> str:  # noqa: A002
    """Write a note: a query unless told otherwise."""
    return element("OpenClinica:DiscrepancyNote", *children, ID=id, NoteType=type)


def entry(
    text: str | None = "Please check",
    *,
    id: str | None = "CDN_A1",  # noqa: A002
    status: str | None = "New",
    user: str | None = "nurse",
    assigned: str | None = None,
) -> str:
    """Write an entry of a note's thread."""
    detail = f"<OpenClinica:DetailedNote>{text}</OpenClinica:DetailedNote>" if text is not None else ""
    to = f'<UserRef OpenClinica:UserName="{assigned}"/>' if assigned is not None else ""
    # An entry's status has no prefix, unlike that of an event or a form.
    return element("OpenClinica:ChildNote", detail, to, ID=id, UserName=user).replace(
        ">", f" Status={quoteattr(status)}>" if status is not None else ">", 1
    )


def labs(*groups: str, **more: str) -> str:
    """Write the first follow-up visit of BOS-001 with the laboratory's form in it."""
    return subject(event(form(*groups or (group(item()),), **more)))


def adverse_event(term: str = "Headache") -> str:
    """Write an adverse event's form."""
    return form(group(item("I_AE_TERM", term), oid="IG_AE_MAIN"), oid="F_AE", layout="1")


def termination(comment: str = "Moved") -> str:
    """Write the form that ends the study."""
    values = item("I_TERMINATION_COMMENT", comment)
    return form(group(values, oid="IG_TERMINATION_MAIN"), oid="F_TERMINATION", layout="1")

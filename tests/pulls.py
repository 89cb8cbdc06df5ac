"""Data in the sandbox to pull, and what a pull has to bring."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lxml import etree

from airflow_provider_openclinica.sandbox.data import ClinicalStore
from airflow_provider_openclinica.sandbox.importer import read_upload, run_import
from tests.documents import FIRST, OF_LEIDEN, SECOND, labs
from tests.sandbox.imports import adverse_event, common, event, form, group, item, odm, subject

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox

OC = "{http://www.openclinica.org/ns/odm_ext_v130/v3.1}"
ITEMS_OF_A_SAMPLE = 9
LONG = 400  #: results of a sample whose export is longer than what the client reads at once


def store(sandbox: Sandbox, study: str, document: str) -> None:
    """Import a document at once, without a job."""
    service = sandbox.service
    with service.state.writing() as db:
        rows = run_import(
            read_upload(document.encode()),
            service.study,
            ClinicalStore(db),
            study,
            "data_manager",
            service.dialect,
            service.accounts.logins(),
        )
    assert {row.status for row in rows} <= {"Inserted", "No Change", "Updated"}


def fill(sandbox: Sandbox, *, results: int = 2) -> None:
    """Give two participants in Boston and one in Leiden a laboratory sample, the first one two visits more.

    :param results: of the first one's sample; ``LONG`` makes an export that can break off in its middle.
    """
    store(sandbox, "S_BOSTON", labs(FIRST, results=results))
    store(sandbox, "S_BOSTON", labs(SECOND))
    store(sandbox, "S_LEIDEN", labs(OF_LEIDEN, study="S_LEIDEN"))
    pulse = group(item("I_VITALS_PULSE", "72"), oid="IG_VITALS_MAIN")
    visits = [event(form(pulse, oid="F_VITALS", layout="2"), key=key) for key in ("1", "2")]
    store(sandbox, "S_BOSTON", odm(subject(*visits, common(adverse_event()), id=FIRST)))


def move_to_study(sandbox: Sandbox, participant_id: str) -> None:
    """Let a participant belong to the study itself, and to no site."""
    with sandbox.service.state.writing() as db:
        db.execute("UPDATE participants SET site_oid = 'S_JUNO' WHERE participant_id = ?", (participant_id,))


def rename(sandbox: Sandbox, participant_id: str, name: str) -> None:
    """Give a participant an ID that no API would take."""
    with sandbox.service.state.writing() as db:
        db.execute("UPDATE participants SET participant_id = ? WHERE participant_id = ?", (name, participant_id))


def parsed(path: Path) -> etree._Element:
    """Read a document with a parser that mends nothing."""
    return etree.fromstring(path.read_bytes(), etree.XMLParser(resolve_entities=False, no_network=True))


def items_in(*documents: etree._Element) -> list[tuple[str, ...]]:
    """Return participant, event, its repeat, item and value of each item, sorted."""
    return sorted(
        (
            subject.get(f"{OC}StudySubjectID", ""),
            event.get("StudyEventOID", ""),
            event.get("StudyEventRepeatKey", "1"),
            item.get("ItemOID", ""),
            item.get("Value", ""),
        )
        for document in documents
        for subject in document.iter("{*}SubjectData")
        for event in subject.iter("{*}StudyEventData")
        for item in event.iter("{*}ItemData")
    )


def stored_items(sandbox: Sandbox) -> list[tuple[str, ...]]:
    """Return the same of what the sandbox stores."""
    names = ("participant", "event", "event_repeat", "item", "value")
    return sorted(tuple(str(row[name]) for name in names) for row in sandbox.data())


def asked(sandbox: Sandbox) -> list[str]:
    """Return what was retrieved, in the order of the requests: ``S_JUNO/*/*/*``."""
    return [each["path"].rpartition("/clinicaldata/")[2] for each in sandbox.requests() if is_retrieval(each)]


def is_retrieval(request: dict[str, Any]) -> bool:
    """Tell a retrieval of data from all else."""
    return "/clinicaldata/S_" in request["path"] and "clinicaldata=y" in request["target"]


def manifest_in(folder: Path) -> dict[str, Any]:
    """Read the manifest of a set."""
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found


def documents_in(folder: Path) -> list[etree._Element]:
    """Read the documents of a set, as its manifest lists them."""
    return [parsed(folder / file["name"]) for file in manifest_in(folder)["files"]]


def let_weeks_pass(sandbox: Sandbox) -> None:
    """Let all that happened so far have happened long ago: some servers date changes to the day."""
    with sandbox.service.state.writing() as db:
        db.execute("UPDATE participants SET created_at = '2026-01-05T08:00:00.000+00:00', updated_at = NULL")

"""What the tests of OpenClinica 3 share: a client, and ODM files for the sandbox's study in that version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.client.openclinica3.client import OpenClinica3Client
from airflow_provider_openclinica.client.openclinica3.settings import Settings3
from airflow_provider_openclinica.client.openclinica3.soap import NewVisit
from airflow_provider_openclinica.engine.openclinica3.once import Once
from airflow_provider_openclinica.engine.openclinica3.visits import schedule
from tests.documents import COMMENT, document, items

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox

FIRST, FIRST_OID = "BOS-001", "SS_BOS001"
SECOND, SECOND_OID = "BOS-002", "SS_BOS002"
NEW = "BOS-700"
BIRTHDAY = "1951-03-04"
SECRETS = (FIRST, SECOND, NEW, FIRST_OID, SECOND_OID, BIRTHDAY, COMMENT)
SOAP = "/OpenClinica-ws/ws/*"


def client_for(
    sandbox: Sandbox, lock_folder: Path | None = None, *, sleep: Callable[[float], None] = lambda _: None, **given: Any
) -> OpenClinica3Client:
    """Connect as the data manager, without waits."""
    place = {"host": sandbox.study_url, "ws_url": sandbox.ws_url}
    account = {"login": "data_manager", "password": "sandbox"}
    settings = Settings3.from_parts(**place | account | given)
    return OpenClinica3Client(settings, lock_folder=lock_folder, sleep=sleep)


def visit(label: str = FIRST, event: str = "SE_FOLLOWUP", start: str = "2026-05-01", **more: str) -> NewVisit:
    """A visit to be scheduled."""
    return NewVisit(label=label, study_event_oid=event, start_date=start, **more)


def schedule_baseline(sandbox: Sandbox, *labels: str) -> None:
    """Let participants of Boston have the visit that takes laboratory data."""
    for label in labels or (FIRST,):
        schedule(client_for(sandbox), "S_JUNO", "S_BOSTON", visit(label, "SE_BASELINE"), Once())
    sandbox.service.requests.clear()


def labs3(*subjects: str, form: str = "F_LABS_1", status: str = "", repeat: str = "1", value: str = "41.5") -> str:
    """Write a laboratory file as OpenClinica 3 names things: participants by OID, forms by version."""
    said = f' OpenClinica:Status="{status}"' if status else ""
    main = items(I_LABS_COLLECTED="2026-01-05", I_LABS_FASTING="1", I_LABS_COMMENT=COMMENT)
    result = items(I_LABS_TEST="HBA1C", I_LABS_VALUE=value, I_LABS_UNIT="mmol/mol")
    return document(
        '<ClinicalData StudyOID="S_JUNO" MetaDataVersionOID="null">'
        + "".join(
            f"""<SubjectData SubjectKey="{subject}">
<StudyEventData StudyEventOID="SE_BASELINE" StudyEventRepeatKey="{repeat}"><FormData FormOID="{form}"{said}>
<ItemGroupData ItemGroupOID="IG_LABS_MAIN" ItemGroupRepeatKey="1">{main}</ItemGroupData>
<ItemGroupData ItemGroupOID="IG_LABS_RESULTS" ItemGroupRepeatKey="1">{result}</ItemGroupData>
</FormData></StudyEventData></SubjectData>"""
            for subject in subjects or (FIRST_OID,)
        )
        + "</ClinicalData>"
    )


def sent(sandbox: Sandbox, method: str, path: str) -> int:
    """How many requests there were whose path ends so."""
    return sum(request["method"] == method and request["path"].endswith(path) for request in sandbox.requests())

"""The casebook of a participant, a PDF that a job prints."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from airflow_provider_openclinica.sandbox.server import Sandbox
from tests.sandbox.bulk import BOSTON, LEIDEN, code, configure, set_status, with_roles
from tests.sandbox.calls import Caller, is_html
from tests.sandbox.test_pdf import shown

if TYPE_CHECKING:
    import requests

STUDY = "clinicaldata/studies/S_JUNO"
NAME = r"Participant_BOS-001_Casebook_\d{4}-\d\d-\d\d-(0[1-9]|1[0-2])\d{7}\+0000\.pdf"


@pytest.fixture
def printing(sandbox):
    """A sandbox that prints casebooks."""
    configure(sandbox, casebook=True)
    return sandbox


def order(caller: Caller, participant_id: str = "BOS-001", path: str = BOSTON, **params: str) -> requests.Response:
    return caller.call("POST", f"{path}/participants/{participant_id}/casebook", params=params)


def printed(caller: Caller, **params: str) -> requests.Response:
    """Order the casebook of a participant, and wait for it."""
    return caller.finished(order(caller, **params).text.removeprefix("job uuid: "))


def file_name(answer: requests.Response) -> str:
    return unquote(answer.headers["Content-Disposition"].partition("filename=")[2])


def test_a_casebook_is_a_pdf_of_all_that_is_stored(printing):
    manager = Caller(printing)
    manager.finished(manager.submitted())
    answer = printed(manager)
    assert answer.content.startswith(b"%PDF")
    text = shown(answer.content)
    assert text[0] == "Juno: casebook of BOS-001"
    assert text[3:] == [
        "Baseline (1): data entry started, 2026-01-05",
        "  Vital signs, version 2: data entry started",
        "    main: Pulse (beats/min): 72",
    ]


def test_file_and_job_have_a_name_that_says_whose_casebook_it_is(printing):
    answer = printed(Caller(printing))
    assert re.fullmatch(NAME, file_name(answer))
    (job,) = printing.jobs()
    expected = {"type": "PARTICIPANT_PDF_CASEBOOK", "status": "COMPLETED", "sourceFileName": file_name(answer)}
    assert {key: job[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("params", "box"),
    [
        ({}, b"[0 0 595 842]"),
        ({"format": "Letter", "margin": "1in", "landscape": "true"}, b"[0 0 792 612]"),
        ({"format": "nonsense", "margin": "nonsense", "landscape": "nonsense"}, b"[0 0 595 842]"),
    ],
    ids=str,
)
def test_the_paper_can_be_chosen_and_is_not_checked(printing, params, box):
    assert box in printed(Caller(printing), **params).content


def test_a_casebook_that_fails_is_text_under_the_name_of_a_pdf(printing):
    printing.fate("failed")
    answer = printed(Caller(printing))
    assert re.fullmatch(NAME, file_name(answer))
    header, row, _ = answer.text.split("\n")
    assert header == "SubjectKey|ParticipantID|Status|Timestamp|Message"
    assert re.fullmatch(r"SS_BOS001\|BOS-001\|Failed\|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\|Error Detail: .+", row)
    assert [job["status"] for job in printing.jobs()] == ["FAILED"]


def test_a_server_that_wants_a_session_fails_and_leaves_a_job_in_progress(sandbox):
    manager = Caller(sandbox)
    answer = order(manager)
    assert (answer.status_code, is_html(answer)) == (500, True)
    (job,) = sandbox.jobs()
    assert (job["status"], job["type"]) == ("IN_PROGRESS", "PARTICIPANT_PDF_CASEBOOK")
    assert sandbox.release() == 0
    assert manager.download(job["uuid"]).text.endswith("jobInProgress")


@pytest.mark.parametrize(
    ("path", "participant_id", "refused"),
    [
        (BOSTON, "BOS-404", "participantNotFound"),
        (BOSTON, "bos-001", "participantNotFound"),
        (BOSTON, "LEI-001", "participantNotFound"),
        (LEIDEN, "BOS-001", "participantNotFound"),
        (STUDY, "BOS-001", "participantNotFound"),  # nobody of a site is found at the study
        ("clinicaldata/studies/S_NONE/sites/S_BOSTON", "BOS-001", "studyNotExist"),
        ("clinicaldata/studies/S_NONE", "BOS-001", "studyNotExist"),
        ("clinicaldata/studies/S_BOSTON", "BOS-001", "studyNotValidOid"),
        (f"{STUDY}/sites/S_NONE", "BOS-001", "siteNotExist"),
        (f"{STUDY}/sites/S_JUNO", "BOS-001", "siteNotValidOid"),
    ],
)
def test_the_participant_has_to_be_exactly_there(printing, path, participant_id, refused):
    assert code(order(Caller(printing), participant_id, path)) == refused
    assert printing.jobs() == []


def test_a_participant_of_the_study_itself_has_a_casebook_there(documented):
    configure(documented, casebook=True)
    manager = Caller(documented)
    assert manager.call("POST", f"{STUDY}/participants", json={"subjectKey": "JUNO-1"}).ok
    answer = manager.finished(order(manager, "JUNO-1", STUDY).text.removeprefix("job uuid: "))
    assert shown(answer.content)[0] == "Juno: casebook of JUNO-1"
    assert [job["siteOid"] for job in documented.jobs()] == [""]


@pytest.mark.parametrize(
    ("roles", "at_site", "at_study"),
    [
        ({"S_JUNO": "Data Specialist"}, "", "participantNotFound"),
        ({"S_JUNO": "Monitor"}, "", "participantNotFound"),
        ({"S_BOSTON": "Monitor"}, "", "noRoleSetUp"),
        ({"S_BOSTON": "Investigator"}, "", "noRoleSetUp"),
        ({"S_LEIDEN": "Investigator"}, "noRoleSetUp", "noRoleSetUp"),
        ({}, "noRoleSetUp", "noRoleSetUp"),
    ],
    ids=str,
)
def test_roles_decide(printing, roles, at_site, at_study):
    caller = with_roles(printing, **roles)
    assert code(order(caller)) == at_site
    assert code(order(caller, path=STUDY)) == at_study


def test_what_is_locked_can_be_printed(printing):
    set_status(printing, "S_BOSTON", "LOCKED")
    assert code(order(Caller(printing))) == ""


def test_a_sandbox_can_be_started_with_casebooks_and_keeps_them_over_a_reset():
    with Sandbox(casebook=True, job_seconds=0, token_rate=0) as printing:
        configure(printing, casebook=False)
        assert order(Caller(printing)).status_code == 500
        printing.reset()
        assert printed(Caller(printing)).content.startswith(b"%PDF")

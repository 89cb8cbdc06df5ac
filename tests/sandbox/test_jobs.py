"""The life of a job, from its uuid to its deletion."""

from __future__ import annotations

import re
import socket
import threading
import time

import pytest
import requests

from airflow_provider_openclinica.sandbox.jobs import without_last_participant
from airflow_provider_openclinica.sandbox.server import Sandbox
from tests.sandbox.calls import Caller, odm

LISTED = {
    "uuid", "status", "type", "createdByUsername", "updatedByUsername", "siteOid", "studyOid", "dateCreated",
    "dateUpdated", "dateCompleted", "sourceFileName",
}  # fmt: skip


def code(caller: Caller, name: str) -> str:
    return f"{'errorCode' if caller.is_docs else 'error'}.{name}"


def change_user(sandbox: Sandbox, **wanted: object) -> None:
    assert requests.post(f"{sandbox.url}/sandbox/users", json=wanted, timeout=10).ok


def statuses(sandbox: Sandbox) -> list[str]:
    return [job["status"] for job in sandbox.jobs()]


def until(sandbox: Sandbox, *wanted: str) -> None:
    deadline = time.monotonic() + 60
    while statuses(sandbox) != list(wanted):
        assert time.monotonic() < deadline, statuses(sandbox)
        time.sleep(0.02)


# Downloads, in the order of the server's checks


def test_without_an_active_study_a_download_fails(manager):
    change_user(manager.sandbox, login="data_manager", active_study=None)
    assert manager.download(manager.submitted()).status_code == 500


def test_an_unknown_job_is_404_with_a_code(manager):
    answer = manager.download("00000000-0000-0000-0000-000000000000")
    assert (answer.status_code, answer.text) == (404, code(manager, "invalidUuid"))


@pytest.mark.parametrize(("active", "status"), [("S_JUNO", 200), ("S_LEIDEN", 200), ("S_OTHER", 404)])
def test_a_job_looks_unknown_while_another_study_is_active(manager, active, status):
    job_uuid = manager.submitted()
    manager.finished(job_uuid)
    change_user(manager.sandbox, login="data_manager", active_study=active)
    assert manager.download(job_uuid).status_code == status


def test_only_the_creator_may_download(manager):
    job_uuid = manager.submitted()
    answer = Caller(manager.sandbox, "second_manager").download(job_uuid)
    assert (answer.status_code, answer.text) == (200, "errorCode.noSufficientPrivileges")


def test_a_deleted_job_is_unknown_to_its_creator(manager):
    job_uuid = manager.submitted()
    manager.finished(job_uuid)
    assert manager.call("DELETE", f"jobs/{job_uuid}").status_code == 200
    answer = manager.download(job_uuid)
    assert (answer.status_code, answer.text) == (404, code(manager, "invalidUuid"))


def test_a_job_in_progress_says_so_with_200(manager):
    manager.sandbox.fate("stuck")
    job_uuid = manager.submitted()
    answer = manager.download(job_uuid)
    assert (answer.status_code, answer.text) == (200, code(manager, "jobInProgress"))
    assert "Content-Disposition" not in answer.headers
    assert manager.sandbox.release(job_uuid) == 1
    assert manager.finished(job_uuid).content.startswith(b"SubjectKey,")


def test_a_finished_job_gives_its_log_under_an_unquoted_name(manager):
    answer = manager.finished(manager.submitted())
    name = r"attachment; filename=juno-TEST_XML_IMPORT_\d{4}-\d\d-\d\d-\d{9}Z\.csv"
    assert re.fullmatch(name, answer.headers["Content-Disposition"])
    assert answer.headers["Content-Type"] == "application/force-download;charset=UTF-8"
    header, row, blank, _end = answer.text.split("\n")
    assert len(header.split(",")) == (11 if manager.is_docs else 12)
    assert row.startswith("SS_BOS001,BOS-001,SE_BASELINE,1,F_VITALS,IG_VITALS_MAIN,1,I_VITALS_PULSE,")
    assert blank == ""
    assert [(item["item"], item["value"]) for item in manager.sandbox.data()] == [("I_VITALS_PULSE", "72")]


@pytest.mark.parametrize("browser", ["Mozilla/5.0 Firefox/128.0", "AppleWebKit Safari/537"])
def test_a_browser_gets_an_encoded_file_name(manager, browser):
    job_uuid = manager.submitted()
    manager.finished(job_uuid)
    answer = manager.download(job_uuid, headers={"User-Agent": browser})
    assert answer.headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''juno-TEST_XML_IMPORT_")


@pytest.mark.parametrize(("value", "opens"), [("true", True), ("false", False), ("True", False)])
def test_open_leaves_out_both_headers_and_nothing_else_does(manager, value, opens):
    job_uuid = manager.submitted()
    manager.finished(job_uuid)
    answer = manager.download(job_uuid, params={"open": value})
    assert ("Content-Disposition" not in answer.headers) == opens
    assert ("Content-Type" not in answer.headers) == opens
    assert answer.content.startswith(b"SubjectKey,")


def test_without_a_user_agent_there_is_no_log(manager):
    job_uuid = manager.submitted()
    manager.finished(job_uuid)
    with socket.create_connection(("127.0.0.1", manager.sandbox.port), timeout=10) as connection:
        head = f"GET /OpenClinica/pages/auth/api/jobs/{job_uuid}/downloadFile HTTP/1.1\r\nHost: x\r\n"
        connection.sendall(f"{head}Authorization: Bearer {manager.token}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    assert answer.startswith("HTTP/1.1 200")
    assert answer.endswith("\r\n\r\n" + code(manager, "noLogFileFound"))


def test_a_log_is_sent_in_chunks_once_it_outgrows_the_buffer(manager):
    manager.sandbox.fate("big_log", size=300_000)
    job_uuid = manager.submitted()
    answer = manager.finished(job_uuid)
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert len(answer.content) >= 300_000
    assert len(set(answer.text.split("\n"))) == 3, "header, one row, the blank line"


# Fates


@pytest.mark.parametrize(
    ("fate", "status", "applied", "answer"),
    [
        ("failed", "FAILED", False, "noLogFileFound"),
        ("empty_log", "FAILED", False, ""),
        ("log_gone", "COMPLETED", True, "noLogFileFound"),
        ("no_file", "COMPLETED", True, "noLogFileFound"),
    ],
)
def test_a_job_that_leaves_no_log_has_applied_all_or_nothing(manager, fate, status, applied, answer):
    manager.sandbox.fate(fate)
    found = manager.finished(manager.submitted())
    assert found.text == (answer and code(manager, answer))
    assert ("Content-Disposition" in found.headers) == (answer == "")
    assert statuses(manager.sandbox) == [status]
    assert bool(manager.sandbox.data()) == applied


def test_a_stuck_job_stays_in_progress_and_applies_nothing(manager):
    manager.sandbox.fate("stuck")
    stuck, other = manager.submitted(), manager.submitted(odm("SS_BOS002"))
    manager.finished(other)
    assert manager.download(stuck).text == code(manager, "jobInProgress")
    assert {item["participant"] for item in manager.sandbox.data()} == {"BOS-002"}


def test_lost_rows_are_applied_and_not_logged(manager):
    manager.sandbox.fate("lost_rows")
    log = manager.finished(manager.submitted(odm("SS_BOS001", "SS_BOS002"))).text
    assert ("BOS-001" in log, "BOS-002" in log) == (True, False)
    assert {item["participant"] for item in manager.sandbox.data()} == {"BOS-001", "BOS-002"}


def test_a_fate_strikes_as_often_as_planned_and_then_jobs_go_their_usual_way(manager):
    manager.sandbox.fate("failed", times=2)
    for _ in range(3):
        manager.finished(manager.submitted())
    assert statuses(manager.sandbox) == ["FAILED", "FAILED", "COMPLETED"]


@pytest.mark.parametrize(
    ("log", "left"),
    [
        (b"h\na,1,x\nb,2,y\nb,2,z\n\n", b"h\na,1,x\n\n"),
        (b"h\na,1,x\n\n", b"h\n\n"),
        (b"h\n\n", b"h\n\n"),
        (b"", b""),
    ],
)
def test_the_last_participant_is_dropped_from_a_log(log, left):
    assert without_last_participant(log) == left


# Lists


@pytest.mark.parametrize("path", ["studies/S_JUNO/jobs", "studies/S_JUNO/sites/S_BOSTON/jobs"])
def test_a_list_names_the_callers_jobs_and_their_files(manager, path):
    Caller(manager.sandbox, "second_manager").submit()
    job_uuid = manager.submitted(name="night-7.xml")
    manager.finished(job_uuid)
    (job,) = manager.get(path).json()
    assert set(job) == LISTED
    assert (job["uuid"], job["status"], job["type"]) == (job_uuid, "COMPLETED", "XML_IMPORT")
    assert (job["sourceFileName"], job["createdByUsername"]) == ("night-7.xml", "data_manager")
    assert (job["studyOid"], job["siteOid"]) == ("S_JUNO", "S_BOSTON")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", job["dateCreated"])
    assert job["dateCompleted"] > job["dateCreated"]


def test_a_job_of_the_study_has_no_site_and_is_in_no_list_of_a_site(manager):
    manager.submit(odm(study="S_JUNO"))
    assert [job["siteOid"] for job in manager.get("studies/S_JUNO/jobs").json()] == [""]
    assert manager.get("studies/S_JUNO/sites/S_BOSTON/jobs").json() == []


def test_a_list_leaves_out_deleted_jobs(manager):
    job_uuid = manager.submitted()
    manager.finished(job_uuid)
    manager.call("DELETE", f"jobs/{job_uuid}")
    assert manager.get("studies/S_JUNO/jobs").json() == []


def test_a_list_tells_a_failed_job_by_its_uploaded_name(manager):
    manager.sandbox.fate("failed")
    manager.finished(manager.submitted(name="bad.xml"))
    (job,) = manager.get("studies/S_JUNO/jobs").json()
    assert (job["status"], job["sourceFileName"]) == ("FAILED", "bad.xml")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("studies/S_NOPE/jobs", "InValid StudyOID. The StudyOID is invalid or does not exist"),
        ("studies/s_juno/jobs", "InValid StudyOID. The StudyOID is invalid or does not exist"),
        ("studies/S_BOSTON/jobs", "InValid StudyOID. The StudyOID should have a Study Level Oid"),
        ("studies/S_JUNO/sites/S_NOPE/jobs", "InValid SiteOID. The SiteOID is invalid or does not exist"),
        ("studies/S_JUNO/sites/S_JUNO/jobs", "InValid SiteOID. The SiteOID should have a Site Level Oid"),
    ],
)
def test_a_refused_list_says_why_in_a_header_of_an_empty_answer(manager, path, reason):
    answer = manager.get(path)
    assert (answer.status_code, answer.content) == (400, b"")
    assert answer.headers["X-runtimeApp-error"] == reason
    assert answer.headers["X-runtimeApp-params"] == "JobController"


@pytest.mark.parametrize(
    ("login", "path", "status"),
    [
        ("monitor", "studies/S_JUNO/jobs", 200),
        ("monitor", "studies/S_JUNO/sites/S_BOSTON/jobs", 200),
        ("crc_boston", "studies/S_JUNO/sites/S_BOSTON/jobs", 200),
        ("crc_boston", "studies/S_JUNO/sites/S_LEIDEN/jobs", 500),
        ("crc_boston", "studies/S_JUNO/jobs", 500),
    ],
)
def test_a_list_without_the_role_fails_in_html(sandbox, login, path, status):
    answer = Caller(sandbox, login).get(path)
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("text/html") == (status == 500)


@pytest.mark.parametrize(("dialect", "status"), [("docs", 404), ("source", 200)])
def test_job_lists_exist_in_the_source_only_unless_asked_for(dialect, status):
    with Sandbox(dialect=dialect, token_rate=0) as sandbox:
        assert Caller(sandbox).get("studies/S_JUNO/jobs").status_code == status


# Deletion


def test_a_deletion_answers_in_headers_and_works_twice(manager):
    job_uuid = manager.submitted()
    manager.finished(job_uuid)
    for _ in range(2):
        answer = manager.call("DELETE", f"jobs/{job_uuid}")
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["X-studyServiceApp-params"] == job_uuid
        assert answer.headers["X-studyServiceApp-alert"] == f"A JobController is deleted with identifier {job_uuid}"


def test_only_the_creator_may_delete(manager):
    job_uuid = manager.submitted()
    answer = Caller(manager.sandbox, "second_manager").call("DELETE", f"jobs/{job_uuid}")
    assert (answer.status_code, answer.content) == (400, b"")
    assert answer.headers["X-runtimeApp-error"].startswith("Incorrect User.")


def test_deleting_an_unknown_job_fails(manager):
    assert manager.call("DELETE", "jobs/nope").status_code == 500


def test_a_job_deleted_while_it_runs_comes_back_at_its_end(manager):
    manager.sandbox.fate("stuck")
    job_uuid = manager.submitted()
    assert manager.call("DELETE", f"jobs/{job_uuid}").status_code == 200
    assert manager.download(job_uuid).status_code == 404
    manager.sandbox.release()
    until(manager.sandbox, "COMPLETED")
    assert manager.download(job_uuid).content.startswith(b"SubjectKey,")


def test_stuck_jobs_are_let_go_one_by_one_or_all_at_once(manager):
    manager.sandbox.fate("stuck", times=3)
    jobs = [manager.submitted() for _ in range(3)]
    url = f"{manager.sandbox.url}/sandbox/release"
    assert requests.post(url, json={"uuid": jobs[1]}, timeout=10).json() == {"released": 1}
    assert requests.post(url, json={"uuid": jobs[1]}, timeout=10).json() == {"released": 0}
    until(manager.sandbox, "IN_PROGRESS", "COMPLETED", "IN_PROGRESS")
    assert requests.post(url, timeout=10).json() == {"released": 2}
    until(manager.sandbox, *["COMPLETED"] * 3)


def test_a_reset_forgets_stuck_jobs(manager):
    manager.sandbox.fate("stuck")
    manager.submit()
    manager.sandbox.reset()
    assert manager.sandbox.release() == 0


# Restarts and resets


def test_a_restart_keeps_jobs_data_and_tokens_and_leaves_running_jobs_in_progress(tmp_path):
    options = {"state": tmp_path / "clinic.sqlite", "dialect": "source", "token_rate": 0, "job_seconds": 0}
    with Sandbox(**options) as sandbox:
        before = Caller(sandbox)
        done = before.submitted()
        before.finished(done)
        sandbox.fate("slow", seconds=60)
        running = before.submitted(odm("SS_BOS002"))
    with Sandbox(**options) as sandbox:
        caller = Caller(sandbox)
        caller.token = before.token
        assert caller.download(done).content.startswith(b"SubjectKey,")
        assert caller.download(running).text == "error.jobInProgress"
        assert {item["participant"] for item in sandbox.data()} == {"BOS-001"}
        time.sleep(0.1)
        assert statuses(sandbox) == ["COMPLETED", "IN_PROGRESS"]


def test_a_job_under_way_at_a_reset_writes_nothing(manager):
    manager.sandbox.fate("slow", seconds=0.2)
    manager.submit()
    manager.sandbox.reset()
    time.sleep(0.4)
    assert (manager.sandbox.data(), manager.sandbox.jobs()) == ([], [])


def test_many_jobs_at_once_all_end(manager):
    with_many = [threading.Thread(target=manager.submit) for _ in range(24)]
    for thread in with_many:
        thread.start()
    for thread in with_many:
        thread.join()
    until(manager.sandbox, *["COMPLETED"] * 24)
    assert len(manager.sandbox.data()) == 1

"""Faults on the wire: what a client sees, and what the sandbox did meanwhile."""

from __future__ import annotations

import http.client
import socket
import time
from typing import TYPE_CHECKING

import pytest
import requests

from airflow_provider_openclinica.sandbox.faults import Fault, Faults, Kind
from tests.sandbox.calls import Caller, odm

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

LIST = "studies/S_JUNO/jobs"
HTML = "text/html; charset=utf-8"


def plan(sandbox: Sandbox, **wanted: object) -> int:
    answer = requests.post(f"{sandbox.url}/sandbox/faults", json=wanted, timeout=10)
    assert answer.ok, answer.text
    return int(answer.json()["id"])


def bytes_answered(caller: Caller, path: str) -> bytes:
    """Ask over a bare socket, and read to the end of the connection, however it ends."""
    received = b""
    with socket.create_connection(("127.0.0.1", caller.sandbox.port), timeout=10) as connection:
        head = f"GET /OpenClinica/pages/auth/api/{path} HTTP/1.1\r\nHost: x\r\nUser-Agent: x\r\n"
        connection.sendall(f"{head}Authorization: Bearer {caller.token}\r\n\r\n".encode())
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionResetError:
            pass
    return received


# Cut connections


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_a_dropped_connection_ends_without_a_byte(manager, kind):
    plan(manager.sandbox, kind=kind, match={"method": "GET", "path": "studies/*"})
    assert bytes_answered(manager, LIST) == b""
    assert manager.get(LIST).status_code == 200


@pytest.mark.parametrize(("kind", "jobs"), [("drop_before", 0), ("drop_after", 1)])
@pytest.mark.parametrize("size", [1, 3_000_000], ids=["small", "large"])
def test_a_dropped_import_has_made_a_job_or_not(manager, kind, jobs, size):
    plan(manager.sandbox, kind=kind, match={"method": "POST", "path": "clinicaldata/import*"})
    with pytest.raises(requests.ConnectionError):
        manager.submit(odm() + b" " * size)
    assert len(manager.sandbox.jobs()) == jobs
    assert manager.submit().status_code == 200


@pytest.mark.parametrize(("size", "fate"), [(5, None), (100_000, "big_log")], ids=["known-length", "chunked"])
def test_an_answer_can_end_in_the_middle(manager, size, fate):
    if fate:
        manager.sandbox.fate(fate, size=300_000)
    job_uuid = manager.submitted()
    whole = manager.finished(job_uuid).content
    plan(manager.sandbox, kind="cut_body", size=size, match={"path": "jobs/*"})
    with pytest.raises((http.client.IncompleteRead, requests.exceptions.ChunkedEncodingError)):
        manager.download(job_uuid).raise_for_status()
    plan(manager.sandbox, kind="cut_body", size=size, match={"path": "jobs/*"})
    _head, _, body = bytes_answered(manager, f"jobs/{job_uuid}/downloadFile").partition(b"\r\n\r\n")
    if fate is None:
        assert body == whole[:size]
    assert manager.download(job_uuid).content == whole


def test_a_body_that_is_shorter_than_the_cut_arrives_whole(manager):
    plan(manager.sandbox, kind="cut_body", size=10_000, match={"path": "studies/*"})
    assert manager.get(LIST).json() == []


# Late answers


def test_a_delayed_answer_comes_late_and_whole(manager):
    plan(manager.sandbox, kind="delay", seconds=0.3, match={"path": "studies/*"})
    started = time.monotonic()
    assert manager.get(LIST).json() == []
    assert time.monotonic() - started >= 0.3


def test_a_client_that_gave_up_waiting_has_its_job_all_the_same(manager):
    plan(manager.sandbox, kind="delay", seconds=60, match={"path": "clinicaldata/*"})
    with pytest.raises(requests.ReadTimeout):
        requests.post(
            f"{manager.sandbox.api_url}/{manager.import_path}",
            files={"file": ("odm.xml", odm())},
            headers={"Authorization": f"Bearer {manager.token}"},
            timeout=2,
        )
    while not manager.sandbox.jobs():
        time.sleep(0.02)
    assert len(manager.sandbox.jobs()) == 1


# Other answers


@pytest.mark.parametrize(
    ("wanted", "status", "body", "headers"),
    [
        pytest.param({"kind": "status"}, 503, "Service Unavailable", {"Content-Type": HTML}, id="503"),
        pytest.param(
            {"kind": "status", "status": 429, "headers": {"Retry-After": "7"}, "body": "slow"},
            429, "slow", {"Retry-After": "7"}, id="429",
        ),
        pytest.param({"kind": "status", "status": 520}, 520, "<h1>520 </h1>", {}, id="a-proxys-own-status"),
        pytest.param({"kind": "html"}, 200, "Log in", {"Content-Type": HTML}, id="login-page"),
        pytest.param({"kind": "html", "status": 403}, 403, "Log in", {}, id="login-page-403"),
        pytest.param({"kind": "redirect"}, 302, "", {"Location": "/OpenClinica/sso/login"}, id="redirect"),
        pytest.param(
            {"kind": "redirect", "status": 307, "headers": {"Location": "http://other.example/"}},
            307, "", {"Location": "http://other.example/"}, id="redirect-elsewhere",
        ),
        pytest.param({"kind": "code", "body": "errorCode.jobPaused"}, 200, "errorCode.jobPaused", {}, id="a-new-code"),
        pytest.param({"kind": "code", "status": 404, "body": "error.x"}, 404, "error.x", {}, id="a-code-with-404"),
    ],
)  # fmt: skip
def test_an_answer_can_be_any_other(manager, wanted, status, body, headers):
    plan(manager.sandbox, **wanted, match={"method": "POST", "path": "clinicaldata/import*"})
    answer = manager.submit(odm() + b" " * 500_000)
    assert answer.status_code == status
    assert body in answer.text
    assert {name: answer.headers[name] for name in headers} == headers
    assert manager.sandbox.jobs() == []
    assert manager.sandbox.requests()[-1]["bytes"] > 500_000, "the request was read to its end"


@pytest.mark.parametrize("kind", ["status", "html", "redirect", "code"])
def test_an_answer_can_be_another_though_the_request_was_processed(manager, kind):
    plan(manager.sandbox, kind=kind, processed=True, match={"path": "clinicaldata/import*"})
    assert "job uuid" not in manager.submit().text
    assert len(manager.sandbox.jobs()) == 1


# Matching


@pytest.mark.parametrize(
    ("method", "path", "asked", "strikes"),
    [
        ("*", "*", ("GET", "/OpenClinica/pages/auth/api/studies/S_JUNO/jobs"), True),
        ("GET", "studies/*", ("GET", "/OpenClinica/pages/auth/api/studies/S_JUNO/jobs"), True),
        ("GET", "/studies/*", ("GET", "/OpenClinica/pages/auth/api/studies/S_JUNO/jobs"), True),
        ("GET", "studies/*/jobs", ("GET", "/OpenClinica/pages/auth/api/studies/S_JUNO(TEST)/jobs"), True),
        ("POST", "studies/*", ("GET", "/OpenClinica/pages/auth/api/studies/S_JUNO/jobs"), False),
        ("GET", "jobs/*", ("GET", "/OpenClinica/pages/auth/api/studies/S_JUNO/jobs"), False),
        ("POST", "user-service/*", ("POST", "/user-service/api/oauth/token"), True),
        ("GET", "OpenClinica/Jobs", ("GET", "/OpenClinica/Jobs"), True),
    ],
)
def test_a_fault_strikes_where_method_and_path_match(method, path, asked, strikes):
    faults = Faults()
    faults.plan(Fault(kind=Kind.HTML, method=method, path=path))
    assert (faults.strike(*asked) is not None) == strikes


@pytest.mark.parametrize(("times", "struck"), [(1, 1), (3, 3), (None, 5)])
def test_a_fault_strikes_as_often_as_it_was_told(times, struck):
    faults = Faults()
    faults.plan(Fault(kind=Kind.HTML, times=times))
    assert sum(faults.strike("GET", "/x") is not None for _ in range(5)) == struck


def test_faults_strike_in_the_order_in_which_they_were_planned(manager):
    plan(manager.sandbox, kind="status", status=502, times=2, match={"path": "studies/*"})
    plan(manager.sandbox, kind="status", status=504, match={"path": "studies/*"})
    assert [manager.get(LIST).status_code for _ in range(4)] == [502, 502, 504, 200]


def test_a_fault_can_be_called_off(manager):
    number = plan(manager.sandbox, kind="status", match={"path": "studies/*"})
    plan(manager.sandbox, kind="html", match={"path": "studies/*"})
    requests.delete(f"{manager.sandbox.url}/sandbox/faults", json={"id": number}, timeout=10)
    assert "Log in" in manager.get(LIST).text
    plan(manager.sandbox, kind="status", times=None)
    requests.delete(f"{manager.sandbox.url}/sandbox/faults", timeout=10)
    assert manager.get(LIST).status_code == 200


def test_control_routes_stay_reachable_and_are_not_noted(manager):
    plan(manager.sandbox, kind="drop_before", times=None)
    answer = requests.get(f"{manager.sandbox.url}/sandbox/requests", timeout=10)
    assert [entry["path"] for entry in answer.json()] == ["/user-service/api/oauth/token"]


def test_the_token_endpoint_can_fail_too(sandbox):
    plan(sandbox, kind="status", status=429, match={"path": "user-service/*"})
    body = {"username": "data_manager", "password": "sandbox"}
    assert [requests.post(sandbox.auth_url, json=body, timeout=10).status_code for _ in range(2)] == [429, 200]


def test_a_client_that_leaves_in_the_middle_of_a_download_stops_it(manager):
    manager.sandbox.fate("big_log", size=50_000_000)
    job_uuid = manager.submitted()
    while manager.get(LIST).json()[0]["status"] != "COMPLETED":
        time.sleep(0.02)
    with manager.download(job_uuid, stream=True) as answer:
        assert answer.raw.read(10)
    assert manager.get(LIST).status_code == 200

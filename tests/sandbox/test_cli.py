"""The sandbox as a command: its first line, its options, its end."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import requests

from tests.sandbox.calls import odm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = [sys.executable, "-m", "airflow_provider_openclinica.sandbox"]
PASSWORD = "sandbox"
STUDY = """<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3"><Study OID="S_MINI"><GlobalVariables><StudyName>Mini\
</StudyName><StudyDescription>x</StudyDescription><ProtocolName>mini</ProtocolName></GlobalVariables>
<MetaDataVersion OID="v1" Name="v1"><Protocol/></MetaDataVersion></Study></ODM>"""


@contextmanager
def running(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start it, and give the process and the study URL of its first line."""
    command = [*COMMAND, "--port", "0", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().rstrip().rpartition(" on ")[2]
        finally:
            process.terminate()  # a clean end removes its temporary files


def token(study_url: str, login: str = "data_manager", password: str = PASSWORD) -> requests.Response:
    address = study_url.replace("/OpenClinica", "/user-service/api/oauth/token")
    return requests.post(address, json={"username": login, "password": password}, timeout=10)


@pytest.mark.parametrize("dialect", ["docs", "source"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_ends_well_on_a_signal(dialect, number):
    with running("--dialect", dialect) as (process, study_url):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/OpenClinica", study_url)
        assert requests.get(study_url, timeout=10).ok
        process.send_signal(number)
        assert process.wait(timeout=60) == 0
        rest, errors = process.stdout.read(), process.stderr.read()
        assert study_url.replace("/OpenClinica", "/user-service/api/oauth/token") in rest
        assert all(name in rest for name in ("data_manager", "crc_boston", "S_JUNO", "S_BOSTON", "S_LEIDEN"))
        assert "Traceback" not in errors


def test_its_own_log_names_calls_and_no_values():
    with running("--dialect", "source", "--job-seconds", 0) as (process, study_url):
        headers = {"Authorization": f"Bearer {token(study_url).text}"}
        address = f"{study_url}/pages/auth/api/clinicaldata"
        requests.post(f"{address}/import", files={"file": ("odm.xml", odm(pulse="731"))}, headers=headers, timeout=10)
        requests.get(f"{address}/studies/S_BOSTON/participants", headers=headers, timeout=10)
        process.terminate()
        _, log = process.communicate(timeout=60)
    assert [line.split(" ", 1)[1] for line in log.splitlines()] == [
        "POST hand_out_token 200",
        "POST import_odm 200",
        "GET list_participants 200",
    ]


def test_a_state_file_brings_jobs_back(tmp_path):
    arguments = ("--state", tmp_path / "clinic.sqlite", "--dialect", "source", "--job-seconds", "0")
    with running(*arguments) as (process, study_url):
        headers = {"Authorization": f"Bearer {token(study_url).text}"}
        address = f"{study_url}/pages/auth/api/clinicaldata/import"
        job = requests.post(address, files={"file": ("odm.xml", odm())}, headers=headers, timeout=10).text[-36:]
        process.terminate()
        process.wait(timeout=60)
    with running(*arguments) as (_, study_url):
        listed = requests.get(f"{study_url}/pages/auth/api/studies/S_JUNO/jobs", headers=headers, timeout=10).json()
        assert [one["uuid"] for one in listed] == [job]


def test_any_study_can_be_played(tmp_path):
    study = tmp_path / "mini.xml"
    study.write_text(STUDY)
    with running("--study", study, "--user", "ann:pass:word") as (_, study_url):
        answer = token(study_url, "ann", "pass:word")
        headers = {"Authorization": f"Bearer {answer.text}"}
        listed = requests.get(
            f"{study_url}/pages/auth/api/clinicaldata/studies/S_MINI/participants", headers=headers, timeout=10
        )
        assert listed.json()["studyParticipants"] == []


def test_options_reach_the_sandbox():
    with running("--job-list", "--token-rate", 1, "--token-seconds", -5) as (_, study_url):
        first, second = token(study_url), token(study_url)
        assert (first.status_code, second.status_code) == (200, 429)
        headers = {"Authorization": f"Bearer {first.text}"}
        jobs = requests.get(f"{study_url}/pages/auth/api/studies/S_JUNO/jobs", headers=headers, timeout=10)
        assert jobs.status_code == 401, "the address exists, the token has expired"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "unrecognized arguments"),  # noqa: S104
        (["--user", "ann"], "expected login:password"),
        (["--dialect", "klingon"], "invalid choice"),
        (["--version", "2"], "invalid choice"),
        (["--study", "STUDY"], "cannot start"),
        (["--study", "nowhere.xml"], "cannot start"),
        (["--state", "OTHER"], "cannot start"),
        (["--state", "STUDY"], "cannot start: the state cannot be kept in STUDY: file is not a database"),
        (["--state", "FOLDER"], "cannot start: the state cannot be kept in FOLDER: unable to open database file"),
        (["--port", "99999"], "expected a number up to 65535"),
    ],
)
def test_what_it_cannot_do_it_says_in_one_line(tmp_path: Path, arguments, message):
    (tmp_path / "STUDY").write_text("no xml")
    (tmp_path / "FOLDER").mkdir()
    if "OTHER" in arguments:
        (tmp_path / "mini.xml").write_text(STUDY)
        with running("--state", tmp_path / "OTHER", "--study", tmp_path / "mini.xml"):
            pass
    command = [*COMMAND, "--port", "0", *arguments]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_version_3_says_where_its_two_applications_are():
    with running("--version", 3) as (process, study_url):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/OpenClinica", study_url)
        assert requests.post(f"{study_url}/pages/healthcheck/runtime", timeout=10).json() == {"result": 20}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        rest = process.stdout.read()
        assert f"{study_url}-ws" in rest
        assert all(name in rest for name in ("data_manager", "S_JUNO", "S_BOSTON"))

"""Somebody who calls a sandbox over HTTP, and the documents to send."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

ODM = (
    '<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3"'
    ' xmlns:OpenClinica="http://www.openclinica.org/ns/odm_ext_v130/v3.1">'
    '<ClinicalData StudyOID="{study}">{subjects}</ClinicalData></ODM>'
)
SUBJECT = (
    '<SubjectData SubjectKey="{key}" OpenClinica:StudySubjectID="{label}">'
    '<StudyEventData StudyEventOID="SE_BASELINE" StudyEventRepeatKey="1" OpenClinica:StartDate="2026-01-05">'
    '<FormData FormOID="F_VITALS"><ItemGroupData ItemGroupOID="IG_VITALS_MAIN" ItemGroupRepeatKey="1">'
    '<ItemData ItemOID="I_VITALS_PULSE" Value="{pulse}"/>'
    "</ItemGroupData></FormData></StudyEventData></SubjectData>"
)


def odm(*keys: str, study: str = "S_BOSTON", pulse: str = "72") -> bytes:
    """An import of one value for each of these participants."""
    labels = {key: f"{key[3:6]}-{key[6:]}" for key in keys or ("SS_BOS001",)}
    subjects = "".join(SUBJECT.format(key=key, label=label, pulse=pulse) for key, label in labels.items())
    return ODM.format(study=study, subjects=subjects).encode()


class Caller:
    """Somebody with an account, who calls without any of our client's care."""

    def __init__(self, sandbox: Sandbox, login: str = "data_manager") -> None:
        self.sandbox = sandbox
        self.login = login
        reply = requests.post(sandbox.auth_url, json={"username": login, "password": "sandbox"}, timeout=10)
        self.token = reply.text
        self.import_path = "clinicaldata/import/xml" if self.is_docs else "clinicaldata/import"

    @property
    def is_docs(self) -> bool:
        return self.sandbox.service.dialect == "docs"

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        address = f"{self.sandbox.api_url}/{path}"
        return requests.request(method, address, headers=headers, timeout=20, allow_redirects=False, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.call("GET", path, **options)

    def submit(self, document: bytes | None = None, *, name: str = "odm.xml", **options: Any) -> requests.Response:
        return self.call("POST", self.import_path, files={"file": (name, document or odm())}, **options)

    def submitted(self, document: bytes | None = None, **options: Any) -> str:
        """Submit, and give the uuid of the job."""
        return self.submit(document, **options).text.removeprefix("job uuid: ")

    def download(self, job_uuid: str, **options: Any) -> requests.Response:
        return self.get(f"jobs/{job_uuid}/downloadFile", **options)

    def finished(self, job_uuid: str) -> requests.Response:
        """Poll until the job is no longer in progress."""
        deadline = time.monotonic() + 60
        while (answer := self.download(job_uuid)).text.endswith("jobInProgress"):
            assert time.monotonic() < deadline, "the job does not end"
            time.sleep(0.02)
        return answer


def raw_part(disposition: str, content: bytes) -> bytes:
    return f"--limit\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + content + b"\r\n--limit--\r\n"


def post_raw(caller: Caller, body: bytes) -> requests.Response:
    headers = {"Content-Type": "multipart/form-data; boundary=limit"}
    return caller.call("POST", caller.import_path, data=body, headers=headers)


def is_html(answer: requests.Response) -> bool:
    return answer.headers["Content-Type"].startswith("text/html") and answer.text.startswith("<!DOCTYPE html>")

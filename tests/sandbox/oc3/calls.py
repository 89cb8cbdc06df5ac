"""Call the sandbox of version 3 as a client has to, with nothing done behind one's back."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests
from lxml import etree

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

PASSWORD = "sandbox"
OC = "{http://www.openclinica.org/ns/odm_ext_v130/v3.1}"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
TEXT = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"


def sha1(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest()


class Browser:
    """Keeps cookies, and follows nothing."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.url = sandbox.study_url
        self.session = requests.Session()
        self.session.trust_env = False

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(f"{self.url}/{path}", allow_redirects=False, timeout=30, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.session.post(f"{self.url}/{path}", allow_redirects=False, timeout=30, **options)

    def log_in(self, login: str = "data_manager", password: str = PASSWORD) -> str:
        """Log in, and tell where that leads: path and query."""
        answer = self.post("j_spring_security_check", data={"j_username": login, "j_password": password})
        assert answer.status_code == 302
        return self.place(answer)

    def place(self, answer: requests.Response) -> str:
        return answer.headers["Location"].removeprefix(self.url)

    def xml(self, path: str, **flags: str) -> etree._Element:
        """Read clinical data."""
        answer = self.get(f"rest/clinicaldata/xml/view/{quote(path, safe='/*')}", params=flags)
        assert answer.status_code == 200
        return etree.fromstring(answer.content)

    @property
    def cookie(self) -> str | None:
        return self.session.cookies.get("JSESSIONID")


class Keyed:
    """Has the key of an account."""

    def __init__(self, sandbox: Sandbox, login: str = "administrator") -> None:
        self.url = sandbox.study_url
        self.key = sandbox.service.tokens.api_key(login)

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(f"{self.url}/pages/auth/api/v1/{path}", auth=(self.key, ""), timeout=30, **options)

    def post(self, path: str, body: Any, **options: Any) -> requests.Response:
        address = f"{self.url}/pages/auth/api/v1/{path}"
        return requests.post(address, json=body, auth=(self.key, ""), timeout=30, **options)


class Soap:
    """Sends envelopes."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.url = sandbox.ws_url

    def send(
        self,
        service: str,
        payload: str,
        *,
        login: str = "data_manager",
        password: str = sha1(PASSWORD),
        kind: str = TEXT,
    ) -> requests.Response:
        token = (
            f'<w:Security xmlns:w="{WSSE}"><w:UsernameToken><w:Username>{login}</w:Username>'
            f'<w:Password Type="{kind}">{password}</w:Password></w:UsernameToken></w:Security>'
        )
        return self.post(service, f"<s:Header>{token}</s:Header><s:Body>{payload}</s:Body>")

    def post(self, service: str, content: str) -> requests.Response:
        envelope = (
            '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
            f'xmlns:d="http://openclinica.org/ws/{service}/v1" xmlns:b="http://openclinica.org/ws/beans" '
            f'xmlns:OpenClinica="{OC[1:-1]}">{content}</s:Envelope>'
        )
        headers = {"Content-Type": "text/xml; charset=utf-8"}
        return requests.post(f"{self.url}/ws/{service}/v1", envelope.encode(), headers=headers, timeout=30)

    def ask(self, service: str, payload: str, **options: Any) -> etree._Element:
        """Give what stands in the body of an answer with status 200."""
        answer = self.send(service, payload, **options)
        assert answer.status_code == 200, answer.text
        (content,) = etree.fromstring(answer.content).find("{*}Body")
        return content

    def fault(self, service: str, payload: str, **options: Any) -> str:
        """Give the text of a fault."""
        answer = self.send(service, payload, **options)
        assert answer.status_code == 500
        (text,) = texts(etree.fromstring(answer.content), "faultstring")
        return text


def texts(node: etree._Element, name: str) -> list[str]:
    """Give the text of all elements of that name."""
    return [found.text or "" for found in node.iter(f"{{*}}{name}")]


def found(node: etree._Element, name: str, attribute: str) -> list[str | None]:
    """Give an attribute of all elements of that name."""
    return [each.get(attribute) for each in node.iter(f"{{*}}{name}")]


def study_ref(site: str = "", study: str = "juno") -> str:
    within = f"<b:siteRef><b:identifier>{site}</b:identifier></b:siteRef>" if site else ""
    return f"<b:studyRef><b:identifier>{study}</b:identifier>{within}</b:studyRef>"


def tag(name: str, text: str | None) -> str:
    return "" if text is None else f"<b:{name}>{text}</b:{name}>"


def create(
    label: str | None = "NEW-1", *, site: str = "juno-boston", enrolled: str | None = "2025-01-02", **person: str
) -> str:
    subject = "".join(tag(name, text) for name, text in person.items())
    sent = f"{tag('label', label)}{tag('enrollmentDate', enrolled)}<b:subject>{subject}</b:subject>{study_ref(site)}"
    return f"<d:createRequest><d:studySubject>{sent}</d:studySubject></d:createRequest>"


def is_there(label: str, site: str = "") -> str:
    sent = f"{tag('label', label)}{study_ref(site)}"
    return f"<d:isStudySubjectRequest><d:studySubject>{sent}</d:studySubject></d:isStudySubjectRequest>"


def schedule(
    label: str = "BOS-001",
    event: str = "SE_FOLLOWUP",
    *,
    start: str | None = "2025-02-03",
    study: str = "juno",
    **more: str,
) -> str:
    rest = "".join(tag(name, text) for name, text in more.items())
    sent = (
        f"<b:studySubjectRef>{tag('label', label)}</b:studySubjectRef>{study_ref(study=study)}"
        f"{tag('eventDefinitionOID', event)}{tag('startDate', start)}{rest}"
    )
    return f"<d:scheduleRequest><d:event>{sent}</d:event></d:scheduleRequest>"

"""SOAP as it passes: who asks, what is asked, and how it is answered (docs/protocol3.md, web services).

What is asked is told by the name of the first element of the body, whatever the path. A refusal is a 200 with ``Fail``
in it; what nobody caught, and whoever may not ask, is a fault with 500.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml import etree
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from airflow_provider_openclinica.sandbox.answers import html
from airflow_provider_openclinica.sandbox.oc3.imports import import_data
from airflow_provider_openclinica.sandbox.oc3.registry import (
    create_participant,
    find_participant,
    list_event_definitions,
    list_participants,
    list_studies,
    schedule_event,
    study_metadata,
)
from airflow_provider_openclinica.sandbox.oc3.service import Service3, service_of, stored_password
from airflow_provider_openclinica.sandbox.oc3.soap import FAIL, Call, Failed, Fault, Tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from airflow_provider_openclinica.sandbox.accounts import Account

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
SECURITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
PASSWORD_TEXT = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"  # noqa: S105 - a name
CONTENT_TYPE = "text/xml; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Operation:
    """What is done for one element, and what the answer to it is called."""

    run: Callable[[Call], list[Tree]]
    answer: str


_WS = "http://openclinica.org/ws"
OPERATIONS = {
    f"{{{_WS}/study/v1}}listAllRequest": Operation(list_studies, "listAllResponse"),
    f"{{{_WS}/study/v1}}getMetadataRequest": Operation(study_metadata, "createResponse"),
    f"{{{_WS}/studyEventDefinition/v1}}listAllRequest": Operation(list_event_definitions, "listAllResponse"),
    f"{{{_WS}/studySubject/v1}}listAllByStudyRequest": Operation(list_participants, "listAllByStudyResponse"),
    f"{{{_WS}/studySubject/v1}}isStudySubjectRequest": Operation(find_participant, "createResponse"),
    f"{{{_WS}/studySubject/v1}}createRequest": Operation(create_participant, "createResponse"),
    f"{{{_WS}/event/v1}}scheduleRequest": Operation(schedule_event, "scheduleResponse"),
    f"{{{_WS}/data/v1}}importRequest": Operation(import_data, "importDataResponse"),
}


async def answer_soap(request: Request) -> Response:
    """Answer a call."""
    body = await request.body()
    return await run_in_threadpool(_answer, request, body)


def _answer(request: Request, body: bytes) -> Response:
    service = service_of(request)
    try:
        envelope = _parsed(body)
        account = _account(service, envelope)
        request.scope["user"] = account.login
        payload = _payload(envelope)
        operation = OPERATIONS.get(str(payload.tag))
        if operation is None:
            return html(404)
        call = Call(service, account, payload)
        try:
            content = operation.run(call)
        except Failed as failed:
            content = [("result", FAIL), *(("error", error) for error in failed.errors)]
        return _reply(_element((operation.answer, content), call.namespace))
    except Fault as fault:
        return _fault(str(fault))


def _parsed(body: bytes) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        envelope = etree.fromstring(body, parser)
    except etree.XMLSyntaxError:
        raise Fault("the request is not well-formed") from None
    if envelope.tag != f"{{{ENVELOPE}}}Envelope" or envelope.getroottree().docinfo.doctype:
        raise Fault("the request is no envelope of SOAP 1.1")
    return envelope


def _payload(envelope: etree._Element) -> etree._Element:
    body = envelope.find(f"{{{ENVELOPE}}}Body")
    payload = next(iter(body), None) if body is not None else None
    if payload is None:
        raise Fault("the body of the request is empty")
    return payload


def _account(service: Service3, envelope: etree._Element) -> Account:
    """Tell who asks: the password's text is the hash that the server stores."""
    token = envelope.find(f"{{{ENVELOPE}}}Header/{{{SECURITY}}}Security/{{{SECURITY}}}UsernameToken")
    if token is None:
        raise Fault("no WS-Security header with a UsernameToken")
    password = token.find(f"{{{SECURITY}}}Password")
    login = token.findtext(f"{{{SECURITY}}}Username", "").strip()
    account = service.accounts.get(login)
    text = (password.text or "") if password is not None else ""
    kind = password.get("Type", PASSWORD_TEXT) if password is not None else ""
    if (
        account is None
        or kind != PASSWORD_TEXT
        or not hmac.compare_digest(stored_password(account).encode(), text.encode())
    ):
        raise Fault("Invalid Username or Password")
    if not account.soap:
        raise Fault(
            "Authorization is required to execute SOAP web services with this account."
            "Please contact your administrator."
        )
    return account


def _element(tree: Tree, namespace: str) -> etree._Element:
    name, content = tree
    node = etree.Element(f"{{{namespace}}}{name}", nsmap={None: namespace})
    if isinstance(content, str):
        node.text = content
    else:
        node.extend(_element(each, namespace) for each in content)
    return node


def _reply(content: etree._Element, status: int = 200) -> Response:
    envelope = etree.Element(f"{{{ENVELOPE}}}Envelope", nsmap={"SOAP-ENV": ENVELOPE})
    etree.SubElement(envelope, f"{{{ENVELOPE}}}Header")
    etree.SubElement(envelope, f"{{{ENVELOPE}}}Body").append(content)
    return Response(etree.tostring(envelope, encoding="UTF-8"), status, headers={"Content-Type": CONTENT_TYPE})


def _fault(reason: str) -> Response:
    fault = etree.Element(f"{{{ENVELOPE}}}Fault", nsmap={"SOAP-ENV": ENVELOPE})
    etree.SubElement(fault, "faultcode").text = "SOAP-ENV:Client"
    etree.SubElement(fault, "faultstring").text = reason
    return _reply(fault, 500)


def show_wsdl(_request: Request) -> Response:
    """Give a description that describes nothing: the real ones and the wire differ."""
    document = b'<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"/>'
    return Response(document, headers={"Content-Type": CONTENT_TYPE})

"""SOAP 1.1 as OpenClinica 3 reads and writes it.

    envelope("event", Element("scheduleRequest", …), login, password_hash)    the bytes to send
    parsed(received)                                                          the child of the body, or its fault

The request and its child are in the namespace of the service, what is below in that of the beans, which one of the
calls insists on and the others do not mind. Replies are read by local name: what they are called and in which namespace
they stand is not what the WSDL says (docs/protocol3.md, web services).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from airflow_provider_openclinica.errors import ConfigurationError

if TYPE_CHECKING:
    from lxml import etree

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
BEANS = "http://openclinica.org/ws/beans"
EXTENSION = "http://www.openclinica.org/ns/odm_ext_v130/v3.1"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
PASSWORD_TEXT = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"  # noqa: S105

_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Element:
    """An element of a request: a name, and a text or elements.

    :param content: one text, or elements.
    :param deep: all that is in it is in the namespace of the beans, the first level too.
    :param raw: XML that stands in it as it is.
    """

    def __init__(self, name: str, *content: str | Element, deep: bool = False, raw: bytes = b"") -> None:
        self.name, self.content, self.deep, self.raw = name, content, deep, raw

    def write(self, prefix: str, below: str) -> str:
        """Return it as XML.

        :param prefix: of its own name.
        :param below: of the names of what is in it.
        """
        inside = "".join(_escaped(part) if isinstance(part, str) else part.write(below, "b") for part in self.content)
        return f"<{prefix}:{self.name}>{inside}</{prefix}:{self.name}>"


def envelope(service: str, request: Element, login: str, password_hash: str) -> bytes:
    """Return the bytes of a call.

    :param service: ``study``, ``studySubject``, ``event``, ``data``.
    :param password_hash: what the server compares with what it has stored; it travels as it is.
    :raises ConfigurationError: a text holds a character that XML cannot hold.
    """
    head = (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:v="http://openclinica.org/ws/{service}/v1" xmlns:b="{BEANS}" '
        f'xmlns:OpenClinica="{EXTENSION}"><s:Header><w:Security s:mustUnderstand="1" xmlns:w="{WSSE}">'
        f"<w:UsernameToken><w:Username>{_escaped(login)}</w:Username>"
        f'<w:Password Type="{PASSWORD_TEXT}">{password_hash}</w:Password></w:UsernameToken></w:Security></s:Header>'
        "<s:Body>"
    )
    if request.raw:
        body = b"<v:%s>%s</v:%s>" % (request.name.encode(), request.raw, request.name.encode())
    else:
        body = request.write("v", "b" if request.deep else "v").encode()
    return head.encode() + body + b"</s:Body></s:Envelope>"


def parsed(received: bytes) -> etree._Element | None:
    """Return the element in the body of a reply; None for what is no SOAP."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        root = etree.fromstring(received, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    if root.getroottree().docinfo.doctype or root.tag != f"{{{SOAP}}}Envelope":
        return None
    body = root.find(f"{{{SOAP}}}Body")
    return body[0] if body is not None and len(body) else None


def text_of(element: etree._Element, name: str) -> str:
    """Return the text of the first child of that local name; ``""`` where there is none."""
    return next(iter(texts_of(element, name)), "")


def texts_of(element: etree._Element, name: str) -> tuple[str, ...]:
    """Return the texts of all children of that local name."""
    return tuple((child.text or "").strip() for child in element if local_name(child) == name)


def local_name(element: etree._Element) -> str:
    """Return the name of an element, whatever its namespace; ``""`` for a comment."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _escaped(text: str) -> str:
    if _ILLEGAL.search(text):
        raise ConfigurationError("A text that was to be sent holds a character that XML cannot hold")
    return escape(text)

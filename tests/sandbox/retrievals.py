"""Retrieve what the sandbox stores, and look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lxml import etree

if TYPE_CHECKING:
    import requests

    from tests.sandbox.calls import Caller

OC = "{http://www.openclinica.org/ns/odm_ext_v130/v3.1}"
XML = "application/xml;charset=UTF-8"
JSON = "application/json;charset=UTF-8"


def retrieve(
    caller: Caller, path: str = "S_JUNO/*/*/*", *, accept: str = XML, language: str = "en-US", **flags: str
) -> requests.Response:
    """Ask for data without metadata, unless the flags say otherwise."""
    address = "clinicaldata/" + quote(path, safe="/*,")
    headers = {"Accept": accept, "Accept-Language": language}
    return caller.get(address, params={"includeMetadata": "n", **flags}, headers=headers)


def document(caller: Caller, path: str = "S_JUNO/*/*/*", **flags: str) -> etree._Element:
    """Ask for data, and parse them."""
    answer = retrieve(caller, path, **flags)
    assert answer.status_code == 200
    return etree.fromstring(answer.content)


def json_data(caller: Caller, path: str = "S_JUNO/*/*/*", **flags: str) -> Any:
    """Ask for data as JSON; the ``ClinicalData`` of it."""
    answer = retrieve(caller, path, accept=JSON, **flags)
    assert answer.status_code == 200
    return answer.json().get("ClinicalData")


def found(root: etree._Element, name: str, attribute: str) -> list[str | None]:
    """Give an attribute of all elements of that name."""
    return [node.get(attribute) for node in root.iter(f"{{*}}{name}")]


def only(root: etree._Element, name: str) -> etree._Element:
    """Give the only element of that name."""
    (node,) = root.iter(f"{{*}}{name}")
    return node

"""What all that can be asked by SOAP has in common (docs/protocol3.md, web services)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml import etree

from airflow_provider_openclinica.sandbox.accounts import Role
from airflow_provider_openclinica.sandbox.service import Place

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_openclinica.sandbox.accounts import Account
    from airflow_provider_openclinica.sandbox.oc3.service import Service3

BEANS = "http://openclinica.org/ws/beans"
SUCCESS, FAIL = "Success", "Fail"
AVAILABLE = {"AVAILABLE"}
AVAILABLE_OR_DESIGN = {"AVAILABLE", "DESIGN"}

Tree = tuple[str, "str | list[Tree]"]
"""An element of an answer: its name, and its text or its children."""


class Fault(Exception):  # noqa: N818 - not a failure of the sandbox, but of the server it plays
    """The server answers with a fault."""


class Failed(Exception):  # noqa: N818
    """The server refuses, in an answer with status 200."""

    def __init__(self, *errors: str) -> None:
        super().__init__(*errors)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    :param payload: the first element of the body.
    """

    service: Service3
    account: Account
    payload: etree._Element

    @property
    def namespace(self) -> str:
        """The namespace of the service that is asked."""
        return etree.QName(self.payload).namespace or ""

    def own_child(self, name: str) -> etree._Element:
        """Give a child that is in the service's own namespace.

        :raises Fault: it is not there.
        """
        found = self.payload.find(f"{{{self.namespace}}}{name}")
        if found is None:
            raise Fault(f"no {name} in the request")
        return found

    def place(self, reference: etree._Element | None) -> Place:
        """Find the study or site that a ``studyRef`` names by its protocol ID.

        :raises Fault: nothing is named.
        :raises Failed: there is none.
        """
        if reference is None:
            raise Fault("no studyRef in the request")
        wanted = said(reference, "identifier")
        study = next((study for study in self.service.studies() if study.unique_id == wanted), None)
        if study is None:
            raise Failed(f'Study identifier you specified "{wanted}" does not correspond to a valid study.', FAIL)
        site_reference = child(reference, "siteRef")
        if site_reference is None:
            return Place(study)
        wanted = said(site_reference, "identifier")
        site = next((site for site in study.sites if site.unique_id == wanted), None)
        if site is None:
            raise Failed(f'Site identifier you specified "{wanted}" does not correspond to a valid site.', FAIL)
        return Place(study, site)

    def require_role(self, place: Place, *, exactly: bool = False, writes: bool = False) -> None:
        """Refuse who has no role there.

        :param exactly: a role in the parent study does not count.
        :param writes: a monitor's role does not count.
        """
        places = (place.oid,) if exactly else (place.oid, place.study.oid)
        roles = {self.account.roles.get(oid) for oid in places if oid not in self.account.removed_roles} - {None}
        if writes:
            roles -= {Role.MONITOR}
        if not roles:
            raise Failed("You do not have sufficient privileges to proceed with this operation.", FAIL)

    def require_status(self, place: Place, allowed: Collection[str]) -> None:
        """Refuse where a study or site has a status that does not allow it."""
        statuses = {place.study.status, *([place.site.status] if place.site else [])}
        if not statuses <= set(allowed):
            raise Failed("The study or site does not have a status that allows this operation.", FAIL)


def child(node: etree._Element, name: str) -> etree._Element | None:
    """Give a child by its name, in whatever namespace."""
    return node.find(f"{{*}}{name}")


def said(node: etree._Element | None, *path: str) -> str:
    """Give the text at the end of a path of names; empty where there is none."""
    found = node.find("/".join(f"{{*}}{name}" for name in path)) if node is not None else None
    return (found.text or "").strip() if found is not None else ""


def optional(*pairs: tuple[str, str]) -> list[Tree]:
    """Give the elements that have a text."""
    return [(name, text) for name, text in pairs if text]

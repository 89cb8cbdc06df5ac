"""Who is named in exports: users with the number that stands for each (docs/protocol.md, clinical data)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_openclinica.sandbox.history import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable


class Person(NamedTuple):
    """Somebody as exports name them."""

    oid: str
    login: str
    name: str


class People:
    """Everybody who can be named in an export.

    :param logins: in the order in which they were added, which numbers them; the first number is the server's own.
    """

    def __init__(self, logins: Iterable[str]) -> None:
        self._numbers = {login: number for number, login in enumerate((ROOT, *logins), start=1)}

    def get(self, login: str) -> Person:
        """Name somebody; who is unknown has the server's number."""
        name = login.replace("_", " ").title()
        return Person(f"USR_{self._numbers.get(login, 1)}", login, name)

    def all(self) -> list[Person]:
        """Name everybody."""
        return [self.get(login) for login in self._numbers]

"""The accounts of the sandbox and what their roles allow (docs/protocol.md, roles).

Real servers copy roles only when the user logs in to the web page, and keep one active study for each account that no
API call changes. Here both are fields, which a control route sets.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

if TYPE_CHECKING:
    from collections.abc import Collection


class Role(StrEnum):
    """A role as the web page names it."""

    DATA_MANAGER = "Data Manager"
    DATA_ENTRY_PERSON = "Data Entry Person"
    DATA_SPECIALIST = "Data Specialist"
    MONITOR = "Monitor"
    COORDINATOR = "Clinical Research Coordinator"  # the last two exist at sites only
    INVESTIGATOR = "Investigator"


STUDY_WRITERS = frozenset({Role.DATA_MANAGER, Role.DATA_ENTRY_PERSON, Role.DATA_SPECIALIST})
SITE_WRITERS = frozenset({Role.COORDINATOR, Role.INVESTIGATOR})
SYSTEM = "System"
"""The user type whose imports run at once and make no job."""
ADMINISTRATORS = frozenset({"Business Admin", "Tech Admin"})
"""The user types that may have scheduled extracts."""


@dataclass(slots=True, kw_only=True)
class Account:
    """Somebody who can log in.

    :param roles: role by the OID of a study or site.
    :param active_study: OID of the study or site that is open on the web page; jobs of another study look unknown.
    :param user_type: ``User``, ``Business Admin``, ``Tech Admin``, or ``System``.
    :param removed_roles: version 3 only, like those that follow: the OIDs where the role was taken away.
    :param locked: whether the password opens nothing any more; the API key still does.
    :param soap: whether SOAP may be used.
    """

    login: str
    password: str = field(repr=False)
    roles: dict[str, Role] = field(default_factory=dict)
    active_study: str | None = None
    user_type: str = "User"
    removed_roles: Collection[str] = ()
    locked: bool = False
    soap: bool = True

    @property
    def uuid(self) -> str:
        """What tokens carry; the same in every sandbox, so that tokens outlive a restart."""
        return str(uuid5(NAMESPACE_URL, f"sandbox:{self.login}"))

    def role_in(self, *oids: str | None) -> Role | None:
        """Give the first role found at these OIDs."""
        return next((self.roles[oid] for oid in oids if oid in self.roles), None)

    def holds(self, oid: str | None, allowed: Collection[Role]) -> bool:
        """Tell whether one of these roles is held at this study or site."""
        return oid is not None and self.roles.get(oid) in allowed


class Accounts:
    """All who can log in, by login and by uuid."""

    def __init__(self) -> None:
        self._by_login: dict[str, Account] = {}

    def add(self, account: Account) -> None:
        """Add somebody, or replace who has that login."""
        self._by_login[account.login] = account

    def get(self, login: str) -> Account | None:
        """Find by login."""
        return self._by_login.get(login)

    def by_uuid(self, user_uuid: str) -> Account | None:
        """Find by the uuid that tokens carry."""
        return next((account for account in self._by_login.values() if account.uuid == user_uuid), None)

    def check(self, login: str, password: str) -> Account | None:
        """Find by login and password."""
        account = self.get(login)
        known = account is not None and hmac.compare_digest(account.password.encode(), password.encode())
        return account if known else None

    def logins(self) -> list[str]:
        """Give all logins, in the order in which they were added."""
        return list(self._by_login)

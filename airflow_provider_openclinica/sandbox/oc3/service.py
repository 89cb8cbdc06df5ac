"""What the routes of version 3 share beyond what those of version 4 do."""

from __future__ import annotations

import hashlib
import re
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.accounts import Account, Role
from airflow_provider_openclinica.sandbox.oc3.people import create_tables
from airflow_provider_openclinica.sandbox.oc3.sessions import Credentials
from airflow_provider_openclinica.sandbox.service import Options, Place, Service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from airflow_provider_openclinica.sandbox.study import Study

#: Roles as the API names them.
ROLE_NAMES = {
    Role.DATA_MANAGER: "coordinator",
    Role.DATA_ENTRY_PERSON: "ra",
    Role.DATA_SPECIALIST: "Data Specialist",
    Role.MONITOR: "monitor",
    Role.COORDINATOR: "ra",
    Role.INVESTIGATOR: "Data Specialist",
}


class Service3(Service):
    """A sandbox of version 3 without its network.

    Studies, sites and events that calls define are forgotten with the process, participants in them are not.
    """

    tokens: Credentials

    def __init__(self, options: Options) -> None:
        self._lock = threading.Lock()
        super().__init__(options)
        self.tokens = Credentials(self.state, seconds=options.token_seconds, rate=options.token_rate)

    def _begin(self) -> None:
        super()._begin()
        self.further_studies: list[Study] = []
        self._to_lose = 0
        with self.state.writing() as db:
            create_tables(db)

    def studies(self) -> list[Study]:
        """Give all studies: the one that is played, and those that were created."""
        return [self.study, *self.further_studies]

    def places(self) -> Iterator[Place]:
        """Give all studies, each followed by its sites."""
        for study in self.studies():
            yield Place(study)
            for site in study.sites:
                yield Place(study, site)

    def place(self, oid: str) -> Place | None:
        """Find the study or the site with this OID, in any of the studies."""
        return next((place for place in self.places() if place.oid == oid), None)

    def change_study(self, study: Study) -> None:
        """Replace the study that has the same OID."""
        if study.oid == self.study.oid:
            self.study = study
        else:
            self.further_studies = [study if each.oid == study.oid else each for each in self.further_studies]

    def free_oid(self, prefix: str, name: str) -> str:
        """Make the OID of a new study, site or event."""
        taken = {place.oid for place in self.places()} | {oid for study in self.studies() for oid in study.events}
        stem = oid = f"{prefix}_{re.sub(r'[^A-Za-z0-9]', '', name)[:8].upper()}"
        number = 1
        while oid in taken:
            number += 1
            oid = f"{stem}_{number}"
        return oid

    def lose(self, times: int) -> None:
        """Let the next writes by SOAP vanish behind their success, as those do that the database refuses."""
        with self._lock:
            self._to_lose = times

    def is_lost(self) -> bool:
        """Tell, and count, whether a write vanishes."""
        with self._lock:
            lost = self._to_lose > 0
            self._to_lose -= lost
        return lost

    def grant(self, login: str, oid: str, role: Role) -> None:
        """Give an account a role in a new study or site."""
        account = self.accounts.get(login)
        if account:
            account.roles = {**account.roles, oid: role}

    def set_status(self, oid: str, status: str) -> bool:
        """Give a study or a site a status such as ``LOCKED``; false where there is none with this OID."""
        place = self.place(oid)
        if place is None:
            return False
        if place.site is None:
            self.change_study(replace(place.study, status=status))
        else:
            sites = (replace(site, status=status) if site.oid == oid else site for site in place.study.sites)
            self.change_study(replace(place.study, sites=tuple(sites)))
        return True


def service_of(request: Request) -> Service3:
    """Give the sandbox that a request came to."""
    service: Service3 = request.app.state.service
    return service


def stored_password(account: Account) -> str:
    """Give what the server keeps of a password: its SHA-1, in hexadecimal and without salt."""
    return hashlib.sha1(account.password.encode(), usedforsecurity=False).hexdigest()


def has_active_role(account: Account, place: Place) -> bool:
    """Tell whether an account has a role that was not taken away, in a study or in its parent."""
    return bool({place.oid, place.study.oid} & account.roles.keys() - account.removed_roles)

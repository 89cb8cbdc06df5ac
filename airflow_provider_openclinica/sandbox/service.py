"""What all routes share: the study, its data, its accounts, the jobs, and what is planned for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.accounts import Account, Accounts, Role
from airflow_provider_openclinica.sandbox.auth import Tokens, identify
from airflow_provider_openclinica.sandbox.clinone import ClinOne
from airflow_provider_openclinica.sandbox.data import ClinicalStore
from airflow_provider_openclinica.sandbox.demo import demo_study
from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.extracts import Extracts
from airflow_provider_openclinica.sandbox.faults import Faults
from airflow_provider_openclinica.sandbox.jobs import Jobs
from airflow_provider_openclinica.sandbox.state import State
from airflow_provider_openclinica.sandbox.study import AVAILABLE, Site, Study, load
from airflow_provider_openclinica.sandbox.wire import Requests

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from starlette.requests import Request

PASSWORD = "sandbox"  # noqa: S105 - printed at the start, for invented data


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a sandbox is started.

    :param version: 4, or 3 for OpenClinica 3, to which only ``state``, ``study`` and ``users`` matter.
    :param dialect: whose account of OpenClinica is played.
    :param state: a SQLite file that outlives the sandbox; ``None`` for none.
    :param study: ODM metadata of the study to play; ``None`` for the demo study.
    :param job_seconds: how long each job is in progress before its work begins.
    :param token_seconds: how long a token lives.
    :param token_rate: token calls a minute; 0 allows all.
    :param casebook: whether casebooks are printed; else the call fails and leaves a job behind, as on servers that want
        a session of the web page for it.
    :param job_list: whether job lists exist; ``None``: in the source dialect only, as the vendor documents none.
    :param users: logins and passwords of further Data Managers.
    :raises ValueError: there is no such version.
    """

    version: int = 4
    dialect: Dialect = Dialect.DOCS
    state: Path | None = None
    study: Path | None = None
    job_seconds: float = 1.0
    token_seconds: float = 14_400.0
    token_rate: int = 2
    job_list: bool | None = None
    casebook: bool = False
    users: Sequence[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        """Refuse a version that nobody plays."""
        if self.version not in {3, 4}:
            raise ValueError(f"there is no version {self.version} to play: 3 or 4")

    @property
    def has_job_list(self) -> bool:
        """Whether job lists exist."""
        return self.dialect is Dialect.SOURCE if self.job_list is None else self.job_list


@dataclass(frozen=True, slots=True)
class Place:
    """The study, or one of its sites."""

    study: Study
    site: Site | None = None

    @property
    def oid(self) -> str:
        """The OID of the site, else of the study."""
        return self.site.oid if self.site else self.study.oid


class Service:
    """A sandbox without its network.

    :raises ValueError: the study cannot be read, or the state is none, or that of another study.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.dialect = options.dialect
        self._published = load(options.study) if options.study else demo_study()
        self.state = State(options.state)
        kept = self.state.setting("study", self._published.oid)
        if kept != self._published.oid:
            self.state.close()
            raise ValueError(f"the state file holds the study {kept}, not {self._published.oid}: use another file")
        self.tokens = Tokens(self.state, seconds=options.token_seconds, rate=options.token_rate)
        self.jobs = Jobs(self.state, seconds=options.job_seconds)
        self.extracts = Extracts(self.state)
        self.clinone = ClinOne()
        self.faults = Faults()
        self.requests = Requests()
        self._begin()

    def _begin(self) -> None:
        self.study = self._published
        self.prints_casebooks = self.options.casebook
        self.accounts = default_accounts(self.study, self.options.users)
        with self.state.writing() as db:
            ClinicalStore(db).seed(self.study)

    def reset(self) -> None:
        """Go back to the fresh study: no data, no jobs, no faults. Tokens stay good, so tests can share one."""
        self.faults.clear()
        self.jobs.reset()
        self.state.wipe()
        self.requests.clear()
        self.tokens.reset()
        self.clinone.reset()
        self._begin()

    def close(self) -> None:
        """Stop the jobs and let go of the files."""
        self.jobs.close()
        self.state.close()

    def identify(self, request: Request, *, bare_status: int = 401) -> Account:
        """Tell who is asking, or answer for those who may not (docs/protocol.md, tokens)."""
        return identify(request, self.tokens, self.accounts, bare_status=bare_status)

    def place(self, oid: str) -> Place | None:
        """Find the study or the site with this OID."""
        if oid == self.study.oid:
            return Place(self.study)
        site = self.study.site(oid)
        return Place(self.study, site) if site else None

    def study_oid_of(self, oid: str) -> str:
        """Give the OID of the study that a study's or a site's OID belongs to."""
        place = self.place(oid)
        return place.study.oid if place else oid

    def set_status(self, oid: str, status: str) -> bool:
        """Give the study or a site a status such as ``LOCKED``; false where there is none with this OID."""
        place = self.place(oid)
        if place is None:
            return False
        if place.site is None:
            self.study = replace(self.study, status=status)
        else:
            changed = (replace(site, status=status) if site.oid == oid else site for site in self.study.sites)
            self.study = replace(self.study, sites=tuple(changed))
        return True


def default_accounts(study: Study, further: Sequence[tuple[str, str]]) -> Accounts:
    """Make the accounts every sandbox starts with; the password of all but the further ones is ``sandbox``."""
    accounts = Accounts()
    for login, password in (("data_manager", PASSWORD), ("second_manager", PASSWORD), *further):
        manager = Account(login=login, password=password, roles={study.oid: Role.DATA_MANAGER}, active_study=study.oid)
        accounts.add(manager)
    administrator = Account(
        login="administrator",
        password=PASSWORD,
        roles={study.oid: Role.DATA_MANAGER},
        active_study=study.oid,
        user_type="Business Admin",
    )
    accounts.add(administrator)
    monitor = Account(login="monitor", password=PASSWORD, roles={study.oid: Role.MONITOR}, active_study=study.oid)
    accounts.add(monitor)
    for site in study.sites[:1]:
        login = "crc_" + site.oid.removeprefix("S_").partition("(")[0].lower()
        coordinator = Account(login=login, password=PASSWORD, roles={site.oid: Role.COORDINATOR}, active_study=site.oid)
        accounts.add(coordinator)
    return accounts


def is_open(status: str) -> bool:
    """Tell whether data may be written in a study or site of this status."""
    return status == AVAILABLE

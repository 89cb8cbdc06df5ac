"""Which participant IDs would hit somebody else.

OpenClinica adds a participant or updates the one who is there, and looks that one up ignoring letter case, in the whole
study: ``p-001`` sent to one site overwrites the contact data of ``P-001`` at another one (docs/protocol.md,
participants). So who is there is asked before anybody is sent.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_openclinica.client.bulkcsv import Problem
from airflow_provider_openclinica.client.participant_data import PARTICIPANT_ID
from airflow_provider_openclinica.engine.lists import is_unreadable
from airflow_provider_openclinica.errors import OpenClinicaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_openclinica.client.bulkcsv import Row
    from airflow_provider_openclinica.client.client import OpenClinicaClient

log = logging.getLogger(__name__)

_OTHER_CASE = (
    "differs only in letter case from the ID of a participant who is there, whom OpenClinica would update instead; "
    "write it as OpenClinica has it"
)
_ELSEWHERE = "is the ID of a participant elsewhere in the study; send that one to its own site, or choose another ID"


class TakenIds:
    """The participant IDs of a study, and who may be sent to one of its sites.

    :param site: those of the site.
    :param elsewhere: all that are known, those of the site included or not.
    """

    def __init__(self, site: Iterable[str], elsewhere: Iterable[str] = ()) -> None:
        self._site = frozenset(site)
        self._spellings: dict[str, set[str]] = {}
        for participant_id in (*self._site, *elsewhere):
            self._spellings.setdefault(participant_id.casefold(), set()).add(participant_id)

    def reason_against(self, participant_id: str) -> str:
        """Say why nobody may be sent by this ID; ``""`` where one may: a new one, or one of this site."""
        spellings = self._spellings.get(participant_id.casefold(), set())
        if spellings - {participant_id}:
            return _OTHER_CASE
        return _ELSEWHERE if spellings and participant_id not in self._site else ""

    def problems(self, rows: Iterable[Row]) -> Iterator[Problem]:
        """Yield what is wrong with the IDs of a bulk file, by line."""
        for row in rows:
            if reason := self.reason_against(row.cells[PARTICIPANT_ID]):
                yield Problem(reason, row.line, PARTICIPANT_ID)


def read_taken_ids(client: OpenClinicaClient, study_oid: str, site_oid: str | None) -> TakenIds:
    """Ask who is in a study and at the site that is to be sent to.

    An account with a role at the site only cannot see the others; then only the site is compared, with a warning.

    :param site_oid: None for the study itself, whose list does not tell who is at a site.
    :raises OpenClinicaError: the site's participants cannot be read, or the server is down.
    """
    site = _ids(client, study_oid, site_oid)
    if site_oid is None:
        return TakenIds(site)
    try:
        return TakenIds(site, _ids(client, study_oid, None))
    except OpenClinicaError as error:
        if not is_unreadable(error):
            raise
        log.warning(
            "IDs are compared with those of %s only: this account may not list the participants of %s (%s)",
            site_oid,
            study_oid,
            error.args[0],
        )
        return TakenIds(site)


def _ids(client: OpenClinicaClient, study_oid: str, site_oid: str | None) -> list[str]:
    return [participant.participant_id for participant in client.participants.list(study_oid, site_oid)]

"""What sensors ask OpenClinica 3. Questions as in ``engine/questions.py``.

It answers status 500 about what it does not have, and an ID is nobody's only by one sentence of its web service. So a
participant is looked up there first, and only who is there is read (docs/protocol3.md, participants).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_openclinica.engine.openclinica3.reading import stored
from airflow_provider_openclinica.engine.statuses import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_openclinica.client.openclinica3.client import OpenClinica3Client

log = logging.getLogger(__name__)

PATIENCE = 5.0  #: seconds to wait for the turn at the server; a question is asked again later
PARTICIPANT = frozenset({"available", "signed", "removed", "locked"})
EVENT = frozenset(
    {
        "not scheduled",
        "scheduled",
        "data entry started",
        "completed",
        "skipped",
        "stopped",
        "signed",
        "locked",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question3:
    """Ask whether a participant is there, or has one of these statuses, or an event has.

    :param site_oid: OID of the participant's site.
    :param wanted: statuses in plain spelling, of which any will do; none: being there is enough.
    """

    study_oid: str
    site_oid: str | None = None
    participant_id: str = field(repr=False)
    wanted: Sequence[str] = ()
    study_event_oid: str = ""
    study_event_repeat_key: str = "1"

    @property
    def goal(self) -> str:
        """Say what is waited for, without naming anybody."""
        return f"{self._what} is {' or '.join(self.wanted) or 'there'}"

    @property
    def _what(self) -> str:
        if not self.study_event_oid:
            return "the participant"
        return f"event {self.study_event_oid}, occurrence {self.study_event_repeat_key}"

    def ask(self, client: OpenClinica3Client) -> str | None:
        """Read the status once.

        :returns: the status that was reached, or ``there``; None: not yet.
        :raises NotFoundError: no such study or site.
        :raises NotAvailableError: the study, or the role, does not allow the question.
        :raises ServerUnavailableError: ask again later.
        """
        place = client.soap.place(self.study_oid, self.site_oid)
        subject_oid = client.soap.participant_oid(place, self.participant_id)
        if not subject_oid:
            log.info("The participant is not there yet")
            return None
        if not self.wanted:
            return "there"
        with client.session(patience=PATIENCE) as session:
            found = stored(client, session, place.oid, subject_oid)
        status = found.status
        if self.study_event_oid:
            visit = found.visits.get((self.study_event_oid, self.study_event_repeat_key))
            status = visit.status if visit else "not scheduled"
        if plain(status) in self.wanted:
            return plain(status)
        log.info("%s is %s; waiting for %s", self._what, plain(status), " or ".join(self.wanted))
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class AliveQuestion:
    """Ask whether the web application answers."""

    @property
    def goal(self) -> str:
        """Say what is waited for."""
        return "the web application of OpenClinica 3 answers"

    def ask(self, client: OpenClinica3Client) -> str | None:
        """Ask once; ``alive``, or None."""
        return "alive" if client.is_alive() else None

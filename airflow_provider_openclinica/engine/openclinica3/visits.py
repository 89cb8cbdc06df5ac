"""Schedule a visit in OpenClinica 3, once.

Where an event repeats, each call makes another occurrence; a success may have stored nothing; and who has lost the
answer cannot ask for it (docs/protocol3.md, scheduling). So the occurrences are read before and after, and the highest
repeat key is noted in between.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, astuple, dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_openclinica.engine.openclinica3.once import Deed, ambiguous, once
from airflow_provider_openclinica.engine.openclinica3.reading import Stored, stored
from airflow_provider_openclinica.errors import NotAvailableError, NotFoundError

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.openclinica3.client import OpenClinica3Client
    from airflow_provider_openclinica.client.openclinica3.session import Session
    from airflow_provider_openclinica.client.openclinica3.soap import NewVisit, Place3
    from airflow_provider_openclinica.engine.openclinica3.once import Once

log = logging.getLogger(__name__)

IfExists = Literal["fail", "succeed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """A visit that is there: what a task returns of it."""

    study_event_oid: str
    study_event_repeat_key: str
    start_date: str
    event_status: str
    created: bool


def schedule(
    client: OpenClinica3Client,
    study_oid: str,
    site_oid: str | None,
    visit: NewVisit,
    record: Once,
    *,
    if_exists: IfExists = "fail",
) -> Scheduled:
    """Schedule a visit, or find the one that an earlier try has scheduled.

    The session is held from the first look to the last, so that no other task of this host schedules meanwhile.

    :raises NotFoundError: no such study, site or participant.
    :raises NotAvailableError: it is refused; with ``if_exists="fail"``, because the event does not repeat and is there.
    :raises AmbiguousSubmitError: the visit may be there or not, and nothing here can tell.
    """
    place = client.soap.place(study_oid, site_oid)
    subject_oid = client.soap.participant_oid(place, visit.label)
    if not subject_oid:
        raise NotFoundError(
            "There is no participant of this ID", study=study_oid, site=site_oid or "", next_step="Compare the ID."
        )
    digest = hashlib.sha256(json.dumps([place.oid, *astuple(visit)]).encode()).hexdigest()
    with client.session() as session:
        scheduling = _Scheduling(client, session, place, subject_oid, visit)
        try:
            return Scheduled(**once(record, digest, scheduling.deed))
        except NotAvailableError as error:
            if if_exists == "succeed" and error.code == "exists" and (there := scheduling.the_one_there()):
                return there
            raise


class _Scheduling:
    """One visit, and what tells it from others."""

    def __init__(
        self, client: OpenClinica3Client, session: Session, place: Place3, subject_oid: str, visit: NewVisit
    ) -> None:
        self._client, self._session, self._place = client, session, place
        self._subject_oid, self._visit = subject_oid, visit
        self.deed = Deed(
            what="the visit",
            look=self._highest,
            is_there=self._begins_then,
            send=lambda: client.soap.schedule(place, visit),
            find=self._find,
            study=place.oid,
        )

    def _highest(self) -> int:
        return max(self._stored().keys_of(self._visit.study_event_oid), default=0)

    def _begins_then(self) -> bool:
        found, event = self._stored(), self._visit.study_event_oid
        return any(
            oid == event and there.start_date == self._visit.start_date for (oid, _), there in found.visits.items()
        )

    def _find(self, before: Any, ordinal: Any) -> dict[str, Any] | None:
        """Find the visit: by the ordinal that the server gave; else the only new one, if it begins on our day."""
        found, event = self._stored(), self._visit.study_event_oid
        new = [key for key in found.keys_of(event) if key > int(before)]
        wanted = [key for key in new if ordinal is None or key == int(ordinal)]
        if not wanted:
            return None
        there = found.visits[event, str(wanted[0])]
        if len(new) > 1 and ordinal is None:
            raise ambiguous(self.deed, "Several visits are new")
        if there.start_date != self._visit.start_date:
            raise ambiguous(self.deed, "A new visit is there, and it begins on another day")
        return self._told(found, wanted[0], created=True)

    def the_one_there(self) -> Scheduled | None:
        """Tell of the occurrence of an event that does not repeat; None where there is none."""
        found = self._stored()
        keys = found.keys_of(self._visit.study_event_oid)
        if not keys:
            return None
        log.info("The visit is there already")
        return Scheduled(**self._told(found, keys[0], created=False))

    def _told(self, found: Stored, key: int, *, created: bool) -> dict[str, Any]:
        event = self._visit.study_event_oid
        there = found.visits[event, str(key)]
        return asdict(
            Scheduled(
                study_event_oid=event,
                study_event_repeat_key=str(key),
                start_date=there.start_date,
                event_status=there.status,
                created=created,
            )
        )

    def _stored(self) -> Stored:
        return stored(self._client, self._session, self._place.oid, self._subject_oid)

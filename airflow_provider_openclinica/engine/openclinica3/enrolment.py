"""Enrol a participant in OpenClinica 3, once.

Where people give the IDs, an ID can be looked up, so a lost answer is no riddle. Where the study gives numbers, the ID
that is sent is ignored and each call enrols another person: a lost answer goes to a person, and is never sent again
(docs/protocol3.md, participants). A study's metadata say which of the two it is.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.engine.openclinica3.once import Deed, ambiguous, once
from airflow_provider_openclinica.errors import ConfigurationError, NotAvailableError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_openclinica.client.openclinica3.client import OpenClinica3Client
    from airflow_provider_openclinica.client.openclinica3.soap import NewParticipant, Place3
    from airflow_provider_openclinica.engine.openclinica3.once import Once
    from airflow_provider_openclinica.engine.openclinica3.visits import IfExists

log = logging.getLogger(__name__)

_NUMBERS = re.compile(
    rb'<[^<>]*StudyParameterListRef\b(?=[^<>]*"SPL_subjectIdGeneration")[^<>]*\bValue\s*=\s*"(?P<how>[^"]*)"'
)
_OVERLAP = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """A participant who is there: what a task returns."""

    participant_id: str = field(repr=False)
    participant_oid: str = field(repr=False)
    created: bool


def enrol(
    client: OpenClinica3Client,
    study_oid: str,
    site_oid: str | None,
    new: NewParticipant,
    record: Once,
    *,
    if_exists: IfExists = "fail",
) -> Enrolled:
    """Enrol a participant, or find the one that an earlier try has enrolled.

    :param new: without a label where the study numbers its participants.
    :raises ConfigurationError: a label was given and the study numbers, or none was and it does not.
    :raises NotFoundError: no such study or site.
    :raises NotAvailableError: it is refused; with ``if_exists="fail"``, because the ID is taken.
    :raises AmbiguousSubmitError: somebody may have been enrolled or not, and nothing here can tell.
    """
    place = client.soap.place(study_oid, site_oid)
    is_numbering = numbers(client, study_oid)
    _check_numbering(is_numbering, new, place)
    digest = _digest(place, new)
    enrolling = _Enrolling(client, place, new, is_numbering is False, if_exists)
    try:
        return Enrolled(**once(record, digest, enrolling.deed))
    except NotAvailableError as error:
        if if_exists == "succeed" and error.code == "exists" and (oid := enrolling.oid_of(new.label)):
            log.info("The participant is there already")
            return Enrolled(participant_id=new.label, participant_oid=oid, created=False)
        raise


def numbers(client: OpenClinica3Client, study_oid: str) -> bool | None:
    """Tell whether a study numbers its participants; None where its metadata do not say, as for a new study."""
    with client.clinicaldata.metadata(study_oid) as document:
        how = _generation(document.chunks())
    return how.startswith("auto") if how else None


def _generation(chunks: Iterable[bytes]) -> str:
    found, tail = "", b""
    for chunk in chunks:
        match = _NUMBERS.search(tail + chunk)
        if match and not found:
            found = match["how"].decode("utf-8", "replace").strip().lower()
        tail = (tail + chunk)[-_OVERLAP:]
    return found


def _check_numbering(is_numbering: bool | None, new: NewParticipant, place: Place3) -> None:
    if is_numbering and new.label:
        raise ConfigurationError(
            "The study numbers its participants itself and would ignore participant_id",
            study=place.oid,
            next_step="Leave participant_id out; the task returns the number.",
        )
    if not is_numbering and not new.label:
        raise ConfigurationError(
            "participant_id is empty, and the study does not say that it numbers its participants", study=place.oid
        )


def _digest(place: Place3, new: NewParticipant) -> str:
    """Digest what is sent, keyed by nothing that is kept: a short text such as a birthday could be guessed from it."""
    said = [place.oid, new.label, new.enrollment_date, sorted(new.person)]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


class _Enrolling:
    """One participant, and what tells a new one from others.

    :param is_named: the study is known to take the ID that is sent, so that nobody can be enrolled by it twice.
    """

    def __init__(
        self, client: OpenClinica3Client, place: Place3, new: NewParticipant, is_named: bool, if_exists: IfExists
    ) -> None:
        self._client, self._place, self._new = client, place, new
        self._is_named, self._if_exists = is_named, if_exists
        self.deed = Deed(
            what="the participant",
            look=self._look,
            is_there=self._may_be_there,
            send=lambda: client.soap.create_participant(place, new),
            find=self._find,
            may_repeat=is_named,
            study=place.oid,
        )

    def oid_of(self, label: str) -> str:
        """Look somebody up; ``""`` for nobody."""
        return self._client.soap.participant_oid(self._place, label) if label else ""

    def _look(self) -> bool:
        if self.oid_of(self._new.label):
            raise NotAvailableError(
                "OpenClinica has a participant of this ID already",
                study=self._place.oid,
                code="exists",
                next_step="Set if_exists='succeed' if that is as good.",
            )
        return False

    def _may_be_there(self) -> bool:
        if not self._is_named:
            return True
        return self._if_exists == "fail" and bool(self.oid_of(self._new.label))

    def _find(self, before: Any, label: Any) -> dict[str, Any] | None:  # noqa: ARG002 - nobody was there before
        sought = label or self._new.label
        if not sought:
            raise ambiguous(self.deed, "The study numbers its participants, and the number did not come back")
        oid = self.oid_of(sought)
        if oid:
            return asdict(Enrolled(participant_id=sought, participant_oid=oid, created=True))
        return None

"""Which participants may share an import file.

OpenClinica binds a whole file to the site of its first participant; where the file names the study, participants of
every other site are then not found (docs/protocol.md, import). So such a file is cut by site, and the site lists say
how. They are asked once: participants come and go while a task waits, and a retry has to cut the same file in the
same way to recognise what it has sent. Therefore a ``Grouping`` can be kept, as one small JSON value, and replayed.
"""

from __future__ import annotations

import base64
import zlib
from array import array
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_openclinica.client.client import OpenClinicaClient

NO_SITE = ""  #: of participants whom no site list names: they stay together


class Grouping:
    """Names a group for each participant, and remembers every answer.

    :param find: names it, given StudyOID, SubjectKey and StudySubjectID as the file has them.
    """

    def __init__(self, find: Callable[[str, str, str], str]) -> None:
        self._find = find
        self._groups: dict[tuple[str, str, str], str] = {}

    def __call__(self, study_oid: str, subject_key: str, participant_id: str) -> str:
        """Return the group of a participant; the same question gets the same answer."""
        who = (study_oid, subject_key, participant_id)
        if who not in self._groups:
            self._groups[who] = self._find(*who)
        return self._groups[who]

    def to_json(self) -> dict[str, Any]:
        """Return all answers, in the order of the questions. No participant is named: only groups and their order."""
        names = list(dict.fromkeys(self._groups.values()))
        index = {name: number for number, name in enumerate(names)}
        order = array("H", (index[name] for name in self._groups.values()))
        return {"groups": names, "order": base64.b64encode(zlib.compress(order.tobytes(), 9)).decode()}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Grouping:
        """Return a grouping that gives the same answers to the same questions in the same order."""
        order = array("H", zlib.decompress(base64.b64decode(kept["order"])))
        groups: Iterator[str] = iter([kept["groups"][number] for number in order])
        return cls(lambda *_: next(groups))


def sites_of(client: OpenClinicaClient, study_oid: str) -> Callable[[str, str], str] | None:
    """Read the site lists of a study, and return a function that finds a participant's site by OID or ID.

    Letter case is ignored. A participant of no site, or one whose ID lives at several, is in none: ``NO_SITE``.

    :param study_oid: a StudyOID as a file has it; it may be a site's.
    :returns: ``None`` where nothing need be cut: the study has no sites, or the OID is a site's.
    :raises OpenClinicaError: the lists cannot be read.
    """
    sites = client.studies.sites(study_oid)
    if not sites or study_oid.casefold() in {site.casefold() for site in sites}:
        return None
    by_oid: dict[str, str] = {}
    by_id: dict[str, set[str]] = {}
    for site in sites:
        for participant in client.participants.list(study_oid, site):
            by_oid[participant.oid.casefold()] = site
            by_id.setdefault(participant.participant_id.casefold(), set()).add(site)

    def site_of(subject_key: str, participant_id: str) -> str:
        if site := by_oid.get(subject_key.casefold()):
            return site
        candidates = by_id.get(participant_id.casefold(), set())
        return next(iter(candidates)) if len(candidates) == 1 else NO_SITE

    return site_of

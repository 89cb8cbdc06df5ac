"""Give a participant, an event or a form a status at once, whatever the server's own rules say: for tests.

Everything is named as ``GET /sandbox/events`` and the exports name it; what is not there yet, but the participant, is
added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.data import FormRecord, Occurrence

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_openclinica.sandbox.data import ClinicalStore, Participant
    from airflow_provider_openclinica.sandbox.study import Study

PARTICIPANT = {"AVAILABLE", "SIGNED", "REMOVED", "AUTO_REMOVED"}
EVENT = {"NOT_SCHEDULED", "SCHEDULED", "DATA_ENTRY_STARTED", "COMPLETED", "SKIPPED", "STOPPED"}
FORM = {"INITIAL_DATA_ENTRY": False, "DATA_ENTRY_COMPLETE": True}
SDV = {"VERIFIED", "NOT_VERIFIED", "CHANGED_SINCE_VERIFIED"}


class Statuses:
    """The statuses of one study's data."""

    def __init__(self, study: Study, store: ClinicalStore) -> None:
        self._study = study
        self._store = store

    def set_participant(self, participant: str, status: str) -> None:
        """Give a participant a status.

        :param participant: the participant's ID.
        :param status: ``available``, ``signed``, ``removed``, or ``auto removed`` (with the site); in any case, like
            every status here.
        :raises ValueError: nobody has this ID, or there is no such status.
        """
        self._store.set_participant_status(self._participant(participant).id, _checked(status, PARTICIPANT))

    def set_event(
        self, participant: str, event: str, *, repeat: int = 1, status: str | None = None, **flags: bool
    ) -> Occurrence:
        """Give an occurrence of an event a status, flags, or both.

        :param flags: ``removed``, ``archived``, ``locked``, ``signed``.
        :raises ValueError: there is no such participant, event, status or flag.
        """
        if event not in self._study.events:
            raise ValueError(f"no event {event} in this study")
        someone = self._participant(participant)
        existing = self._store.occurrences(someone.id, event)
        occurrence = existing.get(repeat) or Occurrence(0, someone.id, event, repeat, start_date="2025-01-06")
        if status is not None:
            occurrence.status = _checked(status, EVENT)
        _set_flags(occurrence, flags, {"removed", "archived", "locked", "signed"})
        self._store.save_occurrence(occurrence)
        return occurrence

    def set_form(
        self,
        participant: str,
        event: str,
        form: str,
        *,
        repeat: int = 1,
        status: str | None = None,
        sdv_status: str | None = None,
        **flags: bool,
    ) -> None:
        """Give a form in an occurrence a status, a state of verification, flags, or some of them.

        :param status: ``initial data entry`` or ``data entry complete``.
        :param sdv_status: ``verified``, ``not verified`` or ``changed since verified``.
        :param flags: ``removed``, ``archived``.
        :raises ValueError: there is no such participant, event, form in it, status or flag.
        """
        occurrence = self.set_event(participant, event, repeat=repeat)
        assignment = self._study.events[event].forms.get(form)
        if assignment is None:
            raise ValueError(f"no form {form} in the event {event}")
        new = FormRecord(0, occurrence.id, form, assignment.default_version)
        record = self._store.forms(occurrence.id).get(form, new)
        if status is not None:
            record.complete = FORM[_checked(status, FORM)]
        if sdv_status is not None:
            record.sdv_status = _checked(sdv_status, SDV)
        _set_flags(record, flags, {"removed", "archived"})
        self._store.save_form(record)

    def _participant(self, participant_id: str) -> Participant:
        found = self._store.participants_by_id(participant_id, self._study.scope(self._study.oid))
        if not found:
            raise ValueError("no participant has this ID")
        return found[0]


def _checked(status: str, known: Collection[str]) -> str:
    name = status.upper().replace(" ", "_")
    if name not in known:
        raise ValueError(f"no such status: {status}")
    return name


def _set_flags(record: Occurrence | FormRecord, flags: dict[str, bool], known: set[str]) -> None:
    if unknown := flags.keys() - known:
        raise ValueError(f"no such flag: {', '.join(sorted(unknown))}")
    for flag, value in flags.items():
        setattr(record, flag, value)

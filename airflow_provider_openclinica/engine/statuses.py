"""The status of a participant, an event or a form: what to ask for it, and how to read and compare it.

One status has many spellings (docs/protocol.md, events, clinical data): lists say ``AVAILABLE`` or ``Available``,
exports ``data entry started`` and ``Locked``, people ``data-entry-started``. Here all are in lower case with single
blanks. One thing may be in several at once: an event that is completed, locked and signed is in all three. What was
removed or archived, alone or with what it lies in, is that and nothing else, whatever it was before.

    wanted_statuses("DATA_ENTRY_STARTED", of=EVENT)      ["data entry started"]
    StatusQuestion(…, wanted=["completed"]).ask(client)  "completed", or None: not yet
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_openclinica.client.event_status import normalised
from airflow_provider_openclinica.engine.lookup import event_of, listed
from airflow_provider_openclinica.errors import ConfigurationError
from airflow_provider_openclinica.odm.reader import Event, Form

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_openclinica.client.client import OpenClinicaClient

log = logging.getLogger(__name__)

PARTICIPANT = frozenset({"available", "signed", "removed"})
EVENT = frozenset(
    {
        "not scheduled",
        "scheduled",
        "data entry started",
        "completed",
        "skipped",
        "stopped",
        "locked",
        "signed",
        "removed",
        "archived",
    }
)
FORM = frozenset(
    {
        "not started",
        "initial data entry",
        "data entry complete",
        "locked",
        "verified",
        "not verified",
        "changed since verified",
        "removed",
        "archived",
    }
)
#: Other words for the same: the database's, those of imports, and what befell a participant together with a site.
_ALSO_CALLED = {
    "deleted": "removed",
    "auto deleted": "removed",
    "auto removed": "removed",
    "complete": "data entry complete",
    "invalid": "removed",  # so exports call a form that is removed, or lies in something that is
}


def plain(status: str) -> str:
    """Return a status in the one spelling that can be compared."""
    spelled = normalised(status)
    return _ALSO_CALLED.get(spelled, spelled)


def wanted_statuses(given: object, *, of: frozenset[str]) -> list[str]:
    """Return the statuses that somebody waits for, in plain spelling.

    :param given: one, or several of which any will do.
    :param of: those that can exist.
    :raises ConfigurationError: there is none, or one that cannot exist.
    """
    several = [given] if isinstance(given, str) else given
    if not isinstance(several, list | tuple) or not several:
        raise ConfigurationError("status is neither a text nor several, once it is rendered")
    wanted = [plain(status) if isinstance(status, str) else "" for status in several]
    for number, status in enumerate(wanted, start=1):
        if status not in of:
            raise ConfigurationError(
                f"status number {number} does not exist there: it will never be reached",
                next_step=f"There is: {', '.join(sorted(of))}.",
            )
    return wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusQuestion:
    """Has a participant, an event or a form one of these statuses? A question, see ``engine/questions.py``.

    It is about the participant where no event is named, and about the event where no form is.

    :param study_oid: OID of the study.
    :param site_oid: OID of the participant's site. Accounts with a role at a site only have to name it.
    :param participant_id: the ID as OpenClinica shows it, in the same letter case. A pseudonym: not for log lines.
    :param wanted: statuses in plain spelling, of which any will do.
    :param study_event_oid: OID of the event.
    :param study_event_repeat_key: which occurrence of it, from ``1``.
    :param form_oid: OID of the form, whatever its version.
    """

    study_oid: str
    site_oid: str | None = None
    participant_id: str = field(repr=False)
    wanted: Sequence[str]
    study_event_oid: str = ""
    study_event_repeat_key: str = "1"
    form_oid: str = ""

    @property
    def goal(self) -> str:
        """Say what is waited for. A wrong OID looks like something that is not there yet, so it says that, too."""
        doubt = f"; where {self.study_oid} has no such event or form, it never will be" if self.study_event_oid else ""
        return f"{self._what} is {' or '.join(self.wanted)}{doubt}"

    def ask(self, client: OpenClinicaClient) -> str | None:
        """Read the status once.

        :returns: which of the statuses it has; ``None``: none of them yet.
        :raises NotFoundError: no such study, site or participant.
        :raises RoleError: no role there.
        :raises ServerUnavailableError, RateLimitError: ask again later.
        """
        has = self._of_what_lies_in_it(client) if self.study_event_oid else self._of_participant(client)
        for status in self.wanted:
            if status in has:
                return status
        log.info("%s is %s; waiting for %s", self._what, " and ".join(sorted(has)) or "not there yet", self._any)
        return None

    @property
    def _what(self) -> str:
        if not self.study_event_oid:
            return "the participant"
        event = f"event {self.study_event_oid}, occurrence {self.study_event_repeat_key}"
        return f"form {self.form_oid} of {event}" if self.form_oid else event

    @property
    def _any(self) -> str:
        return " or ".join(self.wanted)

    def _of_participant(self, client: OpenClinicaClient) -> frozenset[str]:
        found = listed(client, self.study_oid, self.site_oid, self.participant_id)
        return frozenset({plain(found.status)})

    def _of_what_lies_in_it(self, client: OpenClinicaClient) -> frozenset[str]:
        repeat, event = self.study_event_repeat_key, self.study_event_oid.upper()
        occurrence = event if repeat == "1" else f"{event}[{repeat}]"
        found = frozenset[str]()
        for record in event_of(client, self.study_oid, self.site_oid, self.participant_id, occurrence):
            if (record.study_event_oid.upper(), record.study_event_repeat_key) != (event, repeat):
                continue
            match record:
                case Event() if not self.form_oid:
                    found = statuses_of_event(record)
                case Form() if record.form_oid.upper() == self.form_oid.upper():
                    found = statuses_of_form(record)
        return found


def statuses_of_event(event: Event) -> frozenset[str]:
    """Return all statuses that an event has, as an export tells of it; none where they are unknown."""
    if gone := _gone(event):
        return gone
    flags = {"locked": event.locked, "signed": event.signed}
    said = {plain(event.status), plain(event.workflow_status)}
    return frozenset((said | {flag for flag, is_set in flags.items() if is_set}) & EVENT)


def statuses_of_form(form: Form) -> frozenset[str]:
    """Return all statuses that a form has, likewise."""
    if gone := _gone(form):
        return gone
    return frozenset({plain(form.status), plain(form.workflow_status), plain(form.sdv_status)} & FORM)


def _gone(record: Event | Form) -> frozenset[str]:
    """Return ``removed`` or ``archived`` for what is no longer there, else nothing."""
    if record.archived and not record.removed:
        return frozenset({"archived"})
    return frozenset({"removed"} if record.removed or plain(record.status) == "removed" else ())

"""Questions that are asked again and again until the answer is yes, in a task or in a triggerer.

A question is a frozen dataclass of JSON values, so that it can move to a triggerer; ``look`` asks it once. What a
trigger found goes back to its task in an event, both ends of which stand here. Airflow writes events into its database
and its logs, whole: so a finding is a word or an id, never anything of a participant.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_provider_openclinica.engine.events import VERSION, error_from_json, error_to_json, reading
from airflow_provider_openclinica.errors import OpenClinicaError, RateLimitError, ServerUnavailableError

log = logging.getLogger(__name__)


class Question(Protocol):
    """What can be asked; a frozen dataclass."""

    @property
    def goal(self) -> str:
        """What is waited for, as a sentence without its full stop. It goes into errors, so it names no participant."""

    def ask(self, client: Any) -> Any:
        """Ask once.

        :param client: of the connection, as the question needs it.
        :returns: what was found, as a JSON value; ``None``: ask again later.
        :raises OpenClinicaError: it will never be found, or the server does not answer now.
        """


def look(question: Question, client: Any) -> Any:
    """Ask once; a server that is busy or out of reach is asked again later.

    :returns: what was found; ``None``: nothing yet.
    :raises OpenClinicaError: it will never be found.
    """
    try:
        return question.ask(client)
    except (ServerUnavailableError, RateLimitError) as trouble:
        log.warning("OpenClinica cannot be asked now, will ask again: %s", trouble)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How the asking ended, as an event says it.

    :param found: what was found; ``None`` where nothing was, up to the deadline.
    :param error: why there is nothing to be found.
    """

    found: Any = None
    error: OpenClinicaError | None = None


def write_ended(ended: Ended) -> dict[str, Any]:
    """Return the event."""
    return {"version": VERSION, "found": ended.found, "error": error_to_json(ended.error)}


def read_ended(event: Any) -> Ended:
    """Read what ``write_ended`` wrote.

    :raises OpenClinicaError: it is something else; what, is not quoted.
    """
    with reading(event):
        return Ended(found=event["found"], error=error_from_json(event["error"]))

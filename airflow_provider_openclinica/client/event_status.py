"""The status of an event: how it is spelled, which ones can be asked for, and which may follow which.

OpenClinica spells one status in several ways (docs/protocol.md, events): its answers say ``DATA_ENTRY_STARTED``, which
it refuses when it is sent back; requests and exports say ``data entry started``.

    normalised("DATA_ENTRY_STARTED")         "data entry started"
    fault_of("signed")                       why nobody can ask for it; "" for those that can be asked for
    may_become("completed", "skipped")       False
"""

from __future__ import annotations

#: Status that an event has -> those that a request may give it, its own included, which then changes nothing. All else
#: is refused with ``invalidEventTransitionStatus``.
MAY_BECOME: dict[str, frozenset[str]] = {
    "not scheduled": frozenset(),
    "scheduled": frozenset({"scheduled", "data entry started", "skipped"}),
    "data entry started": frozenset({"data entry started", "completed", "stopped"}),
    "completed": frozenset({"completed"}),
    "skipped": frozenset({"skipped", "data entry started"}),
    "stopped": frozenset({"stopped"}),
}

#: What can be asked for.
SCHEDULED = "scheduled"
REQUESTABLE = frozenset({SCHEDULED, "data entry started", "completed", "skipped", "stopped"})

#: Newer servers take these too, older ones refuse them in the log: they are sent, and the log says how it went.
OF_NEWER_SERVERS = frozenset({"locked", "not locked"})


def normalised(status: str) -> str:
    """Return a status as requests spell it: in lower case, with single blanks for underscores and hyphens."""
    return " ".join(status.replace("_", " ").replace("-", " ").lower().split())


def fault_of(status: str) -> str:
    """Say why a status cannot be asked for, whatever the server; empty where it can.

    :param status: in any of its spellings.
    """
    if normalised(status) in REQUESTABLE | OF_NEWER_SERVERS:
        return ""
    return "is no status that an event can be given: data entry started, completed, skipped or stopped"


def may_become(before: str, after: str) -> bool:
    """Tell whether a request may take an event from one status to another.

    Where one of them is not in the table, such as ``locked``, nothing is known and the answer is yes: the server
    decides.

    :param before: the status that it has, in any spelling.
    :param after: the status that is asked for, in any spelling.
    """
    before, after = normalised(before), normalised(after)
    return before not in MAY_BECOME or after not in REQUESTABLE or after in MAY_BECOME[before]

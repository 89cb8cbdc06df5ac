"""What to ask a retrieve for: the flags and the selectors of ``GET clinicaldata/{study}/{participant}/{event}/{form}``.

Servers differ in the names of the flags and in what one means that is left out, so every flag is sent, in both
spellings. Of the selectors they honour four combinations, and answer all others with nothing and status 200
(docs/protocol.md, clinical data).

    flags(metadata=True, data=False)         {"includeMetadata": "y", "clinicaldata": "n", …}
    check_selectors("*", "SE_VISIT", "*")    ConfigurationError: that would find nothing
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_openclinica.client.answers import raise_for
from airflow_provider_openclinica.errors import ConfigurationError, ServerUnavailableError

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.answers import Answer

EVERYTHING = "*"


def flags(
    *, metadata: bool = False, data: bool = True, audits: bool = False, queries: bool = False, archived: bool = False
) -> dict[str, str]:
    """Return the query parameters of a retrieve, none of them left to the server.

    :param metadata: what the study consists of: events, forms, items.
    :param data: what is stored.
    :param audits: who changed it when.
    :param queries: discrepancy notes.
    :param archived: what was removed or archived, too.
    """
    return {
        "includeMetadata": _spelled(metadata),
        "clinicaldata": _spelled(data),
        "clinicalData": _spelled(data),
        "includeDNs": _spelled(queries),
        "includeDN": _spelled(queries),
        "includeAudits": _spelled(audits),
        "showArchived": _spelled(archived),
        "links": "n",
    }


def check_selectors(participant: str, event: str, form: str) -> None:
    """Refuse what a server would answer with a document that has no data.

    :param participant: participant OID or ID, or ``*``.
    :param event: OID, ``SE_VISIT[2]`` for one occurrence, several divided by commas, or ``*``.
    :param form: OID of the first version that was ever published of a form, or ``*``.
    :raises ConfigurationError: one is empty, or servers do not honour them together.
    """
    for name, selector in (("participant", participant), ("event", event), ("form", form)):
        if not selector.strip():
            raise ConfigurationError(f"The selector {name} is empty", next_step="Write * to select all.")
    if participant == EVERYTHING and (event, form) != (EVERYTHING, EVERYTHING):
        raise ConfigurationError(
            "OpenClinica gives events or forms of one participant only, and none at all to who asks for everybody's",
            next_step="Name a participant; or retrieve everything, and filter what comes.",
        )
    if form != EVERYTHING and (event == EVERYTHING or "," in event):
        raise ConfigurationError(
            "OpenClinica gives a form of one event only, and none at all to who asks for that of several events",
            next_step="Name one event; or leave form at *, and filter what comes by its form OID.",
        )


def raise_unless_retrieved(answer: Answer, doing: str, *, study: str) -> None:
    """Raise what an answer refuses. To a retrieve, status 500 may mean that the question is wrong.

    :param doing: what was asked for, as a noun that can follow "OpenClinica refused".
    :param study: OID of the study or site.
    """
    if answer.is_breakdown:
        raise ServerUnavailableError(
            f"OpenClinica failed at {doing}",
            study=study,
            status=500,
            meaning="that is also its answer about a study or a participant that it does not have",
            next_step="Check the OIDs and IDs, letter for letter, and that the participant is in the study or site. "
            "Where they are right, retry.",
        )
    raise_for(answer, doing, study=study)


def _spelled(wanted: bool) -> str:
    return "y" if wanted else "n"

"""Casebooks: all that was entered for one participant, as a PDF that a job makes.

uuid = client.casebooks.request("S_JUNO", "S_BOSTON", "P-001")
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_openclinica.client.addresses import api_path
from airflow_provider_openclinica.client.jobs import requested_job_in
from airflow_provider_openclinica.errors import ConfigurationError, NotAvailableError

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.http import Http

PAPER = ("Letter", "Legal", "Tabloid", "Ledger", "A0", "A1", "A2", "A3", "A4", "A5", "A6")
_MARGIN = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3})?(in|cm|mm)")


class Casebooks:
    """The casebooks of one OpenClinica."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def request(
        self,
        study_oid: str,
        site_oid: str | None,
        participant_id: str,
        *,
        format: str = "A4",  # noqa: A002 - as OpenClinica calls it
        margin: str = "0.5in",
        landscape: bool = False,
    ) -> str:
        """Let the casebook of a participant be made; return the uuid of the job that does it.

        Nothing in the study changes, so the request may be repeated. A job that fails leaves a file all the same, of
        text under a name that ends in ``.pdf``: look for ``%PDF`` at its beginning.

        :param site_oid: the participant's site; None for one who belongs to the study itself.
        :param participant_id: the ID; letter case matters.
        :param format: ``Letter``, ``Legal``, ``Tabloid``, ``Ledger``, ``A0`` … ``A6``.
        :param margin: on all sides; a number with ``in``, ``cm`` or ``mm``.
        :param landscape: the longer side of the paper at the bottom.
        :raises ConfigurationError: no such paper or margin; or the ID has a slash.
        :raises NotAvailableError: this server makes no casebooks, or not for programs.
        :raises NotFoundError: no such study, or no such participant right there.
        :raises RoleError: the account has no role there.

        docs/protocol.md, casebooks.
        """
        check_layout(format, margin)
        if "/" in participant_id:
            raise ConfigurationError(
                "participant_id has a slash, and web servers take none in an address, however it is written",
                next_step="Make the casebook on the web page.",
            )
        doing, site = "the casebook of a participant", site_oid or ""
        place = ("studies", study_oid, *(("sites", site) if site else ()))
        answer = self._http.send_json(
            "POST",
            api_path("clinicaldata", *place, "participants", participant_id, "casebook"),
            None,
            doing=doing,
            params={"format": format, "margin": margin, "landscape": "true" if landscape else "false"},
            study=study_oid,
            site=site,
        )
        if answer.is_breakdown:
            raise NotAvailableError(
                "OpenClinica failed at the casebook",
                study=study_oid,
                site=site,
                status=500,
                meaning="servers of 2020 make casebooks for people on the web page only, and fail like this when a "
                "program asks; a job that never ends may be left in the Bulk Actions Log",
                next_step="Make the casebook on the web page, and ask support whether a newer version makes them for "
                "programs.",
            )
        if answer.is_absent:
            raise NotAvailableError(
                "This OpenClinica makes no casebooks for programs",
                study=study_oid,
                site=site,
                status=answer.status,
                next_step="Make the casebook on the web page.",
            )
        return requested_job_in(answer, doing, study=study_oid, site=site)


def check_layout(format: str, margin: str) -> None:  # noqa: A002 - as OpenClinica calls it
    """See that a paper and a margin are ones that OpenClinica documents; it checks neither itself.

    :raises ConfigurationError: they are not.
    """
    if format not in PAPER:
        raise ConfigurationError(f"format is none of {', '.join(PAPER)}")
    if not _MARGIN.fullmatch(margin):
        raise ConfigurationError("margin is not a number followed by in, cm or mm, such as 0.5in")

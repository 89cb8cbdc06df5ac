"""Studies: which sites one has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.operators.arguments import oid
from airflow_provider_openclinica.operators.base import OpenClinicaOperator
from airflow_provider_openclinica.operators.failures import airflow_failures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context


class OpenClinicaListSitesOperator(OpenClinicaOperator):
    """List the OIDs of a study's sites, as a list that tasks can be mapped over: ``expand(site_oid=sites.output)``.

    They come from the study's metadata, which OpenClinica builds anew for each call: that takes it seconds. A study
    without sites has an empty list, and so has a site; tasks mapped over it are skipped.

    :param study_oid: OID of the study. Templated.
    :param openclinica_conn_id: connection of type ``openclinica``. Templated.
    """

    template_fields: Sequence[str] = ("study_oid", *OpenClinicaOperator.template_fields)

    def __init__(self, *, study_oid: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.study_oid = study_oid

    def execute(self, context: Context) -> list[str]:  # noqa: ARG002 - Airflow's signature
        """Ask once."""
        with airflow_failures():
            sites = self.client.studies.sites(oid(self.study_oid, "study_oid"))
        self.log.info("The study has %s sites", len(sites))
        return sites

"""What operators have in common that ask OpenClinica there and then, rather than by a job that they wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_openclinica.hooks.openclinica import OpenClinicaHook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_openclinica.client.client import OpenClinicaClient


class OpenClinicaOperator(BaseOperator):
    """An operator with a connection.

    :param openclinica_conn_id: connection of type ``openclinica``. Templated.
    """

    template_fields: Sequence[str] = ("openclinica_conn_id",)
    ui_color = "#e5f0f8"

    def __init__(self, *, openclinica_conn_id: str = OpenClinicaHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.openclinica_conn_id = openclinica_conn_id

    @property
    def client(self) -> OpenClinicaClient:
        """The client of the connection. No call is made here."""
        return OpenClinicaHook(self.openclinica_conn_id).get_conn()


class OpenClinicaStudyOperator(OpenClinicaOperator):
    """An operator that is about a study, or one of its sites.

    :param study_oid: OID of the study, not of a site. Templated.
    :param site_oid: OID of one of its sites. Templated.
    """

    template_fields: Sequence[str] = ("study_oid", "site_oid", *OpenClinicaOperator.template_fields)

    def __init__(self, *, study_oid: str, site_oid: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.study_oid = study_oid
        self.site_oid = site_oid

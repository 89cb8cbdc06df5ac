"""The hook: an Airflow connection in, an OpenClinica client out."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_openclinica.errors import ConfigurationError, OpenClinicaError
from airflow_provider_openclinica.hooks import forms
from airflow_provider_openclinica.hooks.clients import client_for, nap
from airflow_provider_openclinica.hooks.study_cache import study_metadata

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.odm.design import StudyMetadata

METADATA_MAX_AGE = 3600.0  #: seconds
TEST_PATIENCE = 10.0  #: seconds; somebody sits before the button


class OpenClinicaHook(BaseHook):
    """Connects to OpenClinica 4.

    ``hook.get_conn()`` gives the client, which has all calls: ``hook.get_conn().jobs.state(uuid)``.

    :param openclinica_conn_id: a connection of type ``openclinica``. Host is the study server's URL, such as
        ``https://acme.openclinica.io/OpenClinica``; login and password are those of an API account; the extra may hold
        ``auth_url``, ``import_path``, ``token_cache``, ``request_timeout``, ``verify``, ``allow_http`` and
        ``keep_cookies``.
    """

    conn_name_attr = "openclinica_conn_id"
    default_conn_name = "openclinica_default"
    conn_type = "openclinica"
    hook_name = "OpenClinica"

    def __init__(self, openclinica_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.openclinica_conn_id = openclinica_conn_id

    def get_conn(self) -> OpenClinicaClient:
        """Return the client that this process keeps for the connection; it sends nothing before its first call.

        :raises ConfigurationError: the connection cannot work as it is written.
        """
        return client_for(self.openclinica_conn_id)

    def study_metadata(self, study_oid: str, *, max_age: float | timedelta = METADATA_MAX_AGE) -> StudyMetadata:
        """Return how a study is built: its sites, events, forms, items and choices, each by its OID.

        The server takes seconds to build it, so it is kept: in this process, and in a file for all processes of this
        host unless the connection's ``token_cache`` is ``memory``. Who gets it shares it, so do not change it.

        :param study_oid: OID of the study, or of a site; letter case matters.
        :param max_age: how old it may be, in seconds or as a ``timedelta``; 0 asks OpenClinica anew.
        :raises ConfigurationError: ``max_age`` is neither, or below 0; or the connection cannot work as it is written.
        :raises NotFoundError: the answer does not speak of that study.
        :raises ServerUnavailableError: status 500, also for a study that does not exist; or the connection broke.
        :raises UnexpectedAnswerError: what came is no ODM.
        """
        seconds = max_age.total_seconds() if isinstance(max_age, timedelta) else max_age
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
            raise ConfigurationError("max_age is neither a number of seconds nor a timedelta, or it is below 0")
        return study_metadata(self.openclinica_conn_id, study_oid, seconds)

    def test_connection(self) -> tuple[bool, str]:
        """Make one authenticated call that needs no study, and say in words how it went.

        The token comes from the shared cache, so that pressing *Test* often does not use up the two token calls a
        minute that tasks need as well.
        """
        try:
            client = client_for(self.openclinica_conn_id, sleep=nap, patience=TEST_PATIENCE)
            client.check()
        except OpenClinicaError as error:
            return False, str(error)
        except AirflowNotFoundException:
            return False, f"There is no connection {self.openclinica_conn_id}"
        return True, f"OpenClinica answers at {client.settings.study_url} and accepts the account."

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Make the form fields of the provider info for Airflow before 3.2, which asks the hook for them."""
        return forms.widgets(cls.conn_type)

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how the form treats Airflow's own fields, for Airflow before 3.2."""
        return forms.field_behaviour(cls.conn_type)

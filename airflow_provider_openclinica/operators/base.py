"""What operators have in common: a connection, a study, an end when the task is killed."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_openclinica.errors import WaitInterruptedError
from airflow_provider_openclinica.hooks.clients import client_for
from airflow_provider_openclinica.hooks.openclinica import OpenClinicaHook

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

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


class Stoppable:
    """Ends what an operator waits for when its task is killed. Stands before ``BaseOperator`` among the bases.

    A killed task's ``execute`` goes on after ``on_kill``, so that only sets a flag, and whatever waits raises.
    """

    on_stop: ClassVar[str] = ""  #: what to tell those whose task was stopped, where the error's own words do not fit

    _killed: threading.Event  # made by execute and resume: an operator is copied, a lock cannot be

    def sleep(self, seconds: float) -> None:
        """Wait as a client does between two tries.

        :raises WaitInterruptedError: the task was killed.
        """
        if self._killed.wait(seconds):
            raise WaitInterruptedError("Stopped while waiting to ask OpenClinica again", next_step=self.on_stop)

    def on_kill(self) -> None:
        """End the wait.

        This runs in a signal handler, in the middle of anything and with five seconds left: it asks nobody.
        """
        if killed := getattr(self, "_killed", None):
            killed.set()


class StoppableOperator(Stoppable, OpenClinicaOperator):
    """An operator that may be at work for long, and ends when its task is killed."""

    @cached_property
    def client(self) -> OpenClinicaClient:
        """The client of the connection, whose waits end when the task is killed. No call is made here."""
        return self.client_of(self.openclinica_conn_id, sleep=self.sleep)

    @staticmethod
    def client_of(conn_id: str, *, sleep: Callable[[float], None]) -> OpenClinicaClient:
        """Return the client of a connection, with its waits."""
        return client_for(conn_id, sleep=sleep)


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

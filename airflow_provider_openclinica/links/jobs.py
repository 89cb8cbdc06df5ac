"""The button in Airflow's UI that opens a job in OpenClinica."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey

JOB_PAGE_KEY = "openclinica_job_page"  #: XCom under which an operator pushes the page's address


class OpenClinicaJobLink(BaseOperatorLink):
    """Opens the job in the Bulk Actions Log, from its submission on, also while the task is deferred.

    The operator pushes the address as soon as it has a job's uuid (``client.jobs.page(uuid)``, under `JOB_PAGE_KEY`);
    with several parts it is the latest. The page shows the job only to somebody whose active study is the job's study.
    """

    name = "OpenClinica job"

    @property
    def xcom_key(self) -> str:
        """Name the operator's own XCom, so that Airflow 3 reads that and stores no second one."""
        return JOB_PAGE_KEY

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 (Airflow's signature)
        """Return the address; ``""``, which disables the button, while there is no job."""
        return XCom.get_value(key=JOB_PAGE_KEY, ti_key=ti_key) or ""

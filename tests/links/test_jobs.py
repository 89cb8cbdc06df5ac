"""The button in the UI: what Airflow stores for it, and when."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import DAG, BaseOperator

from airflow_provider_openclinica.client.addresses import job_page
from airflow_provider_openclinica.links.jobs import JOB_PAGE_KEY, OpenClinicaJobLink
from tests.dags.conftest import states, store, xcoms

PAGE = job_page("https://acme.openclinica.io/OpenClinica", "6c325687-3d3a-4d39-8a4d-6b4b3a3b7d5f")


class Submits(BaseOperator):
    """Knows its job early, as all our bulk operators do."""

    operator_extra_links = (OpenClinicaJobLink(),)

    def execute(self, context: Any) -> None:
        context["ti"].xcom_push(key=JOB_PAGE_KEY, value=PAGE)


class SubmitsNothing(BaseOperator):
    """Finds nothing to send."""

    operator_extra_links = (OpenClinicaJobLink(),)

    def execute(self, context: Any) -> None:
        """Push no address."""


def test_the_button_needs_no_second_xcom_and_stays_grey_without_a_job(airflow_db: None) -> None:
    with DAG("links", schedule=None) as dag:
        Submits(task_id="submits") >> SubmitsNothing(task_id="submits_nothing")
    store(dag)
    run = dag.test()
    assert states(run) == {"submits": "success", "submits_nothing": "success"}
    assert xcoms(run, "submits") == {JOB_PAGE_KEY: PAGE}
    assert xcoms(run, "submits_nothing").get(JOB_PAGE_KEY, "") == ""
    links = [link for link in dag.get_task("submits").operator_extra_links if isinstance(link, OpenClinicaJobLink)]
    assert [(link.name, link.xcom_key) for link in links] == [("OpenClinica job", JOB_PAGE_KEY)]

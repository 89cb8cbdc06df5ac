"""Fetch the contact data of a site's participants every week, for whoever writes letters to them.

The file has names, addresses and phone numbers. It goes from OpenClinica to ``output_uri``, and nowhere else: give it a
place that is encrypted, that few may read, and that forgets after a while.

Needs the connection ``openclinica_default``, with an account that has a role at the site itself; other accounts get IDs
and no names. The module Participate must be active. To try it on this machine, start the sandbox, give the connection
the login ``crc_boston``, and run

    airflow dags test openclinica_contacts_out -c '{"output_uri": "/data/contacts.csv"}'
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_openclinica.operators.participants import OpenClinicaExtractContactsOperator

with DAG(
    dag_id="openclinica_contacts_out",
    description="Contact data of a site's participants into a file",
    schedule=None,  # "@weekly"
    catchup=False,
    max_active_runs=1,
    params={
        "study_oid": Param("S_JUNO", type="string"),
        "site_oid": Param("S_BOSTON", type="string"),
        "output_uri": Param("s3://letters/boston.csv", type="string", description="Where few may read"),
    },
    tags=["openclinica"],
) as dag:
    contacts = OpenClinicaExtractContactsOperator(
        task_id="extract_contacts",
        study_oid="{{ params.study_oid }}",
        site_oid="{{ params.site_oid }}",
        output_uri="{{ params.output_uri }}",
        page_size=1000,  # above the number of participants, so that one job is enough
        delete_job_files=True,  # nothing is left behind for other pages of the server to offer
        deferrable=True,
        retries=2,  # it changes nothing, so it may be repeated
        retry_delay=timedelta(minutes=5),
    )

    @task
    def see_that_all_are_there(extracted: Any) -> None:
        """Stop here if a participant of the site is not in the file. What came through XCom are counts."""
        if extracted["missing"]:
            raise ValueError(f"{extracted['missing']} participants are not in the file; run the DAG again")

    see_that_all_are_there(contacts.output)

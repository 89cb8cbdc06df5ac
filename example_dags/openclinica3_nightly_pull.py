"""Pull a whole study out of OpenClinica 3 every night, and make tidy tables of it for the warehouse.

The operators are those of OpenClinica 4: the connection's type tells which of the two is read. What was removed comes
too, and is flagged in the tables; an event that was removed is not marked by OpenClinica 3.

Needs the connection ``openclinica3_default`` (Admin > Connections, type OpenClinica 3), the extra ``tables``, and a
pool, for an account has one session:

    airflow pools set openclinica3 1 "one session for each account"

To try it on this machine, start ``python -m airflow_provider_openclinica.sandbox --version 3`` and run

    airflow dags test openclinica3_nightly_pull -c '{"output_uri": "/data/juno"}'
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_openclinica.transfers.openclinica_to_file import OpenClinicaToFileOperator
from airflow_provider_openclinica.transfers.openclinica_to_tables import OpenClinicaToTablesOperator

with DAG(
    dag_id="openclinica3_nightly_pull",
    description="Clinical data of a study in OpenClinica 3, as ODM and as tables",
    schedule=None,  # "@daily"
    catchup=False,
    max_active_runs=1,
    params={
        "study_oid": Param("S_JUNO", type="string"),
        "output_uri": Param("s3://lake/juno", type="string", description="Folder, encrypted, that few may read"),
    },
    tags=["openclinica"],
) as dag:
    pull = OpenClinicaToFileOperator(
        task_id="pull",
        openclinica_conn_id="openclinica3_default",
        study_oid="{{ params.study_oid }}",
        output_uri="{{ params.output_uri }}/odm.xml",
        include_audits=True,
        include_queries=True,
        pool="openclinica3",
        retries=3,
        retry_delay=timedelta(minutes=10),
    )
    tables = OpenClinicaToTablesOperator(
        task_id="make_tables",
        odm_uri="{{ ti.xcom_pull(task_ids='pull')['output_uri'] }}",  # asks no server
        output_uri="{{ params.output_uri }}/tables/",
    )
    pull >> tables

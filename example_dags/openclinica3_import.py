"""Import laboratory data into OpenClinica 3 every night, and wait until its web application is up before that.

OpenClinica 3 has no jobs: the import is done when the task is. It reads back what it wrote, since the server calls an
import a success whether anything was stored or not. A retry sends only what is missing.

Needs the connection ``openclinica3_default`` (Admin > Connections, type OpenClinica 3), and a pool, for an account has
one session:

    airflow pools set openclinica3 1 "one session for each account"

To try it on this machine, start ``python -m airflow_provider_openclinica.sandbox --version 3`` and run

    airflow dags test openclinica3_import -c '{"odm_uri": "/data/labs.xml", "log_uri": "/data/log/labs.jsonl"}'
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_openclinica.operators.openclinica3 import OpenClinica3ImportOperator
from airflow_provider_openclinica.sensors.openclinica3 import OpenClinica3AliveSensor

with DAG(
    dag_id="openclinica3_import",
    description="Laboratory data into OpenClinica 3",
    schedule=None,  # "0 4 * * *" for every night at four
    catchup=False,
    max_active_runs=1,
    params={
        "odm_uri": Param("s3://labs/today.xml", type="string", description="CDISC ODM file, anywhere Airflow can read"),
        "log_uri": Param(
            "s3://labs/log/today.jsonl", type="string", description="What the server says of each request"
        ),
    },
    tags=["openclinica"],
) as dag:
    alive = OpenClinica3AliveSensor(task_id="is_it_up", poke_interval=60, timeout=3600, mode="reschedule")
    import_labs = OpenClinica3ImportOperator(
        task_id="import_labs",
        odm_uri="{{ params.odm_uri }}",
        log_uri="{{ params.log_uri }}",  # it may quote values: a place that few may read
        # Forms that people have completed stay as they are.
        upsert_on=["not_started", "data_entry_started"],
        pool="openclinica3",
        retries=2,
        retry_delay=timedelta(minutes=5),
    )
    alive >> import_labs

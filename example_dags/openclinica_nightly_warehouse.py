"""Keep a study in a database, moving every night only what changed; another DAG runs when something did.

The first night pulls everything. The nights after ask OpenClinica who changed and pull those participants; once a week
everything is pulled again, since not every change moves a participant's date, and so it is where more than a quarter of
them have changed (docs/incremental.md). The load is one transaction: a reader sees the night before or this one. A
night that failed leaves no gap: the next one waits until it has been mended, and the database refuses a set that does
not join on to what it has (docs/warehouse.md). To begin anew, run it with ``full``.

Needs the connections ``openclinica_default`` and ``warehouse``, which is of any type that speaks SQL, and the extra
``warehouse``. To try it on this machine, start the sandbox and run it twice:

    python -m demo.study http://127.0.0.1:8090/OpenClinica
    export AIRFLOW_CONN_WAREHOUSE='{"conn_type": "sqlite", "host": "/data/warehouse.sqlite"}'
    airflow dags test openclinica_nightly_warehouse -c '{"output_uri": "/data/juno"}'
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_openclinica.transfers.openclinica_to_file import OpenClinicaToFileOperator
from airflow_provider_openclinica.transfers.openclinica_to_tables import OpenClinicaToTablesOperator
from airflow_provider_openclinica.transfers.tables_to_sql import OpenClinicaTablesToSqlOperator

with DAG(
    dag_id="openclinica_nightly_warehouse",
    description="A study in a database, of which only what changed is moved",
    schedule=None,  # "@daily"
    catchup=False,
    max_active_runs=1,  # one night after the other, as the sets have to be loaded
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=10),
        "wait_for_downstream": True,  # a set is loaded before the next one takes its place
    },
    params={
        "study_oid": Param("S_JUNO", type="string"),
        "output_uri": Param("s3://lake/juno", type="string", description="Folder, encrypted, that few may read"),
        "full": Param(False, type="boolean", description="Pull everything, and not what changed"),
    },
    tags=["openclinica"],
) as dag:
    pull = OpenClinicaToFileOperator(
        task_id="pull",
        study_oid="{{ params.study_oid }}",
        output_uri="{{ params.output_uri }}/odm/",
        include_metadata=True,
        show_archived=True,  # flagged in the tables
        partition_by="auto",
        incremental="{{ not params.full }}",
        full_every=timedelta(days=7),
        watermark_uri="{{ params.output_uri }}/",
    )
    tables = OpenClinicaToTablesOperator(
        task_id="make_tables",
        odm_uri="{{ ti.xcom_pull(task_ids='pull')['output_uri'] }}",
        output_uri="{{ params.output_uri }}/tables/",
    )
    load = OpenClinicaTablesToSqlOperator(
        task_id="load",
        tables_uri="{{ ti.xcom_pull(task_ids='make_tables')['output_uri'] }}",
        sql_conn_id="warehouse",
    )
    pull >> tables >> load

with DAG(
    dag_id="openclinica_warehouse_changed",
    description="Runs when a night has changed something in the database, and not otherwise",
    schedule=load.outlets,
    catchup=False,
    tags=["openclinica"],
) as downstream:

    @task
    def tell(**context: Any) -> list[dict[str, Any]]:
        """Say how many rows came, changed and went; a report would be made here. In Airflow 2: dataset, not asset."""
        return [event.extra for events in context["triggering_asset_events"].values() for event in events]

    tell()

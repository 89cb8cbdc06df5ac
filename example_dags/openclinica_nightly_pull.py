"""Pull a whole study every night, and make tidy tables of it for the warehouse.

The first task leaves the ODM files, which are the truth and say what was written by whom; keep them. The second reads
those files and not the server, so tables can be made again without asking OpenClinica. What passes between the two is
the name of a folder and numbers, never data.

Needs the connection ``openclinica_default``, with an account that has a role in the study, and the extra ``tables``. To
try it on this machine, start the sandbox and run

    python -m demo.study http://127.0.0.1:8090/OpenClinica
    airflow dags test openclinica_nightly_pull -c '{"output_uri": "/data/juno"}'
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_openclinica.transfers.openclinica_to_file import OpenClinicaToFileOperator
from airflow_provider_openclinica.transfers.openclinica_to_tables import OpenClinicaToTablesOperator

with DAG(
    dag_id="openclinica_nightly_pull",
    description="Clinical data of a study, as ODM and as tables",
    schedule=None,  # "@daily"
    catchup=False,
    max_active_runs=1,  # the server also serves the sites
    params={
        "study_oid": Param("S_JUNO", type="string"),
        "output_uri": Param("s3://lake/juno", type="string", description="Folder, encrypted, that few may read"),
    },
    tags=["openclinica"],
) as dag:
    pull = OpenClinicaToFileOperator(
        task_id="pull",
        study_oid="{{ params.study_oid }}",
        output_uri="{{ params.output_uri }}/odm/",
        include_metadata=True,  # so that the tables know types and labels as they were on that night
        include_audits=True,
        include_queries=True,
        show_archived=True,  # flagged in the tables
        partition_by="auto",  # in one piece; where that breaks, site by site
        retries=3,  # each goes on after the pieces that are there
        retry_delay=timedelta(minutes=10),
    )
    tables = OpenClinicaToTablesOperator(
        task_id="make_tables",
        odm_uri="{{ ti.xcom_pull(task_ids='pull')['output_uri'] }}",
        output_uri="{{ params.output_uri }}/tables/",
    )
    pull >> tables

"""Import laboratory data into OpenClinica every night, and keep the log of what became of each row.

Needs the connection ``openclinica_default`` (Admin > Connections, type OpenClinica). To try it on this machine, with no
OpenClinica at hand: ``make demo``, or start the sandbox and run

    airflow dags test openclinica_import -c '{"odm_uri": "/data/labs.xml", "log_uri": "/data/log/"}'
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_openclinica.operators.clinicaldata import OpenClinicaImportClinicalDataOperator

with DAG(
    dag_id="openclinica_import",
    description="Laboratory data into OpenClinica",
    schedule=None,  # "0 4 * * *" for every night at four
    catchup=False,
    max_active_runs=1,  # two imports that touch the same participant get in each other's way
    params={
        "odm_uri": Param("s3://labs/today.xml", type="string", description="CDISC ODM file, anywhere Airflow can read"),
        "log_uri": Param("s3://labs/log/", type="string", description="Folder for the logs; ends in a slash"),
    },
    tags=["openclinica"],
) as dag:
    OpenClinicaImportClinicalDataOperator(
        task_id="import_labs",
        odm_uri="{{ params.odm_uri }}",
        # OpenClinica answers for each row. The log goes here, rows that failed beside it, as <job>.failed.csv.
        log_uri="{{ params.log_uri }}",
        # More than 1 % failed rows fail the task, for good: no retry can mend a row. Correct the file and clear the
        # task; that sends it anew.
        fail_on=0.01,
        # Wait in the triggerer: the task takes no worker slot while OpenClinica works.
        deferrable=True,
        # A retry never imports twice: it finds the job of the try before it.
        retries=2,
        retry_delay=timedelta(minutes=5),
    )

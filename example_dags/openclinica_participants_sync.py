"""Bring the participants of a site into OpenClinica every night, from a CSV file that another system writes.

The file has a header and one line for each participant. ``ParticipantID`` is all it needs; contact data may follow:

    ParticipantID,FirstName,LastName,EmailAddress,MobileNumber

Needs the connection ``openclinica_default``. To try it on this machine, start the sandbox and run

    airflow dags test openclinica_participants_sync -c '{"csv_uri": "/data/boston.csv", "log_uri": "/data/log/"}'
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_openclinica.operators.participants import OpenClinicaBulkParticipantsOperator

with DAG(
    dag_id="openclinica_participants_sync",
    description="Participants of a site into OpenClinica",
    schedule=None,  # "0 2 * * *" for every night at two
    catchup=False,
    max_active_runs=1,
    params={
        "study_oid": Param("S_JUNO", type="string"),
        "site_oid": Param("S_BOSTON", type="string"),
        "csv_uri": Param("s3://ctms/boston.csv", type="string", description="Anywhere Airflow can read"),
        "log_uri": Param("s3://ctms/log/", type="string", description="Folder for the logs; ends in a slash"),
    },
    tags=["openclinica"],
) as dag:
    OpenClinicaBulkParticipantsOperator(
        task_id="sync_participants",
        study_oid="{{ params.study_oid }}",
        site_oid="{{ params.site_oid }}",
        # Names and addresses go from this file to OpenClinica. No XCom, no log and no rendered template has them.
        csv_uri="{{ params.csv_uri }}",
        # The answer for each row. IDs are pseudonyms, and still personal data: keep the logs where you keep those.
        log_uri="{{ params.log_uri }}",
        deferrable=True,
        # A participant who is there is updated, so nothing happens twice, whatever a retry finds.
        retries=2,
        retry_delay=timedelta(minutes=5),
    )

"""Bring in the participants of every site of a study, from one CSV file for each site, a few sites at a time.

The folder holds ``<OID of the site>.csv``, as in ``openclinica_participants_sync.py``. Each site is a mapped task with
its own jobs, logs and retries, so one site's bad file stops no other site.

Needs the connection ``openclinica_default``, and a pool that counts deferred tasks, too:

    airflow pools set openclinica 2 "Tasks that have a job on OpenClinica" --include-deferred

To try it on this machine, start the sandbox and run

    airflow dags test openclinica_two_sites -c '{"csv_folder": "/data/sites/", "log_uri": "/data/log/"}'
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_openclinica.operators.participants import OpenClinicaBulkParticipantsOperator
from airflow_provider_openclinica.operators.studies import OpenClinicaListSitesOperator

with DAG(
    dag_id="openclinica_two_sites",
    description="Participants of all sites into OpenClinica",
    schedule=None,  # "0 2 * * *" for every night at two
    catchup=False,
    max_active_runs=1,
    params={
        "study_oid": Param("S_JUNO", type="string"),
        "csv_folder": Param("s3://ctms/sites/", type="string", description="Where the files are; ends in a slash"),
        "log_uri": Param("s3://ctms/log/", type="string", description="Folder for the logs; ends in a slash"),
    },
    tags=["openclinica"],
) as dag:
    sites = OpenClinicaListSitesOperator(task_id="list_sites", study_oid="{{ params.study_oid }}")

    OpenClinicaBulkParticipantsOperator.partial(
        task_id="sync_site",
        map_index_template="{{ task.site_oid }}",  # the site's OID beside each task in the UI
        study_oid="{{ params.study_oid }}",
        csv_uri="{{ params.csv_folder }}{{ task.site_oid }}.csv",
        log_uri="{{ params.log_uri }}",
        # OpenClinica works for people, too: no more than two sites at a time.
        pool="openclinica",
        deferrable=True,
        retries=2,
        retry_delay=timedelta(minutes=5),
    ).expand(site_oid=sites.output)

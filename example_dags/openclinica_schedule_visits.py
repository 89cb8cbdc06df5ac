"""Schedule a visit for each participant whom a site has added, or changed, since the last run.

Needs the connection ``openclinica_default``. To try it on this machine, start the sandbox and run

    airflow dags test openclinica_schedule_visits -c '{"since": "2026-01-01", "log_uri": "/data/log/"}'
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, AirflowSkipException, Param, task

from airflow_provider_openclinica.operators.events import OpenClinicaBulkEventsOperator
from airflow_provider_openclinica.operators.participants import OpenClinicaListParticipantsOperator

VISIT = "SE_BASELINE"  # a visit that does not repeat
AFTER = timedelta(days=14)

with DAG(
    dag_id="openclinica_schedule_visits",
    description="Baseline visits for new participants",
    schedule=None,  # "0 3 * * *" for every night at three
    catchup=False,
    max_active_runs=1,
    params={
        "study_oid": Param("S_JUNO", type="string"),
        "site_oid": Param("S_BOSTON", type="string"),
        "since": Param("", type="string", description="A time, ISO 8601. Empty: where the run's data interval begins"),
        "log_uri": Param("s3://visits/log/", type="string", description="Folder for the logs; ends in a slash"),
    },
    tags=["openclinica"],
) as dag:
    participants = OpenClinicaListParticipantsOperator(
        task_id="list_participants",
        study_oid="{{ params.study_oid }}",
        site_oid="{{ params.site_oid }}",
        changed_since="{{ params.since or data_interval_start }}",
    )

    @task
    def plan_visits(listed: Any) -> list[dict[str, Any]]:
        """Write one row for each participant. A row without StudyEventRepeatKey schedules a visit."""
        if not listed:
            raise AirflowSkipException("Nobody is new")
        day = (datetime.now(UTC) + AFTER).date().isoformat()
        return [{"ParticipantID": one["participant_id"], "StudyEventOID": VISIT, "StartDate": day} for one in listed]

    OpenClinicaBulkEventsOperator(
        task_id="schedule_visits",
        study_oid="{{ params.study_oid }}",
        site_oid="{{ params.site_oid }}",
        rows=plan_visits(participants.output),  # IDs, OIDs and dates may pass through XCom
        log_uri="{{ params.log_uri }}",
        # Who was changed and not added has the visit already, and OpenClinica refuses it: a failed row, and no harm. A
        # visit that repeats would be added again. For those, list what is due in a query, or keep track of it.
        fail_on="job",
        deferrable=True,
        retries=2,
        retry_delay=timedelta(minutes=5),
    )

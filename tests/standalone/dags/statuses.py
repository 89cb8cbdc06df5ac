"""A visit that is waited for in the triggerer; each run says whose and in which OpenClinica."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_openclinica.sensors.clinicaldata import OpenClinicaEventStatusSensor

with DAG("visit_begun", schedule=None):
    OpenClinicaEventStatusSensor(
        task_id="begun",
        openclinica_conn_id="{{ dag_run.conf['conn_id'] }}",
        study_oid="S_JUNO",
        site_oid="S_BOSTON",
        participant_id="{{ dag_run.conf['participant_id'] }}",
        study_event_oid="SE_BASELINE",
        status="data entry started",
        deferrable=True,
        poke_interval=0.5,
        timeout=600,
    )

"""One import, waiting in the worker or in the triggerer; each run says what is sent and to which OpenClinica."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_openclinica.operators.clinicaldata import OpenClinicaImportClinicalDataOperator

for mode in ("waiting", "deferrable"):
    with DAG(f"import_{mode}", schedule=None, default_args={"retries": 1, "retry_delay": timedelta(seconds=1)}):
        OpenClinicaImportClinicalDataOperator(
            task_id="labs",
            openclinica_conn_id="{{ dag_run.conf['conn_id'] }}",
            odm_uri="{{ dag_run.conf['odm_uri'] }}",
            log_uri="{{ dag_run.conf['log_uri'] }}",
            study_oid="S_JUNO",
            deferrable=mode == "deferrable",
            poll_interval=0.5,
            timeout=timedelta(minutes=10),
        )

"""The harness itself: if these fail, the other tests of DAGs say nothing."""

from __future__ import annotations

import logging
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from tests.dags.conftest import RunDag, TaskLog, states, xcoms


def test_a_dag_runs_with_its_xcom_and_its_log(run_dag: RunDag, task_log: TaskLog) -> None:
    with DAG("harness_runs", schedule=None) as dag:

        @task
        def speak() -> dict[str, int]:
            logging.getLogger("airflow_provider_openclinica.anything").info("said by a logger")
            print("said by print")  # noqa: T201
            return {"rows": 3}

        speak()

    run = run_dag(dag)

    assert states(run) == {"speak": "success"}
    assert xcoms(run, "speak")["return_value"] == {"rows": 3}
    assert "said by a logger" in task_log()
    assert "said by print" in task_log()


def test_a_failed_try_is_retried_and_its_error_is_in_the_log(run_dag: RunDag, task_log: TaskLog) -> None:
    with DAG("harness_retries", schedule=None) as dag:

        @task(retries=1, retry_delay=0)
        def stumble(ti: Any = None) -> int:
            if ti.try_number == 1:
                raise RuntimeError("the first try fails")
            return int(ti.try_number)

        stumble()

    run = run_dag(dag)

    assert states(run) == {"stumble": "success"}
    assert xcoms(run, "stumble")["return_value"] == 2
    assert "the first try fails" in task_log()

"""Run whole DAGs inside the test process: real task runner, real retries, real state store, triggers inline.

What this cannot show: an inline trigger knows no timeout, and what a task hands to itself by ``defer(kwargs=...)`` is
dropped. ``tests/standalone`` runs the real triggerer.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.sdk import DAG

RunDag = Callable[..., "DagRun"]
TaskLog = Callable[[], str]


@pytest.fixture
def run_dag(airflow_db: None) -> RunDag:
    """Return a function that runs a DAG to its end, retries included; keywords go to ``DAG.test``."""

    def run(dag: DAG, **options: Any) -> DagRun:
        store(dag)
        result: DagRun = dag.test(**options)
        return result

    return run


@pytest.fixture
def task_log(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> TaskLog:
    """Return a function that gives all that was logged or printed so far, by the tasks or by anything else."""
    caplog.set_level(logging.INFO)
    printed: list[str] = []

    def read() -> str:
        printed.extend(capfd.readouterr())
        return "".join(printed) + caplog.text

    return read


def store(dag: DAG) -> None:
    """Store a DAG as the DAG processor would: Airflow 3 runs only what it has stored."""
    home = "airflow.dag_processing.dagbag" if find_spec("airflow.dag_processing.dagbag") else "airflow.models.dagbag"
    module = import_module(home)  # 3.2 moved it
    if not hasattr(module, "sync_bag_to_db"):
        return  # 2.11 stores it by itself
    import_module("airflow.dag_processing.bundles.manager").DagBundlesManager().sync_bundles_to_db()
    bag = module.DagBag(os.devnull)
    bag.bag_dag(dag)
    module.sync_bag_to_db(bag, "dags-folder", None)


def states(run: DagRun) -> dict[str, str]:
    """Return how each task of a run ended."""
    return {instance.task_id: str(instance.state) for instance in run.get_task_instances()}


def xcoms(run: DagRun, task_id: str) -> dict[str, Any]:
    """Return all that a task of a run left in XCom, by key."""
    from airflow.models import xcom
    from airflow.utils.session import create_session

    model = getattr(xcom, "XComModel", None) or xcom.XCom
    with create_session() as session:
        rows = session.query(model).filter_by(dag_id=run.dag_id, run_id=run.run_id, task_id=task_id)
        if model is xcom.XCom:  # Airflow 2.11 has decoded it already
            return {row.key: row.value for row in rows}
        return {row.key: model.deserialize_value(row) for row in rows}


def stored(bucket: Any, prefix: str = "") -> dict[str, bytes]:
    """Return the files of a bucket by their keys, or those below a prefix."""
    return {found.key: found.get()["Body"].read() for found in bucket.objects.filter(Prefix=prefix)}

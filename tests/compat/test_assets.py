"""A DAG that waits for an output runs when something has changed, and only then, on every Airflow from 2.11 on."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import airflow
import pytest
from airflow.models import DagBag
from airflow.providers.common.compat.sdk import DAG, AssetAlias, BaseOperator

from airflow_provider_openclinica.operators.assets import announce, asset_of, declare, output_asset
from tests.dags.conftest import RunDag, states, store

AIRFLOW_2 = airflow.__version__.startswith("2.")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class Writing(BaseOperator):
    template_fields = ("output_uri",)

    def __init__(self, *, output_uri: str, changed: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_uri = output_uri
        self.changed = changed
        declare(self, output_asset(output_uri), kwargs)

    def execute(self, context: Any) -> None:
        told = {"study_oid": "S_JUNO", "tables": {"items": {"changed": 3}}}
        announce(self, context, output_asset(self.output_uri), told, changed=self.changed)


def keep(dag: DAG) -> None:
    """Store a DAG that is not run here."""
    if AIRFLOW_2:
        bag: Any = DagBag(os.devnull)
        bag.bag_dag(dag, root_dag=dag)
        bag.sync_to_db()
    else:
        store(dag)


def events_and_waiting(source: str) -> tuple[list[tuple[str, str, Any]], set[str]]:
    """Return the events that a DAG has caused, and which DAGs are to run because of any."""
    from airflow.utils.session import create_session

    models: Any = import_module("airflow.models.dataset" if AIRFLOW_2 else "airflow.models.asset")
    event, queue, what = (
        (models.DatasetEvent, models.DatasetDagRunQueue, "dataset")
        if AIRFLOW_2
        else (models.AssetEvent, models.AssetDagRunQueue, "asset")
    )
    with create_session() as session:
        found = session.query(event).filter_by(source_dag_id=source)
        events = [(getattr(each, what).uri, each.source_task_id, each.extra) for each in found]
        return events, {queued.target_dag_id for queued in session.query(queue)}


@pytest.mark.parametrize("changed", [False, True], ids=["nothing-changed", "something-changed"])
def test_who_waits_for_an_output_runs_only_when_something_has_changed(run_dag: RunDag, changed: bool) -> None:
    place = f"juno_{changed}"
    waiting = {
        f"of_folder_{changed}": f"/data/{place}/",
        f"of_bucket_{changed}": f"s3://bucket/{place}",
    }
    for dag_id, address in waiting.items():
        with DAG(dag_id, schedule=[asset_of(address)], start_date=BEGIN, is_paused_upon_creation=False) as dag:
            Writing(task_id="read", output_uri="{{ run_id }}")
        keep(dag)
    source = f"source_{changed}"
    with DAG(source, schedule=None, start_date=BEGIN) as dag:
        Writing(task_id="declared", output_uri=f"/data/{place}/", changed=changed)
        address = f"s3://conn@bucket/{{{{ '{place}' }}}}/"
        Writing(task_id="by_alias", output_uri=address, changed=changed, outlets=[AssetAlias(place)])
        Writing.partial(task_id="mapped", output_uri=f"/data/mapped_{place}/").expand(changed=[changed])

    keep(dag)
    run = run_dag(dag)

    assert set(states(run).values()) == {"success"}
    events, queued = events_and_waiting(source)
    told = {"study_oid": "S_JUNO", "tables.items.changed": 3}
    expected = [
        (f"file:///data/{place}", "declared", told),
        (f"s3://bucket/{place}", "by_alias", told),
    ]
    assert sorted(events, key=str) == (expected if changed else [])
    assert queued & set(waiting) == (set(waiting) if changed else set())

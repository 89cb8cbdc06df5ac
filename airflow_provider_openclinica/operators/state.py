"""What Airflow says about a task's past: its generation, its record, and whether silence in that means anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from airflow import __version__ as airflow_version

from airflow_provider_openclinica.engine.record import Record
from airflow_provider_openclinica.engine.submit import TaskKey

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

    from airflow_provider_openclinica.engine.record import StateStore

CLEARING_EMPTIES_STORE = (3, 4)  #: the first Airflow on which clearing a task drops its state


def task_key(context: Context) -> TaskKey:
    """Return which task this is, the same in each of its tries."""
    ti = context["ti"]
    map_index = -1 if ti.map_index is None else ti.map_index
    return TaskKey(dag_id=ti.dag_id, run_id=ti.run_id, task_id=ti.task_id, map_index=map_index)


def generation(context: Context) -> int:
    """Return a number that grows when a person clears the task, and only then: on every Airflow, ``max_tries``."""
    return int(context["ti"].max_tries or 0)


def is_first_try(context: Context) -> bool:
    """Tell whether nothing of this task has run before in its run."""
    return context["ti"].try_number <= 1


def is_first_try_of_generation(context: Context, task: BaseOperator) -> bool:
    """Tell whether nothing of this task has run since it was last cleared, or ever."""
    return context["ti"].try_number <= max(1, generation(context) - (task.retries or 0) + 1)


def store(context: Context) -> StateStore | None:
    """Return where the task may keep what its retries have to know: None on Airflow before 3.3."""
    return cast("StateStore | None", context.get("task_state_store"))


def record(context: Context, task: BaseOperator) -> Record:
    """Return what the task remembers: on Airflow before 3.3, nothing."""
    never_cleared = generation(context) == (task.retries or 0)
    return Record(store(context), is_whole=never_cleared or _version() < CLEARING_EMPTIES_STORE)


def _version() -> tuple[int, int]:
    major, minor = airflow_version.split(".")[:2]
    return int(major), int(minor)

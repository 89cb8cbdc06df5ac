"""What Airflow tells of a task's past."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_openclinica.operators import state

if TYPE_CHECKING:
    from tests.tasks import Task


@pytest.mark.parametrize(
    ("version", "max_tries", "is_whole"),
    [
        pytest.param("3.3.2", 2, True, id="3.3-never-cleared"),
        pytest.param("3.3.2", 5, True, id="3.3-clearing-keeps-the-store"),
        pytest.param("3.4.0", 2, True, id="3.4-never-cleared"),
        pytest.param("3.4.0rc1", 5, False, id="3.4-clearing-may-have-emptied-the-store"),
        pytest.param("4.0.0", 5, False, id="4.0-too"),
    ],
)
def test_silence_counts_only_in_a_store_that_no_clearing_can_have_emptied(
    task: Task, monkeypatch: pytest.MonkeyPatch, version: str, max_tries: int, is_whole: bool
) -> None:
    monkeypatch.setattr(state, "airflow_version", version)
    task.ti.max_tries = max_tries

    assert state.record(task.context, BaseOperator(task_id="import", retries=2)).is_whole is is_whole


def test_an_airflow_without_a_store_has_no_record(task: Task) -> None:
    task.store = None

    assert not state.record(task.context, BaseOperator(task_id="import")).is_whole


def test_the_generation_grows_with_clearing_and_not_with_retries(task: Task) -> None:
    generations = [state.generation(task.context)]
    task.ti.retry()
    generations.append(state.generation(task.context))
    task.ti.clear()
    generations.append(state.generation(task.context))

    assert generations[0] == generations[1] < generations[2]


def test_only_the_first_try_can_be_sure_that_nothing_was_sent(task: Task) -> None:
    assert state.is_first_try(task.context)
    task.ti.retry()
    assert not state.is_first_try(task.context)


@pytest.mark.parametrize("retries", [0, 2])
def test_the_first_try_after_a_clearing_is_a_first_one_too(task: Task, retries: int) -> None:
    operator = BaseOperator(task_id="visit", retries=retries)
    task.ti.max_tries = retries
    seen = []
    for _ in range(2):
        seen.append(state.is_first_try_of_generation(task.context, operator))
        task.ti.retry()
        seen.append(state.is_first_try_of_generation(task.context, operator))
        task.ti.clear()
        task.ti.max_tries += retries  # as Airflow does
    assert seen == [True, False, True, False]


def test_mapped_tasks_are_told_apart(task: Task) -> None:
    first = state.task_key(task.context)
    task.ti.map_index = 1

    assert state.task_key(task.context) != first

"""What Airflow does to a task that is deferred, or killed, and what the task makes of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_openclinica.errors import JobTimeoutError, SubmissionChangedError
from tests.operators.imports import importing, names
from tests.tasks import Task, event_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_openclinica.sandbox.server import Sandbox

    Labs = Callable[..., str]

pytestmark = pytest.mark.usefixtures("openclinica_conn")


def test_a_file_that_changes_while_the_task_is_deferred_stops_it(sandbox: Sandbox, task: Task, labs: Labs) -> None:
    operator = importing(labs("BOS-001"), deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(task.context)

    labs("BOS-002")

    with pytest.raises(AirflowFailException) as caught:
        operator.resume(task.context, event_of(deferred.value.trigger))
    assert isinstance(caught.value.__cause__, SubmissionChangedError)


def test_the_errors_of_the_watch_come_back_as_what_they_were(sandbox: Sandbox, task: Task, labs: Labs) -> None:
    sandbox.fate("stuck")
    operator = importing(labs("BOS-001"), deferrable=True, timeout=0.3)

    with pytest.raises(JobTimeoutError, match="Still running"):
        task.run(operator)


@pytest.mark.parametrize("event", [None, {}, {"status": "success"}], ids=["none", "empty", "another-provider's"])
def test_an_event_that_is_not_ours_never_passes_for_success(task: Task, labs: Labs, event: Any) -> None:
    with pytest.raises(AirflowFailException, match="not one of ours"):
        importing(labs("BOS-001"), deferrable=True).resume(task.context, event)


def test_airflows_own_trigger_timeout_becomes_an_error_of_ours(task: Task) -> None:
    with pytest.raises(JobTimeoutError, match="No triggerer"):
        importing("labs.xml").resume_execution("__fail__", {"error": "Trigger timeout"}, task.context)


def test_no_part_is_sent_after_execution_timeout_however_often_the_task_was_deferred(
    sandbox: Sandbox, task: Task, labs: Labs
) -> None:
    operator = importing(
        labs("BOS-001", "BOS-002"), max_items_per_job=9, deferrable=True, execution_timeout=timedelta(seconds=60)
    )
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(task.context)
    assert deferred.value.trigger.watch.deadline == pytest.approx(deferred.value.trigger.progress["started"] + 60)
    event = event_of(deferred.value.trigger)
    event["progress"]["started"] -= 60

    with pytest.raises(JobTimeoutError, match="execution_timeout has passed after 1 jobs"):
        operator.resume(task.context, event)
    assert len(names(sandbox)) == 1


def test_on_kill_before_anything_has_begun_is_quiet() -> None:
    importing("labs.xml").on_kill()

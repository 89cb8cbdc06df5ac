"""What the next try makes of a try that died, against a running OpenClinica in both dialects.

The dialect of the documents has no job list; the other has one. A store of ``None`` is Airflow before 3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    JobFailedError,
    RoleError,
    RowsFailedError,
    ServerUnavailableError,
    SubmissionChangedError,
    WaitInterruptedError,
)
from tests.documents import BAD_UNIT
from tests.operators.imports import fails_with, importing, kill_while_waiting, names
from tests.stores import DictStore, StoreOfALostWorker, WorkerLost
from tests.tasks import Task, event_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox

    Labs = Callable[..., str]

pytestmark = pytest.mark.usefixtures("openclinica_conn")

source_only = pytest.mark.parametrize("dialect", ["source"])
docs_only = pytest.mark.parametrize("dialect", ["docs"])
both_modes = pytest.mark.parametrize("deferrable", [False, True], ids=["in-the-worker", "deferred"])


# -- a worker that dies while it waits


@pytest.mark.parametrize("has_store", [True, False], ids=["with-a-store", "without"])
@source_only
def test_a_retry_finds_the_job_of_a_try_that_was_killed(
    sandbox: Sandbox, task: Task, labs: Labs, has_store: bool
) -> None:
    task.store = DictStore() if has_store else None
    uri = labs("BOS-001")
    sandbox.fate("stuck")
    kill_while_waiting(task, importing(uri))

    task.ti.retry()
    sandbox.release()
    result = task.run(importing(uri))

    assert result["outcomes"] == {"Inserted": 9}
    assert [job["uuid"] for job in sandbox.jobs()] == [task.ti.xcoms["job_uuid"]]


@docs_only
def test_the_record_suffices_where_there_is_no_job_list(sandbox: Sandbox, task: Task, labs: Labs) -> None:
    uri = labs("BOS-001")
    sandbox.fate("stuck")
    kill_while_waiting(task, importing(uri))

    task.ti.retry()
    sandbox.release()

    assert task.run(importing(uri))["outcomes"] == {"Inserted": 9}
    assert len(names(sandbox)) == 1


@docs_only
@pytest.mark.parametrize(("policy", "jobs"), [("fail", 1), ("resubmit", 2)])
def test_with_neither_record_nor_list_a_second_try_asks_the_user(
    sandbox: Sandbox, task: Task, labs: Labs, policy: str, jobs: int
) -> None:
    task.store = None
    uri = labs("BOS-001")
    sandbox.fate("stuck")
    kill_while_waiting(task, importing(uri))

    task.ti.retry()
    operator = importing(uri, on_ambiguous_submit=policy)
    if policy == "fail":
        message = fails_with(task, operator, AmbiguousSubmitError)
        assert names(sandbox)[0].split(".")[1].rpartition("-g")[0] in message
    else:
        assert task.run(operator)["status"] == "finished"

    assert len(names(sandbox)) == jobs


@both_modes
def test_a_retry_goes_on_with_the_first_part_that_has_no_outcome(
    sandbox: Sandbox, task: Task, labs: Labs, deferrable: bool
) -> None:
    uri = labs("BOS-001", "BOS-002", "BOS-003")
    sandbox.fate("slow", seconds=0)
    sandbox.fate("stuck")
    kill_while_waiting(task, importing(uri, max_items_per_job=9), until=lambda: len(names(sandbox)) == 2)
    assert len(names(sandbox)) == 2

    task.ti.retry()
    sandbox.release()
    result = task.run(importing(uri, max_items_per_job=9, deferrable=deferrable))

    assert len(result["jobs"]) == len(names(sandbox)) == 3
    assert result["outcomes"] == {"Inserted": 27}


def test_a_task_that_is_killed_between_two_parts_sends_no_more(sandbox: Sandbox, task: Task, labs: Labs) -> None:
    operator = importing(labs("BOS-001", "BOS-002"), max_items_per_job=9)
    finish = operator.client.jobs.open_log
    operator.client.jobs.open_log = lambda uuid: operator.on_kill() or finish(uuid)  # type: ignore[method-assign,func-returns-value]
    try:
        with pytest.raises(WaitInterruptedError):
            task.run(operator)
    finally:
        del operator.client.jobs.open_log

    assert len(names(sandbox)) == 1


# -- a worker that dies between the file and its answer


@docs_only
@pytest.mark.parametrize(("policy", "jobs"), [("fail", 1), ("resubmit", 2)])
def test_a_worker_that_dies_before_it_wrote_the_uuid_down_leaves_a_doubt_without_a_job_list(
    sandbox: Sandbox, task: Task, labs: Labs, policy: str, jobs: int
) -> None:
    task.store = StoreOfALostWorker("before", "submitted")
    uri = labs("BOS-001")
    with pytest.raises(WorkerLost):
        task.run(importing(uri))

    task.ti.retry()
    operator = importing(uri, on_ambiguous_submit=policy)
    if policy == "fail":
        fails_with(task, operator, AmbiguousSubmitError)
    else:
        assert task.run(operator)["outcomes"] == {"No Change": 9}

    assert len(names(sandbox)) == jobs


@source_only
def test_an_answer_that_got_lost_is_replaced_by_the_job_list_at_once(sandbox: Sandbox, task: Task, labs: Labs) -> None:
    sandbox.fault("drop_after", path="clinicaldata/import")
    sandbox.fault("status", path="clinicaldata/import/xml", status=404, times=None)

    assert task.run(importing(labs("BOS-001")))["outcomes"] == {"Inserted": 9}
    assert len(names(sandbox)) == 1


@docs_only
@pytest.mark.parametrize("policy", ["fail", "resubmit"])
def test_an_answer_that_got_lost_is_a_doubt_without_a_job_list(
    sandbox: Sandbox, task: Task, labs: Labs, policy: str
) -> None:
    uri = labs("BOS-001")
    sandbox.fault("drop_after", path="clinicaldata/import*")
    operator = importing(uri, on_ambiguous_submit=policy)
    if policy == "fail":
        assert "labs.af-" in fails_with(task, operator, AmbiguousSubmitError)
        assert len(names(sandbox)) == 1
        return

    with pytest.raises(ServerUnavailableError):
        task.run(operator)
    task.ti.retry()

    assert task.run(operator)["status"] == "finished"
    assert len(names(sandbox)) == 2


@source_only
def test_a_connection_that_broke_before_the_server_had_the_file_costs_one_retry(
    sandbox: Sandbox, task: Task, labs: Labs
) -> None:
    uri = labs("BOS-001")
    sandbox.fault("drop_before", path="clinicaldata/import*")
    with pytest.raises(ServerUnavailableError, match="no job shows so far"):
        task.run(importing(uri))

    task.ti.retry()

    assert task.run(importing(uri))["outcomes"] == {"Inserted": 9}
    assert len(names(sandbox)) == 1


def test_a_refusal_leaves_no_doubt_behind(sandbox: Sandbox, task: Task, labs: Labs) -> None:
    uri = labs("BOS-001")
    sandbox.fault("code", path="clinicaldata/import*", body="errorCode.noRoleSetUp")
    fails_with(task, importing(uri), RoleError)

    task.ti.clear()

    assert task.run(importing(uri))["outcomes"] == {"Inserted": 9}


# -- verdicts


@both_modes
def test_a_verdict_stands_until_the_task_is_cleared(sandbox: Sandbox, task: Task, labs: Labs, deferrable: bool) -> None:
    uri = labs("BOS-001", unit=BAD_UNIT)
    first = fails_with(task, importing(uri, deferrable=deferrable), RowsFailedError)

    task.ti.retry()
    assert fails_with(task, importing(uri, deferrable=deferrable), RowsFailedError) == first
    assert len(names(sandbox)) == 1

    task.ti.clear()
    fails_with(task, importing(uri, deferrable=deferrable), RowsFailedError)
    assert [name[-6:] for name in names(sandbox)] == ["g0.xml", "g2.xml"]


@source_only
def test_without_a_store_clearing_a_task_submits_anew_too(sandbox: Sandbox, task: Task, labs: Labs) -> None:
    task.store = None
    uri = labs("BOS-001")
    task.run(importing(uri))

    task.ti.retry()
    assert task.run(importing(uri))["outcomes"] == {"Inserted": 9}
    task.ti.clear()
    assert task.run(importing(uri))["outcomes"] == {"No Change": 9}

    assert len(names(sandbox)) == 2


@source_only
def test_a_file_that_names_a_site_needs_the_study_for_a_lost_job_to_be_looked_up(
    sandbox: Sandbox, task: Task, labs: Labs
) -> None:
    task.store = None
    uri = labs("BOS-001")
    sandbox.fate("stuck")
    kill_while_waiting(task, importing(uri, study_oid=None))

    task.ti.retry()

    fails_with(task, importing(uri, study_oid=None), AmbiguousSubmitError)


@source_only
@both_modes
@pytest.mark.parametrize("way", ["retry", "clear"])
def test_a_failed_import_has_left_nothing_behind_and_is_sent_anew(
    sandbox: Sandbox, task: Task, labs: Labs, deferrable: bool, way: str
) -> None:
    uri = labs("BOS-001")
    sandbox.fate("failed")
    with pytest.raises(JobFailedError, match="sends it anew"):
        task.run(importing(uri, deferrable=deferrable))
    assert task.store
    assert task.store.get("openclinica_part_1")["phase"] == "failed"

    getattr(task.ti, way)()

    assert task.run(importing(uri, deferrable=deferrable))["outcomes"] == {"Inserted": 9}


def test_a_job_that_broke_off_while_writing_its_log_has_failed(sandbox: Sandbox, task: Task, labs: Labs) -> None:
    sandbox.fate("empty_log")

    with pytest.raises(JobFailedError):
        task.run(importing(labs("BOS-001")))

    assert task.store
    assert task.store.get("openclinica_part_1")["phase"] == "failed"


# -- the file


def test_another_file_than_the_try_before_sent_stops_the_task_until_it_is_cleared(
    sandbox: Sandbox, task: Task, labs: Labs
) -> None:
    uri = labs("BOS-001", unit=BAD_UNIT)
    fails_with(task, importing(uri), RowsFailedError)

    labs("BOS-001")
    task.ti.retry()
    fails_with(task, importing(uri), SubmissionChangedError)
    assert len(names(sandbox)) == 1

    task.ti.clear()
    assert task.run(importing(uri))["rows_failed"] == 0


@both_modes
def test_a_file_is_cut_the_same_way_again_although_the_site_lists_have_changed(
    sandbox: Sandbox, task: Task, labs: Labs, deferrable: bool
) -> None:
    uri = labs("BOS-001", "LEI-001", study="S_JUNO")
    operator = importing(uri, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(task.context)
    sandbox.fault(
        "status", path="clinicaldata/studies/*", times=None, status=400, body='{"message":"errorCode.noRoleSetUp"}'
    )

    if deferrable:
        event = event_of(deferred.value.trigger)
        with pytest.raises(TaskDeferred):
            operator.resume(task.context, event)
    task.ti.retry()
    result = task.run(importing(uri))

    assert [job["outcomes"] for job in result["jobs"]] == [{"Inserted": 9}, {"Inserted": 9}]
    assert len(names(sandbox)) == 2


# -- what the user chose


def test_a_task_that_is_not_durable_submits_in_each_try_and_looks_for_nothing(
    sandbox: Sandbox, task: Task, labs: Labs
) -> None:
    uri = labs("BOS-001")
    task.run(importing(uri, durable=False))
    task.ti.retry()

    task.run(importing(uri, durable=False))

    assert len(names(sandbox)) == 2
    assert task.store
    assert task.store.kept == {}
    assert not [request for request in sandbox.requests() if request["path"].endswith("/jobs")]


def test_two_runs_of_one_dag_do_not_take_each_others_jobs(sandbox: Sandbox, task: Task, labs: Labs) -> None:
    uri = labs("BOS-001")
    task.run(importing(uri))
    other = Task()
    other.ti.run_id = "manual__2"

    assert other.run(importing(uri))["outcomes"] == {"No Change": 9}
    assert len(set(names(sandbox))) == 2


def test_clinical_data_are_gone_from_the_worker_whatever_happens(
    sandbox: Sandbox, task: Task, labs: Labs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    task.store = StoreOfALostWorker("before", "submitting")

    with pytest.raises(WorkerLost):
        task.run(importing(labs("BOS-001")))

    assert list(folder.iterdir()) == []

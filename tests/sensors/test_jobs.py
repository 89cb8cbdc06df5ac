"""Waiting for a job that something else has submitted, against a running OpenClinica in both dialects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    PokeReturnValue,
    TaskDeferred,
)

from airflow_provider_openclinica.errors import ConfigurationError, JobUnknownError, RowsFailedError
from airflow_provider_openclinica.operators.clinicaldata import OpenClinicaImportClinicalDataOperator
from airflow_provider_openclinica.operators.events import OpenClinicaBulkEventsOperator
from airflow_provider_openclinica.sensors.jobs import OpenClinicaJobSensor
from tests.documents import BAD_UNIT, labs
from tests.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_openclinica.sandbox.server import Sandbox

    Submit = Callable[..., dict[str, Any]]

pytestmark = pytest.mark.usefixtures("openclinica_conn")

NOBODYS = "6c325687-c3c3-41f6-9b98-154ef3352cb1"
both_modes = pytest.mark.parametrize("deferrable", [False, True], ids=["poking", "deferred"])


@pytest.fixture
def submit(sandbox: Sandbox, tmp_path: Path) -> Submit:
    """Submit a file without waiting, and return what the operator returned."""

    def send(**content: Any) -> dict[str, Any]:
        path = tmp_path / "labs.xml"
        path.write_text(labs("BOS-001", **content))
        operator = OpenClinicaImportClinicalDataOperator(task_id="import", odm_uri=str(path), wait_for_completion=False)
        result: dict[str, Any] = Task().run(operator)
        return result

    return send


def sensing(job_uuid: Any, **options: Any) -> OpenClinicaJobSensor:
    usual = {"poke_interval": 0.05, "timeout": 20}
    return OpenClinicaJobSensor(task_id="wait", job_uuid=job_uuid, **usual | options)


@both_modes
def test_a_uuid_is_waited_for_and_its_log_is_not_read(
    sandbox: Sandbox, task: Task, submit: Submit, tmp_path: Path, deferrable: bool
) -> None:
    uuid = submit(unit=BAD_UNIT)["jobs"][0]["job_uuid"]

    assert task.run(sensing(uuid, deferrable=deferrable, log_uri=f"{tmp_path}/log/")) is None
    assert not (tmp_path / "log").exists()


@both_modes
def test_a_result_is_fetched_and_judged_as_the_operator_would_have(
    sandbox: Sandbox, task: Task, submit: Submit, tmp_path: Path, deferrable: bool
) -> None:
    submitted = json.loads(json.dumps(submit()))

    result = task.run(sensing(submitted, deferrable=deferrable, log_uri=f"{tmp_path}/log/"))

    assert result["status"] == "finished"
    assert result["outcomes"] == {"Inserted": 9}
    assert result["jobs"][0]["payload_sha256"] == submitted["jobs"][0]["payload_sha256"]
    assert Path(result["jobs"][0]["log_uri"]).read_text().count("Inserted") == 9


@both_modes
def test_a_failed_row_in_a_result_fails_the_sensor(
    sandbox: Sandbox, task: Task, submit: Submit, deferrable: bool
) -> None:
    with pytest.raises(AirflowFailException, match="1 of 9 rows failed") as caught:
        task.run(sensing(submit(unit=BAD_UNIT), deferrable=deferrable))

    assert isinstance(caught.value.__cause__, RowsFailedError)


@both_modes
def test_failed_rows_pass_as_fail_on_allows(sandbox: Sandbox, task: Task, submit: Submit, deferrable: bool) -> None:
    assert task.run(sensing(submit(unit=BAD_UNIT), deferrable=deferrable, fail_on="job"))["rows_failed"] == 1


@both_modes
def test_a_result_with_several_jobs_is_waited_for_one_by_one(
    sandbox: Sandbox, task: Task, submit: Submit, deferrable: bool
) -> None:
    first, second = submit(), submit()
    both = first | {"jobs": first["jobs"] + second["jobs"]}

    result = task.run(sensing(both, deferrable=deferrable))

    assert [job["job_uuid"] for job in result["jobs"]] == [job["job_uuid"] for job in both["jobs"]]


@both_modes
def test_a_job_that_does_not_end_in_time_is_a_sensors_timeout(
    sandbox: Sandbox, task: Task, submit: Submit, deferrable: bool
) -> None:
    sandbox.fate("stuck")

    with pytest.raises(AirflowSensorTimeout):
        task.run(sensing(submit(), deferrable=deferrable, timeout=0.5))


def test_each_poke_is_one_look_so_that_a_sensor_can_be_rescheduled(
    sandbox: Sandbox, task: Task, submit: Submit
) -> None:
    sandbox.fate("stuck")
    submitted = submit()

    assert sensing(submitted, mode="reschedule").poke(task.context) is False
    sandbox.release()
    done: bool | PokeReturnValue = False
    while not done:
        done = sensing(submitted, mode="reschedule").poke(task.context)
    assert isinstance(done, PokeReturnValue)
    assert done.xcom_value
    assert done.xcom_value["status"] == "finished"


@pytest.mark.parametrize(
    ("context", "is_forgiven"),
    [({"task_reschedule_count": 0}, True), ({"task_reschedule_count": 3}, False), ({}, False)],
    ids=["first-poke", "later-poke", "airflow-2-does-not-say"],
)
def test_a_rescheduled_sensor_forgives_an_unknown_job_once(
    sandbox: Sandbox, task: Task, context: dict[str, Any], is_forgiven: bool
) -> None:
    sensor = sensing(NOBODYS, mode="reschedule")

    if is_forgiven:
        assert sensor.poke(task.context | context) is False
    else:
        with pytest.raises(JobUnknownError):
            sensor.poke(task.context | context)


@pytest.mark.parametrize("dialect", ["source"])
def test_the_study_lets_the_job_list_tell_a_failed_job(sandbox: Sandbox, task: Task, submit: Submit) -> None:
    sandbox.fate("failed")

    with pytest.raises(AirflowFailException, match="gave the job up"):
        task.run(sensing(submit(), study_oid="S_JUNO"))


@both_modes
def test_a_result_without_jobs_has_nothing_to_wait_for(sandbox: Sandbox, task: Task, deferrable: bool) -> None:
    operator = OpenClinicaBulkEventsOperator(
        task_id="visits", study_oid="S_JUNO", site_oid="S_BOSTON", rows=[], wait_for_completion=False
    )
    result = task.run(operator)

    assert task.run(sensing(result, deferrable=deferrable)) == result
    assert sandbox.requests() == []


@pytest.mark.parametrize(
    "job_uuid",
    ["", "None", "{'jobs': []}", {}, {"jobs": []}, {"jobs": [{"uuid": NOBODYS}]}, None, 7],
    ids=repr,
)
@both_modes
def test_what_is_neither_a_uuid_nor_a_result_is_refused_before_any_request(
    sandbox: Sandbox, task: Task, job_uuid: Any, deferrable: bool
) -> None:
    with pytest.raises(AirflowFailException, match=r"task\.output"):
        task.run(sensing(job_uuid, deferrable=deferrable))

    assert sandbox.requests() == []


def test_deferred_it_gives_airflow_a_later_deadline_than_its_own(task: Task) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        sensing(NOBODYS, deferrable=True, timeout=600).execute(task.context)

    assert deferred.value.timeout.total_seconds() > 600


def test_an_argument_that_cannot_work_is_refused_when_the_dag_is_read() -> None:
    with pytest.raises(ConfigurationError, match="fail_on"):
        sensing(NOBODYS, fail_on="some")

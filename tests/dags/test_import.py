"""Clinical data imported by whole DAGs: as a user writes them, against an OpenClinica of either dialect."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_openclinica.operators.clinicaldata import OpenClinicaImportClinicalDataOperator
from airflow_provider_openclinica.sensors.jobs import OpenClinicaJobSensor
from tests.dags.conftest import RunDag, TaskLog, states, xcoms
from tests.documents import BAD_UNIT, FIRST, OF_LEIDEN, SECOND, document, found_in, labs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow.models.dagrun import DagRun

    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("openclinica_conn")

RESULT_KEYS = {"job_type", "status", "outcomes", "rows_sent", "rows_logged", "rows_failed", "jobs"}
TOKEN = re.compile(r"eyJ[\w-]+\.")  #: how every JWT begins; ciphertext may hold the letters, and has no dots
JOB_KEYS = RESULT_KEYS - {"jobs"} | {"job_uuid", "log_uri", "log_sha256", "payload_sha256"}


@pytest.fixture(params=[False, True], ids=["waiting", "deferrable"])
def deferrable(request: pytest.FixtureRequest) -> bool:
    """Both modes."""
    return bool(request.param)


@pytest.fixture
def import_file(run_dag: RunDag, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """Return a function that runs a DAG of one import; its keywords go to the operator."""

    def run(text: str, *, retries: int = 0, **arguments: Any) -> DagRun:
        odm = tmp_path / "labs.xml"
        odm.write_text(text)
        usual: dict[str, Any] = {"log_uri": f"{tmp_path}/log/", "poll_interval": 0.1, "timeout": 60}
        dag_id = "".join(letter if letter.isalnum() else "_" for letter in request.node.name)
        with DAG(dag_id, schedule=None, default_args={"retries": retries, "retry_delay": 0.1}) as dag:
            OpenClinicaImportClinicalDataOperator(
                task_id="labs", odm_uri=str(odm), study_oid="S_JUNO", **usual | arguments
            )
        return run_dag(dag)

    return run


def result(run: DagRun) -> dict[str, Any]:
    return dict(xcoms(run, "labs")["return_value"])


def clinical_data(text: str) -> str:
    return text[text.index("<ClinicalData") : text.index("</ODM>")]


def everything_in_the_database() -> Iterator[str]:
    """Give each row of each table as text, trigger arguments decrypted; but not the source of the DAG, this file."""
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import inspect, text

    with create_session() as session:
        for table in set(inspect(session.get_bind()).get_table_names()) - {"dag_code"}:
            for row in session.execute(text(f'SELECT * FROM "{table}"')):  # noqa: S608 - Airflow's own names
                yield repr(row)
        for trigger in session.query(Trigger):
            yield repr(trigger.kwargs)


def submits(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [call for call in sandbox.requests() if call["method"] == "POST" and "clinicaldata" in call["path"]]


def test_a_file_is_imported_and_its_rows_are_counted(
    import_file: Any, sandbox: Sandbox, deferrable: bool, tmp_path: Path
) -> None:
    run = import_file(labs(FIRST, SECOND), deferrable=deferrable)

    assert states(run) == {"labs": "success"}
    found = result(run)
    assert found["status"] == "finished"
    assert found["outcomes"] == {"Inserted": 18}
    assert (found["rows_logged"], found["rows_failed"], found["rows_sent"]) == (18, 0, None)
    [job] = found["jobs"]
    assert [job["job_uuid"]] == [job["uuid"] for job in sandbox.jobs()]
    assert job["log_uri"] == f"{tmp_path}/log/{job['job_uuid']}.csv"
    assert len((tmp_path / "log" / f"{job['job_uuid']}.csv").read_text().strip().splitlines()) == 19
    assert len(sandbox.data()) == 18


def test_what_is_left_in_xcom_is_what_is_promised(import_file: Any, deferrable: bool) -> None:
    run = import_file(labs(FIRST, SECOND), deferrable=deferrable)

    left = xcoms(run, "labs")
    assert left["return_value"].keys() == RESULT_KEYS
    assert [job.keys() for job in left["return_value"]["jobs"]] == [JOB_KEYS]
    assert left.keys() == {"return_value", "job_uuid", "openclinica_job_page"}
    assert found_in(json.dumps(left, default=str)) == []


def test_a_second_import_of_the_same_file_changes_nothing(import_file: Any, sandbox: Sandbox) -> None:
    import_file(labs(FIRST))
    run = import_file(labs(FIRST))

    assert result(run)["outcomes"] == {"No Change": 9}
    assert len(sandbox.jobs()) == 2


def test_one_bad_value_fails_the_task_with_what_a_user_wants_to_know(
    import_file: Any, deferrable: bool, task_log: TaskLog, tmp_path: Path, sandbox: Sandbox
) -> None:
    run = import_file(labs(FIRST, unit=BAD_UNIT), deferrable=deferrable, retries=2)

    assert states(run) == {"labs": "failed"}
    log = task_log()
    [job] = sandbox.jobs()  # no retry can mend a row
    failed = tmp_path / "log" / f"{job['uuid']}.failed.csv"
    assert "1 of 9 rows failed: 1 valueChoiceCodeNotFound" in log
    assert str(failed) in log
    assert "I_LABS_UNIT" in failed.read_text()
    assert found_in(log) == []


@pytest.mark.parametrize(
    ("fail_on", "state"),
    [
        pytest.param("job", "success", id="failed-rows-are-tolerated"),
        pytest.param(0.5, "success", id="fewer-than-half"),
        pytest.param(0.1, "failed", id="more-than-a-tenth"),
    ],
)
@pytest.mark.parametrize("dialect", ["docs"])
def test_fail_on_says_how_many_failed_rows_are_too_many(import_file: Any, fail_on: Any, state: str) -> None:
    assert states(import_file(labs(FIRST, unit=BAD_UNIT), fail_on=fail_on)) == {"labs": state}


def test_a_file_for_two_sites_becomes_two_jobs_one_after_the_other(
    import_file: Any, sandbox: Sandbox, deferrable: bool
) -> None:
    run = import_file(labs(FIRST, OF_LEIDEN, SECOND, study="S_JUNO"), deferrable=deferrable)

    assert states(run) == {"labs": "success"}
    found = result(run)
    assert found["outcomes"] == {"Inserted": 27}
    assert sorted(job["rows_logged"] for job in found["jobs"]) == [9, 18]
    assert len(sandbox.jobs()) == 2


def test_two_clinical_data_become_two_jobs_and_their_failures_are_judged_together(
    import_file: Any, sandbox: Sandbox, deferrable: bool, task_log: TaskLog
) -> None:
    sites = {"S_BOSTON": FIRST, "S_LEIDEN": OF_LEIDEN}
    both = document(*(clinical_data(labs(who, study=site, unit=BAD_UNIT)) for site, who in sites.items()))

    run = import_file(both, deferrable=deferrable)

    assert states(run) == {"labs": "failed"}
    assert len(sandbox.jobs()) == 2
    assert "2 of 18 rows failed" in task_log()


@pytest.mark.parametrize("dialect", ["source"])
def test_a_job_whose_answer_never_came_is_found_by_its_name(
    import_file: Any, sandbox: Sandbox, deferrable: bool
) -> None:
    sandbox.fault("drop_after", method="POST", path="clinicaldata/import")

    run = import_file(labs(FIRST), deferrable=deferrable, retries=1)

    assert states(run) == {"labs": "success"}
    assert result(run)["outcomes"] == {"Inserted": 9}
    assert len(sandbox.jobs()) == 1


@pytest.mark.parametrize("dialect", ["docs"])
def test_without_a_job_list_a_broken_submit_stops_the_task_and_names_the_file(
    import_file: Any, sandbox: Sandbox, task_log: TaskLog
) -> None:
    sandbox.fault("drop_after", method="POST", path="clinicaldata/import/xml")

    run = import_file(labs(FIRST), retries=2)

    assert states(run) == {"labs": "failed"}
    [job] = sandbox.jobs()
    log = task_log()
    assert "Bulk Actions Log" in log
    assert job["sourceFileName"] in log
    assert len(submits(sandbox)) == 1


@pytest.mark.parametrize("dialect", ["docs"])
def test_a_broken_submit_may_be_repeated_where_the_user_says_so(import_file: Any, sandbox: Sandbox) -> None:
    sandbox.fault("drop_after", method="POST", path="clinicaldata/import/xml")

    run = import_file(labs(FIRST), retries=1, on_ambiguous_submit="resubmit")

    assert states(run) == {"labs": "success"}
    assert len(sandbox.jobs()) == 2


def test_a_connection_that_breaks_before_the_server_reads_leaves_no_second_job(
    import_file: Any, sandbox: Sandbox, dialect: str
) -> None:
    sandbox.fault("drop_before", method="POST", path="clinicaldata/import*")

    run = import_file(labs(FIRST), retries=1)

    assert len(sandbox.jobs()) == (1 if dialect == "source" else 0)
    assert states(run) == {"labs": "success" if dialect == "source" else "failed"}


@pytest.mark.parametrize("dialect", ["source"])
def test_an_import_that_fails_as_a_whole_is_sent_anew_by_a_retry(
    import_file: Any, sandbox: Sandbox, task_log: TaskLog
) -> None:
    sandbox.fate("failed")

    run = import_file(labs(FIRST), retries=1)

    assert states(run) == {"labs": "success"}
    assert [job["status"] for job in sandbox.jobs()] == ["FAILED", "COMPLETED"]
    assert "OpenClinica gave the job up" in task_log()


@pytest.mark.parametrize("dialect", ["docs"])
def test_without_a_job_list_nobody_can_tell_a_failed_job_from_a_lost_log(
    import_file: Any, sandbox: Sandbox, task_log: TaskLog
) -> None:
    sandbox.fate("failed")

    run = import_file(labs(FIRST), retries=1)

    assert states(run) == {"labs": "failed"}
    assert (len(sandbox.jobs()), sandbox.data()) == (1, [])
    assert "whether it completed or failed is unknown" in task_log()


def test_a_lost_participant_fails_the_task_and_is_not_named(
    import_file: Any, sandbox: Sandbox, deferrable: bool, task_log: TaskLog
) -> None:
    sandbox.fate("lost_rows")

    run = import_file(labs(FIRST, SECOND), deferrable=deferrable, fail_on="job")

    assert states(run) == {"labs": "failed"}
    log = task_log()
    assert "1 participant sent with data" in log
    assert found_in(log) == []


def test_an_unhappy_server_is_asked_again(import_file: Any, sandbox: Sandbox, deferrable: bool) -> None:
    sandbox.fault("status", method="POST", path="clinicaldata/import*", status=503, headers={"Retry-After": "0"})
    sandbox.fault("status", method="GET", path="jobs/*", status=502, times=2)

    run = import_file(labs(FIRST), deferrable=deferrable)

    assert states(run) == {"labs": "success"}
    assert len(sandbox.jobs()) == 1


def test_tokens_that_are_revoked_and_scarce_do_not_fail_a_task(
    import_file: Any, sandbox: Sandbox, deferrable: bool
) -> None:
    sandbox.service.tokens.rate = 2

    assert states(import_file(labs(FIRST), deferrable=deferrable)) == {"labs": "success"}
    sandbox.service.tokens.revoke()
    run = import_file(labs(FIRST), deferrable=deferrable)

    assert states(run) == {"labs": "success"}
    assert len([call for call in sandbox.requests() if call["path"].endswith("/oauth/token")]) == 2


def test_submitting_without_waiting_returns_the_same_shape(import_file: Any, sandbox: Sandbox) -> None:
    run = import_file(labs(FIRST), wait_for_completion=False)

    found = result(run)
    assert found.keys() == RESULT_KEYS
    assert (found["status"], found["outcomes"], found["rows_logged"]) == ("running", None, None)
    assert [job["job_uuid"] for job in found["jobs"]] == [job["uuid"] for job in sandbox.jobs()]


@pytest.mark.parametrize("dialect", ["docs"])
def test_mapped_tasks_with_the_same_file_have_jobs_of_their_own_and_so_have_mapped_sensors(
    run_dag: RunDag, sandbox: Sandbox, deferrable: bool, tmp_path: Path
) -> None:
    odm = tmp_path / "labs.xml"
    odm.write_text(labs(FIRST))
    with DAG(f"mapped_{deferrable}", schedule=None) as dag:
        submit = OpenClinicaImportClinicalDataOperator.partial(
            task_id="labs", wait_for_completion=False, deferrable=deferrable
        ).expand(odm_uri=[str(odm), str(odm)])
        OpenClinicaJobSensor.partial(
            task_id="wait", log_uri=f"{tmp_path}/log/", poke_interval=0.2, deferrable=deferrable
        ).expand(job_uuid=submit.output)

    run = run_dag(dag)

    assert {str(instance.state) for instance in run.get_task_instances()} == {"success"}
    jobs = sandbox.jobs()
    assert len({job["sourceFileName"] for job in jobs}) == 2
    assert {path.stem for path in (tmp_path / "log").iterdir()} == {job["uuid"] for job in jobs}


@pytest.mark.parametrize("dialect", ["source"])
def test_a_sensor_waits_for_what_was_submitted_and_judges_it(
    run_dag: RunDag, sandbox: Sandbox, deferrable: bool, tmp_path: Path, task_log: TaskLog
) -> None:
    odm = tmp_path / "labs.xml"
    odm.write_text(labs(FIRST, unit=BAD_UNIT))
    with DAG(f"in_two_steps_{deferrable}", schedule=None) as dag:
        submit = OpenClinicaImportClinicalDataOperator(task_id="submit", odm_uri=str(odm), wait_for_completion=False)
        OpenClinicaJobSensor(
            task_id="wait",
            job_uuid=submit.output,
            log_uri=f"{tmp_path}/log/",
            deferrable=deferrable,
            poke_interval=0.1,
            timeout=60,
        )

    run = run_dag(dag)

    assert states(run) == {"submit": "success", "wait": "failed"}
    assert "1 of 9 rows failed: 1 valueChoiceCodeNotFound" in task_log()
    assert len(list((tmp_path / "log").iterdir())) == 2
    assert len(sandbox.jobs()) == 1


def test_a_file_that_needs_two_jobs_cannot_be_submitted_without_waiting(import_file: Any, sandbox: Sandbox) -> None:
    run = import_file(labs(FIRST, SECOND), wait_for_completion=False, max_items_per_job=9)

    assert states(run) == {"labs": "failed"}
    assert submits(sandbox) == []


def test_a_file_with_a_mistake_is_refused_before_anybody_is_asked(
    import_file: Any, sandbox: Sandbox, task_log: TaskLog
) -> None:
    run = import_file(labs(FIRST).replace(' ItemGroupRepeatKey="2"', ""), retries=2)

    assert states(run) == {"labs": "failed"}
    assert sandbox.requests() == []
    assert "ItemGroupRepeatKey" in task_log()


def test_no_log_names_a_participant_a_value_or_a_secret(
    import_file: Any, sandbox: Sandbox, deferrable: bool, task_log: TaskLog, token_cache_dir: Path
) -> None:
    of_other_tests = set(everything_in_the_database())
    sandbox.fault("status", method="GET", path="jobs/*", status=502)
    import_file(labs(FIRST, OF_LEIDEN, SECOND, study="S_JUNO", unit=BAD_UNIT), deferrable=deferrable)

    log = task_log()
    assert "S_JUNO" in log
    assert found_in(log) == []
    assert not TOKEN.search(log)
    assert '"sandbox"' not in log
    assert not [file for file in token_cache_dir.iterdir() if TOKEN.search(file.read_text())]
    kept = "".join(row for row in everything_in_the_database() if row not in of_other_tests)
    assert "S_JUNO" in kept
    assert found_in(kept) == []
    assert not TOKEN.search(kept)

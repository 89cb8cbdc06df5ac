"""Visits scheduled and events updated in bulk, against a running OpenClinica in both dialects."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, PokeReturnValue

from airflow_provider_openclinica.errors import ConfigurationError, JobFailedError, JobTimeoutError, PartlyAppliedError
from airflow_provider_openclinica.operators.events import OpenClinicaBulkEventsOperator
from airflow_provider_openclinica.sensors.jobs import OpenClinicaJobSensor
from tests.stores import StoreOfALostWorker, WorkerLost

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task

    WriteCsv = Callable[..., str]

pytestmark = pytest.mark.usefixtures("openclinica_conn")

both_modes = pytest.mark.parametrize("deferrable", [False, True], ids=["in-the-worker", "deferred"])
source_only = pytest.mark.parametrize("dialect", ["source"])
docs_only = pytest.mark.parametrize("dialect", ["docs"])
HEADER = "ParticipantID,StudyEventOID,StudyEventRepeatKey,StartDate,EndDate,StudyEventStatus"


def visit(participant: str, event: str = "SE_FOLLOWUP", start: str = "2026-05-01", **cells: str) -> dict[str, str]:
    """A row; without ``key`` it schedules."""
    named = {"key": "StudyEventRepeatKey", "end": "EndDate", "status": "StudyEventStatus"}
    row = {"ParticipantID": participant, "StudyEventOID": event, "StartDate": start}
    return row | {named[name]: value for name, value in cells.items()}


def update(participant: str, event: str = "SE_FOLLOWUP", key: str = "1", **cells: str) -> dict[str, str]:
    return visit(participant, event, key=key, **{"start": ""} | cells)


def sending(**options: Any) -> OpenClinicaBulkEventsOperator:
    usual: dict[str, Any] = {"study_oid": "S_JUNO", "site_oid": "S_BOSTON", "poll_interval": 0.05}
    return OpenClinicaBulkEventsOperator(task_id="visits", **usual | options)


def fails(task: Task, operator: OpenClinicaBulkEventsOperator) -> str:
    with pytest.raises(AirflowFailException) as caught:
        task.run(operator)
    return str(caught.value)


@pytest.fixture
def write_csv(tmp_path: Path) -> WriteCsv:
    """Write lines as a file below the usual header, and return its path."""

    def write(*lines: str, header: str = HEADER) -> str:
        path = tmp_path / "visits of may.csv"
        path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
        return str(path)

    return write


@both_modes
def test_visits_are_scheduled_and_updated_from_one_list(
    sandbox: Sandbox, task: Task, tmp_path: Path, deferrable: bool
) -> None:
    rows = [visit("BOS-001"), visit("BOS-002"), visit("BOS-001"), update("BOS-001", status="DATA_ENTRY_STARTED")]
    rows[2]["StartDate"] = "2026-06-01"

    result = task.run(sending(rows=rows, log_uri=f"{tmp_path}/log/", deferrable=deferrable))

    assert result["job_type"] == "SCHEDULE_EVENT"
    assert result["outcomes"] == {"Created": 3, "Updated": 1}
    assert (result["rows_sent"], result["rows_logged"], result["rows_failed"]) == (4, 4, 0)
    assert "BOS-001" not in json.dumps(result)
    (job,) = sandbox.jobs()
    assert job["sourceFileName"].startswith("visits.af-")
    assert job["sourceFileName"].endswith("-g0.csv")
    (log,) = tmp_path.glob("log/*.csv")
    assert log.read_text().splitlines()[3] == "3,BOS-001,SE_FOLLOWUP,2,Created,"
    found = [(each["participant"], each["repeat"], each["status"], each["start"]) for each in sandbox.events()]
    assert sorted(found) == [
        ("BOS-001", 1, "DATA_ENTRY_STARTED", "2026-05-01"),
        ("BOS-001", 2, "SCHEDULED", "2026-06-01"),
        ("BOS-002", 1, "SCHEDULED", "2026-05-01"),
    ]


def test_a_file_is_sent_as_openclinica_can_read_it(task: Task, sandbox: Sandbox, write_csv: WriteCsv) -> None:
    uri = write_csv('"SE_FOLLOWUP", BOS-001 ,"2026-05-01"', "", "SE_BASELINE,BOS-001,2026-05-01", header="\ufeff"
                    '"StudyEventOID",participantid,STARTDATE')  # fmt: skip

    result = task.run(sending(csv_uri=uri))

    assert result["outcomes"] == {"Created": 2}
    assert result["rows_sent"] == 2


def test_a_file_of_updates_needs_no_column_for_dates(task: Task, sandbox: Sandbox, write_csv: WriteCsv) -> None:
    task.run(sending(rows=[visit("BOS-001")]))
    task.ti.clear()
    uri = write_csv("BOS-001,SE_FOLLOWUP,1,skipped", header="ParticipantID,StudyEventOID,StudyEventRepeatKey,"
                    "StudyEventStatus")  # fmt: skip

    assert task.run(sending(csv_uri=uri))["outcomes"] == {"Updated": 1}


def test_rows_come_from_a_database(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("airflow.providers.common.sql")
    path = tmp_path / "ctms.db"
    with sqlite3.connect(path) as database:
        database.execute("create table visit (id text, day text)")
        database.executemany("insert into visit values (?, ?)", [("BOS-001", "2026-05-01"), ("BOS-002", "2026-05-02")])
    monkeypatch.setattr("airflow_provider_openclinica.operators.queries._hook", lambda _: _Sqlite(path))
    sql = "select id as ParticipantID, 'SE_FOLLOWUP' as StudyEventOID, day as StartDate from visit order by id"

    assert task.run(sending(sql=sql, sql_conn_id="ctms"))["outcomes"] == {"Created": 2}


class _Sqlite:
    """What is used of a database's hook."""

    def __init__(self, path: Path) -> None:
        self.get_conn = lambda: sqlite3.connect(path)


@both_modes
def test_a_failed_row_fails_the_task_and_says_which_and_where(
    task: Task, sandbox: Sandbox, tmp_path: Path, deferrable: bool
) -> None:
    rows = [visit("BOS-001"), visit("BOS-404"), visit("BOS-002", event="SE_NOPE")]

    message = fails(task, sending(rows=rows, log_uri=f"{tmp_path}/log/", deferrable=deferrable))

    assert "2 of 3 rows failed" in message
    assert "1 participantNotFound" in message
    assert "BOS-404" not in message
    (failed,) = tmp_path.glob("log/*.failed.csv")
    assert [line.split(",")[1] for line in failed.read_text().splitlines()] == ["ParticipantID", "BOS-404", "BOS-002"]


def test_scheduling_what_does_not_repeat_a_second_time_is_a_failed_row(task: Task, sandbox: Sandbox) -> None:
    task.run(sending(rows=[visit("BOS-001", event="SE_BASELINE")]))
    task.ti.clear()

    assert "1 eventAlreadyExists" in fails(task, sending(rows=[visit("BOS-001", event="SE_BASELINE")]))


def test_a_step_that_an_event_cannot_take_is_a_failed_row(task: Task, sandbox: Sandbox) -> None:
    rows = [visit("BOS-001"), update("BOS-001", status="completed")]

    assert "1 of 2 rows failed" in fails(task, sending(rows=rows))


@pytest.mark.parametrize(("dialect", "accepted"), [("docs", True), ("source", False)])
def test_a_time_goes_where_the_server_takes_times(task: Task, sandbox: Sandbox, accepted: bool) -> None:
    rows = [visit("BOS-001", start="2026-05-01 09:30")]

    if accepted:
        assert task.run(sending(rows=rows))["outcomes"] == {"Created": 1}
    else:
        assert "1 invalidStartDate" in fails(task, sending(rows=rows))


def test_many_rows_are_several_small_jobs_in_order(task: Task, sandbox: Sandbox) -> None:
    rows = [visit(f"BOS-00{1 + number % 6}", start=f"2026-05-{1 + number // 6:02}") for number in range(180)]
    rows += [visit(f"BOS-00{1 + number % 6}", start=f"2026-06-{1 + number // 6:02}") for number in range(120)]

    result = task.run(sending(rows=rows))

    assert len(result["jobs"]) == len(sandbox.jobs()) == 2
    assert result["outcomes"] == {"Created": 300}
    assert result["rows_sent"] == 300


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        pytest.param([visit("BOS-001"), visit("BOS-002", start="31.05.2026")], "line 3, column StartDate", id="date"),
        pytest.param([visit("BOS,001")], "line 2, column ParticipantID: holds a comma", id="comma"),
        pytest.param([update("BOS-001", status="signed")], "line 2, column StudyEventStatus", id="status"),
        pytest.param([{"ParticipantID": "BOS-001"}], "the header has no column StudyEventOID", id="column-missing"),
        pytest.param([visit("BOS-001") | {"Remark": "x"}], "column 4", id="column-unknown"),
        pytest.param("[]", "rows is no list", id="text"),
        pytest.param([["BOS-001"]], "rows is no list of dicts", id="no-dicts"),
    ],
)
def test_what_is_wrong_with_rows_is_said_before_anybody_is_asked(
    task: Task, sandbox: Sandbox, rows: object, reason: str
) -> None:
    message = fails(task, sending(rows=rows))

    assert reason in message
    assert "BOS" not in message
    assert sandbox.requests() == []


@both_modes
@pytest.mark.parametrize("given", ["rows", "csv_uri", "sql"])
def test_where_there_are_no_rows_nothing_is_sent_and_nobody_is_asked(
    task: Task,
    sandbox: Sandbox,
    write_csv: WriteCsv,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: str,
    deferrable: bool,
) -> None:
    monkeypatch.setattr("airflow_provider_openclinica.operators.queries._hook", lambda _: _Sqlite(tmp_path / "ctms.db"))
    sql = "select '' as ParticipantID, '' as StudyEventOID where false"
    sources = {
        "rows": {"rows": []},
        "csv_uri": {"csv_uri": write_csv()},
        "sql": {"sql": sql, "sql_conn_id": "ctms"},
    }

    result = task.run(sending(**sources[given], deferrable=deferrable, log_uri=f"{tmp_path}/log/"))

    assert result == {
        "job_type": "SCHEDULE_EVENT",
        "status": "finished",
        "outcomes": {},
        "rows_sent": 0,
        "rows_logged": 0,
        "rows_failed": 0,
        "jobs": [],
    }
    assert sandbox.requests() == []


def test_rows_that_are_gone_by_the_next_try_are_no_success(task: Task, sandbox: Sandbox) -> None:
    sandbox.fate("stuck")
    with pytest.raises(JobTimeoutError):
        task.run(sending(rows=[visit("BOS-001")], timeout=0.1))

    task.ti.retry()

    assert "sent more than there is now" in fails(task, sending(rows=[]))
    task.ti.clear()
    assert task.run(sending(rows=[]))["jobs"] == []


@pytest.mark.parametrize("empty", ["study_oid", "site_oid", "csv_uri"])
def test_an_argument_that_renders_to_nothing_is_refused(
    sandbox: Sandbox, task: Task, write_csv: WriteCsv, empty: str
) -> None:
    arguments = {"csv_uri": write_csv("BOS-001,SE_FOLLOWUP,,2026-05-01,,"), empty: ""}
    assert empty in fails(task, sending(**arguments))
    assert sandbox.requests() == []


def test_every_problem_of_a_file_is_in_one_message(task: Task, sandbox: Sandbox, write_csv: WriteCsv) -> None:
    message = fails(task, sending(csv_uri=write_csv("BOS-001,,,x,,", "BOS-001,SE_A,1,,,gone", ",SE_A,1,,,completed")))

    places = ["line 2, column StudyEventOID", "line 2, column StartDate", "line 3, column StudyEventStatus",
              "line 4, column ParticipantID"]  # fmt: skip
    assert all(place in message for place in places)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({}, id="none"),
        pytest.param({"rows": [], "csv_uri": "visits.csv"}, id="two"),
        pytest.param({"sql": "select 1"}, id="sql-without-connection"),
        pytest.param({"rows": [], "sql_conn_id": "ctms"}, id="connection-without-sql"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused_when_the_dag_is_read(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        sending(**arguments)


def test_a_row_that_the_log_passes_over_fails_the_task_whatever_is_tolerated(task: Task, sandbox: Sandbox) -> None:
    sandbox.fate("lost_rows")

    message = fails(task, sending(rows=[visit("BOS-001"), visit("BOS-002")], fail_on="job"))

    assert "1 of 2 rows" in message


def test_an_update_of_the_status_alone_leaves_the_day(task: Task, sandbox: Sandbox, dialect: str) -> None:
    start = "2026-05-01 09:30" if dialect == "docs" else "2026-05-01"
    task.run(sending(rows=[visit("BOS-001", start=start), update("BOS-001", status="skipped")]))

    (event,) = sandbox.events()
    assert (event["status"], event["start"]) == ("SKIPPED", start)


# -- tries


def test_a_retry_sends_nothing_twice_and_clearing_sends_anew(task: Task, sandbox: Sandbox) -> None:
    task.run(sending(rows=[visit("BOS-001")]))
    task.ti.retry()
    assert task.run(sending(rows=[visit("BOS-001")]))["outcomes"] == {"Created": 1}
    assert len(sandbox.jobs()) == 1

    task.ti.clear()
    task.run(sending(rows=[visit("BOS-001")]))
    assert len(sandbox.jobs()) == 2


@source_only
def test_without_a_record_a_cleared_task_finds_the_visits_it_has_scheduled(task: Task, sandbox: Sandbox) -> None:
    task.store = None
    task.run(sending(rows=[visit("BOS-001")]))

    task.ti.clear()

    assert task.run(sending(rows=[visit("BOS-001")]))["outcomes"] == {"Created": 1}
    assert len(sandbox.jobs()) == 1


@pytest.mark.parametrize(("when", "phase"), [("before", "submitted"), ("after", "submitted"), ("before", "judged")])
@source_only
def test_a_worker_that_dies_at_any_point_after_sending_leaves_no_visit_twice(
    task: Task, sandbox: Sandbox, when: str, phase: str
) -> None:
    task.store = StoreOfALostWorker(when, phase)
    with pytest.raises(WorkerLost):
        task.run(sending(rows=[visit("BOS-001")]))

    task.ti.retry()

    assert task.run(sending(rows=[visit("BOS-001")]))["outcomes"] == {"Created": 1}
    assert [event["repeat"] for event in sandbox.events()] == [1]


@docs_only
def test_where_nothing_can_tell_whether_visits_were_sent_a_person_is_asked(task: Task, sandbox: Sandbox) -> None:
    task.store = StoreOfALostWorker("before", "submitted")
    with pytest.raises(WorkerLost):
        task.run(sending(rows=[visit("BOS-001")]))

    task.ti.retry()

    assert "in OpenClinica's Bulk Actions Log" in fails(task, sending(rows=[visit("BOS-001")]))
    assert len(sandbox.jobs()) == 1


def test_rows_that_changed_between_two_tries_are_not_sent(task: Task, sandbox: Sandbox) -> None:
    task.run(sending(rows=[visit("BOS-001")]))

    task.ti.retry()

    assert "not what an earlier try" in fails(task, sending(rows=[visit("BOS-002")]))
    assert len(sandbox.jobs()) == 1


@both_modes
def test_a_job_that_was_not_waited_for_is_judged_by_the_sensor(task: Task, sandbox: Sandbox, deferrable: bool) -> None:
    rows = [visit("BOS-001"), visit("BOS-404")]
    submitted = task.run(sending(rows=rows, wait_for_completion=False))
    assert submitted["status"] == "running"

    sensor = OpenClinicaJobSensor(
        task_id="judge", job_uuid=submitted, fail_on="job", deferrable=deferrable, poke_interval=0.05, timeout=20
    )
    result = task.run(sensor)

    judged = result.xcom_value if isinstance(result, PokeReturnValue) else result
    assert judged["outcomes"] == {"Created": 1, "Failed": 1}
    assert judged["rows_sent"] == 2


@both_modes
@source_only
def test_a_job_that_failed_may_have_scheduled_some_visits_so_it_is_not_sent_again(
    task: Task, sandbox: Sandbox, deferrable: bool
) -> None:
    sandbox.fate("failed")
    with pytest.raises(AirflowFailException, match="may have applied some of its rows") as caught:
        task.run(sending(rows=[visit("BOS-001")], deferrable=deferrable))
    assert isinstance(caught.value.__cause__, PartlyAppliedError)
    assert isinstance(caught.value.__cause__.__cause__, JobFailedError)

    task.ti.retry()
    assert "may have applied" in fails(task, sending(rows=[visit("BOS-001")], deferrable=deferrable))
    assert len(sandbox.jobs()) == 1

    task.ti.clear()
    assert task.run(sending(rows=[visit("BOS-001")], deferrable=deferrable))["status"] == "finished"

"""Contacts out, against a running OpenClinica in both dialects."""

from __future__ import annotations

import csv
import hashlib
import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_openclinica.errors import (
    ConfigurationError,
    NotAvailableError,
    NotFoundError,
    RoleError,
)
from airflow_provider_openclinica.hooks.clients import client_for
from airflow_provider_openclinica.operators.participants import OpenClinicaExtractContactsOperator
from tests.operators.contacts import CONTACT, SECRETS, SIX, extracting, fails_for_good, log_in_as, pages_asked_for
from tests.tasks import event_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task

pytestmark = pytest.mark.usefixtures("coordinator_conn")

source_only = pytest.mark.parametrize("dialect", ["source"])
docs_only = pytest.mark.parametrize("dialect", ["docs"])
both_ways = pytest.mark.parametrize("deferrable", [False, True], ids=["in-the-worker", "deferred"])


def rows_of(path: Any) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# -- one file


@both_ways
def test_everybody_at_the_site_is_in_the_file(sandbox: Sandbox, task: Task, tmp_path: Path, deferrable: bool) -> None:
    path = tmp_path / "out" / "contacts.csv"

    result = task.run(extracting(path, deferrable=deferrable))

    rows = rows_of(path)
    assert [row["ParticipantId"] for row in rows] == SIX
    ann = rows[0]
    assert [ann["First Name"], ann["Last Name"], ann["Email"], ann["Mobile"]] == list(CONTACT.values())
    assert result == {
        "job_type": "ACCESS_CODE",
        "status": "finished",
        "rows": 6,
        "pages": 1,
        "jobs": [{"job_uuid": task.ti.xcoms["job_uuid"], "rows": 6}],
        "missing": 0,
        "output_uri": str(path),
        "size": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    assert json.loads(json.dumps(result)) == result


def test_only_its_owner_can_read_the_file(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    task.run(extracting(f"{tmp_path}/out/"))

    (path,) = (tmp_path / "out").iterdir()
    assert path.name == f"{task.ti.xcoms['job_uuid']}.csv"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("register", [False, True])
def test_access_codes_are_there_if_they_are_asked_for(
    sandbox: Sandbox, task: Task, tmp_path: Path, register: bool
) -> None:
    task.run(extracting(tmp_path / "contacts.csv", register=register))

    ann = rows_of(tmp_path / "contacts.csv")[0]
    assert bool(ann.get("Access Code")) is register


@both_ways
def test_nobody_is_named_anywhere_else(
    sandbox: Sandbox, task: Task, tmp_path: Path, told: Callable[[], str], deferrable: bool
) -> None:
    operator = extracting(tmp_path / "contacts.csv", register=True, deferrable=deferrable)

    result = task.run(operator)

    codes = [row["Access Code"] for row in rows_of(tmp_path / "contacts.csv") if row["Access Code"]]
    left = told() + json.dumps(task.ti.xcoms) + json.dumps(result)
    assert [secret for secret in (*SECRETS, *codes) if secret in left] == []
    assert codes


@source_only
def test_somebody_without_a_role_at_the_site_gets_fewer_columns(
    sandbox: Sandbox, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in_as("data_manager", sandbox, monkeypatch)

    assert task.run(extracting(tmp_path / "contacts.csv", register=True))["rows"] == 6
    assert rows_of(tmp_path / "contacts.csv")[0].keys() == {"ParticipantId", "Participate Status"}


# -- pages


@source_only
@both_ways
@pytest.mark.parametrize(("page_size", "rows"), [(4, [4, 2]), (3, [3, 3, 0]), (6, [6, 0]), (7, [6])])
def test_pages_are_asked_for_until_one_is_not_full(
    sandbox: Sandbox, task: Task, tmp_path: Path, page_size: int, rows: list[int], deferrable: bool
) -> None:
    path = tmp_path / "contacts.csv"

    result = task.run(extracting(path, page_size=page_size, deferrable=deferrable))

    assert [job["rows"] for job in result["jobs"]] == rows
    assert len({job["job_uuid"] for job in result["jobs"]}) == result["pages"] == len(rows) == pages_asked_for(sandbox)
    assert [row["ParticipantId"] for row in rows_of(path)] == SIX
    assert (result["rows"], result["missing"]) == (6, 0)


@docs_only
@both_ways
@pytest.mark.parametrize(("page_size", "rows"), [(4, [6]), (6, [6, 6]), (7, [6])])
def test_a_server_that_does_not_know_pages_is_recognised(
    sandbox: Sandbox, task: Task, tmp_path: Path, page_size: int, rows: list[int], deferrable: bool
) -> None:
    path = tmp_path / "contacts.csv"

    result = task.run(extracting(path, page_size=page_size, deferrable=deferrable))

    assert [job["rows"] for job in result["jobs"]] == rows
    assert [row["ParticipantId"] for row in rows_of(path)] == SIX
    assert result["rows"] == 6


@source_only
def test_what_travels_between_two_pages_are_uuids_counts_and_digests(
    sandbox: Sandbox, task: Task, tmp_path: Path
) -> None:
    operator = extracting(tmp_path / "contacts.csv", page_size=4, deferrable=True)
    with pytest.raises(TaskDeferred) as first:
        operator.execute(task.context)
    with pytest.raises(TaskDeferred) as second:
        operator.resume(task.context, event_of(first.value.trigger))

    event = event_of(second.value.trigger)

    (page,) = event["progress"]["plan"]["fetched"]
    assert page == {
        "job_uuid": event_of(first.value.trigger)["ticket"]["job_uuid"],
        "rows": 4,
        "ids_sha256": hashlib.sha256("\n".join(SIX[:4]).encode()).hexdigest(),
    }
    assert [secret for secret in SECRETS if secret in json.dumps(event)] == []
    assert list(tmp_path.glob("*.csv")) == []
    assert operator.resume(task.context, event)["rows"] == 6


def test_whoever_stands_on_no_page_is_counted(
    sandbox: Sandbox, task: Task, tmp_path: Path, told: Callable[[], str]
) -> None:
    operator = extracting(tmp_path / "contacts.csv", deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(task.context)
    event = event_of(deferred.value.trigger)
    client = client_for("openclinica_default")
    for number in range(2):
        client.participants.add(f"BOS-80{number}", study_oid="S_JUNO", site_oid="S_BOSTON")

    result = operator.resume(task.context, event)

    assert (result["rows"], result["missing"]) == (6, 2)
    assert "2 of the site's 8 participants stand on no page" in told()


def test_a_list_that_cannot_be_read_leaves_the_question_open(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    sandbox.fault("status", path="clinicaldata/studies/S_JUNO/sites/S_BOSTON/participants", status=500, times=None)

    assert task.run(extracting(tmp_path / "contacts.csv"))["missing"] is None


@source_only
def test_a_comma_in_a_name_is_told(sandbox: Sandbox, task: Task, tmp_path: Path, told: Callable[[], str]) -> None:
    client_for("openclinica_default").participants.add(
        "BOS-002", {"lastName": "Lee-4711, Jr."}, study_oid="S_JUNO", site_oid="S_BOSTON"
    )

    assert task.run(extracting(tmp_path / "contacts.csv"))["rows"] == 6
    assert "Rows with more or fewer cells than the header: 1" in told()


# -- when it goes wrong


def test_without_the_module_the_task_fails_for_good(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    sandbox.configure(participate=False)

    assert "participateInActive" in fails_for_good(task, extracting(tmp_path / "contacts.csv"), NotAvailableError)


def test_a_monitor_gets_nothing(sandbox: Sandbox, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log_in_as("monitor", sandbox, monkeypatch)

    fails_for_good(task, extracting(tmp_path / "contacts.csv"), RoleError)


def test_a_site_that_is_not_there_fails_for_good(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    fails_for_good(task, extracting(tmp_path / "contacts.csv", site_oid="S_NOWHERE"), NotFoundError)
    assert sandbox.jobs() == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        pytest.param({"study_oid": ""}, "study_oid", id="no-study"),
        pytest.param({"study_oid": None}, "study_oid", id="a-study-that-rendered-to-nothing"),
        pytest.param({"site_oid": " "}, "site_oid", id="no-site"),
        pytest.param({"site_oid": None}, "site_oid", id="a-site-that-rendered-to-nothing"),
        pytest.param({"output_uri": ""}, "output_uri", id="no-place"),
        pytest.param({"output_uri": "nowhere://contacts.csv"}, "nowhere", id="a-place-that-airflow-does-not-know"),
    ],
)
def test_a_bad_argument_is_named_and_nothing_is_sent(
    sandbox: Sandbox, task: Task, tmp_path: Path, arguments: dict[str, Any], named: str
) -> None:
    operator = extracting(tmp_path / "contacts.csv")
    for name, value in arguments.items():
        setattr(operator, name, value)

    assert named in fails_for_good(task, operator, ConfigurationError)
    assert sandbox.requests() == []


def test_a_place_that_is_a_folder_is_found_out_before_anything_is_sent(
    sandbox: Sandbox, task: Task, tmp_path: Path
) -> None:
    assert "is a folder" in fails_for_good(task, extracting(tmp_path), ConfigurationError)
    assert sandbox.requests() == []


@pytest.mark.parametrize("page_size", [0, -1, 2.5, "100", True])
def test_a_page_size_that_is_none_is_refused_when_the_dag_is_read(page_size: Any) -> None:
    with pytest.raises(ConfigurationError, match="page_size"):
        extracting("contacts.csv", page_size=page_size)


def test_what_is_templated_is_said() -> None:
    assert set(OpenClinicaExtractContactsOperator.template_fields) == {
        "study_oid",
        "site_oid",
        "output_uri",
        "openclinica_conn_id",
    }

"""Participants brought in by whole DAGs, against an OpenClinica of either dialect; nobody's name is left behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_openclinica.operators.participants import (
    OpenClinicaBulkParticipantsOperator,
    OpenClinicaListParticipantsOperator,
    OpenClinicaParticipantOperator,
)
from tests.dags.conftest import RunDag, TaskLog, states, xcoms

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("openclinica_conn")

NAMES = ("Zorrina", "Quetzal", "zorrina@example.org", "3017239871")
LINE = "N-001,Zorrina,Quetzal,zorrina@example.org,+49 3017239871"
WHERE: dict[str, Any] = {"study_oid": "S_JUNO", "site_oid": "S_BOSTON"}


def sync(name: str, folder: Path, *lines: str, **arguments: Any) -> DAG:
    """A DAG that brings in a file of people, one more, and lists who changed."""
    (folder / "people.csv").write_text("\n".join(["ParticipantID,FirstName,LastName,EmailAddress,phoneNumber", *lines]))
    (folder / "one.json").write_text(json.dumps({"firstName": "Zorrina", "lastName": "Quetzal"}))
    with DAG(name, schedule=None, default_args={"retries": 0}) as dag:
        usual: dict[str, Any] = {"poll_interval": 0.1, "timeout": 60, "log_uri": f"{folder}/log/"}
        many = OpenClinicaBulkParticipantsOperator(
            task_id="many", csv_uri=f"{folder}/people.csv", **WHERE | usual | arguments
        )
        one = OpenClinicaParticipantOperator(
            task_id="one", participant_id="N-002", contact_uri=f"{folder}/one.json", **WHERE
        )
        who = OpenClinicaListParticipantsOperator(task_id="who", changed_since="{{ dag_run.start_date }}", **WHERE)
        many >> one >> who
    return dag


@pytest.mark.parametrize("deferrable", [False, True], ids=["waiting", "deferrable"])
def test_people_come_in_and_their_names_stay_out_of_airflow(
    run_dag: RunDag, sandbox: Sandbox, task_log: TaskLog, tmp_path: Path, dialect: str, deferrable: bool
) -> None:
    run = run_dag(sync(f"people_{dialect}_{deferrable}", tmp_path, LINE, deferrable=deferrable))

    assert states(run) == {"many": "success", "one": "success", "who": "success"}
    assert {"N-001", "N-002"} <= {who["participant"] for who in sandbox.participants()}
    assert {"N-001", "N-002"} <= {who["participant_id"] for who in xcoms(run, "who")["return_value"]}
    left = json.dumps([xcoms(run, task_id) for task_id in ("many", "one", "who")]) + task_log()
    assert [name for name in NAMES if name in left] == []


def test_a_file_with_mistakes_is_refused_whole_and_the_log_tells_places_only(
    run_dag: RunDag, sandbox: Sandbox, task_log: TaskLog, tmp_path: Path, dialect: str
) -> None:
    run = run_dag(sync(f"mistakes_{dialect}", tmp_path, LINE, "N-003,Zorrina,Quetzal,zorrina,3017239871"))

    assert states(run)["many"] == "failed"
    assert sandbox.jobs() == []
    log = task_log()
    assert "line 3, column EmailAddress: is no e-mail address" in log
    assert [name for name in NAMES if name in log] == []

"""Contacts and casebooks out, by whole DAGs."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_openclinica.hooks.clients import client_for
from airflow_provider_openclinica.operators.participants import (
    OpenClinicaCasebookOperator,
    OpenClinicaExtractContactsOperator,
    OpenClinicaListParticipantsOperator,
)
from tests.dags.conftest import RunDag, TaskLog, states, xcoms
from tests.dags.test_examples import example

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox

PERSON = {"firstName": "Ann-4711", "lastName": "Lee-4711", "emailAddress": "ann-4711@example.org"}
NAMED = (*PERSON.values(), "BOS-001", "SS_BOS001")


@pytest.fixture
def coordinator(sandbox: Sandbox, openclinica_conn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is that of a site's coordinator, who knows how to reach one participant."""
    connection = {
        "conn_type": "openclinica",
        "host": sandbox.study_url,
        "login": "crc_boston",
        "password": "sandbox",
        "extra": {"auth_url": sandbox.auth_url},
    }
    monkeypatch.setenv("AIRFLOW_CONN_OPENCLINICA_DEFAULT", json.dumps(connection))
    client_for(openclinica_conn).participants.add("BOS-001", PERSON, study_oid="S_JUNO", site_oid="S_BOSTON")


def ids_in(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row["ParticipantId"] for row in csv.DictReader(file)]


@pytest.mark.usefixtures("coordinator")
def test_the_example_fetches_the_contacts_of_a_site_and_names_nobody(
    run_dag: RunDag, sandbox: Sandbox, tmp_path: Path, task_log: TaskLog
) -> None:
    run = run_dag(example("openclinica_contacts_out"), run_conf={"output_uri": f"{tmp_path}/contacts.csv"})

    assert set(states(run).values()) == {"success"}
    assert PERSON["emailAddress"] in (tmp_path / "contacts.csv").read_text()
    assert len(ids_in(tmp_path / "contacts.csv")) == 6
    assert {job["status"] for job in sandbox.jobs()} == {"DELETED"}
    left = task_log() + str(xcoms(run, "extract_contacts"))
    assert [word for word in NAMED if word in left] == []


@pytest.mark.usefixtures("coordinator")
@pytest.mark.parametrize("dialect", ["source"])
def test_pages_are_fetched_by_a_task_that_is_deferred_between_them(
    run_dag: RunDag, sandbox: Sandbox, tmp_path: Path, task_log: TaskLog
) -> None:
    with DAG("paged_contacts", schedule=None) as dag:
        OpenClinicaExtractContactsOperator(
            task_id="extract",
            study_oid="S_JUNO",
            site_oid="S_BOSTON",
            output_uri=f"{tmp_path}/contacts.csv",
            page_size=2,
            poll_interval=0.1,
            deferrable=True,
        )

    run = run_dag(dag)

    assert states(run) == {"extract": "success"}
    assert [job["rows"] for job in xcoms(run, "extract")["return_value"]["jobs"]] == [2, 2, 2, 0]
    assert len(ids_in(tmp_path / "contacts.csv")) == 6
    assert [word for word in NAMED if word in task_log()] == []


@pytest.mark.usefixtures("openclinica_conn")
@pytest.mark.parametrize("dialect", ["source"])
def test_the_casebooks_of_a_site_are_fetched_by_mapped_tasks(
    run_dag: RunDag, sandbox: Sandbox, tmp_path: Path, task_log: TaskLog
) -> None:
    sandbox.configure(casebook=True)
    with DAG("casebooks", schedule=None) as dag:
        people = OpenClinicaListParticipantsOperator(task_id="list", study_oid="S_JUNO", site_oid="S_LEIDEN")
        OpenClinicaCasebookOperator.partial(
            task_id="casebook",
            study_oid="S_JUNO",
            site_oid="S_LEIDEN",
            output_uri=f"{tmp_path}/casebooks/",
            poll_interval=0.1,
        ).expand(participant_id=people.output.map(lambda one: one["participant_id"]))

    run = run_dag(dag)

    listed = xcoms(run, "list")["return_value"]
    casebooks = list((tmp_path / "casebooks").iterdir())
    assert {str(instance.state) for instance in run.get_task_instances()} == {"success"}
    assert len(casebooks) == len(listed) == len(sandbox.jobs())
    assert all(path.read_bytes().startswith(b"%PDF") for path in casebooks)
    assert [one["participant_id"] for one in listed if one["participant_id"] in task_log()] == []

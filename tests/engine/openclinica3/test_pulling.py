"""What pulls from OpenClinica 4 pulls from OpenClinica 3: one document, or one for each site or participant."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

import pytest

from airflow_provider_openclinica.engine import pieces
from airflow_provider_openclinica.engine.pieces import Request
from airflow_provider_openclinica.engine.pull import How, pull_file, pull_set
from airflow_provider_openclinica.hooks.storage import ObjectStorage
from airflow_provider_openclinica.odm.reader import Event, Item, Participant, read
from tests.openclinica3 import FIRST_OID, SECOND, client_for, schedule_baseline, visit

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.sandbox.server import Sandbox


@pytest.fixture
def client(sandbox3: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OpenClinicaClient:
    """A client of version 3, in the place of one of version 4."""
    monkeypatch.setattr(pieces, "PAUSES", (0.01, 0.01))
    schedule_baseline(sandbox3)
    place = client_for(sandbox3).soap.place("S_JUNO", "S_BOSTON")
    client_for(sandbox3).soap.schedule(place, visit())
    client_for(sandbox3).soap.schedule(place, visit(SECOND))
    return cast("OpenClinicaClient", client_for(sandbox3, tmp_path / "locks"))


def found(path: Path) -> list[Any]:
    return list(read(path))


def test_a_study_is_pulled_into_one_file(client: OpenClinicaClient, tmp_path: Path, sandbox3: Sandbox) -> None:
    target = tmp_path / "juno.xml"
    pulled = pull_file(client, Request(study_oid="S_JUNO"), ObjectStorage(), str(target), threading.Event())
    assert pulled.counts["participants"] == len(sandbox3.participants())
    assert pulled.counts["events"] == 3
    assert not [each for each in found(target) if isinstance(each, Item)]


def test_events_are_selected_here(client: OpenClinicaClient, tmp_path: Path) -> None:
    target = tmp_path / "one.xml"
    request = Request(study_oid="S_JUNO", participant=FIRST_OID, event="SE_FOLLOWUP[1],SE_AE")
    pull_file(client, request, ObjectStorage(), str(target), threading.Event())
    assert [each.study_event_oid for each in found(target) if isinstance(each, Event)] == ["SE_FOLLOWUP"]


def test_a_study_is_pulled_by_participant(client: OpenClinicaClient, tmp_path: Path, sandbox3: Sandbox) -> None:
    for login in ("data_manager",):
        account = sandbox3.service.accounts.get(login)
        assert account is not None
        account.roles = {**account.roles, "S_BOSTON": account.roles["S_JUNO"], "S_LEIDEN": account.roles["S_JUNO"]}
    how = How(partition_by="participant", max_parallel=2)
    request = Request(study_oid="S_JUNO")
    folder = f"{tmp_path}/set/"
    manifest = pull_set(client, request, ObjectStorage(), folder, "0123456789abcdef", how, threading.Event())
    pulled = [each for file in manifest.files for each in found(tmp_path / "set" / file.name)]
    assert len({each.subject_key for each in pulled if isinstance(each, Participant)}) == len(sandbox3.participants())


def test_a_document_that_breaks_off_is_pulled_again(
    client: OpenClinicaClient, tmp_path: Path, sandbox3: Sandbox
) -> None:
    sandbox3.fault("cut_body", path="/OpenClinica/rest/clinicaldata/*", size=3000)
    target = tmp_path / "juno.xml"
    pulled = pull_file(client, Request(study_oid="S_JUNO"), ObjectStorage(), str(target), threading.Event())
    assert pulled.counts["participants"] == len(sandbox3.participants())

"""An import from a notebook: the engine without Airflow, against a running OpenClinica in both dialects."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from airflow_provider_openclinica.engine.imports import ImportRequest, prepare
from airflow_provider_openclinica.engine.record import Record
from airflow_provider_openclinica.engine.run import Policy, Run
from airflow_provider_openclinica.engine.submit import TaskKey
from airflow_provider_openclinica.engine.watch import JobWatch, wait
from airflow_provider_openclinica.errors import FileError, OpenClinicaError, SubmissionChangedError
from tests.documents import labs
from tests.stores import DictStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.engine.run import Prepared
    from airflow_provider_openclinica.sandbox.server import Sandbox

POLICY = Policy(task=TaskKey(dag_id="notebook", run_id="1", task_id="labs"), generation=0, first_try=True)


class Disk:
    """`engine.files.Files` on this machine's disk, as a notebook would have it."""

    def open(self, uri: str) -> BinaryIO:
        return Path(uri).open("rb")

    @contextmanager
    def create(self, uri: str) -> Iterator[BinaryIO]:
        with Path(uri).open("wb") as file:
            yield file


def prepared(tmp_path: Path, client: OpenClinicaClient, document: str, **options: Any) -> Prepared:
    """Prepare a document as its own file, in a folder of its own."""
    source, folder = tmp_path / "labs.xml", tmp_path / f"parts-{len(list(tmp_path.iterdir()))}"
    source.write_text(document)
    folder.mkdir()
    plan = options.pop("plan", None)
    return prepare(ImportRequest(odm_uri=str(source), **options), Disk(), folder, lambda: client, plan)


def test_an_import_needs_no_airflow(sandbox: Sandbox, client: OpenClinicaClient, tmp_path: Path) -> None:
    run = Run(client, prepared(tmp_path, client, labs("BOS-001")), POLICY, Record(None), Disk())

    while ticket := run.next_job():
        now = time.time()
        watch = JobWatch(job_uuid=ticket.job_uuid, deadline=now + 20, poll_interval=0.05, since=now)
        wait(watch, client, threading.Event())
        run.finish(ticket)

    assert run.verdict()["outcomes"] == {"Inserted": 9}


def test_the_plan_is_kept_before_the_first_part_is_sent(
    sandbox: Sandbox, client: OpenClinicaClient, tmp_path: Path
) -> None:
    record = Record(DictStore())
    ready = prepared(tmp_path, client, labs("BOS-001", "LEI-001", study="S_JUNO"))
    sandbox.fault("drop_before", path="clinicaldata/import*", times=None)

    with pytest.raises(OpenClinicaError):
        Run(client, ready, POLICY, record, Disk()).next_job()

    assert record.plan(0) == ready.plan


def test_the_same_file_and_plan_make_the_same_bytes_without_asking_anybody(
    sandbox: Sandbox, client: OpenClinicaClient, tmp_path: Path
) -> None:
    document = labs("BOS-001", "LEI-001", "BOS-002", study="S_JUNO")
    first = prepared(tmp_path, client, document)
    asked = len(sandbox.requests())

    again = prepared(tmp_path, client, document, plan=first.plan)

    assert [part.payload_sha256 for part in again.parts] == [part.payload_sha256 for part in first.parts]
    assert again.plan == first.plan
    assert len(sandbox.requests()) == asked


def test_a_log_is_not_compared_with_a_file_that_is_another_by_now(
    sandbox: Sandbox, client: OpenClinicaClient, tmp_path: Path
) -> None:
    ticket = Run(client, prepared(tmp_path, client, labs("BOS-001")), POLICY, Record(None), Disk()).next_job()
    assert ticket

    other = Run(client, prepared(tmp_path, client, labs("BOS-002")), POLICY, Record(None), Disk())

    with pytest.raises(SubmissionChangedError):
        other.finish(ticket)


@pytest.mark.parametrize(
    ("named", "parent", "study_oid", "site_oid"),
    [
        ("S_JUNO", None, "S_JUNO", None),
        ("S_JUNO", "s_juno", "S_JUNO", None),
        ("S_BOSTON", "S_JUNO", "S_JUNO", "S_BOSTON"),
        ("S_BOSTON", None, "S_BOSTON", None),
    ],
)
def test_the_job_list_to_look_in_is_that_of_the_study_or_of_the_site_in_it(
    client: OpenClinicaClient, tmp_path: Path, named: str, parent: str | None, study_oid: str, site_oid: str | None
) -> None:
    (part,) = prepared(tmp_path, client, labs("BOS-001", study=named), study_oid=parent).parts

    assert (part.study_oid, part.site_oid) == (study_oid, site_oid)


def test_the_message_about_a_bad_file_lists_the_first_problems_by_line(
    sandbox: Sandbox, client: OpenClinicaClient, tmp_path: Path
) -> None:
    document = labs("BOS-001", results=150).replace("ItemGroupRepeatKey", "RepeatKey")

    with pytest.raises(FileError, match=r"labs\.xml, line \d+: .*; line \d+: .*; and \d+ more problems") as caught:
        prepared(tmp_path, client, document)

    assert str(caught.value).count("line ") == 100
    assert sandbox.requests() == []

"""Pulling in pieces: what comes together, what is asked for when something fails, and what a retry does."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_openclinica.engine import pull
from airflow_provider_openclinica.engine.pullset import publish
from airflow_provider_openclinica.errors import (
    FileError,
    FileUnavailableError,
    NotFoundError,
    ServerUnavailableError,
    WaitInterruptedError,
)
from airflow_provider_openclinica.hooks.storage import ObjectStorage
from airflow_provider_openclinica.transfers.openclinica_to_file import OpenClinicaToFileOperator
from tests.documents import FIRST, OF_LEIDEN, SECOND, SECRETS, found_in
from tests.pulls import (
    LONG,
    asked,
    documents_in,
    fill,
    items_in,
    manifest_in,
    move_to_study,
    stored_items,
)
from tests.stores import WorkerLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task

pytestmark = pytest.mark.usefixtures("openclinica_conn")

WHOLE, BOSTON, LEIDEN = "S_JUNO/*/*/*", "S_BOSTON/*/*/*", "S_LEIDEN/*/*/*"
OF_BOSTON = [f"S_BOSTON/SS_BOS00{number}/*/*" for number in range(1, 8)]
OF_LEIDEN_EACH = [f"S_LEIDEN/SS_LEI00{number}/*/*" for number in range(1, 6)]


def pulling(folder: Path, **arguments: Any) -> OpenClinicaToFileOperator:
    usual = {"study_oid": "S_JUNO", "partition_by": "auto"}
    return OpenClinicaToFileOperator(task_id="pull", output_uri=f"{folder}/", **usual | arguments)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def fail_at(sandbox: Sandbox, *pieces: str, times: int | None = None) -> None:
    """Let these requests fail, each time or that often."""
    for piece in pieces:
        sandbox.fault("status", path=f"clinicaldata/{piece.replace('*', '[*]')}", status=500, times=times)


@pytest.mark.parametrize(
    ("partition_by", "pieces", "holds"),
    [
        pytest.param("study", [WHOLE], ["study"], id="one-request"),
        pytest.param("auto", [WHOLE], ["study"], id="one-is-enough"),
        pytest.param("site", [BOSTON, LEIDEN], ["site"] * 2, id="by-site"),
        pytest.param("participant", [*OF_BOSTON, *OF_LEIDEN_EACH], ["participant"] * 12, id="by-participant"),
    ],
)
def test_the_documents_of_a_set_hold_together_what_the_study_holds(
    sandbox: Sandbox, task: Task, folder: Path, partition_by: str, pieces: list[str], holds: list[str]
) -> None:
    fill(sandbox)
    found = task.run(pulling(folder, partition_by=partition_by))

    assert sorted(asked(sandbox)) == sorted(pieces)
    assert items_in(*documents_in(folder)) == stored_items(sandbox)
    manifest = manifest_in(folder)
    files = manifest["files"]
    assert [file["holds"] for file in files] == holds
    assert (manifest["covers"]["participants"], manifest["covers"]["since"]) == ("all", None)
    assert [file["study_oid"] for file in files] == [piece.partition("/")[0] for piece in pieces]
    assert names_in(folder) == {"manifest.json", *(file["name"] for file in files)}
    for file in files:
        content = (folder / file["name"]).read_bytes()
        assert (file["size"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert found == {
        "output_uri": f"{folder}/",
        "files": len(pieces),
        "size": sum(file["size"] for file in files),
        "sha256": hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest(),
        "counts": {"participants": 12, "events": 6, "forms": 6, "item_groups": 12, "items": 30},
        "repairs": {},
        "covers": manifest["covers"],
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert found_in(json.dumps([manifest, found])) == []


def test_participants_of_no_site_come_one_by_one(sandbox: Sandbox, task: Task, folder: Path) -> None:
    fill(sandbox)
    move_to_study(sandbox, SECOND)

    task.run(pulling(folder, partition_by="site"))

    assert sorted(asked(sandbox)) == sorted([BOSTON, LEIDEN, "S_JUNO/SS_BOS002/*/*"])
    assert items_in(*documents_in(folder)) == stored_items(sandbox)


def test_a_site_has_no_sites_and_is_one_piece(sandbox: Sandbox, task: Task, folder: Path) -> None:
    fill(sandbox)
    task.run(pulling(folder, study_oid="S_LEIDEN", partition_by="site"))
    assert asked(sandbox) == [LEIDEN]


def test_metadata_come_once_whatever_the_pieces(sandbox: Sandbox, task: Task, folder: Path) -> None:
    fill(sandbox)

    task.run(pulling(folder, partition_by="site", include_metadata=True))

    kinds = [file["holds"] for file in manifest_in(folder)["files"]]
    assert kinds == ["metadata", "site", "site"]
    designs = [document.find("{*}Study") is not None for document in documents_in(folder)]
    assert designs == [True, False, False]
    data = [each["target"] for each in sandbox.requests() if "clinicaldata=y" in each["target"]]
    assert [target for target in data if "includeMetadata=n" not in target] == []


def test_json_comes_in_pieces_too(sandbox: Sandbox, task: Task, folder: Path) -> None:
    fill(sandbox)
    found = task.run(pulling(folder, partition_by="site", format="json"))
    assert found["counts"]["items"] == 30
    assert {name.rpartition(".")[2] for name in names_in(folder)} == {"json"}


# auto


@pytest.mark.parametrize("fault", ["status", "cut_body", "too_late"])
def test_a_study_that_fails_is_pulled_site_by_site(
    sandbox: Sandbox,
    task: Task,
    folder: Path,
    fault: str,
    said: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(sandbox, results=LONG)
    if fault == "too_late":
        sandbox.fault("delay", path="clinicaldata/S_JUNO/[*]/[*]/[*]", seconds=20)
        connection = {
            "conn_type": "openclinica",
            "host": sandbox.study_url,
            "login": "data_manager",
            "password": "sandbox",
            "extra": {"auth_url": sandbox.auth_url, "request_timeout": 3},
        }
        monkeypatch.setenv("AIRFLOW_CONN_OPENCLINICA_DEFAULT", json.dumps(connection))
        monkeypatch.setattr("airflow_provider_openclinica.client.retries.MOST_TRIES", 1)
    else:
        sandbox.fault(fault, path="clinicaldata/S_JUNO/[*]/[*]/[*]", status=500, size=100_000)

    task.run(pulling(folder))

    assert asked(sandbox)[0] == WHOLE
    assert sorted(asked(sandbox)[1:]) == [BOSTON, LEIDEN]
    assert items_in(*documents_in(folder)) == stored_items(sandbox)
    words = said()
    assert "It is pulled in smaller pieces" in words
    assert found_in(words) == []


def test_a_site_that_fails_is_pulled_participant_by_participant(sandbox: Sandbox, task: Task, folder: Path) -> None:
    fill(sandbox)
    fail_at(sandbox, WHOLE, BOSTON, times=1)

    task.run(pulling(folder, include_metadata=True))

    assert sorted(asked(sandbox)) == sorted([WHOLE, BOSTON, LEIDEN, *OF_BOSTON])
    assert items_in(*documents_in(folder)) == stored_items(sandbox)
    kinds = [file["holds"] for file in manifest_in(folder)["files"]]
    assert kinds == ["metadata", *["participant"] * 7, "site"]


def test_a_study_without_sites_is_cut_by_participant(sandbox: Sandbox, task: Task, folder: Path) -> None:
    fill(sandbox)
    fail_at(sandbox, LEIDEN, times=1)
    task.run(pulling(folder, study_oid="S_LEIDEN"))
    assert sorted(asked(sandbox)) == sorted([LEIDEN, *OF_LEIDEN_EACH])


# A retry


def test_a_retry_goes_on_where_the_try_before_ended(
    sandbox: Sandbox, task: Task, folder: Path, said: Callable[[], str]
) -> None:
    fill(sandbox)
    fail_at(sandbox, WHOLE, times=1)  # its metadata, too, have this path
    fail_at(sandbox, BOSTON, OF_BOSTON[3])
    with pytest.raises(ServerUnavailableError):
        task.run(pulling(folder, max_parallel=1))
    assert "manifest.json" not in names_in(folder)
    before = asked(sandbox)
    sandbox.service.faults.clear()

    task.ti.retry()
    task.run(pulling(folder, max_parallel=1))

    assert before == [WHOLE, BOSTON, *OF_BOSTON[:4]]
    assert asked(sandbox)[len(before) :] == [*OF_BOSTON[3:], LEIDEN]
    assert items_in(*documents_in(folder)) == stored_items(sandbox)
    assert names_in(folder) == {"manifest.json", *(file["name"] for file in manifest_in(folder)["files"])}
    words = said()
    assert "An earlier try has stored 3 pieces of this pull" in words
    assert found_in(words) == []


def test_a_retry_after_the_set_was_published_asks_for_nothing(sandbox: Sandbox, task: Task, folder: Path) -> None:
    fill(sandbox)
    found = task.run(pulling(folder, partition_by="site"))
    before = asked(sandbox)

    task.ti.retry()

    assert task.run(pulling(folder, partition_by="site")) == found
    assert asked(sandbox) == before


def test_a_cleared_task_pulls_anew_and_takes_the_place_of_the_set_before(
    sandbox: Sandbox, task: Task, folder: Path
) -> None:
    fill(sandbox)
    (folder / "notes.txt").write_text("somebody's")
    task.run(pulling(folder, partition_by="site"))
    before = names_in(folder)

    task.ti.clear()
    task.run(pulling(folder, partition_by="site"))

    assert names_in(folder) & before == {"manifest.json", "notes.txt"}
    assert len(names_in(folder)) == len(before)


def test_a_progress_that_cannot_be_read_costs_the_pieces_and_nothing_else(
    sandbox: Sandbox, task: Task, folder: Path
) -> None:
    fill(sandbox)
    fail_at(sandbox, LEIDEN)
    with pytest.raises(ServerUnavailableError):
        task.run(pulling(folder, partition_by="site", max_parallel=1))
    [progress] = folder.glob("_progress.*.json")
    progress.write_text("{")
    sandbox.service.faults.clear()

    task.ti.retry()
    task.run(pulling(folder, partition_by="site", max_parallel=1))

    assert asked(sandbox) == [BOSTON, LEIDEN, BOSTON, LEIDEN]
    assert items_in(*documents_in(folder)) == stored_items(sandbox)


@pytest.mark.parametrize(("tries", "is_last"), [(1, False), (2, False), (3, True)])
def test_what_is_stored_waits_for_the_next_try_and_goes_with_the_last_one(
    sandbox: Sandbox, task: Task, folder: Path, tries: int, is_last: bool, said: Callable[[], str]
) -> None:
    fill(sandbox)
    fail_at(sandbox, LEIDEN)

    for _ in range(tries):
        with pytest.raises(ServerUnavailableError):
            task.run(pulling(folder, partition_by="site", max_parallel=1))
        task.ti.retry()

    names = names_in(folder)
    assert asked(sandbox).count(BOSTON) == 1
    if is_last:
        assert names == set()
    else:
        [tag] = {name.split(".")[1] for name in names}
        assert names == {f"0001.{tag}.xml", f"_progress.{tag}.json"}
        assert f"Documents kept in {folder}/ for the next try: 1" in said()


def test_what_cannot_be_removed_is_told_with_its_place(
    sandbox: Sandbox, task: Task, folder: Path, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sandbox)
    fail_at(sandbox, LEIDEN)
    monkeypatch.setattr(ObjectStorage, "remove", refuse_to_remove)
    task.ti.try_number = task.ti.max_tries + 1

    with pytest.raises(ServerUnavailableError):
        task.run(pulling(folder, partition_by="site", max_parallel=1))

    [tag] = {path.name.split(".")[1] for path in folder.glob("*.xml")}
    assert f"Nobody needs the files there with {tag} in their names" in said()


def refuse_to_remove(files: ObjectStorage, uri: str) -> None:
    raise FileUnavailableError(f"{uri} cannot be removed: permission denied")


def test_a_failure_that_no_retry_mends_leaves_nothing_behind(sandbox: Sandbox, task: Task, folder: Path) -> None:
    fill(sandbox)
    sandbox.fault("status", path="clinicaldata/S_LEIDEN/*", status=200, body="<Rss/>")

    with pytest.raises(AirflowFailException):
        task.run(pulling(folder, partition_by="site", max_parallel=1))

    assert names_in(folder) == set()


@pytest.mark.parametrize("partition_by", ["study", "site", "auto"])
def test_a_study_that_is_not_there_leaves_nothing_behind(
    sandbox: Sandbox, task: Task, folder: Path, partition_by: str
) -> None:
    with pytest.raises(ServerUnavailableError, match="does not have"):
        task.run(pulling(folder, study_oid="S_NONE", partition_by=partition_by))
    assert names_in(folder) == set()


def test_a_kill_ends_the_pull_and_the_next_try_goes_on(
    sandbox: Sandbox, task: Task, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sandbox)
    operator = pulling(folder, partition_by="site", max_parallel=1)
    create = ObjectStorage.create

    def create_and_be_killed(files: ObjectStorage, uri: str, **options: Any) -> AbstractContextManager[Any]:
        if "/0002." in uri:
            operator.on_kill()
        return create(files, uri, **options)

    monkeypatch.setattr(ObjectStorage, "create", create_and_be_killed)
    with pytest.raises(WaitInterruptedError):
        task.run(operator)
    monkeypatch.setattr(ObjectStorage, "create", create)
    assert "manifest.json" not in names_in(folder)

    task.ti.retry()
    task.run(pulling(folder, partition_by="site", max_parallel=1))

    assert asked(sandbox).count(BOSTON) == 1
    assert items_in(*documents_in(folder)) == stored_items(sandbox)


def test_a_worker_that_is_lost_before_the_set_is_published_costs_no_piece(
    sandbox: Sandbox, task: Task, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sandbox)

    def lose_the_worker(*_: object) -> None:
        raise WorkerLost

    monkeypatch.setattr(pull, "publish", lose_the_worker)
    with pytest.raises(WorkerLost):
        task.run(pulling(folder, partition_by="site"))
    monkeypatch.setattr(pull, "publish", publish)

    task.ti.retry()
    task.run(pulling(folder, partition_by="site"))

    assert sorted(asked(sandbox)) == [BOSTON, LEIDEN]
    assert items_in(*documents_in(folder)) == stored_items(sandbox)


@pytest.mark.parametrize("run_id", ["manual__1", "manual__2"], ids=["a-try-that-was-believed-lost", "another-run"])
def test_two_who_pull_at_once_leave_one_set_and_nothing_else(
    sandbox: Sandbox, task: Task, folder: Path, monkeypatch: pytest.MonkeyPatch, run_id: str
) -> None:
    fill(sandbox)
    run, other = pull._Pull.run, replace(task, ti=replace(task.ti, run_id=run_id))

    def run_beside_another(self: pull._Pull) -> Any:
        found = run(self)
        monkeypatch.setattr(pull._Pull, "run", run)
        other.run(pulling(folder, partition_by="site"))
        return found

    monkeypatch.setattr(pull._Pull, "run", run_beside_another)
    task.run(pulling(folder, partition_by="site"))

    assert names_in(folder) == {"manifest.json", *(file["name"] for file in manifest_in(folder)["files"])}
    assert items_in(*documents_in(folder)) == stored_items(sandbox)


def test_a_retry_does_not_go_on_with_what_another_account_or_server_has_given(
    sandbox: Sandbox, task: Task, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sandbox)
    fail_at(sandbox, LEIDEN)
    with pytest.raises(ServerUnavailableError):
        task.run(pulling(folder, partition_by="site", max_parallel=1))
    sandbox.service.faults.clear()
    told = json.loads(os.environ["AIRFLOW_CONN_OPENCLINICA_DEFAULT"])
    monkeypatch.setenv("AIRFLOW_CONN_OPENCLINICA_DEFAULT", json.dumps(told | {"login": "second_manager"}))

    task.ti.retry()
    task.run(pulling(folder, partition_by="site", max_parallel=1))

    assert asked(sandbox) == [BOSTON, LEIDEN, BOSTON, LEIDEN]


# Limits


def test_no_more_requests_run_at_the_same_time_than_allowed(
    sandbox: Sandbox, task: Task, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sandbox)
    writing, most = 0, 0
    create = ObjectStorage.create

    def counting(files: ObjectStorage, uri: str, **options: Any) -> AbstractContextManager[Any]:
        from contextlib import contextmanager

        @contextmanager
        def counted() -> Iterator[Any]:
            nonlocal writing, most
            writing += 1
            most = max(most, writing)
            try:
                with create(files, uri, **options) as file:
                    yield file
            finally:
                writing -= 1

        return counted()

    monkeypatch.setattr(ObjectStorage, "create", counting)
    task.run(pulling(folder, partition_by="participant", max_parallel=3))
    assert 1 <= most <= 3


@pytest.mark.parametrize("include_metadata", [False, True])
def test_an_empty_study_is_an_error_unless_it_may_be_empty(
    sandbox: Sandbox, task: Task, folder: Path, include_metadata: bool
) -> None:
    with sandbox.service.state.writing() as db:
        db.execute("DELETE FROM participants")

    with pytest.raises(AirflowFailException) as caught:
        task.run(pulling(folder, partition_by="site", include_metadata=include_metadata))
    assert isinstance(caught.value.__cause__, NotFoundError)
    assert names_in(folder) == set()

    found = task.run(pulling(folder, partition_by="site", include_metadata=include_metadata, allow_empty=True))
    assert (found["files"], set(found["counts"].values())) == (int(include_metadata), {0})


def test_a_manifest_of_something_else_is_left_alone(sandbox: Sandbox, task: Task, folder: Path) -> None:
    (folder / "manifest.json").write_text('{"name": "my web page"}')

    with pytest.raises(AirflowFailException, match="manifest of something else") as caught:
        task.run(pulling(folder))

    assert isinstance(caught.value.__cause__, FileError)
    assert (folder / "manifest.json").read_text() == '{"name": "my web page"}'
    assert asked(sandbox) == []


def test_secrets_of_the_tests_are_in_the_data(sandbox: Sandbox, task: Task, folder: Path) -> None:
    fill(sandbox)
    task.run(pulling(folder))
    content = "".join(path.read_text() for path in folder.glob("*.xml"))
    assert {FIRST, SECOND, OF_LEIDEN} <= set(found_in(content, SECRETS))

"""How a pull runs: at most so many requests at once, ended from outside, in constant memory."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from airflow_provider_openclinica.engine import pullthreads
from airflow_provider_openclinica.engine.pieces import Request
from airflow_provider_openclinica.engine.pull import How, pull_file, pull_set
from airflow_provider_openclinica.engine.pullset import Manifest, Progress, read_manifest
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    FileUnavailableError,
    ServerUnavailableError,
    WaitInterruptedError,
)
from tests.documents import FIRST, SECOND, labs
from tests.pulls import asked, fill, let_weeks_pass, store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.sandbox.server import Sandbox

TAG = "0123456789abcdef"


class Folder:
    """Local files; a test may have its say before one is written."""

    def __init__(self, before: Callable[[str], Any] = lambda _: None) -> None:
        self._before = before

    @contextmanager
    def create(self, uri: str, *, private: bool = False) -> Iterator[BinaryIO]:
        self._before(uri)
        path = Path(f"{uri}.part")
        with path.open("wb") as file:
            yield file
        path.replace(uri)

    def open(self, uri: str) -> BinaryIO:
        try:
            return Path(uri).open("rb")
        except OSError as error:
            raise FileUnavailableError("no such file") from error

    def remove(self, uri: str) -> None:
        Path(uri).unlink(missing_ok=True)


def run(client: OpenClinicaClient, folder: Path, files: Folder, stop: threading.Event, **how: Any) -> Manifest:
    options = How(**{"partition_by": "participant"} | how)
    return pull_set(client, Request(study_oid="S_JUNO"), files, f"{folder}/", TAG, options, stop)


def end_of_workers() -> None:
    """Wait for the threads that nobody else waits for."""
    for thread in threading.enumerate():
        if thread.name.startswith("openclinica-pull"):
            thread.join(timeout=60)


@pytest.mark.parametrize("most", [2, 3])
def test_as_many_requests_run_at_the_same_time_as_allowed_and_no_more(
    sandbox: Sandbox, client: OpenClinicaClient, tmp_path: Path, most: int
) -> None:
    fill(sandbox)
    together, running, seen = threading.Barrier(most), threading.Semaphore(most), []

    def meet(uri: str) -> None:
        if not uri.endswith(".xml"):
            return
        seen.append(running.acquire(blocking=False))  # refused if there were one too many
        together.wait(timeout=60)  # broken if there were one too few
        running.release()

    manifest = run(client, tmp_path, Folder(meet), threading.Event(), max_parallel=most)

    assert seen == [True] * 12
    assert len(manifest.files) == 12
    assert [file.name[:4] for file in manifest.files] == [f"{number:04}" for number in range(1, 13)]


def test_the_order_of_a_set_is_that_of_the_study_whatever_comes_first(
    sandbox: Sandbox, client: OpenClinicaClient, tmp_path: Path
) -> None:
    fill(sandbox)
    second_is_there = threading.Event()

    def hold_up_the_first(uri: str) -> None:
        if "/0001." in uri:
            second_is_there.wait(timeout=60)
        if "/0002." in uri:
            second_is_there.set()

    manifest = run(client, tmp_path, Folder(hold_up_the_first), threading.Event(), partition_by="site")

    assert [file.study_oid for file in manifest.files] == ["S_BOSTON", "S_LEIDEN"]
    assert read_manifest(Folder(), f"{tmp_path}/") == manifest


def test_a_silent_server_does_not_hold_up_a_kill(sandbox: Sandbox, client: OpenClinicaClient, tmp_path: Path) -> None:
    fill(sandbox)
    stop, go_on = threading.Event(), threading.Event()

    def be_killed_and_wait(_: str) -> None:
        stop.set()
        go_on.wait(timeout=60)

    with pytest.raises(WaitInterruptedError):
        pull_file(client, Request(study_oid="S_JUNO"), Folder(be_killed_and_wait), str(tmp_path / "a.xml"), stop)

    assert not go_on.is_set(), "the request was still under way"
    go_on.set()
    end_of_workers()


def test_one_failure_ends_the_others_and_keeps_what_is_there(
    sandbox: Sandbox, client: OpenClinicaClient, tmp_path: Path
) -> None:
    fill(sandbox)
    sandbox.fault("status", path="clinicaldata/S_BOSTON/SS_BOS003/*", status=500)
    stop = threading.Event()

    with pytest.raises(ServerUnavailableError):
        run(client, tmp_path, Folder(), stop, max_parallel=1)

    assert stop.is_set()
    assert len(asked(sandbox)) == 3
    manifest = run(client, tmp_path, Folder(), threading.Event())
    assert len(asked(sandbox)) == 3 + 10
    assert len(manifest.files) == 12


def test_what_is_stored_while_another_piece_fails_is_kept_too(
    sandbox: Sandbox, client: OpenClinicaClient, tmp_path: Path
) -> None:
    fill(sandbox)
    stop, published = threading.Event(), threading.Event()

    class Late(Folder):
        """Fails at the first piece as soon as the second is there; that one is heard of only after the failure."""

        @contextmanager
        def create(self, uri: str, *, private: bool = False) -> Iterator[BinaryIO]:
            if "/0001." in uri:
                published.wait(timeout=60)
                raise FileUnavailableError("the disk is full")
            with super().create(uri, private=private) as file:
                yield file
            if "/0002." in uri:
                published.set()
                stop.wait(timeout=60)

    with pytest.raises(FileUnavailableError):
        run(client, tmp_path, Late(), stop, partition_by="site")

    assert len(Progress.read(Folder(), f"{tmp_path}/", TAG).done) == 1


def test_a_progress_that_cannot_be_kept_does_not_fail_the_pull(
    sandbox: Sandbox, client: OpenClinicaClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(uri: str) -> None:
        if "/_progress" in uri:
            raise FileUnavailableError("the disk is full")

    fill(sandbox)
    assert len(run(client, tmp_path, Folder(refuse), threading.Event()).files) == 12
    assert "the disk is full; a retry will begin anew" in caplog.text


def test_a_place_that_forbids_to_remove_does_not_fail_a_pull_that_is_published(
    sandbox: Sandbox, client: OpenClinicaClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Archive(Folder):
        def remove(self, uri: str) -> None:
            raise FileUnavailableError("permission denied")

    fill(sandbox)
    manifest = run(client, tmp_path, Archive(), threading.Event(), partition_by="site")
    assert read_manifest(Archive(), f"{tmp_path}/") == manifest
    assert "something of the one before stays: permission denied" in caplog.text


def test_a_time_out_of_the_task_does_not_wait_for_a_silent_server(
    sandbox: Sandbox, client: OpenClinicaClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TaskTimeout(BaseException):
        pass

    fill(sandbox)
    under_way, go_on = threading.Event(), threading.Event()

    def be_slow(_: str) -> None:
        under_way.set()
        go_on.wait(timeout=60)

    def ring(*_: object, **__: object) -> None:
        under_way.wait(timeout=60)
        raise TaskTimeout

    monkeypatch.setattr(pullthreads, "wait", ring)
    with pytest.raises(TaskTimeout):
        pull_file(client, Request(study_oid="S_JUNO"), Folder(be_slow), str(tmp_path / "a.xml"), threading.Event())

    assert not go_on.is_set()
    go_on.set()
    end_of_workers()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, ""),
        ({"include_audits": True, "format": "json"}, ""),
        ({"event": "SE_B,SE_A", "show_archived": True}, "event=SE_A,SE_B; show_archived"),
        ({"form": "F_LABS"}, "form=F_LABS"),
    ],
)
def test_what_is_selected_is_said_in_words_that_are_the_same_for_the_same(asked: dict[str, Any], said: str) -> None:
    assert Request(study_oid="S_JUNO", **asked).selected == said


def test_a_request_does_not_show_who_is_asked_for() -> None:
    request = Request(study_oid="S_JUNO", participant="BOS-001")
    assert "BOS" not in f"{request!r} {request.whole!r}"


@pytest.mark.parametrize("how", [{"partition_by": "nobody"}, {"max_parallel": 9}, {"max_parallel": 1.5}])
def test_how_to_pull_is_checked(how: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        How(**how)


KILLED = """
import os, signal, sys, threading
from datetime import UTC, datetime
from airflow_provider_openclinica.client.addresses import ServerSettings
from airflow_provider_openclinica.client.client import OpenClinicaClient
from airflow_provider_openclinica.client.tokens import TokenManager
from airflow_provider_openclinica.engine.pieces import Request
from airflow_provider_openclinica.engine.pull import How, pull_set
from tests.engine.test_pull import TAG, Folder

def kill_at_the_second(uri):
    if "/0002." in uri:
        os.kill(os.getpid(), signal.SIGKILL)

study_url, auth_url, folder = sys.argv[1:]
settings = ServerSettings.from_parts(host=study_url, auth_url=auth_url, login="data_manager", password="sandbox")
client, since = OpenClinicaClient(settings, TokenManager(settings)), datetime(2026, 2, 1, tzinfo=UTC)
request, how, stop = Request(study_oid="S_JUNO"), How(max_parallel=1), threading.Event()
pull_set(client, request, Folder(kill_at_the_second), folder, TAG, how, stop, since=since)
"""


def test_an_incremental_pull_that_is_killed_goes_on_as_of_its_first_try(
    sandbox: Sandbox, client: OpenClinicaClient, tmp_path: Path
) -> None:
    fill(sandbox)
    let_weeks_pass(sandbox)
    store(sandbox, "S_BOSTON", labs(FIRST, SECOND, results=3))
    command = [sys.executable, "-c", KILLED, sandbox.study_url, sandbox.auth_url, f"{tmp_path}/"]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    first_try_ended = datetime.now(UTC)
    assert read_manifest(Folder(), f"{tmp_path}/") is None

    since = datetime(2026, 2, 2, tzinfo=UTC)
    request = Request(study_oid="S_JUNO")
    manifest = pull_set(client, request, Folder(), f"{tmp_path}/", TAG, How(), threading.Event(), since=since)

    assert manifest.covers is not None
    assert manifest.covers.since == datetime(2026, 2, 1, tzinfo=UTC)
    assert manifest.covers.until < first_try_ended
    assert sorted(asked(sandbox)) == ["S_BOSTON/SS_BOS001/*/*", "S_BOSTON/SS_BOS002/*/*"]
    assert manifest.total.counts["participants"] == 2

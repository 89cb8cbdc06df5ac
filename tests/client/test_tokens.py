"""Tokens: how long one is used, and who shares it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import threading
import time
from typing import TYPE_CHECKING

import pytest

from airflow_provider_openclinica.client.token_shelf import FileShelf, MemoryShelf
from airflow_provider_openclinica.client.tokens import TokenManager
from airflow_provider_openclinica.errors import (
    OpenClinicaError,
    ServerUnavailableError,
)
from tests.client.token_server import Clock, TokenServer, manager

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[TokenServer]:
    with TokenServer(clock=clock) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


class Store:
    """A token store in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.loads = 0

    def load(self, key: str) -> str | None:
        self.loads += 1
        return self.kept.get(key)

    def save(self, key: str, text: str) -> None:
        self.kept[key] = text


# How long a token is used


@pytest.mark.parametrize(
    ("life", "used_for"),
    [pytest.param(14400, 14280, id="four-hours-less-120-s"), pytest.param(600, 540, id="ten-minutes-less-a-tenth")],
)
def test_a_token_is_renewed_before_it_ends(
    server: TokenServer, clock: Clock, folder: Path, life: float, used_for: float
) -> None:
    server.seconds = life
    tokens = manager(server, clock, folder)
    first = tokens.token()
    clock.now += used_for - 1
    assert tokens.token() == manager(server, clock, folder).token() == first
    clock.now += 2
    second = tokens.token()
    assert second != first
    assert manager(server, clock, folder).token() == second
    assert len(server.calls) == 2


def test_a_refused_token_is_renewed_with_one_call(server: TokenServer, clock: Clock, folder: Path) -> None:
    tokens = manager(server, clock, folder)
    refused = tokens.token()
    assert tokens.renew(refused) == tokens.token() == server.given[1]
    assert len(server.calls) == 2


def test_a_token_that_somebody_else_renewed_is_taken_without_a_call(
    server: TokenServer, clock: Clock, folder: Path
) -> None:
    late, quick = manager(server, clock, folder), manager(server, clock, folder)
    refused = late.token()
    renewed = quick.renew(refused)
    assert late.renew(refused) == renewed
    assert len(server.calls) == 2


# Who shares a token


def test_a_process_asks_once(server: TokenServer, clock: Clock) -> None:
    tokens = manager(server, clock)
    assert tokens.token() == tokens.token() == server.given[0]
    assert len(server.calls) == 1


def test_in_memory_means_that_nothing_is_written(
    server: TokenServer, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tokens = manager(server, clock)
    tokens.token()
    tokens.remember("import_path", "import")
    assert tokens.recall("import_path") == "import"
    assert list(tmp_path.iterdir()) == []


def test_another_process_of_the_host_finds_the_token(server: TokenServer, clock: Clock, folder: Path) -> None:
    assert manager(server, clock, folder).token() == manager(server, clock, folder).token()
    assert len(server.calls) == 1


def test_neither_token_nor_account_can_be_read_from_the_files(server: TokenServer, clock: Clock, folder: Path) -> None:
    manager(server, clock, folder).token()
    everything = b"".join(file.read_bytes() + file.name.encode() for file in folder.iterdir())
    for secret in (server.given[0], "nightly", "horse", "127.0.0.1"):
        assert secret.encode() not in everything


def test_folder_and_files_are_for_this_user_only(server: TokenServer, clock: Clock, folder: Path) -> None:
    tokens = manager(server, clock, folder)
    tokens.token()
    tokens.remember("import_path", "import")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert sorted(file.suffix for file in folder.iterdir()) == [".facts", ".lock", ".token"]


def test_a_new_password_makes_the_old_token_unreadable(server: TokenServer, clock: Clock, folder: Path) -> None:
    old = manager(server, clock, folder).token()
    new = manager(server, clock, folder, password="changed").token()
    assert new != old
    assert len(server.calls) == 2


def test_two_accounts_have_a_token_each(server: TokenServer, clock: Clock, folder: Path) -> None:
    day, night = manager(server, clock, folder, login="day"), manager(server, clock, folder)
    assert day.token() != night.token()
    assert day.token() == server.given[0]
    assert len(server.calls) == 2


def test_another_host_finds_the_token_in_the_store(server: TokenServer, clock: Clock, tmp_path: Path) -> None:
    store = Store()
    here = manager(server, clock, tmp_path / "here", stores=[store]).token()
    there = manager(server, clock, tmp_path / "there", stores=[store])
    assert there.token() == there.token() == here
    assert len(server.calls) == 1
    assert store.loads == 2  # both were cold once; what was found lies on the shelf now
    assert manager(server, clock, tmp_path / "there").token() == here


def test_a_store_is_given_ciphertext_under_a_key_that_airflow_masks(server: TokenServer, clock: Clock) -> None:
    store = Store()
    token = manager(server, clock, stores=[store]).token()
    ((key, text),) = store.kept.items()
    assert key.startswith("openclinica_token_")
    assert token not in text


def test_a_store_with_rubbish_is_an_empty_store(server: TokenServer, clock: Clock) -> None:
    store = Store()
    manager(server, clock, stores=[store]).token()
    store.kept = dict.fromkeys(store.kept, "rübbish")
    assert manager(server, clock, stores=[store]).token() == server.given[1]
    assert manager(server, clock, stores=[store]).token() == server.given[1]


# Facts beside the token


def test_a_fact_is_known_to_all_processes_of_the_host(server: TokenServer, clock: Clock, folder: Path) -> None:
    tokens = manager(server, clock, folder)
    assert tokens.recall("import_path") == ""
    tokens.remember("import_path", "import/xml")
    tokens.remember("other", "fact")
    assert manager(server, clock, folder).recall("import_path") == "import/xml"
    assert manager(server, clock, folder, login="somebody else").recall("import_path") == ""


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"import_path": 7}', b"\xff\x00"])
def test_facts_that_cannot_be_read_are_forgotten(
    server: TokenServer, clock: Clock, folder: Path, content: bytes
) -> None:
    tokens = manager(server, clock, folder)
    tokens.remember("import_path", "import")
    next(folder.glob("*.facts")).write_bytes(content)
    assert tokens.recall("import_path") == ""
    tokens.remember("import_path", "import")
    assert tokens.recall("import_path") == "import"


def test_a_fact_that_cannot_be_kept_costs_nobody_anything(server: TokenServer, clock: Clock, folder: Path) -> None:
    tokens = manager(server, clock, folder)
    tokens.token()
    folder.chmod(0o755)  # refused from now on
    tokens.remember("import_path", "import")


# Many at once


def test_threads_that_start_cold_make_one_call(folder: Path) -> None:
    with TokenServer(delay=0.2) as server:
        for cache_dir in (folder, None):
            tokens = TokenManager(server.settings(login=str(cache_dir)), cache_dir=cache_dir)
            got: list[str] = []
            threads = [threading.Thread(target=lambda: got.append(tokens.token())) for _ in range(16)]  # noqa: B023
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
            assert got == [server.given[-1]] * 16
        assert len(server.calls) == 2  # one for each kind of cache


def test_processes_that_start_cold_make_one_call(folder: Path) -> None:
    context = multiprocessing.get_context("fork")
    server = TokenServer(delay=0.3)
    start, got = context.Event(), context.SimpleQueue()

    def ask() -> None:
        start.wait()
        got.put(TokenManager(server.settings(), cache_dir=folder).token())

    processes = [context.Process(target=ask) for _ in range(16)]  # 64 in benchmarks/token_sharing.py
    for process in processes:
        process.start()
    with server:
        start.set()
        tokens = [got.get() for _ in processes]
        for process in processes:
            process.join(20)
    assert tokens == server.given * 16
    assert len(server.calls) == 1


def test_the_turn_of_a_process_that_was_killed_is_free_at_once(folder: Path) -> None:
    context = multiprocessing.get_context("fork")
    holding = context.Event()
    with TokenServer() as server:
        manager = TokenManager(server.settings(), cache_dir=folder)

        def hold() -> None:
            with manager._shelf.turn(time.time()) as turn:
                assert turn
                turn.begin()
                holding.set()
                time.sleep(60)

        process = context.Process(target=hold)
        process.start()
        assert holding.wait(10)
        with manager._shelf.turn(time.time()) as turn:
            assert turn is None
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join(10)
        begun = time.monotonic()
        assert manager.token() == server.given[0]
        assert time.monotonic() - begun < 30
        with manager._shelf.turn(time.time()) as turn:
            assert turn
            assert turn.wait() > 20  # its call counts: it may have been made


def test_one_who_waits_too_long_for_another_gives_up(server: TokenServer, clock: Clock, folder: Path) -> None:
    tokens = manager(server, clock, folder, patience=3)
    with tokens._shelf.turn(clock.now), pytest.raises(ServerUnavailableError, match="Another process"):
        tokens.token()
    assert server.calls == []


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_turn_is_given_back_after_an_error(folder: Path, kind: str) -> None:
    shelf = FileShelf(folder, "server") if kind == "file" else MemoryShelf()
    with pytest.raises(OpenClinicaError), shelf.turn(0.0):
        raise OpenClinicaError("something went wrong")
    with shelf.turn(0.0) as turn:
        assert turn


def test_nothing_is_read_or_written_before_a_token_is_asked_for(server: TokenServer, folder: Path) -> None:
    TokenManager(server.settings(), cache_dir=folder)
    assert not folder.exists()
    assert server.calls == []

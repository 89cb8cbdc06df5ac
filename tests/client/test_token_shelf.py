"""The shelf: what is refused, what is overwritten, and two calls a minute for a whole host."""

from __future__ import annotations

import os
import shutil
import socket
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_openclinica.client.tokens import PATIENCE, TokenManager
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    RateLimitError,
    ServerUnavailableError,
)
from tests.client.token_server import Clock, Reply, TokenServer, manager

if TYPE_CHECKING:
    from collections.abc import Iterator


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


# What is refused, and what is overwritten


def _open_folder(folder: Path) -> None:
    folder.chmod(0o755)


def _open_file(folder: Path) -> None:
    next(folder.glob("*.token")).chmod(0o640)


def _open_lock(folder: Path) -> None:
    next(folder.glob("*.lock")).chmod(0o666)
    next(folder.glob("*.token")).unlink()


def _linked_folder(folder: Path) -> None:
    folder.rename(folder.with_name("real"))
    folder.symlink_to(folder.with_name("real"))


def _linked_file(folder: Path) -> None:
    file = next(folder.glob("*.token"))
    file.rename(folder / "real")
    file.symlink_to(folder / "real")


def _no_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("a file")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(_open_folder, "open to other users.*chmod 700", id="folder-open-to-others"),
        pytest.param(_open_file, "open to other users.*chmod 600", id="file-open-to-others"),
        pytest.param(_open_lock, "open to other users.*chmod 600", id="lock-open-to-others"),
        pytest.param(_linked_folder, "symbolic link", id="folder-behind-a-link"),
        pytest.param(_linked_file, "symbolic link", id="file-behind-a-link"),
        pytest.param(_no_folder, "token_cache_dir", id="no-folder-at-all"),
    ],
)
def test_a_cache_that_others_could_touch_is_refused_before_any_call(
    server: TokenServer, clock: Clock, folder: Path, spoil: object, message: str
) -> None:
    manager(server, clock, folder).token()
    spoil(folder)  # type: ignore[operator]
    with pytest.raises(ConfigurationError, match=message):
        manager(server, clock, folder).token()
    assert len(server.calls) == 1


def test_a_cache_of_another_user_is_refused(
    server: TokenServer, clock: Clock, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager(server, clock, folder).token()
    somebody_else = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody_else)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        manager(server, clock, folder).token()


def test_a_folder_that_cannot_be_made_is_explained(server: TokenServer, clock: Clock) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be used.*token_cache"):
        manager(server, clock, Path("/proc/nowhere/tokens")).token()
    assert server.calls == []


@pytest.mark.parametrize("suffix", ["token", "lock"])
@pytest.mark.parametrize(
    "content", [b"", b"\x00", b"\xff\xfe", b"gAAAAAB", b"null", b"[]", b'{"calls": 7}', b"{" * 70_000]
)
def test_a_file_that_is_not_ours_is_overwritten(
    server: TokenServer, clock: Clock, folder: Path, suffix: str, content: bytes
) -> None:
    manager(server, clock, folder).token()
    next(folder.glob(f"*.{suffix}")).write_bytes(content)
    if suffix == "lock":
        next(folder.glob("*.token")).unlink()
    assert manager(server, clock, folder).token() == manager(server, clock, folder).token() == server.given[1]


# Two calls a minute


def test_a_third_call_within_a_minute_waits_whichever_account_asks(
    server: TokenServer, clock: Clock, folder: Path
) -> None:
    for login in ("one", "two", "three"):
        manager(server, clock, folder, login=login).token()
    assert server.calls[1].at - server.calls[0].at < 1
    assert server.calls[2].at - server.calls[0].at >= 60


def test_no_call_is_spent_where_the_wait_would_be_longer_than_the_patience(
    server: TokenServer, clock: Clock, folder: Path
) -> None:
    for login in ("one", "two"):
        manager(server, clock, folder, login=login).token()
    with pytest.raises(RateLimitError, match="Retry in 60 s"):
        manager(server, clock, folder, login="three", patience=10).token()
    assert len(server.calls) == 2
    assert sum(clock.slept) < 10


def test_after_a_429_nobody_calls_before_the_time_the_server_names(
    server: TokenServer, clock: Clock, folder: Path
) -> None:
    server.replies = [Reply(429, headers={"Retry-After": "45"})]
    manager(server, clock, folder).token()
    first, second = server.calls
    assert 45 <= second.at - first.at <= 47


def test_a_429_without_a_time_is_waited_out_too(server: TokenServer, clock: Clock) -> None:
    server.replies = [Reply(429)]
    assert manager(server, clock).token() == server.given[0]
    assert 30 <= server.calls[1].at - server.calls[0].at <= 32


def test_the_cache_is_read_again_before_each_new_attempt(server: TokenServer, clock: Clock, tmp_path: Path) -> None:
    elsewhere = manager(server, clock, tmp_path / "elsewhere").token()
    server.replies = [Reply(429, headers={"Retry-After": "40"})]

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        for file in (tmp_path / "elsewhere").glob("*.token"):  # somebody else had more luck meanwhile
            shutil.copy2(file, tmp_path / "here" / file.name)

    assert manager(server, clock, tmp_path / "here", sleep=sleep).token() == elsewhere
    assert len(server.calls) == 2
    assert sum(clock.slept) < 6


def test_a_server_that_always_says_429_ends_the_patience_and_is_called_twice_a_minute_at_most(
    server: TokenServer, clock: Clock, folder: Path
) -> None:
    server.replies = [Reply(429)] * 20
    begun = clock.now
    with pytest.raises(RateLimitError, match="two token calls a minute"):
        manager(server, clock, folder).token()
    assert clock.now - begun <= PATIENCE
    assert all(third.at - first.at >= 60 for first, third in zip(server.calls, server.calls[2:], strict=False))
    assert len(server.calls) <= 3


def test_those_who_wait_do_not_come_back_together(server: TokenServer, clock: Clock) -> None:
    server.replies = [Reply(429)]
    manager(server, clock).token()
    assert all(one != other for one, other in pairwise(clock.slept))


def test_a_call_that_brought_no_answer_is_not_counted(clock: Clock, folder: Path, server: TokenServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens there
        nobody = server.settings(auth_url=f"http://127.0.0.1:{taken.getsockname()[1]}/token")
        for _ in range(4):
            with pytest.raises(ServerUnavailableError, match="refuses connections"):
                TokenManager(nobody, cache_dir=folder, clock=clock, sleep=clock.sleep).token()
    assert clock.slept == []


def test_a_clock_that_was_set_back_blocks_nobody(server: TokenServer, clock: Clock, folder: Path) -> None:
    for login in ("one", "two"):
        manager(server, clock, folder, login=login).token()
    clock.now -= 86_400
    manager(server, clock, folder, login="three").token()
    assert sum(clock.slept) == 0


def test_a_sleep_that_raises_ends_the_wait(server: TokenServer, clock: Clock, folder: Path) -> None:
    class TaskKilledError(Exception):
        pass

    def killed(_seconds: float) -> None:
        raise TaskKilledError

    server.replies = [Reply(429)]
    with pytest.raises(TaskKilledError):
        manager(server, clock, folder, sleep=killed).token()
    clock.now += 60
    assert manager(server, clock, folder).token() == server.given[0]  # and the turn is free

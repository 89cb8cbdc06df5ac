"""What a task writes to its worker's disk does not outlive it, even if the task is killed."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from airflow_provider_openclinica.operators.scratch import MIN_AGE, scratch_folder


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def grown_old(folder: Path) -> Path:
    """Make a folder look as if it had been there for a while."""
    then = time.time() - MIN_AGE - 1
    os.utime(folder, (then, then))
    return folder


def test_a_folder_is_its_users_own_and_goes_with_the_task(place: Path) -> None:
    with scratch_folder() as folder:
        (folder / "part.xml").write_text("data")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    assert list(place.iterdir()) == []


def test_what_a_killed_process_left_is_swept_away_by_the_next(place: Path) -> None:
    script = (
        "import sys, tempfile, time; tempfile.tempdir = sys.argv[1]\n"
        "from airflow_provider_openclinica.operators.scratch import scratch_folder\n"
        "with scratch_folder() as folder:\n"
        "    (folder / 'part.xml').write_text('data'); print(folder, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(place)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        left = Path(process.stdout.readline().strip())
        process.send_signal(signal.SIGKILL)
    assert (grown_old(left) / "part.xml").exists()

    with scratch_folder():
        assert not left.exists()


def test_the_folder_of_a_living_process_stays_however_old_it_is() -> None:
    with scratch_folder() as other:
        grown_old(other)
        with scratch_folder():
            assert other.exists()


def test_a_folder_that_is_just_being_made_stays(place: Path) -> None:
    fresh = Path(tempfile.mkdtemp(prefix="openclinica-parts-"))

    with scratch_folder():
        assert fresh.exists()


def test_a_link_that_looks_like_a_folder_of_ours_is_not_followed(place: Path) -> None:
    precious = place / "precious"
    precious.mkdir()
    (place / "openclinica-parts-x").symlink_to(precious)
    grown_old(precious)
    os.utime(place / "openclinica-parts-x", (1, 1), follow_symlinks=False)

    with scratch_folder():
        assert precious.exists()

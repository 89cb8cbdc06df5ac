"""The harness itself: if this fails, the other tests of a real Airflow say nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.standalone.harness import Standalone

pytestmark = pytest.mark.standalone


def test_a_task_defers_through_the_real_triggerer_and_a_killed_one_is_retried(
    standalone: Standalone, tmp_path: Path
) -> None:
    run = standalone.trigger("harness", conf={"awaited": str(tmp_path / "awaited")})
    run.wait_for("survive", {"running"})
    run.kill("survive")
    run.wait_until_deferred("wait")
    (tmp_path / "awaited").touch()
    run.wait_for("wait", {"success"})
    run.wait_for("survive", {"success"})

    assert run.xcom("wait") == {"resumed": True}
    assert run.xcom("survive") == 2
    assert run.xcom_keys("survive") == {"return_value"}
    assert "SIGKILL" in run.log("survive", try_number=1)

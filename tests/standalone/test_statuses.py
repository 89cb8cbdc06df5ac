"""Waiting for data in a real triggerer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.documents import FIRST, found_in
from tests.exports import event, export
from tests.standalone.harness import TASK_SECONDS, until

if TYPE_CHECKING:
    from tests.standalone.conftest import RunningSandbox
    from tests.standalone.harness import Standalone

pytestmark = pytest.mark.standalone


@pytest.mark.parametrize("dialect", ["source"])
def test_a_visit_that_is_not_there_yet_is_waited_for_in_the_triggerer(
    standalone: Standalone, openclinica: RunningSandbox
) -> None:
    run = standalone.trigger("visit_begun", conf={"conn_id": openclinica.conn_id, "participant_id": FIRST})

    def asked() -> bool | None:
        return any("SE_BASELINE" in request["path"] for request in openclinica.show("requests")) or None

    until(TASK_SECONDS, asked, "the triggerer to ask")
    run.wait_until_deferred("begun")
    openclinica.plan(
        "faults",
        kind="status",
        path="clinicaldata/S_BOSTON/*/SE_BASELINE/*",
        status=200,
        headers={"Content-Type": "application/xml;charset=UTF-8"},
        body=export(event(oid="SE_BASELINE", oc_Status="data entry started")),
        times=None,
    )
    run.wait_for("begun", {"success"})

    log = run.log("begun")
    assert run.xcom("begun") == "data entry started"
    assert "event SE_BASELINE, occurrence 1 is not there yet; waiting for data entry started" in log
    assert found_in(log) == []

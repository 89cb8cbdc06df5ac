"""Pulling what has changed, and something fails: what it costs, and that nobody is left out."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_openclinica.engine import pull
from airflow_provider_openclinica.engine.pullset import publish
from airflow_provider_openclinica.errors import NotFoundError, ServerUnavailableError
from airflow_provider_openclinica.operators.watermarks import FileMarks
from tests.documents import FIRST, OF_LEIDEN, SECOND
from tests.pulls import (
    asked,
    documents_in,
    items_in,
    let_weeks_pass,
    manifest_in,
    move_to_study,
    stored_items,
)
from tests.stores import WorkerLost
from tests.transfers.nights import (
    OF_FIRST,
    OF_SECOND,
    OF_THIRD,
    WHOLE,
    a_night_has_passed,
    change,
    moment,
    night,
    pulling,
)

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task

pytestmark = pytest.mark.usefixtures("openclinica_conn")


def fails_at(sandbox: Sandbox, path: str) -> None:
    sandbox.fault("status", path=f"clinicaldata/{path.replace('*', '[*]')}", status=500)


def test_a_retry_asks_from_the_same_time_and_goes_on_after_the_pieces_that_are_there(
    sandbox: Sandbox, folder: Path
) -> None:
    a_night_has_passed(sandbox, folder)
    change(sandbox, FIRST, SECOND)
    fails_at(sandbox, OF_SECOND)
    second = night(2)
    with pytest.raises(ServerUnavailableError):
        second.run(pulling(folder, max_parallel=1))
    [progress] = folder.glob("_progress.*.json")
    noted = json.loads(progress.read_text())["covers"]
    sandbox.service.faults.clear()
    change(sandbox, OF_LEIDEN, site="S_LEIDEN")

    second.ti.retry()
    found = second.run(pulling(folder, max_parallel=1, full_every=timedelta(0)))

    assert asked(sandbox).count(OF_FIRST) == 1
    assert asked(sandbox)[-2:] == [OF_SECOND, OF_THIRD]
    assert found["covers"] == noted, "as of the first try, whose piece is in it, whatever has come due meanwhile"


def a_try_has_failed(sandbox: Sandbox, folder: Path) -> Task:
    """Let the second night's first try store one of the two who changed, and fail at the other."""
    a_night_has_passed(sandbox, folder)
    change(sandbox, FIRST, SECOND)
    fails_at(sandbox, OF_SECOND)
    second = night(2)
    with pytest.raises(ServerUnavailableError):
        second.run(pulling(folder, max_parallel=1))
    sandbox.service.faults.clear()
    return second


def test_a_retry_keeps_to_those_who_changed_however_many_there_are_by_then(sandbox: Sandbox, folder: Path) -> None:
    second = a_try_has_failed(sandbox, folder)
    change(sandbox, "BOS-003", "BOS-004", "BOS-005")

    second.ti.retry()
    found = second.run(pulling(folder, max_parallel=1))

    assert WHOLE not in asked(sandbox)
    assert asked(sandbox).count(OF_FIRST) == 1
    assert (found["covers"]["participants"], found["counts"]["participants"]) == ("changed", 5)


def test_a_worker_that_is_lost_before_the_set_is_published_leaves_the_watermark(
    sandbox: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_night_has_passed(sandbox, folder)
    change(sandbox, FIRST)
    [watermark] = folder.glob("_watermark.*.json")
    before = watermark.read_text()

    def lose_the_worker(*_: object) -> None:
        raise WorkerLost

    monkeypatch.setattr(pull, "publish", lose_the_worker)
    with pytest.raises(WorkerLost):
        night(2).run(pulling(folder))
    monkeypatch.setattr(pull, "publish", publish)
    assert watermark.read_text() == before

    night(3).run(pulling(folder))
    assert items_in(*documents_in(folder)) == [row for row in stored_items(sandbox) if row[0] == FIRST]


def test_a_worker_that_is_lost_before_the_watermark_is_set_costs_no_request(
    sandbox: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_night_has_passed(sandbox, folder)
    change(sandbox, FIRST)
    write = FileMarks.write

    def lose_the_worker(*_: object) -> None:
        raise WorkerLost

    monkeypatch.setattr(FileMarks, "write", lose_the_worker)
    second = night(2)
    with pytest.raises(WorkerLost):
        second.run(pulling(folder))
    monkeypatch.setattr(FileMarks, "write", write)

    second.ti.retry()
    found = second.run(pulling(folder))

    assert asked(sandbox) == [OF_FIRST]
    let_weeks_pass(sandbox)
    third = night(3).run(pulling(folder))
    assert moment(third["covers"]["since"]) == moment(found["covers"]["until"]) - timedelta(hours=1)


def test_who_moves_while_he_is_pulled_is_not_left_out(
    sandbox: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_night_has_passed(sandbox, folder)
    change(sandbox, FIRST, SECOND)
    planned = pull._Pull._changed

    def then_he_moves(*arguments: Any) -> Any:
        pieces = planned(*arguments)
        move_to_study(sandbox, SECOND)
        return pieces

    monkeypatch.setattr(pull._Pull, "_changed", then_he_moves)
    with pytest.raises(AirflowFailException) as caught:
        night(2).run(pulling(folder, allow_empty=True))
    assert isinstance(caught.value.__cause__, NotFoundError)

    monkeypatch.setattr(pull._Pull, "_changed", planned)
    assert night(3).run(pulling(folder, allow_empty=True))["counts"]["participants"] == 2


def test_a_document_that_a_retry_has_no_use_for_is_removed(sandbox: Sandbox, folder: Path) -> None:
    second = a_try_has_failed(sandbox, folder)
    move_to_study(sandbox, FIRST)

    second.ti.retry()
    second.run(pulling(folder, max_parallel=1))

    assert asked(sandbox).count(OF_FIRST) == 1
    listed = {file["name"] for file in manifest_in(folder)["files"]}
    assert {path.name for path in folder.glob("*.xml")} == listed
    assert list(folder.glob("_progress.*")) == []


def test_a_study_that_shows_nobody_is_an_error(sandbox: Sandbox, folder: Path) -> None:
    a_night_has_passed(sandbox, folder)
    with sandbox.service.state.writing() as db:
        db.execute("DELETE FROM participants")

    with pytest.raises(AirflowFailException) as caught:
        night(2).run(pulling(folder))
    assert isinstance(caught.value.__cause__, NotFoundError)

    assert night(2).run(pulling(folder, allow_empty=True))["files"] == 0


def test_a_full_pull_that_finds_nobody_does_not_say_that_it_covers_all(sandbox: Sandbox, folder: Path) -> None:
    """The account may have lost its role, and a database that is kept by such a set would lose everybody."""
    a_night_has_passed(sandbox, folder)
    [watermark] = folder.glob("_watermark.*.json")
    before = watermark.read_text()
    with sandbox.service.state.writing() as db:
        db.execute("DELETE FROM participants")

    found = night(2).run(pulling(folder, allow_empty=True, full_every=timedelta(0)))

    assert asked(sandbox) == [WHOLE]
    assert found["covers"] is manifest_in(folder)["covers"] is None
    assert watermark.read_text() == before

"""Pulling what has changed: who is asked for, and what is remembered."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_openclinica.client.clock import STEP
from airflow_provider_openclinica.errors import ConfigurationError, RoleError
from tests.documents import FIRST, OF_LEIDEN, SECOND, found_in
from tests.pulls import (
    asked,
    documents_in,
    fill,
    items_in,
    let_weeks_pass,
    manifest_in,
    move_to_study,
    store,
    stored_items,
)
from tests.sandbox.imports import adverse_event, common, event, form, group, item, odm, subject
from tests.tasks import Instance, Task
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
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("openclinica_conn")


def test_the_first_pull_is_of_everybody(sandbox: Sandbox, folder: Path, said: Callable[[], str]) -> None:
    fill(sandbox)
    before = datetime.now(UTC) - timedelta(seconds=2 * STEP + 2)

    found = night(1).run(pulling(folder))

    assert asked(sandbox) == [WHOLE]
    assert items_in(*documents_in(folder)) == stored_items(sandbox)
    assert (found["covers"]["participants"], found["covers"]["since"]) == ("all", None)
    assert before <= moment(found["covers"]["until"]) <= datetime.now(UTC)
    assert manifest_in(folder)["covers"] == found["covers"]
    assert "Everything is pulled: there is no watermark" in said()


def test_the_next_one_is_of_those_who_changed_since(sandbox: Sandbox, folder: Path, said: Callable[[], str]) -> None:
    first = a_night_has_passed(sandbox, folder)
    change(sandbox, FIRST)
    change(sandbox, OF_LEIDEN, site="S_LEIDEN")

    found = night(2).run(pulling(folder))

    assert sorted(asked(sandbox)) == [OF_FIRST, OF_THIRD]
    assert items_in(*documents_in(folder)) == [row for row in stored_items(sandbox) if row[0] in (FIRST, OF_LEIDEN)]
    covers = found["covers"]
    assert covers["participants"] == "changed"
    assert moment(covers["since"]) == moment(first["covers"]["until"]) - timedelta(hours=1)
    assert moment(covers["until"]) >= moment(first["covers"]["until"])
    assert manifest_in(folder)["covers"] == covers
    assert (found["files"], found["counts"]["participants"]) == (2, 2)
    words = said()
    assert "2 of 12 participants have changed since" in words
    assert found_in(words + json.dumps(found)) == []


def test_where_nobody_changed_an_empty_set_is_a_success(sandbox: Sandbox, folder: Path) -> None:
    a_night_has_passed(sandbox, folder)

    found = night(2).run(pulling(folder))

    assert asked(sandbox) == []
    assert (found["files"], found["size"], set(found["counts"].values())) == (0, 0, {0})
    assert found["covers"]["participants"] == "changed"
    assert manifest_in(folder)["files"] == []
    assert len(sandbox.requests()) == 1, "the list of participants, and no more"


def visit(**more: str) -> str:
    pulse = group(item("I_VITALS_PULSE", "80"), oid="IG_VITALS_MAIN")
    return odm(subject(event(form(pulse, oid="F_VITALS", layout="2", **more), key="1"), id=FIRST))


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(visit(), id="a-value"),
        pytest.param(visit(status="complete"), id="a-form-completed"),
        pytest.param(odm(subject(common(adverse_event("Cough")), id=FIRST)), id="a-common-event"),
    ],
)
def test_what_is_entered_moves_the_participant(sandbox: Sandbox, folder: Path, document: str) -> None:
    a_night_has_passed(sandbox, folder)
    store(sandbox, "S_BOSTON", document)
    night(2).run(pulling(folder))
    assert asked(sandbox) == [OF_FIRST]


def test_who_was_added_or_belongs_to_no_site_is_pulled(sandbox: Sandbox, folder: Path) -> None:
    a_night_has_passed(sandbox, folder)
    move_to_study(sandbox, SECOND)
    with sandbox.service.state.writing() as db:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        db.execute("UPDATE participants SET updated_at = ? WHERE participant_id = ?", (now, SECOND))
        db.execute("UPDATE participants SET created_at = ? WHERE participant_id = ?", (now, FIRST))

    night(2).run(pulling(folder))

    assert sorted(asked(sandbox)) == [OF_FIRST, "S_JUNO/SS_BOS002/*/*"]


def test_a_site_can_be_pulled_so_too(sandbox: Sandbox, folder: Path) -> None:
    a_night_has_passed(sandbox, folder, study_oid="S_BOSTON")
    change(sandbox, SECOND)
    change(sandbox, OF_LEIDEN, site="S_LEIDEN")
    night(2).run(pulling(folder, study_oid="S_BOSTON"))
    assert asked(sandbox) == [OF_SECOND]


@pytest.mark.parametrize("format", ["xml", "json"])
def test_metadata_come_with_every_set(sandbox: Sandbox, folder: Path, format: str) -> None:  # noqa: A002
    arguments = {"include_metadata": True, "format": format}
    a_night_has_passed(sandbox, folder, **arguments)
    assert [file["holds"] for file in manifest_in(folder)["files"]] == ["study"]

    night(2).run(pulling(folder, **arguments))
    assert [file["holds"] for file in manifest_in(folder)["files"]] == ["metadata"]

    change(sandbox, FIRST)
    night(3).run(pulling(folder, **arguments))
    assert [file["holds"] for file in manifest_in(folder)["files"]] == ["metadata", "participant"]


# Where many changed


OF_MANY = [f"S_BOSTON/SS_BOS00{number}/*/*" for number in range(1, 5)]


def change_many(sandbox: Sandbox, *, leave_out: int = 0) -> None:
    """Let four of the twelve participants change, which is more than a quarter."""
    change(sandbox, *[f"BOS-00{number}" for number in range(1, 5 - leave_out)])


@pytest.mark.parametrize(
    ("arguments", "pieces"),
    [
        pytest.param({}, [WHOLE], id="in-one-request"),
        pytest.param({"partition_by": "site"}, ["S_BOSTON/*/*/*", "S_LEIDEN/*/*/*"], id="cut-as-the-first-pull"),
        pytest.param({"partition_by": "participant"}, OF_MANY, id="not-where-all-would-be-more-requests"),
        pytest.param({"full_every": None}, OF_MANY, id="not-where-that-is-never-to-be"),
    ],
)
def test_where_more_than_a_quarter_changed_everything_is_pulled(
    sandbox: Sandbox, folder: Path, arguments: dict[str, Any], pieces: list[str]
) -> None:
    a_night_has_passed(sandbox, folder, **arguments)
    change_many(sandbox)

    found = night(2).run(pulling(folder, **arguments))

    assert sorted(asked(sandbox)) == pieces
    assert found["covers"]["participants"] == ("changed" if pieces == OF_MANY else "all")


def test_a_quarter_is_not_yet_that_many(sandbox: Sandbox, folder: Path) -> None:
    a_night_has_passed(sandbox, folder)
    change_many(sandbox, leave_out=1)
    assert night(2).run(pulling(folder))["covers"]["participants"] == "changed"
    assert sorted(asked(sandbox)) == OF_MANY[:3]


def test_that_counts_as_a_full_pull_from_which_the_next_one_goes_on(
    sandbox: Sandbox, folder: Path, said: Callable[[], str]
) -> None:
    a_night_has_passed(sandbox, folder, include_metadata=True)
    change_many(sandbox)

    second = night(2)
    found = second.run(pulling(folder, include_metadata=True))

    assert items_in(*documents_in(folder)) == stored_items(sandbox)
    assert [file["holds"] for file in manifest_in(folder)["files"]] == ["study"]
    assert found["covers"] == manifest_in(folder)["covers"]
    [watermark] = folder.glob("_watermark.*.json")
    assert json.loads(watermark.read_text())["full_at"] == found["covers"]["until"]
    words = said()
    assert "4 of 12 participants have changed since" in words
    assert "Everything is pulled: that is more than a quarter of them" in words

    second.ti.clear()
    second.run(pulling(folder, include_metadata=True))
    let_weeks_pass(sandbox)
    change(sandbox, OF_LEIDEN, site="S_LEIDEN")
    third = night(3).run(pulling(folder, include_metadata=True))

    assert asked(sandbox) == [WHOLE, WHOLE, OF_THIRD]
    assert third["covers"]["since"] is not None


# What is remembered


@pytest.mark.parametrize(
    ("arguments", "pieces"),
    [
        pytest.param({}, [], id="the-same"),
        pytest.param({"partition_by": "site"}, [], id="cut-in-another-way"),
        pytest.param({"event": "SE_BASELINE"}, [WHOLE], id="other-events"),
        pytest.param({"include_queries": True}, [WHOLE], id="with-queries"),
        pytest.param({"study_oid": "S_LEIDEN"}, ["S_LEIDEN/*/*/*"], id="another-study"),
        pytest.param({"incremental": False}, [WHOLE], id="everything-once"),
        pytest.param({"incremental": "False"}, [WHOLE], id="as-a-template-says"),
        pytest.param({"full_every": timedelta(0)}, [WHOLE], id="it-is-time-for-everything"),
    ],
)
def test_another_request_has_a_watermark_of_its_own(
    sandbox: Sandbox, folder: Path, arguments: dict[str, Any], pieces: list[str]
) -> None:
    a_night_has_passed(sandbox, folder)
    night(2).run(pulling(folder, **arguments))
    assert asked(sandbox) == pieces


def test_the_watermark_can_lie_where_output_folders_change(sandbox: Sandbox, tmp_path: Path) -> None:
    marks = str(tmp_path / "marks")
    a_night_has_passed(sandbox, tmp_path / "monday", watermark_uri=marks)
    change(sandbox, FIRST)

    night(2).run(pulling(tmp_path / "tuesday", watermark_uri=marks))

    assert asked(sandbox) == [OF_FIRST]
    assert len(list((tmp_path / "marks").iterdir())) == 1
    assert [path.name for path in (tmp_path / "tuesday").iterdir() if path.name.startswith("_")] == []


@pytest.mark.parametrize("text", ["", "{", '{"written_as": "openclinica-watermark-9"}'])
def test_a_watermark_that_cannot_be_read_costs_a_full_pull(
    sandbox: Sandbox, folder: Path, text: str, said: Callable[[], str]
) -> None:
    a_night_has_passed(sandbox, folder)
    [watermark] = folder.glob("_watermark.*.json")
    watermark.write_text(text)

    night(2).run(pulling(folder))

    assert asked(sandbox) == [WHOLE]
    assert "the watermark cannot be read" in said()
    assert "openclinica-watermark-1" in watermark.read_text()


def test_a_cleared_task_asks_from_the_same_time_again(sandbox: Sandbox, folder: Path) -> None:
    a_night_has_passed(sandbox, folder)
    change(sandbox, FIRST)
    second = night(2)
    before = second.run(pulling(folder))

    second.ti.clear()
    found = second.run(pulling(folder))

    assert asked(sandbox) == [OF_FIRST, OF_FIRST]
    assert found["covers"]["since"] == before["covers"]["since"]


def test_a_run_that_is_cleared_late_asks_from_its_own_time_again(sandbox: Sandbox, tmp_path: Path) -> None:
    """Else what it had pulled would be in no folder any more."""
    marks = str(tmp_path / "marks")
    a_night_has_passed(sandbox, tmp_path / "1", watermark_uri=marks)
    change(sandbox, FIRST)
    second = night(2)
    before = second.run(pulling(tmp_path / "2", watermark_uri=marks))
    change(sandbox, SECOND)
    night(3).run(pulling(tmp_path / "3", watermark_uri=marks))

    second.ti.clear()
    found = second.run(pulling(tmp_path / "2", watermark_uri=marks))

    assert found["covers"]["since"] == before["covers"]["since"]
    assert sorted(asked(sandbox)[-2:]) == [OF_FIRST, OF_SECOND]


def test_a_night_in_which_nobody_changed_leaves_no_gap(sandbox: Sandbox, folder: Path) -> None:
    first = a_night_has_passed(sandbox, folder)
    night(2).run(pulling(folder))  # an empty set, of which no event tells, so nobody need have loaded it
    change(sandbox, FIRST)
    third = night(3).run(pulling(folder))
    assert moment(third["covers"]["since"]) <= moment(first["covers"]["until"])


def test_another_account_or_server_begins_anew(sandbox: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_night_has_passed(sandbox, folder)
    told = json.loads(os.environ["AIRFLOW_CONN_OPENCLINICA_DEFAULT"])
    monkeypatch.setenv("AIRFLOW_CONN_OPENCLINICA_DEFAULT", json.dumps(told | {"login": "second_manager"}))
    night(2).run(pulling(folder))
    assert asked(sandbox) == [WHOLE]


def test_each_mapped_task_has_a_watermark_of_its_own(sandbox: Sandbox, tmp_path: Path) -> None:
    marks = str(tmp_path / "marks")
    fill(sandbox)
    for number in (0, 1):
        operator = pulling(tmp_path / str(number), watermark_uri=marks)
        assert Task(Instance(map_index=number)).run(operator)["covers"]["participants"] == "all"


def test_the_log_says_why_everything_is_pulled(sandbox: Sandbox, folder: Path, said: Callable[[], str]) -> None:
    fill(sandbox)
    first = night(1)
    for words, run in (("there is no watermark", first), ("so did this run before it was cleared", first)):
        run.run(pulling(folder))
        assert f"Everything is pulled: {words}" in said()
        run.ti.clear()
    night(2).run(pulling(folder, full_every=timedelta(0)))
    assert "Everything is pulled: full_every has passed since it was" in said()


# What cannot be


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param({"participant": FIRST}, "participant names one", id="one-participant"),
        pytest.param({"output_uri": "/tmp/a.xml"}, "output_uri names one", id="one-file"),
        pytest.param({"incremental": "{{ perhaps }}"}, "neither True nor False", id="not-rendered"),
    ],
)
def test_what_cannot_be_pulled_so_is_refused(
    sandbox: Sandbox, folder: Path, arguments: dict[str, Any], words: str
) -> None:
    operator = pulling(folder)
    for name, value in arguments.items():
        setattr(operator, name, value)
    with pytest.raises(AirflowFailException, match=words) as caught:
        Task().run(operator)
    assert isinstance(caught.value.__cause__, ConfigurationError)
    assert found_in(str(caught.value)) == []
    assert asked(sandbox) == []


@pytest.mark.parametrize("argument", [{"overlap": timedelta(-1)}, {"full_every": 7}])
def test_a_window_that_cannot_be_is_refused_at_import(folder: Path, argument: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        pulling(folder, **argument)


@pytest.mark.parametrize("arguments", [{}, {"partition_by": "site", "incremental": False}])
def test_who_may_not_list_participants_is_told_what_works_without(
    sandbox: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any]
) -> None:
    told = json.loads(os.environ["AIRFLOW_CONN_OPENCLINICA_DEFAULT"])
    monkeypatch.setenv("AIRFLOW_CONN_OPENCLINICA_DEFAULT", json.dumps(told | {"login": "monitor"}))
    fill(sandbox)
    night(1).run(pulling(folder))  # of everybody, which takes no list

    with pytest.raises(AirflowFailException, match="Without it only partition_by='study' works") as caught:
        night(2).run(pulling(folder, **arguments))
    assert isinstance(caught.value.__cause__, RoleError)


def test_an_openclinica_3_is_refused_in_words(folder: Path, openclinica3_conn: str) -> None:
    with pytest.raises(AirflowFailException, match="OpenClinica 3 does not say when"):
        Task().run(pulling(folder, openclinica_conn_id=openclinica3_conn))

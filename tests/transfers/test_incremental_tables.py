"""Tables of what has changed: whose data is in them, and what their manifest says of that."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_openclinica.transfers.openclinica_to_file import OpenClinicaToFileOperator
from tests.documents import FIRST, found_in
from tests.pulls import asked, fill, let_weeks_pass, manifest_in
from tests.stores import WorkerLost
from tests.tables import manifest_of, table
from tests.tasks import Task
from tests.transfers.nights import a_night_has_passed, change, night, pulling, tabling

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("openclinica_conn")


def test_tables_are_of_the_participants_who_changed(sandbox: Sandbox, folder: Path) -> None:
    fill(sandbox)
    first = night(1).run(tabling(folder))
    let_weeks_pass(sandbox)
    change(sandbox, FIRST)

    found = night(2).run(tabling(folder))

    assert first["covers"]["participants"] == "all"
    assert found["covers"] == manifest_of(folder)["covers"]
    assert found["covers"]["since"] is not None
    assert [row["participant_id"] for row in table(folder, "participants")] == [FIRST]
    assert {row["participant_id"] for row in table(folder, "items")} == {FIRST}
    assert found["tables"].keys() == first["tables"].keys(), "wide tables too"
    assert found_in(json.dumps(found)) == []


def test_tables_of_nobody_are_empty_and_whole(sandbox: Sandbox, folder: Path) -> None:
    fill(sandbox)
    first = night(1).run(tabling(folder))
    let_weeks_pass(sandbox)
    sandbox.service.requests.clear()

    found = night(2).run(tabling(folder))

    assert asked(sandbox) == []
    assert found["tables"] == dict.fromkeys(first["tables"], 0) | {"codebook": first["tables"]["codebook"]}


def redesign(sandbox: Sandbox, **changed: Any) -> None:
    """Let a data manager change an item; one with another OID is new in its group."""
    study = sandbox.service.study
    item, group = replace(study.items["I_VITALS_PULSE"], **changed), study.groups["IG_VITALS_MAIN"]
    group = replace(group, items=tuple(dict.fromkeys([*group.items, item.oid])))
    sandbox.service.study = replace(
        study, items=study.items | {item.oid: item}, groups=study.groups | {group.oid: group}
    )


@pytest.mark.parametrize(
    ("changed", "tables", "is_told"),
    [
        pytest.param({}, None, False, id="nothing"),
        pytest.param({"question": "Beats per minute"}, None, True, id="a-label"),
        pytest.param({"question": "Beats per minute"}, ["participants", "wide"], False, id="a-label-that-is-nowhere"),
        pytest.param({"oid": "I_VITALS_BEATS"}, ["participants", "wide"], True, id="a-column"),
    ],
)
@pytest.mark.parametrize("is_of_set", [False, True], ids=["pulled", "of-a-set"])
def test_where_nobody_changed_waiting_dags_hear_of_another_design_only(
    sandbox: Sandbox,
    folder: Path,
    changed: dict[str, str],
    tables: list[str] | None,
    is_told: bool,
    is_of_set: bool,
    said: Callable[[], str],
) -> None:
    odm = folder / "odm"
    source = {"study_oid": None, "odm_uri": f"{odm}/", "incremental": False} if is_of_set else {}
    fill(sandbox)
    for number in (1, 2):
        if is_of_set:
            night(number).run(pulling(odm, include_metadata=True))
        operator = tabling(folder, tables=tables, **source)
        found = night(number).run(operator)
        if number == 1:
            assert operator.outlets
            let_weeks_pass(sandbox)
            redesign(sandbox, **changed)

    assert found["tables"]["participants"] == 0
    assert bool(operator.outlets) == is_told
    assert ("Nobody has changed, and the study's design has" in said()) == is_told


@pytest.mark.parametrize("arguments", [{"tables": ["participants", "items"]}, {"format": "csv"}])
def test_other_tables_begin_with_everything(sandbox: Sandbox, folder: Path, arguments: dict[str, Any]) -> None:
    """A table that was not made before would else be of those who changed, as if there were no others."""
    fill(sandbox)
    night(1).run(tabling(folder, tables=["participants"]))
    found = night(2).run(tabling(folder, **{"tables": ["participants"]} | arguments))
    assert found["covers"]["participants"] == "all"


def test_tables_that_cannot_be_published_leave_the_watermark(
    sandbox: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sandbox)
    night(1).run(tabling(folder))
    let_weeks_pass(sandbox)
    change(sandbox, FIRST)
    [watermark] = folder.glob("_watermark.*.json")
    before = watermark.read_text()

    def lose_the_worker(*_: object) -> None:
        raise WorkerLost

    with monkeypatch.context() as patch:
        patch.setattr("airflow_provider_openclinica.transfers.openclinica_to_tables.publish", lose_the_worker)
        with pytest.raises(WorkerLost):
            night(2).run(tabling(folder))
    assert watermark.read_text() == before

    night(3).run(tabling(folder))
    assert [row["participant_id"] for row in table(folder, "participants")] == [FIRST]


def test_tables_of_a_set_cover_what_the_set_does(sandbox: Sandbox, folder: Path, tmp_path: Path) -> None:
    a_night_has_passed(sandbox, folder)
    change(sandbox, FIRST)
    pulled = night(2).run(pulling(folder, include_metadata=True))

    made = night(2).run(tabling(tmp_path / "tables", study_oid=None, odm_uri=f"{folder}/", incremental=False))

    assert made["covers"] == pulled["covers"]
    manifest = manifest_of(tmp_path / "tables")
    assert (manifest["study_oid"], manifest["covers"]) == ("S_JUNO", pulled["covers"])


def test_nobody_knows_whose_data_a_document_covers(sandbox: Sandbox, folder: Path, tmp_path: Path) -> None:
    fill(sandbox)
    document = str(tmp_path / "a.xml")
    OpenClinicaToFileOperator(task_id="pull", study_oid="S_JUNO", output_uri=document).execute(Task().context)
    made = Task().run(tabling(folder, odm_uri=document, incremental=False))
    assert made["covers"] is manifest_of(folder)["covers"] is None


def test_the_set_of_one_participant_does_not_say_that_it_covers_all(sandbox: Sandbox, folder: Path) -> None:
    fill(sandbox)
    found = Task().run(pulling(folder, participant=FIRST, incremental=False))
    assert found["covers"] is manifest_in(folder)["covers"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param({"odm_uri": "/odm/"}, "Set incremental on the task that pulls", id="a-set"),
        pytest.param({"tables": ["items"]}, "Name participants among tables", id="no-participants"),
    ],
)
def test_tables_that_cannot_be_made_so_are_refused(folder: Path, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(AirflowFailException, match=words):
        Task().run(tabling(folder, **arguments))

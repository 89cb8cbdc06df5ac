"""Pulling clinical data into files, against a running OpenClinica in both dialects."""

from __future__ import annotations

import hashlib
import json
import stat
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from lxml import etree

from airflow_provider_openclinica.client import clinicaldata
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    FileError,
    NotFoundError,
    OpenClinicaError,
    ServerUnavailableError,
)
from airflow_provider_openclinica.sandbox.accounts import Account, Role
from airflow_provider_openclinica.transfers.openclinica_to_file import OpenClinicaToFileOperator
from tests.documents import FIRST, OF_LEIDEN, SECOND, SECRETS, found_in
from tests.pulls import LONG, OC, asked, fill, items_in, parsed, rename, store, stored_items
from tests.sandbox import imports

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task

pytestmark = pytest.mark.usefixtures("openclinica_conn")

ODM = '<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3">'
RETRIEVAL = "clinicaldata/S_*/*/*/*"
BROKEN_IN_THE_MIDDLE = 100_000  #: bytes; more than the client reads before it hands anything over


def pulling(output_uri: Any, **arguments: Any) -> OpenClinicaToFileOperator:
    return OpenClinicaToFileOperator(task_id="pull", output_uri=str(output_uri), **{"study_oid": "S_JUNO"} | arguments)


def fails_for_good(task: Task, operator: OpenClinicaToFileOperator, error: type[Exception]) -> str:
    with pytest.raises(AirflowFailException) as caught:
        task.run(operator)
    assert isinstance(caught.value.__cause__, error)
    return str(caught.value)


def use_account(sandbox: Sandbox, **roles: str) -> None:
    """Give the connection's account these roles and no others."""
    account = sandbox.service.accounts.get("data_manager")
    assert account
    sandbox.service.accounts.add(
        Account(
            login="data_manager",
            password=account.password,
            roles={oid: Role(role) for oid, role in roles.items()},
            active_study=account.active_study,
        )
    )


# A file


def test_a_study_comes_whole_into_one_file(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    fill(sandbox)
    target = tmp_path / "nightly" / "juno.xml"

    found = task.run(pulling(target))

    content = target.read_bytes()
    assert content.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<ODM ')
    assert items_in(parsed(target)) == stored_items(sandbox)
    assert json.loads(json.dumps(found)) == found
    assert found == {
        "output_uri": str(target),
        "files": 1,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "counts": {"participants": 12, "events": 6, "forms": 6, "item_groups": 12, "items": 30},
        "repairs": {},
        "covers": None,
    }
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert asked(sandbox) == ["S_JUNO/*/*/*"]


def test_each_part_is_asked_for_by_its_own_argument(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    fill(sandbox)
    wanted = {"include_metadata": True, "include_audits": True, "include_queries": True, "show_archived": True}

    task.run(pulling(tmp_path / "a.xml", **wanted))

    root = parsed(tmp_path / "a.xml")
    assert root.find("{*}Study") is not None
    assert next(root.iter(f"{OC}AuditLog")) is not None
    target = next(each["target"] for each in sandbox.requests() if "/clinicaldata/" in each["path"])
    assert dict(parse_qsl(urlsplit(target).query)) == {
        "includeMetadata": "y",
        "clinicaldata": "y",
        "clinicalData": "y",
        "includeDNs": "y",
        "includeDN": "y",
        "includeAudits": "y",
        "showArchived": "y",
        "links": "n",
    }


def test_json_is_published_as_it_came_and_called_lossy(
    sandbox: Sandbox, task: Task, tmp_path: Path, said: Callable[[], str]
) -> None:
    fill(sandbox)

    found = task.run(pulling(tmp_path / "a.json", format="json"))

    content = (tmp_path / "a.json").read_bytes()
    assert (found["size"], found["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert found["counts"] == {"participants": 12, "events": 6, "forms": 6, "item_groups": 12, "items": 30}
    assert "05-Jan-2026" in content.decode()
    assert [each["@StudyOID"] for each in json.loads(content)["ClinicalData"]] == ["S_BOSTON", "S_LEIDEN"]
    assert "OpenClinica rewrites dates" in said()


# Selectors


@pytest.mark.parametrize(
    ("selectors", "path", "counts"),
    [
        pytest.param({"participant": FIRST}, f"{FIRST}/*/*", (1, 4, 4, 12), id="a-participant"),
        pytest.param({"participant": "SS_BOS001"}, "SS_BOS001/*/*", (1, 4, 4, 12), id="by-oid"),
        pytest.param({"event": "SE_FOLLOWUP"}, "*/*/*", (12, 2, 2, 2), id="an-event-of-everybody"),
        pytest.param({"event": "SE_FOLLOWUP[2]"}, "*/*/*", (12, 1, 1, 1), id="one-occurrence"),
        pytest.param({"event": "SE_BASELINE, SE_AE"}, "*/*/*", (12, 4, 4, 28), id="two-events"),
        pytest.param({"event": "SE_BASELINE[1]"}, "*/*/*", (12, 3, 3, 27), id="an-event-that-shows-no-repeat-key"),
        pytest.param({"form": "F_VITALS"}, "*/*/*", (12, 6, 2, 2), id="a-form-as-the-metadata-call-it"),
        pytest.param({"form": "F_AE,F_VITALS", "event": "SE_AE"}, "*/*/*", (12, 1, 1, 1), id="forms-in-an-event"),
        pytest.param(
            {"participant": FIRST, "event": "SE_FOLLOWUP[2],SE_AE"},
            f"{FIRST}/SE_AE,SE_FOLLOWUP/*",
            (1, 2, 2, 2),
            id="events-of-a-participant",
        ),
        pytest.param({"participant": FIRST, "form": "F_LABS"}, f"{FIRST}/*/*", (1, 4, 1, 9), id="a-participants-form"),
        pytest.param({"event": "SE_NONE"}, "*/*/*", (12, 0, 0, 0), id="no-such-event"),
    ],
)
def test_what_the_server_does_not_select_is_selected_here(
    sandbox: Sandbox, task: Task, tmp_path: Path, selectors: dict[str, str], path: str, counts: tuple[int, ...]
) -> None:
    fill(sandbox)

    found = task.run(pulling(tmp_path / "a.xml", **selectors))

    counted = [found["counts"][name] for name in ("participants", "events", "forms", "items")]
    assert tuple(counted) == counts
    assert len(items_in(parsed(tmp_path / "a.xml"))) == counts[3]
    assert asked(sandbox) == [f"S_JUNO/{path}"]


@pytest.mark.parametrize("participant", ["*", FIRST])
@pytest.mark.parametrize(("show_archived", "count"), [(False, 1), (True, 2)])
def test_a_removed_event_is_shown_only_if_that_is_asked_for_however_it_is_selected(
    sandbox: Sandbox, task: Task, tmp_path: Path, participant: str, show_archived: bool, count: int
) -> None:
    fill(sandbox)
    sandbox.set_status("event", participant=FIRST, event="SE_FOLLOWUP", repeat=2, removed=True)

    found = task.run(
        pulling(tmp_path / "a.xml", participant=participant, event="SE_FOLLOWUP", show_archived=show_archived)
    )

    assert found["counts"]["events"] == count


@pytest.mark.parametrize(
    ("selectors", "words"),
    [
        pytest.param({"event": "SE_AE"}, "cannot be selected in JSON", id="events-of-everybody"),
        pytest.param({"participant": FIRST, "form": "F_AE"}, "cannot be selected in JSON", id="a-form"),
    ],
)
def test_what_cannot_be_selected_in_json_is_refused_and_nothing_is_sent(
    sandbox: Sandbox, task: Task, tmp_path: Path, selectors: dict[str, str], words: str
) -> None:
    operator = pulling(tmp_path / "a.json", format="json", **selectors)
    assert words in fails_for_good(task, operator, ConfigurationError)
    assert sandbox.requests() == []


def test_events_of_one_participant_can_be_had_as_json(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    fill(sandbox)
    found = task.run(pulling(tmp_path / "a.json", format="json", participant=FIRST, event="SE_FOLLOWUP[2]"))
    assert found["counts"]["events"] == 1
    assert asked(sandbox) == [f"S_JUNO/{FIRST}/SE_FOLLOWUP[2]/*"]


# What is empty, broken or badly written


def test_an_answer_without_data_is_an_error_that_says_what_it_may_mean(
    sandbox: Sandbox, task: Task, tmp_path: Path
) -> None:
    use_account(sandbox, S_OTHER="Data Manager")
    target = tmp_path / "a.xml"

    message = fails_for_good(task, pulling(target), NotFoundError)

    assert "there are none, or the account has no role there, or the server does not know the selectors" in message
    assert list(tmp_path.glob("*.xml")) == []
    found = task.run(pulling(target, allow_empty=True))
    assert (found["counts"]["participants"], etree.QName(parsed(target)).localname) == (0, "ODM")


@pytest.mark.parametrize("kind", ["xml", "json"])
def test_a_participant_of_another_site_is_nobody(sandbox: Sandbox, task: Task, tmp_path: Path, kind: str) -> None:
    """The server answers with a participant whose key is the word null."""
    fill(sandbox)
    operator = pulling(tmp_path / "a", study_oid="S_LEIDEN", participant="SS_BOS001", format=kind)
    fails_for_good(task, operator, NotFoundError)
    assert asked(sandbox) == ["S_LEIDEN/SS_BOS001/*/*"]


def test_an_answer_that_breaks_off_is_asked_for_again_and_only_a_whole_one_is_published(
    sandbox: Sandbox, task: Task, tmp_path: Path, said: Callable[[], str]
) -> None:
    fill(sandbox, results=LONG)
    sandbox.fault("cut_body", path=RETRIEVAL, size=BROKEN_IN_THE_MIDDLE)

    task.run(pulling(tmp_path / "a.xml"))

    assert items_in(parsed(tmp_path / "a.xml")) == stored_items(sandbox)
    assert len(asked(sandbox)) == 2
    words = said()
    assert "broke in the middle of the clinical data, will try again" in words
    assert found_in(words) == []


def test_what_breaks_off_each_time_leaves_the_file_of_yesterday(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    fill(sandbox, results=LONG)
    (tmp_path / "a.xml").write_text("yesterday")
    sandbox.fault("cut_body", path=RETRIEVAL, size=BROKEN_IN_THE_MIDDLE, times=None)

    with pytest.raises(ServerUnavailableError):
        task.run(pulling(tmp_path / "a.xml"))

    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.xml"]
    assert (tmp_path / "a.xml").read_text() == "yesterday"
    assert len(asked(sandbox)) == 3


@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        pytest.param(f"<?xml version='1.0'?>{ODM}<ClinicalData>", {}, id="cut"),
        pytest.param(f"{ODM}<ClinicalData/></OD", {}, id="cut-in-the-last-tag"),
        pytest.param(f"{ODM}<ClinicalData>", {"event": "SE_AE"}, id="cut-while-events-are-selected"),
        pytest.param(f"{ODM}<ClinicalData/></ODM><", {}, id="something-follows"),
        pytest.param('{"@ODMVersion": "1.3", "ClinicalData": {"Subj', {"format": "json"}, id="cut-json"),
        pytest.param("\n", {}, id="nothing"),
    ],
)
def test_a_document_that_does_not_end_as_one_is_not_believed(
    sandbox: Sandbox, task: Task, tmp_path: Path, body: str, arguments: dict[str, str]
) -> None:
    sandbox.fault("status", path=RETRIEVAL, status=200, body=body, headers={"Content-Type": "application/xml"}, times=9)

    with pytest.raises(ServerUnavailableError, match="break off before their end"):
        task.run(pulling(tmp_path / "a.xml", **arguments))

    assert list(tmp_path.glob("*.xml")) == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param("<Rss/>", "its root element is not ODM", id="something-else"),
        pytest.param('<ODM xmlns="http://www.cdisc.org/ns/odm/v2.0"/>', "only ODM 1.3 is read", id="odm-2"),
        pytest.param("<!DOCTYPE ODM []><ODM/>", "document type declaration", id="doctype"),
    ],
)
def test_what_is_no_odm_is_not_published(sandbox: Sandbox, task: Task, tmp_path: Path, body: str, words: str) -> None:
    sandbox.fault("status", path=RETRIEVAL, status=200, body=body, headers={"Content-Type": "application/xml"})
    assert words in fails_for_good(task, pulling(tmp_path / "a.xml"), FileError)
    assert list(tmp_path.glob("*.xml")) == []


def test_a_server_that_fails_at_it_is_asked_once(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    with pytest.raises(ServerUnavailableError, match="does not have"):
        task.run(pulling(tmp_path / "a.xml", study_oid="S_NONE"))
    assert asked(sandbox) == ["S_NONE/*/*/*"]


def test_what_no_parser_takes_is_mended_and_reported(
    sandbox: Sandbox, task: Task, tmp_path: Path, said: Callable[[], str]
) -> None:
    note = imports.note(imports.entry("well done \N{GRINNING FACE}", user="monitor"))
    value = imports.item("I_LABS_SAMPLE", "Łódź \N{GRINNING FACE}", note)
    store(sandbox, "S_BOSTON", imports.odm(imports.labs(imports.group(value))))
    rename(sandbox, SECOND, "\N{GRINNING FACE}\N{GRINNING FACE}")

    found = task.run(pulling(tmp_path / "a.xml", include_queries=True))

    assert found["repairs"] == {"surrogate_pairs": 3}
    root = parsed(tmp_path / "a.xml")
    assert "\N{GRINNING FACE}\N{GRINNING FACE}" in [
        each.get(f"{OC}StudySubjectID") for each in root.iter("{*}SubjectData")
    ]
    assert [each[-1] for each in items_in(root)] == ["Łódź \N{GRINNING FACE}"]
    assert "mended in the file: surrogate_pairs 3" in said()


def test_a_server_that_answers_in_latin_1_is_understood(
    sandbox: Sandbox, task: Task, tmp_path: Path, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(clinicaldata._ACCEPT, "xml", "application/xml")
    store(sandbox, "S_BOSTON", imports.odm(imports.labs(imports.group(imports.item("I_LABS_SAMPLE", "Zürich Łódź")))))

    task.run(pulling(tmp_path / "a.xml"))

    expected = "Zürich ?ód?" if dialect == "source" else "Zürich Łódź"  # what the source had lost, stays lost
    assert [each[-1] for each in items_in(parsed(tmp_path / "a.xml"))] == [expected]


def test_nothing_about_anybody_is_said(sandbox: Sandbox, task: Task, tmp_path: Path, said: Callable[[], str]) -> None:
    fill(sandbox, results=LONG)
    sandbox.fault("cut_body", path=RETRIEVAL, size=BROKEN_IN_THE_MIDDLE, times=None)
    operator = pulling(tmp_path / "a.xml", participant=FIRST)

    with pytest.raises(OpenClinicaError) as caught:
        task.run(operator)

    sandbox.service.faults.clear()
    found = task.run(operator)
    assert found_in(f"{caught.value!r} {caught.value} {caught.value.__cause__} {found} {said()}") == []


# Arguments


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param({"study_oid": " "}, "study_oid is empty", id="study"),
        pytest.param({"output_uri": ""}, "output_uri is not the address", id="target"),
        pytest.param({"output_uri": "nowhere://a/b.xml"}, "nowhere://", id="unknown-storage"),
        pytest.param({"participant": ""}, "participant is empty", id="participant"),
        pytest.param({"event": ""}, "event is empty", id="event"),
        pytest.param({"event": "SE_A[0]"}, "event is neither", id="no-occurrence"),
        pytest.param({"event": "SE_A,"}, "event is neither", id="a-comma-too-many"),
        pytest.param({"form": "F_A[1]"}, "form is neither", id="forms-have-no-occurrences"),
        pytest.param({"form": "F A"}, "form is neither", id="a-blank"),
        pytest.param({"format": "csv"}, "format is neither", id="format"),
        pytest.param({"partition_by": "site"}, "output_uri names one", id="pieces-need-a-folder"),
    ],
)
def test_arguments_that_cannot_work_are_refused_before_anything_is_sent(
    sandbox: Sandbox, task: Task, tmp_path: Path, arguments: dict[str, str], words: str
) -> None:
    operator = pulling(**{"output_uri": tmp_path / "a.xml"} | arguments)
    assert words in fails_for_good(task, operator, ConfigurationError)
    assert sandbox.requests() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param({"partition_by": "form"}, "partition_by is none of", id="partition"),
        pytest.param({"max_parallel": 0}, "max_parallel is not", id="none-at-a-time"),
        pytest.param({"max_parallel": 99}, "max_parallel is not", id="too-many-at-a-time"),
        pytest.param({"max_parallel": True}, "max_parallel is not", id="no-number"),
    ],
)
def test_a_dag_that_cannot_work_does_not_load(tmp_path: Path, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        pulling(tmp_path / "a.xml", **arguments)


def test_secrets_of_the_tests_are_in_the_data(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    fill(sandbox)
    task.run(pulling(tmp_path / "a.xml"))
    content = (tmp_path / "a.xml").read_text()
    assert {FIRST, SECOND, OF_LEIDEN} <= set(found_in(content, SECRETS))

"""Requests to ClinOne as tasks: what they return, what is kept apart, and that nothing is made twice."""

from __future__ import annotations

import hashlib
import json
import stat
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    ConfigurationError,
    FileError,
    FileUnavailableError,
    RateLimitError,
    ServerUnavailableError,
    SubmissionChangedError,
)
from airflow_provider_openclinica.operators.clinone import ClinOneOperator
from tests.clinone import calls, connect
from tests.stores import StoreOfALostWorker, WorkerLost
from tests.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = [pytest.mark.usefixtures("clinone_conn"), pytest.mark.parametrize("dialect", ["docs"])]

API = "clinone/api/*"
PERSON = {"id": "BOS-001", "name": "Ann Lee", "siteIdentifier": "001"}


def asking(**arguments: Any) -> ClinOneOperator:
    usual: dict[str, Any] = {"method": "GET", "path": "/some/path", "retries": 0}
    return ClinOneOperator(task_id="ask", **usual | arguments)


def posting(**arguments: Any) -> ClinOneOperator:
    return asking(**{"method": "POST", "json": {"a": 1}} | arguments)


def fails_for_good(task: Task, operator: ClinOneOperator, error: type[Exception]) -> str:
    with pytest.raises(AirflowFailException) as caught:
        task.run(operator)
    assert isinstance(caught.value.__cause__, error)
    return str(caught.value)


def id_of(reply: Any) -> dict[str, str]:
    return {"participant_id": reply["id"]}


# What a task returns


def test_a_task_returns_the_status_and_nothing_of_the_reply(sandbox: Sandbox, task: Task) -> None:
    sandbox.clinone(path="/some/path", json=PERSON, status=201)
    assert task.run(asking()) == {"status": 201}


def test_result_picks_what_may_be_seen(sandbox: Sandbox, task: Task, told: Callable[[], str]) -> None:
    sandbox.clinone(path="/some/path", json=[PERSON])
    assert task.run(asking(result=lambda reply: [id_of(one) for one in reply])) == [{"participant_id": "BOS-001"}]
    assert [word for word in ("Ann", "BOS-001", "/some/path") if word in told()] == []


def test_a_reply_is_stored_as_it_came_and_for_its_owner_only(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    sandbox.clinone(path="/some/path", json=PERSON)
    target = tmp_path / "replies" / "person.json"

    found = task.run(asking(output_uri=str(target)))

    assert json.loads(target.read_text()) == PERSON
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert found == {
        "status": 200,
        "output_uri": str(target),
        "size": target.stat().st_size,
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
    }


def test_a_body_comes_from_the_task_or_from_a_file(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    path = tmp_path / "body.json"
    path.write_text(json.dumps(PERSON))

    def sent(reply: Any) -> Any:
        return reply["json"]

    assert task.run(asking(method="PUT", json={"a": [1]}, query={"b": "c"}, result=sent)) == {"a": [1]}
    task.ti.clear()
    assert task.run(asking(method="PUT", json_uri=str(path), result=sent)) == PERSON


# Bad input


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param({"json": {}, "json_uri": "/x"}, "not from both", id="two-bodies"),
        pytest.param({"output_uri": "/x", "result": id_of}, "not to both", id="two-ways-out"),
        pytest.param({"result": "id"}, "result is no function", id="no-function"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused_when_the_dag_is_read(
    arguments: dict[str, Any], words: str, dialect: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        asking(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        pytest.param({"method": "get"}, ConfigurationError, "method is none of", id="a-method-in-small-letters"),
        pytest.param({"path": ""}, ConfigurationError, "path is empty", id="a-path-that-rendered-to-nothing"),
        pytest.param({"path": "https://evil.example"}, ConfigurationError, "no path below", id="another-host"),
        pytest.param({"query": "a=b"}, ConfigurationError, "query is no object", id="a-query-as-text"),
        pytest.param({"json": "{}"}, ConfigurationError, "neither an object nor a list", id="a-body-as-text"),
        pytest.param({"json_uri": "{tmp}/none.json"}, FileUnavailableError, "no such file", id="no-such-body"),
        pytest.param({"json_uri": "{tmp}/bad.json"}, FileError, "is no JSON", id="a-body-that-is-no-json"),
        pytest.param({"json_uri": ""}, ConfigurationError, "json_uri is not the address", id="no-address-of-a-body"),
        pytest.param({"output_uri": ""}, ConfigurationError, "output_uri is not the address", id="no-address"),
        pytest.param({"output_uri": "{tmp}"}, ConfigurationError, "is a folder", id="a-folder"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_cannot_work_is_refused_and_nothing_is_sent(
    sandbox: Sandbox,
    task: Task,
    tmp_path: Path,
    method: str,
    arguments: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    (tmp_path / "bad.json").write_text("Ann Lee")
    filled = {name: value.format(tmp=tmp_path) if name.endswith("_uri") else value for name, value in arguments.items()}
    with pytest.raises((AirflowFailException, error), match=words) as caught:
        task.run(asking(**{"method": method} | filled))
    assert "Ann" not in str(caught.value)
    assert sandbox.requests() == []
    assert task.store is not None
    assert task.store.kept == {}


def test_a_result_that_fails_is_told_without_what_it_says(sandbox: Sandbox, task: Task) -> None:
    sandbox.clinone(path="/some/path", json=PERSON)
    message = fails_for_good(task, asking(result=lambda reply: int(reply["name"])), ConfigurationError)
    assert "ValueError" in message
    assert "Ann" not in message
    assert "no JSON value" in fails_for_good(task, asking(result=lambda _: object()), ConfigurationError)


def test_an_error_of_ours_within_result_keeps_its_words(sandbox: Sandbox, task: Task) -> None:
    from airflow_provider_openclinica.hooks.clinone import ClinOneHook

    sandbox.clinone(path="/some/path", json=PERSON | {"siteIdentifier": "009"})
    message = fails_for_good(
        task,
        asking(result=lambda reply: ClinOneHook().identifiers().site_oid(reply["siteIdentifier"])),
        ConfigurationError,
    )
    assert "which OID has the siteIdentifier 009" in message


# Nothing is made twice


def test_a_question_is_asked_again_in_each_try(sandbox: Sandbox, task: Task) -> None:
    sandbox.fault("status", path=API, status=503)
    assert task.run(asking()) == {"status": 200}
    task.ti.retry()
    assert task.run(asking()) == {"status": 200}
    assert calls(sandbox) == ["GET"] * 3


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "drop_after"}, id="the-answer-is-lost"),
        pytest.param({"kind": "drop_before"}, id="the-connection-is-cut"),
        pytest.param({"kind": "cut_body", "size": 5}, id="the-answer-is-cut"),
        pytest.param({"kind": "status", "status": 502}, id="a-gateway-fails"),
        pytest.param({"kind": "status", "status": 503, "processed": True}, id="a-gateway-gives-up"),
    ],
)
def test_a_request_that_may_have_been_made_is_made_by_no_retry(
    sandbox: Sandbox, task: Task, method: str, fault: dict[str, Any]
) -> None:
    sandbox.fault(path=API, **fault)
    assert "Look in ClinOne" in fails_for_good(task, posting(method=method), AmbiguousSubmitError)
    task.ti.retry()
    assert "An earlier try" in fails_for_good(task, posting(method=method), AmbiguousSubmitError)
    assert calls(sandbox) == [method]


def test_clearing_the_task_makes_it_again(sandbox: Sandbox, task: Task) -> None:
    sandbox.fault("drop_after", path=API)
    fails_for_good(task, posting(), AmbiguousSubmitError)
    task.ti.clear()
    assert task.run(posting()) == {"status": 200}
    assert calls(sandbox) == ["POST", "POST"]


def test_a_request_that_was_refused_is_made_by_a_retry(sandbox: Sandbox, task: Task) -> None:
    sandbox.fault("status", path=API, status=429)
    with pytest.raises(RateLimitError):
        task.run(posting())
    task.ti.retry()
    assert task.run(posting()) == {"status": 200}


def test_a_retry_after_a_success_returns_the_same_and_asks_nobody(sandbox: Sandbox, task: Task) -> None:
    first = task.run(posting(result=lambda reply: reply["json"]))
    task.ti.retry()
    assert task.run(posting(result=lambda reply: reply["json"])) == first == {"a": 1}
    assert calls(sandbox) == ["POST"]


def test_a_changed_request_is_not_made_by_a_retry(sandbox: Sandbox, task: Task) -> None:
    task.run(posting())
    task.ti.retry()
    fails_for_good(task, posting(json={"a": 2}), SubmissionChangedError)
    assert calls(sandbox) == ["POST"]


def test_a_reply_that_cannot_be_stored_does_not_make_the_request_again(
    sandbox: Sandbox, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_openclinica.hooks.storage import Measured

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Measured, "write", full)
    with pytest.raises(FileUnavailableError):
        task.run(posting(output_uri=str(tmp_path / "reply.json")))
    task.ti.retry()
    assert "could not keep its answer" in fails_for_good(
        task, posting(output_uri=str(tmp_path / "reply.json")), AmbiguousSubmitError
    )
    assert calls(sandbox) == ["POST"]


@pytest.mark.parametrize("result", [None, lambda reply: reply["nothing"]], ids=["status", "a-result-that-fails"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_that_dies_makes_no_request_twice(sandbox: Sandbox, when: str, result: Any) -> None:
    class Dying(StoreOfALostWorker):
        """Dies when the answer is written down."""

        def set(self, key: str, value: Any) -> None:
            super().set(key, value | {"phase": "answered" if value["answered"] else "sending"})

        def get(self, key: str) -> Any:
            kept = super().get(key)
            return {name: kept[name] for name in kept if name != "phase"} if kept else None

    task = Task(store=Dying(when, "answered"))
    with pytest.raises(WorkerLost):
        task.run(posting(result=result))
    task.ti.retry()
    fails_for_good(task, posting(result=result), AmbiguousSubmitError)
    assert calls(sandbox) == ["POST"]


def test_without_a_store_no_retry_makes_the_request(sandbox: Sandbox) -> None:
    task = Task(store=None)
    sandbox.fault("status", path="clinone/oauth2/*", status=503)
    with pytest.raises(ServerUnavailableError):
        task.run(posting())
    task.ti.retry()
    assert "this Airflow keeps no record" in fails_for_good(task, posting(), AmbiguousSubmitError)
    task.ti.clear()
    assert task.run(posting()) == {"status": 200}
    assert calls(sandbox) == ["POST"]


def test_what_may_be_repeated_is_repeated(sandbox: Sandbox) -> None:
    task = Task(store=None)
    sandbox.fault("drop_after", path=API)
    assert task.run(posting(repeatable=True)) == {"status": 200}
    task.ti.retry()
    assert task.run(posting(repeatable=True)) == {"status": 200}
    assert calls(sandbox) == ["POST"] * 3


def test_a_question_may_be_told_not_to_be_repeated(sandbox: Sandbox, task: Task) -> None:
    sandbox.fault("drop_after", path=API)
    fails_for_good(task, asking(repeatable=False), AmbiguousSubmitError)
    assert calls(sandbox) == ["GET"]


# Nothing leaks


def test_nothing_of_a_person_reaches_log_error_record_or_result(
    sandbox: Sandbox, task: Task, tmp_path: Path, told: Callable[[], str]
) -> None:
    body = tmp_path / "body.json"
    body.write_text(json.dumps(PERSON))
    sandbox.clinone(path="/patients-of/BOS-001", json=PERSON)

    def sending() -> ClinOneOperator:
        return posting(json=None, path="/patients-of/BOS-001", json_uri=str(body), function_group="patient")

    sandbox.fault("status", path=API, status=422, body=json.dumps(PERSON))
    with pytest.raises(AirflowFailException) as caught:
        task.run(sending())
    result = task.run(sending())
    assert task.store is not None
    left = told() + str(caught.value) + str(task.store.kept) + str(result)
    assert "takes the action write or manage" in left
    assert [word for word in ("Ann Lee", "BOS-001", "patients-of", "eyJ") if word in left] == []


def test_a_wrong_secret_fails_for_good_and_is_not_shown(
    sandbox: Sandbox, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(sandbox, monkeypatch, password="hush-hush")
    with pytest.raises(AirflowFailException, match="refused client ID and secret") as caught:
        task.run(posting())
    assert "hush" not in str(caught.value)
    assert calls(sandbox) == []

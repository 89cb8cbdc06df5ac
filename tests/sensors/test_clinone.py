"""Waiting for a reply of ClinOne."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, PokeReturnValue

from airflow_provider_openclinica.errors import ConfigurationError, NotFoundError
from airflow_provider_openclinica.sensors.clinone import ClinOneSensor
from tests.clinone import calls

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

pytestmark = [pytest.mark.usefixtures("clinone_conn"), pytest.mark.parametrize("dialect", ["docs"])]

PATH = "/some/path"


def is_ready(reply: Any) -> bool:
    return bool(reply["ready"])


def waiting(**arguments: Any) -> ClinOneSensor:
    usual: dict[str, Any] = {"path": PATH, "condition": is_ready, "poke_interval": 0.01, "timeout": 60}
    return ClinOneSensor(task_id="wait", **usual | arguments)


def poke(sensor: ClinOneSensor) -> Any:
    return sensor.poke({})


@pytest.mark.parametrize("ready", [True, False])
def test_the_condition_decides(sandbox: Sandbox, ready: bool) -> None:
    sandbox.clinone(path=PATH, json={"ready": ready})
    assert poke(waiting()) is ready


def test_the_question_carries_its_query(sandbox: Sandbox) -> None:
    assert poke(waiting(query={"a": "b"}, condition=lambda reply: reply["query"] == {"a": "b"})) is True


def test_it_waits_until_the_condition_holds_and_returns_what_it_picked(sandbox: Sandbox) -> None:
    def condition(_reply: Any) -> PokeReturnValue:
        return PokeReturnValue(is_done=len(calls(sandbox)) >= 3, xcom_value="S_BOSTON")

    assert waiting(condition=condition).execute({}) == "S_BOSTON"
    assert calls(sandbox) == ["GET"] * 3


def test_it_gives_up_after_its_timeout(sandbox: Sandbox) -> None:
    sandbox.clinone(path=PATH, json={"ready": False})
    with pytest.raises(AirflowSensorTimeout):
        waiting(timeout=0.05).execute({})


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_busy_is_asked_again(sandbox: Sandbox, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_openclinica.client.retries._FIRST_WAIT", 0.001)
    fault = sandbox.fault("status", path="clinone/api/*", status=status, times=None)
    assert poke(waiting()) is False
    sandbox.service.faults.cancel(fault)
    sandbox.clinone(path=PATH, json={"ready": True})
    assert poke(waiting()) is True


@pytest.mark.parametrize("waits", [True, False])
def test_what_is_not_there_is_a_mistake_unless_said_otherwise(sandbox: Sandbox, waits: bool) -> None:
    sandbox.clinone(path=PATH, json={}, status=404)
    if waits:
        assert poke(waiting(wait_if_not_found=True)) is False
        return
    with pytest.raises(AirflowFailException) as caught:
        poke(waiting())
    assert isinstance(caught.value.__cause__, NotFoundError)


def test_what_is_gone_is_not_waited_for(sandbox: Sandbox) -> None:
    sandbox.clinone(path=PATH, json={}, status=410)
    with pytest.raises(AirflowFailException, match="gone"):
        poke(waiting(wait_if_not_found=True))


@pytest.mark.parametrize("status", [400, 401, 403, 422])
def test_a_refusal_fails_at_once(sandbox: Sandbox, status: int) -> None:
    sandbox.fault("status", path="clinone/api/*", status=status, times=None)
    with pytest.raises(AirflowFailException):
        poke(waiting())


def test_a_condition_that_fails_is_told_without_what_it_says(sandbox: Sandbox) -> None:
    sandbox.clinone(path=PATH, json={"name": "Ann Lee"})
    with pytest.raises(AirflowFailException, match="condition raised ValueError") as caught:
        poke(waiting(condition=lambda reply: int(reply["name"])))
    assert "Ann" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"path": ""}, "path is empty"),
        ({"path": "//evil.example"}, "no path"),
        ({"query": "a=b"}, "query is no object"),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_is_sent(
    sandbox: Sandbox, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(AirflowFailException, match=words):
        poke(waiting(**arguments))
    assert sandbox.requests() == []


def test_a_condition_must_be_a_function(dialect: str) -> None:
    with pytest.raises(ConfigurationError, match="no function"):
        waiting(condition="ready")

"""Asking once, and what a trigger tells its task."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.engine.questions import Ended, look, read_ended, write_ended
from airflow_provider_openclinica.errors import (
    NotFoundError,
    OpenClinicaError,
    RateLimitError,
    RoleError,
    ServerUnavailableError,
)

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.client import OpenClinicaClient


@dataclass(frozen=True)
class Asked:
    """A question that is answered so."""

    answer: Any
    goal: str = "the sun is up"

    def ask(self, client: OpenClinicaClient) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("found", ["completed", True, {"execution_uuid": "x"}, None], ids=repr)
def test_what_is_found_is_handed_on(client: OpenClinicaClient, found: Any) -> None:
    assert look(Asked(found), client) == found


@pytest.mark.parametrize("error", [ServerUnavailableError("down"), RateLimitError("too many")], ids=repr)
def test_what_may_pass_is_asked_again_and_said_in_the_log(
    client: OpenClinicaClient, caplog: pytest.LogCaptureFixture, error: OpenClinicaError
) -> None:
    assert look(Asked(error), client) is None
    assert f"will ask again: {error.args[0]}" in caplog.text


@pytest.mark.parametrize("error", [NotFoundError("nobody"), RoleError("not you"), OpenClinicaError("odd")], ids=repr)
def test_what_will_not_pass_ends_the_asking(client: OpenClinicaClient, error: OpenClinicaError) -> None:
    with pytest.raises(type(error)):
        look(Asked(error), client)


@pytest.mark.parametrize("ended", [Ended(found="completed"), Ended(found={"uuid": "x"}), Ended()], ids=repr)
def test_an_event_reads_back_as_it_was_written(ended: Ended) -> None:
    assert read_ended(json.loads(json.dumps(write_ended(ended)))) == ended


def test_an_error_reads_back_as_the_class_it_was() -> None:
    error = RoleError("No role", study="S_JUNO", code="errorCode.noRoleSetUp", status=400)

    read = read_ended(json.loads(json.dumps(write_ended(Ended(error=error))))).error

    assert isinstance(read, RoleError)
    assert str(read) == str(error)


GOOD = write_ended(Ended(found="completed"))


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(None, id="nothing"),
        pytest.param("completed", id="a-text"),
        pytest.param({}, id="an-empty-one"),
        pytest.param({"status": "success", "found": "completed"}, id="somebody-elses"),
        pytest.param(GOOD | {"version": 99}, id="of-another-version"),
        pytest.param({"version": 1, "found": "completed"}, id="without-a-word-of-errors"),
        pytest.param(GOOD | {"error": {"class": "ValueError", "what": "x"}}, id="with-an-error-that-is-not-ours"),
        pytest.param(GOOD | {"error": "BOS-001"}, id="with-an-error-that-is-a-text"),
    ],
)
def test_an_event_that_is_not_ours_is_an_error_that_does_not_quote_it(event: Any) -> None:
    with pytest.raises(OpenClinicaError, match="not one of ours") as caught:
        read_ended(event)

    assert "BOS" not in str(caught.value)

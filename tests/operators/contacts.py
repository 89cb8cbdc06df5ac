"""The extraction of contacts in the tests of operators, and somebody whose contacts there are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_openclinica.operators.participants import OpenClinicaExtractContactsOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task

CONTACT = {
    "firstName": "Ann-4711",
    "lastName": "Lee-4711",
    "emailAddress": "ann-4711@example.org",
    "phoneNumber": "+1 5554711",
}
SECRETS = (*CONTACT.values(), "BOS-001", "BOS-002", "SS_BOS001")
SIX = [f"BOS-00{number}" for number in range(1, 7)]  # who is at the site and not removed


def log_in_as(login: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the connection be that of another account."""
    connection = {
        "conn_type": "openclinica",
        "host": sandbox.study_url,
        "login": login,
        "password": "sandbox",
        "extra": {"auth_url": sandbox.auth_url},
    }
    monkeypatch.setenv("AIRFLOW_CONN_OPENCLINICA_DEFAULT", json.dumps(connection))


def extracting(output_uri: Any, **arguments: Any) -> OpenClinicaExtractContactsOperator:
    """Make the operator, for the first site of the sandbox."""
    return OpenClinicaExtractContactsOperator(
        task_id="contacts",
        output_uri=str(output_uri),
        **{"study_oid": "S_JUNO", "site_oid": "S_BOSTON", "poll_interval": 0.05, "timeout": 60} | arguments,
    )


def fails_for_good(task: Task, operator: BaseOperator, error: type[Exception]) -> str:
    """Run a task that no retry can help, and return what it says."""
    with pytest.raises(AirflowFailException) as caught:
        task.run(operator)
    assert isinstance(caught.value.__cause__, error)
    return str(caught.value)


def pages_asked_for(sandbox: Sandbox) -> int:
    """Count the requests for a page."""
    return len([request for request in sandbox.requests() if "ParticipantsInfo" in request["path"]])

"""Tokens in an Airflow Variable, within a real task and where there are no Variables."""

from __future__ import annotations

import threading
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_openclinica.client.tokens import TokenManager
from airflow_provider_openclinica.hooks.token_variable import VariableTokenStore
from tests.client.token_server import TokenServer
from tests.dags.conftest import states, store, xcoms

if TYPE_CHECKING:
    import pytest


def test_a_task_on_another_host_finds_the_token_in_the_variable(airflow_db: None) -> None:
    with TokenServer() as server, DAG("tokens_in_a_variable", schedule=None) as dag:
        # Each manager has a memory of its own, as tasks on two hosts have.
        @task
        def first() -> bool:
            return TokenManager(server.settings(), stores=[VariableTokenStore()]).token() == server.given[0]

        @task
        def second() -> bool:
            return TokenManager(server.settings(), stores=[VariableTokenStore()]).token() == server.given[0]

        first() >> second()
        store(dag)
        run = dag.test()

        assert states(run) == {"first": "success", "second": "success"}
        assert xcoms(run, "first")["return_value"] is xcoms(run, "second")["return_value"] is True
        assert len(server.calls) == 1
        (stored,) = _stored_variables("openclinica_token_")
        assert server.given[0] not in stored


def _stored_variables(prefix: str) -> list[str]:
    """What lies in the database, as everybody sees it who may read Variables."""
    from airflow.utils.session import create_session

    model = import_module("airflow.models.variable").Variable
    with create_session() as session:
        return [row.get_val() for row in session.query(model).filter(model.key.startswith(prefix))]


def test_outside_a_task_the_store_is_an_empty_one() -> None:
    variables = VariableTokenStore()
    variables.save("openclinica_token_0", "ciphertext")
    assert variables.load("openclinica_token_0") is None


def test_another_thread_leaves_variables_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_OPENCLINICA_TOKEN_1", "ciphertext")
    variables, found = VariableTokenStore(), []
    thread = threading.Thread(target=lambda: found.append(variables.load("openclinica_token_1")))
    thread.start()
    thread.join(10)
    assert found == [None]
    assert variables.load("openclinica_token_1") == "ciphertext"

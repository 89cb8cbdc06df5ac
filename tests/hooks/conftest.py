"""Connections as a user would write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Connect = Callable[..., str]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Return a function that defines a connection, from its fields or as a URI, and gives its id."""

    def define(conn_id: str = "written", *, uri: str = "", **fields: Any) -> str:
        connection = {"conn_type": "openclinica", "login": "nightly", "password": "secret"} | fields
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", uri or json.dumps(connection))
        return conn_id

    return define

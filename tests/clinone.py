"""A connection to the sandbox's ClinOne."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.sandbox.clinone import CLIENT_ID, CLIENT_SECRET, SCOPE

if TYPE_CHECKING:
    import pytest

    from airflow_provider_openclinica.sandbox.server import Sandbox

IDENTIFIERS = {"studies": {"S_JUNO": "JUNO"}, "sites": {"S_BOSTON": "001", "S_LEIDEN": "002"}}


def connect(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, *, extra: dict[str, Any] | None = None, **changed: Any
) -> str:
    """Define ``clinone_default``, with what the test wants to be different; returns its id."""
    connection = {
        "conn_type": "clinone",
        "host": sandbox.clinone_url,
        "login": CLIENT_ID,
        "password": CLIENT_SECRET,
        "extra": {"auth_url": sandbox.clinone_auth_url, "scope": SCOPE, "identifiers": IDENTIFIERS} | (extra or {}),
    }
    monkeypatch.setenv("AIRFLOW_CONN_CLINONE_DEFAULT", json.dumps(connection | changed))
    return "clinone_default"


def calls(sandbox: Sandbox) -> list[str]:
    """Give the methods of all requests to the API itself."""
    return [one["method"] for one in sandbox.requests() if one["path"].startswith("/clinone/api/")]

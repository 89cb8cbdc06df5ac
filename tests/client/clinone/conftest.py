"""A ClinOne on loopback that says exactly the bytes it is told to, its token server, and clients for them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.client.clinone.client import ClinOneClient
from airflow_provider_openclinica.client.clinone.settings import ClinOneSettings
from airflow_provider_openclinica.client.clinone.token import ClientCredentials
from airflow_provider_openclinica.client.tokens import TokenManager
from tests.client.conftest import Script, Wire, answer, jwt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCOPE = "https://acme.onmicrosoft.com/clinoneapi/.default"
SECRET = "s3cr3t value"


def granting(number: int, **changed: Any) -> Script:
    """Give a token, as the identity platform does."""
    granted = {"access_token": jwt(number), "token_type": "Bearer", "expires_in": 3600} | changed
    return answer(200, json.dumps(granted), Content_Type="application/json")


@pytest.fixture
def token_wire() -> Iterator[Wire]:
    """The identity platform: it gives a new token each time it is asked."""
    server = Wire()
    server.will(*(granting(number) for number in range(10)))
    yield server
    server.close()


@pytest.fixture
def settings_with(wire: Wire, token_wire: Wire) -> Callable[..., ClinOneSettings]:
    """Make settings, with what the test wants to be different."""

    def make(**parts: Any) -> ClinOneSettings:
        usual: dict[str, Any] = {
            "host": f"{wire.url}/v5",
            "auth_url": f"{token_wire.url}/acme/b2c_1/oauth2/v2.0/token",
            "scope": SCOPE,
            "login": "client-1",
            "password": SECRET,
            "request_timeout": 20.0,
        }
        return ClinOneSettings.from_parts(**(usual | parts))

    return make


@pytest.fixture
def client_with(settings_with: Callable[..., ClinOneSettings], naps: list[float]) -> Callable[..., ClinOneClient]:
    """Make clients, with what the test wants to be different in their settings."""

    def make(**parts: Any) -> ClinOneClient:
        settings = settings_with(**parts)
        return ClinOneClient(settings, TokenManager(ClientCredentials(settings)), sleep=naps.append)

    return make


@pytest.fixture
def client(client_with: Callable[..., ClinOneClient]) -> ClinOneClient:
    return client_with()

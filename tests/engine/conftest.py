"""A client on a sandbox, and jobs for it to watch. No Airflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from airflow_provider_openclinica.client.addresses import ServerSettings
from airflow_provider_openclinica.client.client import OpenClinicaClient
from airflow_provider_openclinica.client.tokens import TokenManager
from airflow_provider_openclinica.client.uploads import upload_from
from tests.documents import labs

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

ClientFor = Callable[..., OpenClinicaClient]
Submit = Callable[..., str]


@pytest.fixture
def client_for(sandbox: Sandbox) -> Iterator[ClientFor]:
    """Return a function that makes a client of an account."""
    made = []

    def make(login: str = "data_manager") -> OpenClinicaClient:
        settings = ServerSettings.from_parts(
            host=sandbox.study_url, auth_url=sandbox.auth_url, login=login, password="sandbox"
        )
        made.append(OpenClinicaClient(settings, TokenManager(settings), sleep=lambda _: None))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(client_for: ClientFor) -> OpenClinicaClient:
    """The data manager's client; it does not wait between tries."""
    return client_for()


@pytest.fixture
def submit(client: OpenClinicaClient) -> Submit:
    """Return a function that submits a file and returns its job."""

    def send(name: str = "labs.xml", document: str = "") -> str:
        upload = upload_from(lambda: BytesIO((document or labs()).encode()), name=name)
        return client.clinicaldata.import_odm(upload)

    return send

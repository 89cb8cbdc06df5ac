"""The API key: fetched, renewed once, never shown; and what is defined by it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    ConfigurationError,
    CredentialsError,
    NotAvailableError,
    OpenClinicaError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)
from tests.openclinica3 import client_for, sent

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.openclinica3.apikey import Api
    from airflow_provider_openclinica.sandbox.server import Sandbox

KEY_CALL = "/pages/accounts/login"
STUDY: dict[str, Any] = {
    "uniqueProtocolID": "vega",
    "briefTitle": "Vega",
    "principalInvestigator": "A. Known",
    "briefSummary": "What it is about",
    "sponsor": "Nobody",
    "protocolType": "Interventional",
    "startDate": "2026-05-01",
    "expectedTotalEnrollment": 20,
    "status": "available",
    "assignUserRoles": [],
}
SITE = {
    "uniqueProtocolID": "vega-1",
    "briefTitle": "Vega, Lyra",
    "principalInvestigator": "A. Known",
    "expectedTotalEnrollment": 5,
    "startDate": "2026-05-01",
    "protocolDateVerification": "2026-05-01",
    "assignUserRoles": [],
}
EVENT: dict[str, Any] = {"name": "Week 4", "description": "d", "category": "c", "repeating": False}
USER = {
    "username": "svc_new",
    "fName": "Svc",
    "lName": "New",
    "institution": "None",
    "email": "svc@example.org",
    "study_name": "Juno",
    "role_name": "Data Manager",
    "user_type": "user",
    "authorize_soap": "true",
}


@pytest.fixture
def api(sandbox3: Sandbox) -> Api:
    """What an administrator may do."""
    return client_for(sandbox3, login="administrator").api


def test_the_key_is_fetched_once(sandbox3: Sandbox, api: Api) -> None:
    assert [api.version(), api.version()] == ["3.17.1", "3.17.1"]
    assert sent(sandbox3, "POST", KEY_CALL) == 1


def test_a_key_in_the_connection_is_used(sandbox3: Sandbox) -> None:
    key = sandbox3.service.tokens.api_key("data_manager")  # type: ignore[attr-defined]  # of version 3
    assert client_for(sandbox3, api_key=key, password="not asked for").api.version()
    assert sent(sandbox3, "POST", KEY_CALL) == 0


def test_a_key_that_went_stale_is_fetched_once_more(sandbox3: Sandbox) -> None:
    api = client_for(sandbox3, api_key="0" * 32).api
    assert api.version()
    assert sent(sandbox3, "POST", KEY_CALL) == 1


def test_a_new_key_that_is_refused_too_is_an_error(sandbox3: Sandbox, api: Api) -> None:
    sandbox3.fault("status", path="/OpenClinica/pages/auth/api/*", status=401, times=None)
    with pytest.raises(CredentialsError, match="API key"):
        api.version()
    assert sent(sandbox3, "POST", KEY_CALL) == 2


def test_a_wrong_password_gets_no_key(sandbox3: Sandbox) -> None:
    with pytest.raises(CredentialsError, match="login and password"):
        client_for(sandbox3, password="wrong").api.version()
    assert sent(sandbox3, "POST", KEY_CALL) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "drop_after", "times": None}, ServerUnavailableError),
        ({"kind": "status", "status": 200, "body": '{"apiKey": null}'}, CredentialsError),
        ({"kind": "status", "status": 200, "body": "[]"}, UnexpectedAnswerError),
        ({"kind": "html"}, UnexpectedAnswerError),
    ],
    ids=["lost", "none", "a-list", "html"],
)
def test_a_key_call_that_fails_is_told(
    sandbox3: Sandbox, api: Api, fault: dict[str, Any], error: type[OpenClinicaError]
) -> None:
    sandbox3.fault(**fault, path=f"/OpenClinica{KEY_CALL}")
    with pytest.raises(error) as caught:
        api.version()
    assert type(caught.value) is error


def test_neither_key_nor_hash_is_shown(sandbox3: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = client_for(sandbox3)
    client.api.version()
    key = sandbox3.service.tokens.api_key("data_manager")  # type: ignore[attr-defined]  # of version 3
    shown = caplog.text + repr(vars(client.api)) + repr(client.settings)
    assert client.settings.password_hash not in shown
    assert key not in caplog.text + repr(client.settings)


def test_study_site_and_event_are_defined(sandbox3: Sandbox, api: Api) -> None:
    study_oid = api.create_study(STUDY)
    site_oid = api.create_site("vega", SITE)
    assert api.create_event_definition("vega", **EVENT)
    listed = {place.oid for place in client_for(sandbox3, login="administrator").soap.studies()}
    assert {study_oid, site_oid} <= listed


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        pytest.param({"uniqueProtocolID": "x" * 31}, "30 characters", id="a-long-id"),
        pytest.param({"briefSummary": "x" * 256}, "255 characters", id="a-long-summary"),
        pytest.param({"expectedTotalEnrollment": "many"}, "whole number", id="no-number"),
        pytest.param({"expectedTotalEnrollment": ""}, "whole number", id="blank"),
    ],
)
def test_what_would_be_swallowed_is_refused_here(sandbox3: Sandbox, api: Api, wrong: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        api.create_study(STUDY | wrong)
    assert sandbox3.requests() == []


def test_a_refusal_names_the_fields(api: Api) -> None:
    with pytest.raises(ConfigurationError, match="ype") as caught:
        api.create_study(STUDY | {"protocolType": "Quite-8820"})
    assert "Quite-8820" not in str(caught.value)


def test_a_study_without_an_oid_was_not_stored(sandbox3: Sandbox, api: Api) -> None:
    body = '{"message": "SUCCESS", "uniqueProtocolID": "vega", "studyOid": null}'
    sandbox3.fault("status", path="/OpenClinica/pages/auth/api/*", status=200, body=body)
    with pytest.raises(UnexpectedAnswerError, match="nothing was stored"):
        api.create_study(STUDY)


def test_a_failed_event_definition_is_an_error_though_its_status_is_200(sandbox3: Sandbox, api: Api) -> None:
    api.create_study(STUDY)
    with pytest.raises(ConfigurationError, match="the definition of an event"):
        api.create_event_definition("vega", **EVENT | {"name": ""})
    assert [request["status"] for request in sandbox3.requests()][-1] == 200


def test_an_event_definition_without_an_answer_is_not_sent_again(sandbox3: Sandbox, api: Api) -> None:
    api.version()
    sandbox3.fault("drop_after", path="/OpenClinica/pages/auth/api/*")
    with pytest.raises(AmbiguousSubmitError):
        api.create_event_definition("juno", **EVENT)
    assert sent(sandbox3, "POST", "/eventdefinitions") == 1


def test_an_unknown_kind_of_event_is_refused(sandbox3: Sandbox, api: Api) -> None:
    with pytest.raises(ConfigurationError, match="Scheduled"):
        api.create_event_definition("juno", **EVENT, kind="Sometimes")
    assert sandbox3.requests() == []


def test_a_user_is_created_and_shown_to_nobody(sandbox3: Sandbox, api: Api) -> None:
    user = api.create_user(USER | {"study_name": sandbox3.service.study.name})
    assert user.api_key
    assert user.password
    assert repr(user) == "NewUser()"


@pytest.mark.parametrize("name", ["username", "role_name", "user_type"])
def test_a_user_needs_what_the_server_fails_without(sandbox3: Sandbox, api: Api, name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        api.create_user(USER | {name: ""})
    assert sandbox3.requests() == []


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [(200, " ", NotAvailableError), (400, "{}", ConfigurationError), (500, "", AmbiguousSubmitError)],
)
def test_a_user_that_was_not_created_is_an_error(
    sandbox3: Sandbox, api: Api, status: int, body: str, error: type[OpenClinicaError]
) -> None:
    sandbox3.fault("status", path="/OpenClinica/pages/auth/api/*", status=status, body=body)
    with pytest.raises(error):
        api.create_user(USER)


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 500}, {"kind": "cut_body", "size": 5}])
def test_a_definition_that_may_be_stored_is_no_case_for_a_retry(
    sandbox3: Sandbox, api: Api, fault: dict[str, Any]
) -> None:
    sandbox3.fault(**fault, path="/OpenClinica/pages/auth/api/v1/studies/*")
    with pytest.raises(AmbiguousSubmitError) as caught:
        api.create_event_definition("JUNO", name="Week 4", description="x", category="x", repeating=True)
    assert not caught.value.retry

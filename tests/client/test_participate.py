"""Participate accounts, on a wire that says what it is told to and on the sandbox."""

from __future__ import annotations

import json

import pytest

from airflow_provider_openclinica.client.addresses import ServerSettings
from airflow_provider_openclinica.client.client import OpenClinicaClient
from airflow_provider_openclinica.client.tokens import TokenManager
from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    ConfigurationError,
    NotAvailableError,
    NotFoundError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)
from tests.client.conftest import answer, drop_after_reading

PERSON = ("Ann-4711", "Lee-4711", "ann-4711@example.org", "+1 5554711", "aB3dE9xzQ", "ann.lee")
USER = {
    "uuid": None,
    "viewStudySubjectId": 1,
    "firstName": "Ann-4711",
    "lastName": "Lee-4711",
    "email": "ann-4711@example.org",
    "phoneNumber": "+1 5554711",
    "inviteParticipant": False,
    "username": "ann.lee",
    "userType": "PARTICIPATE",
    "status": "CREATED",
    "lastSuccessfulLogin": 1591571732690,
    "identifier": None,
    "participantId": "P-001",
    "accessCode": "aB3dE9xzQ",
    "errorMessage": None,
}
STUDY = "/api/clinicaldata/studies/S_JUNO"


@pytest.fixture
def sandbox_client(sandbox):
    """A client of the sandbox's data manager."""
    settings = ServerSettings.from_parts(
        host=sandbox.study_url, auth_url=sandbox.auth_url, login="data_manager", password="sandbox"
    )
    client = OpenClinicaClient(settings, TokenManager(settings))
    yield client
    client.close()


def test_an_account_is_given_with_everything_that_is_said(client, wire):
    wire.will(answer(200, json.dumps(USER)))

    account = client.participate.connect(
        "S_JUNO", "P.001", {"firstName": "Ann-4711", "emailAddress": "ann-4711@example.org"}, invite_by_email=True
    )

    (request,) = wire.requests
    assert (request.method, request.path.rpartition("/api/")[2]) == (
        "POST",
        "clinicaldata/studies/S_JUNO/participants/P.001/connect",
    )
    assert json.loads(request.body) == {
        "firstName": "Ann-4711",
        "email": "ann-4711@example.org",
        "inviteParticipant": True,
        "inviteViaSms": False,
        "resetAccessCode": False,
    }
    assert (account.participant_id, account.status, account.access_code) == ("P-001", "CREATED", "aB3dE9xzQ")


@pytest.mark.parametrize("script", [drop_after_reading, answer(500, "<html>P-001</html>")], ids=["lost", "failed"])
def test_nobody_is_invited_twice(client, wire, script):
    wire.will(script, answer(200, json.dumps(USER)))
    with pytest.raises(AmbiguousSubmitError, match="before anybody is invited again") as caught:
        client.participate.connect("S_JUNO", "P-001", invite_by_sms=True)
    assert "P-001" not in str(caught.value)
    assert len(wire.requests) == 1


def test_contact_data_by_another_name_are_not_sent(client, wire):
    with pytest.raises(ConfigurationError):
        client.participate.connect("S_JUNO", "P-001", {"email": "ann-4711@example.org"})
    assert wire.requests == []


def test_nobody_is_shown_by_accident(client, wire):
    link = {"accessCode": "aB3dE9xzQ", "host": "https://acme.example", "accessLink": "https://acme.example/aB3dE9xzQ"}
    wire.will(answer(200, json.dumps(USER)), answer(200, json.dumps(link)))
    told = [client.participate.account("S_JUNO", "P-001"), client.participate.access_link("S_JUNO", "P-001")]
    assert [word for word in PERSON if word in repr(told)] == []


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (lambda part: part.account("S_JUNO", "P 1"), "/participants/P%201"),
        (lambda part: part.accounts("S_JUNO"), "/participantUsers"),
        (lambda part: part.search("S_JUNO", participant_id="P 1"), "/participants/searchByFields?participantId=P+1"),
        (
            lambda part: part.search("S_JUNO", first_name="A", last_name="L", identifier="7"),
            "/participants/searchByFields?firstName=A&lastName=L&identifier=7",
        ),
        (lambda part: part.access_link("S_JUNO", "P.1"), "/participants/P.1/accessLink?includeAccessCode=n"),
        (
            lambda part: part.access_link("S_JUNO", "P.1", include_access_code=True),
            "/participants/P.1/accessLink?includeAccessCode=y",
        ),
    ],
    ids=["account", "accounts", "search-by-id", "search-by-name", "link", "link-with-code"],
)
def test_each_question_has_its_address(client, wire, call, path):
    wire.will(answer(404))
    with pytest.raises(NotFoundError) as caught:
        call(client.participate)
    assert wire.requests[0].path.endswith(STUDY + path)
    assert "P 1" not in str(caught.value)


def test_an_id_with_a_dot_is_not_asked_for_where_the_server_would_cut_it(client, wire):
    with pytest.raises(ConfigurationError) as caught:
        client.participate.account("S_JUNO", "P.001")
    assert "P.001" not in str(caught.value)
    assert wire.requests == []


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, "", NotAvailableError),
        (200, "{}", UnexpectedAnswerError),
        (200, '["Ann-4711"]', UnexpectedAnswerError),
        (500, "<html>Ann-4711</html>", ServerUnavailableError),
    ],
)
def test_what_is_no_list_of_accounts_is_an_error_that_quotes_nothing(client, wire, status, body, error):
    wire.will(answer(status, body))
    with pytest.raises(error) as caught:
        client.participate.search("S_JUNO", last_name="Lee-4711")
    assert [word for word in PERSON if word in str(caught.value)] == []


def test_what_is_no_access_link_is_an_error(client, wire):
    wire.will(answer(200, '{"host": null}'))
    with pytest.raises(UnexpectedAnswerError):
        client.participate.access_link("S_JUNO", "P-001")


# -- on the sandbox


def test_a_participant_gets_an_account_and_is_found(sandbox_client):
    participate = sandbox_client.participate
    with pytest.raises(NotFoundError):
        participate.account("S_JUNO", "BOS-001")

    connected = participate.connect("S_JUNO", "BOS-001", {"firstName": "Ann", "lastName": "Lee"}, invite_by_email=True)

    assert (connected.participant_id, connected.first_name) == ("BOS-001", "Ann")
    assert participate.account("S_JUNO", "BOS-001").last_name == "Lee"
    assert [account.participant_id for account in participate.accounts("S_JUNO")] == ["BOS-001"]
    assert [found.participant_id for found in participate.search("S_JUNO", last_name="Lee")] == ["BOS-001"]
    link = participate.access_link("S_JUNO", "BOS-001", include_access_code=True)
    assert link.access_code
    assert link.access_code in link.link
    assert participate.access_link("S_JUNO", "BOS-001").access_code is None


def test_somebody_who_is_not_there_gets_no_account(sandbox_client):
    with pytest.raises(AmbiguousSubmitError):
        sandbox_client.participate.connect("S_JUNO", "BOS-999")
    with pytest.raises(NotFoundError):
        sandbox_client.participate.access_link("S_JUNO", "BOS-999")

"""Asking for casebooks."""

from __future__ import annotations

import json

import pytest

from airflow_provider_openclinica.errors import ConfigurationError, NotAvailableError, NotFoundError, RoleError
from tests.client.conftest import answer, drop_after_reading

UUID = "6c325687-c3c3-41f6-9b98-154ef3352cb1"
TAKEN = answer(200, f"job uuid: {UUID}", Content_Type="text/plain")


@pytest.mark.parametrize(
    ("site_oid", "path"),
    [("S_BOSTON", "studies/S_JUNO/sites/S_BOSTON"), (None, "studies/S_JUNO")],
    ids=["of-a-site", "of-the-study"],
)
def test_a_casebook_is_asked_for_where_the_participant_is(client, wire, site_oid, path):
    wire.will(TAKEN)

    uuid = client.casebooks.request("S_JUNO", site_oid, "P 001", format="Letter", margin="12.5mm", landscape=True)

    (request,) = wire.requests
    assert uuid == UUID
    assert (request.method, request.body) == ("POST", b"")
    assert request.path.endswith(
        f"/api/clinicaldata/{path}/participants/P%20001/casebook?format=Letter&margin=12.5mm&landscape=true"
    )


def test_the_layout_is_said_even_where_it_is_the_servers_own(client, wire):
    wire.will(TAKEN)
    client.casebooks.request("S_JUNO", "S_BOSTON", "P-001")
    assert wire.requests[0].path.endswith("?format=A4&margin=0.5in&landscape=false")


def test_it_is_asked_for_again_where_the_answer_is_lost_since_it_changes_nothing(client, wire):
    wire.will(drop_after_reading, TAKEN)
    assert client.casebooks.request("S_JUNO", "S_BOSTON", "P-001") == UUID


@pytest.mark.parametrize(
    "layout",
    [{"format": "A7"}, {"format": "a4"}, {"format": ""}, {"margin": "1"}, {"margin": "1 in"}, {"margin": "-1cm"}],
    ids=lambda layout: str(*layout.items()),
)
def test_a_layout_that_openclinica_does_not_document_is_refused_here(client, wire, layout):
    with pytest.raises(ConfigurationError):
        client.casebooks.request("S_JUNO", "S_BOSTON", "P-001", **layout)
    assert wire.requests == []


def test_an_id_that_fits_into_no_address_is_refused_here(client, wire):
    with pytest.raises(ConfigurationError, match="slash") as caught:
        client.casebooks.request("S_JUNO", "S_BOSTON", "P/001")
    assert "P/001" not in str(caught.value)
    assert wire.requests == []


@pytest.mark.parametrize("status", [404, 405, 500])
def test_a_server_that_makes_none_for_programs_says_so_once_and_for_all(client, wire, status):
    wire.will(answer(status, "<html>P-001</html>", Content_Type="text/html"))
    with pytest.raises(NotAvailableError, match="web page") as caught:
        client.casebooks.request("S_JUNO", "S_BOSTON", "P-001")
    assert "P-001" not in str(caught.value)
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("code", "error"),
    [("participantNotFound", NotFoundError), ("siteNotExist", NotFoundError), ("noRoleSetUp", RoleError)],
)
def test_a_refusal_says_why(client, wire, code, error):
    wire.will(answer(400, json.dumps({"message": f"errorCode.{code}", "params": {"participantId": "P-001"}})))
    with pytest.raises(error, match=code) as caught:
        client.casebooks.request("S_JUNO", "S_BOSTON", "P-001")
    assert "P-001" not in str(caught.value)

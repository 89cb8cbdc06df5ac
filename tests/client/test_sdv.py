"""What of a form is verified, as a monitor sees it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_openclinica.client.addresses import ServerSettings
from airflow_provider_openclinica.client.client import OpenClinicaClient
from airflow_provider_openclinica.client.tokens import TokenManager
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    NotAvailableError,
    NotFoundError,
    RoleError,
    UnexpectedAnswerError,
)
from tests.client.conftest import answer
from tests.sandbox.calls import Caller, odm

PAGE = "<!DOCTYPE html><html><body>BOS-001</body></html>"
ITEM = {
    "itemDataId": 4711,
    "itemId": 12,
    "name": "PULSE",
    "label": "Pulse",
    "description": "Heart rate",
    "briefDescription": "HR",
    "ordinal": 1,
    "repeatingGroup": False,
    "value": "seventy-two",
    "lastModifiedDate": 1767605400000,
    "lastModifiedDateHasOnlyDate": False,
    "lastModifiedUserName": "zxu",
    "lastModifiedUserFirstName": "Zoe",
    "lastModifiedUserLastName": "Xu",
    "itemGroupName": "Vitals",
    "sdvStatus": "CHANGED_SINCE_VERIFIED",
    "openQueriesCount": 2,
    "calculateItem": False,
}
FORM = {
    "participantId": "BOS-001",
    "siteId": "Boston",
    "eventName": "Baseline",
    "eventStartDate": "05-Jan-2026 14:30",
    "eventOrdinal": 1,
    "repeatingEvent": False,
    "sdvRequirement": "100% required",
    "sdvStatus": "CHANGED_SINCE_VERIFIED",
    "formName": "Vital signs",
    "formStatus": "COMPLETED",
    "lastVerifiedDate": 1767605400000,
    "sdvItems": [ITEM],
}


def form(client, **options):
    return client.sdv.form("S_JUNO", "SE_BASELINE", "F_VITALS", "BOS 001/2", **options)


def refused(code):
    return answer(400, json.dumps({"message": f"errorCode.{code}", "params": {"studyOid": "S_JUNO", "siteOid": ""}}))


def test_a_form_is_read_with_its_items(client, wire):
    wire.will(answer(200, json.dumps(FORM)))
    found = form(client)
    assert (found.participant_id, found.form_status, found.sdv_status) == (
        "BOS-001",
        "COMPLETED",
        "CHANGED_SINCE_VERIFIED",
    )
    assert found.last_verified == datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
    [item] = found.items
    assert (item.item_data_id, item.name, item.value, item.open_queries) == (4711, "PULSE", "seventy-two", 2)
    assert (item.calculated, item.repeating_group, item.sdv_status) == (False, False, "CHANGED_SINCE_VERIFIED")
    assert (item.last_modified, item.last_modified_by) == (datetime(2026, 1, 5, 9, 30, tzinfo=UTC), "zxu")


@pytest.mark.parametrize(
    ("options", "occurrence", "flag"),
    [({}, "1", "n"), ({"occurrence": 3, "changed_only": True}, "3", "y")],
)
def test_what_is_asked_for_is_always_said(client, wire, options, occurrence, flag):
    wire.will(answer(200, json.dumps(FORM)))
    form(client, **options)
    address = urlsplit(wire.requests[0].path)
    assert address.path.endswith(
        f"/sdv/studies/S_JUNO/events/SE_BASELINE/occurrences/{occurrence}/forms/F_VITALS"
        "/participants/BOS%20001%2F2/sdvItems"
    )
    assert parse_qs(address.query) == {"changedAfterSdvOnlyFilter": [flag]}


def test_what_is_null_reads_as_empty(client, wire):
    blank = dict.fromkeys(ITEM)
    wire.will(answer(200, json.dumps(dict.fromkeys(FORM) | {"sdvItems": [blank]})))
    found = form(client)
    assert (found.last_verified, found.form_name, found.event_ordinal) == (None, "", None)
    assert (found.items[0].value, found.items[0].open_queries, found.items[0].last_modified) == ("", 0, None)


def test_the_representation_shows_neither_values_nor_people(client, wire):
    wire.will(answer(200, json.dumps(FORM)))
    found = form(client)
    shown = f"{found!r} {found.items[0]!r} {[*found.items]}"
    assert [word for word in ("BOS-001", "seventy", "zxu", "Zoe", "Xu", "05-Jan") if word in shown] == []


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        pytest.param(refused("studyNotValidOid"), NotFoundError, id="study"),
        pytest.param(refused("noSufficientPrivileges"), RoleError, id="role"),
        pytest.param(refused("participantIDNotAvailable"), NotAvailableError, id="participant"),
        pytest.param(refused("eventOIDNotAvailableInThisStudy"), NotFoundError, id="event"),
        pytest.param(refused("participantDoesNotHaveThisEventInThisStudy"), NotFoundError, id="visit"),
        pytest.param(refused("formOIDNotAvailableInThisStudy"), NotFoundError, id="form"),
        pytest.param(refused("hasNoAccessToForm"), RoleError, id="hidden-form"),
        pytest.param(refused("eventCrfIsNotInCompleted"), NotAvailableError, id="incomplete-form"),
        pytest.param(answer(404, PAGE, Content_Type="text/html"), NotAvailableError, id="no-such-call"),
        pytest.param(answer(500, PAGE, Content_Type="text/html"), NotAvailableError, id="no-such-record"),
        pytest.param(answer(200, "BOS-001"), UnexpectedAnswerError, id="text"),
        pytest.param(answer(200, '["BOS-001"]'), UnexpectedAnswerError, id="list"),
        pytest.param(answer(200, '{"participantId": "BOS-001"}'), UnexpectedAnswerError, id="no-items"),
        pytest.param(answer(200, '{"sdvItems": ["BOS-001"]}'), UnexpectedAnswerError, id="odd-items"),
        pytest.param(
            answer(200, '{"sdvItems": [{"openQueriesCount": "BOS-001"}]}'), UnexpectedAnswerError, id="odd-counts"
        ),
    ],
)
def test_a_form_that_cannot_be_had_says_why_and_names_nobody(client, wire, reply, error):
    wire.will(reply)
    with pytest.raises(error) as caught:
        form(client)
    assert "BOS" not in str(caught.value)
    assert "S_JUNO" in str(caught.value)


def test_an_occurrence_below_one_is_refused_before_anything_is_sent(client, wire):
    with pytest.raises(ConfigurationError):
        form(client, occurrence=0)
    assert wire.requests == []


def test_a_running_openclinica_tells_what_is_verified(sandbox):
    manager = Caller(sandbox)
    attributes = b'OpenClinica:Status="complete" OpenClinica:SdvStatus="verified"'
    complete = odm().replace(b"<FormData ", b"<FormData " + attributes + b" ")
    manager.finished(manager.submitted(complete))
    settings = ServerSettings.from_parts(
        host=sandbox.study_url, auth_url=sandbox.auth_url, login="data_manager", password="sandbox"
    )
    client = OpenClinicaClient(settings, TokenManager(settings))

    def items(**options):
        found = client.sdv.form("S_JUNO", "SE_BASELINE", "F_VITALS", "BOS-001", **options).items
        return [(item.value, item.sdv_status, item.last_modified_by) for item in found]

    assert items() == [("72", "VERIFIED", "data_manager")]
    assert items(changed_only=True) == []
    with pytest.raises(NotFoundError):
        items(occurrence=2)
    client.close()

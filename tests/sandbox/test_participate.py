"""Participants who take part online, one at a time."""

from __future__ import annotations

import pytest
import requests

from tests.sandbox.bulk import configure, participant, with_roles
from tests.sandbox.calls import Caller, is_html

STUDY = "clinicaldata/studies/S_JUNO"
ANN = {
    "firstName": "Änn",
    "lastName": "Lee",
    "email": "ann@example.org",
    "phoneNumber": "+1 5550100",
    "identifier": "MRN-1",
}


def connect(caller: Caller, participant_id: str = "BOS-001", **fields: object) -> requests.Response:
    return caller.call("POST", f"{STUDY}/participants/{participant_id}/connect", json=fields)


def test_connecting_stores_contact_data_and_gives_an_access_code(manager):
    answer = connect(manager, **ANN)
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
    user = answer.json()
    assert {name: user[name] for name in ANN} == ANN
    assert (user["participantId"], user["status"], len(user["accessCode"])) == ("BOS-001", "CREATED", 9)
    stored = participant(manager.sandbox, "BOS-001")
    assert (stored["emailAddress"], stored["participateStatus"]) == ("ann@example.org", "Created")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, "CREATED"),
        ({"inviteParticipant": True}, "INVITED"),
        ({"inviteParticipant": "true"}, "INVITED"),
        ({"inviteViaSms": True}, "INVITED"),
        ({"inviteParticipant": False}, "CREATED"),
    ],
    ids=str,
)
def test_whoever_is_connected_can_be_invited(manager, fields, status):
    assert connect(manager, **fields).json()["status"] == status


def test_an_invitation_lasts(manager):
    connect(manager, inviteParticipant=True)
    assert connect(manager).json()["status"] == "INVITED"


def test_an_access_code_lasts_until_it_is_reset(manager):
    codes = [connect(manager, **fields).json()["accessCode"] for fields in ({}, {}, {"resetAccessCode": True})]
    assert codes[0] == codes[1] != codes[2]


@pytest.mark.parametrize("participant_id", ["BOS-404", "bos-001"])
def test_nobody_unknown_can_be_connected(manager, participant_id):
    answer = connect(manager, participant_id)
    assert (answer.status_code, is_html(answer)) == (500, True)


def test_a_body_that_is_no_object_is_refused(manager):
    path = f"{STUDY}/participants/BOS-001/connect"
    assert manager.call("POST", path, json=["BOS-001"]).status_code == 400
    assert manager.call("POST", path, data="x").status_code == 415
    assert manager.call("POST", path, json={"firstName": {"x": 1}}).status_code == 400


def test_the_account_of_a_participant_is_shown_without_its_access_code(manager):
    connect(manager, **ANN)
    shown = manager.get(f"{STUDY}/participants/BOS-001").json()
    assert {name: shown[name] for name in ANN} == ANN
    assert (shown["accessCode"], len(shown)) == (None, 17)


@pytest.mark.parametrize("address", ["participants/{}", "participants/{}/accessLink"])
@pytest.mark.parametrize("participant_id", ["BOS-002", "BOS-404"])
def test_whoever_is_not_connected_has_neither_account_nor_link(manager, address, participant_id):
    answer = manager.get(f"{STUDY}/{address.format(participant_id)}")
    assert (answer.status_code, answer.content) == (404, b"")


def test_nobody_is_found_in_another_study(manager):
    connect(manager)
    assert manager.get("clinicaldata/studies/S_NONE/participants/BOS-001").status_code == 404
    assert manager.get("clinicaldata/studies/S_BOSTON/participants/BOS-001/accessLink").status_code == 404


def test_a_dot_at_the_end_of_a_path_is_lost_with_what_follows_it(manager):
    assert manager.call("POST", f"{STUDY}/sites/S_BOSTON/participants", json={"subjectKey": "A.1"}).ok
    connect(manager, "A.1")
    assert manager.get(f"{STUDY}/participants/A.1").status_code == 404
    assert manager.get(f"{STUDY}/participants/A.1.x").json()["participantId"] == "A.1"
    assert manager.get(f"{STUDY}/participants/A.1/accessLink").ok


def test_a_link_leads_somewhere_once_the_access_code_was_asked_for(manager):
    code = connect(manager).json()["accessCode"]
    path = f"{STUDY}/participants/BOS-001/accessLink"
    host = manager.get(path).json()["host"]
    assert manager.get(path).json() == {
        "accessCode": None,
        "host": host,
        "accessLink": f"{host}/?accessCode=null",
    }
    assert manager.get(path, params={"includeAccessCode": "y"}).json() == {
        "accessCode": code,
        "host": host,
        "accessLink": f"{host}/?accessCode={code}",
    }


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"firstName": "Änn"}, ["BOS-001", "LEI-001"]),
        ({"firstName": "Änn", "lastName": "Lee"}, ["BOS-001"]),
        ({"participantId": "LEI-001"}, ["LEI-001"]),
        ({"identifier": "MRN-1"}, ["BOS-001"]),
        ({"lastName": "Nobody"}, []),
    ],
    ids=str,
)
def test_participants_are_searched_by_what_is_known_of_them(manager, fields, found):
    connect(manager, **ANN)
    connect(manager, "LEI-001", firstName="Änn", lastName="Vos")
    answer = manager.get(f"{STUDY}/participants/searchByFields", params=fields)
    assert [user["participantId"] for user in answer.json()] == found


def test_without_contact_data_a_search_gives_nothing_at_all(manager):
    configure(manager.sandbox, participate=False)
    answer = manager.get(f"{STUDY}/participants/searchByFields", params={"firstName": "Ann"})
    assert (answer.status_code, answer.content) == (200, b"")


def test_those_who_take_part_are_listed_without_their_access_codes(manager):
    assert manager.get(f"{STUDY}/participantUsers").json() == []
    connect(manager, "LEI-001")
    connect(manager)
    users = manager.get(f"{STUDY}/participantUsers").json()
    assert [(user["participantId"], user["accessCode"]) for user in users] == [("BOS-001", None), ("LEI-001", None)]


def test_a_token_is_enough(sandbox):
    nobody = with_roles(sandbox)
    assert connect(nobody).ok
    assert nobody.get(f"{STUDY}/participantUsers").ok
    requests_without = requests.get(f"{sandbox.api_url}/{STUDY}/participantUsers", timeout=10)
    assert requests_without.status_code == 401

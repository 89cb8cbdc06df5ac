"""The items of a form that somebody verifies."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.sandbox.answers import Answered
from airflow_provider_openclinica.sandbox.import_run import Refused
from airflow_provider_openclinica.sandbox.sdv import checked_ordinal
from tests.sandbox.bulk import code, with_roles
from tests.sandbox.calls import Caller, is_html
from tests.sandbox.imports import entry, event, form, group, item, note, odm, results, subject

if TYPE_CHECKING:
    import requests

ITEM_KEYS = {
    "itemDataId",
    "itemId",
    "name",
    "label",
    "description",
    "briefDescription",
    "ordinal",
    "repeatingGroup",
    "value",
    "lastModifiedDate",
    "lastModifiedDateHasOnlyDate",
    "lastModifiedUserName",
    "lastModifiedUserFirstName",
    "lastModifiedUserLastName",
    "itemGroupName",
    "sdvStatus",
    "openQueriesCount",
    "calculateItem",
}


def labs(*groups: str, **more: str) -> bytes:
    """The laboratory's form in the first follow-up visit of BOS-001."""
    held = groups or (group(item()), results(item("I_LABS_TEST", "GLUC"), item("I_LABS_VALUE", "5.1")))
    return odm(subject(event(form(*held, **more)), key="SS_BOS001")).encode()


@pytest.fixture
def verifier(manager):
    """A manager of a study in which that form is complete."""
    send(manager, labs(WorkflowStatus="complete"))
    return manager


def send(caller: Caller, document: bytes) -> None:
    log = caller.finished(caller.submitted(document)).text
    assert ",Failed," not in log, log


def items(
    caller: Caller,
    *,
    study: str = "S_JUNO",
    event: str = "SE_FOLLOWUP",
    occurrence: str = "1",
    form: str = "F_LABS",
    participant: str = "BOS-001",
    **params: str,
) -> requests.Response:
    place = f"events/{event}/occurrences/{occurrence}/forms/{form}/participants/{participant}"
    return caller.get(f"sdv/studies/{study}/{place}/sdvItems", params=params)


def statuses(answer: requests.Response) -> dict[str, str]:
    return {one["name"]: one["sdvStatus"] for one in answer.json()["sdvItems"]}


def test_a_form_is_described_with_where_it_stands(verifier):
    shown = items(verifier).json()
    del shown["sdvItems"]
    assert shown == {
        "participantId": "BOS-001",
        "siteId": "juno-boston",
        "eventName": "Follow-up",
        "eventStartDate": "01-Mar-2025",
        "eventOrdinal": 1,
        "repeatingEvent": True,
        "sdvRequirement": "ALLREQUIRED",
        "sdvStatus": "NOT_VERIFIED",
        "formName": "Laboratory",
        "formStatus": "COMPLETED",
        "lastVerifiedDate": None,
    }


def test_an_item_is_described_with_who_changed_it_when(verifier):
    sample, test, _ = items(verifier).json()["sdvItems"]
    assert set(sample) == ITEM_KEYS
    assert (sample["value"], sample["ordinal"], sample["repeatingGroup"]) == ("A-1", 1, False)
    assert (test["itemGroupName"], test["repeatingGroup"]) == ("results", True)
    names = [sample[f"lastModifiedUser{part}"] for part in ("Name", "FirstName", "LastName")]
    assert names == ["data_manager", "Data", "Manager"]
    assert abs(sample["lastModifiedDate"] / 1000 - time.time()) < 3600


def test_a_choice_is_shown_by_what_it_means(verifier):
    shown = {one["name"]: one["value"] for one in items(verifier).json()["sdvItems"]}
    codes = dict(verifier.sandbox.service.study.items["I_LABS_TEST"].code_list.choices)
    assert shown[verifier.sandbox.service.study.items["I_LABS_TEST"].name] == codes["GLUC"] != "GLUC"


def test_open_queries_are_counted(verifier):
    asked = note(entry(user="data_manager")), note(entry(id="CDN_B1", user="data_manager"), id="DN_B")
    send(verifier, labs(group(item("I_LABS_SAMPLE", "A-1", *asked)), WorkflowStatus="complete"))
    assert [one["openQueriesCount"] for one in items(verifier).json()["sdvItems"]] == [2, 0, 0]


def test_what_was_verified_is_left_out_until_it_changes(verifier):
    send(verifier, labs(SdvStatus="verified"))
    shown = items(verifier)
    assert (shown.json()["sdvStatus"], statuses(shown)) == ("VERIFIED", {})
    assert abs(shown.json()["lastVerifiedDate"] / 1000 - time.time()) < 3600
    assert set(statuses(items(verifier, changedAfterSdvOnlyFilter="n")).values()) == {"VERIFIED"}

    send(verifier, labs(group(item(value="A-2")), WorkflowStatus="complete"))
    changed = items(verifier)
    assert changed.json()["sdvStatus"] == "CHANGED_SINCE_VERIFIED"
    name = verifier.sandbox.service.study.items["I_LABS_SAMPLE"].name
    assert statuses(changed) == {name: "CHANGED_SINCE_VERIFIED"}
    assert len(statuses(items(verifier, changedAfterSdvOnlyFilter="n"))) == 3


@pytest.mark.parametrize("text", ["y", "Y", "N", "no", ""])
def test_only_n_turns_the_filter_off(verifier, text):
    send(verifier, labs(SdvStatus="verified"))
    assert statuses(items(verifier, changedAfterSdvOnlyFilter=text)) == {}


@pytest.mark.parametrize(
    ("wrong", "refused"),
    [
        ({"occurrence": "0", "study": "S_NONE"}, "eventOrdinalIsIncorrect"),
        ({"occurrence": "-1"}, "eventOrdinalIsIncorrect"),
        ({"occurrence": "1.0"}, "eventOrdinalIsIncorrect"),
        ({"occurrence": "first"}, "eventOrdinalIsIncorrect"),
        ({"study": "S_NONE"}, "studyNotValidOid"),
        ({"participant": "BOS-404", "event": "SE_NONE"}, "participantIDNotAvailable"),
        ({"participant": "BOS-001", "study": "S_LEIDEN"}, "participantIDNotAvailable"),
        ({"event": "SE_NONE", "form": "F_NONE"}, "eventOIDNotAvailableInThisStudy"),
        ({"event": "SE_BASELINE", "form": "F_NONE"}, "participantDoesNotHaveThisEventInThisStudy"),
        ({"occurrence": "2"}, "participantDoesNotHaveThisEventInThisStudy"),
        ({"form": "F_NONE"}, "formOIDNotAvailableInThisStudy"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named_in_the_servers_order(verifier, wrong, refused):
    answer = items(verifier, **wrong)
    assert code(answer) == refused
    assert answer.json()["params"] == {"studyOid": wrong.get("study", "S_JUNO"), "siteOid": ""}


def test_a_form_has_to_be_complete(manager):
    send(manager, labs())
    assert code(items(manager)) == "eventCrfIsNotInCompleted"


@pytest.mark.parametrize("wrong", [{"form": "F_VITALS"}, {"occurrence": "2147483648"}], ids=str)
def test_what_the_server_stumbles_over_is_500(verifier, wrong):
    answer = items(verifier, **wrong)
    assert (answer.status_code, is_html(answer)) == (500, True)


@pytest.mark.parametrize(
    ("roles", "at_study", "at_site"),
    [
        ({"S_JUNO": "Data Manager"}, True, True),
        ({"S_JUNO": "Monitor"}, True, True),
        ({"S_JUNO": "Data Specialist"}, False, True),
        ({"S_JUNO": "Data Entry Person"}, False, True),
        ({"S_BOSTON": "Monitor"}, False, True),
        ({"S_BOSTON": "Investigator"}, False, True),
        ({"S_LEIDEN": "Investigator"}, False, False),
        ({}, False, False),
    ],
    ids=str,
)
def test_roles_decide(verifier, roles, at_study, at_site):
    caller = with_roles(verifier.sandbox, **roles)
    assert code(items(caller)) == ("" if at_study else "noSufficientPrivileges")
    assert code(items(caller, study="S_BOSTON")) == ("" if at_site else "noSufficientPrivileges")


@given(st.integers(1, 2**31 - 1), st.integers(0, 5))
def test_a_number_may_have_zeros_before_it(number, zeros):
    assert checked_ordinal("0" * zeros + str(number)) == number


@given(st.integers(2**31))
def test_a_number_beyond_32_bits_is_too_large(number):
    with pytest.raises(Answered):
        checked_ordinal(str(number))


@given(st.text().filter(lambda text: not text.isdigit()))
def test_a_text_is_no_number(text):
    with pytest.raises(Refused):
        checked_ordinal(text)

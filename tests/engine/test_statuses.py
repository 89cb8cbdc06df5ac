"""Which status a participant, an event or a form has, and what becomes of a question that nothing answers."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.engine.statuses import EVENT, FORM, PARTICIPANT, plain, wanted_statuses
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    NotFoundError,
    RoleError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)
from tests.documents import FIRST, OF_LEIDEN, SECOND, document, found_in
from tests.engine.statuses import EVERY, about, about_event, about_form, answers
from tests.exports import event, export

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.engine.conftest import ClientFor


# Spelling


@given(st.sampled_from(EVERY), st.data())
def test_a_status_is_the_same_in_any_case_and_with_any_separator(status: str, data: st.DataObject) -> None:
    def respelled(match: re.Match[str]) -> str:
        return data.draw(st.text("_- \t", min_size=1, max_size=3))

    written = re.sub(" ", respelled, status)
    written = "".join(data.draw(st.sampled_from([letter, letter.upper()])) for letter in written)

    assert plain(f" {written}\n") == status


@pytest.mark.parametrize(
    ("written", "status"),
    [
        ("DATA_ENTRY_STARTED", "data entry started"),
        ("Available", "available"),
        ("DELETED", "removed"),
        ("AUTO_DELETED", "removed"),
        ("auto-removed", "removed"),
        ("Complete", "data entry complete"),
        ("completed", "completed"),
        ("invalid", "removed"),
    ],
)
def test_what_servers_and_people_write_is_understood(written: str, status: str) -> None:
    assert plain(written) == status


@pytest.mark.parametrize(
    ("given", "of", "wanted"),
    [
        pytest.param("Signed", PARTICIPANT, ["signed"], id="one"),
        pytest.param(["Completed", "STOPPED"], EVENT, ["completed", "stopped"], id="several-in-their-order"),
        pytest.param(("complete", "Locked"), FORM, ["data entry complete", "locked"], id="a-tuple"),
    ],
)
def test_one_status_or_several_can_be_waited_for(given: Any, of: frozenset[str], wanted: list[str]) -> None:
    assert wanted_statuses(given, of=of) == wanted


@pytest.mark.parametrize(
    ("given", "of"),
    [
        pytest.param("completed", PARTICIPANT, id="of-something-else"),
        pytest.param("done", EVENT, id="invented"),
        pytest.param(["locked", "done"], FORM, id="one-of-several"),
        pytest.param("", EVENT, id="empty"),
        pytest.param([], EVENT, id="none"),
        pytest.param(None, EVENT, id="nothing"),
        pytest.param([3], EVENT, id="no-text"),
        pytest.param({"completed": 1}, EVENT, id="a-dict"),
    ],
)
def test_a_status_that_cannot_exist_is_refused_with_those_that_can(given: Any, of: frozenset[str]) -> None:
    with pytest.raises(ConfigurationError, match="status"):
        wanted_statuses(given, of=of)


def test_the_refusal_names_what_there_is() -> None:
    with pytest.raises(ConfigurationError, match=r"number 2 .* available, removed, signed"):
        wanted_statuses(["signed", "completed"], of=PARTICIPANT)


# Participants, from the participant list


@pytest.mark.parametrize(
    ("participant_id", "status"),
    [(FIRST, "available"), ("BOS-007", "removed"), ("LEI-005", "signed")],
    ids=["available", "removed", "signed"],
)
def test_the_list_tells_a_participants_status(client: OpenClinicaClient, participant_id: str, status: str) -> None:
    assert about(participant_id=participant_id).ask(client) == status
    assert about("signed", status, participant_id=participant_id).ask(client) == status


def test_one_list_is_all_that_is_read(sandbox: Sandbox, client: OpenClinicaClient) -> None:
    about("signed", site_oid="S_BOSTON").ask(client)

    paths = [request["path"] for request in sandbox.requests() if "oauth" not in request["path"]]
    assert [path.rpartition("/api/")[2] for path in paths] == [
        "clinicaldata/studies/S_JUNO/sites/S_BOSTON/participants"
    ]


@pytest.mark.parametrize(
    ("place", "match"),
    [
        pytest.param({"participant_id": "BOS-404"}, "Nobody in this study has exactly this", id="nobody"),
        pytest.param({"participant_id": FIRST.lower()}, "differs in letter case", id="another-letter-case"),
        pytest.param(
            {"participant_id": OF_LEIDEN, "site_oid": "S_BOSTON"}, "Nobody at this site", id="of-another-site"
        ),
        pytest.param({"study_oid": "S_NONE"}, "refused the list", id="no-such-study"),
        pytest.param({"site_oid": "S_NONE"}, "refused the list", id="no-such-site"),
    ],
)
def test_what_will_never_come_is_an_error_that_names_nobody(
    client: OpenClinicaClient, place: dict[str, str], match: str
) -> None:
    with pytest.raises(NotFoundError, match=match) as caught:
        about("signed", **place).ask(client)

    assert found_in(str(caught.value), (FIRST, FIRST.lower(), OF_LEIDEN, "BOS-404")) == []


def test_a_monitor_may_not_read_the_list(client_for: ClientFor) -> None:
    with pytest.raises(RoleError):
        about("signed").ask(client_for("monitor"))


# What is not there, or not yet


def test_what_is_not_there_yet_is_waited_for(client: OpenClinicaClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    assert about_form("locked", site_oid="S_BOSTON").ask(client) is None

    assert "form F_VITALS of event SE_FOLLOWUP, occurrence 1 is not there yet; waiting for locked" in [
        record.message for record in caplog.records
    ]
    assert found_in(caplog.text) == []


@pytest.mark.parametrize(
    ("place", "error"),
    [
        pytest.param({"participant_id": "BOS-404"}, NotFoundError, id="nobody"),
        pytest.param({"study_oid": "S_NONE"}, NotFoundError, id="no-such-study"),
        pytest.param({"site_oid": "S_NONE"}, NotFoundError, id="no-such-site"),
        pytest.param({"participant_id": OF_LEIDEN, "site_oid": "S_BOSTON"}, NotFoundError, id="of-another-site"),
    ],
)
def test_who_is_not_there_is_an_error(client: OpenClinicaClient, place: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        about_event("completed", **place).ask(client)

    assert found_in(str(caught.value), (FIRST, OF_LEIDEN, "BOS-404")) == []


def test_without_a_role_in_the_study_it_is_an_error(client_for: ClientFor) -> None:
    with pytest.raises(RoleError):
        about_event("completed").ask(client_for("crc_boston"))


def test_a_monitor_may_wait_for_events(sandbox: Sandbox, client_for: ClientFor) -> None:
    assert about_event("completed").ask(client_for("monitor")) is None


@pytest.mark.parametrize("login", ["data_manager", "monitor"])
def test_a_server_that_fails_at_somebody_who_is_there_is_asked_again(
    sandbox: Sandbox, client_for: ClientFor, login: str
) -> None:
    answers(sandbox, "", status=500)

    with pytest.raises(ServerUnavailableError):
        about_event("completed").ask(client_for(login))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(f"<participants><id>{FIRST}</id></participants>", id="another-document"),
        pytest.param(export(event())[:-20], id="cut-off"),
        pytest.param("\n", id="nothing"),
    ],
)
def test_an_answer_that_is_no_export_is_an_error_that_does_not_quote_it(
    sandbox: Sandbox, client: OpenClinicaClient, body: str
) -> None:
    answers(sandbox, body)

    with pytest.raises(UnexpectedAnswerError) as caught:
        about_event("completed").ask(client)

    assert found_in(str(caught.value)) == []


def test_oids_of_events_and_forms_are_the_same_in_any_letter_case(sandbox: Sandbox, client: OpenClinicaClient) -> None:
    sandbox.set_status("form", participant=FIRST, event="SE_FOLLOWUP", form="F_VITALS", status="initial data entry")

    assert about_event("scheduled", study_event_oid="se_followup").ask(client)
    assert about_form("initial data entry", form_oid="f_vitals").ask(client)


def test_somebody_elses_events_are_never_taken_for_theirs(sandbox: Sandbox, client: OpenClinicaClient) -> None:
    answers(sandbox, export(event(oc_Status="completed"), participant=SECOND))

    assert about_event().ask(client) is None


def test_an_export_without_anybody_is_waited_for_while_the_list_has_them(
    sandbox: Sandbox, client: OpenClinicaClient
) -> None:
    answers(sandbox, document())

    assert about_event().ask(client) is None


def test_a_question_shows_nobody() -> None:
    question = about_form("locked")

    assert found_in(repr(question) + question.goal) == []
    assert "F_VITALS of event SE_FOLLOWUP" in question.goal

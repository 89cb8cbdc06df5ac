"""ODM from OpenClinica 3: what may be asked for, what comes, and whose it must be."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.client.openclinica3.reader import check_selectors
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    NotAvailableError,
    NotFoundError,
    ServerUnavailableError,
)
from airflow_provider_openclinica.odm.reader import Event, Participant, read
from tests.openclinica3 import FIRST, FIRST_OID, client_for, schedule_baseline, sent

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

CLINICAL = "/OpenClinica/rest/clinicaldata/*"


def test_a_whole_study_comes_with_all_of_its_sites(sandbox3: Sandbox) -> None:
    client = client_for(sandbox3)
    with client.clinicaldata.retrieve("S_JUNO") as document:
        found = [each for each in read(document.chunks(), charset=document.charset) if isinstance(each, Participant)]
    assert {each.study_oid for each in found} == {"S_BOSTON", "S_LEIDEN"}
    assert len(found) == len(sandbox3.participants())


@pytest.mark.parametrize("participant", [FIRST, FIRST_OID])
def test_a_participant_comes_by_id_or_oid(sandbox3: Sandbox, participant: str) -> None:
    schedule_baseline(sandbox3)
    with client_for(sandbox3).clinicaldata.retrieve("S_JUNO", participant=participant) as document:
        found = list(read(document.chunks(), charset=document.charset))
    assert [type(each) for each in found] == [Participant, Event]


def test_flags_are_always_said(sandbox3: Sandbox) -> None:
    with client_for(sandbox3).clinicaldata.retrieve("S_JUNO", include_audits=True):
        pass
    (target,) = [request["target"] for request in sandbox3.requests() if "clinicaldata" in request["path"]]
    assert target.endswith("/S_JUNO/*/*/*?includeDNs=n&includeAudits=y")


def test_sites_and_participants_are_listed_as_those_of_openclinica_4(sandbox3: Sandbox) -> None:
    client = client_for(sandbox3)
    assert client.studies.sites("S_JUNO") == ["S_BOSTON", "S_LEIDEN"]
    assert FIRST_OID in [participant.oid for participant in client.participants.list("S_JUNO")]


def test_a_site_is_listed_only_for_who_has_a_role_just_there(sandbox3: Sandbox) -> None:
    with pytest.raises(NotAvailableError, match="role"):
        client_for(sandbox3).participants.list("S_JUNO", "S_BOSTON")
    ours = client_for(sandbox3, login="crc_boston").participants.list("S_JUNO", "S_BOSTON")
    assert FIRST_OID in [participant.oid for participant in ours]


GOOD = [("*", "*", "*"), ("SS_1", "*", "*"), ("SS_1", "SE_X", "*"), ("SS_1", "SE_X[2]", "*"), ("SS_1", "SE_X", "F_Y_1")]
BAD = [
    pytest.param("S_X", "*", "SE_X", "*", id="an-event-of-everybody"),
    pytest.param("S_X", "*", "*", "F_Y_1", id="a-form-of-everybody"),
    pytest.param("S_X", "SS_1", "*", "F_Y_1", id="a-form-of-all-events"),
    pytest.param("S_X", "SS_1", "SE_X,SE_Y", "F_Y_1", id="a-form-of-several-events"),
    pytest.param("*", "*", "*", "*", id="all-studies"),
    pytest.param("S_X", "", "*", "*", id="nothing"),
    pytest.param("S_X", "A/1", "*", "*", id="an-id-with-a-slash"),
    pytest.param("S_X", "SS_1", "SE_X", "F,G", id="several-forms"),
]


@pytest.mark.parametrize("selectors", GOOD)
def test_four_combinations_are_valid(selectors: tuple[str, str, str]) -> None:
    check_selectors("S_X", *selectors)


@pytest.mark.parametrize(("study", "participant", "event", "form"), BAD)
def test_all_others_are_refused_before_anything_is_sent(
    sandbox3: Sandbox, study: str, participant: str, event: str, form: str
) -> None:
    client = client_for(sandbox3)
    with (
        pytest.raises(ConfigurationError) as caught,
        client.clinicaldata.retrieve(study, participant=participant, event=event, form=form),
    ):
        pass
    assert "A/1" not in str(caught.value)
    assert sandbox3.requests() == []


def test_several_events_are_asked_for_as_all(sandbox3: Sandbox) -> None:
    with client_for(sandbox3).clinicaldata.retrieve("S_JUNO", participant=FIRST_OID, event="SE_BASELINE,SE_AE"):
        pass
    assert sent(sandbox3, "GET", f"/S_JUNO/{FIRST_OID}/*/*") == 1


@pytest.mark.parametrize(
    ("study", "participant"), [pytest.param("S_NONE", "*", id="no-study"), pytest.param("S_JUNO", "X", id="nobody")]
)
def test_what_is_not_there_is_a_500_that_says_so(sandbox3: Sandbox, study: str, participant: str) -> None:
    client = client_for(sandbox3)
    with (
        pytest.raises(ServerUnavailableError, match="does not have") as caught,
        client.clinicaldata.retrieve(study, participant=participant),
    ):
        pass
    assert caught.value.status == 500


def test_an_answer_with_nothing_is_an_error(sandbox3: Sandbox) -> None:
    sandbox3.fault("status", path=CLINICAL, status=204)
    with pytest.raises(NotAvailableError, match="nothing"), client_for(sandbox3).clinicaldata.retrieve("S_JUNO"):
        pass


def test_data_of_another_study_are_refused(sandbox3: Sandbox) -> None:
    """A participant's OID is answered whatever study stands before it."""
    with (
        client_for(sandbox3).clinicaldata.retrieve("S_LEIDEN", participant=FIRST_OID) as document,
        pytest.raises(NotFoundError, match="another study") as caught,
    ):
        list(document.chunks())
    assert FIRST_OID not in str(caught.value)


def test_by_api_key_there_is_json(sandbox3: Sandbox) -> None:
    client = client_for(sandbox3, read_by="api_key")
    with client.clinicaldata.retrieve("S_JUNO", participant=FIRST_OID, format="json") as document:
        found = list(read(document.chunks(), charset=document.charset))
    assert isinstance(found[0], Participant)
    assert found[0].subject_key == FIRST_OID
    assert sent(sandbox3, "POST", "/j_spring_security_check") == 0


@pytest.mark.parametrize(("read_by", "format"), [("api_key", "xml"), ("session", "json"), ("session", "csv")])
def test_a_format_that_a_mechanism_lacks_is_refused(sandbox3: Sandbox, read_by: str, format: Any) -> None:  # noqa: A002
    client = client_for(sandbox3, read_by=read_by)
    with pytest.raises(ConfigurationError), client.clinicaldata.retrieve("S_JUNO", format=format):
        pass
    assert sandbox3.requests() == []


def test_no_address_that_names_a_participant_is_logged(sandbox3: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with client_for(sandbox3).clinicaldata.retrieve("S_JUNO", participant=FIRST):
        pass
    said = "".join(record.getMessage() for record in caplog.records if "sandbox" not in record.name)
    assert FIRST not in said
    assert "sandbox" not in repr(client_for(sandbox3).settings)


def test_metadata_come_with_the_sites(sandbox3: Sandbox) -> None:
    with client_for(sandbox3).clinicaldata.metadata("S_JUNO") as document:
        assert b"".join(document.chunks()).count(b"<Study ") == 3


@pytest.mark.parametrize("study", ["", "*"])
def test_metadata_are_of_one_study(sandbox3: Sandbox, study: str) -> None:
    with pytest.raises(ConfigurationError), client_for(sandbox3).clinicaldata.metadata(study):
        pass
    assert sandbox3.requests() == []

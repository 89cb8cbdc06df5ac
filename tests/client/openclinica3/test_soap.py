"""SOAP: what is sent, and how little an answer proves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from airflow_provider_openclinica.client.openclinica3.envelopes import Element, envelope, parsed, text_of, texts_of
from airflow_provider_openclinica.client.openclinica3.soap import NewParticipant
from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    ConfigurationError,
    CredentialsError,
    NotAvailableError,
    NotFoundError,
    OpenClinicaError,
    RoleError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)
from tests.openclinica3 import BIRTHDAY, FIRST, FIRST_OID, NEW, SECRETS, SOAP, client_for, sent, visit

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.openclinica3.client import OpenClinica3Client
    from airflow_provider_openclinica.sandbox.server import Sandbox

PERSON = {"gender": "f", "date_of_birth": BIRTHDAY}
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"))


def reply(result: str, *errors: str, root: str = "createResponse", inside: str = "") -> str:
    said = "".join(f"<error>{error}</error>" for error in errors)
    return (
        '<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body>'
        f"<{root}><result>{result}</result>{inside}{said}</{root}></SOAP-ENV:Body></SOAP-ENV:Envelope>"
    )


def fault(code: str, text: str) -> str:
    return (
        '<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body><SOAP-ENV:Fault>'
        f"<faultcode>{code}</faultcode><faultstring>{text}</faultstring></SOAP-ENV:Fault></SOAP-ENV:Body>"
        "</SOAP-ENV:Envelope>"
    )


def answered(sandbox: Sandbox, body: str, status: int = 200, **more: Any) -> None:
    sandbox.fault("status", path=SOAP, status=status, body=body, headers={"Content-Type": "text/xml"}, **more)


@pytest.fixture
def client(sandbox3: Sandbox) -> OpenClinica3Client:
    """A client that knows the places already."""
    client = client_for(sandbox3)
    client.soap.studies()
    sandbox3.service.requests.clear()
    return client


def test_places_are_listed_with_the_identifiers_that_calls_want(client: OpenClinica3Client) -> None:
    place = client.soap.place("S_JUNO", "S_BOSTON")
    assert (place.identifier, place.site_identifier, place.oid) == ("juno", "juno-boston", "S_BOSTON")
    assert client.soap.place("S_JUNO").site_identifier == ""


@pytest.mark.parametrize(("study", "site"), [("S_NONE", None), ("S_JUNO", "S_NONE"), ("S_BOSTON", "S_NONE")])
def test_a_place_that_is_not_listed_is_an_error(client: OpenClinica3Client, study: str, site: str | None) -> None:
    with pytest.raises(NotFoundError):
        client.soap.place(study, site)


def test_a_participant_is_looked_up(client: OpenClinica3Client) -> None:
    place = client.soap.place("S_JUNO", "S_BOSTON")
    assert client.soap.participant_oid(place, FIRST) == FIRST_OID
    assert client.soap.participant_oid(place, NEW) == ""


def test_only_one_sentence_means_that_nobody_is_there(client: OpenClinica3Client, sandbox3: Sandbox) -> None:
    place = client.soap.place("S_JUNO")
    answered(sandbox3, reply("Fail", "Study identifier you specified is wrong.", "Fail"))
    with pytest.raises(NotAvailableError):
        client.soap.participant_oid(place, FIRST)
    answered(sandbox3, reply("Success"))
    with pytest.raises(UnexpectedAnswerError, match="no OID"):
        client.soap.participant_oid(place, FIRST)


def test_a_participant_is_created_once_and_a_second_time_refused(client: OpenClinica3Client) -> None:
    place = client.soap.place("S_JUNO", "S_BOSTON")
    new = NewParticipant(label=NEW, enrollment_date="2026-05-01", person=PERSON)
    assert client.soap.create_participant(place, new) == NEW
    with pytest.raises(NotAvailableError) as caught:
        client.soap.create_participant(place, new)
    assert caught.value.code == "exists"
    assert not [secret for secret in SECRETS if secret in str(caught.value) + repr(new)]


def test_a_visit_is_scheduled_with_its_ordinal(client: OpenClinica3Client, sandbox3: Sandbox) -> None:
    place = client.soap.place("S_JUNO", "S_BOSTON")
    assert [client.soap.schedule(place, visit(start_time="09:30")) for _ in range(2)] == [1, 2]
    assert [each["repeat"] for each in sandbox3.events()] == [1, 2]


WRITES = {
    "create": lambda client, place: client.soap.create_participant(
        place, NewParticipant(label=NEW, enrollment_date="2026-05-01", person=PERSON)
    ),
    "schedule": lambda client, place: client.soap.schedule(place, visit()),
    "import": lambda client, _: client.soap.import_odm(b'<ODM><ClinicalData StudyOID="S_JUNO"/></ODM>'),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize(
    "broken",
    [
        {"kind": "drop_before"},
        {"kind": "drop_after"},
        {"kind": "cut_body", "size": 20},
        {"kind": "status", "status": 502},
        {"kind": "status", "status": 504, "processed": True},
        {"kind": "html", "status": 500},
        {"kind": "html", "status": 524, "processed": True},
        {"kind": "status", "status": 504, "body": fault("SOAP-ENV:Server", "the service behind is silent")},
    ],
    ids=lambda broken: "-".join(map(str, broken.values()))[:20],
)
def test_a_write_is_sent_once_and_a_lost_answer_is_ambiguous(
    client: OpenClinica3Client, sandbox3: Sandbox, write: Any, broken: dict[str, Any]
) -> None:
    place = client.soap.place("S_JUNO", "S_BOSTON")
    sandbox3.fault(**broken, path=SOAP)
    with pytest.raises(AmbiguousSubmitError) as caught:
        write(client, place)
    assert len(sandbox3.requests()) == 1
    assert not [secret for secret in SECRETS if secret in str(caught.value)]


def test_a_server_that_is_away_leaves_nothing_in_doubt(sandbox3: Sandbox) -> None:
    client = client_for(sandbox3)
    place = client.soap.place("S_JUNO")
    away = client_for(sandbox3, ws_url="http://127.0.0.1:9/OpenClinica-ws")
    with pytest.raises(ServerUnavailableError):
        away.soap.schedule(place, visit())


@pytest.mark.parametrize("fault", [{"kind": "drop_after"}, {"kind": "status", "status": 503}], ids=["lost", "503"])
def test_a_question_is_asked_again(client: OpenClinica3Client, sandbox3: Sandbox, fault: dict[str, Any]) -> None:
    sandbox3.fault(**fault, path=SOAP)
    assert client.soap.studies()
    sandbox3.fault(**fault, path=SOAP, times=None)
    with pytest.raises(ServerUnavailableError):
        client.soap.studies()


def test_a_question_whose_answer_breaks_off_is_no_doubt(client: OpenClinica3Client, sandbox3: Sandbox) -> None:
    sandbox3.fault("cut_body", path=SOAP, size=20, times=None)
    with pytest.raises(ServerUnavailableError):
        client.soap.studies()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param(
            fault("SOAP-ENV:Client", "Authorization is required to execute SOAP web services with this account."),
            RoleError,
            id="not-ticked",
        ),
        pytest.param(fault("wsse:FailedAuthentication", "x"), CredentialsError, id="by-code"),
        pytest.param(
            fault("SOAP-ENV:Client", "Authentication of Username Password Token Failed"), CredentialsError, id="by-text"
        ),
        pytest.param(fault("SOAP-ENV:Server", "Unparseable date: 1951-03-04"), UnexpectedAnswerError, id="it-broke"),
        pytest.param(reply("Fail", "Gender of BOS-001 is required"), NotAvailableError, id="a-refusal-with-200"),
        pytest.param(reply("Success"), UnexpectedAnswerError, id="success-without-an-ordinal"),
        pytest.param("<html/>", UnexpectedAnswerError, id="no-soap"),
        pytest.param("", UnexpectedAnswerError, id="nothing"),
    ],
)
def test_an_answer_tells_what_to_do_and_is_not_quoted(
    client: OpenClinica3Client, sandbox3: Sandbox, body: str, error: type[OpenClinicaError]
) -> None:
    place = client.soap.place("S_JUNO")
    answered(sandbox3, body, 500 if "Fault" in body else 200)
    with pytest.raises(error) as caught:
        client.soap.schedule(place, visit())
    assert type(caught.value) is error
    assert not [secret for secret in SECRETS if secret in str(caught.value)]


def test_a_wrong_password_is_told(sandbox3: Sandbox) -> None:
    with pytest.raises(CredentialsError, match="web services"):
        client_for(sandbox3, password="wrong").soap.check()


def test_a_hash_can_stand_for_the_password(sandbox3: Sandbox) -> None:
    known = client_for(sandbox3).settings.password_hash
    client_for(sandbox3, password="other", password_hash=known.upper()).soap.check()
    assert known not in repr(client_for(sandbox3).settings)


@pytest.mark.parametrize(
    ("result", "forms", "succeeded"),
    [
        pytest.param("Success. 1 of 2 forms imported.", (1, 2), True, id="counted"),
        pytest.param("success", None, True, id="plain"),
        pytest.param("Fail", None, False, id="refused"),
    ],
)
def test_an_import_says_what_the_server_counts(
    client: OpenClinica3Client, sandbox3: Sandbox, result: str, forms: tuple[int, int] | None, succeeded: bool
) -> None:
    answered(sandbox3, reply(result, root="importDataResponse", inside="<warning>w1</warning><warning>w2</warning>"))
    said = client.soap.import_odm(b"<ODM/>")
    assert (said.forms, said.succeeded, said.warnings, said.texts) == (forms, succeeded, 2, ("w1", "w2"))


@pytest.mark.parametrize(
    "text",
    [
        "The forms in the import do not pass the Upsert rules.",
        "One of the events or forms does not have the correct status for an import.",
    ],
)
def test_forms_that_are_kept_out_are_told_from_refused_ones(
    client: OpenClinica3Client, sandbox3: Sandbox, text: str
) -> None:
    answered(sandbox3, reply("Fail", text, root="importDataResponse"))
    assert client.soap.import_odm(b"<ODM/>").filtered


@given(TEXTS, TEXTS)
def test_any_text_survives_the_envelope(label: str, login: str) -> None:
    sent_bytes = envelope("event", Element("scheduleRequest", Element("event", Element("label", label))), login, "00")
    root = etree.fromstring(sent_bytes)
    assert root.findtext(".//{http://openclinica.org/ws/beans}label", "") == label
    assert root.findtext(".//{*}Username", "") == login
    assert root.find(".//{http://openclinica.org/ws/event/v1}event") is not None


@pytest.mark.parametrize("character", ["\x01", "\ud800", "\uffff"])
def test_what_xml_cannot_hold_is_refused_before_anything_is_sent(sandbox3: Sandbox, character: str) -> None:
    client = client_for(sandbox3)
    place = client.soap.place("S_JUNO")
    asked = len(sandbox3.requests())
    with pytest.raises(ConfigurationError, match="cannot hold"):
        client.soap.schedule(place, visit(f"BOS{character}"))
    assert len(sandbox3.requests()) == asked


@pytest.mark.parametrize(
    "received",
    [b"", b"<a/>", b"no xml", b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'],
    ids=["empty", "xml", "text", "dtd"],
)
def test_what_is_no_soap_is_not_read(received: bytes) -> None:
    assert parsed(received) is None


def test_children_count_by_their_local_name() -> None:
    root = etree.fromstring(b'<a xmlns:n="x"><n:e>1</n:e><e> 2 </e><!-- c --></a>')
    assert texts_of(root, "e") == ("1", "2")
    assert text_of(root, "f") == ""


def test_nothing_is_sent_twice_by_itself(client: OpenClinica3Client, sandbox3: Sandbox) -> None:
    place = client.soap.place("S_JUNO", "S_BOSTON")
    client.soap.schedule(place, visit())
    assert sent(sandbox3, "POST", "/ws/event/v1") == 1

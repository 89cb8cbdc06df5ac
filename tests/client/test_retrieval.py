"""Retrieving clinical data: what is asked for, what comes, and what is refused before anything is sent."""

from __future__ import annotations

import logging
import tracemalloc
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from airflow_provider_openclinica.client.retrieval import check_selectors, flags
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    CredentialsError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)
from tests.client.conftest import answer, drop_in_the_headers, response

ODM = '<?xml version="1.0" encoding="UTF-8"?>\n<ODM/>'
XML = {"Content_Type": "application/xml;charset=UTF-8"}


def asked(wire) -> tuple[str, dict[str, str]]:
    """The path below the API, and the flags, of the only request."""
    (request,) = wire.requests
    url = urlsplit(request.path)
    return url.path.partition("/api/")[2], dict(parse_qsl(url.query))


def test_a_document_is_handed_over_as_it_comes(client, wire):
    wire.will(answer(200, ODM.encode("latin-1") + b"\xe9", Content_Type="application/xml; charset=ISO-8859-1"))
    with client.clinicaldata.retrieve("S_JUNO") as streamed:
        assert streamed.charset == "iso-8859-1"
        assert b"".join(streamed.chunks()) == ODM.encode() + b"\xe9"
    assert asked(wire)[0] == "clinicaldata/S_JUNO/*/*/*"
    assert wire.requests[0].headers["Accept"] == "application/xml;charset=UTF-8"


@pytest.mark.parametrize("content_type", ["application/xml", "", "nonsense"])
def test_a_server_that_names_no_charset_is_not_guessed_at(client, wire, content_type):
    wire.will(answer(200, ODM, Content_Type=content_type))
    with client.clinicaldata.retrieve("S_JUNO") as streamed:
        assert streamed.charset == ""


def test_json_is_asked_for_in_a_language_that_has_known_names_of_months(client, wire):
    wire.will(answer(200, '{"@ODMVersion": "1.3"}', Content_Type="application/json;charset=UTF-8"))
    with client.clinicaldata.retrieve("S_JUNO", format="json") as streamed:
        assert b"".join(streamed.chunks()) == b'{"@ODMVersion": "1.3"}'
    headers = wire.requests[0].headers
    assert (headers["Accept"], headers["Accept-Language"]) == ("application/json;charset=UTF-8", "en-US")


def test_selectors_go_into_the_path_whatever_they_hold(client, wire):
    wire.will(answer(200, ODM, **XML))
    with client.clinicaldata.retrieve("S_JUNO(TEST)", participant="BOS 1", event="SE_VISIT[2],SE_X"):
        pass
    assert asked(wire)[0] == "clinicaldata/S_JUNO%28TEST%29/BOS%201/SE_VISIT%5B2%5D%2CSE_X/*"


def test_every_flag_is_sent_in_both_spellings(client, wire):
    wire.will(answer(200, ODM, **XML))
    with client.clinicaldata.retrieve("S_JUNO"):
        pass
    assert asked(wire)[1] == {
        "includeMetadata": "n",
        "clinicaldata": "y",
        "clinicalData": "y",
        "includeDNs": "n",
        "includeDN": "n",
        "includeAudits": "n",
        "showArchived": "n",
        "links": "n",
    }


@pytest.mark.parametrize(
    ("wanted", "names", "value"),
    [
        ({"include_metadata": True}, {"includeMetadata"}, "y"),
        ({"include_clinical_data": False}, {"clinicaldata", "clinicalData"}, "n"),
        ({"include_queries": True}, {"includeDNs", "includeDN"}, "y"),
        ({"include_audits": True}, {"includeAudits"}, "y"),
        ({"show_archived": True}, {"showArchived"}, "y"),
    ],
)
def test_each_argument_turns_its_own_flags(client, wire, wanted, names, value):
    wire.will(answer(200, ODM, **XML))
    with client.clinicaldata.retrieve("S_JUNO", **wanted):
        pass
    changed = {name for name, spelled in asked(wire)[1].items() if flags()[name] != spelled}
    assert changed == names
    assert {asked(wire)[1][name] for name in names} == {value}


@pytest.mark.parametrize(
    "selectors",
    [("*", "*", "*"), ("P-1", "*", "*"), ("P-1", "SE_A,SE_B[2]", "*"), ("P-1", "SE_A", "F_VITALS_1")],
    ids="/".join,
)
def test_what_servers_honour_is_let_through(selectors):
    check_selectors(*selectors)


@pytest.mark.parametrize(
    ("selectors", "message"),
    [
        (("*", "SE_A", "*"), "of one participant only"),
        (("*", "*", "F_VITALS_1"), "of one participant only"),
        (("*", "SE_A", "F_VITALS_1"), "of one participant only"),
        (("P-1", "*", "F_VITALS_1"), "a form of one event only"),
        (("P-1", "SE_A,SE_B", "F_VITALS_1"), "a form of one event only"),
        (("", "*", "*"), "selector participant is empty"),
        (("P-1", " ", "*"), "selector event is empty"),
        (("P-1", "*", ""), "selector form is empty"),
    ],
)
def test_what_would_find_nothing_is_refused_and_nothing_is_sent(client, wire, selectors, message):
    participant, event, form = selectors
    refused = client.clinicaldata.retrieve("S_JUNO", participant=participant, event=event, form=form)
    with pytest.raises(ConfigurationError, match=message) as caught, refused:
        pass
    assert "P-1" not in str(caught.value)
    assert wire.requests == []


def test_a_format_that_is_none_is_refused(client, wire):
    with pytest.raises(ConfigurationError, match="format"), client.clinicaldata.retrieve("S_JUNO", format="csv"):
        pass
    assert wire.requests == []


@pytest.mark.parametrize(
    ("reply", "error", "message"),
    [
        pytest.param(
            answer(500, "<html>P-1</html>", Content_Type="text/html"),
            ServerUnavailableError,
            "a study or a participant that it does not have",
            id="no-such-study-or-participant",
        ),
        pytest.param(answer(200, "<html>P-1</html>", Content_Type="text/html"), CredentialsError, "log in", id="login"),
        pytest.param(answer(406, "<html>P-1</html>"), UnexpectedAnswerError, "406", id="not-acceptable"),
    ],
)
def test_an_answer_that_is_no_document_is_an_error_that_names_nobody(client, wire, reply, error, message):
    wire.will(reply)
    with pytest.raises(error, match=message) as caught, client.clinicaldata.retrieve("S_JUNO", participant="P-1"):
        pass
    assert "P-1" not in str(caught.value)
    assert len(wire.requests) == 1


@pytest.fixture
def below(caplog, monkeypatch):
    """Hear the HTTP library, whatever another test or Airflow has done to its logger."""
    logger = logging.getLogger("urllib3.connectionpool")
    monkeypatch.setattr(logger, "disabled", False)
    monkeypatch.setattr(logger, "handlers", [caplog.handler])
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger=logger.name)
    return caplog


def test_nobody_is_named_in_what_the_libraries_below_log(client, wire, naps, below):
    wire.will(drop_in_the_headers, answer(200, ODM, **XML))
    for _ in range(2):
        with client.clinicaldata.retrieve("S_JUNO", participant="P-1"):
            pass
    assert len(wire.requests) == 2
    assert "P-1" not in below.text


def test_other_libraries_log_what_they_like(wire, below):
    wire.will(answer(200))
    requests.get(f"{wire.url}/elsewhere/P-1", timeout=20)
    assert "/elsewhere/P-1" in below.text


def test_memory_does_not_grow_with_the_document(client, wire):
    size = 40 << 20

    def long(peer):
        peer.read()
        peer.send(response(200, ODM, Content_Length=str(size)))
        for _ in range((size - len(ODM)) >> 20):
            peer.send(b"x" * (1 << 20))
        peer.send(b"x" * ((size - len(ODM)) & ((1 << 20) - 1)))

    wire.will(long)
    tracemalloc.start()
    with client.clinicaldata.retrieve("S_JUNO") as streamed:
        assert sum(map(len, streamed.chunks())) == size
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20

"""Handing in ODM: which path, which parts, and what is remembered of a host."""

from __future__ import annotations

import io

import pytest

from airflow_provider_openclinica.client.uploads import upload_from
from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    LogGoneError,
    NotAvailableError,
    NotFoundError,
    RoleError,
    UnexpectedAnswerError,
)
from tests.client.conftest import answer, drop_in_the_headers

UUID = "6c325687-c3c3-41f6-9b98-154ef3352cb1"
TAKEN = answer(200, f"job uuid: {UUID}", Content_Type="application/json;charset=UTF-8")
ABSENT = answer(404, "<html>", Content_Type="text/html")
ODM = upload_from(lambda: io.BytesIO(b"<ODM/>"), name="labs.xml")
ZIP = upload_from(lambda: io.BytesIO(b"PK"), name="scans.zip")
NEW, OLD = "clinicaldata/import/xml", "clinicaldata/import"


def paths(wire):
    return [request.path.partition("/api/")[2] for request in wire.requests]


def test_the_documented_path_is_tried_first_and_remembered(client, wire):
    wire.will(TAKEN, TAKEN)
    assert client.clinicaldata.import_odm(ODM) == UUID
    client.clinicaldata.import_odm(ODM)
    assert paths(wire) == [NEW, NEW]
    assert client.tokens.recall("import_path") == "import/xml"


@pytest.mark.parametrize("absent", [ABSENT, answer(405, "<html>"), answer(404)], ids=["404", "405", "404-empty"])
def test_an_older_server_costs_one_futile_try_and_no_more(client, wire, absent):
    wire.will(absent, TAKEN, TAKEN)
    assert client.clinicaldata.import_odm(ODM) == UUID
    client.clinicaldata.import_odm(ODM)
    assert paths(wire) == [NEW, OLD, OLD]
    assert all(b"<ODM/>" in request.body for request in wire.requests)


def test_a_remembered_path_that_is_gone_is_replaced(client, wire):
    client.tokens.remember("import_path", "import")
    wire.will(ABSENT, TAKEN, TAKEN)
    client.clinicaldata.import_odm(ODM)
    client.clinicaldata.import_odm(ODM)
    assert paths(wire) == [OLD, NEW, NEW]


def test_nonsense_that_was_remembered_does_no_harm(client, wire):
    client.tokens.remember("import_path", "../..")
    wire.will(TAKEN)
    client.clinicaldata.import_odm(ODM)
    assert paths(wire) == [NEW]


def test_a_path_that_the_connection_names_is_the_only_one(client_with, wire):
    client = client_with(import_path="import")
    client.tokens.remember("import_path", "import/xml")
    wire.will(ABSENT)
    with pytest.raises(NotAvailableError, match="Check import_path"):
        client.clinicaldata.import_odm(ODM)
    assert paths(wire) == [OLD]


def test_a_server_with_neither_path_is_told_apart_and_never_given_to_the_old_importer(client, wire):
    wire.will(ABSENT, ABSENT, TAKEN)
    with pytest.raises(NotAvailableError, match="no ODM import"):
        client.clinicaldata.import_odm(ODM, study="S_JUNO")
    assert paths(wire) == [NEW, OLD]


def test_a_404_with_a_code_is_a_refusal_and_not_a_missing_path(client, wire):
    wire.will(answer(404, "errorCode.studyNotExist"), TAKEN)
    with pytest.raises(NotFoundError, match="S_JUNO"):
        client.clinicaldata.import_odm(ODM, study="S_JUNO")
    assert paths(wire) == [NEW]


def test_attachments_travel_in_a_part_of_their_own(client, wire):
    wire.will(TAKEN)
    client.clinicaldata.import_odm(ODM, attachments=ZIP)
    body = wire.requests[0].body
    assert b'name="file"; filename="labs.xml"' in body
    assert b'name="attachedFilesZip"; filename="scans.zip"' in body


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        pytest.param(answer(200, "errorCode.noRoleSetUp"), RoleError, id="refused-with-200"),
        pytest.param(
            answer(200, '{"message":"SUCCESS","detailMessages":[]}'), UnexpectedAnswerError, id="wrong-importer"
        ),
        pytest.param(answer(200, "job uuid: null"), LogGoneError, id="system-user"),
        pytest.param(answer(500, "<html>"), AmbiguousSubmitError, id="500"),
        pytest.param(drop_in_the_headers, AmbiguousSubmitError, id="answer-cut-off"),
    ],
)
def test_an_import_without_a_job_is_an_error_and_is_not_sent_again(client, wire, reply, error):
    wire.will(reply, TAKEN)
    with pytest.raises(error):
        client.clinicaldata.import_odm(ODM, study="S_JUNO")
    assert len(wire.requests) == 1

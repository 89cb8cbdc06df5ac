"""Handing in a file of events: where it goes, and what each answer means."""

from __future__ import annotations

import io
import json

import pytest

from airflow_provider_openclinica.client.events import Events
from airflow_provider_openclinica.client.uploads import upload_from
from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    FileError,
    NotAvailableError,
    NotFoundError,
    RoleError,
)
from tests.client.conftest import answer, drop_in_the_headers

UUID = "6c325687-c3c3-41f6-9b98-154ef3352cb1"
CSV = upload_from(
    lambda: io.BytesIO(b"ParticipantID,StudyEventOID,StartDate\nP-1,SE_VISIT,2026-01-01\n"), name="visits.csv"
)


def refusal(code: str):
    params = {"studyOid": "S_JUNO", "siteOid": "S_BOSTON"}
    return answer(400, json.dumps({"message": code, "params": params}), Content_Type="application/json")


def test_the_file_goes_to_the_bulk_path_of_its_site(http, wire):
    wire.will(answer(200, f"job uuid: {UUID}"))
    assert Events(http).bulk(CSV, study_oid="S_JUNO(TEST)", site_oid="S_BOSTON") == UUID
    (request,) = wire.requests
    assert request.path.endswith("/clinicaldata/studies/S_JUNO%28TEST%29/sites/S_BOSTON/events/bulk")
    assert b'name="file"; filename="visits.csv"' in request.body
    assert b"P-1,SE_VISIT,2026-01-01\n" in request.body


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        pytest.param(refusal("errorCode.siteNotExist"), NotFoundError, id="no-such-site"),
        pytest.param(refusal("errorCode.studyNotAvailable"), NotAvailableError, id="study-closed"),
        pytest.param(refusal("errorCode.noRoleSetUp"), RoleError, id="no-role"),
        pytest.param(refusal("errorCode.missingStartDateData"), FileError, id="column-missing"),
        pytest.param(refusal("errorCode.notCSVfile"), FileError, id="no-csv"),
        pytest.param(refusal("errorCode.notSupportedFileFormat"), FileError, id="no-csv-as-documented"),
        pytest.param(answer(400, "errorCode.blankFile"), FileError, id="a-bare-code"),
        pytest.param(answer(500, "<html>"), AmbiguousSubmitError, id="500"),
        pytest.param(drop_in_the_headers, AmbiguousSubmitError, id="answer-cut-off"),
    ],
)
def test_a_file_without_a_job_is_an_error_and_is_not_sent_again(http, wire, reply, error):
    wire.will(reply)
    with pytest.raises(error, match="S_JUNO"):
        Events(http).bulk(CSV, study_oid="S_JUNO", site_oid="S_BOSTON")
    assert len(wire.requests) == 1

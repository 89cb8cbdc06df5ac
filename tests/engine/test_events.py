"""The wire between a trigger and its task."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from airflow_provider_openclinica import errors
from airflow_provider_openclinica.engine.events import Progress, read_event, write_event
from airflow_provider_openclinica.engine.judge import JobReport
from airflow_provider_openclinica.engine.ticket import JobTicket
from airflow_provider_openclinica.errors import OpenClinicaError

UUID = "6c325687-c3c3-41f6-9b98-154ef3352cb1"
TICKET = JobTicket(
    job_uuid=UUID,
    job_type="XML_IMPORT",
    study_oid="S_JUNO",
    site_oid=None,
    part=2,
    generation=1,
    payload_sha256="a" * 64,
    rows_sent=None,
)
REPORT = JobReport(
    job_uuid=UUID,
    job_type="XML_IMPORT",
    status="finished",
    outcomes={"Inserted": 3},
    rows_logged=3,
    rows_failed=0,
    failed_codes={},
    payload_sha256="a" * 64,
)
PROGRESS = Progress(started=1767585600.25, reports=(REPORT,), plan={"source_sha256": "b" * 64, "grouping": None})
ERROR_CLASSES = [
    value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, OpenClinicaError)
]


def sent(error: OpenClinicaError | None = None) -> Any:
    """An event as it arrives: through Airflow's database."""
    return json.loads(json.dumps(write_event(asdict(TICKET), PROGRESS.to_json(), error)))


def test_a_finished_job_arrives_with_all_that_was_done_before_it() -> None:
    ended = read_event(sent())

    assert (ended.ticket, ended.progress, ended.error) == (TICKET, PROGRESS, None)


@pytest.mark.parametrize("error_class", ERROR_CLASSES, ids=lambda error_class: error_class.__name__)
def test_an_error_arrives_as_the_class_it_was(error_class: type[OpenClinicaError]) -> None:
    error = error_class("It broke", study="S_JUNO", site="S_BOSTON", job=UUID, code="x.y", status=500, meaning="so")

    arrived = read_event(sent(error)).error

    assert type(arrived) is error_class
    assert str(arrived) == str(error)
    assert arrived
    assert arrived.retry is error.retry


def without(key: str) -> Any:
    event = sent()
    del event[key]
    return event


def changed(**parts: Any) -> Any:
    return sent() | parts


NOT_OURS = {
    "nothing": None,
    "text": "done",
    "a-list": [],
    "no-version": without("version"),
    "another-version": changed(version=2),
    "no-ticket": without("ticket"),
    "half-a-ticket": changed(ticket={"job_uuid": UUID}),
    "a-ticket-without-a-job": changed(ticket=asdict(TICKET) | {"job_uuid": None}),
    "a-ticket-with-more": changed(ticket=asdict(TICKET) | {"colour": "red"}),
    "no-progress": without("progress"),
    "a-report-of-something-else": changed(progress=PROGRESS.to_json() | {"reports": [{"rows": 3}]}),
    "no-error-key": without("error"),
    "an-error-without-words": changed(error={"class": "RoleError"}),
    "an-error-of-nobody": changed(error=sent(errors.RoleError("x"))["error"] | {"class": "SystemExit"}),
    "an-error-that-is-no-class": changed(error=sent(errors.RoleError("x"))["error"] | {"class": "annotations"}),
    "an-error-as-text": changed(error="failed"),
}


@pytest.mark.parametrize("event", NOT_OURS.values(), ids=NOT_OURS)
def test_an_event_that_is_not_exactly_ours_raises_and_is_not_quoted(event: Any) -> None:
    with pytest.raises(OpenClinicaError, match="not one of ours") as caught:
        read_event(event)

    assert UUID not in str(caught.value)

"""The verdict on a task's jobs, in the words a data engineer gets to read, and what the task returns."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from airflow_provider_openclinica.engine.judge import JobReport, failed, judge, parse_fail_on, result_of, running
from airflow_provider_openclinica.engine.ticket import JobTicket
from airflow_provider_openclinica.errors import ConfigurationError, JobFailedError, RowsFailedError, RowsLostError

TICKET = JobTicket(
    job_uuid="6c325687",
    job_type="XML_IMPORT",
    study_oid="S_JUNO",
    site_oid=None,
    part=1,
    generation=0,
    payload_sha256="ab",
    rows_sent=None,
)
CLEAN = JobReport(
    job_uuid="6c325687",
    job_type="XML_IMPORT",
    status="finished",
    outcomes={"Inserted": 480},
    rows_sent=None,
    rows_logged=480,
    rows_failed=0,
    failed_codes={},
    log_uri="s3://labs/log/6c325687.csv",
    log_sha256="cd",
    payload_sha256="ab",
)
SPOILT = replace(
    CLEAN,
    outcomes={"Inserted": 468, "Failed": 12},
    rows_failed=12,
    failed_codes={"itemNotFound": 3, "valueTypeMismatch": 9},
    failed_uri="s3://labs/log/6c325687.failed.csv",
)
EMPTY = replace(CLEAN, outcomes={}, rows_logged=0)


@pytest.mark.parametrize(
    ("fail_on", "reports", "passes"),
    [
        pytest.param("any", [CLEAN], True, id="no-failed-row"),
        pytest.param("any", [EMPTY], True, id="no-row-at-all"),
        pytest.param("any", [SPOILT], False, id="any-failed-row"),
        pytest.param("any", [CLEAN, SPOILT], False, id="a-failed-row-in-the-second-part"),
        pytest.param("job", [SPOILT], True, id="failed-rows-do-not-matter"),
        pytest.param(0.025, [SPOILT], True, id="exactly-as-many-as-allowed"),
        pytest.param(0.0249, [SPOILT], False, id="one-more-than-allowed"),
        pytest.param(0.0249, [SPOILT, CLEAN], True, id="the-total-over-all-parts-counts"),
        pytest.param(0.5, [EMPTY], True, id="a-share-of-no-rows"),
    ],
)
def test_fail_on_says_how_many_failed_rows_are_too_many(fail_on, reports, passes):
    if passes:
        judge(reports, fail_on)
    else:
        with pytest.raises(RowsFailedError):
            judge(reports, fail_on)


@pytest.mark.parametrize("fail_on", ["any", "job", 0.99])
def test_lost_rows_and_failed_jobs_are_never_tolerated(fail_on):
    with pytest.raises(RowsLostError):
        judge([CLEAN, replace(CLEAN, lost=1)], fail_on)
    with pytest.raises(JobFailedError, match="6c325687"):
        judge([CLEAN, failed(TICKET)], fail_on)


def test_a_job_that_has_not_ended_gets_no_verdict():
    with pytest.raises(ValueError, match="has not ended"):
        judge([running(TICKET)], "job")


def test_the_message_counts_failed_rows_by_code_and_says_where_they_lie():
    with pytest.raises(RowsFailedError) as caught:
        judge([SPOILT], "any")
    assert str(caught.value) == (
        "12 of 480 rows failed: 9 valueTypeMismatch (the value does not fit the item's data type), 3 itemNotFound (the "
        "study has no open item of this ItemOID) (job 6c325687). Correct them in s3://labs/log/6c325687.failed.csv. "
        "Clearing the task submits the corrected file; without a state store, use a new run."
    )


def test_the_message_adds_up_the_parts_and_names_those_with_failed_rows():
    other = replace(SPOILT, job_uuid="7d", failed_uri="s3://labs/log/7d.failed.csv", failed_codes={"": 2, "paused": 10})
    with pytest.raises(RowsFailedError) as caught:
        judge([SPOILT, replace(CLEAN, job_uuid="8e"), other], "any")
    message = str(caught.value)
    assert message.startswith("24 of 1440 rows failed: 10 paused, 9 valueTypeMismatch (")
    assert "2 without a code" in message
    assert "(job 6c325687, 7d)" in message
    assert "s3://labs/log/6c325687.failed.csv, s3://labs/log/7d.failed.csv." in message
    assert "8e" not in message


def test_the_message_stays_short_where_many_parts_failed():
    with pytest.raises(RowsFailedError) as caught:
        judge([replace(SPOILT, job_uuid=f"job-{number}") for number in range(40)], "any")
    assert "job-5 and 34 more" in str(caught.value)
    assert "job-6" not in str(caught.value)


def test_the_message_says_how_to_keep_the_rows_where_they_were_not_kept():
    with pytest.raises(RowsFailedError, match="set log_uri"):
        judge([replace(SPOILT, log_uri=None, failed_uri=None)], "any")


@pytest.mark.parametrize(
    ("unsplit", "codes", "hinted"),
    [
        (True, {"participantNotFound": 12}, True),
        (True, {"participantnotfound": 12}, True),
        (True, {"itemNotFound": 12}, False),
        (False, {"participantNotFound": 12}, False),
    ],
)
def test_participants_not_found_in_an_unsplit_study_hint_at_the_one_site_rule(unsplit, codes, hinted):
    with pytest.raises(RowsFailedError) as caught:
        judge([replace(SPOILT, failed_codes=codes, unsplit_study=unsplit)], "any")
    assert ("the site of its first participant" in str(caught.value)) is hinted


def test_the_message_on_lost_rows_of_a_csv_file_says_how_many_of_how_many():
    with pytest.raises(RowsLostError) as caught:
        judge([replace(CLEAN, rows_sent=10), replace(CLEAN, rows_sent=10, lost=3, failed_uri="x.failed.csv")], "job")
    assert str(caught.value) == (
        "3 of 10 rows sent have no row in the log: OpenClinica stopped reading before them and calls the job complete "
        "all the same (job 6c325687). They are the rows of Status Lost, by number, in x.failed.csv. Send them in a "
        "file of their own."
    )


def test_the_message_on_lost_rows_counts_them_and_says_where_they_are_named():
    with pytest.raises(RowsLostError) as caught:
        judge([replace(CLEAN, lost=3, failed_uri="s3://labs/log/6c325687.failed.csv")], "job")
    assert str(caught.value).startswith("3 participants sent with data, of whom no row of the log speaks: ")
    assert "They are the rows of Status Lost in s3://labs/log/6c325687.failed.csv." in str(caught.value)


@pytest.mark.parametrize("value", ["any", "job", 0.05, 0.999])
def test_fail_on_takes_any_job_or_a_fraction(value):
    assert parse_fail_on(value) == value


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0, -0.1, 5, True, None, "none", "0.05", float("nan"), [], {}])
def test_fail_on_takes_nothing_else(value):
    with pytest.raises(ConfigurationError, match="fail_on"):
        parse_fail_on(value)


@pytest.mark.parametrize("report", [CLEAN, SPOILT, running(TICKET), failed(TICKET)])
def test_a_report_travels_as_json(report):
    assert JobReport(**json.loads(json.dumps(asdict(report)))) == report
    assert JobTicket(**json.loads(json.dumps(asdict(TICKET)))) == TICKET


def test_the_result_has_totals_and_the_same_for_each_job_and_nothing_else():
    assert result_of([CLEAN, replace(SPOILT, job_uuid="7d")]) == {
        "job_type": "XML_IMPORT",
        "status": "finished",
        "outcomes": {"Inserted": 948, "Failed": 12},
        "rows_sent": None,
        "rows_logged": 960,
        "rows_failed": 12,
        "jobs": [
            {
                "job_uuid": "6c325687",
                "job_type": "XML_IMPORT",
                "status": "finished",
                "outcomes": {"Inserted": 480},
                "rows_sent": None,
                "rows_logged": 480,
                "rows_failed": 0,
                "log_uri": "s3://labs/log/6c325687.csv",
                "log_sha256": "cd",
                "payload_sha256": "ab",
            },
            {
                "job_uuid": "7d",
                "job_type": "XML_IMPORT",
                "status": "finished",
                "outcomes": {"Inserted": 468, "Failed": 12},
                "rows_sent": None,
                "rows_logged": 480,
                "rows_failed": 12,
                "log_uri": "s3://labs/log/6c325687.csv",
                "log_sha256": "cd",
                "payload_sha256": "ab",
            },
        ],
    }


@pytest.mark.parametrize(
    ("reports", "status"),
    [
        ([CLEAN, CLEAN], "finished"),
        ([CLEAN, running(TICKET)], "running"),
        ([running(TICKET), failed(TICKET)], "failed"),
    ],
)
def test_the_result_is_as_far_as_its_least_part(reports, status):
    result = result_of(reports)
    assert result["status"] == status
    assert (result["rows_logged"] is None) is (status != "finished")


def test_a_submitted_job_has_a_result_in_which_nothing_is_known_yet():
    result = result_of([running(TICKET)])
    assert (result["status"], result["outcomes"], result["rows_logged"], result["rows_failed"]) == (
        "running",
        *[None] * 3,
    )
    assert result["jobs"][0]["job_uuid"] == "6c325687"
    assert result["jobs"][0]["log_uri"] is None
    json.dumps(result)

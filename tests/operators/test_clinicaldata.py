"""Importing clinical data in one try, against a running OpenClinica in both dialects."""

from __future__ import annotations

import json
import re
import tempfile
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_openclinica.errors import ConfigurationError, RowsLostError, ServerUnavailableError
from airflow_provider_openclinica.operators.clinicaldata import OpenClinicaImportClinicalDataOperator
from tests.documents import BAD_UNIT, SECRETS, document, labs, sample
from tests.tasks import Task, event_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_openclinica.sandbox.server import Sandbox

    Labs = Callable[..., str]

pytestmark = pytest.mark.usefixtures("openclinica_conn")

both_modes = pytest.mark.parametrize("deferrable", [False, True], ids=["in-the-worker", "deferred"])
STUDY = {"study": "S_JUNO"}


def importing(odm_uri: str, **options: Any) -> OpenClinicaImportClinicalDataOperator:
    return OpenClinicaImportClinicalDataOperator(task_id="import", odm_uri=odm_uri, **{"poll_interval": 0.05} | options)


def posts(sandbox: Sandbox) -> int:
    """Files that a job was made of."""
    return len(sandbox.jobs())


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go; clinical data, so nothing may stay there."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@both_modes
def test_an_import_returns_what_became_of_its_rows(
    sandbox: Sandbox, task: Task, labs: Labs, tmp_path: Path, scratch: Path, deferrable: bool
) -> None:
    result = task.run(importing(labs("BOS-001", "BOS-002"), log_uri=f"{tmp_path}/log/", deferrable=deferrable))

    assert result["status"] == "finished"
    assert result["outcomes"] == {"Inserted": 18}
    assert (result["rows_sent"], result["rows_logged"], result["rows_failed"]) == (None, 18, 0)
    (job,) = result["jobs"]
    assert job["job_uuid"] == sandbox.jobs()[0]["uuid"] == task.ti.xcoms["job_uuid"]
    assert task.ti.xcoms["openclinica_job_page"] == f"{sandbox.study_url}/Jobs?uuid={job['job_uuid']}"
    assert Path(job["log_uri"]).read_text().count("Inserted") == 18
    assert list(scratch.glob("openclinica-parts-*")) == []


@both_modes
def test_a_failed_row_fails_the_task_for_good_and_says_which_and_where(
    sandbox: Sandbox, task: Task, labs: Labs, tmp_path: Path, deferrable: bool
) -> None:
    operator = importing(labs("BOS-001", unit=BAD_UNIT), log_uri=f"{tmp_path}/log/", deferrable=deferrable)

    with pytest.raises(AirflowFailException, match="1 of 9 rows failed: 1 valueChoiceCodeNotFound") as caught:
        task.run(operator)

    (failed,) = tmp_path.glob("log/*.failed.csv")
    assert str(failed) in str(caught.value)
    assert failed.read_text().count("\n") == 2


@pytest.mark.parametrize(("fail_on", "passes"), [("job", True), (0.2, True), (0.1, False)])
def test_so_many_failed_rows_pass_as_fail_on_allows(
    sandbox: Sandbox, task: Task, labs: Labs, fail_on: str | float, passes: bool
) -> None:
    operator = importing(labs("BOS-001", unit=BAD_UNIT), fail_on=fail_on)

    if passes:
        assert task.run(operator)["rows_failed"] == 1
    else:
        with pytest.raises(AirflowFailException):
            task.run(operator)


@both_modes
def test_a_file_that_names_the_study_is_sent_by_site(
    sandbox: Sandbox, task: Task, labs: Labs, tmp_path: Path, scratch: Path, deferrable: bool
) -> None:
    uri = labs("BOS-001", "LEI-001", "bos-002".upper(), **STUDY)

    result = task.run(importing(uri, log_uri=f"{tmp_path}/labs.csv", deferrable=deferrable))

    assert [job["outcomes"] for job in result["jobs"]] == [{"Inserted": 18}, {"Inserted": 9}]
    assert result["outcomes"] == {"Inserted": 27}
    assert [Path(job["log_uri"]).name for job in result["jobs"]] == ["labs.csv", "labs.2.csv"]
    assert list(scratch.glob("openclinica-parts-*")) == []


@both_modes
def test_a_large_file_is_sent_between_participants_in_several_jobs(
    sandbox: Sandbox, task: Task, labs: Labs, deferrable: bool
) -> None:
    operator = importing(labs("BOS-001", "BOS-002", "BOS-003"), max_items_per_job=9, deferrable=deferrable)

    result = task.run(operator)

    assert len(result["jobs"]) == posts(sandbox) == 3
    assert result["rows_logged"] == 27
    names = [job["sourceFileName"] for job in sandbox.jobs()]
    assert all(name.startswith("labs.af-") and name.endswith("-g0.xml") for name in names)
    assert len(set(names)) == 3


def test_two_clinical_data_are_two_jobs(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    path = tmp_path / "both.xml"
    path.write_text(
        document(
            f'<ClinicalData StudyOID="S_BOSTON">{sample("BOS-001", "mmol/mol", 1)}</ClinicalData>',
            f'<ClinicalData StudyOID="S_LEIDEN">{sample("LEI-001", "mmol/mol", 1)}</ClinicalData>',
        )
    )

    result = task.run(importing(str(path), study_oid="S_JUNO"))

    assert [job["outcomes"] for job in result["jobs"]] == [{"Inserted": 6}, {"Inserted": 6}]


def test_failed_rows_of_one_part_do_not_stop_the_others(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    path = tmp_path / "both.xml"
    bad, good = sample("BOS-001", BAD_UNIT, 1), sample("BOS-002", "mmol/mol", 1)
    path.write_text(document(f'<ClinicalData StudyOID="S_BOSTON">{bad}{good}</ClinicalData>'))

    with pytest.raises(AirflowFailException, match="1 of 12 rows failed"):
        task.run(importing(str(path), max_items_per_job=6))

    assert posts(sandbox) == 2


@both_modes
def test_a_participant_whom_the_log_passes_over_stops_the_run_at_once(
    sandbox: Sandbox, task: Task, labs: Labs, deferrable: bool
) -> None:
    sandbox.fate("lost_rows")
    operator = importing(labs("BOS-001", "BOS-002"), max_items_per_job=9, fail_on="job", deferrable=deferrable)

    with pytest.raises(AirflowFailException) as caught:
        task.run(operator)

    assert isinstance(caught.value.__cause__, RowsLostError)
    assert posts(sandbox) == 1


def test_submitting_without_waiting_returns_the_running_job(sandbox: Sandbox, task: Task, labs: Labs) -> None:
    result = task.run(importing(labs("BOS-001"), wait_for_completion=False))

    assert result["status"] == "running"
    assert result["outcomes"] is None
    assert result["jobs"][0]["job_uuid"] == sandbox.jobs()[0]["uuid"] == task.ti.xcoms["job_uuid"]


def test_several_jobs_without_waiting_are_refused_before_anything_is_sent(
    sandbox: Sandbox, task: Task, labs: Labs
) -> None:
    operator = importing(labs("BOS-001", "BOS-002"), max_items_per_job=9, wait_for_completion=False)

    with pytest.raises(AirflowFailException, match="2 jobs are needed"):
        task.run(operator)

    assert posts(sandbox) == 0


GOOD, ODM_1_3 = labs("BOS-001"), "http://www.cdisc.org/ns/odm/v1.3"
BROKEN = {
    "not-xml": ("SubjectKey,Value", "the file is not XML"),
    "empty": ("", "the file is empty"),
    "truncated": (GOOD[:-40], "it was cut off"),
    "wrong-root": ("<Study/>", "the root element is not ODM"),
    "wrong-namespace": (GOOD.replace(ODM_1_3, "urn:other"), "a namespace that is not ODM's"),
    "odm-2.0": (GOOD.replace(ODM_1_3, "http://www.cdisc.org/ns/odm/v2.0"), "this is ODM 2.0"),
    "no-clinical-data": (document(), "ODM has no ClinicalData"),
    "no-study-oid": (GOOD.replace("ClinicalData StudyOID", "ClinicalData Study"), "ClinicalData has no StudyOID"),
    "no-subject-data": (document('<ClinicalData StudyOID="S_BOSTON"/>'), "has no SubjectData"),
    "undeclared-prefix": (GOOD.replace("xmlns:OpenClinica", "xmlns:Other"), "a prefix is used and declared nowhere"),
    "entity-bomb": (f'<!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;">]>{GOOD}', "document type declaration"),
    "no-event-repeat-key": (GOOD.replace(' StudyEventRepeatKey="1"', ""), "Write the key, and 1 where nothing repeats"),
    "no-group-repeat-key": (GOOD.replace(' ItemGroupRepeatKey="2"', ""), "Write the key, and 1 where nothing repeats"),
    "impossible-date": (re.sub(r'StartDate="[^"]*"', 'StartDate="2026-02-30"', GOOD), "not a day of the calendar"),
    "value-too-long": (
        re.sub(r'Value="[^"]*"', f'Value="{4001 * "x"}"', GOOD, count=1),
        "longer than 4,000 characters",
    ),
}


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_bad_file_is_refused_before_the_first_request(
    sandbox: Sandbox, task: Task, tmp_path: Path, scratch: Path, content: str, reason: str
) -> None:
    path = tmp_path / "bad.xml"
    path.write_text(content)

    with pytest.raises(AirflowFailException) as caught:
        task.run(importing(str(path)))

    assert str(caught.value).startswith(f"{path}, ")
    assert reason in str(caught.value)
    assert sandbox.requests() == []
    assert task.store
    assert task.store.kept == {}
    assert list(scratch.glob("openclinica-parts-*")) == []


def test_bad_attachments_are_refused_before_the_first_request(
    sandbox: Sandbox, task: Task, labs: Labs, tmp_path: Path
) -> None:
    (tmp_path / "scans.zip").write_bytes(b"no zip")

    with pytest.raises(AirflowFailException, match=r"scans\.zip, the attachments are no ZIP"):
        task.run(importing(labs("BOS-001"), attachments_uri=str(tmp_path / "scans.zip")))

    assert sandbox.requests() == []


def test_attachments_do_not_go_with_several_jobs(sandbox: Sandbox, task: Task, labs: Labs, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "scans.zip", "w") as archive:
        archive.writestr("scans/41.5", "a file that some item names")
    operator = importing(labs("BOS-001", "BOS-002"), attachments_uri=str(tmp_path / "scans.zip"), max_items_per_job=9)

    with pytest.raises(AirflowFailException, match="needs 2 jobs, and attachments can go with one only"):
        task.run(operator)

    assert posts(sandbox) == 0


def test_attachments_go_along_with_one_job(sandbox: Sandbox, task: Task, labs: Labs, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "scans.zip", "w") as archive:
        archive.writestr("scans/41.5", "a file that some item names")
    alone = task.run(importing(labs("BOS-001")))

    task.ti.clear()
    result = task.run(importing(labs("BOS-001"), attachments_uri=str(tmp_path / "scans.zip")))

    assert result["jobs"][0]["payload_sha256"] != alone["jobs"][0]["payload_sha256"]


def test_where_site_lists_cannot_be_read_the_file_goes_as_it_is_and_the_message_names_the_rule(
    sandbox: Sandbox, task: Task, labs: Labs
) -> None:
    sandbox.fault(
        "status", path="clinicaldata/studies/*", times=None, status=400, body='{"message":"errorCode.noRoleSetUp"}'
    )

    with pytest.raises(AirflowFailException, match="participantNotFound") as caught:
        task.run(importing(labs("BOS-001", "LEI-001", **STUDY)))

    assert posts(sandbox) == 1
    assert "site of its first participant" in str(caught.value)


def test_a_server_that_is_down_while_site_lists_are_read_is_worth_a_retry(
    sandbox: Sandbox, task: Task, labs: Labs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    sandbox.fault("status", path="clinicaldata/studies/*", times=None, status=503)

    with pytest.raises(ServerUnavailableError):
        task.run(importing(labs("BOS-001", "LEI-001", **STUDY)))

    assert posts(sandbox) == 0


def test_a_file_of_one_site_is_sent_without_reading_site_lists(sandbox: Sandbox, task: Task, labs: Labs) -> None:
    task.run(importing(labs("BOS-001", "BOS-002"), study_oid="S_JUNO"))

    assert not [request for request in sandbox.requests() if "participants" in request["path"]]


@both_modes
def test_no_value_and_no_participant_leaves_the_worker(
    sandbox: Sandbox,
    task: Task,
    labs: Labs,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    deferrable: bool,
) -> None:
    uri = labs("BOS-001", "LEI-001", "BOS-999", unit=BAD_UNIT, **STUDY)
    operator = importing(uri, log_uri=f"{tmp_path}/log/", deferrable=deferrable)
    with caplog.at_level("DEBUG"), pytest.raises(AirflowFailException) as caught:
        task.run(operator)

    assert task.store
    seen = [caplog.text, *capsys.readouterr(), str(caught.value), *task.store.kept.values(), json.dumps(task.ti.xcoms)]
    assert [secret for secret in SECRETS for text in seen if secret in text] == []


def test_a_trigger_and_its_event_are_small_json_without_data(
    sandbox: Sandbox, task: Task, labs: Labs, scratch: Path
) -> None:
    operator = importing(labs("BOS-001", "LEI-001", **STUDY), deferrable=True)

    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(task.context)

    assert list(scratch.glob("openclinica-parts-*")) == []
    assert deferred.value.timeout > timedelta(hours=6)
    trigger = json.dumps(deferred.value.trigger.serialize())
    event = json.dumps(event_of(deferred.value.trigger))
    assert len(trigger) < 1500
    assert len(event) < 1500
    assert not [secret for secret in SECRETS if secret in trigger + event]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("fail_on", "some"),
        ("fail_on", 1.5),
        ("on_ambiguous_submit", "perhaps"),
        ("timeout", 0),
        ("timeout", "6h"),
        ("poll_interval", timedelta(0)),
        ("max_items_per_job", 0),
    ],
)
def test_an_argument_that_cannot_work_is_refused_when_the_dag_is_read(argument: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=argument):
        importing("labs.xml", **{argument: value})


def test_durations_may_be_timedeltas() -> None:
    operator = importing("labs.xml", timeout=timedelta(minutes=5), poll_interval=timedelta(seconds=2))

    assert (operator.timeout, operator.poll_interval) == (300.0, 2.0)


def test_every_address_is_a_template() -> None:
    assert {"odm_uri", "attachments_uri", "study_oid", "log_uri", "openclinica_conn_id"} <= set(
        OpenClinicaImportClinicalDataOperator.template_fields
    )

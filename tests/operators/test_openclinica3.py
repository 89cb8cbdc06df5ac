"""The operators of OpenClinica 3, against a running one."""

from __future__ import annotations

import json
import logging
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_openclinica.client.retries import Tries
from airflow_provider_openclinica.engine.openclinica3.imports import Importing
from airflow_provider_openclinica.errors import ServerUnavailableError, WaitInterruptedError
from airflow_provider_openclinica.operators.openclinica3 import (
    OpenClinica3CreateParticipantOperator,
    OpenClinica3ImportOperator,
    OpenClinica3ScheduleEventOperator,
)
from tests.documents import COMMENT
from tests.openclinica3 import (
    BIRTHDAY,
    FIRST,
    FIRST_OID,
    NEW,
    SECOND,
    SECOND_OID,
    SECRETS,
    labs3,
    schedule_baseline,
    sent,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task

pytestmark = pytest.mark.usefixtures("openclinica3_conn")

IMPORTS = "/OpenClinica-ws/ws/data/v1"


@pytest.fixture
def labs(tmp_path: Path) -> Callable[..., str]:
    def write(*subjects: str, **content: str) -> str:
        path = tmp_path / "labs.xml"
        path.write_text(labs3(*subjects, **content))
        return str(path)

    return write


@pytest.fixture
def person(tmp_path: Path) -> str:
    path = tmp_path / "person.json"
    path.write_text(json.dumps({"gender": "f", "dateOfBirth": BIRTHDAY}))
    return str(path)


def importing(odm_uri: str, **more: Any) -> OpenClinica3ImportOperator:
    return OpenClinica3ImportOperator(task_id="import", odm_uri=odm_uri, **more)


def creating(person_uri: str | None, **more: Any) -> OpenClinica3CreateParticipantOperator:
    usual = {"study_oid": "S_JUNO", "site_oid": "S_BOSTON", "participant_id": NEW, "enrollment_date": "2026-05-01"}
    return OpenClinica3CreateParticipantOperator(task_id="create", person_uri=person_uri, **usual | more)


def scheduling(**more: Any) -> OpenClinica3ScheduleEventOperator:
    usual = {
        "study_oid": "S_JUNO",
        "site_oid": "S_BOSTON",
        "participant_id": FIRST,
        "study_event_oid": "SE_FOLLOWUP",
        "event_start_date": "2026-05-01",
    }
    return OpenClinica3ScheduleEventOperator(task_id="schedule", **usual | more)


def nothing_leaked(told: str) -> bool:
    return not [secret for secret in SECRETS if secret in told]


def test_a_file_is_imported_and_read_back(sandbox3: Sandbox, task: Task, labs: Callable[..., str], told: Any) -> None:
    schedule_baseline(sandbox3, FIRST, SECOND)
    told()
    result = task.run(importing(labs(FIRST_OID, SECOND_OID)))
    assert (result["requests"], result["sent"], result["values"], result["lost"]) == (2, 2, 12, 0)
    assert len([one for one in sandbox3.data() if COMMENT in json.dumps(one)]) == 2
    assert nothing_leaked(told().replace(str(labs), "") + json.dumps(result))


def test_what_is_stored_is_not_sent_again(sandbox3: Sandbox, task: Task, labs: Callable[..., str]) -> None:
    schedule_baseline(sandbox3, FIRST, SECOND)
    task.run(importing(labs(FIRST_OID)))
    result = task.run(importing(labs(FIRST_OID, SECOND_OID)))
    assert (result["requests"], result["sent"], result["unchanged"]) == (2, 1, 1)
    assert sent(sandbox3, "POST", IMPORTS) == 2


def test_a_form_that_was_left_open_is_sent_to_be_completed(
    sandbox3: Sandbox, task: Task, labs: Callable[..., str]
) -> None:
    schedule_baseline(sandbox3)
    for status, number in [("initial data entry", 1), ("initial data entry", 0), ("", 1)]:
        assert task.run(importing(labs(status=status)))["sent"] == number


@pytest.mark.parametrize("file", [{"repeat": "2"}, {}], ids=["no-such-occurrence", "no-event"])
def test_an_event_that_is_not_there_stops_everything(
    sandbox3: Sandbox, task: Task, labs: Callable[..., str], file: dict[str, str]
) -> None:
    if file:
        schedule_baseline(sandbox3)
    with pytest.raises(AirflowFailException, match="There is no event SE_BASELINE") as caught:
        task.run(importing(labs(**file)))
    assert sent(sandbox3, "POST", IMPORTS) == 0
    assert nothing_leaked(str(caught.value))


def test_one_missing_event_keeps_all_others_from_being_sent(
    sandbox3: Sandbox, task: Task, labs: Callable[..., str]
) -> None:
    schedule_baseline(sandbox3, FIRST)
    with pytest.raises(AirflowFailException):
        task.run(importing(labs(FIRST_OID, SECOND_OID)))
    assert sent(sandbox3, "POST", IMPORTS) == 0


def test_a_closed_event_stops_everything(sandbox3: Sandbox, task: Task, labs: Callable[..., str]) -> None:
    schedule_baseline(sandbox3)
    sandbox3.set_status("event", participant=FIRST, event="SE_BASELINE", status="stopped")
    with pytest.raises(AirflowFailException, match="stopped"):
        task.run(importing(labs()))
    assert sent(sandbox3, "POST", IMPORTS) == 0


def test_a_success_that_stored_nothing_fails(sandbox3: Sandbox, task: Task, labs: Callable[..., str]) -> None:
    schedule_baseline(sandbox3)
    sandbox3.lose()
    with pytest.raises(AirflowFailException, match="6 of 6 values were called a success") as caught:
        task.run(importing(labs()))
    assert nothing_leaked(str(caught.value))


def test_who_does_not_verify_believes_it(sandbox3: Sandbox, task: Task, labs: Callable[..., str]) -> None:
    schedule_baseline(sandbox3)
    sandbox3.lose()
    assert task.run(importing(labs(), verify=False))["lost"] == 0


@pytest.mark.parametrize("comment", ["two&#10;lines &#9; of it", "\u00b5 \U0001f600 &amp; &lt;x&gt;"])
def test_a_value_of_any_characters_is_read_back_as_it_was_sent(
    sandbox3: Sandbox, task: Task, tmp_path: Path, comment: str
) -> None:
    schedule_baseline(sandbox3)
    path = tmp_path / "labs.xml"
    path.write_text(labs3().replace(COMMENT, comment))
    assert (task.run(importing(str(path)))["lost"], task.run(importing(str(path)))["unchanged"]) == (0, 1)


def test_a_participant_who_is_not_there_is_told_by_the_line(
    sandbox3: Sandbox, task: Task, labs: Callable[..., str]
) -> None:
    with pytest.raises(ServerUnavailableError, match="in line 3") as caught:
        task.run(importing(labs("SS_NOBODY")))
    assert "SS_NOBODY" not in str(caught.value)
    assert sent(sandbox3, "POST", IMPORTS) == 0


@pytest.mark.parametrize("kind", ["drop_after", "cut_body"])
def test_an_import_whose_answer_is_lost_is_looked_up(
    sandbox3: Sandbox, task: Task, labs: Callable[..., str], kind: str
) -> None:
    schedule_baseline(sandbox3)
    sandbox3.fault(kind, path=IMPORTS)
    assert task.run(importing(labs()))["sent"] == 1
    assert sent(sandbox3, "POST", IMPORTS) == 1


def test_an_import_that_never_arrived_is_sent_by_the_retry(
    sandbox3: Sandbox, task: Task, labs: Callable[..., str]
) -> None:
    schedule_baseline(sandbox3, FIRST, SECOND)
    sandbox3.fault("delay", path=IMPORTS)  # the first arrives
    sandbox3.fault("drop_before", path=IMPORTS)
    with pytest.raises(ServerUnavailableError, match="not all of its data") as caught:
        task.run(importing(labs(FIRST_OID, SECOND_OID)))
    assert nothing_leaked(str(caught.value))
    assert task.run(importing(labs(FIRST_OID, SECOND_OID)))["unchanged"] == 1


def test_a_refused_import_fails_and_is_told_in_a_file_of_its_own(
    sandbox3: Sandbox, task: Task, labs: Callable[..., str], tmp_path: Path, told: Any
) -> None:
    schedule_baseline(sandbox3)
    log = tmp_path / "log" / "said.jsonl"
    told()
    with pytest.raises(AirflowFailException, match="1 of 1 requests were refused") as caught:
        task.run(importing(labs(value="much-8820"), log_uri=str(log)))
    (line,) = map(json.loads, log.read_text().splitlines())
    assert line["subject_key"] == FIRST_OID
    assert not line["succeeded"]
    assert log.stat().st_mode & 0o077 == 0
    assert "much-8820" not in str(caught.value) + told()
    assert str(log) in str(caught.value)


def test_a_form_that_upsert_on_keeps_out_is_counted(sandbox3: Sandbox, task: Task, labs: Callable[..., str]) -> None:
    schedule_baseline(sandbox3)
    task.run(importing(labs()))
    result = task.run(importing(labs(value="9.0"), upsert_on=["not_started", "data_entry_started"]))
    assert (result["sent"], result["filtered"], result["failed"], result["lost"]) == (1, 1, 0, 0)


def test_another_version_of_a_stored_form_is_refused_unless_it_is_wanted(
    sandbox3: Sandbox, task: Task, tmp_path: Path
) -> None:
    schedule_baseline(sandbox3)
    file = tmp_path / "vitals.xml"

    def vitals(version: str, value: str) -> str:
        file.write_text(
            f'<ODM><ClinicalData StudyOID="S_JUNO"><SubjectData SubjectKey="{FIRST_OID}">'
            f'<StudyEventData StudyEventOID="SE_BASELINE"><FormData FormOID="{version}">'
            f'<ItemGroupData ItemGroupOID="IG_VITALS_MAIN"><ItemData ItemOID="I_VITALS_PULSE" Value="{value}"/>'
            "</ItemGroupData></FormData></StudyEventData></SubjectData></ClinicalData></ODM>"
        )
        return str(file)

    task.run(importing(vitals("F_VITALS_2", "72")))
    with pytest.raises(AirflowFailException, match="allow_migration"):
        task.run(importing(vitals("F_VITALS_1", "74")))
    assert sent(sandbox3, "POST", IMPORTS) == 1
    assert task.run(importing(vitals("F_VITALS_1", "74"), allow_migration=True))["lost"] == 0


def test_an_import_that_the_server_breaks_over_is_told_by_its_line(
    sandbox3: Sandbox, task: Task, labs: Callable[..., str]
) -> None:
    schedule_baseline(sandbox3)
    body = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Server'
        "</faultcode><faultstring>For input string: much-8820</faultstring></s:Fault></s:Body></s:Envelope>"
    )
    sandbox3.fault("status", path=IMPORTS, status=500, body=body, headers={"Content-Type": "text/xml"})
    with pytest.raises(AirflowFailException, match="participant in line 3") as caught:
        task.run(importing(labs()))
    assert "much-8820" not in str(caught.value)


def test_a_killed_import_stops_before_its_next_request(
    sandbox3: Sandbox, task: Task, labs: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_baseline(sandbox3)
    operator = importing(labs())
    operator.on_kill()  # before it has begun: nothing to stop
    monkeypatch.setattr(Importing, "check", lambda *_: operator.on_kill())
    with pytest.raises(WaitInterruptedError):
        task.run(operator)
    assert sent(sandbox3, "POST", IMPORTS) == 0
    assert sent(sandbox3, "GET", "/j_spring_security_logout") == 1


def test_a_killed_import_waits_no_longer_for_a_server_that_is_down(
    sandbox3: Sandbox, task: Task, labs: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = importing(labs())
    sandbox3.fault("status", path="*", status=503, times=None)
    monkeypatch.setattr(Tries, "wait", lambda *_: operator.on_kill() or operator.sleep(60))  # type: ignore[func-returns-value]
    with pytest.raises(WaitInterruptedError, match="The next try goes on"):
        task.run(operator)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param({"odm_uri": ""}, "odm_uri", id="no-file"),
        pytest.param({"odm_uri": "/nowhere/labs.xml"}, "cannot be opened", id="no-such-file"),
        pytest.param({"upsert_on": []}, "upsert_on", id="no-upsert"),
        pytest.param({"upsert_on": "not_started"}, "upsert_on", id="a-text"),
        pytest.param({"upsert_on": ["always"]}, "upsert_on", id="an-unknown-one"),
        pytest.param({"odm_uri": "empty"}, "holds no form", id="an-empty-document"),
    ],
)
def test_a_bad_argument_is_told_before_anything_is_sent(
    sandbox3: Sandbox, task: Task, labs: Callable[..., str], tmp_path: Path, arguments: dict[str, Any], said: str
) -> None:
    (tmp_path / "empty.xml").write_text("<ODM/>")
    given = {"odm_uri": labs()} | arguments
    if given["odm_uri"] == "empty":
        given["odm_uri"] = str(tmp_path / "empty.xml")
    with pytest.raises(Exception, match=said):
        task.run(importing(**given))
    assert sandbox3.requests() == []


def test_a_participant_is_enrolled(sandbox3: Sandbox, task: Task, person: str, told: Any) -> None:
    result = task.run(creating(person, enrollment_date=date(2026, 5, 1)))
    assert result["participant_id"] == NEW
    assert result["created"]
    assert BIRTHDAY not in told() + json.dumps(result)
    assert NEW in [one["participant"] for one in sandbox3.participants()]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"study_oid": ""}, "study_oid"),
        ({"participant_id": ""}, "participant_id"),
        ({"participant_id": "*"}, "participant_id"),
        ({"participant_id": "x" * 31}, "30 characters"),
        ({"participant_id": "<b>"}, "holds <"),
        ({"enrollment_date": "01.05.2026"}, "enrollment_date"),
        ({"enrollment_date": ""}, "enrollment_date"),
        ({"enrollment_date": "2026-05-01 09:30"}, "a day only"),
        ({"if_exists": "maybe"}, "if_exists"),
        ({"person_uri": "{folder}/text.json"}, "no JSON object"),
        ({"person_uri": "{folder}/names.json"}, "1 names"),
    ],
)
def test_a_bad_participant_is_told_before_anything_is_sent(
    sandbox3: Sandbox, task: Task, tmp_path: Path, person: str, arguments: dict[str, Any], said: str
) -> None:
    (tmp_path / "text.json").write_text("no")
    (tmp_path / "names.json").write_text('{"birthday": "1951-03-04"}')
    given = {name: value.format(folder=tmp_path) for name, value in arguments.items()}
    with pytest.raises(AirflowFailException, match=said) as caught:
        task.run(creating(given.pop("person_uri", person), **given))
    assert BIRTHDAY not in str(caught.value)
    assert sandbox3.requests() == []


def test_a_visit_is_scheduled(sandbox3: Sandbox, task: Task, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    result = task.run(scheduling(event_start_date="2026-05-01 09:30", event_end_date=date(2026, 5, 2)))
    assert result == {
        "participant_id": FIRST,
        "study_event_oid": "SE_FOLLOWUP",
        "study_event_repeat_key": "1",
        "start_date": "2026-05-01",
        "event_status": "scheduled",
        "created": True,
    }
    assert nothing_leaked(caplog.text)


def test_a_retry_schedules_no_second_visit_and_a_clearing_does(sandbox3: Sandbox, task: Task) -> None:
    task.run(scheduling())
    task.ti.retry()
    task.run(scheduling())
    assert len(sandbox3.events()) == 1
    task.ti.clear()
    task.run(scheduling())
    assert len(sandbox3.events()) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"event_start_date": ""}, "event_start_date"),
        ({"event_start_date": "2026-05-01T09:30:00"}, "event_start_date"),
        ({"event_end_date": "2026-04-01"}, "before event_start_date"),
        ({"study_event_oid": "SE_X[2]"}, "study_event_oid"),
        ({"participant_id": ""}, "participant_id"),
        ({"if_exists": ""}, "if_exists"),
    ],
)
def test_a_bad_visit_is_told_before_anything_is_sent(
    sandbox3: Sandbox, task: Task, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(AirflowFailException, match=said):
        task.run(scheduling(**arguments))
    assert sandbox3.requests() == []

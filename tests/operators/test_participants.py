"""Participants added, updated and listed, against a running OpenClinica in both dialects."""

from __future__ import annotations

import json
import sqlite3
import sys
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, BaseHook

from airflow_provider_openclinica.errors import ConfigurationError, FileUnavailableError, JobFailedError
from airflow_provider_openclinica.hooks.openclinica import OpenClinicaHook
from airflow_provider_openclinica.operators.participants import (
    OpenClinicaBulkParticipantsOperator,
    OpenClinicaListParticipantsOperator,
    OpenClinicaParticipantOperator,
    site_and_participant,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow.providers.common.sql.hooks.sql import DbApiHook

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task

    WriteCsv = Callable[..., str]
    Database = Callable[..., str]

pytestmark = pytest.mark.usefixtures("openclinica_conn")

both_modes = pytest.mark.parametrize("deferrable", [False, True], ids=["in-the-worker", "deferred"])
source_only = pytest.mark.parametrize("dialect", ["source"])
docs_only = pytest.mark.parametrize("dialect", ["docs"])
HEADER = "ParticipantID,FirstName,LastName,EmailAddress,MobileNumber"
#: Contact data that stand nowhere else.
PERSON = ("Zorrina", "Quetzal", "zorrina@example.org", "+49 3017239871")
SECRETS = (*PERSON, "N-001", "SS_N001")


def adding(csv_uri: str | None = None, **options: Any) -> OpenClinicaBulkParticipantsOperator:
    usual: dict[str, Any] = {"study_oid": "S_JUNO", "site_oid": "S_BOSTON", "poll_interval": 0.05}
    return OpenClinicaBulkParticipantsOperator(task_id="people", csv_uri=csv_uri, **usual | options)


def adding_one(participant_id: str, **options: Any) -> OpenClinicaParticipantOperator:
    usual: dict[str, Any] = {"study_oid": "S_JUNO", "site_oid": "S_BOSTON"}
    return OpenClinicaParticipantOperator(task_id="person", participant_id=participant_id, **usual | options)


def fails(task: Task, operator: Any) -> str:
    with pytest.raises(AirflowFailException) as caught:
        task.run(operator)
    return str(caught.value)


def posts(sandbox: Sandbox) -> list[str]:
    return [request["path"] for request in sandbox.requests() if request["method"] == "POST"]


def person(sandbox: Sandbox, participant_id: str) -> dict[str, Any]:
    (found,) = [who for who in sandbox.participants() if who["participant"] == participant_id]
    return found


@pytest.fixture
def write_csv(tmp_path: Path) -> WriteCsv:
    """Write lines as a file below the usual header, and return its path."""

    def write(*lines: str, header: str = HEADER) -> str:
        path = tmp_path / "people.csv"
        path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Make a table of people, and have Airflow find a hook of its database; no provider of one is installed."""
    sql = pytest.importorskip("airflow.providers.common.sql.hooks.sql")
    path = tmp_path / "ctms.db"

    class SqliteHook(sql.DbApiHook):  # type: ignore[misc, name-defined]
        conn_name_attr = "sqlite_conn_id"

        def get_conn(self) -> sqlite3.Connection:
            return sqlite3.connect(path)

    def get_hook(conn_id: str) -> DbApiHook:
        assert conn_id == "ctms"
        hook: DbApiHook = SqliteHook()
        return hook

    def fill(*rows: tuple[Any, ...]) -> str:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE people (ParticipantID, FirstName, LastName, EmailAddress, MobileNumber)")
            connection.executemany("INSERT INTO people VALUES (?, ?, ?, ?, ?)", rows)
        return "ctms"

    monkeypatch.setattr(BaseHook, "get_hook", get_hook)
    return fill


@both_modes
def test_participants_are_added_and_updated_from_a_file(
    sandbox: Sandbox, dialect: str, task: Task, write_csv: WriteCsv, tmp_path: Path, deferrable: bool
) -> None:
    phone_column = "phoneNumber" if dialect == "docs" else "MobileNumber"
    csv_uri = write_csv(f'N-001,"{PERSON[0]}",{PERSON[1]},{PERSON[2]},{PERSON[3]}', "BOS-001,,,,", "")
    operator = adding(csv_uri, phone_column=phone_column, log_uri=f"{tmp_path}/log/", deferrable=deferrable)

    result = task.run(operator)

    assert result["job_type"] == "BULK_ADD_PARTICIPANTS"
    assert result["outcomes"] == {"Success": 2}
    assert (result["rows_sent"], result["rows_logged"], result["rows_failed"]) == (2, 2, 0)
    added = person(sandbox, "N-001")
    assert tuple(added[name] for name in ("firstName", "lastName", "emailAddress", "phoneNumber")) == PERSON
    assert added["site"] == "S_BOSTON"


@both_modes
def test_names_and_addresses_are_in_no_log_xcom_or_state(
    task: Task,
    write_csv: WriteCsv,
    tmp_path: Path,
    deferrable: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    operator = adding(
        write_csv(f"N-001,{','.join(PERSON)}"),
        phone_column="phoneNumber",
        deferrable=deferrable,
        log_uri=f"{tmp_path}/log/",
    )
    result = task.run(operator)
    rendered = [str(getattr(operator, name)) for name in operator.template_fields]
    seen = "".join([caplog.text, json.dumps(result), json.dumps(task.ti.xcoms), repr(task.store), *rendered])
    assert [secret for secret in SECRETS if secret in seen] == []


@source_only
def test_more_than_a_server_reads_goes_in_several_files(
    sandbox: Sandbox, task: Task, write_csv: WriteCsv, tmp_path: Path
) -> None:
    lines = [f"N-{number:04},{','.join(PERSON)}" for number in range(400)]
    result = task.run(adding(write_csv(*lines), log_uri=f"{tmp_path}/log.csv"))
    assert len(result["jobs"]) == len(sandbox.jobs()) == 3
    assert (result["rows_sent"], result["outcomes"]) == (400, {"Success": 400})
    assert sorted(path.name for path in tmp_path.glob("log*")) == ["log.2.csv", "log.3.csv", "log.csv"]


@source_only
def test_a_row_that_openclinica_refuses_fails_the_task_and_lies_beside_the_log(
    task: Task, write_csv: WriteCsv, tmp_path: Path
) -> None:
    message = fails(task, adding(write_csv("N-001,,,,", "BOS-007,,,,"), log_uri=f"{tmp_path}/log.csv"))
    assert "1 of 2 rows failed: 1 participantIDNotAvailable" in message
    assert "BOS-007" not in message
    assert "2,BOS-007,," in (tmp_path / "log.failed.csv").read_text()


def test_a_row_that_the_log_passes_over_fails_the_task(
    sandbox: Sandbox, task: Task, write_csv: WriteCsv, tmp_path: Path
) -> None:
    sandbox.fate("lost_rows")
    message = fails(task, adding(write_csv("N-001,,,,", "N-002,,,,"), log_uri=f"{tmp_path}/log.csv"))
    assert "1 of 2 rows sent have no row in the log" in message
    assert "2,,,,Lost," in (tmp_path / "log.failed.csv").read_text()


def test_all_that_is_wrong_with_a_file_is_told_at_once_and_nobody_is_asked(
    sandbox: Sandbox, task: Task, write_csv: WriteCsv
) -> None:
    secret = "Zorrina"
    csv_uri = write_csv(
        f"N-001,{secret}{30 * 'x'},,,",
        f"N-002,,,{secret},{secret}",
        f"{30 * 'x'}{secret},,,,",
        ",,,,",
        f",{secret},,,",
        "n-001,,,,",
    )
    message = fails(task, adding(csv_uri))
    assert csv_uri in message
    for problem in (
        "line 2, column FirstName: is longer than 35 characters",
        "line 3, column EmailAddress: is no e-mail address",
        "line 3, column MobileNumber: is not written as",
        "line 4, column ParticipantID: is longer than 30 characters",
        "line 6, column ParticipantID: is empty",
        "line 7, column ParticipantID: is the same as in line 2",
    ):
        assert problem in message
    assert secret not in message
    assert sandbox.requests() == []


@pytest.mark.parametrize(
    ("participant_id", "reason"),
    [("bos-001", "only in letter case"), ("lei-001", "only in letter case"), ("LEI-001", "elsewhere in the study")],
    ids=["another-case-here", "another-case-elsewhere", "one-of-another-site"],
)
def test_somebody_elses_id_is_refused_before_anything_is_sent(
    sandbox: Sandbox, task: Task, write_csv: WriteCsv, participant_id: str, reason: str
) -> None:
    before = sandbox.participants()
    message = fails(task, adding(write_csv("N-001,,,,", f"{participant_id},,,,")))
    assert "line 3, column ParticipantID" in message
    assert reason in message
    assert participant_id not in message
    assert sandbox.jobs() == []
    assert sandbox.participants() == before

    assert reason in fails(task, adding_one(participant_id))
    assert sandbox.participants() == before


def test_an_account_of_one_site_has_its_ids_compared_with_that_site(
    sandbox: Sandbox,
    task: Task,
    write_csv: WriteCsv,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection = {"conn_type": "openclinica", "host": sandbox.study_url, "login": "crc_boston", "password": "sandbox"}
    connection["extra"] = json.dumps({"auth_url": sandbox.auth_url})
    monkeypatch.setenv("AIRFLOW_CONN_OPENCLINICA_DEFAULT", json.dumps(connection))
    assert task.run(adding(write_csv("N-001,,,,")))["outcomes"] == {"Success": 1}
    assert "compared with those of S_BOSTON only" in caplog.text
    assert "only in letter case" in fails(task, adding_one("bos-001"))


@source_only
def test_who_is_there_is_asked_once_however_often_the_task_resumes(
    sandbox: Sandbox, task: Task, write_csv: WriteCsv
) -> None:
    lines = [f"N-{number:04},{','.join(PERSON)}" for number in range(300)]
    result = task.run(adding(write_csv(*lines), deferrable=True))
    assert len(result["jobs"]) == 3
    lists = [request["path"] for request in sandbox.requests() if request["path"].endswith("/participants")]
    assert len(lists) == 2  # the site's and the study's


@source_only
def test_the_same_file_is_judged_again_by_a_retry_and_sent_again_once_somebody_clears_the_task(
    sandbox: Sandbox, task: Task, write_csv: WriteCsv
) -> None:
    operator = adding(write_csv("N-001,,,,"))
    result = task.run(operator)
    task.ti.retry()
    assert task.run(operator)["jobs"] == result["jobs"]
    assert len(sandbox.jobs()) == 1
    task.ti.clear()
    assert task.run(operator)["outcomes"] == {"Success": 1}
    assert len(sandbox.jobs()) == 2


@source_only  # a server without a job list cannot tell a failed job from one whose log is gone
@both_modes
def test_a_failed_job_is_sent_again_by_a_retry(
    sandbox: Sandbox, task: Task, write_csv: WriteCsv, deferrable: bool
) -> None:
    sandbox.fate("failed")
    operator = adding(write_csv("N-001,,,,", "N-002,,,,"), deferrable=deferrable)
    with pytest.raises(JobFailedError):
        task.run(operator)
    task.ti.retry()
    assert task.run(operator)["outcomes"] == {"Success": 2}
    assert len(sandbox.jobs()) == 2


@both_modes
def test_participants_come_from_a_query(sandbox: Sandbox, task: Task, database: Database, deferrable: bool) -> None:
    sql_conn_id = database(("N-001", *PERSON), ("N-002", None, "", None, None))
    sql = 'SELECT ParticipantID AS participantid, FirstName AS "FIRSTNAME", LastName FROM people ORDER BY 1'
    result = task.run(adding(sql=sql, sql_conn_id=sql_conn_id, deferrable=deferrable))
    assert result["outcomes"] == {"Success": 2}
    assert person(sandbox, "N-001")["firstName"] == PERSON[0]
    assert person(sandbox, "N-001")["emailAddress"] is None


def test_what_is_wrong_with_a_query_is_told_by_line_and_not_by_value(
    sandbox: Sandbox, task: Task, database: Database
) -> None:
    sql_conn_id = database(("N-001", *PERSON), ("N-002", "Zorrina, M", "", "Zorrina", None))
    message = fails(task, adding(sql="SELECT * FROM people", sql_conn_id=sql_conn_id))
    assert "the result of the query (its first row is line 2), line 3, column FirstName: holds a comma" in message
    assert "column EmailAddress" in message
    assert "Zorrina" not in message
    assert sandbox.requests() == []


def test_a_database_that_fails_is_no_leak(task: Task, database: Database) -> None:
    operator = adding(sql="SELECT Zorrina FROM nowhere", sql_conn_id=database())
    with pytest.raises(FileUnavailableError, match=r"query on ctms failed \(OperationalError\)") as caught:
        task.run(operator)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "Zorrina" not in str(caught.value)


def test_without_the_package_for_databases_the_message_names_it(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow.providers.common.sql.hooks.sql", None)
    assert "apache-airflow-providers-common-sql" in fails(task, adding(sql="SELECT 1", sql_conn_id="ctms"))


def test_a_connection_of_no_database_is_refused(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BaseHook, "get_hook", lambda _: OpenClinicaHook())
    assert "ctms is of no database" in fails(task, adding(sql="SELECT 1", sql_conn_id="ctms"))


def test_a_statement_without_rows_is_no_query(task: Task, database: Database) -> None:
    assert "it returns no rows" in fails(task, adding(sql="CREATE TABLE t (x)", sql_conn_id=database()))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"csv_uri": "people.csv", "sql": "SELECT 1", "sql_conn_id": "ctms"},
        {"sql": "SELECT 1"},
        {"csv_uri": "people.csv", "sql_conn_id": "ctms"},
        {"csv_uri": "people.csv", "phone_column": "a,b"},
        {"csv_uri": "people.csv", "max_characters": 0},
    ],
    ids=lambda options: "-".join(options) or "nothing",
)
def test_arguments_that_cannot_go_together_are_refused_when_the_dag_is_read(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        adding(**options)


def test_an_export_of_nobody_is_a_quiet_night_and_one_without_a_header_a_broken_file(
    sandbox: Sandbox, task: Task, write_csv: WriteCsv, caplog: pytest.LogCaptureFixture
) -> None:
    result = task.run(adding(write_csv()))
    assert (result["job_type"], result["status"], result["rows_sent"]) == ("BULK_ADD_PARTICIPANTS", "finished", 0)
    assert "no participants below the header" in caplog.text

    assert "the header has no column ParticipantID" in fails(task, adding(write_csv(header="")))
    assert sandbox.requests() == []


@pytest.mark.parametrize("empty", ["study_oid", "participant_id", "contact_uri"])
def test_an_argument_for_one_that_renders_to_nothing_is_refused(sandbox: Sandbox, task: Task, empty: str) -> None:
    assert empty in fails(task, adding_one(**{"participant_id": "N-001", empty: ""}))
    assert sandbox.requests() == []


def test_a_list_of_no_study_is_refused(sandbox: Sandbox, task: Task) -> None:
    assert "study_oid is empty" in fails(task, listing(study_oid=""))
    assert sandbox.requests() == []


@pytest.mark.parametrize("empty", ["study_oid", "site_oid"])
def test_an_argument_that_renders_to_nothing_is_refused(
    sandbox: Sandbox, task: Task, write_csv: WriteCsv, empty: str
) -> None:
    assert f"{empty} is empty" in fails(task, adding(write_csv("N-001,,,,"), **{empty: " "}))
    assert sandbox.requests() == []


@pytest.fixture
def contact(tmp_path: Path) -> str:
    path = tmp_path / "contact.json"
    path.write_text(
        json.dumps(dict(zip(("firstName", "lastName", "emailAddress", "phoneNumber"), PERSON, strict=True)))
    )
    return str(path)


def test_one_participant_is_added_and_then_updated(
    sandbox: Sandbox, task: Task, contact: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    first = task.run(adding_one("N-001", contact_uri=contact, register=True))
    again = task.run(adding_one("N-001", contact_uri=contact, register=True))
    assert first["participant_id"] == "N-001"
    assert first["participant_oid"] == again["participant_oid"] == person(sandbox, "N-001")["oid"]
    assert set(first) == {"participant_id", "participant_oid", "status", "participate_status"}
    assert person(sandbox, "N-001")["firstName"] == PERSON[0]
    assert [secret for secret in SECRETS if secret in caplog.text] == []
    assert [secret for secret in PERSON if secret in json.dumps(first)] == []


def test_one_participant_needs_no_contact_data(sandbox: Sandbox, task: Task) -> None:
    task.run(adding_one("N-001"))
    assert person(sandbox, "N-001")["site"] == "S_BOSTON"


@pytest.mark.parametrize(
    ("participant_id", "reason"),
    [(" ", "is empty"), ("x" * 31, "is longer than 30"), ("N<1", "holds < or >")],
)
def test_an_id_that_openclinica_does_not_take_is_refused_here(
    sandbox: Sandbox, task: Task, participant_id: str, reason: str
) -> None:
    assert reason in fails(task, adding_one(participant_id))
    assert sandbox.requests() == []


def test_contact_data_that_openclinica_does_not_take_are_refused_here(
    sandbox: Sandbox, task: Task, tmp_path: Path
) -> None:
    path = tmp_path / "contact.json"
    path.write_text('{"emailAddress": "Zorrina", "phone": "Zorrina"}')
    message = fails(task, adding_one("N-001", contact_uri=str(path)))
    assert "column emailAddress: is no e-mail address" in message
    assert "a name is none of firstName" in message
    assert "Zorrina" not in message
    assert sandbox.requests() == []


@source_only
def test_a_server_that_does_not_add_at_the_study_says_so_clearly(task: Task) -> None:
    assert "this server does not offer the call" in fails(task, adding_one("N-001", site_oid=None))


@docs_only
def test_a_participant_of_the_study_itself_is_added_where_the_server_has_that(sandbox: Sandbox, task: Task) -> None:
    assert task.run(adding_one("N-001", site_oid=None))["participant_id"] == "N-001"


def test_a_removed_participant_is_not_updated(task: Task) -> None:
    assert "removed" in fails(task, adding_one("BOS-007"))


def listing(**options: Any) -> OpenClinicaListParticipantsOperator:
    return OpenClinicaListParticipantsOperator(task_id="list", **{"study_oid": "S_JUNO"} | options)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 11),
        ({"include_removed": True}, 12),
        ({"site_oid": "S_LEIDEN"}, 5),
        ({"site_oid": ""}, 11),
        ({"changed_since": "2000-01-01"}, 11),
        ({"changed_since": "2100-01-01T00:00:00+00:00"}, 0),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else str(value),
)
def test_participants_are_listed_and_filtered(task: Task, options: dict[str, Any], count: int) -> None:
    listed = task.run(listing(**options))
    assert len(listed) == count
    keys = {"participant_id", "participant_oid", "status", "site_oid"}
    assert all(set(participant) == keys for participant in listed)
    assert {participant["site_oid"] for participant in listed} <= {options.get("site_oid") or None}


def test_on_request_a_list_of_the_study_tells_who_is_at_which_site(sandbox: Sandbox, task: Task) -> None:
    listed = task.run(listing(by_site=True, include_removed=True))

    found = {participant["participant_id"]: participant["site_oid"] for participant in listed}
    assert found == {person["participant"]: person["site"] for person in sandbox.participants()}
    assert site_and_participant(listed[0]) == {
        "site_oid": listed[0]["site_oid"],
        "participant_id": listed[0]["participant_id"],
    }


@pytest.mark.parametrize("options", [{"site_oid": "S_BOSTON"}, {"changed_since": "2100-01-01"}], ids=str)
def test_sites_are_not_asked_where_they_tell_nothing(sandbox: Sandbox, task: Task, options: dict[str, str]) -> None:
    task.run(listing(by_site=True, **options))

    assert len([call for call in sandbox.requests() if "/clinicaldata/" in call["path"]]) == 1


@pytest.mark.parametrize("dialect", ["docs"])
def test_somebody_at_no_site_is_listed_without_one(task: Task) -> None:
    task.run(adding_one("N-001", site_oid=None))

    sites = {participant["participant_id"]: participant["site_oid"] for participant in task.run(listing(by_site=True))}
    assert sites["N-001"] is None


def test_only_those_who_changed_are_listed(task: Task) -> None:
    everybody = task.run(listing())
    task.run(adding_one("N-001"))
    assert len(task.run(listing())) == len(everybody) + 1


def test_a_time_that_is_none_is_refused(sandbox: Sandbox, task: Task) -> None:
    assert "changed_since is no time" in fails(task, listing(changed_since="yesterday"))
    assert sandbox.requests() == []

"""Changes of one event: checked against what is there, and losing nothing that the server would forget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.engine.occurrences import Occurrence, day_and_time
from airflow_provider_openclinica.engine.visits import VisitChange, VisitRecord, change, schedule
from airflow_provider_openclinica.errors import FileError, NotAvailableError, NotFoundError
from tests.engine.visits import EVENTS, sent, store_event, there, visit

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.sandbox.server import Sandbox

docs_only = pytest.mark.parametrize("dialect", ["docs"])
source_only = pytest.mark.parametrize("dialect", ["source"])


def changed(event: str = "SE_FOLLOWUP", key: str = "1", participant: str = "BOS-001", **wanted: str) -> VisitChange:
    return VisitChange(
        study_oid="S_JUNO",
        site_oid="S_BOSTON",
        participant_id=participant,
        study_event_oid=event,
        repeat_key=key,
        **wanted,
    )


def test_a_status_is_changed_and_told_in_one_spelling(client: OpenClinicaClient, sandbox: Sandbox) -> None:
    schedule(client, visit(), VisitRecord(None))

    outcome = change(client, changed(status="data entry started"))

    assert (outcome.event_status, outcome.start_date) == ("data entry started", "2026-05-01")
    assert [each["status"] for each in sandbox.events()] == ["DATA_ENTRY_STARTED"]


def test_dates_are_changed_and_what_is_not_named_stays(client: OpenClinicaClient, sandbox: Sandbox) -> None:
    schedule(client, visit(end_date="2026-05-03"), VisitRecord(None))

    outcome = change(client, changed(start_date="2026-05-02"))

    assert (outcome.start_date, outcome.end_date) == ("2026-05-02", "2026-05-03")
    assert there(sandbox) == [("SE_FOLLOWUP", 1, "2026-05-02")]


def test_a_common_event_can_change_its_status(client: OpenClinicaClient, sandbox: Sandbox) -> None:
    store_event(sandbox, "SE_AE", start_date="")
    assert change(client, changed("SE_AE", status="skipped")).event_status == "skipped"


@pytest.mark.parametrize("more", [{}, {"status": "skipped"}], ids=["dates-only", "with-a-status"])
def test_dates_that_the_server_passes_over_are_no_success(
    client: OpenClinicaClient, sandbox: Sandbox, more: dict[str, str]
) -> None:
    store_event(sandbox, "SE_AE", start_date="")
    with pytest.raises(NotAvailableError, match="left the dates of event SE_AE as they are") as caught:
        change(client, changed("SE_AE", end_date="2026-05-01", **more))
    assert "BOS-" not in str(caught.value)


@docs_only
def test_times_of_day_outlive_a_change_of_the_status(client: OpenClinicaClient, sandbox: Sandbox) -> None:
    store_event(sandbox, start_date="2026-05-01 09:30", end_date="2026-05-01 11:00")

    change(client, changed(status="skipped"))

    (event,) = sandbox.events()
    assert (event["status"], event["start"], event["end"]) == ("SKIPPED", "2026-05-01 09:30", "2026-05-01 11:00")
    assert sent(sandbox, "PUT") == 1


@source_only
def test_where_the_server_takes_no_times_the_change_is_made_and_the_loss_is_told(
    client: OpenClinicaClient, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    store_event(sandbox, start_date="2026-05-01 09:30")

    change(client, changed(status="skipped"))

    (event,) = sandbox.events()
    assert (event["status"], event["start"]) == ("SKIPPED", "2026-05-01")
    assert "midnight from now on" in caplog.text
    assert "BOS-" not in caplog.text


@source_only
def test_a_time_that_was_asked_for_is_not_dropped_without_a_word(client: OpenClinicaClient, sandbox: Sandbox) -> None:
    store_event(sandbox, start_date="2026-05-01")
    with pytest.raises(FileError, match="invalidStartDate"):
        change(client, changed(start_date="2026-05-01 10:00"))


@pytest.mark.parametrize(
    "wanted",
    [
        changed(status="SCHEDULED"),
        changed(start_date="2026-05-01"),
        changed(start_date="2026-05-01", end_date="2026-05-02", status="scheduled"),
    ],
    ids=["status", "date", "all"],
)
def test_what_is_as_it_shall_be_is_left_alone(client: OpenClinicaClient, sandbox: Sandbox, wanted: VisitChange) -> None:
    schedule(client, visit(end_date="2026-05-02"), VisitRecord(None))
    assert change(client, wanted).event_status == "scheduled"
    assert sent(sandbox, "PUT") == 0


def test_a_change_whose_answer_is_lost_is_made_once_more(client: OpenClinicaClient, sandbox: Sandbox) -> None:
    schedule(client, visit(), VisitRecord(None))
    sandbox.fault("drop_after", method="PUT", path=EVENTS)
    assert change(client, changed(status="skipped")).event_status == "skipped"
    assert sent(sandbox, "PUT") == 2


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (changed(status="completed"), "is scheduled, and cannot become completed"),
        (changed(status="STOPPED"), "is scheduled, and cannot become stopped"),
    ],
)
def test_a_step_that_no_server_allows_is_refused_before_it_is_sent(
    client: OpenClinicaClient, sandbox: Sandbox, wanted: VisitChange, message: str
) -> None:
    schedule(client, visit(), VisitRecord(None))
    with pytest.raises(NotAvailableError, match=message) as caught:
        change(client, wanted)
    assert "BOS-" not in str(caught.value)
    assert sent(sandbox, "PUT") == 0


@pytest.mark.parametrize("flag", ["locked", "removed", "archived"])
def test_what_is_closed_is_not_changed(client: OpenClinicaClient, sandbox: Sandbox, flag: str) -> None:
    schedule(client, visit(), VisitRecord(None))
    sandbox.set_status("event", participant="BOS-001", event="SE_FOLLOWUP", **{flag: True})
    with pytest.raises(NotAvailableError, match=f"is {flag}"):
        change(client, changed(status="skipped"))
    assert sent(sandbox, "PUT") == 0


def test_what_is_locked_already_is_not_locked_again(client: OpenClinicaClient, sandbox: Sandbox) -> None:
    schedule(client, visit(), VisitRecord(None))
    sandbox.set_status("event", participant="BOS-001", event="SE_FOLLOWUP", locked=True)
    assert not change(client, changed(status="locked")).created
    assert sent(sandbox, "PUT") == 0


@pytest.mark.parametrize("event", ["SE_FOLLOWUP", "SE_BASELINE"])
def test_an_occurrence_that_is_not_there_is_not_another_one(
    client: OpenClinicaClient, sandbox: Sandbox, event: str
) -> None:
    schedule(client, visit(event), VisitRecord(None))
    with pytest.raises(NotFoundError, match="no occurrence 2"):
        change(client, changed(event, "2", status="skipped"))
    assert sent(sandbox, "PUT") == 0


@pytest.mark.parametrize("wanted", [changed(status="skipped"), changed("SE_NONE", status="skipped")])
def test_of_an_event_of_which_nothing_is_known_the_server_decides(
    client: OpenClinicaClient, sandbox: Sandbox, wanted: VisitChange
) -> None:
    with pytest.raises(NotFoundError):
        change(client, wanted)
    assert sent(sandbox, "PUT") == 1


@pytest.mark.parametrize(
    ("exported", "spelled"),
    [
        ("2026-05-01", "2026-05-01"),
        ("2026-05-01 00:00:00.0", "2026-05-01"),
        ("2026-05-01 09:30:00.0", "2026-05-01 09:30"),
        ("2026-05-01T09:30:00", "2026-05-01 09:30"),
        ("", ""),
        ("May", "May"),
    ],
)
def test_a_date_is_read_as_requests_spell_it(exported: str, spelled: str) -> None:
    assert day_and_time(exported) == spelled


@given(st.datetimes())
def test_a_date_that_was_read_reads_the_same_again(moment: Any) -> None:
    spelled = day_and_time(moment.isoformat(" "))
    assert day_and_time(spelled) == spelled
    assert Occurrence(repeat_key=1, start_date=spelled).begins(moment.isoformat())

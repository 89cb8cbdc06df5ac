"""One visit for one task, whatever happens between the call and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.engine.visits import Visit, VisitRecord, schedule
from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    ConfigurationError,
    FileError,
    NotFoundError,
    OpenClinicaError,
    RoleError,
    ServerUnavailableError,
    SubmissionChangedError,
    UnexpectedAnswerError,
)
from tests.engine.visits import EVENTS, sent, there, visit
from tests.exports import event, export
from tests.stores import DictStore, StoreOfALostWorker, WorkerLost

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.engine.visits import Outcome
    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.engine.conftest import ClientFor

docs_only = pytest.mark.parametrize("dialect", ["docs"])
KEY = "openclinica_visit"


def test_a_visit_is_scheduled_and_told_of(client: OpenClinicaClient, sandbox: Sandbox) -> None:
    outcome = schedule(client, visit("se_followup", end_date="2026-05-02"), VisitRecord(DictStore()))

    assert (outcome.study_event_oid, outcome.study_event_repeat_key) == ("SE_FOLLOWUP", "1")
    assert (outcome.start_date, outcome.end_date) == ("2026-05-01", "2026-05-02")
    assert (outcome.event_status, outcome.created) == ("scheduled", True)
    assert there(sandbox) == [("SE_FOLLOWUP", 1, "2026-05-01")]


def test_another_visit_comes_after_those_that_are_there(client: OpenClinicaClient, sandbox: Sandbox) -> None:
    for generation, day in enumerate(["2026-05-01", "2026-06-01", "2026-05-01"]):
        outcome = schedule(client, visit(start=day), VisitRecord(DictStore()))
        assert outcome.study_event_repeat_key == str(generation + 1)
    assert len(there(sandbox)) == 3


def test_a_retry_after_a_success_tells_the_same_and_asks_nothing(client: OpenClinicaClient, sandbox: Sandbox) -> None:
    store = DictStore()
    first = schedule(client, visit(), VisitRecord(store))
    asked = len(sandbox.requests())

    assert schedule(client, visit(), VisitRecord(store, is_first_try=False)) == first
    assert len(sandbox.requests()) == asked


def test_a_person_who_clears_the_task_gets_another_visit(client: OpenClinicaClient, sandbox: Sandbox) -> None:
    store = DictStore()
    schedule(client, visit(), VisitRecord(store, generation=0))
    again = schedule(client, visit(), VisitRecord(store, generation=1))

    assert again.study_event_repeat_key == "2"
    assert len(there(sandbox)) == 2


def test_a_visit_that_is_printed_names_nobody() -> None:
    assert "SE_FOLLOWUP" in repr(visit())
    assert "BOS-" not in repr(visit())


def test_what_is_kept_names_nobody(client: OpenClinicaClient) -> None:
    store = DictStore()
    schedule(client, visit(), VisitRecord(store))
    assert list(store.kept) == [KEY]
    assert "BOS-" not in store.kept[KEY]


LOST = [
    pytest.param({"kind": "drop_after"}, id="no-answer"),
    pytest.param({"kind": "cut_body", "size": 20}, id="half-an-answer"),
    pytest.param({"kind": "cut_body", "size": 0}, id="a-head-without-a-body"),
    pytest.param({"kind": "status", "status": 500, "processed": True}, id="500"),
    pytest.param({"kind": "status", "status": 504, "processed": True}, id="a-gateway-gave-up"),
    pytest.param({"kind": "status", "status": 200, "body": "{}", "processed": True}, id="an-empty-object"),
]


@pytest.mark.parametrize("store", [DictStore, lambda: None], ids=["with-a-store", "without"])
@pytest.mark.parametrize("fault", LOST)
def test_one_new_visit_on_our_day_is_ours_where_the_answer_is_lost(
    client: OpenClinicaClient, sandbox: Sandbox, fault: dict[str, Any], store: Any
) -> None:
    schedule(client, visit(), VisitRecord(None))
    sandbox.fault(**fault, method="POST", path=EVENTS)

    outcome = schedule(client, visit(), VisitRecord(store()))

    assert (outcome.study_event_repeat_key, outcome.created) == ("2", True)
    assert (outcome.start_date, outcome.event_status) == ("2026-05-01", "scheduled")
    assert len(there(sandbox)) == 2
    assert sent(sandbox, "POST") == 2


@pytest.mark.parametrize("kind", ["drop_before", "status"])
def test_no_new_visit_after_a_lost_answer_is_ambiguous(client: OpenClinicaClient, sandbox: Sandbox, kind: str) -> None:
    sandbox.fault(kind, method="POST", path=EVENTS, **({"status": 502} if kind == "status" else {}))
    store = DictStore()

    for _ in range(2):
        with pytest.raises(AmbiguousSubmitError, match="participant's events") as caught:
            schedule(client, visit(), VisitRecord(store))
        assert "BOS-" not in str(caught.value)
    assert sent(sandbox, "POST") == 1
    assert there(sandbox) == []


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([], id="none"),
        pytest.param(["2026-05-02"], id="one-on-another-day"),
        pytest.param(["2026-05-01", "2026-05-02"], id="two-of-which-one-is-on-our-day"),
        pytest.param(["2026-05-01", "2026-05-01"], id="two-on-our-day"),
    ],
)
def test_anything_but_one_new_visit_on_our_day_is_ambiguous(
    client: OpenClinicaClient, sandbox: Sandbox, others: list[str]
) -> None:
    schedule(client, visit(), VisitRecord(None))
    store = StoreOfALostWorker("after", "submitting")
    with pytest.raises(WorkerLost):
        schedule(client, visit(), VisitRecord(store))
    for day in others:
        schedule(client, visit(start=day), VisitRecord(None))

    with pytest.raises(AmbiguousSubmitError):
        schedule(client, visit(), VisitRecord(store, is_first_try=False))
    assert len(there(sandbox)) == 1 + len(others)


POINTS = [
    pytest.param("before", "submitting", 1, id="before-anything"),
    pytest.param("after", "submitting", 0, id="before-the-visit-is-asked-for"),
    pytest.param("before", "submitted", 1, id="before-its-key-is-written-down"),
    pytest.param("after", "submitted", 1, id="before-it-returns"),
]


@pytest.mark.parametrize("has_store", [True, False], ids=["with-a-store", "without"])
@pytest.mark.parametrize(("when", "phase", "visits"), POINTS)
def test_wherever_a_worker_dies_there_is_at_most_one_visit(
    client: OpenClinicaClient, sandbox: Sandbox, when: str, phase: str, visits: int, has_store: bool
) -> None:
    store = StoreOfALostWorker(when, phase)
    with pytest.raises(WorkerLost):
        schedule(client, visit(), VisitRecord(store))
    was_sent = sent(sandbox, "POST") == 1

    retry = VisitRecord(store if has_store else None, is_first_try=False)
    nobody_can_tell = was_sent if not has_store else visits == 0
    if nobody_can_tell:
        with pytest.raises(AmbiguousSubmitError):
            schedule(client, visit(), retry)
    else:
        assert schedule(client, visit(), retry).study_event_repeat_key == "1"
    assert len(there(sandbox)) <= 1


def test_while_nobody_can_look_the_retry_has_to(client: OpenClinicaClient, sandbox: Sandbox) -> None:
    store = DictStore()
    answer_is_lost_and_the_server_away(sandbox)

    with pytest.raises(ServerUnavailableError) as caught:
        schedule(client, visit(), VisitRecord(store))
    assert caught.value.retry
    assert schedule(client, visit(), VisitRecord(store, is_first_try=False)).study_event_repeat_key == "1"
    assert len(there(sandbox)) == 1


def test_while_nobody_can_look_and_nothing_is_kept_it_is_ambiguous(client: OpenClinicaClient, sandbox: Sandbox) -> None:
    answer_is_lost_and_the_server_away(sandbox)

    with pytest.raises(AmbiguousSubmitError):
        schedule(client, visit(), VisitRecord(None))


def answer_is_lost_and_the_server_away(sandbox: Sandbox) -> None:
    """Let the look before the call through, and not those after it."""
    sandbox.fault("delay", method="GET", path="clinicaldata/S_BOSTON/*")
    sandbox.fault("status", method="GET", path="clinicaldata/S_BOSTON/*", status=503, times=5)
    sandbox.fault("drop_after", method="POST", path=EVENTS)


def test_a_visit_that_never_left_is_sent_by_the_retry(client: OpenClinicaClient, sandbox: Sandbox) -> None:
    store = DictStore()
    sandbox.fault("status", method="POST", path=EVENTS, status=429, times=5)
    with pytest.raises(OpenClinicaError) as caught:
        schedule(client, visit(), VisitRecord(store))
    assert caught.value.retry
    assert store.kept == {}

    assert schedule(client, visit(), VisitRecord(store, is_first_try=False)).study_event_repeat_key == "1"


def test_a_retry_that_would_schedule_another_visit_stops(client: OpenClinicaClient, sandbox: Sandbox) -> None:
    store = DictStore()
    schedule(client, visit(), VisitRecord(store))
    with pytest.raises(SubmissionChangedError):
        schedule(client, visit(start="2026-05-02"), VisitRecord(store, is_first_try=False))
    assert len(there(sandbox)) == 1


def test_a_key_that_somebody_else_has_written_is_not_overwritten(client: OpenClinicaClient, sandbox: Sandbox) -> None:
    store = DictStore()
    store.set(KEY, {"mine": 1})
    with pytest.raises(ConfigurationError, match=KEY):
        schedule(client, visit(), VisitRecord(store))
    assert sandbox.requests() == []


@pytest.mark.parametrize("if_exists", ["fail", "succeed"])
def test_a_visit_that_does_not_repeat_is_there_once(
    client: OpenClinicaClient, sandbox: Sandbox, if_exists: Any
) -> None:
    schedule(client, visit("SE_BASELINE"), VisitRecord(None))
    store = DictStore()

    def again() -> Outcome:
        return schedule(client, visit("SE_BASELINE", "2026-06-01"), VisitRecord(store), if_exists=if_exists)

    if if_exists == "fail":
        with pytest.raises(FileError, match="does not repeat"):
            again()
    else:
        outcome = again()
        assert (outcome.study_event_repeat_key, outcome.start_date, outcome.created) == ("1", "2026-05-01", False)
    assert store.kept == {}
    assert there(sandbox) == [("SE_BASELINE", 1, "2026-05-01")]


def test_a_visit_that_is_there_and_removed_is_a_success_with_a_warning(
    client: OpenClinicaClient, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.set_status("event", participant="BOS-001", event="SE_BASELINE", status="scheduled", removed=True)
    outcome = schedule(client, visit("SE_BASELINE"), VisitRecord(None), if_exists="succeed")
    assert not outcome.created
    assert "is there already, and it is removed" in caplog.text


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        pytest.param(visit(participant="NOB-001"), NotFoundError, id="nobody"),
        pytest.param(visit(participant="bos-001"), NotFoundError, id="letter-case"),
        pytest.param(visit(participant="SS_BOS001"), NotFoundError, id="the-oid-instead-of-the-id"),
        pytest.param(visit(participant="LEI-001"), NotFoundError, id="at-another-site"),
        pytest.param(visit(participant="BOS-007"), NotFoundError, id="removed"),
        pytest.param(visit("SE_NONE"), NotFoundError, id="no-such-event"),
        pytest.param(visit("SE_AE"), FileError, id="a-common-event"),
        pytest.param(visit(end_date="2026-04-01"), FileError, id="ends-before-it-begins"),
    ],
)
def test_what_the_server_refuses_is_an_error_that_names_nobody(
    client: OpenClinicaClient, sandbox: Sandbox, wanted: Visit, error: type[OpenClinicaError]
) -> None:
    store = DictStore()
    with pytest.raises(error) as caught:
        schedule(client, wanted, VisitRecord(store))
    assert wanted.participant_id not in str(caught.value)
    assert not caught.value.retry
    assert store.kept == {}
    assert there(sandbox) == []


def test_without_a_role_at_the_site_nothing_is_sent(sandbox: Sandbox, client_for: ClientFor) -> None:
    store = DictStore()
    wanted = Visit(
        study_oid="S_JUNO",
        site_oid="S_LEIDEN",
        participant_id="LEI-001",
        study_event_oid="SE_FOLLOWUP",
        start_date="2026-05-01",
    )
    with pytest.raises(RoleError) as caught:
        schedule(client_for("crc_boston"), wanted, VisitRecord(store))
    assert "LEI-" not in str(caught.value)
    assert store.kept == {}
    assert sent(sandbox, "POST") == 0


def test_an_id_that_is_anothers_oid_is_not_taken_for_theirs(client: OpenClinicaClient, sandbox: Sandbox) -> None:
    body = export(event(oid="SE_FOLLOWUP", repeat="7"), participant="BOS-002")
    headers = {"Content-Type": "application/xml;charset=UTF-8"}
    sandbox.fault("status", method="GET", path="clinicaldata/S_BOSTON/*", status=200, headers=headers, body=body)
    assert schedule(client, visit(), VisitRecord(None)).study_event_repeat_key == "1"


def test_a_server_that_fails_is_not_taken_for_one_that_knows_nobody(
    client: OpenClinicaClient, sandbox: Sandbox
) -> None:
    sandbox.fault("status", method="GET", path="clinicaldata/S_BOSTON/*", status=500)
    with pytest.raises(ServerUnavailableError):
        schedule(client, visit(), VisitRecord(None))


def test_an_export_that_cannot_be_read_is_no_file_of_ours(client: OpenClinicaClient, sandbox: Sandbox) -> None:
    sandbox.fault("status", method="GET", path="clinicaldata/S_BOSTON/*", status=200, body="<ODM>BOS-001")
    with pytest.raises(UnexpectedAnswerError) as caught:
        schedule(client, visit(), VisitRecord(None))
    assert "BOS-001" not in str(caught.value)


@docs_only
def test_a_visit_with_a_time_of_day_is_found_again(client: OpenClinicaClient, sandbox: Sandbox) -> None:
    sandbox.fault("drop_after", method="POST", path=EVENTS)
    outcome = schedule(client, visit(start="2026-05-01 09:30"), VisitRecord(None))
    assert outcome.start_date == "2026-05-01 09:30"

"""One visit for one task in OpenClinica 3, whatever happens to its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.engine.openclinica3.once import Once
from airflow_provider_openclinica.engine.openclinica3.visits import Scheduled, schedule
from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    ConfigurationError,
    NotAvailableError,
    NotFoundError,
    SubmissionChangedError,
    UnexpectedAnswerError,
)
from tests.openclinica3 import SECRETS, client_for, sent, visit
from tests.stores import DictStore, StoreOfALostWorker, WorkerLost

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.openclinica3.soap import NewVisit
    from airflow_provider_openclinica.sandbox.server import Sandbox

EVENTS = "/OpenClinica-ws/ws/event/v1"
KEY = "openclinica3_once"


def run(sandbox: Sandbox, record: Once, wanted: NewVisit | None = None, **more: Any) -> Scheduled:
    return schedule(client_for(sandbox), "S_JUNO", "S_BOSTON", wanted or visit(), record, **more)


def there(sandbox: Sandbox) -> list[tuple[str, int]]:
    return [(each["event"], each["repeat"]) for each in sandbox.events()]


def test_a_visit_is_scheduled_and_read_back(sandbox3: Sandbox) -> None:
    found = run(sandbox3, Once(DictStore()))
    assert (found.study_event_oid, found.study_event_repeat_key, found.created) == ("SE_FOLLOWUP", "1", True)
    assert (found.start_date, found.event_status) == ("2026-05-01", "scheduled")


def test_a_retry_after_a_success_tells_the_same(sandbox3: Sandbox) -> None:
    store = DictStore()
    first = run(sandbox3, Once(store))
    assert run(sandbox3, Once(store, is_first_try=False)) == first
    assert sent(sandbox3, "POST", EVENTS) == 1


def test_clearing_the_task_schedules_another(sandbox3: Sandbox) -> None:
    store = DictStore()
    run(sandbox3, Once(store))
    assert run(sandbox3, Once(store, generation=1)).study_event_repeat_key == "2"


@pytest.mark.parametrize("store", [DictStore, lambda: None], ids=["with-a-store", "without"])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "drop_after"}, id="no-answer"),
        pytest.param({"kind": "cut_body", "size": 20}, id="half-an-answer"),
        pytest.param({"kind": "status", "status": 504, "processed": True}, id="a-gateway-gave-up"),
        pytest.param({"kind": "html", "status": 500, "processed": True}, id="a-page"),
        pytest.param({"kind": "html", "status": 524, "processed": True}, id="another-gateway-gave-up"),
    ],
)
def test_a_lost_answer_is_looked_up(sandbox3: Sandbox, fault: dict[str, Any], store: Any) -> None:
    run(sandbox3, Once(None))
    sandbox3.fault(**fault, path=EVENTS)
    found = run(sandbox3, Once(store()))
    assert (found.study_event_repeat_key, found.created) == ("2", True)
    assert sent(sandbox3, "POST", EVENTS) == 2


@pytest.mark.parametrize(
    "fault",
    [{"kind": "drop_before"}, {"kind": "status", "status": 502}, {"kind": "html", "status": 522}],
    ids=["cut", "502", "522"],
)
def test_no_new_visit_after_a_lost_answer_is_ambiguous_for_good(sandbox3: Sandbox, fault: dict[str, Any]) -> None:
    sandbox3.fault(**fault, path=EVENTS)
    store = DictStore()
    for number in range(2):
        with pytest.raises(AmbiguousSubmitError, match="not known") as caught:
            run(sandbox3, Once(store, is_first_try=not number))
        assert not [secret for secret in SECRETS if secret in str(caught.value)]
    assert sent(sandbox3, "POST", EVENTS) == 1


@pytest.mark.parametrize(
    "others", [[], ["2026-05-02"], ["2026-05-01", "2026-05-02"]], ids=["none", "another-day", "two"]
)
def test_after_a_lost_worker_only_one_new_visit_on_our_day_is_ours(sandbox3: Sandbox, others: list[str]) -> None:
    store = StoreOfALostWorker("after", "submitting")
    with pytest.raises(WorkerLost):
        run(sandbox3, Once(store))
    for day in others:
        run(sandbox3, Once(None), visit(start=day))
    with pytest.raises(AmbiguousSubmitError):
        run(sandbox3, Once(store, is_first_try=False))
    run(sandbox3, Once(store, generation=1))


def test_a_worker_lost_before_its_note_has_sent_nothing(sandbox3: Sandbox) -> None:
    store = StoreOfALostWorker("before", "submitting")
    with pytest.raises(WorkerLost):
        run(sandbox3, Once(store))
    assert run(sandbox3, Once(store, is_first_try=False)).study_event_repeat_key == "1"


def test_a_worker_lost_after_the_call_has_its_visit_found(sandbox3: Sandbox) -> None:
    store = StoreOfALostWorker("before", "submitted")
    with pytest.raises(WorkerLost):
        run(sandbox3, Once(store))
    assert run(sandbox3, Once(store, is_first_try=False)).study_event_repeat_key == "1"
    assert sent(sandbox3, "POST", EVENTS) == 1


def test_without_a_store_a_retry_is_ambiguous_where_a_visit_begins_then(sandbox3: Sandbox) -> None:
    run(sandbox3, Once(None))
    with pytest.raises(AmbiguousSubmitError):
        run(sandbox3, Once(None, is_first_try=False))
    assert run(sandbox3, Once(None, is_first_try=False), visit(start="2026-07-01")).created


def test_a_success_that_stored_nothing_is_an_error(sandbox3: Sandbox) -> None:
    store = DictStore()
    sandbox3.lose()
    with pytest.raises(UnexpectedAnswerError, match="it is not"):
        run(sandbox3, Once(store))
    assert store.kept == {}


def test_another_visit_than_that_of_the_earlier_try_is_refused(sandbox3: Sandbox) -> None:
    store = DictStore()
    run(sandbox3, Once(store))
    with pytest.raises(SubmissionChangedError):
        run(sandbox3, Once(store), visit(start="2026-07-01"))


def test_what_is_kept_names_nobody(sandbox3: Sandbox) -> None:
    store = DictStore()
    run(sandbox3, Once(store))
    assert list(store.kept) == [KEY]
    assert not [secret for secret in SECRETS if secret in store.kept[KEY]]


def test_a_record_of_somebody_else_is_refused(sandbox3: Sandbox) -> None:
    store = DictStore()
    store.set(KEY, {"other": 1})
    with pytest.raises(ConfigurationError):
        run(sandbox3, Once(store))


def test_an_event_that_does_not_repeat_is_there_once(sandbox3: Sandbox) -> None:
    baseline = visit(event="SE_BASELINE")
    run(sandbox3, Once(None), baseline)
    with pytest.raises(NotAvailableError):
        run(sandbox3, Once(None), baseline)
    found = run(sandbox3, Once(None), baseline, if_exists="succeed")
    assert (found.study_event_repeat_key, found.created) == ("1", False)
    assert there(sandbox3) == [("SE_BASELINE", 1)]


@pytest.mark.parametrize("wanted", [visit("BOS-999"), visit(event="SE_NONE")], ids=["nobody", "no-event"])
def test_what_is_not_there_is_told(sandbox3: Sandbox, wanted: NewVisit) -> None:
    with pytest.raises((NotFoundError, NotAvailableError)) as caught:
        run(sandbox3, Once(DictStore()), wanted)
    assert "BOS-999" not in str(caught.value)
    assert there(sandbox3) == []

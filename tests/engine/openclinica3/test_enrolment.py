"""One participant for one task, by an ID or by a number that the study gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.client.openclinica3.soap import NewParticipant
from airflow_provider_openclinica.engine.openclinica3.enrolment import Enrolled, enrol, numbers
from airflow_provider_openclinica.engine.openclinica3.once import Once
from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    ConfigurationError,
    NotAvailableError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)
from tests.openclinica3 import BIRTHDAY, FIRST, NEW, SECRETS, client_for, sent
from tests.stores import DictStore

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

SUBJECTS = "/OpenClinica-ws/ws/studySubject/v1"
PERSON = {"gender": "f", "date_of_birth": BIRTHDAY}


def run(sandbox: Sandbox, record: Once, label: str = NEW, **more: Any) -> Enrolled:
    new = NewParticipant(label=label, enrollment_date="2026-05-01", person=PERSON)
    return enrol(client_for(sandbox), "S_JUNO", "S_BOSTON", new, record, **more)


def created(sandbox: Sandbox) -> int:
    return len(sandbox.participants())


def break_creation(sandbox: Sandbox, **fault: Any) -> None:
    """Let the first look pass, and strike at the creation: both have the same address."""
    sandbox.fault("delay", path=SUBJECTS)
    sandbox.fault(**fault, path=SUBJECTS)


@pytest.fixture
def numbered(sandbox3: Sandbox) -> Sandbox:
    """A study that numbers its participants."""
    sandbox3.configure(generates_ids=True)
    return sandbox3


def test_a_participant_is_enrolled_and_looked_up(sandbox3: Sandbox) -> None:
    before = created(sandbox3)
    found = run(sandbox3, Once(DictStore()))
    assert (found.participant_id, found.created) == (NEW, True)
    assert found.participant_oid.startswith("SS_")
    assert created(sandbox3) == before + 1
    assert NEW not in repr(found)


def test_a_retry_after_a_success_tells_the_same(sandbox3: Sandbox) -> None:
    store = DictStore()
    assert run(sandbox3, Once(store)) == run(sandbox3, Once(store, is_first_try=False))
    assert BIRTHDAY not in "".join(store.kept.values())


@pytest.mark.parametrize("store", [DictStore, lambda: None], ids=["with-a-store", "without"])
def test_a_lost_answer_is_looked_up_by_the_id(sandbox3: Sandbox, store: Any) -> None:
    break_creation(sandbox3, kind="drop_after")
    before = created(sandbox3)
    assert run(sandbox3, Once(store())).created
    assert created(sandbox3) == before + 1


def test_a_creation_that_never_arrived_is_sent_again_by_the_retry(sandbox3: Sandbox) -> None:
    break_creation(sandbox3, kind="drop_before")
    store, before = DictStore(), created(sandbox3)
    with pytest.raises(ServerUnavailableError, match="not there yet") as caught:
        run(sandbox3, Once(store))
    assert not [secret for secret in SECRETS if secret in str(caught.value)]
    assert run(sandbox3, Once(store, is_first_try=False)).created
    assert created(sandbox3) == before + 1


def test_an_id_that_is_taken_is_an_error_or_as_good(sandbox3: Sandbox) -> None:
    with pytest.raises(NotAvailableError) as caught:
        run(sandbox3, Once(DictStore()), FIRST)
    assert FIRST not in str(caught.value)
    found = run(sandbox3, Once(DictStore()), FIRST, if_exists="succeed")
    assert (found.participant_oid, found.created) == ("SS_BOS001", False)


def test_without_a_store_a_retry_cannot_tell_whose_participant_it_is(sandbox3: Sandbox) -> None:
    run(sandbox3, Once(None))
    with pytest.raises(AmbiguousSubmitError):
        run(sandbox3, Once(None, is_first_try=False))


def test_a_success_that_stored_nobody_is_an_error(sandbox3: Sandbox) -> None:
    sandbox3.lose()
    with pytest.raises(UnexpectedAnswerError, match="it is not"):
        run(sandbox3, Once(DictStore()))


def test_the_metadata_say_who_gives_the_ids(sandbox3: Sandbox) -> None:
    assert numbers(client_for(sandbox3), "S_JUNO") is False
    sandbox3.configure(generates_ids=True)
    assert numbers(client_for(sandbox3), "S_JUNO") is True


@pytest.mark.parametrize("generates", [True, False])
def test_an_id_that_does_not_fit_the_study_is_refused(sandbox3: Sandbox, generates: bool) -> None:
    sandbox3.configure(generates_ids=generates)
    with pytest.raises(ConfigurationError, match="participant_id"):
        run(sandbox3, Once(DictStore()), NEW if generates else "")
    assert sent(sandbox3, "POST", SUBJECTS) == 0


def test_a_study_that_numbers_returns_the_number(numbered: Sandbox) -> None:
    found = run(numbered, Once(DictStore()), "")
    assert found.participant_id
    assert found.participant_oid


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_where_the_study_numbers_a_lost_answer_is_never_sent_again(numbered: Sandbox, kind: str) -> None:
    numbered.fault(kind, path=SUBJECTS)
    store = DictStore()
    for number in range(2):
        with pytest.raises(AmbiguousSubmitError, match="not known"):
            run(numbered, Once(store, is_first_try=not number), "")
    assert sent(numbered, "POST", SUBJECTS) == 1


def test_where_the_study_numbers_and_nothing_is_kept_no_retry_sends(numbered: Sandbox) -> None:
    with pytest.raises(AmbiguousSubmitError):
        run(numbered, Once(None, is_first_try=False), "")
    assert sent(numbered, "POST", SUBJECTS) == 0


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_where_nobody_knows_whether_the_study_numbers_a_lost_answer_is_never_sent_again(
    sandbox3: Sandbox, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    sandbox3.configure(generates_ids=True)
    monkeypatch.setattr("airflow_provider_openclinica.engine.openclinica3.enrolment.numbers", lambda *_: None)
    break_creation(sandbox3, kind=kind)
    store, before = DictStore(), created(sandbox3)
    for number in range(2):
        with pytest.raises(AmbiguousSubmitError, match="not known"):
            run(sandbox3, Once(store, is_first_try=not number))
    with pytest.raises(AmbiguousSubmitError):
        run(sandbox3, Once(None, is_first_try=False))
    assert created(sandbox3) == before + (kind == "drop_after")


def test_a_number_that_could_not_be_looked_up_is_looked_up_by_the_retry(numbered: Sandbox) -> None:
    numbered.fault("delay", path=SUBJECTS)  # lets the creation pass
    numbered.fault("status", path=SUBJECTS, status=500)
    store, before = DictStore(), created(numbered)
    with pytest.raises(ServerUnavailableError):
        run(numbered, Once(store), "")
    assert run(numbered, Once(store, is_first_try=False), "").created
    assert created(numbered) == before + 1


def test_what_is_made_and_cannot_be_read_back_is_not_called_a_failure(numbered: Sandbox) -> None:
    numbered.fault("delay", path=SUBJECTS)
    numbered.fault("status", path=SUBJECTS, status=404)
    with pytest.raises(AmbiguousSubmitError, match="cannot be read back"):
        run(numbered, Once(DictStore()), "")


def test_without_a_store_a_retry_takes_who_is_there_where_that_is_as_good(sandbox3: Sandbox) -> None:
    run(sandbox3, Once(None))
    assert not run(sandbox3, Once(None, is_first_try=False), if_exists="succeed").created

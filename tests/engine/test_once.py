"""A request that must not be made twice: what each try of a task does, whatever the one before had come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.engine.once import Done, Once
from airflow_provider_openclinica.errors import AmbiguousSubmitError, ConfigurationError, SubmissionChangedError
from tests.stores import DictStore

if TYPE_CHECKING:
    from collections.abc import Callable


def begun(once: Once) -> None:
    assert once.begin("one") is None


def refused(once: Once) -> None:
    begun(once)
    once.refused()


def answered(once: Once) -> None:
    begun(once)
    once.answered()


def answered_and_failed(once: Once) -> None:
    answered(once)
    once.refused()  # something else went wrong, after the answer


def finished(once: Once) -> None:
    answered(once)
    once.finish({"id": 7})


def finished_with_nothing(once: Once) -> None:
    answered(once)
    once.finish(None)


STORE_ROWS = [
    pytest.param(refused, None, id="refused-makes-it-again"),
    pytest.param(begun, "nothing tells what became of it", id="died-in-it-stops"),
    pytest.param(answered, "could not keep its answer", id="died-after-the-answer-stops"),
    pytest.param(answered_and_failed, "could not keep its answer", id="failed-after-the-answer-stops"),
    pytest.param(finished, Done({"id": 7}), id="finished-returns-the-same"),
    pytest.param(finished_with_nothing, Done(None), id="finished-with-nothing-returns-that"),
]


@pytest.mark.parametrize(("before", "then"), STORE_ROWS)
def test_a_retry_goes_by_what_was_written_down(before: Callable[[Once], None], then: Any) -> None:
    store = DictStore()
    before(Once(store))
    retry = Once(store, is_first_try=False)
    if isinstance(then, str):
        with pytest.raises(AmbiguousSubmitError, match=then):
            retry.begin("one")
    else:
        assert retry.begin("one") == then


@pytest.mark.parametrize(("before", "then"), STORE_ROWS)
def test_a_cleared_task_makes_it_anew(before: Callable[[Once], None], then: Any) -> None:
    store = DictStore()
    before(Once(store))
    assert Once(store, generation=1).begin("one") is None


@pytest.mark.parametrize("before", [begun, answered, finished])
def test_another_request_in_the_same_generation_is_refused(before: Callable[[Once], None]) -> None:
    store = DictStore()
    before(Once(store))
    with pytest.raises(SubmissionChangedError):
        Once(store, is_first_try=False).begin("another")


@pytest.mark.parametrize("before", [refused, begun, finished])
def test_without_a_store_only_the_first_try_makes_it(before: Callable[[Once], None]) -> None:
    before(Once(None))
    with pytest.raises(AmbiguousSubmitError, match="this Airflow keeps no record"):
        Once(None, is_first_try=False).begin("one")


@pytest.mark.parametrize("written", [{"another": "thing"}, ["a", "list"], "text"])
def test_what_somebody_else_wrote_under_the_key_is_refused(written: Any) -> None:
    store = DictStore()
    store.set("openclinica_request", written)
    with pytest.raises(ConfigurationError, match="did not write"):
        Once(store).begin("one")

"""A request that must not be made twice, where nothing can be asked that would tell whether it was.

So it is written down before it leaves, and after its answer: a retry that finds the first and not the second stops, and
a person looks. A task that was cleared begins anew, on purpose.

    once = Once(store, generation=0, is_first_try=True)
    result = once.begin(digest)     what an earlier try has returned; None: make the request now
    once.answered()                 it was taken, whatever becomes of its answer
    once.finish(result)
    once.refused()                  it was not taken: a retry may make it

What is kept are a digest and the task's own result.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.errors import AmbiguousSubmitError, ConfigurationError, SubmissionChangedError

if TYPE_CHECKING:
    from airflow_provider_openclinica.engine.record import StateStore

_KEY = "openclinica_request"
_LOOK = "Look there whether it was done. Clearing the task makes it again; where that does no harm, set repeatable."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What is written down.

    :param result: a list of one, once there is one: it may be None itself.
    """

    generation: int
    sha256: str
    answered: bool = False
    result: list[Any] | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What an earlier try has returned."""

    result: Any


class Once:
    """What a task remembers of the request that it makes.

    :param store: None where Airflow keeps nothing for a task (before 3.3): then no retry makes the request.
    :param generation: grows when a person clears the task.
    :param is_first_try: no try of this generation came before.
    """

    def __init__(self, store: StateStore | None, *, generation: int = 0, is_first_try: bool = True) -> None:
        self._store, self._generation, self._is_first_try = store, generation, is_first_try
        self._now: _Kept | None = None

    def begin(self, sha256: str) -> Done | None:
        """Write down that the request is about to be made.

        :param sha256: digest that only the same request has.
        :return: what an earlier try has returned; None where the request is to be made.
        :raises AmbiguousSubmitError: an earlier try may have made it.
        :raises SubmissionChangedError: an earlier try has made another.
        :raises ConfigurationError: something else is kept under our key.
        """
        kept = self._read()
        if kept is None and not self._store and not self._is_first_try:
            raise AmbiguousSubmitError(
                "An earlier try may have made the request, and this Airflow keeps no record of it", next_step=_LOOK
            )
        if kept:
            return self._earlier(kept, sha256)
        self._write(_Kept(generation=self._generation, sha256=sha256))
        return None

    def answered(self) -> None:
        """Write down that the request was taken."""
        self._write(_Kept(generation=self._generation, sha256=self._sha256, answered=True))

    def finish(self, result: Any) -> None:
        """Keep what the task returns, as a JSON value."""
        self._write(_Kept(generation=self._generation, sha256=self._sha256, answered=True, result=[result]))

    def refused(self) -> None:
        """Forget the request, unless it was answered: it was not taken."""
        if self._store and self._now and not self._now.answered:
            self._store.delete(_KEY)

    def _earlier(self, kept: _Kept, sha256: str) -> Done:
        if kept.sha256 != sha256:
            raise SubmissionChangedError(
                "The request is not the one that an earlier try of this task has made",
                next_step="Look there what the earlier one did, then clear the task: that makes this one.",
            )
        if kept.result is None:
            what = "An earlier try may have made the request, and nothing tells what became of it"
            if kept.answered:
                what = "An earlier try made the request, and could not keep its answer"
            raise AmbiguousSubmitError(what, next_step=_LOOK)
        return Done(kept.result[0])

    @property
    def _sha256(self) -> str:
        return self._now.sha256 if self._now else ""

    def _read(self) -> _Kept | None:
        written = self._store.get(_KEY) if self._store else None
        try:
            kept = _Kept(**written) if written is not None else None
        except TypeError:
            raise ConfigurationError(
                f"The task's state holds a {_KEY} that this package did not write",
                next_step="Look whether the request was made, delete that key, then clear the task.",
            ) from None
        return kept if kept and kept.generation == self._generation else None

    def _write(self, kept: _Kept) -> None:
        self._now = kept
        if self._store:
            self._store.set(_KEY, asdict(kept))

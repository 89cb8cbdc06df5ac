"""Do a thing once that a server would do again: note it before, look after it when the answer is lost.

    once(record, "visit", digest, Deed(look=…, send=…, find=…))

What is kept between tries are counts, OIDs and digests, and what the task returns in the end.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.engine.record import Phase
from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    ConfigurationError,
    OpenClinicaError,
    ServerUnavailableError,
    SubmissionChangedError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_openclinica.engine.record import StateStore

log = logging.getLogger(__name__)

_KEY = "openclinica3_once"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What was written down before the call, and after it."""

    phase: str
    generation: int
    payload_sha256: str
    before: Any
    made: Any = None
    outcome: dict[str, Any] | None = None


class Once:
    """What a task remembers of the one thing that it does.

    :param store: None where Airflow keeps nothing for a task (before 3.3).
    :param generation: grows when a person clears the task, which does it again on purpose.
    :param is_first_try: no try of this generation came before.
    """

    def __init__(self, store: StateStore | None = None, *, generation: int = 0, is_first_try: bool = True) -> None:
        self._store, self._generation = store, generation
        #: An earlier try may have sent it, and nothing was written down.
        self.is_in_doubt = store is None and not is_first_try

    def read(self) -> _Kept | None:
        """Return what this generation has written.

        :raises ConfigurationError: something else is kept under our key.
        """
        kept = self._store.get(_KEY) if self._store else None
        try:
            record = _Kept(**kept) if kept is not None else None
        except TypeError:
            raise ConfigurationError(
                f"The task's state holds a {_KEY} that this package did not write",
                next_step="Look into OpenClinica whether it was done, delete that key, then clear the task.",
            ) from None
        return record if record and record.generation == self._generation else None

    def write(
        self, phase: Phase, digest: str, before: Any, *, made: Any = None, outcome: dict[str, Any] | None = None
    ) -> None:
        """Keep how far it has come."""
        if self._store is not None:
            kept = _Kept(
                phase=phase.value,
                generation=self._generation,
                payload_sha256=digest,
                before=before,
                made=made,
                outcome=outcome,
            )
            self._store.set(_KEY, asdict(kept))

    def forget(self) -> None:
        """Drop it: nothing was sent, or it was refused."""
        if self._store:
            self._store.delete(_KEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What to do.

    :param what: a noun for it: ``the visit``.
    :param look: says, as a JSON value that names nobody, what is there before.
    :param is_there: without a record, tells whether something is there that an earlier try may have made.
    :param send: does it, and returns what tells it from others afterwards, or None.
    :param find: given what was there before and what `send` returned, finds what was made; None: it is not there. It
        raises AmbiguousSubmitError where that cannot be told.
    :param may_repeat: what is looked for has a name that cannot be taken twice, so that it may be sent again, by the
        next try, when it is not there.
    """

    what: str
    look: Callable[[], Any]
    is_there: Callable[[], bool]
    send: Callable[[], Any]
    find: Callable[[Any, Any], dict[str, Any] | None]
    may_repeat: bool = False
    study: str = ""
    site: str = ""


def once(record: Once, digest: str, deed: Deed) -> dict[str, Any]:
    """Do it, or find what an earlier try has done.

    :param digest: that only the same thing has.
    :raises AmbiguousSubmitError: it may be done or not, and nothing here can tell.
    :raises SubmissionChangedError: an earlier try has sent something else.
    :raises UnexpectedAnswerError: OpenClinica calls it a success, and it is not there.
    :raises OpenClinicaError: whatever `send` raises; nothing was done.
    """
    kept = record.read()
    if kept:
        if kept.payload_sha256 != digest:
            raise SubmissionChangedError(
                f"{deed.what.capitalize()} is not the one that an earlier try of this task has sent",
                study=deed.study,
                site=deed.site,
                next_step="Look into OpenClinica, then clear the task: that sends this one.",
            )
        if kept.outcome is not None:
            return kept.outcome
        settled = _settled(record, digest, deed, kept.before, kept.made, None)
        if settled is not None:
            return settled
        before = kept.before
    elif record.is_in_doubt and deed.is_there():
        raise ambiguous(deed, "An earlier try may have made it, and this Airflow keeps no record of that")
    else:
        before = deed.look()
    record.write(Phase.SUBMITTING, digest, before)
    try:
        made = deed.send()
    except (AmbiguousSubmitError, UnexpectedAnswerError) as lost:
        found = _settled(record, digest, deed, before, None, lost)
    except OpenClinicaError:
        record.forget()
        raise
    else:
        record.write(Phase.SUBMITTING, digest, before, made=made)
        found = _read_back(deed, before, made)
    if found is None:
        record.forget()
        raise UnexpectedAnswerError(
            f"OpenClinica says that {deed.what} is stored, and it is not",
            study=deed.study,
            site=deed.site,
            next_step="Look into OpenClinica and into the log of its server; clearing the task sends it again.",
        )
    record.write(Phase.SUBMITTED, digest, before, outcome=found)
    return found


def _read_back(deed: Deed, before: Any, made: Any) -> dict[str, Any] | None:
    """Find what was just made. Where no retry can look again, nobody may believe that nothing was sent."""
    try:
        return deed.find(before, made)
    except OpenClinicaError as error:
        if error.retry or isinstance(error, AmbiguousSubmitError):
            raise
        raise ambiguous(deed, f"OpenClinica calls it a success, and it cannot be read back: {error.args[0]}") from None


def _settled(
    record: Once, digest: str, deed: Deed, before: Any, made: Any, lost: OpenClinicaError | None
) -> dict[str, Any] | None:
    """Find out what a call without a usable answer has done.

    :param made: what the call returned, where only its reading back was lost.
    :param lost: what became of the answer, where this process has seen it.
    :return: what was made; None, only where nothing was lost just now: it is not there, and may be sent again.
    """
    try:
        found = deed.find(before, made)
    except AmbiguousSubmitError:
        raise
    except OpenClinicaError as error:
        if lost and not error.retry:
            raise lost from None
        raise  # the retry looks again
    if found is not None:
        log.info("No answer came, and %s is there", deed.what)
        record.write(Phase.SUBMITTED, digest, before, outcome=found)
        return found
    if isinstance(lost, UnexpectedAnswerError):  # there was an answer: a refusal, in odd words
        record.forget()
        raise lost
    if not deed.may_repeat:
        raise ambiguous(deed, "It was sent, no answer came, and it is not there yet")
    if lost is None:
        return None
    raise ServerUnavailableError(
        f"The connection was lost over {deed.what}, which is not there yet",
        study=deed.study,
        site=deed.site,
        next_step="Retry: it looks again, and sends it only if it is still not there.",
    )


def ambiguous(deed: Deed, why: str) -> AmbiguousSubmitError:
    """Return the error that leaves it to a person."""
    return AmbiguousSubmitError(
        f"Whether {deed.what} was made is not known",
        study=deed.study,
        site=deed.site,
        meaning=why if why.startswith("OpenClinica") else why[0].lower() + why[1:],
        next_step=f"Look into OpenClinica. If {deed.what} is not there, clear the task: that sends it.",
    )

"""How long to wait before the same request is sent again, and when to give up.

tries = Tries(sleep)
while tries.wait(answer.headers.get("Retry-After")):
    …                              # once more
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_TRIES = 5  #: the first one included
PATIENCE_SECONDS = 120.0  #: for all tries of a request; a task's own retry comes after that
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0


class Tries:
    """Count the tries of one request and wait between them: 1, 2, 4, 8 seconds, each with up to a half more or less.

    A server that names a time is believed, unless it names more than is left of our patience: then we give up at once.

    :param sleep: how to wait; one that raises ends the tries, which is how a killed task gets out.
    :param clock: seconds that never run backwards.
    :param patience: seconds; no try begins later than this after the first.
    """

    def __init__(
        self,
        sleep: Callable[[float], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._sleep, self._clock, self._patience = sleep, clock, patience
        self._begun, self._made = clock(), 1

    def wait(self, retry_after: str | None = None) -> bool:
        """Wait for the next try; False, without a wait, where there is to be none.

        :param retry_after: the header of that name, where the answer had one.
        """
        seconds = min(_FIRST_WAIT * 2 ** (self._made - 1), _LONGEST_WAIT) * random.uniform(0.5, 1.5)  # noqa: S311
        asked = parse_retry_after(retry_after or "")
        if asked is not None:
            seconds = asked + random.uniform(0.0, 1.0)  # noqa: S311  # or all who were sent away return at once
        if self._made >= MOST_TRIES or self._clock() - self._begun + seconds > self._patience:
            return False
        self._sleep(seconds)
        self._made += 1
        return True


def parse_retry_after(header: str) -> float | None:
    """Read ``Retry-After``: seconds or an HTTP date. None for anything else, 0 for a time that is past."""
    header = header.strip()
    if header.isascii() and header.isdigit():
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())

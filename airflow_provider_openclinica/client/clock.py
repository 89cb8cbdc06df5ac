"""What the server's clock shows: dates that it gives have to be compared with its own time, not with ours."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

STEP = 5.0  #: seconds, in which clocks are compared: two times in a row then do not change places by a slow answer


class ServerClock:
    """How far a server's clock is behind ours, as the ``Date`` of its last answer tells. Safe in threads."""

    def __init__(self) -> None:
        self._ahead = 0.0  # in seconds, at least: an answer takes its time to come

    def note(self, headers: Mapping[str, str]) -> None:
        """Compare the clocks, now that an answer is here; one without a date, or with none that can be read, is none.

        :param headers: of the answer, found in any letter case.
        """
        try:
            told = parsedate_to_datetime(headers.get("Date", ""))
        except (ValueError, OverflowError):
            return
        ahead = (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp() - time.time()
        self._ahead = ahead // STEP * STEP

    def at(self, moment: float) -> datetime:
        """Return a time that, when a moment came, had come by the server's clock, and by ours: the earlier of them.

        So a clock that is ahead by mistake never hides a change; it costs that some are seen twice.

        :param moment: seconds since 1970 by this machine's clock. Before any answer, only that counts.
        """
        return datetime.fromtimestamp(moment + min(self._ahead, 0.0), UTC)

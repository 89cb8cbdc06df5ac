"""Turns at one OpenClinica 3: one reader or writer of a server at a time, among all processes of this host.

An account has one session, which a second login ends; reads with other flags, or of JSON, that run at the same time
disturb each other; visits have to be scheduled one after the other (docs/protocol3.md, one at a time). One lock serves
all three. The kernel gives it back when its holder dies.

Other hosts do not see it: there, an Airflow pool of one slot does the same.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_openclinica.client.token_shelf import FileShelf, MemoryShelf
from airflow_provider_openclinica.errors import ServerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_openclinica.client.openclinica3.settings import Settings3
    from airflow_provider_openclinica.client.token_shelf import Shelf

PATIENCE = 900.0  #: seconds to wait for a turn; a retry of the task comes after that
_LOOK = 0.2  #: seconds between two looks whether it is free


class Turns:
    """Give out turns at a server.

    :param folder: where all processes of this host find the lock; None: only the threads of this process take turns.
    :param sleep: how to wait; one that raises ends the wait.
    """

    def __init__(
        self,
        settings: Settings3,
        folder: Path | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        name = f"openclinica3-{hashlib.sha256(settings.web_url.encode()).hexdigest()[:16]}"
        self._shelf: Shelf = MemoryShelf(0) if folder is None else FileShelf(folder, name, 0)
        self._sleep, self._clock = sleep, clock

    @contextmanager
    def turn(self, patience: float = PATIENCE) -> Iterator[None]:
        """Hold the turn for the length of a ``with``. It is not taken twice by one thread.

        :raises ServerUnavailableError: others kept it for longer than our patience.
        :raises ConfigurationError: the folder is not ours alone.
        """
        give_up = self._clock() + patience
        while True:
            with self._shelf.turn(time.time()) as turn:
                if turn is not None:
                    yield
                    return
            if self._clock() >= give_up:
                raise ServerUnavailableError(
                    f"Other tasks of this host have kept OpenClinica 3 busy for {patience:.0f} s",
                    next_step="Retry later; put the tasks that use this server into an Airflow pool of one slot.",
                )
            self._sleep(_LOOK)

"""What a process makes once and keeps: its clients."""

from __future__ import annotations

import os
import threading
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

MOST = 16


def one_for_a_process(make: Callable[P, T]) -> Callable[P, T]:
    """Keep what a function makes, and give it again for the same arguments. Safe in threads.

    A forked child begins anew: it must neither talk over its parent's sockets nor wait for a thread that it lacks.
    """
    kept = lru_cache(maxsize=MOST)(make)
    making = threading.Lock()

    def begin_anew() -> None:
        nonlocal making
        making = threading.Lock()
        kept.cache_clear()

    os.register_at_fork(after_in_child=begin_anew)

    @wraps(make)
    def one(*args: P.args, **kwargs: P.kwargs) -> T:
        with making:
            return kept(*args, **kwargs)  # type: ignore[arg-type]  # it wants to know that they can be hashed

    return one

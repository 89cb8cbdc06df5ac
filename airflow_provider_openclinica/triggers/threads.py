"""The few threads in which triggers ask OpenClinica: all triggers of a triggerer share them, each has a session."""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_THREADS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="openclinica")  # a session each; looks are short


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Run a function in one of the threads, in this trigger's context: there the log lines find their task."""
    call = partial(contextvars.copy_context().run, function, *args)
    return await asyncio.get_running_loop().run_in_executor(_THREADS, call)

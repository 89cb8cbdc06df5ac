"""Faults planned through a control route: what the network and the machines in between do to a request.

A fault waits for a request that it matches, strikes as often as it was told to, and is gone. Several are tried in the
order in which they were planned.
"""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

API = "/OpenClinica/pages/auth/api/"


class Kind(StrEnum):
    """What happens to the request."""

    DROP_BEFORE = "drop_before"
    """The connection is cut at once; nothing is processed, no byte is answered."""
    DROP_AFTER = "drop_after"
    """The request is processed; then the connection is cut before any byte of the answer."""
    CUT_BODY = "cut_body"
    """The request is processed, and the answer ends after ``size`` bytes of its body."""
    DELAY = "delay"
    """The request is processed at once; the answer comes ``seconds`` late."""
    STATUS = "status"
    """Answered with ``status``, ``headers`` and ``body``."""
    HTML = "html"
    """Answered with a login page, with status 200 unless ``status`` says otherwise."""
    REDIRECT = "redirect"
    """Answered with 302 to a login page, or to the ``Location`` in ``headers``."""
    CODE = "code"
    """Answered with the bare code in ``body``, with status 200 unless ``status`` says otherwise."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """One planned fault.

    :param method: the requests it matches; ``*`` matches any.
    :param path: a glob, below the API (``clinicaldata/import*``) or from the root (``user-service/*``).
    :param times: how often it strikes; ``None`` for ever.
    :param status: ``None`` stands for what the kind usually answers.
    :param processed: the last four kinds only: process the request, then answer this instead.
    :raises ValueError: a number is none.
    """

    kind: Kind
    method: str = "*"
    path: str = "*"
    times: int | None = 1
    seconds: float = 0.0
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    size: int = 0
    processed: bool = False

    def __post_init__(self) -> None:
        """Refuse here what is no number, and not in the request that it would strike."""
        self.times, self.status = (None if number is None else int(number) for number in (self.times, self.status))
        self.seconds, self.size = float(self.seconds), int(self.size)

    def matches(self, method: str, path: str) -> bool:
        """Tell whether it would strike here."""
        if self.method not in ("*", method):
            return False
        return any(fnmatchcase(tail, self.path.lstrip("/")) for tail in (path.removeprefix(API), path.lstrip("/")))


class Faults:
    """All faults that wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._waiting: dict[int, Fault] = {}

    def plan(self, fault: Fault) -> int:
        """Let a fault wait, and give it a number."""
        with self._lock:
            number = next(self._ids)
            self._waiting[number] = fault
        return number

    def strike(self, method: str, path: str) -> Fault | None:
        """Give the first fault that matches, and count it."""
        with self._lock:
            for number, fault in self._waiting.items():
                if fault.matches(method, path):
                    if fault.times is not None:
                        fault.times -= 1
                        if fault.times <= 0:
                            del self._waiting[number]
                    return fault
        return None

    def cancel(self, number: int) -> None:
        """Drop one."""
        with self._lock:
            self._waiting.pop(number, None)

    def clear(self) -> None:
        """Drop all."""
        with self._lock:
            self._waiting.clear()

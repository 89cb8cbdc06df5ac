"""A state store in memory."""

from __future__ import annotations

import json
from typing import Any


class DictStore:
    """Keeps JSON, as Airflow's task state store does."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def get(self, key: str) -> Any:
        return json.loads(self.kept[key]) if key in self.kept else None

    def set(self, key: str, value: Any) -> None:
        assert value is not None
        self.kept[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self.kept.pop(key, None)


class WorkerLost(BaseException):
    """The worker is gone in the middle of a line."""


class StoreOfALostWorker(DictStore):
    """A store whose worker dies once, just before or just after it has written a phase."""

    def __init__(self, when: str, phase: str) -> None:
        super().__init__()
        self._when, self._phase = when, phase

    def set(self, key: str, value: Any) -> None:
        dies = value.get("phase") == self._phase
        if dies:
            self._phase = ""
        if not dies or self._when == "after":
            super().set(key, value)
        if dies:
            raise WorkerLost

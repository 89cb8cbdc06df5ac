"""A task instance, a context and a state store that are what an operator sees, without a database.

What only Airflow's own machinery can show (retries, a real triggerer, clearing) is in ``tests/dags`` and
``tests/standalone``.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk.execution_time.context import OutletEventAccessors

from tests.stores import DictStore

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator
    from airflow.triggers.base import BaseTrigger


@dataclass
class Instance:
    """What the operators ask of a task instance. A new try is ``retry``; a person's clearing is ``clear``."""

    dag_id: str = "labs"
    run_id: str = "manual__1"
    task_id: str = "import"
    map_index: int = -1
    try_number: int = 1
    max_tries: int = 0
    xcoms: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value

    def retry(self) -> None:
        self.try_number += 1
        self.xcoms.clear()

    def clear(self) -> None:
        self.retry()
        self.max_tries = self.try_number - 1


@dataclass
class Task:
    """One task through all its tries: its instance, and its store if Airflow gives it one."""

    ti: Instance = field(default_factory=Instance)
    store: DictStore | None = field(default_factory=DictStore)
    outlet_events: OutletEventAccessors = field(default_factory=OutletEventAccessors)

    @property
    def context(self) -> Any:
        known = {"ti": self.ti, "outlet_events": self.outlet_events}
        return known | ({"task_state_store": self.store} if self.store else {})

    def run(self, operator: BaseOperator) -> Any:
        """Execute, and resume as often as it defers, with triggers and events that went through JSON."""
        try:
            return operator.execute(self.context)
        except TaskDeferred as deferred:
            return self._resume(operator, deferred)

    def _resume(self, operator: BaseOperator, deferred: TaskDeferred) -> Any:
        event = event_of(deferred.trigger)
        try:
            return getattr(operator, deferred.method_name)(self.context, event=event)
        except TaskDeferred as again:
            return self._resume(operator, again)


def event_of(trigger: BaseTrigger) -> Any:
    """Build a trigger again from what a triggerer gets, let it run, and return its event."""
    kwargs = json.loads(json.dumps(trigger.serialize()[1]))

    async def first() -> Any:
        return (await anext(aiter(type(trigger)(**kwargs).run()))).payload

    return json.loads(json.dumps(asyncio.run(first())))

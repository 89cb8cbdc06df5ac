"""A DAG that defers, and a task whose first try never ends by itself."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, BaseOperator, task
from airflow.providers.standard.triggers.file import FileTrigger


class Wait(BaseOperator):
    """Defer until there is the file that the run names."""

    def execute(self, context: Any) -> None:
        awaited = context["dag_run"].conf["awaited"]
        self.defer(trigger=FileTrigger(filepath=awaited, poke_interval=0.5), method_name="resume")

    def resume(self, context: Any, event: Any = None) -> dict[str, bool]:
        return {"resumed": True}


with DAG("harness", schedule=None):

    @task(retries=1, retry_delay=timedelta(seconds=1))
    def survive(ti: Any = None) -> int:
        if ti.try_number == 1:
            time.sleep(300)
        return int(ti.try_number)

    Wait(task_id="wait")
    survive()

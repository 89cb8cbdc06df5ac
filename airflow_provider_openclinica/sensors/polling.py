"""Wait until the answer to a question is yes: what all sensors but that of a job have in common."""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowSensorTimeout, BaseSensorOperator, PokeReturnValue, conf

from airflow_provider_openclinica.engine.questions import look, read_ended
from airflow_provider_openclinica.hooks.openclinica import OpenClinicaHook
from airflow_provider_openclinica.operators.failures import airflow_failures

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_openclinica.engine.questions import Question
    from airflow_provider_openclinica.triggers.polling import PollingTrigger


class PollingSensor(BaseSensorOperator):
    """Ask a question until the answer is yes; poking, rescheduled, or deferred to the triggerer.

    A server that is busy or out of reach is asked again. What will never come fails the task at once and for good.

    :param openclinica_conn_id: connection of type ``openclinica``. Templated.
    :param deferrable: wait in the triggerer. Default: Airflow's ``[operators] default_deferrable``.
    :param kwargs: what all sensors take: ``poke_interval``, ``timeout``, ``mode``, ``soft_fail``, …
    """

    ui_color = "#e5f0f8"

    trigger_class: ClassVar[type[PollingTrigger]]
    hook_class: ClassVar[type[Any]] = OpenClinicaHook  #: gives the client that the questions are for

    def __init__(
        self,
        *,
        openclinica_conn_id: str = OpenClinicaHook.default_conn_name,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.openclinica_conn_id = openclinica_conn_id
        self.deferrable = deferrable

    @abstractmethod
    def question(self) -> Question:
        """Return what to ask, once the arguments are rendered.

        :raises ConfigurationError: one of them cannot work.
        """

    def execute(self, context: Context) -> Any:
        """Poke until something is found, or hand the question to the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        with airflow_failures():
            question: Any = self.question()
        deadline = time.time() + self.timeout
        trigger = self.trigger_class(self.openclinica_conn_id, asdict(question), deadline, self.poke_interval)
        return self.defer(trigger=trigger, method_name="resume", timeout=trigger.timeout)

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002 - Airflow's signature
        """Ask once."""
        with airflow_failures():
            found = look(self.question(), self.hook_class(self.openclinica_conn_id).get_conn())
        return PokeReturnValue(is_done=found is not None, xcom_value=found)

    def resume(self, context: Context, event: Any) -> Any:  # noqa: ARG002 - Airflow's signature
        """Return what the trigger has found."""
        with airflow_failures():
            ended = read_ended(event)
            if ended.error:
                raise ended.error
            if ended.found is None:
                goal = self.question().goal
                raise AirflowSensorTimeout(f"Given up after {self.timeout:.0f} s of waiting until {goal}")
            return ended.found

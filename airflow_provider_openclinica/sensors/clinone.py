"""Wait until ClinOne answers what a DAG's author waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_openclinica.errors import (
    ConfigurationError,
    NotFoundError,
    OpenClinicaError,
    RateLimitError,
    ServerUnavailableError,
)
from airflow_provider_openclinica.hooks.clinone import ClinOneHook
from airflow_provider_openclinica.operators.failures import airflow_failures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context


class ClinOneSensor(BaseSensorOperator):
    """Ask the same question until a condition holds for its reply. What ClinOne has at which path, it tells customers.

    A server that is busy or out of reach is asked again; a refusal fails the task at once and for good. With
    ``mode="reschedule"`` no worker is held between two questions. A function cannot move to a triggerer, so this sensor
    cannot be deferred.

    :param path: below the base URL of the connection, asked with ``GET``. It is in no log line. Templated.
    :param condition: function of the reply's JSON (``None`` for an empty reply): true ends the waiting. It may return
        Airflow's ``PokeReturnValue`` instead, with a value for XCom: one that many may see.
    :param query: query parameters. Templated.
    :param wait_if_not_found: take status 404 for *not yet* rather than for a mistake.
    :param function_group: that of ClinOne's scopes the path belongs to; see ``ClinOneOperator``. Templated.
    :param clinone_conn_id: connection of type ``clinone``. Templated.
    :param kwargs: what all sensors take: ``poke_interval``, ``timeout``, ``mode``, ``soft_fail``, …
    """

    template_fields: Sequence[str] = ("path", "query", "function_group", "clinone_conn_id")
    template_fields_renderers = {"query": "json"}  # noqa: RUF012  # as BaseOperator declares it
    ui_color = "#e8f4ea"

    def __init__(
        self,
        *,
        path: str,
        condition: Callable[[Any], bool | PokeReturnValue],
        query: Mapping[str, Any] | None = None,
        wait_if_not_found: bool = False,
        function_group: str = "",
        clinone_conn_id: str = ClinOneHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(condition):
            raise ConfigurationError("condition is no function")
        self.path, self.query = path, query
        self.condition = condition
        self.wait_if_not_found = wait_if_not_found
        self.function_group = function_group
        self.clinone_conn_id = clinone_conn_id

    def poke(self, context: Context) -> bool | PokeReturnValue:  # noqa: ARG002 - Airflow's signature
        """Ask once."""
        with airflow_failures():
            if self.query is not None and not isinstance(self.query, dict):
                raise ConfigurationError("query is no object, once it is rendered")
            try:
                reply = ClinOneHook(self.clinone_conn_id).request(
                    "GET", self.path, query=self.query, function_group=self.function_group or ""
                )
            except (ServerUnavailableError, RateLimitError) as trouble:
                self.log.warning("ClinOne cannot be asked now, will ask again: %s", trouble)
                return False
            except NotFoundError as missing:
                if self.wait_if_not_found and missing.status == 404:  # what is gone (410) will not come
                    return False
                raise
            return self._judge(reply.json)

    def _judge(self, reply: Any) -> bool | PokeReturnValue:
        """Ask the condition. What it says when it fails is not repeated: it may quote a value."""
        try:
            held = self.condition(reply)
        except OpenClinicaError:
            raise
        except Exception as error:  # noqa: BLE001  # a user's function may raise anything
            raise ConfigurationError(
                f"ClinOne answered, and condition raised {type(error).__name__}",
                next_step="Store a reply with ClinOneOperator, on a test system, and try the function on it.",
            ) from None
        return held if isinstance(held, PokeReturnValue) else bool(held)

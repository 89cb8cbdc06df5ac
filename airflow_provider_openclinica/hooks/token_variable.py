"""Share tokens through an Airflow Variable, for deployments where each task runs on a host of its own.

Opt-in: ``token_cache: variable``. The Variable holds ciphertext (client/tokens.py) under a key with the word ``token``,
which Airflow masks besides. Variables know no lock, so hosts that start cold at the same moment may each ask for one.
"""

from __future__ import annotations

import logging
import threading

from airflow.providers.common.compat.sdk import AirflowException, Variable

try:
    from airflow.sdk.exceptions import AirflowRuntimeError
except ImportError:  # Airflow 2: there is one exception for everything
    AirflowRuntimeError = AirflowException  # type: ignore[assignment,misc]

log = logging.getLogger(__name__)

#: What Airflow raises where it has no such Variable, refuses the access, or runs outside a task.
_UNAVAILABLE = (AirflowException, AirflowRuntimeError, KeyError, ImportError)


class VariableTokenStore:
    """A `TokenStore` over Airflow Variables. Where Variables cannot be had, it is an empty store.

    It works in the main thread only. In a triggerer that is never the thread that polls: there, on Airflow 3.0 and 3.1,
    reading a Variable from another thread would break the triggerer's own talk with its supervisor.
    """

    def load(self, key: str) -> str | None:
        """Return the Variable; None where there is none, or none can be read."""
        if not _in_main_thread():
            return None
        try:
            return str(Variable.get(key))
        except _UNAVAILABLE:
            log.debug("No token in the Airflow Variable")
            return None

    def save(self, key: str, text: str) -> None:
        """Write the Variable, where it can be written."""
        if not _in_main_thread():
            return
        try:
            Variable.set(key, text, description="A token, encrypted. Made and renewed by the OpenClinica provider.")
        except _UNAVAILABLE:
            log.debug("The Airflow Variable for tokens cannot be written")


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()

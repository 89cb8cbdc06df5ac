"""Arguments that a DAG author may write in more than one way."""

from __future__ import annotations

from datetime import timedelta

from airflow_provider_openclinica.errors import ConfigurationError


def seconds_of(duration: float | timedelta, argument: str) -> float:
    """Return a duration in seconds.

    :param duration: seconds, or a ``timedelta``.
    :param argument: its name, for the error.
    :raises ConfigurationError: it is none, or not more than nothing.
    """
    if isinstance(duration, timedelta):
        duration = duration.total_seconds()
    if isinstance(duration, bool) or not isinstance(duration, int | float) or not 0 < duration < float("inf"):
        raise ConfigurationError(f"{argument} is neither a number of seconds nor a timedelta, or it is not above 0")
    return float(duration)

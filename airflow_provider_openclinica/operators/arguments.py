"""Arguments that a DAG author may write in more than one way."""

from __future__ import annotations

import os
import re
from datetime import timedelta

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_openclinica.errors import ConfigurationError

JOB_UUID = re.compile(r"[0-9A-Za-z-]{36}")  #: the vendor's sample of a uuid has letters beyond f
_REPEAT_KEY = re.compile("0*[1-9][0-9]{0,8}")
_SELECTORS = frozenset("*,[]")  #: they select several events, or an occurrence


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


def file_address(given: object, argument: str) -> str:
    """Return where a file lies, as a path or a URI.

    :param given: a string, or a path object such as ``pathlib.Path`` or Airflow's ``ObjectStoragePath``.
    :param argument: its name, for the error.
    :raises ConfigurationError: it is neither, or empty: a template or an XCom that rendered to nothing, for one.
    """
    if isinstance(given, str | os.PathLike | ObjectStoragePath) and (address := str(given)):
        return address
    raise ConfigurationError(f"{argument} is not the address of a file, once it is rendered")


def oid(given: object, argument: str) -> str:
    """Return an OID, once it is rendered.

    :param argument: its name, for the error.
    :raises ConfigurationError: it is empty, or no text.
    """
    if isinstance(given, str) and given.strip():
        return given.strip()
    raise ConfigurationError(f"{argument} is empty, once it is rendered")


def switch_of(given: object, argument: str) -> bool:
    """Return whether something is wanted.

    :param given: ``True`` or ``False``; or their names as text, in any letter case, which is what a template leaves.
    :param argument: its name, for the error.
    :raises ConfigurationError: it is neither.
    """
    if isinstance(given, bool):
        return given
    word = given.strip().casefold() if isinstance(given, str) else ""
    if word not in ("true", "false"):
        raise ConfigurationError(f"{argument} is neither True nor False, once it is rendered")
    return word == "true"


def participant_id_of(given: object) -> str:
    """Return the ID of one participant.

    :raises ConfigurationError: it is empty once it is rendered, or ``*``, which OpenClinica takes for everybody.
    """
    participant_id = oid(given, "participant_id")
    if participant_id == "*":
        raise ConfigurationError("participant_id is *, and one participant is wanted")
    return participant_id


def event_oid_of(given: object) -> str:
    """Return the OID of one event.

    :raises ConfigurationError: it is empty once it is rendered, or OpenClinica takes it for several.
    """
    event_oid = oid(given, "study_event_oid")
    if _SELECTORS & set(event_oid):
        raise ConfigurationError(
            "study_event_oid is not the OID of one event",
            next_step="Name one event; the occurrence goes into study_event_repeat_key.",
        )
    return event_oid


def repeat_key_of(given: object) -> str:
    """Return the repeat key of an event, without leading zeros.

    :raises ConfigurationError: it is none, once it is rendered.
    """
    key = str(given).strip()
    if not _REPEAT_KEY.fullmatch(key):
        raise ConfigurationError("study_event_repeat_key is no whole number from 1, once it is rendered")
    return str(int(key))


def log_address(given: object) -> str | None:
    """Return where logs go: a file, or a folder if it ends in ``/``; ``None`` for nowhere.

    :raises ConfigurationError: it is a path object, which cannot say which of the two is meant.
    """
    if given is None or isinstance(given, str):
        return given or None
    raise ConfigurationError(
        "log_uri is not a string, once it is rendered",
        next_step="Write it as a string that ends in / for a folder; path objects lose that slash.",
    )


def job_uuid_of(given: object, argument: str = "job_uuid") -> str:
    """Return the uuid of a job.

    :param argument: its name, for the error.
    :raises ConfigurationError: it is none: a template or an XCom that rendered to nothing, for one.
    """
    if isinstance(given, str) and JOB_UUID.fullmatch(given):
        return given
    raise ConfigurationError(f"{argument} is not a uuid, once it is rendered")

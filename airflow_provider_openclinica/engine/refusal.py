"""Say what is wrong with a file before anything is sent, whatever kind of file it is."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal, Protocol

from airflow_provider_openclinica.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger(__name__)

SHOWN = 100  #: problems in one message


class Problem(Protocol):
    """What is wrong, or doubtful, at a place in a file; as text it names the place and holds no value."""

    @property
    def severity(self) -> Literal["error", "warning"]:
        """An error stops the task, a warning does not."""
        ...


def refuse(name: str, problems: Iterable[Problem]) -> None:
    """Say aloud what is doubtful, and stop at what is wrong.

    :param name: what messages call the file.
    :raises FileError: something is wrong; all problems in one message, the first hundred of them in full.
    """
    found = list(problems)
    for problem in [problem for problem in found if problem.severity == "warning"][:SHOWN]:
        log.warning("%s, %s", name, problem)
    errors = [problem for problem in found if problem.severity == "error"]
    if errors:
        shown = "; ".join(str(problem).rstrip(".") for problem in errors[:SHOWN])
        more = f"; and {len(errors) - SHOWN} more problems" if len(errors) > SHOWN else ""
        raise FileError(f"{name}, {shown}{more}")

"""Where this package's errors meet Airflow's idea of failure, for operators and sensors alike."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_openclinica.errors import OpenClinicaError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def airflow_failures(*final: type[OpenClinicaError]) -> Iterator[None]:
    """Fail the task for good where no retry can help; any other error goes on as it is, and Airflow retries it.

    :param final: errors that a retry of this task cannot mend, whatever ``retry`` says of them.
    :raises AirflowFailException: from such an error, or one whose ``retry`` is false, with its message.
    """
    try:
        yield
    except OpenClinicaError as error:
        if error.retry and not isinstance(error, final):
            raise
        raise AirflowFailException(str(error)) from error

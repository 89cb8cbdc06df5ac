"""Wait until a scheduled extract has made a new file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.engine.extracts import NewExtract
from airflow_provider_openclinica.errors import ConfigurationError
from airflow_provider_openclinica.operators.arguments import job_uuid_of, oid
from airflow_provider_openclinica.sensors.polling import PollingSensor
from airflow_provider_openclinica.triggers.extracts import OpenClinicaExtractTrigger

if TYPE_CHECKING:
    from collections.abc import Sequence


class OpenClinicaExtractSensor(PollingSensor):
    """Wait until an extract job has a file that is newer than a given moment.

    Returns ``execution_uuid`` and ``date_created`` (ISO 8601, or None) of the newest run, for
    ``OpenClinicaDownloadExtractOperator``, and for ``newer_than`` next time.

    OpenClinica shows the list to accounts of user type sysadmin or techadmin only, that have a role in the study
    (docs/protocol.md, extracts). It leaves out runs whose permission tags the account lacks: for those, this waits in
    vain.

    :param study_oid: OID of the study. Templated.
    :param extract_job_uuid: uuid of the extract job: it stands in the address of the page that *View Job* opens.
        Templated.
    :param newer_than: a moment, as a ``datetime`` or in ISO 8601, UTC where it has no zone; ``None`` takes any file.
        ``{{ data_interval_start }}`` waits for a file of this DAG run's interval, or later. Templated.
    :param openclinica_conn_id: connection of type ``openclinica``. Templated.
    :param deferrable: wait in the triggerer. Default: Airflow's ``[operators] default_deferrable``.
    :param kwargs: what all sensors take: ``poke_interval``, ``timeout``, ``mode``, ``soft_fail``, …
    """

    template_fields: Sequence[str] = ("study_oid", "extract_job_uuid", "newer_than", "openclinica_conn_id")
    trigger_class = OpenClinicaExtractTrigger

    def __init__(
        self, *, study_oid: str, extract_job_uuid: str, newer_than: str | datetime | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.study_oid = study_oid
        self.extract_job_uuid = extract_job_uuid
        self.newer_than = newer_than

    def question(self) -> NewExtract:
        """Ask for a file that is new."""
        return NewExtract(
            study_oid=oid(self.study_oid, "study_oid"),
            extract_job_uuid=job_uuid_of(self.extract_job_uuid, "extract_job_uuid"),
            newer_than=None if self.newer_than is None else _moment(self.newer_than).isoformat(),
        )


def _moment(given: str | datetime) -> datetime:
    """Return a moment with its zone.

    :raises ConfigurationError: it is none: a template that rendered to nothing must not make every file new.
    """
    try:
        moment = given if isinstance(given, datetime) else datetime.fromisoformat(given.strip())
    except (ValueError, AttributeError):
        raise ConfigurationError("newer_than is no moment in ISO 8601, once it is rendered") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

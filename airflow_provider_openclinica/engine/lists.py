"""Lists that help where they can be read: the job list, and the participants of each site.

Newer servers have no job list, and an account with a role at a site only may not read its study's (docs/protocol.md,
job list, roles). Both are normal, so they are values here and no errors. A server that is busy or down stays an error:
the same question may be answered a minute later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_openclinica.errors import (
    ConfigurationError,
    CredentialsError,
    OpenClinicaError,
)

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.client.jobs import ListedJob

INTERNAL_ERROR = 500  #: how the server says that the role does not suffice for a list


def read_job_list(client: OpenClinicaClient, study_oid: str, site_oid: str | None) -> list[ListedJob] | None:
    """Return the jobs of a study or a site, ``None`` where this server or account cannot tell them.

    :raises OpenClinicaError: the server cannot be reached or is busy, or refuses the credentials.
    """
    if not study_oid:
        return None
    try:
        return client.jobs.list(study_oid, site_oid)
    except OpenClinicaError as error:
        if is_unreadable(error):
            return None
        raise


def is_unreadable(error: OpenClinicaError) -> bool:
    """Tell a list that is not there, or not for this account, from a server that does not answer now."""
    if error.status == INTERNAL_ERROR:
        return True
    return not (error.retry or isinstance(error, CredentialsError | ConfigurationError))

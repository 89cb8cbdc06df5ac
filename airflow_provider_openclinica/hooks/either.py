"""The client for what reads clinical data from either OpenClinica, 3 or 4: the connection's type tells which."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_openclinica.hooks.clients import client_for
from airflow_provider_openclinica.hooks.openclinica import METADATA_MAX_AGE, OpenClinicaHook
from airflow_provider_openclinica.hooks.openclinica3 import OpenClinica3Hook, client3_for
from airflow_provider_openclinica.odm.metadata import read_metadata

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.odm.design import StudyMetadata


def reading_client_for(conn_id: str, *, sleep: Callable[[float], None] = time.sleep) -> OpenClinicaClient:
    """Return this process's client for a connection of type ``openclinica`` or ``openclinica3``.

    Of an OpenClinica 3 it has ``clinicaldata``, ``studies``, ``participants`` and ``tokens``, which is what pulls use.

    :param sleep: what waits between tries; may raise, to end the wait of a task that is killed.
    :raises ConfigurationError: the connection cannot work as it is written.
    """
    if is_openclinica3(conn_id):
        return cast("OpenClinicaClient", client3_for(conn_id, sleep=sleep))
    return client_for(conn_id, sleep=sleep)


def reading_metadata_for(
    conn_id: str, study_oid: str, *, max_age: float | timedelta = METADATA_MAX_AGE
) -> StudyMetadata:
    """Return how a study is built; of an OpenClinica 4 from the cache that ``OpenClinicaHook.study_metadata`` keeps.

    :param study_oid: OID of the study, or of a site; letter case matters.
    :param max_age: as `OpenClinicaHook.study_metadata` takes it; an OpenClinica 3 is always asked.
    :raises OpenClinicaError: the server cannot be asked, or has no such study.
    """
    if not is_openclinica3(conn_id):
        return OpenClinicaHook(conn_id).study_metadata(study_oid, max_age=max_age)
    with client3_for(conn_id).clinicaldata.metadata(study_oid) as document:
        return read_metadata(document.chunks(), charset=document.charset)


def is_openclinica3(conn_id: str) -> bool:
    """Tell whether a connection is of type ``openclinica3``."""
    return bool(BaseHook.get_connection(conn_id).conn_type == OpenClinica3Hook.conn_type)

"""A client of OpenClinica 4 without Airflow. What stands here is public; a name is imported when it is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.addresses import ServerSettings
    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.client.contacts import Contact
    from airflow_provider_openclinica.client.extracts import ExtractExecution
    from airflow_provider_openclinica.client.joblog import LogRow, read_rows
    from airflow_provider_openclinica.client.jobs import JobFile, JobState, ListedJob
    from airflow_provider_openclinica.client.participants import AddedParticipant, ListedParticipant
    from airflow_provider_openclinica.client.participate import AccessLink, ParticipateAccount
    from airflow_provider_openclinica.client.sdv import SdvForm, SdvItem
    from airflow_provider_openclinica.client.tokens import TokenManager, TokenStore
    from airflow_provider_openclinica.client.uploads import Upload, upload_file, upload_from

_HOME = {
    "AccessLink": "participate",
    "AddedParticipant": "participants",
    "Contact": "contacts",
    "ExtractExecution": "extracts",
    "JobFile": "jobs",
    "JobState": "jobs",
    "ListedJob": "jobs",
    "ListedParticipant": "participants",
    "LogRow": "joblog",
    "OpenClinicaClient": "client",
    "ParticipateAccount": "participate",
    "SdvForm": "sdv",
    "SdvItem": "sdv",
    "ServerSettings": "addresses",
    "TokenManager": "tokens",
    "TokenStore": "tokens",
    "Upload": "uploads",
    "read_rows": "joblog",
    "upload_file": "uploads",
    "upload_from": "uploads",
}

__all__ = [
    "AccessLink",
    "AddedParticipant",
    "Contact",
    "ExtractExecution",
    "JobFile",
    "JobState",
    "ListedJob",
    "ListedParticipant",
    "LogRow",
    "OpenClinicaClient",
    "ParticipateAccount",
    "SdvForm",
    "SdvItem",
    "ServerSettings",
    "TokenManager",
    "TokenStore",
    "Upload",
    "read_rows",
    "upload_file",
    "upload_from",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)

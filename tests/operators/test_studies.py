"""Listing the sites of a study, against a running OpenClinica in both dialects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_openclinica.errors import ConfigurationError, ServerUnavailableError
from airflow_provider_openclinica.operators.studies import OpenClinicaListSitesOperator

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task

pytestmark = pytest.mark.usefixtures("openclinica_conn")


def listing(study_oid: str = "S_JUNO") -> OpenClinicaListSitesOperator:
    return OpenClinicaListSitesOperator(task_id="sites", study_oid=study_oid)


def test_the_sites_of_a_study_are_listed(task: Task) -> None:
    assert task.run(listing()) == ["S_BOSTON", "S_LEIDEN"]


def test_a_site_has_no_sites(task: Task) -> None:
    assert task.run(listing("S_BOSTON")) == []


def test_a_study_that_is_not_there_may_as_well_be_a_server_in_trouble(task: Task) -> None:
    with pytest.raises(ServerUnavailableError):
        task.run(listing("S_NONE"))


@pytest.mark.parametrize("study_oid", ["", " ", None])
def test_without_a_study_nothing_is_asked(sandbox: Sandbox, task: Task, study_oid: str) -> None:
    with pytest.raises(AirflowFailException, match="study_oid is empty") as caught:
        task.run(listing(study_oid))

    assert isinstance(caught.value.__cause__, ConfigurationError)
    assert sandbox.requests() == []

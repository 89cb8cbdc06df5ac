"""What a DAG author may write, and what a template may make of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_openclinica.errors import ConfigurationError, FileUnavailableError
from airflow_provider_openclinica.operators.arguments import file_address, log_address
from tests.operators.imports import fails_with, importing

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task


@pytest.mark.parametrize(
    "kind", [str, Path, lambda path: ObjectStoragePath(f"file://{path}")], ids=["str", "path", "object"]
)
@pytest.mark.parametrize("dialect", ["docs"])
@pytest.mark.usefixtures("openclinica_conn")
def test_a_file_may_be_named_by_a_string_or_a_path_object(
    sandbox: Sandbox, task: Task, labs: Callable[..., str], kind: Callable[[str], Any]
) -> None:
    operator = importing(kind(labs("BOS-001")))

    assert task.run(operator)["outcomes"] == {"Inserted": 9}
    assert sandbox.jobs()[0]["sourceFileName"].startswith("labs.af-")


def test_a_path_object_keeps_the_connection_of_its_storage() -> None:
    assert file_address(ObjectStoragePath("file://minio@/labs/today.xml"), "odm_uri") == "file://minio@/labs/today.xml"


@pytest.mark.parametrize("given", [None, "", 7, ["labs.xml"]], ids=["none", "empty", "number", "list"])
def test_what_is_no_address_once_it_is_rendered_is_refused(task: Task, given: Any) -> None:
    assert "odm_uri" in fails_with(task, importing(given), ConfigurationError)


@pytest.mark.parametrize(
    ("given", "address"), [(None, None), ("", None), ("s3://labs/log/", "s3://labs/log/"), ("log.csv", "log.csv")]
)
def test_logs_go_to_a_string_or_nowhere(given: str | None, address: str | None) -> None:
    assert log_address(given) == address


@pytest.mark.usefixtures("openclinica_conn")
@pytest.mark.parametrize("dialect", ["docs"])
@pytest.mark.parametrize(
    ("log_uri", "error", "says"),
    [
        pytest.param(
            lambda place: place / "log", ConfigurationError, "path objects lose that slash", id="a-path-object"
        ),
        pytest.param(lambda place: f"{place}", ConfigurationError, "End the address in /", id="a-folder-without-slash"),
        pytest.param(lambda place: "nowhere://log/", ConfigurationError, "knows no storage", id="no-such-storage"),
        pytest.param(
            lambda place: f"{place}/labs.xml/log/", FileUnavailableError, "cannot be written", id="below-a-file"
        ),
    ],
)
def test_a_place_that_cannot_take_the_log_is_refused_before_the_first_request(
    sandbox: Sandbox,
    task: Task,
    labs: Callable[..., str],
    tmp_path: Path,
    log_uri: Callable[[Path], Any],
    error: type[Exception],
    says: str,
) -> None:
    operator = importing(labs("BOS-001"), log_uri=log_uri(tmp_path))

    with pytest.raises(Exception, match=says) as caught:
        task.run(operator)

    assert isinstance(caught.value, error) or isinstance(caught.value.__cause__, error)
    assert sandbox.requests() == []

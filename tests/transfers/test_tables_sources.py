"""Where tables come from: from the metadata alone, and from addresses that nearly name a set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_openclinica.transfers.openclinica_to_file import OpenClinicaToFileOperator
from airflow_provider_openclinica.transfers.openclinica_to_tables import OpenClinicaToTablesOperator
from tests.pulls import asked, fill
from tests.tables import files_in, table

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tasks import Task


def making(output_uri: Any, **arguments: Any) -> OpenClinicaToTablesOperator:
    return OpenClinicaToTablesOperator(task_id="tables", output_uri=str(output_uri), **arguments)


def pulling(output_uri: str) -> OpenClinicaToFileOperator:
    return OpenClinicaToFileOperator(
        task_id="pull", study_oid="S_JUNO", output_uri=output_uri, partition_by="site", include_metadata=True
    )


@pytest.mark.usefixtures("openclinica_conn")
def test_for_the_codebook_alone_no_data_are_pulled(sandbox: Sandbox, task: Task, tmp_path: Path) -> None:
    fill(sandbox)
    sandbox.service.requests.clear()

    for _ in range(2):  # it is that of today, and none that is kept
        found = task.run(making(tmp_path / "out", study_oid="S_JUNO", tables=["codebook"]))

    assert found["tables"] == {"codebook": len(table(tmp_path / "out", "codebook"))}
    assert found["tables"]["codebook"] > 30
    assert asked(sandbox) == []
    assert len([each for each in sandbox.requests() if "clinicaldata=n" in each["target"]]) == 2


@pytest.mark.usefixtures("openclinica3_conn")
def test_the_codebook_of_an_openclinica_3_comes_without_data_too(task: Task, tmp_path: Path) -> None:
    of_3 = {"study_oid": "S_JUNO", "openclinica_conn_id": "openclinica3_default"}
    found = task.run(making(tmp_path / "out", tables=["codebook"], **of_3))
    assert found["tables"]["codebook"] > 30


@pytest.mark.usefixtures("openclinica_conn")
@pytest.mark.parametrize("dialect", ["docs"])
def test_the_codebook_alone_cannot_tell_what_changed(task: Task, tmp_path: Path) -> None:
    with pytest.raises(AirflowFailException, match="Without the table participants"):
        task.run(making(tmp_path / "out", study_oid="S_JUNO", tables=["codebook"], incremental=True))


@pytest.mark.usefixtures("openclinica_conn")
@pytest.mark.parametrize("dialect", ["docs"])
@pytest.mark.parametrize("place", ["local", "s3"])
def test_the_address_of_a_set_without_its_slash_is_told(
    request: pytest.FixtureRequest, task: Task, tmp_path: Path, place: str
) -> None:
    root = str(tmp_path)
    if place == "s3":
        request.getfixturevalue("bucket")
        root = "s3://minio@labs"
    task.run(pulling(f"{root}/odm/"))

    with pytest.raises(AirflowFailException, match=r"odm is the folder of a pull set, and no file\. End odm_uri in /"):
        task.run(making(tmp_path / "out", odm_uri=f"{root}/odm"))

    assert files_in(tmp_path / "out") == set()

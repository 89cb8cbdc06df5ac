"""Tables of clinical data, made of what a running OpenClinica in both dialects gives, and of files."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_openclinica import sandbox as openclinica_sandbox
from airflow_provider_openclinica.engine import tableset
from airflow_provider_openclinica.engine.tablefiles import FORMATS
from airflow_provider_openclinica.engine.tables import TABLES, WIDE
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    FileError,
    FileUnavailableError,
    NotFoundError,
    WaitInterruptedError,
)
from airflow_provider_openclinica.transfers.openclinica_to_file import OpenClinicaToFileOperator
from airflow_provider_openclinica.transfers.openclinica_to_tables import OpenClinicaToTablesOperator
from tests.documents import COMMENT, FIRST, OF_LEIDEN, SECOND, found_in
from tests.pulls import fill, items_in, parsed, stored_items
from tests.tables import dataset_in, files_in, manifest_of, part_of, rows_in, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.tables import Rows
    from tests.tasks import Task

pytestmark = pytest.mark.usefixtures("openclinica_conn")

EXPORT = Path(__file__).parents[1] / "odm" / "data" / "export.xml"
BARE = '<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" ODMVersion="1.3"><ClinicalData StudyOID="S"/></ODM>'
DESIGN = Path(openclinica_sandbox.__file__).with_name("demo_study.xml")


def making(output_uri: Any, **arguments: Any) -> OpenClinicaToTablesOperator:
    return OpenClinicaToTablesOperator(task_id="tables", output_uri=str(output_uri), **arguments)


def fails_for_good(task: Task, operator: OpenClinicaToTablesOperator, error: type[Exception]) -> str:
    with pytest.raises(AirflowFailException) as caught:
        task.run(operator)
    assert isinstance(caught.value.__cause__, error)
    return str(caught.value)


def items_of(rows: Rows) -> list[tuple[str, ...]]:
    """Return what ``tests.pulls.stored_items`` says of the same data."""
    names = ("participant_id", "study_event_oid", "study_event_repeat_key", "item_oid", "value")
    return sorted(tuple(row[name] for name in names) for row in rows)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the tables go; tokens are elsewhere."""
    return tmp_path / "warehouse" / "juno"


# What there is


@pytest.mark.parametrize("written_as", FORMATS)
def test_a_study_comes_in_tables_with_all_that_is_stored(
    sandbox: Sandbox, task: Task, folder: Path, written_as: str
) -> None:
    fill(sandbox)

    found = task.run(making(folder, study_oid="S_JUNO", format=written_as))

    assert json.loads(json.dumps(found)) == found
    assert items_of(table(folder, "items")) == stored_items(sandbox)
    counts = found["tables"]
    assert {name: counts[name] for name in ("participants", "events", "forms", "item_groups", "items")} == {
        "participants": 12,
        "events": 6,
        "forms": 6,
        "item_groups": 12,
        "items": 30,
    }
    assert counts["audit"] > 0
    assert counts["codebook"] > 30
    assert found["output_uri"] == f"{folder}/"
    assert (found["format"], found["unplaced"], found["repairs"]) == (written_as, 0, {})
    assert found["sha256"] == hashlib.sha256((folder / "_manifest.json").read_bytes()).hexdigest()
    for each in manifest_of(folder)["tables"]:
        content = (folder / each["file"]).read_bytes()
        assert (each["size"], each["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert each["rows"] == counts[each["table"]] == len(rows_in(folder / each["file"]))
        assert stat.S_IMODE((folder / each["file"]).stat().st_mode) == 0o600
    assert found["size"] == sum(each["size"] for each in manifest_of(folder)["tables"])
    assert files_in(folder) == {"_manifest.json", *(each["file"] for each in manifest_of(folder)["tables"])}


def test_a_dataset_names_the_study_and_its_design(sandbox: Sandbox, task: Task, folder: Path) -> None:
    fill(sandbox)

    task.run(making(folder, study_oid="S_JUNO", format="dataset-json"))

    header, rows = dataset_in(part_of(folder, "item_group=IG_VITALS_MAIN"))
    assert (header["studyOID"], header["metaDataVersionOID"]) == ("S_JUNO", "v1.0.0")
    assert (header["itemGroupOID"], header["records"]) == ("IG_VITALS_MAIN", 2)
    pulse = [column["itemOID"] for column in header["columns"]].index("I_VITALS_PULSE")
    assert [row[pulse] for row in rows] == [72, 72]


def test_item_groups_have_wide_tables_with_typed_columns(sandbox: Sandbox, task: Task, folder: Path) -> None:
    fill(sandbox)

    task.run(making(folder, study_oid="S_JUNO"))

    (first, *_) = [row for row in table(folder, "item_group=IG_LABS_RESULTS") if row["participant_id"] == FIRST]
    assert first["item_group_repeat_key"] == "1"
    assert (first["I_LABS_TEST"], first["I_LABS_VALUE"], first["I_LABS_VALUE_text"]) == ("HBA1C", 41.5, None)
    assert first["removed"] is False
    pulses = [row["I_VITALS_PULSE"] for row in table(folder, "item_group=IG_VITALS_MAIN")]
    assert pulses == [72, 72]


def test_data_of_each_site_stay_with_it(sandbox: Sandbox, task: Task, folder: Path) -> None:
    fill(sandbox)

    task.run(making(folder, study_oid="S_JUNO", tables=["items"]))

    places = {(row["participant_id"], row["study_oid"]) for row in table(folder, "items")}
    assert places == {(FIRST, "S_BOSTON"), (SECOND, "S_BOSTON"), (OF_LEIDEN, "S_LEIDEN")}


def test_a_study_without_data_has_the_same_tables_and_columns(sandbox: Sandbox, task: Task, folder: Path) -> None:
    task.run(making(folder / "empty", study_oid="S_JUNO"))
    fill(sandbox)
    task.run(making(folder / "full", study_oid="S_JUNO"))

    def columns_in(name: str) -> dict[str, list[str]]:
        return {each["table"]: each["columns"] for each in manifest_of(folder / name)["tables"]}

    assert columns_in("empty") == columns_in("full")
    assert table(folder / "empty", "items") == []


@pytest.mark.parametrize("dialect", ["source"])
def test_only_the_tables_that_are_wanted_are_made_and_asked_for(sandbox: Sandbox, task: Task, folder: Path) -> None:
    fill(sandbox)

    found = task.run(making(folder, study_oid="S_JUNO", tables=["items", "forms"]))

    assert found["tables"] == {"forms": 6, "items": 30}
    (retrieval,) = [each["target"] for each in sandbox.requests() if "/clinicaldata/" in each["path"]]
    assert all(flag in retrieval for flag in ("includeAudits=n", "includeDNs=n", "includeMetadata=n"))


# Documents that are there already


@pytest.mark.parametrize("pulled_as", ["xml", "json"])
def test_tables_are_made_of_a_file_that_was_pulled(
    sandbox: Sandbox, task: Task, folder: Path, tmp_path: Path, pulled_as: Literal["xml", "json"]
) -> None:
    fill(sandbox)
    pulled = tmp_path / f"juno.{pulled_as}"
    task.run(OpenClinicaToFileOperator(task_id="pull", study_oid="S_JUNO", output_uri=str(pulled), format=pulled_as))

    task.run(making(folder, odm_uri=str(pulled), study_oid="S_JUNO"))

    pulse = [row["I_VITALS_PULSE"] for row in table(folder, "item_group=IG_VITALS_MAIN")]
    assert pulse == [72, 72]
    if pulled_as == "xml":
        assert items_of(table(folder, "items")) == items_in(parsed(pulled))


def test_tables_are_made_of_a_set_as_its_manifest_says(
    sandbox: Sandbox, task: Task, folder: Path, tmp_path: Path
) -> None:
    fill(sandbox)
    pulled = f"{tmp_path}/set/"
    pull = OpenClinicaToFileOperator(
        task_id="pull", study_oid="S_JUNO", output_uri=pulled, partition_by="site", include_metadata=True
    )
    task.run(pull)
    Path(pulled, "0009.0123456789abcdef.xml").write_text("of a set that was never published")
    asked = len(sandbox.requests())

    found = task.run(making(folder, odm_uri=pulled))

    assert items_of(table(folder, "items")) == stored_items(sandbox)
    assert found["tables"]["item_group=IG_VITALS_MAIN"] == 2
    assert len(sandbox.requests()) == asked


@pytest.mark.parametrize("dialect", ["docs"])
def test_files_of_other_systems_need_no_connection(
    task: Task, folder: Path, monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_OPENCLINICA_DEFAULT")

    found = task.run(making(folder, odm_uri=str(EXPORT), tables=["items", "queries"]))

    assert found["tables"] == {"items": 1, "queries": 4}
    assert not found_in(said())


@pytest.mark.parametrize("dialect", ["docs"])
def test_without_metadata_the_task_says_what_is_missing(
    task: Task, folder: Path, tmp_path: Path, said: Callable[[], str]
) -> None:
    bare = tmp_path / "bare.xml"
    bare.write_text(BARE)

    found = task.run(making(folder, odm_uri=str(bare)))

    assert set(found["tables"]) == set(TABLES) - {WIDE}
    assert "there are no wide tables" in said()


@pytest.mark.parametrize("dialect", ["docs"])
def test_a_table_that_is_asked_for_by_name_is_made_or_an_error(task: Task, folder: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.xml"
    bare.write_text(BARE)
    message = fails_for_good(task, making(folder, odm_uri=str(bare), tables=["items", "wide"]), FileError)
    assert "include_metadata=True" in message
    assert files_in(folder) == set()


@pytest.mark.parametrize("dialect", ["docs"])
def test_metadata_are_found_in_utf_16(task: Task, folder: Path, tmp_path: Path) -> None:
    wide = tmp_path / "utf-16.xml"
    wide.write_text(DESIGN.read_text().replace("UTF-8", "UTF-16"), encoding="utf-16")
    found = task.run(making(folder, odm_uri=str(wide), tables=["codebook"]))
    assert found["tables"]["codebook"] > 30


def test_values_that_the_metadata_do_not_know_are_counted(
    sandbox: Sandbox, task: Task, folder: Path, said: Callable[[], str]
) -> None:
    found = task.run(making(folder, odm_uri=str(EXPORT), study_oid="S_JUNO"))

    assert found["unplaced"] == 1
    assert "Values without a column in a wide table, since the metadata have no such item: 1." in said()


# Publishing


@pytest.mark.parametrize("dialect", ["docs"])
def test_a_second_run_takes_the_place_of_the_first(sandbox: Sandbox, task: Task, folder: Path) -> None:
    fill(sandbox)
    task.run(making(folder, study_oid="S_JUNO", tables=["items", "participants"]))
    before = files_in(folder)
    (folder / "items" / "notes.txt").write_text("not ours")
    items = part_of(folder, "items").name
    sandbox.reset()

    task.run(making(folder, study_oid="S_JUNO", tables=["items", "participants"]))

    assert table(folder, "items") == []
    assert f"items/{items}" not in files_in(folder)
    assert len(files_in(folder)) == len(before) + 1
    assert (folder / "items" / "notes.txt").exists()


@pytest.mark.parametrize("dialect", ["docs"])
@pytest.mark.parametrize("written_as", ["parquet", "dataset-json"])
def test_the_same_data_make_the_same_files(sandbox: Sandbox, task: Task, folder: Path, written_as: str) -> None:
    fill(sandbox)
    operator = making(folder, study_oid="S_JUNO", tables=["items", "codebook", "wide"], format=written_as)
    first, before = task.run(operator), files_in(folder)
    again = task.run(operator)
    as_of = {"covers", "sha256"}  # the manifest says when it was
    assert {key: told for key, told in again.items() if key not in as_of} == {
        key: told for key, told in first.items() if key not in as_of
    }
    assert files_in(folder) == before
    assert len(before) == len(first["tables"]) + 1


@pytest.mark.parametrize("dialect", ["docs"])
def test_a_document_that_breaks_off_publishes_nothing(task: Task, folder: Path, tmp_path: Path) -> None:
    task.run(making(folder, odm_uri=str(EXPORT), tables=["items"]))
    before = files_in(folder)
    cut = tmp_path / "cut.xml"
    cut.write_bytes(EXPORT.read_bytes().replace(b"</ODM>", b""))

    message = fails_for_good(task, making(folder, odm_uri=str(cut), tables=["items"]), FileError)

    assert "cut off" in message
    assert str(cut) in message
    assert "Fetch it again" in message
    assert files_in(folder) == before


@pytest.mark.parametrize("dialect", ["docs"])
def test_what_a_killed_worker_left_is_removed_by_the_next(
    task: Task, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = making(folder, odm_uri=str(EXPORT), tables=["items", "queries"])
    with monkeypatch.context() as killed:
        killed.setattr(tableset, "_copy", killed_after(1, tableset._copy))
        killed.setattr(tableset, "_remove", lambda *_: None)  # SIGKILL lets nobody tidy up
        with pytest.raises(KeyboardInterrupt):
            task.run(operator)
    assert {name.partition("/")[0] for name in files_in(folder)} == {"_unfinished.json", "items"}

    found = task.run(making(folder, odm_uri=str(EXPORT), tables=["participants"]))

    assert set(found["tables"]) == {"participants"}
    assert {name.partition("/")[0] for name in files_in(folder)} == {"_manifest.json", "participants"}


def killed_after(copies: int, copy: Any) -> Any:
    """Let some parts be written, and no more."""
    left = iter(range(copies))

    def copied(*arguments: Any) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        copy(*arguments)

    return copied


@pytest.mark.parametrize("dialect", ["docs"])
def test_a_folder_of_something_else_is_left_alone(task: Task, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "_manifest.json").write_text('{"tables": "no"}')

    assert "manifest of something else" in fails_for_good(
        task, making(folder, odm_uri=str(EXPORT), tables=["items"]), FileError
    )
    assert files_in(folder) == {"_manifest.json"}


@pytest.mark.parametrize("dialect", ["docs"])
def test_a_task_that_is_killed_publishes_nothing(
    sandbox: Sandbox, task: Task, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sandbox)
    operator = making(folder, odm_uri=str(EXPORT), study_oid="S_JUNO")
    asked = OpenClinicaToTablesOperator._metadata

    def killed_meanwhile(self: OpenClinicaToTablesOperator, *arguments: Any) -> Any:
        self.on_kill()
        return asked(self, *arguments)

    monkeypatch.setattr(OpenClinicaToTablesOperator, "_metadata", killed_meanwhile)

    with pytest.raises(WaitInterruptedError):
        task.run(operator)
    assert files_in(folder) == set()


def test_no_value_and_no_participant_leaves_the_worker(
    sandbox: Sandbox, task: Task, folder: Path, said: Callable[[], str]
) -> None:
    fill(sandbox)

    found = task.run(making(folder, study_oid="S_JUNO"))

    assert not found_in(said() + json.dumps(found) + (folder / "_manifest.json").read_text())
    assert any(row["value"] == COMMENT for row in table(folder, "items"))


# What cannot work


@pytest.mark.parametrize("dialect", ["docs"])
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param({}, "nothing to read", id="no-source"),
        pytest.param({"study_oid": " "}, "study_oid is empty", id="empty-study"),
        pytest.param({"odm_uri": ""}, "odm_uri is not the address", id="empty-source"),
        pytest.param({"study_oid": "S_JUNO", "output_uri": ""}, "output_uri is not the address", id="empty-target"),
        pytest.param({"study_oid": "S_JUNO", "format": "xlsx"}, "none of 'parquet', 'csv'", id="format"),
        pytest.param({"study_oid": "S_JUNO", "output_uri": "nowhere://x/"}, "no storage", id="storage"),
    ],
)
def test_bad_arguments_fail_before_anything_is_sent(
    sandbox: Sandbox, task: Task, folder: Path, arguments: dict[str, Any], complaint: str
) -> None:
    operator = making(**{"output_uri": folder} | arguments)
    assert complaint in fails_for_good(task, operator, ConfigurationError)
    assert sandbox.requests() == []


@pytest.mark.parametrize("dialect", ["docs"])
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param({"tables": ["itmes"]}, "no table itmes", id="misspelt"),
        pytest.param({"tables": "items"}, "no list", id="a-text"),
        pytest.param({"tables": []}, "no list", id="none"),
        pytest.param({"partition_by": "country"}, "partition_by is none of", id="partition"),
        pytest.param({"max_parallel": 0}, "max_parallel", id="parallel"),
    ],
)
def test_bad_arguments_fail_when_the_dag_is_read(folder: Path, arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        making(folder, study_oid="S_JUNO", **arguments)


@pytest.mark.parametrize("dialect", ["docs"])
def test_a_folder_without_a_set_is_an_error_that_a_retry_may_mend(task: Task, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileUnavailableError, match="no pull set"):
        task.run(making(folder, odm_uri=f"{tmp_path}/"))


@pytest.mark.parametrize("dialect", ["docs"])
def test_an_answer_without_data_is_an_error_unless_it_is_allowed(sandbox: Sandbox, task: Task, folder: Path) -> None:
    account = sandbox.service.accounts.get("data_manager")
    assert account
    account.roles.clear()
    fails_for_good(task, making(folder, study_oid="S_JUNO", tables=["items"]), NotFoundError)
    assert files_in(folder) == set()

    found = task.run(making(folder, study_oid="S_JUNO", tables=["items"], allow_empty=True))

    assert found["tables"] == {"items": 0}

"""What becomes an asset, and whose outlet it is. Which DAGs Airflow then runs: ``tests/compat/test_assets.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import Asset, AssetAlias, BaseOperator

from airflow_provider_openclinica.operators.assets import announce, asset_of, database_asset, declare, output_asset
from airflow_provider_openclinica.operators.changes import OpenClinicaChangesOperator
from airflow_provider_openclinica.transfers.openclinica_to_file import OpenClinicaToFileOperator
from airflow_provider_openclinica.transfers.openclinica_to_tables import OpenClinicaToTablesOperator
from airflow_provider_openclinica.transfers.tables_to_sql import OpenClinicaTablesToSqlOperator

if TYPE_CHECKING:
    from tests.tasks import Task

MADE = {"study_oid": "S_JUNO", "tables": {"items": {"changed": 3}}}
TOLD = {"study_oid": "S_JUNO", "tables.items.changed": 3}


class Writing(BaseOperator):
    def __init__(self, *, output_uri: Any, changed: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_uri = output_uri
        self.changed = changed
        declare(self, output_asset(output_uri), kwargs)

    def execute(self, context: Any) -> None:
        announce(self, context, output_asset(self.output_uri), MADE, changed=self.changed)


def writing(output_uri: Any = "/data/juno/", **options: Any) -> Writing:
    return Writing(task_id="write", output_uri=output_uri, **options)


@pytest.mark.parametrize(
    ("address", "uri"),
    [
        pytest.param("/data/juno/", "file:///data/juno", id="a-folder"),
        pytest.param("/data/juno.xml", "file:///data/juno.xml", id="a-file"),
        pytest.param("file:///data/juno/", "file:///data/juno", id="a-folder-as-a-uri"),
        pytest.param("/", "file:///", id="the-root"),
        pytest.param("s3://bucket/juno/", "s3://bucket/juno", id="object-storage"),
        pytest.param("s3://conn@bucket/juno/", "s3://bucket/juno", id="a-connection-is-left-out"),
        pytest.param("s3://bucket", "s3://bucket/", id="a-bucket"),
        pytest.param("/data/Süd 1/", "file:///data/S%C3%BCd 1", id="letters-beyond-ascii"),
        pytest.param("/data/a?b#c", "file:///data/a%3Fb%23c", id="what-a-uri-would-end-at"),
        pytest.param("/data/50%25/", "file:///data/50%25", id="what-is-quoted-stays"),
    ],
)
def test_an_address_has_one_asset_however_it_is_written(address: str, uri: str) -> None:
    assert asset_of(address).uri == uri
    assert output_asset(address) == asset_of(address)


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("juno/tables/", id="a-relative-path"),
        pytest.param("s3://bucket/{{ ds }}/", id="a-template"),
        pytest.param("/data/{% if x %}a{% endif %}", id="a-template-statement"),
        pytest.param("/" + "x" * 1500, id="too-long"),
        pytest.param("", id="empty"),
    ],
)
def test_an_address_that_is_not_known_has_none(address: str) -> None:
    assert output_asset(address) is None
    with pytest.raises(ValueError, match="There is no asset of"):
        asset_of(address)


def test_what_is_no_text_has_none_before_the_task_runs() -> None:
    assert output_asset(writing().output) is None
    assert output_asset(Path("/data/juno")) is None


@pytest.mark.parametrize(
    ("conn_id", "schema", "uri"),
    [
        pytest.param("warehouse", "juno", "sql://warehouse/juno", id="a-schema"),
        pytest.param("warehouse", None, "sql://warehouse/", id="the-connection-says-which"),
        pytest.param("ware house", "a/b", "sql://ware%20house/a%2Fb", id="other-characters"),
    ],
)
def test_a_database_is_known_by_its_connection(conn_id: str, schema: str | None, uri: str) -> None:
    asset = database_asset(conn_id, schema)
    assert asset is not None
    assert asset.uri == uri


@pytest.mark.parametrize(("conn_id", "schema"), [("{{ x }}", None), ("warehouse", "{{ x }}"), (None, None)])
def test_a_database_that_is_not_known_yet_has_none(conn_id: Any, schema: Any) -> None:
    assert database_asset(conn_id, schema) is None


def test_an_output_is_an_outlet() -> None:
    assert writing().outlets == [Asset("file:///data/juno")]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"output_uri": "{{ x }}"}, id="the-address-is-a-template"),
        pytest.param({"outlets": []}, id="the-author-wants-none"),
    ],
)
def test_there_is_no_outlet_where(options: dict[str, Any]) -> None:
    assert writing(**options).outlets == []


def test_what_the_author_says_is_the_outlet() -> None:
    assert writing(outlets=[Asset("s3://mine/")]).outlets == [Asset("s3://mine/")]


@pytest.mark.parametrize("outlets", [None, [Asset("s3://mine/")]], ids=["ours", "the-authors"])
def test_the_event_tells_counts_one_by_one(task: Task, outlets: Any) -> None:
    operator = writing(outlets=outlets)
    task.run(operator)
    (asset,) = operator.outlets
    assert task.outlet_events[asset].extra == TOLD


def test_an_alias_gets_the_event_of_an_address_that_was_a_template(task: Task) -> None:
    operator = writing("{{ x }}", outlets=[AssetAlias("juno")])
    operator.output_uri = "s3://conn@bucket/juno/"  # as rendered
    task.run(operator)
    (event,) = task.outlet_events[AssetAlias("juno")].asset_alias_events
    assert (event.dest_asset_key.uri, event.extra) == ("s3://bucket/juno", TOLD)


@pytest.mark.parametrize("outlets", [None, [Asset("s3://mine/"), AssetAlias("juno")]], ids=["ours", "the-authors"])
def test_where_nothing_has_changed_there_is_no_event(task: Task, outlets: Any) -> None:
    operator = writing(changed=False, outlets=outlets)
    task.run(operator)
    assert operator.outlets == []
    assert len(task.outlet_events) == 0


@pytest.mark.parametrize(
    ("operator", "arguments", "uri"),
    [
        pytest.param(OpenClinicaToFileOperator, {"study_oid": "S_JUNO"}, "file:///data/juno", id="documents"),
        pytest.param(OpenClinicaToTablesOperator, {"study_oid": "S_JUNO"}, "file:///data/juno", id="tables"),
        pytest.param(
            OpenClinicaChangesOperator, {"before_uri": "/a", "after_uri": "/b"}, "file:///data/juno", id="changes"
        ),
    ],
)
def test_what_a_task_writes_is_its_outlet(operator: Any, arguments: dict[str, Any], uri: str) -> None:
    assert operator(task_id="write", output_uri="/data/juno/", **arguments).outlets == [Asset(uri)]


def test_the_database_that_a_task_loads_into_is_its_outlet() -> None:
    operator = OpenClinicaTablesToSqlOperator(task_id="load", tables_uri="/data/", sql_conn_id="dwh", schema="juno")
    assert operator.outlets == [Asset("sql://dwh/juno")]


def test_the_event_of_tables_tells_counts_and_no_participant(task: Task, tmp_path: Path) -> None:
    export = Path(__file__).parents[1] / "odm" / "data" / "export.xml"
    operator = OpenClinicaToTablesOperator(
        task_id="tables", odm_uri=str(export), output_uri=str(tmp_path), tables=["participants", "items"], format="csv"
    )
    made = task.run(operator)
    extra = task.outlet_events[operator.outlets[0]].extra
    assert extra["tables.items"] == made["tables"]["items"] > 0
    keys = [line.split(",")[1:3] for path in (tmp_path / "participants").iterdir() for line in path.open()][1:]
    assert keys
    assert not [key for row in keys for key in row if f'"{key}"' in json.dumps(extra)]

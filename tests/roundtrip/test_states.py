"""Whatever is stored, pulled and flattened, comes back as it was stored: every value, under its complete keys."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from airflow_provider_openclinica import odm
from airflow_provider_openclinica.client import OpenClinicaClient, ServerSettings, TokenManager
from airflow_provider_openclinica.engine.tables import Tables as TableFiles
from tests.roundtrip.states import TEXTS, VALUES, Person, name_survives_json, states, store, survives_json
from tests.roundtrip.told import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.roundtrip.told import Tables

ANY = states(VALUES, TEXTS)
WHAT_JSON_CARRIES = states(VALUES.filter(survives_json), TEXTS.filter(name_survives_json))

#: Each example is stored and pulled over a socket. The sandbox is emptied by storing.
each_state = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[OpenClinicaClient]:
    settings = ServerSettings.from_parts(
        host=sandbox.study_url, login="data_manager", password="sandbox", auth_url=sandbox.auth_url
    )
    client = OpenClinicaClient(settings, TokenManager(settings))
    yield client
    client.close()


def stored(sandbox: Sandbox, people: list[Person]) -> None:
    with sandbox.service.state.writing() as db:
        store(db, people)


def pulled(client: OpenClinicaClient, study: str = "S_JUNO", **wanted: Any) -> Tables:
    rows: Tables = defaultdict(list)
    with client.clinicaldata.retrieve(study, include_audits=True, include_queries=True, **wanted) as answer:
        for table, row in odm.flatten(answer.chunks(), charset=answer.charset):
            rows[table].append(row)
    return rows


def same(found: Tables, expected: Tables) -> None:
    """Compare row by row what is expected; the order of rows is that of the export, and no matter here."""
    for table in found.keys() | expected.keys():
        columns = list(expected[table][0]) if expected[table] else []
        left = [{column: row[column] for column in columns} for row in found[table]]
        right = [{column: row[column] for column in columns} for row in expected[table]]
        assert sorted(left, key=repr) == sorted(right, key=repr), table


@each_state
@given(people=ANY)
def test_everything_stored_comes_back_from_xml(
    sandbox: Sandbox, client: OpenClinicaClient, people: list[Person]
) -> None:
    stored(sandbox, people)
    same(pulled(client, show_archived=True), tables(people, archived=True))


@each_state
@given(people=ANY)
def test_what_is_removed_or_archived_stays_away_unless_it_is_asked_for(
    sandbox: Sandbox, client: OpenClinicaClient, people: list[Person]
) -> None:
    stored(sandbox, people)
    same(pulled(client, include_metadata=True), tables(people, archived=False))


@each_state
@given(people=WHAT_JSON_CARRIES)
def test_everything_that_json_can_carry_comes_back_from_json(
    sandbox: Sandbox, client: OpenClinicaClient, people: list[Person]
) -> None:
    stored(sandbox, people)
    same(pulled(client, format="json", show_archived=True), tables(people, archived=True))


@settings(each_state, max_examples=15)
@given(people=ANY)
def test_the_pieces_of_a_study_say_what_the_study_says(
    sandbox: Sandbox, client: OpenClinicaClient, people: list[Person]
) -> None:
    """A site tells its own; a participant the same again, under the OID that was asked with."""
    stored(sandbox, people)
    for site in ("S_BOSTON", "S_LEIDEN"):
        of_site = [person for person in people if person.site == site]
        same(pulled(client, site, show_archived=True), tables(of_site, archived=True))
    for person in people:
        told = tables([person], archived=True)
        asked = {table: [{**row, "study_oid": "S_JUNO"} for row in rows] for table, rows in told.items()}
        same(pulled(client, participant=person.oid, show_archived=True), defaultdict(list, asked))


@settings(each_state, max_examples=25)
@given(people=ANY)
def test_everything_stored_comes_back_from_parquet(
    sandbox: Sandbox, client: OpenClinicaClient, people: list[Person]
) -> None:
    stored(sandbox, people)
    data = client.clinicaldata
    with tempfile.TemporaryDirectory() as folder:
        with (
            TableFiles(Path(folder), "parquet") as made,
            data.retrieve("S_JUNO", include_audits=True, include_queries=True, show_archived=True) as answer,
        ):
            made.add(answer.chunks(), answer.charset)
        found = {each.name: pq.read_table(each.path).to_pylist() for each in made.built}
    same(found, tables(people, archived=True))

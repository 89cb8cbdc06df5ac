"""The demo study comes to life through the API of either dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_openclinica import odm
from airflow_provider_openclinica.odm.reader import Item, Participant, Query
from demo.study import SITES, STUDY, connect, fill

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox


def test_everything_that_was_brought_in_is_there(sandbox: Sandbox) -> None:
    client = connect(sandbox.study_url)
    fill(client)
    with client.clinicaldata.retrieve(STUDY, include_queries=True) as answer:
        records = list(odm.read(answer.chunks(), charset=answer.charset))
    client.close()
    participants = [record for record in records if isinstance(record, Participant) and not record.removed]
    assert {(person.study_oid, person.participant_id) for person in participants} == {
        (site.oid, name) for site in SITES for name in site.names
    }
    assert len(sandbox.data()) == sum(isinstance(record, Item) for record in records) > 5000
    assert any(isinstance(record, Query) and record.status == "New" for record in records)


def test_nothing_that_was_refused_goes_unnoticed(sandbox: Sandbox) -> None:
    client = connect(sandbox.study_url)
    sandbox.set_status("event", participant="BOS-001", event="SE_SCREENING", status="skipped")
    with pytest.raises(RuntimeError, match="refused rows"):
        fill(client)
    client.close()

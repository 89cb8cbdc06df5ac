"""Which participants may share a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.engine.sites import NO_SITE, Grouping, sites_of

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.client import OpenClinicaClient


@pytest.mark.parametrize(
    ("subject_key", "participant_id", "site"),
    [
        pytest.param("SS_BOS001", "BOS-001", "S_BOSTON", id="both"),
        pytest.param("ss_lei001", "", "S_LEIDEN", id="the-oid-in-another-case"),
        pytest.param("", "lei-001", "S_LEIDEN", id="the-id-in-another-case"),
        pytest.param("SS_LEI001", "BOS-001", "S_LEIDEN", id="the-oid-comes-first"),
        pytest.param("SS_NOBODY", "BOS-001", "S_BOSTON", id="an-oid-that-nobody-has"),
        pytest.param("SS_NOBODY", "NOB-001", NO_SITE, id="nobody"),
        pytest.param("", "", NO_SITE, id="nameless"),
    ],
)
def test_a_participant_is_at_the_site_whose_list_has_the_oid_or_the_id(
    client: OpenClinicaClient, subject_key: str, participant_id: str, site: str
) -> None:
    site_of = sites_of(client, "S_JUNO")

    assert site_of
    assert site_of(subject_key, participant_id) == site


def test_a_site_has_nothing_to_be_cut_by(client: OpenClinicaClient) -> None:
    assert sites_of(client, "S_BOSTON") is None


participants = st.tuples(st.just("S_JUNO"), st.text(max_size=4), st.text(max_size=4))


@given(st.lists(st.tuples(participants, st.sampled_from(["", "S_BOSTON", "S_LEIDEN"])), max_size=60))
def test_a_grouping_that_was_kept_answers_as_it_did(answers: list[tuple[tuple[str, str, str], str]]) -> None:
    groups: dict[tuple[str, str, str], str] = {}
    for who, group in answers:
        groups.setdefault(who, group)
    asked = Grouping(lambda *who: groups[who])
    first = [asked(*who) for who, _ in answers]

    replayed = Grouping.from_json(json.loads(json.dumps(asked.to_json())))

    assert [replayed(*who) for who, _ in answers] == first
    assert replayed.to_json() == asked.to_json()


def test_a_kept_grouping_is_small_and_names_no_participant() -> None:
    grouping = Grouping(lambda _study, key, _id: f"S_{int(key) % 7}")
    for number in range(20_000):
        grouping("S_JUNO", str(number), f"P-{number}")

    kept = json.dumps(grouping.to_json())

    assert len(kept) < 2000
    assert "P-" not in kept

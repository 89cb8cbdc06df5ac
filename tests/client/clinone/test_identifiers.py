"""Which study and site is which: complete, one to one, and readable both ways."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.client.clinone.identifiers import Identifiers
from airflow_provider_openclinica.errors import ConfigurationError

LISTS = {"studies": {"S_JUNO": "JUNO"}, "sites": {"S_BOSTON": "001", "S_LEIDEN": "002"}}


@pytest.mark.parametrize(
    "written", [LISTS, json.dumps(LISTS), json.dumps(LISTS).encode()], ids=["object", "text", "bytes"]
)
def test_identifiers_are_found_both_ways(written: object) -> None:
    known = Identifiers.read(written)
    assert known.of("S_JUNO") == {"studyIdentifier": "JUNO"}
    assert known.of("S_JUNO", "S_LEIDEN") == {"studyIdentifier": "JUNO", "siteIdentifier": "002"}
    assert (known.study_oid("JUNO"), known.site_oid("001")) == ("S_JUNO", "S_BOSTON")


@pytest.mark.parametrize("written", [{}, {"studies": {}}, {"sites": None}, "{}"], ids=str)
def test_lists_may_be_empty(written: object) -> None:
    assert Identifiers.read(written) == Identifiers()


@pytest.mark.parametrize(
    ("written", "words"),
    [
        pytest.param("[]", "not an object", id="a-list"),
        pytest.param("{", "not JSON", id="no-json"),
        pytest.param({"study": {}}, "not an object with studies and sites", id="a-word-that-is-none"),
        pytest.param({"sites": ["001"]}, "sites in identifiers is not an object", id="a-list-of-sites"),
        pytest.param({"sites": {"S_BOSTON": 1}}, "Write identifiers in quotes", id="a-number"),
        pytest.param({"sites": {"S_BOSTON": " "}}, "empty name", id="empty"),
        pytest.param({"sites": {"": "001"}}, "empty name", id="no-oid"),
        pytest.param(
            {"sites": {"S_A": "001", "S_B": "001"}}, "001 is the siteIdentifier of two OIDs", id="one-for-two"
        ),
        pytest.param('{"sites": {"S_A": "1", "S_A": "2"}}', "S_A stands twice", id="an-oid-twice"),
    ],
)
def test_lists_that_are_not_one_to_one_are_refused(written: object, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Identifiers.read(written)


def test_all_that_is_lacking_is_named_at_once() -> None:
    known = Identifiers.read(LISTS)
    known.check(studies=["S_JUNO"], sites=["S_BOSTON", "S_LEIDEN"])
    with pytest.raises(ConfigurationError, match="the studyIdentifier of S_X and the siteIdentifier of S_Y, S_Z"):
        known.check(studies=["S_JUNO", "S_X"], sites=["S_Y", "S_BOSTON", "S_Z"])
    with pytest.raises(ConfigurationError, match="siteIdentifier of S_Y"):
        known.of("S_JUNO", "S_Y")
    with pytest.raises(ConfigurationError, match="which OID has the siteIdentifier 003"):
        known.site_oid("003")


NAMES = st.text(min_size=1).filter(str.strip)


@given(st.dictionaries(NAMES, NAMES))
def test_what_is_one_to_one_can_be_read_back(sites: dict[str, str]) -> None:
    if len(set(sites.values())) < len(sites):
        with pytest.raises(ConfigurationError):
            Identifiers.read({"sites": sites})
        return
    known = Identifiers.read(json.dumps({"sites": sites}))
    assert {known.site_oid(identifier): identifier for identifier in sites.values()} == sites

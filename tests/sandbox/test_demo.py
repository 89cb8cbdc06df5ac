"""The demo study is one in which everything an import knows can be tried."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from airflow_provider_openclinica.sandbox.demo import demo_study

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.study import Study


@pytest.fixture(scope="module")
def juno() -> Study:
    return demo_study()


def test_it_has_two_sites_and_a_dozen_participants(juno):
    assert (juno.oid, juno.name, juno.unique_id, juno.env) == ("S_JUNO", "Juno", "juno", "TEST")
    assert [site.oid for site in juno.sites] == ["S_BOSTON", "S_LEIDEN"]
    assert len(juno.participants) == 12
    assert {participant.site_oid for participant in juno.participants} == {"S_BOSTON", "S_LEIDEN"}
    assert {participant.status for participant in juno.participants} == {"AVAILABLE", "SIGNED", "REMOVED"}


def test_the_oids_of_its_participants_follow_the_rule(juno):
    for participant in juno.participants:
        usable = re.sub(r"\W", "", participant.participant_id, flags=re.ASCII)
        assert participant.oid == f"SS_{usable[:8].upper()}"


def test_it_has_every_kind_of_event(juno):
    kinds = {(event.common, event.repeating) for event in juno.events.values()}
    assert kinds == {(False, False), (False, True), (True, False), (True, True)}


def test_it_has_every_kind_of_form_group_and_item(juno):
    assert {group.repeating for group in juno.groups.values()} == {False, True}
    assert {item.type for item in juno.items.values()} == {"ST", "INT", "REAL", "DATE", "PDATE", "FILE"}
    assert {item.code_list.multiple for item in juno.items.values() if item.code_list} == {False, True}
    assert juno.forms["F_VITALS"].versions == ("1", "2")
    assert juno.events["SE_FOLLOWUP"].forms["F_VITALS"].versions == ("2",)


def test_all_that_is_named_is_there(juno):
    assert {oid for event in juno.events.values() for oid in event.forms} == set(juno.forms)
    assert {oid for form in juno.forms.values() for oid in form.groups} == set(juno.groups)
    assert {oid for group in juno.groups.values() for oid in group.items} == set(juno.items)
    assert {item.code_list.oid for item in juno.items.values() if item.code_list} == set(juno.code_lists)
    for event in juno.events.values():
        for assignment in event.forms.values():
            assert assignment.default_version in juno.forms[assignment.form_oid].versions

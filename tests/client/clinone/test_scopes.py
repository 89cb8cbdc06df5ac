"""Scopes: what can be read of them, and when to warn."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.client.clinone.scopes import Scope, missing, read_scope, scopes_in
from tests.client.token_server import jwt


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        pytest.param({"scp": "api.patient.read api.visit.write"}, ("api.patient.read", "api.visit.write"), id="a-text"),
        pytest.param({"roles": ["api.patient.read", 7]}, ("api.patient.read",), id="roles"),
        pytest.param({"scp": "a b", "roles": ["b", "c"]}, ("a", "b", "c"), id="both"),
        pytest.param({}, (), id="neither"),
        pytest.param({"scp": {"a": 1}}, (), id="something-else"),
    ],
)
def test_scopes_are_read_from_the_token(claims: dict[str, Any], scopes: tuple[str, ...]) -> None:
    assert scopes_in(jwt(**claims)) == scopes


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "a.W10.c"])
def test_a_token_that_is_no_jwt_says_nothing(token: str) -> None:
    assert scopes_in(token) == ()


@pytest.mark.parametrize("sign", [".", "_", "-", ":", "/"])
def test_a_scope_is_cut_at_whichever_sign_there_is(sign: str) -> None:
    assert read_scope(sign.join(("API", "Patient", "Read"))) == Scope("patient", "read")


@pytest.mark.parametrize("written", ["", "api", "api.read", "patient.read", "api.patient.see", "openid", ".default"])
def test_what_has_not_these_three_parts_is_no_scope(written: str) -> None:
    assert read_scope(written) is None


ALLOWED = {
    "read": {"GET"},
    "write": {"GET", "PUT", "POST"},
    "delete": {"GET", "DELETE"},
    "manage": {"GET", "PUT", "POST", "DELETE"},
}


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize("action", ALLOWED)
def test_an_action_allows_what_the_vendors_table_says(action: str, method: str) -> None:
    advice = missing([f"api.patient.{action}"], "patient", method)
    assert bool(advice) is (method not in ALLOWED[action])


def test_the_advice_names_what_is_there_and_what_is_lacking() -> None:
    assert missing(["api.patient.read", "api.patient.delete"], "Patient", "POST") == (
        "POST in the function group Patient takes the action write or manage, and the token has delete and read there"
    )
    assert missing(["api.visit.manage"], "patient", "GET").endswith("and the token has no scope there")


@pytest.mark.parametrize(
    ("scopes", "group", "method"),
    [
        pytest.param([], "patient", "POST", id="the-token-does-not-say"),
        pytest.param(["openid"], "patient", "POST", id="nothing-that-can-be-read"),
        pytest.param(["api.patient.read"], "", "POST", id="nobody-named-the-group"),
        pytest.param(["api.patient.read"], "patient", "PATCH", id="a-method-outside-the-table"),
        pytest.param(["api.patient-visit.write"], "patient_visit", "POST", id="a-group-of-two-words"),
        pytest.param(["https://acme/api/patient/manage"], "patient", "DELETE", id="an-address-before-it"),
    ],
)
def test_nothing_is_said_where_nothing_is_known(scopes: list[str], group: str, method: str) -> None:
    assert missing(scopes, group, method) == ""


@given(st.lists(st.text()), st.text(), st.sampled_from(["GET", "POST"]))
def test_no_scope_breaks_the_reader(scopes: list[str], group: str, method: str) -> None:
    assert isinstance(missing(scopes, group, method), str)

"""The API key: got by a login, good below one path (docs/protocol3.md, api key)."""

from __future__ import annotations

import base64

import pytest
import requests

from tests.sandbox.oc3.calls import PASSWORD, Browser, Keyed, sha1

CONFIG = "pages/auth/api/v1/system/config"
DATA = "clinicaldata/json/view"


def log_in(sandbox, **sent) -> requests.Response:
    return requests.post(f"{sandbox.study_url}/pages/accounts/login", json=sent, timeout=10)


def config(sandbox, authorization: str | None) -> requests.Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    return requests.get(f"{sandbox.study_url}/{CONFIG}", headers=headers, timeout=10)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_a_login_gives_the_account_with_key_hash_and_roles(sandbox):
    answer = log_in(sandbox, username=" data_manager ", password=f" {PASSWORD} ")
    account = answer.json()
    assert answer.status_code == 200
    assert account["apiKey"] == sandbox.service.tokens.api_key("data_manager")
    assert account["password"] == sha1(PASSWORD)
    assert account["roles"] == [{"roleName": "coordinator", "studyOID": "S_JUNO"}]
    assert (account["firstName"], account["lastName"]) == ("Data", "Manager")


def test_roles_that_were_taken_away_are_not_listed(sandbox):
    removed = {"login": "data_manager", "removed_roles": ["S_JUNO"]}
    requests.post(f"{sandbox.url}/sandbox/users", json=removed, timeout=10)
    assert log_in(sandbox, username="data_manager", password=PASSWORD).json()["roles"] == []


@pytest.mark.parametrize(("login", "password"), [("data_manager", "wrong"), ("nobody", PASSWORD), ("", "")])
def test_a_wrong_login_is_an_empty_object(sandbox, login, password):
    answer = log_in(sandbox, username=login, password=password)
    assert (answer.status_code, answer.json()) == (401, {})


def test_a_login_without_a_password_breaks_the_server(sandbox):
    assert log_in(sandbox, username="data_manager").status_code == 500
    assert log_in(sandbox, username="data_manager", password=None).status_code == 500


def test_a_login_by_form_is_415(sandbox):
    answer = requests.post(f"{sandbox.study_url}/pages/accounts/login", data={"username": "x"}, timeout=10)
    assert answer.status_code == 415


def test_a_key_is_the_user_of_basic(sandbox, keyed):
    assert config(sandbox, basic(f"{keyed.key}:")).json()["OC.Version"]["OC Version number"] == "3.17.1"
    assert config(sandbox, basic(f"{keyed.key}:anything")).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [None, "Basic", "Basic %%%", basic("wrong:"), basic(f"data_manager:{PASSWORD}"), basic(":")],
    ids=["none", "empty", "no-base64", "wrong-key", "login-and-password", "no-key"],
)
def test_without_a_good_key_it_is_401_in_html(sandbox, authorization):
    answer = config(sandbox, authorization)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Protected"'
    assert answer.headers["Content-Type"].startswith("text/html")


def test_another_scheme_opens_what_asks_nobody_and_breaks_the_rest(sandbox):
    assert config(sandbox, "Bearer token").status_code == 200
    address = f"{sandbox.study_url}/pages/auth/api/v1/{DATA}/S_JUNO/*/*/*"
    assert requests.get(address, headers={"Authorization": "Bearer token"}, timeout=10).status_code == 500


def test_a_session_opens_nothing_here(sandbox, browser):
    assert browser.get(CONFIG).status_code == 401


def test_a_locked_account_gets_no_key_and_its_old_one_works(sandbox, keyed):
    requests.post(f"{sandbox.url}/sandbox/users", json={"login": "administrator", "locked": True}, timeout=10)
    assert log_in(sandbox, username="administrator", password=PASSWORD).status_code == 401
    assert keyed.get("system/config").status_code == 200


def test_revoking_gives_everybody_another_key(sandbox, keyed):
    requests.post(f"{sandbox.url}/sandbox/tokens", json={"revoke": True}, timeout=10)
    assert keyed.get("system/config").status_code == 401
    assert Keyed(sandbox).get("system/config").status_code == 200


def test_studies_are_listed_among_modules(keyed):
    assert [study["Study Oid"] for study in keyed.get("system/modules").json()] == ["S_JUNO"]


def test_clinical_data_come_as_json(keyed):
    document = keyed.get(f"{DATA}/S_JUNO/BOS-001/*/*").json()
    assert document["ClinicalData"]["SubjectData"]["@SubjectKey"] == "SS_BOS001"
    assert document["Study"]


@pytest.mark.parametrize("path", ["S_NOWHERE/*/*/*", "S_JUNO/NOBODY/*/*", "S_JUNO/*/SE_BASELINE/*", "*/*/*/*"])
def test_whatever_is_wrong_with_a_request_for_data_is_500(keyed, path):
    assert keyed.get(f"{DATA}/{path}").status_code == 500


def test_without_a_role_it_is_500_too(sandbox):
    crc = Keyed(sandbox, "crc_boston")
    assert crc.get(f"{DATA}/S_LEIDEN/*/*/*").status_code == 500
    assert crc.get(f"{DATA}/S_BOSTON/*/*/*").status_code == 200


def test_neither_key_nor_hash_is_noted(sandbox, keyed):
    keyed.get("system/config")
    log_in(sandbox, username="data_manager", password=PASSWORD)
    noted = str(sandbox.requests())
    assert keyed.key not in noted
    assert sha1(PASSWORD) not in noted
    assert [entry["user"] for entry in sandbox.requests()] == ["administrator", "data_manager"]


def test_a_call_with_a_key_holds_a_session_that_opens_no_page_and_stands_in_the_way_of_others(sandbox, keyed, browser):
    jar = Browser(sandbox)
    jar.get(CONFIG, auth=(keyed.key, ""))
    assert jar.cookie
    assert jar.place(jar.get("rest/metadata/xml/view/S_JUNO")) == "/pages/login/login"
    assert jar.log_in("data_manager") == "/pages/login/login?action=errorSessionLocked"
    assert browser.get("MainMenu").status_code == 200, "a key displaces nobody"
    assert jar.log_in("administrator") == "/rest/metadata/xml/view/S_JUNO"

"""The log-in by form: always a redirect, one session for each account (docs/protocol3.md, sessions)."""

from __future__ import annotations

import re

import pytest
import requests

from tests.sandbox.oc3.calls import PASSWORD, Browser

DATA = "rest/clinicaldata/xml/view/S_JUNO/*/*/*"


def test_a_login_leads_to_the_main_menu_and_changes_the_session(sandbox):
    browser = Browser(sandbox)
    page = browser.get("pages/login/login")
    before = browser.cookie

    assert "j_spring_security_check" in page.text
    assert before
    assert browser.log_in() == "/MainMenu"
    assert browser.cookie not in {None, before}
    assert browser.get("MainMenu").status_code == 200
    assert browser.get(DATA).status_code == 200


def test_the_login_page_leads_on_whoever_is_logged_in(browser):
    assert browser.place(browser.get("pages/login/login")) == "/MainMenu"
    assert browser.get("pages/login/login?action=errorLogin").status_code == 200


@pytest.mark.parametrize(
    ("login", "password"),
    [("data_manager", "wrong"), ("nobody", PASSWORD), ("", ""), ("data_manager", f" {PASSWORD}")],
)
def test_a_wrong_login_leads_back_to_the_login_page(sandbox, login, password):
    browser = Browser(sandbox)
    browser.get("pages/login/login")
    assert browser.log_in(login, password) == "/pages/login/login?action=errorLogin"
    assert browser.place(browser.get(DATA)) == "/pages/login/login"


def test_a_login_by_get_is_a_wrong_one(sandbox):
    browser = Browser(sandbox)
    browser.get("pages/login/login")
    answer = browser.get("j_spring_security_check", params={"j_username": "data_manager", "j_password": PASSWORD})
    assert browser.place(answer) == "/pages/login/login?action=errorLogin"


def test_blanks_around_a_login_do_not_count(sandbox):
    browser = Browser(sandbox)
    browser.get("pages/login/login")
    assert browser.log_in("  data_manager ") == "/MainMenu"


def test_a_locked_account_is_told_so(sandbox):
    requests.post(f"{sandbox.url}/sandbox/users", json={"login": "data_manager", "locked": True}, timeout=10)
    browser = Browser(sandbox)
    browser.get("pages/login/login")
    assert browser.log_in() == "/pages/login/login?action=errorLocked"


def test_a_session_of_somebody_else_is_not_taken_over(browser):
    assert browser.log_in("monitor") == "/pages/login/login?action=errorSessionLocked"
    assert browser.log_in() == "/MainMenu"


def test_without_a_cookie_the_address_carries_the_session(sandbox):
    refused = requests.get(f"{sandbox.study_url}/{DATA}", allow_redirects=False, timeout=10)
    assert re.fullmatch(r".*/pages/login/login;jsessionid=\w+", refused.headers["Location"])
    assert requests.get(refused.headers["Location"], timeout=10).status_code == 200

    wrong = requests.post(f"{sandbox.study_url}/j_spring_security_check", allow_redirects=False, timeout=10)
    assert re.fullmatch(r".*/pages/login/login;jsessionid=\w+\?action=errorLogin", wrong.headers["Location"])


def test_a_login_leads_to_the_address_that_was_refused_before(sandbox):
    browser = Browser(sandbox)
    browser.get(DATA)
    assert browser.log_in() == f"/{DATA}"


def test_a_second_login_of_an_account_ends_the_first_by_way_of_the_main_menu(sandbox, browser):
    second = Browser(sandbox)
    second.log_in()

    assert browser.place(browser.get(DATA)) == "/MainMenu"
    assert browser.place(browser.get("MainMenu")) == "/pages/login/login"
    assert second.get(DATA).status_code == 200


def test_another_account_ends_nobodys_session(sandbox, browser):
    Browser(sandbox).log_in("second_manager")
    assert browser.get(DATA).status_code == 200


def test_who_logs_out_is_out(browser):
    assert browser.place(browser.get("j_spring_security_logout")) == "/MainMenu"
    assert browser.place(browser.get(DATA)).startswith("/pages/login/login")


def test_sessions_end_when_credentials_are_revoked(sandbox, browser):
    requests.post(f"{sandbox.url}/sandbox/tokens", json={"revoke": True}, timeout=10)
    assert browser.place(browser.get(DATA)) == "/pages/login/login"


def test_what_is_noted_of_requests_holds_no_secret(sandbox, browser):
    browser.get(DATA)
    noted = str(sandbox.requests())
    assert browser.cookie not in noted
    assert PASSWORD not in noted
    assert [entry["user"] for entry in sandbox.requests()] == ["data_manager"] * 2


def test_the_probe_answers_anybody(sandbox):
    answer = requests.post(f"{sandbox.study_url}/pages/healthcheck/runtime", timeout=10)
    assert answer.json() == {"result": 20}


def test_its_first_page_says_how_to_get_in(sandbox):
    page = requests.get(sandbox.url, timeout=10).text
    assert all(text in page for text in (sandbox.study_url, sandbox.ws_url, "juno-boston", "data_manager"))
    assert "OpenClinica 3" in page


@pytest.mark.parametrize("path", ["pages/auth/api/clinicaldata/studies/S_JUNO/participants", "Jobs"])
def test_nothing_of_version_4_is_there(sandbox, path):
    assert requests.get(f"{sandbox.study_url}/{path}", timeout=10).status_code == 404

"""A session with OpenClinica 3: one account, one session, and redirects instead of statuses."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.client.http import About
from airflow_provider_openclinica.client.openclinica3.session import HOME, LOGIN, LOGIN_PAGE, LOGOUT
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    CredentialsError,
    OpenClinicaError,
    RoleError,
    ServerUnavailableError,
    UnexpectedAnswerError,
    WaitInterruptedError,
)
from tests.openclinica3 import client_for, sent

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.sandbox.server import Sandbox

METADATA = "/rest/metadata/xml/view/S_JUNO"
ABOUT = About(doing="the metadata of a study", study="S_JUNO")


def test_a_session_logs_in_reads_and_logs_out(sandbox3: Sandbox) -> None:
    client = client_for(sandbox3)
    with client.session() as session:
        for _ in range(2):
            with session.stream(METADATA, ABOUT) as streamed:
                assert b"<ODM" in b"".join(streamed.chunks())
    paths = [request["path"].removeprefix("/OpenClinica") for request in sandbox3.requests()]
    assert paths == [LOGIN_PAGE, LOGIN, METADATA, METADATA, LOGOUT]


def test_it_logs_out_after_an_error_too(sandbox3: Sandbox) -> None:
    with pytest.raises(ValueError, match="ours"), client_for(sandbox3).session():
        raise ValueError("ours")
    assert sent(sandbox3, "GET", LOGOUT) == 1


@pytest.mark.parametrize("path", [LOGIN_PAGE, LOGOUT])
def test_a_logout_that_fails_is_no_error(sandbox3: Sandbox, path: str) -> None:
    with client_for(sandbox3).session():
        sandbox3.fault("drop_before", path=f"/OpenClinica{path}", times=None)


def test_a_wrong_password_is_tried_once_only(sandbox3: Sandbox) -> None:
    client = client_for(sandbox3, password="wrong")
    with pytest.raises(CredentialsError, match="refused the login") as caught, client.session():
        pass
    assert "wrong " not in str(caught.value)
    assert sent(sandbox3, "POST", LOGIN) == 1


@pytest.mark.parametrize(
    ("location", "error", "said"),
    [
        pytest.param("/OpenClinica/pages/login/login?action=errorLogin", CredentialsError, "refused", id="refused"),
        pytest.param(
            "/OpenClinica/pages/login/login;jsessionid=C3?action=errorLogin",
            CredentialsError,
            "refused",
            id="refused-with-a-session-in-the-path",
        ),
        pytest.param("/OpenClinica/pages/login/login?action=errorLocked", CredentialsError, "locked", id="locked"),
        pytest.param(
            "/OpenClinica/pages/login/login?action=errorSessionLocked", CredentialsError, "somebody else", id="mixed-up"
        ),
    ],
)
def test_the_path_of_the_redirect_tells_how_a_login_ended(
    sandbox3: Sandbox, location: str, error: type[OpenClinicaError], said: str
) -> None:
    sandbox3.fault("status", path=f"/OpenClinica{LOGIN}", status=302, headers={"Location": location})
    with pytest.raises(error, match=said), client_for(sandbox3).session():
        pass


@pytest.mark.parametrize("location", ["/OpenClinica/MainMenu;jsessionid=A1", "/OpenClinica/ViewStudy?id=1"])
def test_any_other_redirect_is_a_login(sandbox3: Sandbox, location: str) -> None:
    sandbox3.fault("status", path=f"/OpenClinica{LOGIN}", status=302, headers={"Location": location}, processed=True)
    with client_for(sandbox3).session() as session, session.stream(METADATA, ABOUT):
        pass


def test_a_login_whose_answer_is_lost_is_left_to_a_retry(sandbox3: Sandbox) -> None:
    sandbox3.fault("drop_after", path=f"/OpenClinica{LOGIN}")
    with pytest.raises(ServerUnavailableError), client_for(sandbox3).session():
        pass
    assert sent(sandbox3, "POST", LOGIN) == 1


def test_a_page_in_place_of_a_redirect_is_no_openclinica(sandbox3: Sandbox) -> None:
    sandbox3.fault("html", path=f"/OpenClinica{LOGIN}")
    with pytest.raises(UnexpectedAnswerError), client_for(sandbox3).session():
        pass


def test_who_is_bounced_logs_in_once_more(sandbox3: Sandbox) -> None:
    with client_for(sandbox3).session() as ours:
        with client_for(sandbox3).session():  # another host, which does not see our lock
            pass
        with ours.stream(METADATA, ABOUT) as streamed:
            assert streamed.answer.status == 200
    assert sent(sandbox3, "POST", LOGIN) == 3


def test_who_is_bounced_again_gives_up(sandbox3: Sandbox) -> None:
    redirect = {"Location": f"{sandbox3.study_url}{LOGIN_PAGE}"}
    with client_for(sandbox3).session() as session:
        sandbox3.fault("status", path=f"/OpenClinica{METADATA}", status=302, headers=redirect, times=2)
        with pytest.raises(CredentialsError, match="another program"), session.stream(METADATA, ABOUT):
            pass
    assert sent(sandbox3, "GET", LOGIN_PAGE) == 2


def test_a_login_page_with_status_200_is_a_bounce_too(sandbox3: Sandbox) -> None:
    page = '<html><form action="j_spring_security_check"></form></html>'
    headers = {"Content-Type": "text/html"}
    with client_for(sandbox3).session() as session:
        sandbox3.fault("status", path=f"/OpenClinica{METADATA}", status=200, headers=headers, body=page)
        with session.stream(METADATA, ABOUT) as streamed:
            assert "xml" in streamed.answer.headers["Content-Type"]
    assert sent(sandbox3, "GET", LOGIN_PAGE) == 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param({"status": 403}, RoleError, id="403"),
        pytest.param(
            {"status": 302, "headers": {"Location": f"/OpenClinica{HOME}?message=authentication_failed"}},
            RoleError,
            id="sent-home-with-a-message",
        ),
        pytest.param({"status": 503, "times": None}, ServerUnavailableError, id="503"),
        pytest.param({"status": 500, "times": 2}, ServerUnavailableError, id="500-twice"),
    ],
)
def test_a_refusal_is_told_by_its_kind(sandbox3: Sandbox, fault: dict[str, Any], error: type[OpenClinicaError]) -> None:
    with client_for(sandbox3).session() as session:
        sandbox3.fault("status", path=f"/OpenClinica{METADATA}", **fault)
        with pytest.raises(error) as caught, session.stream(METADATA, ABOUT):
            pass
    assert type(caught.value) is error
    assert caught.value.study == "S_JUNO"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_one_bad_answer_is_asked_for_again(sandbox3: Sandbox, status: int) -> None:
    with client_for(sandbox3).session() as session:
        sandbox3.fault("status", path=f"/OpenClinica{METADATA}", status=status)
        with session.stream(METADATA, ABOUT) as streamed:
            assert streamed.answer.status == 200


def test_sessions_of_one_host_take_turns(sandbox3: Sandbox, tmp_path: Path) -> None:
    """Whoever did not wait would end the other's session: then there were more logins than sessions."""
    folder, failed = tmp_path / "locks", []
    pause = threading.Event()

    def wait() -> None:
        pause.wait(0.005)

    def read() -> None:
        try:
            with client_for(sandbox3, folder, sleep=lambda _: wait()).session() as session:
                for _ in range(3):
                    with session.stream(METADATA, ABOUT) as streamed:
                        b"".join(streamed.chunks())
        except OpenClinicaError as error:
            failed.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sent(sandbox3, "POST", LOGIN) == 3


def test_a_turn_that_does_not_come_is_given_up(sandbox3: Sandbox, tmp_path: Path) -> None:
    with client_for(sandbox3, tmp_path / "locks").session():
        asked = len(sandbox3.requests())
        with (
            pytest.raises(ServerUnavailableError, match="pool"),
            client_for(sandbox3, tmp_path / "locks").session(patience=0),
        ):
            pass
        assert len(sandbox3.requests()) == asked


def test_a_wait_for_the_turn_can_be_ended(sandbox3: Sandbox, tmp_path: Path) -> None:
    def stop(_: float) -> None:
        raise WaitInterruptedError("Stopped")

    waiting = client_for(sandbox3, tmp_path / "locks", sleep=stop)
    with client_for(sandbox3, tmp_path / "locks").session(), pytest.raises(WaitInterruptedError), waiting.session():
        pass


def test_a_server_that_is_away_is_told(sandbox3: Sandbox) -> None:
    client = client_for(sandbox3, host="http://127.0.0.1:9/OpenClinica")
    with pytest.raises(ServerUnavailableError), client.session():
        pass
    assert not client.is_alive()
    assert client_for(sandbox3).is_alive()


def test_a_session_is_begun_again_once_and_not_for_each_read(sandbox3: Sandbox) -> None:
    with client_for(sandbox3).session() as ours:
        for number in range(2):
            with client_for(sandbox3).session():  # another host, again and again
                pass
            if number:
                with pytest.raises(CredentialsError, match="another program"), ours.stream(METADATA, ABOUT):
                    pass
            else:
                with ours.stream(METADATA, ABOUT) as streamed:
                    assert streamed.answer.status == 200


def test_a_login_that_is_redirected_to_itself_is_none(sandbox3: Sandbox) -> None:
    location = f"https://edc.example.org/OpenClinica{LOGIN}"
    sandbox3.fault("status", path=f"/OpenClinica{LOGIN}", status=301, headers={"Location": location})
    with pytest.raises(ConfigurationError, match="another address"), client_for(sandbox3).session():
        pass


def test_a_logout_is_not_repeated(sandbox3: Sandbox) -> None:
    with client_for(sandbox3).session():
        sandbox3.fault("status", path=f"/OpenClinica{LOGOUT}", status=503, times=None)
    assert sent(sandbox3, "GET", LOGOUT) == 1

"""Calls to the study server, on real sockets: what goes out, what is repeated, and what a user is told."""

from __future__ import annotations

import gzip
import io
import threading
import time
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.client.http import XML_UTF8, Http
from airflow_provider_openclinica.client.retries import MOST_TRIES, PATIENCE_SECONDS, Tries, parse_retry_after
from airflow_provider_openclinica.client.tokens import TokenManager
from airflow_provider_openclinica.client.uploads import upload_file, upload_from
from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    ConfigurationError,
    CredentialsError,
    FileError,
    RateLimitError,
    ServerUnavailableError,
)
from tests.client.conftest import (
    answer,
    drop_after_reading,
    drop_before_reading,
    drop_in_the_body,
    drop_in_the_status_line,
    fall_silent,
    response,
)

ODM = upload_from(lambda: io.BytesIO(b"<ODM/>"), name="labs.xml")
TAKEN = answer(200, "job uuid: x", Content_Type="text/plain")


def ask(http):
    return http.get("/jobs", doing="the job list")


def submit(http, upload=ODM):
    return http.submit("/clinicaldata/import", {"file": upload}, doing="the import", study="S_JUNO")


# What goes out


def test_a_question_carries_the_headers_that_openclinica_answers_well(http, wire):
    wire.will(answer(200, "[]"))
    http.get("/jobs", doing="the job list", params={"open": "no"}, accept=XML_UTF8)
    request = wire.requests[0]
    assert (request.method, request.path) == ("GET", "/OpenClinica/pages/auth/api/jobs?open=no")
    assert request.headers["Accept"] == "application/xml;charset=UTF-8"
    assert request.headers["Accept-Encoding"] == "identity"
    assert request.headers["User-Agent"].startswith("airflow-provider-openclinica/")
    assert request.headers["Authorization"].startswith("Bearer e30.")
    assert "Cookie" not in request.headers


def test_a_submit_is_one_form_of_known_length(http, wire):
    wire.will(TAKEN)
    assert submit(http).body == "job uuid: x"
    request = wire.requests[0]
    assert request.method == "POST"
    assert request.headers["Accept"] == "application/json;charset=UTF-8"
    assert request.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert "Transfer-Encoding" not in request.headers
    assert b'name="file"; filename="labs.xml"' in request.body
    assert b"\r\n\r\n<ODM/>\r\n--" in request.body


def test_a_netrc_does_not_replace_the_token(http, wire, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    wire.will(answer(200, "[]"), TAKEN)
    ask(http)
    submit(http)
    assert all(request.headers["Authorization"].startswith("Bearer e30.") for request in wire.requests)


@pytest.mark.parametrize("call", [ask, submit])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nothing_follows_a_redirect(http, wire, elsewhere, call, status):
    wire.will(answer(status, Location=f"{elsewhere.url}/login?back=1"))
    with pytest.raises(CredentialsError, match="elsewhere"):
        call(http)
    assert elsewhere.connections == 0
    assert len(wire.requests) == 1


def test_a_redirect_to_nonsense_is_no_crash(http, wire):
    wire.will(answer(302, Location="http://[::1"))
    with pytest.raises(CredentialsError):
        ask(http)


def test_cookies_are_not_kept(http, wire):
    wire.will(answer(200, "[]", Set_Cookie="JSESSIONID=abc; Path=/"), answer(200, "[]"), TAKEN)
    ask(http)
    ask(http)
    submit(http)
    assert not any("Cookie" in request.headers for request in wire.requests)


def test_cookies_are_kept_for_a_host_that_routes_by_them(client_with, wire):
    client = client_with(keep_cookies=True)
    wire.will(TAKEN, answer(200, "error.jobInProgress", Set_Cookie="JSESSIONID=abc; Path=/"))
    wire.scripts.appendleft(answer(200, "error.jobInProgress", Set_Cookie="JSESSIONID=first; Path=/"))
    client.jobs.state("u")
    submit(client._http)
    client.jobs.state("u")
    assert [request.headers.get("Cookie") for request in wire.requests] == [None, *["JSESSIONID=first"] * 2]


def test_a_proxy_of_the_environment_is_used(http, wire, elsewhere, monkeypatch, token_server):
    http._tokens.token()
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, elsewhere.url)
    elsewhere.will(TAKEN)
    assert submit(http).body == "job uuid: x"
    assert elsewhere.requests[0].path.startswith(f"{wire.url}/OpenClinica/")
    assert wire.connections == 0


# What comes back


@pytest.mark.parametrize(
    ("body", "headers", "text"),
    [
        pytest.param("Zoë".encode(), {"Content_Type": "text/plain;charset=UTF-8"}, "Zoë", id="utf-8-said"),
        pytest.param(
            "Zoë".encode("latin-1"), {"Content_Type": "text/plain;charset=ISO-8859-1"}, "Zoë", id="latin-1-said"
        ),
        pytest.param("Zoë".encode("latin-1"), {"Content_Type": "text/plain"}, "Zoë", id="text-that-says-nothing"),
        pytest.param("Zoë".encode(), {"Content_Type": "application/json"}, "Zoë", id="json-that-says-nothing"),
        pytest.param("Zoë".encode(), {}, "Zoë", id="nothing-said-at-all"),
        pytest.param(b"Zo\xff", {"Content_Type": "text/plain;charset=UTF-8"}, "Zo�", id="not-what-it-says"),
        pytest.param("Zoë".encode(), {"Content_Type": "text/plain;charset=klingon"}, "Zoë", id="no-such-charset"),
        pytest.param(gzip.compress(b"Zoe"), {"Content_Encoding": "gzip"}, "Zoe", id="compressed-unasked"),
    ],
)
def test_an_answer_is_decoded_by_what_it_says_of_itself(http, wire, body, headers, text):
    wire.will(answer(200, body, **headers))
    assert ask(http).body == text


def test_an_answer_may_arrive_byte_by_byte(http, wire):
    def dribble(peer):
        peer.read()
        for byte in response(200, "error.jobInProgress"):
            peer.send(bytes([byte]))
            time.sleep(0.001)

    wire.will(dribble)
    assert ask(http).code == "jobinprogress"


def test_an_answer_may_come_in_chunks_without_a_length(http, wire):
    def chunked(peer):
        peer.read()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n3\r\n 2]\r\n0\r\n\r\n")

    wire.will(chunked)
    assert ask(http).json == [1, 2]


def test_no_more_of_a_long_page_is_kept_than_a_message_needs(http, wire):
    wire.will(answer(418, "x" * 1_000_000), answer(200, "x" * 1_000_000))
    assert len(ask(http).body) == 65_536
    assert len(http.get("/jobs", doing="the job list", most=900_000).body) == 900_000


def test_of_a_file_nothing_is_read_before_it_is_asked_for(http, wire):
    wire.will(answer(200, b"a,b\n" * 100_000, Content_Disposition="attachment; filename=log.csv"))
    with http.stream("/jobs/u/downloadFile", doing="the log of a job") as streamed:
        assert streamed.answer.body == ""
        assert b"".join(streamed.chunks()) == b"a,b\n" * 100_000


def test_a_long_answer_that_is_no_file_shows_its_beginning_and_loses_nothing(http, wire):
    document = b"<ODM>" + b"x" * 1_000_000 + b"</ODM>"
    wire.will(answer(200, document, Content_Type="application/xml"))
    with http.stream("/x", doing="metadata") as streamed:
        assert streamed.answer.body.startswith("<ODM>")
        assert b"".join(streamed.chunks()) == document


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_download_that_breaks_off_is_an_error_and_not_a_short_file(http, wire, end):
    begun = threading.Event()

    def read_all(streamed):
        begun.set()
        list(streamed.chunks())

    def break_off(peer):
        peer.read()
        peer.send(response(200, "a,b\n", Content_Disposition="attachment", Content_Length="400"))
        begun.wait(20)
        getattr(peer, end)()

    wire.will(break_off)
    with (
        http.stream("/jobs/u/downloadFile", doing="the log of a job", job="6c32") as streamed,
        pytest.raises(ServerUnavailableError, match=r"in the middle of the log of a job \(job 6c32\)"),
    ):
        read_all(streamed)


# Asking again


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(drop_before_reading, id="dropped-unread"),
        pytest.param(drop_after_reading, id="dropped-once-read"),
        pytest.param(drop_in_the_status_line, id="broken-head"),
        pytest.param(drop_in_the_body, id="short-body"),
        *(pytest.param(answer(status, "<html>"), id=f"{status}") for status in (429, 502, 503, 504)),
    ],
)
def test_a_question_is_asked_again_with_growing_waits(http, wire, naps, trouble):
    wire.will(trouble, trouble, answer(200, "[]"))
    assert ask(http).body == "[]"
    assert len(naps) == 2
    assert 0.5 <= naps[0] <= 1.5
    assert 1.0 <= naps[1] <= 3.0


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (drop_after_reading, ServerUnavailableError),
        (answer(503), ServerUnavailableError),
        (answer(429), RateLimitError),
    ],
)
def test_a_question_is_not_asked_for_ever(http, wire, naps, trouble, error):
    wire.will(*[trouble] * 20)
    with pytest.raises(error) as caught:
        ask(http)
    assert len(naps) == MOST_TRIES - 1
    assert caught.value.retry


@pytest.mark.parametrize("status", [200, 400, 403, 404, 405, 415, 500])
def test_other_statuses_are_the_callers_to_judge_and_not_asked_again(http, wire, naps, status):
    wire.will(answer(status, "<html>"))
    assert ask(http).status == status
    assert naps == []


@pytest.mark.parametrize("call", [ask, submit])
def test_a_time_the_server_names_is_waited_for(http, wire, naps, call):
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    wire.will(answer(503, Retry_After="7"), answer(429, Retry_After=later), answer(200, "job uuid: x"))
    call(http)
    assert 7 <= naps[0] <= 8
    assert 10 <= naps[1] <= 31


@pytest.mark.parametrize("call", [ask, submit])
def test_a_server_that_asks_for_more_than_our_patience_is_given_up_at_once(http, wire, naps, call):
    wire.will(answer(503, Retry_After="86400"))
    with pytest.raises(ServerUnavailableError):
        call(http)
    assert naps == []


def test_a_wait_that_raises_ends_the_tries(settings_with, wire):
    def killed(seconds):
        raise KeyboardInterrupt

    settings = settings_with()
    wire.will(answer(503), answer(200))
    with pytest.raises(KeyboardInterrupt):
        ask(Http(settings, TokenManager(settings), sleep=killed))


def test_no_try_begins_after_the_patience_is_spent():
    now = [0.0]
    tries = Tries(sleep=lambda seconds: None, clock=lambda: now[0])
    now[0] = PATIENCE_SECONDS
    assert not tries.wait()


@given(st.integers(0, 10**12))
def test_retry_after_may_be_seconds(seconds):
    assert parse_retry_after(f" {seconds} ") == seconds


@given(st.integers(-(10**8), 10**8))
def test_retry_after_may_be_a_date(seconds):
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    assert parse_retry_after(format_datetime(moment, usegmt=True)) == pytest.approx(max(0, seconds), abs=5)


@given(st.text())
def test_retry_after_of_any_other_spelling_is_no_crash(header):
    assert (parse_retry_after(header) or 0.0) >= 0.0


# The token


@pytest.mark.parametrize("call", [ask, submit])
def test_a_refused_token_is_replaced_once(http, wire, token_server, call):
    wire.will(answer(401, "<html>"), answer(200, "job uuid: x"))
    call(http)
    first, second = (request.headers["Authorization"] for request in wire.requests)
    assert first != second
    assert len(token_server.requests) == 2
    if call is submit:
        assert b"<ODM/>" in wire.requests[1].body


@pytest.mark.parametrize("call", [ask, submit])
def test_a_second_refusal_is_final(http, wire, token_server, call):
    wire.will(*[answer(401, "<html>")] * 5)
    with pytest.raises(CredentialsError, match="same customer"):
        call(http)
    assert len(wire.requests) == 2
    assert len(token_server.requests) == 2


@pytest.mark.parametrize("body", ["Insufficient privileges.", "insufficient privileges"])
def test_a_role_that_does_not_suffice_costs_no_token(http, wire, token_server, body):
    wire.will(answer(401, body))
    assert (ask(http).status, len(wire.requests), len(token_server.requests)) == (401, 1, 1)


def test_no_error_shows_the_token_or_the_path(http, wire):
    wire.will(*[drop_after_reading] * 10)
    participant = "_".join(("SS", "ANN"))  # a traceback shows this line
    with pytest.raises(ServerUnavailableError) as caught:
        http.get(f"/clinicaldata/S_JUNO/{participant}/*/*", doing="a retrieve")
    told = "".join(traceback.format_exception(caught.value))
    assert "SS_ANN" not in told
    assert "e30." not in told


# What a user is told of a connection that fails


def test_a_refused_connection_is_told_as_such(http, wire):
    wire.close()
    with pytest.raises(ServerUnavailableError, match=r"127\.0\.0\.1 refuses connections at this port"):
        ask(http)


def test_an_unknown_name_is_told_as_such(client_with):
    client = client_with(host="https://no-such-host.invalid", auth_url="https://no-such-host.invalid")
    client._http._tokens.token = lambda: "a.b.c"
    with pytest.raises(ServerUnavailableError, match=r"the name no-such-host\.invalid cannot be resolved"):
        ask(client._http)


def test_silence_is_told_as_such(client_with, wire):
    wire.will(*[fall_silent] * 10)
    with pytest.raises(ServerUnavailableError, match="silent for longer than this call waits"):
        ask(client_with(request_timeout=0.05)._http)


def test_a_port_without_tls_is_told_as_such(client_with, wire):
    def answer_in_clear(peer):
        peer.send(response(400))
        peer.close()

    wire.will(*[answer_in_clear] * 10)
    with pytest.raises(ServerUnavailableError, match="does not speak TLS"):
        ask(client_with(host=wire.url.replace("http:", "https:"))._http)


def test_a_bundle_that_is_none_is_told_as_such(client_with, wire, tmp_path):
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("")
    client = client_with(host=wire.url.replace("http:", "https:"), verify=str(bundle))
    client._http._tokens.token = lambda: "a.b.c"
    bundle.unlink()
    with pytest.raises(ConfigurationError, match="CA bundle"):
        ask(client._http)


def test_a_certificate_nobody_vouches_for_is_told_as_such_and_not_asked_again(client_with, secure_wire, naps):
    with pytest.raises(ConfigurationError, match="a certificate that this machine does not trust"):
        ask(client_with(host=secure_wire.url)._http)
    assert naps == []


@pytest.mark.parametrize("call", [ask, submit])
@pytest.mark.parametrize("how", ["verify", "environment", "switched-off"])
@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_a_certificate_is_trusted_where_somebody_said_so(client_with, secure_wire, certificate, monkeypatch, call, how):
    verify = {"verify": str(certificate), "environment": None, "switched-off": False}[how]
    if how == "environment":
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    secure_wire.will(answer(200, "ok"))
    assert call(client_with(host=secure_wire.url, verify=verify)._http).body == "ok"


# A submit is taken at most once


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(drop_before_reading, id="dropped-unread"),
        pytest.param(drop_after_reading, id="dropped-once-read"),
        pytest.param(drop_in_the_status_line, id="broken-head"),
        pytest.param(drop_in_the_body, id="short-body"),
        pytest.param(answer(500, "<html>"), id="500"),
        pytest.param(answer(502, "<html>"), id="502"),
        pytest.param(answer(503, "<html>"), id="503-that-promises-nothing"),
        pytest.param(answer(504, "<html>"), id="504"),
    ],
)
def test_a_submit_whose_fate_is_unknown_is_never_repeated(http, wire, naps, trouble):
    wire.will(trouble, TAKEN)
    with pytest.raises(AmbiguousSubmitError, match="S_JUNO") as caught:
        submit(http)
    assert not caught.value.retry
    assert naps == []
    assert len(wire.scripts) == 1


def test_a_submit_that_meets_silence_is_ambiguous(client_with, wire):
    wire.will(fall_silent, TAKEN)
    with pytest.raises(AmbiguousSubmitError, match="silent"):
        submit(client_with(request_timeout=0.05)._http)
    assert wire.heard(1)
    assert len(wire.scripts) == 1


@pytest.mark.parametrize(
    "refusal",
    [answer(429), answer(429, Retry_After="1"), answer(503, Retry_After="1")],
    ids=["429", "429-wait", "503-wait"],
)
def test_a_submit_that_was_refused_unprocessed_is_repeated(http, wire, naps, refusal):
    wire.will(refusal, refusal, TAKEN)
    assert submit(http).body == "job uuid: x"
    assert len(naps) == 2
    assert [b"<ODM/>" in request.body for request in wire.requests] == [True] * 3


def test_a_submit_that_never_left_is_repeated(http, wire, naps):
    wire.close()
    with pytest.raises(ServerUnavailableError, match="refuses connections"):
        submit(http)
    assert len(naps) == MOST_TRIES - 1


@pytest.mark.parametrize("status", [200, 400, 404, 405, 415, 500])
def test_a_submit_with_a_code_for_an_answer_is_the_callers_to_judge(http, wire, status):
    wire.will(answer(status, "errorCode.noRoleSetUp"))
    assert submit(http).code == "norolesetup"


def test_a_kept_connection_that_the_server_closed_makes_no_submit_ambiguous(http, wire):
    closed = threading.Event()

    def answer_and_hang_up(peer):
        answer(200, "[]")(peer)
        peer.close()
        closed.set()

    wire.will(answer_and_hang_up, TAKEN)
    ask(http)
    assert closed.wait(20)
    time.sleep(0.05)  # what loopback needs to tell the client
    assert submit(http).body == "job uuid: x"
    assert [request.connection for request in wire.requests] == [1, 2]


def test_a_server_may_pause_before_it_reads_a_large_file(http, wire, tmp_path, monkeypatch):
    monkeypatch.setattr("airflow_provider_openclinica.client.http.CONNECT_SECONDS", 0.2)

    def pause(peer):
        time.sleep(0.6)
        TAKEN(peer)

    path = tmp_path / "large.xml"
    with path.open("wb") as file:
        file.truncate(16 << 20)
    wire.will(pause)
    assert submit(http, upload_file(path, name="large.xml")).body == "job uuid: x"


def test_a_file_that_changed_is_not_sent_to_its_end(http, wire):
    contents = [b"x" * 1000, b"y" * 1000]
    changing = upload_from(lambda: io.BytesIO(contents.pop(0)), name="labs.xml")
    wire.will(TAKEN)
    with pytest.raises(FileError, match="changed while it was being sent"):
        submit(http, changing)


def test_a_file_that_cannot_be_read_is_not_taken_for_a_broken_connection(http, wire):
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("the disk is gone")

    contents = [io.BytesIO(b"x" * 1000), Broken()]
    wire.will(TAKEN)
    with pytest.raises(OSError, match="the disk is gone"):
        submit(http, upload_from(lambda: contents.pop(0), name="labs.xml"))


# Threads


def test_each_thread_has_a_connection_of_its_own_and_close_closes_all(http, wire):
    wire.will(*[answer(200, "[]")] * 5)
    both, done = threading.Barrier(2), threading.Event()

    def poll():
        ask(http)
        ask(http)
        both.wait(60)
        done.wait(60)

    other = threading.Thread(target=poll)
    other.start()
    both.wait(60)
    ask(http)
    assert wire.connections == 2
    http.close()
    done.set()
    other.join(60)
    ask(http)
    assert wire.connections == 3

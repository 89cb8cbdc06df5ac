"""What a connection may say, what is made of it, and how a path is spelled."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.client.addresses import ServerSettings, api_path, job_page
from airflow_provider_openclinica.errors import ConfigurationError

ACCOUNT = {"login": "ann@example.org", "password": "pa55word"}
AUTH = "https://auth.example.org/token"


@pytest.mark.parametrize(
    ("parts", "study_url"),
    [
        pytest.param(
            {"host": "https://acme.openclinica.io/OpenClinica"},
            "https://acme.openclinica.io/OpenClinica",
            id="as-documented",
        ),
        pytest.param({"host": "acme.openclinica.io"}, "https://acme.openclinica.io/OpenClinica", id="bare-host"),
        pytest.param(
            {"host": " acme.openclinica.io/ "}, "https://acme.openclinica.io/OpenClinica", id="blanks-and-slash"
        ),
        pytest.param({"host": "edc.example.org/oc"}, "https://edc.example.org/oc", id="a-path-of-its-own"),
        pytest.param(
            {"host": "edc.example.org:8443"}, "https://edc.example.org:8443/OpenClinica", id="port-in-the-host"
        ),
        pytest.param(
            {"host": "edc.example.org", "port": 8443}, "https://edc.example.org:8443/OpenClinica", id="port-field"
        ),
        pytest.param(
            {"host": "edc.example.org", "schema": "HTTPS"}, "https://edc.example.org/OpenClinica", id="schema-field"
        ),
        pytest.param(
            {"host": "127.0.0.1", "schema": "http", "port": 8090}, "http://127.0.0.1:8090/OpenClinica", id="uri-form"
        ),
        pytest.param({"host": "http://localhost:8090/"}, "http://localhost:8090/OpenClinica", id="loopback-by-name"),
        pytest.param({"host": "http://[::1]:8090"}, "http://[::1]:8090/OpenClinica", id="loopback-ipv6"),
        pytest.param(
            {"host": "http://edc.example.org", "allow_http": True},
            "http://edc.example.org/OpenClinica",
            id="http-allowed",
        ),
    ],
)
def test_the_study_url_is_completed(parts, study_url):
    settings = ServerSettings.from_parts(**(ACCOUNT | {"auth_url": AUTH} | parts))
    assert settings.study_url == study_url
    assert settings.api_url == f"{study_url}/pages/auth/api"


@pytest.mark.parametrize(
    ("host", "auth_url"),
    [
        ("acme.openclinica.io", "https://acme.build.openclinica.io/user-service/api/oauth/token"),
        ("acme.eu.openclinica.io/OpenClinica", "https://acme.build.openclinica.io/user-service/api/oauth/token"),
        ("https://ACME-2.openclinica.io", "https://acme-2.build.openclinica.io/user-service/api/oauth/token"),
    ],
)
def test_the_token_endpoint_of_a_hosted_server_is_derived(host, auth_url):
    assert ServerSettings.from_parts(host=host, **ACCOUNT).auth_url == auth_url


@pytest.mark.parametrize(
    "host", ["edc.example.org", "openclinica.io", "acme.build.openclinica.io", "acme.openclinica.io.example.org"]
)
def test_a_token_endpoint_that_cannot_be_derived_is_asked_for(host):
    with pytest.raises(ConfigurationError, match="Set auth_url"):
        ServerSettings.from_parts(host=host, **ACCOUNT)


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        pytest.param({"host": None}, "no host", id="no-host"),
        pytest.param({"login": ""}, "no login", id="no-login"),
        pytest.param({"password": None}, "no password", id="no-password"),
        pytest.param({"host": "http://edc.example.org"}, "host is plain http", id="http-in-the-host"),
        pytest.param({"host": "edc.example.org", "schema": "http"}, "host is plain http", id="http-in-the-schema"),
        pytest.param({"host": "http://127.0.0.1.example.org"}, "host is plain http", id="only-looks-like-loopback"),
        pytest.param({"auth_url": "http://auth.example.org/token"}, "auth_url is plain http", id="http-for-tokens"),
        pytest.param({"schema": "ftp"}, "neither http nor https", id="another-schema"),
        pytest.param({"host": "ftp://edc.example.org"}, "no http or https address", id="another-scheme"),
        pytest.param({"host": "http://localhost", "schema": "https"}, "two different schemes", id="two-schemes"),
        pytest.param({"host": "edc.example.org:1", "port": 2}, "two different ports", id="two-ports"),
        pytest.param({"host": "edc.example.org:99999"}, "port in host", id="impossible-port"),
        pytest.param({"host": "https://ann:pa55word@edc.example.org"}, "holds a user name", id="password-in-the-host"),
        pytest.param({"host": "https://edc.example.org/OpenClinica?x=1"}, "holds a ?", id="a-page-instead"),
        pytest.param({"host": "https://edc.example.org/a b"}, "no http or https address", id="blank-inside"),
        pytest.param(
            {"host": "https://[edc.example.org"}, "host is no http or https address", id="bracket-in-the-host"
        ),
        pytest.param({"auth_url": "https://[x]/"}, "auth_url is no http or https address", id="bracket-for-tokens"),
        pytest.param({"import_path": "clinicaldata/"}, "import_path", id="the-importer-that-makes-no-job"),
        pytest.param({"request_timeout": "soon"}, "request_timeout", id="no-number"),
        pytest.param({"request_timeout": 0}, "request_timeout", id="no-time"),
        pytest.param({"request_timeout": "nan"}, "request_timeout", id="not-a-number"),
        pytest.param({"verify": "/no/such/bundle.pem"}, "CA bundle", id="no-such-bundle"),
    ],
)
def test_a_connection_that_cannot_work_is_refused_without_quoting_its_secrets(parts, complaint):
    with pytest.raises(ConfigurationError) as caught:
        ServerSettings.from_parts(**({"host": "edc.example.org", "auth_url": AUTH} | ACCOUNT | parts))
    assert complaint in str(caught.value)
    assert "pa55word" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "read"),
    [(None, True), ("", True), (False, False), ("false", False), ("True", True), (__file__, __file__)],
)
def test_verify_is_a_switch_or_the_path_of_a_bundle(written, read):
    assert ServerSettings.from_parts(host="x", auth_url=AUTH, verify=written, **ACCOUNT).verify == read


def test_numbers_and_paths_may_be_strings_as_in_a_connection_uri():
    settings = ServerSettings.from_parts(
        host="x", auth_url=AUTH, request_timeout="60", import_path="/import/", **ACCOUNT
    )
    assert (settings.request_timeout, settings.import_path) == (60.0, "import")


def test_settings_show_neither_password_nor_login_and_serve_as_a_key():
    first, second = (ServerSettings.from_parts(host="acme.openclinica.io", **ACCOUNT) for _ in range(2))
    assert "pa55word" not in repr(first)
    assert "ann@" not in repr(first)
    assert {first: 1}[second] == 1


def test_parentheses_in_an_oid_are_encoded_and_wildcards_are_not():
    assert api_path("clinicaldata", "S_X(TEST)", "*", "*", "*") == "/clinicaldata/S_X%28TEST%29/*/*/*"


@pytest.mark.parametrize("segment", ["", ".", ".."])
def test_a_segment_that_would_name_another_path_is_refused(segment):
    with pytest.raises(ConfigurationError):
        api_path("studies", segment, "jobs")


@given(st.lists(st.text(min_size=1).filter(lambda text: text not in {".", ".."}), min_size=1))
def test_every_segment_survives_the_path_unchanged(segments):
    path = api_path(*segments)
    assert [unquote(part) for part in path.split("/")[1:]] == segments
    assert path.isascii()
    assert not set(path) & set("?#() \"'<>\\")


def test_the_page_of_a_job_is_named_by_its_uuid():
    assert job_page("https://acme.openclinica.io/OpenClinica", "6c-1") == (
        "https://acme.openclinica.io/OpenClinica/Jobs?uuid=6c-1"
    )

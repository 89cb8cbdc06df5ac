"""What a connection to ClinOne has to say."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_openclinica.client.clinone.settings import ClinOneSettings
from airflow_provider_openclinica.errors import ConfigurationError

GOOD: dict[str, Any] = {
    "host": "https://api.clinone.example/v5/",
    "login": "client-1",
    "password": "s3cr3t",
    "auth_url": "https://acme.b2clogin.com/acme.onmicrosoft.com/b2c_1/oauth2/v2.0/token",
    "scope": " https://acme.onmicrosoft.com/clinoneapi/.default ",
}


def test_addresses_and_scope_are_taken_as_they_are_written() -> None:
    settings = ClinOneSettings.from_parts(**GOOD)
    assert settings.base_url == "https://api.clinone.example/v5"
    assert settings.auth_url == GOOD["auth_url"]
    assert settings.scope == GOOD["scope"].strip()
    assert settings.host_and_port == "api.clinone.example:443"
    assert (settings.request_timeout, settings.verify, settings.signer) == (300.0, True, "")


def test_a_host_alone_means_https() -> None:
    assert (
        ClinOneSettings.from_parts(**GOOD | {"host": "api.clinone.example"}).base_url == "https://api.clinone.example"
    )


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({"login": None}, "no client ID", id="no-client"),
        pytest.param({"password": ""}, "no client secret", id="no-secret"),
        pytest.param({"auth_url": None}, "ask ClinOne for the token URL", id="no-token-url"),
        pytest.param({"scope": "  "}, "no auth_url or no scope", id="no-scope"),
        pytest.param({"host": None}, "no host", id="no-host"),
        pytest.param({"host": "http://api.clinone.example"}, "host is plain http", id="plain-http"),
        pytest.param({"auth_url": "http://b2c.example/token"}, "auth_url is plain http", id="plain-http-for-tokens"),
        pytest.param({"host": "https://ann@api.clinone.example"}, "user name", id="a-user-in-the-host"),
        pytest.param({"auth_url": "https://b2c.example/token?p=1"}, r"holds a \?", id="a-query-in-the-token-url"),
        pytest.param({"request_timeout": "soon"}, "request_timeout", id="no-number"),
        pytest.param({"verify": "/no/such/bundle"}, "verify", id="no-such-bundle"),
    ],
)
def test_a_connection_that_cannot_work_is_refused_in_words(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        ClinOneSettings.from_parts(**GOOD | changed)
    assert "s3cr3t" not in str(caught.value)


def test_secrets_do_not_show() -> None:
    settings = ClinOneSettings.from_parts(**GOOD, hmac_client_key="k3y", hmac_secret_key="hm4c")
    assert [secret for secret in ("client-1", "s3cr3t", "k3y", "hm4c") if secret in repr(settings)] == []

"""Where one OpenClinica lives, and how to spell a path on it.

A customer has two hosts (docs/protocol.md, hosts): the study server answers every call but one, the build server hands
out tokens. Only the second can be derived from the first, and only for addresses that the vendor hosts.

    ServerSettings.from_parts(host=…, login=…, password=…)   what a connection says, checked
    api_path("studies", "S_X(TEST)", "jobs")                 a path, every segment encoded
    job_page(study_url, uuid)                                the page that shows a job to a person

Nothing here opens a connection.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, quote, urlsplit

from airflow_provider_openclinica.errors import ConfigurationError

DEFAULT_PATH = "/OpenClinica"  #: where the web application stands on every hosted server
DEFAULT_TIMEOUT = 300.0  #: seconds; an import is parsed whole before it is answered
API_PATH = "/pages/auth/api"  #: what all paths of the API are relative to, below the study URL
IMPORT_PATHS = ("import/xml", "import")  #: as documented since 2022, and as the servers of 2020 have it

_HOSTED = re.compile(r"(?P<subdomain>[a-z0-9-]+)(\.eu)?\.openclinica\.io")
_SCHEMES = ("https", "http")
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What a connection says about one OpenClinica. Make it with :meth:`from_parts`, which checks it.

    :param study_url: the study server with its path and no trailing slash, ``https://acme.openclinica.io/OpenClinica``.
    :param auth_url: the token endpoint, a full URL.
    :param login: user name of the API account.
    :param password: its password; never shown.
    :param import_path: ``import/xml`` or ``import``; empty: found out at the first import and remembered.
    :param request_timeout: seconds of silence after which an answer is given up; connecting has a limit of its own.
    :param verify: ``False`` trusts any certificate; a string is the path of a CA bundle.
    :param keep_cookies: keep the session cookie for a host that routes by it (docs/protocol.md, hosts).
    """

    study_url: str
    auth_url: str
    login: str = field(repr=False)
    password: str = field(repr=False)
    import_path: str = ""
    request_timeout: float = DEFAULT_TIMEOUT
    verify: bool | str = True
    keep_cookies: bool = False

    @property
    def api_url(self) -> str:
        """The address under which every call lives, without a trailing slash."""
        return self.study_url + API_PATH

    @classmethod
    def from_parts(
        cls,
        *,
        host: str | None,
        login: str | None,
        password: str | None,
        schema: str | None = None,
        port: int | None = None,
        auth_url: str | None = None,
        import_path: str | None = None,
        request_timeout: float | str | None = None,
        verify: bool | str | None = None,
        allow_http: bool = False,
        keep_cookies: bool = False,
    ) -> ServerSettings:
        """Check and complete what a person wrote into a connection.

        :param host: study server, with or without scheme, port and path; without a scheme it is https, without a path
            ``/OpenClinica``.
        :param login: user name of the API account.
        :param password: its password.
        :param schema: ``http`` or ``https``, for connections in URI form, whose host holds no scheme.
        :param port: likewise.
        :param auth_url: token endpoint; derived for ``{sub}.openclinica.io`` and ``{sub}.eu.openclinica.io``.
        :param import_path: ``import/xml``, ``import``, or empty to find out.
        :param request_timeout: seconds, above zero; 300 by default.
        :param verify: true, false, or the path of a CA bundle.
        :param allow_http: permit plain http for hosts other than loopback: password and data then travel unencrypted.
        :param keep_cookies: see the class.
        :raises ConfigurationError: something is missing, contradicts itself or cannot work; nothing was sent.
        """
        if not login or not password:
            raise ConfigurationError("The connection has no login or no password")
        study = _study_address(host or "", schema or "", port)
        token = _address((auth_url or "").strip() or _derived_auth_url(study), "auth_url")
        _check_address(study, "host", allow_http=allow_http)
        _check_address(token, "auth_url", allow_http=allow_http)
        return cls(
            study_url=study.geturl(),
            auth_url=token.geturl(),
            login=login,
            password=password,
            import_path=_import_path(import_path or ""),
            request_timeout=timeout_of(request_timeout),
            verify=verify_of(verify),
            keep_cookies=keep_cookies,
        )


def api_path(*segments: str) -> str:
    """Join segments to a path below the API address, each of them percent-encoded completely.

    Letter case is kept, for OpenClinica folds it in some places only. A lone ``*``, OpenClinica's wildcard, stays as
    it is. ``api_path("studies", "S_X(TEST)", "jobs")`` is ``/studies/S_X%28TEST%29/jobs``.

    :raises ConfigurationError: a segment that is empty or only dots, which would name another path.
    """
    if any(segment in {"", ".", ".."} for segment in segments):
        raise ConfigurationError("An OID, uuid or name that belongs into an address is empty or only dots")
    return "".join(f"/{quote(segment, safe='*')}" for segment in segments)


def job_page(study_url: str, job_uuid: str) -> str:
    """Address of the page that shows one job, to somebody whose active study is the job's study."""
    return f"{study_url}/Jobs?uuid={quote(job_uuid, safe='')}"


def web_address(written: str, name: str, *, schema: str = "", port: int | None = None, allow_http: bool = False) -> str:
    """Check and complete an address that a person wrote. Without a scheme it is https; a slash at its end is dropped.

    :param name: what the connection calls it, for errors.
    :param schema: ``http`` or ``https``, where it stands apart.
    :param port: likewise.
    :param allow_http: permit plain http for hosts other than loopback.
    :raises ConfigurationError: it is none, contradicts itself, or is plain http where others may listen.
    """
    address = _joined(written, schema, port)
    _check_address(address, name, allow_http=allow_http)
    return address._replace(path=address.path.rstrip("/")).geturl()


def _study_address(host: str, schema: str, port: int | None) -> SplitResult:
    address = _joined(host, schema, port)
    return address._replace(path=address.path.rstrip("/") or DEFAULT_PATH)


def _joined(host: str, schema: str, port: int | None) -> SplitResult:
    """Join host, schema and port of a connection; complain where they contradict each other."""
    host, schema = host.strip(), schema.strip().lower()
    if not host:
        raise ConfigurationError("The connection has no host")
    if schema and schema not in _SCHEMES:
        raise ConfigurationError("The schema of the connection is neither http nor https")
    written = "://" in host
    address = _address(host if written else f"{schema or 'https'}://{host}", "host")
    if written and schema and schema != address.scheme:
        raise ConfigurationError("Host and schema of the connection name two different schemes")
    own_port = _port_of(address, "host")
    if port and own_port and port != own_port:
        raise ConfigurationError("Host and port of the connection name two different ports")
    if port and not own_port:
        address = address._replace(netloc=f"{address.netloc}:{port}")
    return address


def _address(written: str, name: str) -> SplitResult:
    try:
        return urlsplit(written)
    except ValueError:  # square brackets without an IPv6 address in them
        raise _no_address(name) from None


def _no_address(name: str) -> ConfigurationError:
    return ConfigurationError(f"{name} is no http or https address, such as https://acme.openclinica.io/OpenClinica")


def _check_address(address: SplitResult, name: str, *, allow_http: bool) -> None:
    """Refuse what cannot be an address, and plain http where others may listen."""
    if address.scheme not in _SCHEMES or not address.hostname or re.search(r"[\s\\]", address.geturl()):
        raise _no_address(name)
    if "@" in address.netloc:
        raise ConfigurationError(f"{name} holds a user name; login and password have fields of their own")
    if address.query or address.fragment:
        raise ConfigurationError(f"{name} holds a ? or #: give the address of the server, not of a page")
    _port_of(address, name)
    if address.scheme == "http" and not allow_http and not _is_loopback(address.hostname):
        raise ConfigurationError(
            f"{name} is plain http, so that password, token and data would travel unencrypted",
            next_step="Use https. To allow http all the same, set allow_http in the connection's extra.",
        )


def _port_of(address: SplitResult, name: str) -> int | None:
    try:
        return address.port
    except ValueError:
        raise ConfigurationError(f"The port in {name} is no number from 0 to 65535") from None


def _is_loopback(hostname: str) -> bool:
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"


def _derived_auth_url(study: SplitResult) -> str:
    """Guess the token endpoint from the customer's subdomain; both regions have the one build server."""
    hosted = _HOSTED.fullmatch(study.hostname or "")
    if hosted is None:
        raise ConfigurationError(
            "The token endpoint cannot be derived from this host",
            next_step="Set auth_url in the connection's extra: on hosted servers "
            "https://{subdomain}.build.openclinica.io/user-service/api/oauth/token.",
        )
    return f"https://{hosted['subdomain']}.build.openclinica.io/user-service/api/oauth/token"


def _import_path(written: str) -> str:
    path = written.strip().strip("/")
    if path and path not in IMPORT_PATHS:
        raise ConfigurationError("import_path is neither import/xml nor import")
    return path


def timeout_of(written: float | str | None) -> float:
    """Read how long an answer may take, in seconds; 300 by default.

    :raises ConfigurationError: it is no number above zero.
    """
    if written is None or written == "":
        return DEFAULT_TIMEOUT
    try:
        seconds = float(written)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigurationError("request_timeout is no number of seconds above zero")
    return seconds


def verify_of(written: bool | str | None) -> bool | str:
    """Read the switch or the path; a bundle that is missing would else show up as an obscure error much later.

    :raises ConfigurationError: there is no such file.
    """
    if written is None or written == "":
        return True
    if isinstance(written, bool):
        return written
    if (word := written.strip().lower()) in _WORDS:
        return _WORDS[word]
    if not Path(written).exists():
        raise ConfigurationError("verify names a CA bundle that does not exist on this machine")
    return written

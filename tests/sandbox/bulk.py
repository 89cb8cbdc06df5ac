"""Call the addresses of participants and events, without any of our client's care."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

from tests.sandbox.calls import Caller

if TYPE_CHECKING:
    from airflow_provider_openclinica.sandbox.server import Sandbox

BOSTON = "clinicaldata/studies/S_JUNO/sites/S_BOSTON"
LEIDEN = "clinicaldata/studies/S_JUNO/sites/S_LEIDEN"


def configure(sandbox: Sandbox, **settings: object) -> None:
    """Change the settings of the study."""
    assert requests.post(f"{sandbox.url}/sandbox/settings", json=settings, timeout=10).ok


def set_status(sandbox: Sandbox, oid: str, status: str) -> None:
    """Change the status of the study or of a site."""
    change = {"oid": oid, "status": status}
    assert requests.post(f"{sandbox.url}/sandbox/studies", json=change, timeout=10).ok


def with_roles(sandbox: Sandbox, **roles: str) -> Caller:
    """Give the monitor other roles, and be them."""
    change = {"login": "monitor", "roles": roles}
    assert requests.post(f"{sandbox.url}/sandbox/users", json=change, timeout=10).ok
    return Caller(sandbox, "monitor")


def code(answer: requests.Response) -> str:
    """Return the code of a refusal in an object, or nothing where the request was granted."""
    if answer.ok:
        return ""
    assert answer.status_code == 400
    prefix, _, name = answer.json()["message"].partition(".")
    assert prefix == "errorCode"
    return name


def upload(caller: Caller, path: str, content: str, *, name: str = "rows.csv", **params: str) -> requests.Response:
    """Send a CSV file."""
    return caller.call("POST", path, files={"file": (name, content.encode())}, params=params)


def log_of(caller: Caller, answer: requests.Response) -> list[str]:
    """Wait for the job that an upload became, and return the lines of its log below the header."""
    assert answer.text.startswith("job uuid: "), answer.text
    finished = caller.finished(answer.text.removeprefix("job uuid: "))
    assert "Content-Disposition" in finished.headers, finished.text
    _, *lines, blank, end = finished.text.split("\n")
    assert (blank, end) == ("", "")
    return lines


def participant(sandbox: Sandbox, participant_id: str, site: str = "S_BOSTON") -> dict[str, str | None]:
    """Return what is stored of somebody."""
    (found,) = [one for one in sandbox.participants() if (one["participant"], one["site"]) == (participant_id, site)]
    return found

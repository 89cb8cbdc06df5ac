"""Start a sandbox from a shell: ``python -m airflow_provider_openclinica.sandbox --port 8090``."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_openclinica.sandbox.dialect import Dialect

try:
    from airflow_provider_openclinica.sandbox.server import Sandbox
    from airflow_provider_openclinica.sandbox.service import PASSWORD, Options
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is missing: pip install 'airflow-provider-openclinica[sandbox]'")

if TYPE_CHECKING:
    from collections.abc import Sequence


def _user(argument: str) -> tuple[str, str]:
    login, colon, password = argument.partition(":")
    if not login or not colon or not password:
        raise argparse.ArgumentTypeError("expected login:password")
    return login, password


def _port(argument: str) -> int:
    port = int(argument)
    if not 0 <= port < 2**16:
        raise argparse.ArgumentTypeError("expected a number up to 65535")
    return port


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_openclinica.sandbox",
        description="An OpenClinica on this machine, for developing and testing. It listens on 127.0.0.1 only.",
        argument_default=argparse.SUPPRESS,
    )
    usual = Options()
    add = parser.add_argument
    add("--port", type=_port, default=8090, help="port to listen on; 0 for any free one (default: 8090)")
    add("--version", type=int, choices=[3, 4], help=f"of the OpenClinica to play (default: {usual.version})")
    add(
        "--dialect",
        choices=[str(dialect) for dialect in Dialect],
        help=f"docs: a hosted server as documented; source: that of the published source (default: {usual.dialect})",
    )
    add("--state", type=Path, metavar="FILE.sqlite", help="keep jobs and data in this file and a folder beside it")
    add("--study", type=Path, metavar="ODM.xml", help="metadata of the study to play, instead of the demo study")
    add(
        "--job-seconds",
        type=float,
        metavar="SECONDS",
        help=f"how long a job is in progress before its work (default: {usual.job_seconds:g})",
    )
    add(
        "--token-seconds",
        type=float,
        metavar="SECONDS",
        help=f"how long a token lives (default: {usual.token_seconds:g})",
    )
    add(
        "--token-rate",
        type=int,
        metavar="CALLS",
        help=f"token calls a minute; 0 for any number (default: {usual.token_rate})",
    )
    add("--casebook", action=argparse.BooleanOptionalAction, help="whether casebooks are printed; by default they fail")
    add("--job-list", action=argparse.BooleanOptionalAction, help="whether job lists exist; by default in source only")
    add(
        "--user",
        dest="users",
        type=_user,
        action="append",
        metavar="LOGIN:PASSWORD",
        help="one more Data Manager; may be repeated",
    )
    return parser


def _introduction(sandbox: Sandbox) -> str:
    service = sandbox.service
    places = [service.study.oid, *(site.oid for site in service.study.sites)]
    logins = f"  logins       {', '.join(service.accounts.logins())} (password {PASSWORD}, where none was given)"
    study = f"  study        {places[0]}, sites {', '.join(places[1:]) or 'none'}"
    if service.options.version == 3:
        head = f"OpenClinica sandbox (version 3) on {sandbox.study_url}"
        lines = [head, f"  SOAP         {sandbox.ws_url}", logins, study]
    else:
        head = f"OpenClinica sandbox ({service.dialect} dialect) on {sandbox.study_url}"
        jobs = f"  jobs         {sandbox.study_url}/Jobs"
        lines = [head, f"  tokens from  {sandbox.auth_url}", logins, study, jobs]
    return "\n".join([*lines, f"  ClinOne      {sandbox.clinone_url}", "Ctrl-C stops it."])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal comes."""
    options = vars(_parser().parse_args(arguments))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        sandbox = Sandbox(**options).start()
    except (OSError, ValueError) as error:
        print(f"The sandbox cannot start: {error}", file=sys.stderr)  # noqa: T201
        return 2
    try:
        print(_introduction(sandbox), flush=True)  # noqa: T201
        stop.wait()
    finally:
        sandbox.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

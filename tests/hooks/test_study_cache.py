"""A study's metadata: fetched once, shared by the processes of a host, and asked for again when they are old."""

from __future__ import annotations

import json
import logging
import stat
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.client import retries
from airflow_provider_openclinica.client.token_shelf import FileShelf
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    NotFoundError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)
from airflow_provider_openclinica.hooks import study_cache
from airflow_provider_openclinica.hooks.openclinica import OpenClinicaHook

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_openclinica.odm.design import StudyMetadata
    from airflow_provider_openclinica.sandbox.server import Sandbox
    from tests.hooks.conftest import Connect

ODM = '<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" ODMVersion="1.3">{}</ODM>'
one_dialect = pytest.mark.parametrize("dialect", ["source"])
pytestmark = pytest.mark.usefixtures("openclinica_conn")


@pytest.fixture(autouse=True)
def another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with nothing in memory, and wait milliseconds between the tries of a request."""
    study_cache._in_memory.clear()
    monkeypatch.setattr(retries, "_FIRST_WAIT", 0.01)


def metadata(conn_id: str = "openclinica_default", study_oid: str = "S_JUNO", **options: Any) -> StudyMetadata:
    return OpenClinicaHook(conn_id).study_metadata(study_oid, **options)


def asked(sandbox: Sandbox) -> int:
    """Tell how often metadata were asked for."""
    return sum("/clinicaldata/" in request["path"] for request in sandbox.requests())


def kept_file(folder: Path) -> Path:
    [path] = folder.glob("*.metadata")
    return path


def test_it_tells_how_a_study_is_built(sandbox: Sandbox) -> None:
    found = metadata()
    assert (found.study_oid, [*found.sites]) == ("S_JUNO", ["S_BOSTON", "S_LEIDEN"])
    assert "F_VITALS" in {form.form_oid for form in found.events["SE_BASELINE"].forms}


@one_dialect
def test_a_process_asks_once(sandbox: Sandbox) -> None:
    assert metadata() is metadata()
    assert asked(sandbox) == 1


@one_dialect
def test_processes_of_a_host_ask_once_and_get_the_same(sandbox: Sandbox) -> None:
    first = metadata()
    study_cache._in_memory.clear()

    assert metadata() == first
    assert asked(sandbox) == 1


@one_dialect
def test_the_file_is_private_and_names_no_users(sandbox: Sandbox, token_cache_dir: Path) -> None:
    metadata()
    path = kept_file(token_cache_dir)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [word for word in ("AdminData", "data_manager", "FirstName") if word in path.read_text()] == []


@one_dialect
def test_without_a_shared_cache_nothing_is_written(sandbox: Sandbox, token_cache_dir: Path, connect: Connect) -> None:
    extra = {"auth_url": sandbox.auth_url, "token_cache": "memory"}
    connect("alone", host=sandbox.study_url, login="data_manager", password="sandbox", extra=extra)

    metadata("alone")
    study_cache._in_memory.clear()
    metadata("alone")

    assert asked(sandbox) == 2
    assert list(token_cache_dir.glob("*.metadata")) == []


@one_dialect
def test_accounts_and_studies_share_nothing(sandbox: Sandbox, connect: Connect) -> None:
    extra = {"auth_url": sandbox.auth_url}
    connect("second", host=sandbox.study_url, login="monitor", password="sandbox", extra=extra)

    metadata()
    metadata("second")
    assert metadata(study_oid="S_BOSTON").study_oid == "S_BOSTON"

    assert asked(sandbox) == 3


@one_dialect
@pytest.mark.parametrize("max_age", [0, timedelta()], ids=["seconds", "timedelta"])
def test_what_may_not_be_old_is_asked_for_anew(sandbox: Sandbox, max_age: float | timedelta) -> None:
    metadata()
    metadata(max_age=max_age)
    assert asked(sandbox) == 2


@one_dialect
@pytest.mark.parametrize("age", [7200, -7200], ids=["old", "from-the-future"])
def test_a_file_that_is_not_fresh_is_asked_for_anew(sandbox: Sandbox, token_cache_dir: Path, age: float) -> None:
    metadata()
    path = kept_file(token_cache_dir)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"read_at": time.time() - age}))
    study_cache._in_memory.clear()

    metadata()
    assert asked(sandbox) == 2
    metadata(max_age=timedelta(hours=1))
    assert asked(sandbox) == 2


@one_dialect
@pytest.mark.parametrize("text", ["", "{", "[]", '{"read_at": 1}', '{"read_at": null, "metadata": {"study_oid": 3}}'])
def test_a_file_that_is_damaged_is_asked_for_anew(sandbox: Sandbox, token_cache_dir: Path, text: str) -> None:
    first = metadata()
    kept_file(token_cache_dir).write_text(text)
    study_cache._in_memory.clear()

    assert metadata() == first
    assert asked(sandbox) == 2


@one_dialect
def test_a_file_that_cannot_be_written_costs_nothing_but_the_sharing(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    monkeypatch.setattr(study_cache, "_shelf", lambda: FileShelf(tmp_path / "open", "studies"))
    with caplog.at_level(logging.WARNING, study_cache.__name__):
        assert metadata().has_design
    assert "cannot be kept" in caplog.text


@one_dialect
def test_a_process_keeps_a_few_studies_only(
    sandbox: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_cache, "STUDIES", 1)
    extra = {"auth_url": sandbox.auth_url, "token_cache": "memory"}
    connect("alone", host=sandbox.study_url, login="data_manager", password="sandbox", extra=extra)

    for oid in ("S_JUNO", "S_BOSTON", "S_BOSTON", "S_JUNO"):
        metadata("alone", oid)

    assert asked(sandbox) == 3


@one_dialect
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param({"status": 500}, ServerUnavailableError, id="no-such-study"),
        pytest.param({"status": 200, "body": "<report>Zoe</report>"}, UnexpectedAnswerError, id="no-odm"),
        pytest.param({"status": 200, "body": "Zoe"}, UnexpectedAnswerError, id="no-xml"),
        pytest.param({"status": 200, "body": ODM.format("")}, UnexpectedAnswerError, id="no-study"),
        pytest.param({"status": 200, "body": ODM.format('<Study OID="S_OTHER"/>')}, NotFoundError, id="another-study"),
    ],
)
def test_what_is_no_metadata_is_not_kept(
    sandbox: Sandbox, token_cache_dir: Path, fault: dict[str, Any], error: type[Exception]
) -> None:
    sandbox.fault("status", path="clinicaldata/*", **fault)

    with pytest.raises(error) as caught:
        metadata()

    assert "Zoe" not in str(caught.value)
    assert list(token_cache_dir.glob("*.metadata")) == []
    assert metadata().has_design


@one_dialect
@pytest.mark.parametrize("max_age", [-1, timedelta(days=-1), "3600", None])
def test_an_age_that_is_none_is_refused(sandbox: Sandbox, max_age: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_age"):
        metadata(max_age=max_age)
    assert sandbox.requests() == []

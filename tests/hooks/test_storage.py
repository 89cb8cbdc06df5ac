"""Files anywhere: whole or not at all, on local disk and on a real S3 API."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import zipfile
from pathlib import Path

import pytest
from lxml import etree

from airflow_provider_openclinica.errors import ConfigurationError, FileUnavailableError
from airflow_provider_openclinica.hooks.storage import BLOCK_BYTES, ObjectStorage
from tests.fulldisk import largest_file


@pytest.fixture(params=["local", "file", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The same folder in each spelling; each test runs in all of them."""
    if request.param == "s3":
        request.getfixturevalue("bucket")
        return "s3://minio@labs/runs/today"
    return f"{tmp_path}/runs/today" if request.param == "local" else f"file://{tmp_path}/runs/today"


def names(folder: str, request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """What lies under the folder's top, whichever kind it is."""
    if folder.startswith("s3:"):
        return [listed.key for listed in request.getfixturevalue("bucket").objects.all()]
    return [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]


def break_off(uri: str, size: int, error: type[BaseException]) -> None:
    """Fail in the middle of writing."""
    with ObjectStorage().create(uri) as file:
        file.write(b"x" * size)
        raise error


@pytest.mark.parametrize("size", [0, 5, BLOCK_BYTES + 1, 2 * BLOCK_BYTES])
def test_what_is_written_can_be_read(folder: str, size: int) -> None:
    files, content = ObjectStorage(), os.urandom(size)
    with files.create(f"{folder}/log.csv") as file:
        for start in range(0, size, 1 << 20):
            file.write(content[start : start + (1 << 20)])
    with files.open(f"{folder}/log.csv") as file:
        assert hashlib.sha256(file.read()).digest() == hashlib.sha256(content).digest()


def test_nothing_is_to_be_seen_before_the_file_is_whole(
    folder: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with ObjectStorage().create(f"{folder}/log.csv") as file:
        file.write(b"half" * BLOCK_BYTES)
        visible = [name for name in names(folder, request, tmp_path) if not Path(name).name.startswith(".")]
        assert visible == []
    assert names(folder, request, tmp_path) == ["runs/today/log.csv"]


@pytest.mark.parametrize("written", [0, 5, 3 * BLOCK_BYTES])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_after_an_error_there_is_no_file(
    folder: str, request: pytest.FixtureRequest, tmp_path: Path, written: int, error: type[BaseException]
) -> None:
    with pytest.raises(error):
        break_off(f"{folder}/log.csv", written, error)
    assert names(folder, request, tmp_path) == []
    if folder.startswith("s3:"):
        assert list(request.getfixturevalue("bucket").multipart_uploads.all()) == []


def test_after_an_error_the_earlier_file_stands(folder: str) -> None:
    files = ObjectStorage()
    with files.create(f"{folder}/log.csv") as file:
        file.write(b"earlier")
    with pytest.raises(RuntimeError):
        break_off(f"{folder}/log.csv", 5, RuntimeError)
    with files.open(f"{folder}/log.csv") as file:
        assert file.read() == b"earlier"


def test_a_folder_is_no_file(folder: str) -> None:
    with ObjectStorage().create(f"{folder}/log/today.csv") as file:
        file.write(b"row")
    with pytest.raises(FileUnavailableError, match="log cannot be opened: it is a folder"):
        ObjectStorage().open(f"{folder}/log")


def test_a_file_replaces_the_one_of_its_name(folder: str) -> None:
    files = ObjectStorage()
    for content in (b"a longer first one", b"second"):
        with files.create(f"{folder}/log.csv") as file:
            file.write(content)
    with files.open(f"{folder}/log.csv") as file:
        assert file.read() == b"second"


def test_zip_and_xml_readers_take_what_is_opened_for_a_file(folder: str) -> None:
    files, packed = ObjectStorage(), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("scan.pdf", b"pdf")
    with files.create(f"{folder}/a.zip") as file:
        file.write(packed.getvalue())
    with files.create(f"{folder}/a.xml") as file:
        file.write(b"<ODM><ClinicalData/></ODM>")
    with files.open(f"{folder}/a.zip") as file, zipfile.ZipFile(file) as archive:
        assert archive.namelist() == ["scan.pdf"]
    with files.open(f"{folder}/a.xml") as file:
        assert [element.tag for _, element in etree.iterparse(file)] == ["ClinicalData", "ODM"]


def test_a_missing_file_is_worth_a_retry_and_is_named(folder: str) -> None:
    with pytest.raises(FileUnavailableError, match=r"missing\.xml cannot be opened: there is no such file") as caught:
        ObjectStorage().open(f"{folder}/missing.xml").read()
    assert caught.value.retry


def test_a_relative_path_begins_at_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ObjectStorage().create("logs/a #1 100%?.csv") as file:
        file.write(b"x")
    assert (tmp_path / "logs" / "a #1 100%?.csv").read_bytes() == b"x"


def test_a_name_that_a_folder_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is a folder"), ObjectStorage().create(str(tmp_path)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_very_long_name_can_be_written(tmp_path: Path) -> None:
    name = "x" * 250 + ".csv"
    with ObjectStorage().create(str(tmp_path / name)) as file:
        file.write(b"x")
    assert (tmp_path / name).read_bytes() == b"x"


@pytest.mark.parametrize("uri", ["nowhere://labs/today.xml", "sftp9://host/today.xml"])
def test_an_address_that_airflow_cannot_open_names_what_to_install(uri: str) -> None:
    with pytest.raises(ConfigurationError, match=r"knows no storage.*apache-airflow-providers"):
        ObjectStorage().open(uri)


@pytest.fixture
def s3_that_is_down(monkeypatch: pytest.MonkeyPatch) -> str:
    """An address at which nobody listens; botocore says so by an exception that is no ``OSError``."""
    extra = {
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
        "endpoint_url": "http://127.0.0.1:1",
        "region_name": "us-east-1",
        "config_kwargs": {"retries": {"max_attempts": 0}},
    }
    monkeypatch.setenv("AIRFLOW_CONN_DOWN_S3", json.dumps({"conn_type": "aws", "extra": extra}))
    return "s3://down_s3@labs/today.csv"


def test_a_full_disk_is_called_one(tmp_path: Path) -> None:
    with (
        pytest.raises(FileUnavailableError, match=r"today\.csv cannot be written: File too large"),
        largest_file(200_000),
        ObjectStorage().create(str(tmp_path / "today.csv")) as file,
    ):
        file.write(b"x" * 300_000)


def test_a_storage_that_is_down_is_worth_a_retry_and_named(s3_that_is_down: str) -> None:
    with pytest.raises(FileUnavailableError, match=r"today\.csv cannot be opened: the storage raised Endpoint"):
        ObjectStorage().open(s3_that_is_down)
    with (
        pytest.raises(FileUnavailableError, match=r"today\.csv cannot be written: the storage raised Endpoint"),
        ObjectStorage().create(s3_that_is_down) as file,
    ):
        file.write(b"x")


@pytest.mark.parametrize("name", ["log.csv", "log/"])
def test_a_place_that_will_take_a_file_is_left_as_it_is(
    folder: str, name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    ObjectStorage().check_target(f"{folder}/{name}")

    assert names(folder, request, tmp_path) == []


def test_a_place_that_cannot_take_a_file_is_found_out_beforehand(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileUnavailableError, match="a part of it is a file"):
        ObjectStorage().check_target(f"{tmp_path}/file/log/")
    with pytest.raises(ConfigurationError, match="is a folder"):
        ObjectStorage().check_target(str(tmp_path))
    with pytest.raises(ConfigurationError, match="knows no storage"):
        ObjectStorage().check_target("nowhere://labs/log/")


def test_a_private_file_is_its_owners_from_the_first_byte_on(tmp_path: Path) -> None:
    with ObjectStorage().create(f"{tmp_path}/contacts.csv", private=True) as file:
        [unfinished] = tmp_path.iterdir()
        assert stat.S_IMODE(unfinished.stat().st_mode) == 0o600
        file.write(b"Ann")

    assert stat.S_IMODE((tmp_path / "contacts.csv").stat().st_mode) == 0o600
    assert (tmp_path / "contacts.csv").read_bytes() == b"Ann"


def test_a_private_file_can_go_anywhere(folder: str) -> None:
    with ObjectStorage().create(f"{folder}/contacts.csv", private=True) as file:
        file.write(b"Ann")

    with ObjectStorage().open(f"{folder}/contacts.csv") as file:
        assert file.read() == b"Ann"

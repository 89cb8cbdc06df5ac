"""What makes the files of a pull a set, read back and refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.engine.pieces import Fetched, Piece
from airflow_provider_openclinica.engine.pullset import Manifest, Progress, SetFile
from tests.engine.test_pull import TAG, Folder

COUNTS = st.dictionaries(st.sampled_from(["participants", "items"]), st.integers(0, 9))
FETCHED = st.builds(
    Fetched,
    size=st.integers(0, 1 << 40),
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    counts=COUNTS,
    repairs=st.dictionaries(st.just("surrogate_pairs"), st.integers(1, 9)),
    encoding=st.sampled_from(["utf-8", "iso8859-1"]),
)
FILES = st.builds(
    SetFile,
    name=st.integers(1, 99_999).map(lambda number: f"{number:04}.{TAG}.xml"),
    holds=st.sampled_from(["study", "site", "participant", "metadata"]),
    study_oid=st.text(min_size=1),
    fetched=FETCHED,
)
MANIFESTS = st.builds(
    Manifest,
    tag=st.just(TAG),
    format=st.sampled_from(["xml", "json"]),
    study_oid=st.text(min_size=1),
    files=st.lists(FILES, max_size=4).map(tuple),
    replaces=st.just((f"0001.{TAG}.xml",)),
    left_out=st.none() | st.lists(st.sampled_from(["queries", "audit"]), unique=True).map(tuple),
)


@given(MANIFESTS)
def test_a_manifest_is_read_back_as_it_was_written(manifest: Manifest) -> None:
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    assert manifest.total.size == sum(file.fetched.size for file in manifest.files)


def test_a_manifest_of_before_it_said_what_was_left_out_is_read() -> None:
    assert Manifest.from_bytes(written()).left_out is None


def written(**changed: Any) -> bytes:
    file = {
        "name": f"0001.{TAG}.xml",
        "holds": "study",
        "study_oid": "S_JUNO",
        "size": 1,
        "sha256": "",
        "counts": {},
        "repairs": {},
        "encoding": "utf-8",
    }
    manifest = {"written_as": "openclinica-pull-1", "tag": TAG, "format": "xml", "study_oid": "S_JUNO", "replaces": []}
    return json.dumps(manifest | {"files": [file | changed.pop("file", {})]} | changed).encode()


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff", id="no-text"),
        pytest.param(b"[]", id="no-object"),
        pytest.param(b"{}", id="an-empty-one"),
        pytest.param(written(written_as="openclinica-pull-2"), id="of-a-later-version"),
        pytest.param(written(files=None), id="no-files"),
        pytest.param(written(file={"name": "../../etc/passwd"}), id="a-name-that-leads-elsewhere"),
        pytest.param(written(file={"name": 5}), id="a-name-that-is-none"),
    ],
)
def test_what_is_no_manifest_is_refused(stored: bytes) -> None:
    assert Manifest.from_bytes(written()).tag == TAG
    with pytest.raises(ValueError, match=r".+"):
        Manifest.from_bytes(stored)


@given(
    st.dictionaries(st.builds(Piece, holds=st.just("participant"), study_oid=st.text(), participant=st.text()), FILES)
)
def test_a_progress_is_read_back_as_it_was_written(tmp_path_factory: Any, done: dict[Piece, SetFile]) -> None:
    folder = f"{tmp_path_factory.mktemp('progress')}/"
    progress = Progress(done, {Piece(holds="site", study_oid="S_BOSTON")})

    progress.write(Folder(), folder, TAG)

    assert Progress.read(Folder(), folder, TAG) == progress
    assert all(int(file.name.partition(".")[0]) < progress.next_number() for file in done.values())


def test_without_an_earlier_try_there_is_no_progress(tmp_path: Any) -> None:
    assert Progress.read(Folder(), f"{tmp_path}/", TAG) == Progress()
    assert Progress().next_number() == 1

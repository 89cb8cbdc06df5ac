"""Writing in one thread what another one makes."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.engine.storing import BLOCK_BYTES, Stored, store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Blocks(io.BytesIO):
    """A file that keeps the sizes of what was written at once."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def write(self, block: bytes) -> int:  # type: ignore[override]
        self.sizes.append(len(block))
        return super().write(block)


@given(st.lists(st.binary(max_size=20)), st.integers(1, 50))
def test_whatever_the_chunks_all_bytes_are_written_in_order_and_measured(chunks: list[bytes], block_bytes: int) -> None:
    file, whole = Blocks(), b"".join(chunks)
    assert store(chunks, file, block_bytes=block_bytes) == Stored(len(whole), hashlib.sha256(whole).hexdigest())
    assert file.getvalue() == whole
    assert all(size >= block_bytes for size in file.sizes[:-1])


def test_a_large_document_is_stored_whole(tmp_path: Path) -> None:
    chunks = [bytes([number % 251]) * 99_991 for number in range(3 * BLOCK_BYTES // 99_991)]
    path = tmp_path / "study.xml"
    with path.open("wb") as file:
        stored = store(chunks, file)
    assert path.read_bytes() == b"".join(chunks)
    assert stored.size == path.stat().st_size


def test_more_is_made_while_a_block_is_being_written() -> None:
    more_is_made = threading.Event()

    class Slow(io.BytesIO):
        def write(self, block: bytes) -> int:  # type: ignore[override]
            assert more_is_made.wait(10)
            return super().write(block)

    def chunks() -> Iterator[bytes]:
        yield b"first"
        more_is_made.set()
        yield b"second"

    assert store(chunks(), Slow(), block_bytes=1).size == len("firstsecond")


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_a_place_that_is_full_ends_it_with_its_own_error(blocks: int) -> None:
    class Full(io.BytesIO):
        def write(self, block: bytes) -> int:  # type: ignore[override]
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        store([b"block"] * blocks, Full(), block_bytes=1)


def test_what_breaks_off_ends_it_with_its_own_error_and_no_thread_is_left() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"begun"
        raise ConnectionResetError

    class Slow(io.BytesIO):
        def write(self, block: bytes) -> int:  # type: ignore[override]
            time.sleep(0.2)
            return super().write(block)

    file = Slow()
    with pytest.raises(ConnectionResetError):
        store(chunks(), file, block_bytes=1)
    assert file.getvalue() == b"begun"
    assert not any(thread.name.startswith("openclinica-store") for thread in threading.enumerate())
